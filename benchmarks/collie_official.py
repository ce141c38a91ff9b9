"""The official checker of COLLIE on cases of JSON: run by the Python of its own environment (see peers.py).

python collie_official.py NLTK_DATA < cases.jsonl

A case is a line [constraint, targets, text]; a verdict is a line 0 or 1.
"""

import json
import sys
from typing import Any

import nltk
from collie import constraints


def built(tree: dict[str, Any]) -> Any:
    """The official objects of one of our trees."""
    if tree["type"] == "all":
        return constraints.All(*map(built, tree["of"]))
    measures = {
        "count": constraints.Count(),
        "position": constraints.Position(tree.get("position")),
        "units": constraints.ForEach(...),
    }
    measure = measures[tree["measure"]]
    return constraints.Constraint(
        constraints.InputLevel(tree.get("outer")),
        constraints.TargetLevel(tree["inner"]),
        constraints.ForEach(measure) if tree.get("each") else measure,
        constraints.Relation(tree["relation"]),
        constraints.Reduction("all") if tree.get("every") else None,
    )


def main() -> None:
    nltk.data.path.insert(0, sys.argv[1])
    for line in sys.stdin:
        tree, targets, text = json.loads(line)
        print(int(bool(built(tree).check(text, targets))))


if __name__ == "__main__":
    main()
