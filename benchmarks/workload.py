"""The questions every tool is given: our own MMLU prompts, word for word, as JSON lines for the peers.

The real set is used where it lies (LONGCAT_EVAL_DATA, else ../shared/data beside the repository), else rows
of the same number and about the same length are made up in the layout of the original CSV files.
"""

import csv
import json
import os
import random
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from measure import measure

ROOT = Path(__file__).resolve().parents[1]
SUBJECTS, ITEMS = 57, 14_042
REPLY_LETTER = "B"
REPLY = f"""\
We compare the options one after the other. The first cannot hold because it would contradict what the \
question itself states. The second follows directly from the definition, and a short calculation confirms \
it: every step keeps the quantity that matters. The third is often confused with it but needs a condition \
that is not given here, and the fourth is only a special case. Checking the remaining possibilities again \
leads to the same choice, so there is no reason to prefer another option.

Answer: {REPLY_LETTER}"""
"""What the server answers to every request: a short chain of thought and the line all tools look for."""


class Data(NamedTuple):
    """A folder for --data-dir, and the flags it needs."""

    folder: Path
    flags: list[str]
    origin: str


class Questions(NamedTuple):
    """Prompts and right letters as JSON lines, and the accuracy that `REPLY` earns on them."""

    path: Path
    items: int
    accuracy: float


def find_data(scratch: Path) -> Data:
    """The real MMLU if it is here, else a made-up one of the same size."""
    for place in (os.environ.get("LONGCAT_EVAL_DATA"), ROOT.parent / "shared" / "data"):
        if place and (Path(place) / "mmlu").is_dir():
            return Data(Path(place), [], "the real MMLU")
    folder = scratch / "data"
    make_up_mmlu(folder / "mmlu")
    return Data(folder, ["--allow-data-drift"], "made-up rows in MMLU's layout and number")


def make_up_mmlu(folder: Path) -> None:
    """Write mmlu.zip with one headerless CSV a subject: question, A, B, C, D, answer letter."""
    draw = random.Random(0)
    words = [
        "energy",
        "court",
        "vector",
        "cell",
        "market",
        "treaty",
        "protein",
        "theorem",
        "signal",
        "estate",
    ]
    folder.mkdir(parents=True)
    made = folder / "rows.csv"
    with zipfile.ZipFile(folder / "mmlu.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for subject in range(SUBJECTS):
            with made.open("w", newline="", encoding="utf-8") as file:
                rows = csv.writer(file)
                for number in range(subject, ITEMS, SUBJECTS):
                    question = f"Number {number}: which holds for {' '.join(draw.choices(words, k=40))}?"
                    options = [" ".join(draw.choices(words, k=6)) for _ in range(4)]
                    rows.writerow([question, *options, draw.choice("ABCD")])
            archive.write(made, f"data/test/subject_{subject:02}_test.csv")
    made.unlink()


def write_questions(data: Data, limit: int, scratch: Path, env: Mapping[str, str]) -> Questions:
    """Let `scripted/oracle` answer, and read the prompts and the right letters out of its transcripts."""
    run, path = scratch / "oracle", scratch / "questions.jsonl"
    task = ["--task", "mmlu", "--limit", str(limit), "--data-dir", str(data.folder), *data.flags]
    measure(
        [*ours(), "run", *task, "--model", "scripted/oracle", "-o", str(run), "--plain"], env, cwd=scratch
    )
    reader = [sys.executable, str(Path(__file__).with_name("prompts.py")), str(run), str(path)]
    measure(reader, env, cwd=scratch)
    with path.open(encoding="utf-8") as file:
        letters = [json.loads(line)["target"] for line in file]
    return Questions(path, len(letters), letters.count(REPLY_LETTER) / len(letters))


def ours() -> list[str]:
    """The installed command of the Python that runs the benchmark."""
    script = Path(sys.executable).with_name("longcat-eval")
    return [str(script)] if script.exists() else [sys.executable, "-m", "longcat_eval"]
