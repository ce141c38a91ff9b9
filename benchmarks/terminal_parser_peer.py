"""Reads logs with terminal-bench's own parser, in its environment: JSON lines in, JSON lines out.

A line in is a log; a line out is the results by name, or null where the parser raises.
"""

import json
import sys

from terminal_bench.parsers.pytest_parser import PytestParser  # in terminal-bench's environment

parser = PytestParser()
for line in sys.stdin:
    try:
        found = {name: status.value == "passed" for name, status in parser.parse(json.loads(line)).items()}
    except Exception:  # noqa: BLE001 - the harness counts any as a parse error
        found = None
    print(json.dumps(found))
