"""Prompts and reference letters of an oracle run: python benchmarks/prompts.py RUN OUT.jsonl"""

import json
import sys
from pathlib import Path

from longcat_eval.runners.store import read_run, read_transcript


def main() -> None:
    run, out = Path(sys.argv[1]), Path(sys.argv[2])
    with out.open("w", encoding="utf-8") as file:
        for row in read_run(run).rows:
            (call,) = read_transcript(run, row).calls
            (message,) = call.request["messages"]
            question = {"id": row.sample, "prompt": message["content"], "target": row.extracted}
            file.write(json.dumps(question, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
