"""The official rules of Meeseeks on cases of JSON, out of a checkout of github.com/ADoublLEN/Meeseeks.

python meeseeks_official.py CHECKOUT < cases.jsonl

A case is a line {"rule", "parts"} or {"schema", "reply"}; a verdict is a line: whether the rule passes, or a
list of [field, passed]. What the official code would install for Japanese and Korean is stood in for.
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import opencc

ELSEWHERE = ("hanziconv", "pykakasi", "jaconv", "hgtk")


def main() -> None:
    sys.path.insert(0, str(Path(sys.argv[1]) / "src_code"))
    sys.modules.update({name: MagicMock() for name in ELSEWHERE})
    convert = opencc.OpenCC
    opencc.OpenCC = lambda name: convert(name.removesuffix(".json"))  # the C++ package takes a file's name
    with contextlib.redirect_stdout(io.StringIO()):
        from process_rule_based_evaluate import rule_based_evaluate
        from rule_utils.schema import json_schema
    for line in sys.stdin:
        case = json.loads(line)
        said: Any
        if "rule" in case:
            found = rule_based_evaluate({}, case["rule"], case["parts"])
            said = bool(found and found[0])
        else:
            found = json_schema({"json_schema": case["schema"]}, case["reply"])
            said = [[point["question"].split()[1], bool(point["eval_result"])] for point in found]
        print(json.dumps(said, ensure_ascii=False))


if __name__ == "__main__":
    main()
