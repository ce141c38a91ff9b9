"""The benchmarks that may not be shipped, made up: the real schemas and counts, items of our own."""

import csv
import gzip
import io
import json
import random
import zipfile
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]

CEVAL_ITEMS, CMMLU_ITEMS, GPQA_ITEMS, AIME_ITEMS = 1_346, 11_582, 198, 30

GPQA_COLUMNS = (
    "Pre-Revision Question",
    "Pre-Revision Correct Answer",
    "Question",
    "Correct Answer",
    "Incorrect Answer 1",
    "Incorrect Answer 2",
    "Incorrect Answer 3",
    "Explanation",
    "Subdomain",
    "Writer's Difficulty Estimate",
    "High-level domain",
    "Record ID",
    "Canary String",
)


def to_csv(rows: Sequence[Row]) -> bytes:
    """A CSV file with a header."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def to_jsonl(rows: Sequence[Row]) -> bytes:
    """A JSON lines file."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def to_parquet(rows: Sequence[Row]) -> bytes:
    """A parquet file."""
    import pyarrow
    import pyarrow.parquet

    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), out)
    return out.getvalue()


def to_gz(content: bytes) -> bytes:
    """A gzip file."""
    return gzip.compress(content, 1)


def to_zip(files: dict[str, bytes]) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def ceval_rows(subjects: Sequence[str]) -> dict[str, list[Row]]:
    """Rows of the C-Eval validation split by subject: id, question, A to D, answer, explanation."""
    return {
        subject: [
            {"id": i} | _chinese(subject, i, "question", "answer") | {"explanation": ""} for i in range(n)
        ]
        for subject, n in _shares(subjects, CEVAL_ITEMS).items()
    }


def cmmlu_rows(subjects: Sequence[str]) -> dict[str, list[Row]]:
    """Rows of the CMMLU test split by subject: a nameless number, Question, A to D, Answer."""
    return {
        subject: [{"": i} | _chinese(subject, i, "Question", "Answer") for i in range(n)]
        for subject, n in _shares(subjects, CMMLU_ITEMS).items()
    }


def gpqa_rows() -> list[Row]:
    """Rows of gpqa_diamond.csv; questions hold a phrase that must never be seen outside cache and run."""
    rows = []
    for i in range(GPQA_ITEMS):
        question = f"UNSPREADABLE question {i}: what is {i} plus\n{i}?\n"
        known = {
            "Question": question,
            "Correct Answer": f"{2 * i}\n",
            "Incorrect Answer 1": f"{2 * i + 1}",
            "Incorrect Answer 2": f"{2 * i + 2}, so to speak",
            "Incorrect Answer 3": f"{2 * i + 3}",
            "High-level domain": ("Physics", "Chemistry", "Biology")[i % 3],
            "Record ID": f"rec{i:014}",
        }
        rows.append({column: known.get(column, "UNSPREADABLE") for column in GPQA_COLUMNS})
    return rows


def aime_rows(problem: str, answer: str, extra: Row, style: str) -> list[Row]:
    """Thirty problems with answers in a `style`: zeros (025), number (70), float (70.0), text ("70")."""
    spell = {"zeros": "{:03}".format, "number": int, "float": float, "text": str}[style]
    return [
        {problem: f"What is {i} times {i}?", answer: spell(i * i), **extra, "id": i}
        for i in range(AIME_ITEMS)
    ]


def _chinese(subject: str, i: int, question: str, answer: str) -> Row:
    right = random.Random(f"{subject}{i}").randrange(4)
    options = {label: f"{i + j - right}" for j, label in enumerate("ABCD")}
    return {question: f"“{subject}”第{i}题：\n{i}加零等于多少？", **options, answer: "ABCD"[right]}


def _shares(names: Sequence[str], total: int) -> dict[str, int]:
    """Split `total` into uneven shares, the same every time."""
    least, left = total // (2 * len(names)), random.Random(0)
    shares = dict.fromkeys(names, least)
    for name in left.choices(list(names), k=total - least * len(names)):
        shares[name] += 1
    return shares
