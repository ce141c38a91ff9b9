"""Runs in swebench's own environment: what the whole package makes of rows and logs.

python swebench_peer.py FILE      FILE has a line of {"row", "log"} each; prints {"script", "report"} for each
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from swebench.harness.grading import get_eval_report
from swebench.harness.utils import make_test_spec


def judged(row: dict[str, Any], log: str) -> dict[str, Any]:
    spec = make_test_spec(row)
    prediction = {"instance_id": row["instance_id"], "model_patch": "", "model_name_or_path": "m"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(log.encode())
        report = get_eval_report(spec, prediction, str(path), include_tests_status=True)
    return {"script": spec.eval_script, "report": report[row["instance_id"]]}


def main() -> None:
    with Path(sys.argv[1]).open(encoding="utf-8") as file:
        for line in file:
            print(json.dumps(judged(**json.loads(line))))


if __name__ == "__main__":
    main()
