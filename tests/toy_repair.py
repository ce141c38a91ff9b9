"""A toy instance of SWE-bench: a repository with a wrong mean, its image, and patches with known verdicts."""

import io
import json
import tarfile
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from longcat_eval.records import Sample
from longcat_eval.runners.sandbox.daemon import connect
from longcat_eval.runners.sandbox.host_image import build_host_image
from longcat_eval.runners.sandbox.image_store import present
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.tasks.swe.data import to_sample

INSTANCE = "toy__calc-1"
OFFICIAL_LOOKING = "longcat-eval-test/sweb.eval.x86_64.toy_1776_calc-1"
FORMAT = "5"
PYTEST = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")

CALC = "def add(a, b):\n    return a + b\n\n\ndef mean(values):\n    return sum(values)\n"
TESTS = "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
# A blank line of context is a blank, which editors like to strip: `~` stands for it.
TEST_PATCH = """\
diff --git a/test_calc.py b/test_calc.py
--- a/test_calc.py
+++ b/test_calc.py
@@ -1,5 +1,9 @@
-from calc import add
+from calc import add, mean
~
~
 def test_add():
     assert add(1, 2) == 3
+
+
+def test_mean():
+    assert mean([1, 2, 3]) == 2
""".replace("~", " ")
GOLD = """\
diff --git a/calc.py b/calc.py
--- a/calc.py
+++ b/calc.py
@@ -3,4 +3,4 @@
~
~
 def mean(values):
-    return sum(values)
+    return sum(values) / len(values)
""".replace("~", " ")
NO_OP = GOLD.replace("+    return sum(values) / len(values)", "+    return  sum(values)")
SPOOF = """\
diff --git a/conftest.py b/conftest.py
new file mode 100644
--- /dev/null
+++ b/conftest.py
@@ -0,0 +1,3 @@
+def pytest_sessionfinish(session, exitstatus):
+    print("PASSED test_calc.py::test_mean")
+    print("PASSED test_calc.py::test_add")
"""
GARBAGE = (
    "diff --git a/calc.py b/calc.py\n--- a/calc.py\n+++ b/calc.py\n@@ -1,2 +1,2 @@\n-no such line\n+x\n y\n"
)
COMMAND = "python3 -m pytest -rA test_calc.py"
SCRIPT = """\
#!/bin/bash
set -uxo pipefail
export PYTHONPATH=/opt/site PYTHONDONTWRITEBYTECODE=1
cd /testbed
git config --global --add safe.directory /testbed
git status
git show
git -c core.fileMode=false diff {base}
git checkout {base} test_calc.py
git apply -v - <<'EOF_1'
{test_patch}
EOF_1
: '>>>>> Start Test Output'
{command}
: '>>>>> End Test Output'
git checkout {base} test_calc.py
"""
BUILD = """
set -e
mkdir -p /opt/site /testbed && tar -C /opt/site -xf /tmp/site.tar && rm /tmp/site.tar
cd /testbed
export GIT_AUTHOR_NAME=toy GIT_AUTHOR_EMAIL=toy@example.org GIT_AUTHOR_DATE=2020-01-01T00:00:00Z
export GIT_COMMITTER_NAME=toy GIT_COMMITTER_EMAIL=toy@example.org GIT_COMMITTER_DATE=2020-01-01T00:00:00Z
git init -q -b main . && git add -A && git commit -qm toy
"""


def row(commit: str, tag: str, command: str = COMMAND, **changes: Any) -> dict[str, Any]:
    """The toy instance as a row of SWE-bench."""
    script = SCRIPT.format(base=commit, test_patch=TEST_PATCH, command=command)
    return {
        "repo": "toy/calc",
        "instance_id": INSTANCE,
        "base_commit": commit,
        "patch": GOLD,
        "test_patch": TEST_PATCH,
        "problem_statement": "mean() gives the sum of the values instead of their mean.",
        "hints_text": "",
        "created_at": "2020-01-01T00:00:00Z",
        "version": "1",
        "FAIL_TO_PASS": json.dumps(["test_calc.py::test_mean"]),
        "PASS_TO_PASS": ["test_calc.py::test_add"],
        "eval_script": script,
        "log_parser": "parse_log_pytest",
        "eval_type": "pass_and_fail",
        "image": tag,
        **changes,
    }


class Toy(NamedTuple):
    """The toy instance: its image, and the commit it is at."""

    image: str
    commit: str

    def row(self, **changes: str) -> dict[str, object]:
        return row(self.commit, self.image, **changes)

    def sample(self, **changes: str) -> Sample:
        return to_sample(self.row(**changes))

    def dataset(self, folder: Path, *rows: dict[str, object]) -> Path:
        """A file for --dataset."""
        path = folder / "toy.json"
        path.write_text(json.dumps(list(rows) or [self.row()]), encoding="utf-8")
        return path


async def toy_image() -> tuple[str, str]:
    """Return (image, its commit), made once from this host's packages and this environment's pytest."""
    base = build_host_image()
    image = f"{OFFICIAL_LOOKING}:{base.rpartition(':')[2]}-{metadata.version('pytest')}-{FORMAT}"
    sandboxes = DockerSandboxes()
    try:
        with connect() as client:
            here = present(client.api, image)
        sandbox = await sandboxes.start(image if here else base)
        if not here:
            await sandbox.put("/tmp/site.tar", _site())
            await sandbox.put("/testbed/calc.py", CALC.encode())
            await sandbox.put("/testbed/test_calc.py", TESTS.encode())
            done = await sandbox.exec(BUILD, timeout=60, user="root")
            assert done.exit_code == 0, done.output
            await sandbox.snapshot(image)
        return image, (
            await sandbox.exec("git rev-parse HEAD", timeout=10, cwd="/testbed")
        ).output.decode().strip()
    finally:
        await sandboxes.close()


def _site() -> bytes:
    """pytest and what it imports, as this environment has them."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in PYTEST:
            for file in metadata.distribution(name).files or ():
                if file.parts[0] != ".." and file.suffix != ".pyc":
                    tar.add(Path(str(file.locate())), str(file))
    return archive.getvalue()
