"""What the developer is told; the words are our own, and say what the official prompt (`prompt.py`) says."""

from longcat_eval.tasks.prdbench.image import PROJECT
from longcat_eval.tasks.prdbench.packages import PYTHON

MACHINE = f"""\
About the machine:
- Python {PYTHON} with many common packages (`pip list` shows them), and no network: nothing can be \
installed.
- Each command runs in a new shell that starts in {PROJECT}. Nothing can be typed into a command that \
runs: give a program its input with < or a pipe. A command that takes too long is stopped, and of a long \
output you see the beginning and the end.
- Nobody answers questions. What the documents leave open, decide yourself.
"""

DEVELOP = f"""\
Develop a whole Python project in the folder {PROJECT}, from its requirements.

- src/PRD.md says what is wanted. Make all of it, and leave no function out.
- evaluation/detailed_test_plan.json says how the project will be tested: commands, run from {PROJECT}, \
what is typed into them, the files they read, what is expected. Entry points, menus, options, file names \
and interfaces have to be those of the plan, or its tests cannot use the project. The folder evaluation \
holds its input files, expected files and tests; it can be read and not changed.
- All that belongs to the project goes into src, in an order that others can work with.

{MACHINE}
When all is done, call `finish`. The project is then the folder as it stands.
"""

DEBUG = f"""\
The folder {PROJECT} holds a Python project, which was tested and marked:

- src has its requirements, PRD.md, and the project.
- evaluation/detailed_test_plan.json is the plan that it was tested by, with its files beside it; the \
folder can be read and not changed.
- reports/round1.json has the mark of every metric of the plan (0, 1 or 2 points) and why it was given.

Find out why points were lost and change the project so that it earns them, still by the plan and by all \
requirements. All that belongs to the project stays in src.

{MACHINE}
When all is done, call `finish`. The project is then the folder as it stands.
"""
