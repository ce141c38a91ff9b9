r"""AIME 2024 and 2025: 30 problems each (papers I and II), answers are integers from 0 to 999; avg@32.

Mathematical Association of America, American Invitational Mathematics Examination. Data:
Maxwell-Jia/AIME_2024 and math-ai/aime25; other copies (HuggingFaceH4/aime_2024, opencompass/AIME2025) are
read from a local folder. There is no official harness: zero-shot, the last `\boxed{}`, compared as
integers, because copies write 025, 70 and 70.0 (specs/qa.md §2.2).

Score: mean over 30 problems of the mean over 32 repeats; every published value is a multiple of 1/960.
"""

import re
from functools import partial

from longcat_eval.records import Sample
from longcat_eval.tasks.data_files import Row
from longcat_eval.tasks.datasets import DatasetSpec, load_dataset
from longcat_eval.tasks.math_answers import as_integer
from longcat_eval.tasks.math_task import MathTask

PROMPT = """\
{problem}

Solve this step by step. The answer is an integer from 0 to 999. State it inside \\boxed{{}} at the end."""


HALF = re.compile(r"[-_](II?)$")
"""A file of one half of the year: opencompass/AIME2025 has aime2025-I and aime2025-II."""


def sample(row: Row, subject: str, position: int) -> Sample:
    """Read a row of any of the copies; columns may be capitalised."""
    columns = {name.lower(): value for name, value in row.items()}
    problem = columns["question"] if "question" in columns else columns["problem"]
    answer = as_integer(str(columns["answer"]))
    if answer is None or not 0 <= int(answer) <= 999:
        raise ValueError("the answer is not an integer from 0 to 999")
    half = HALF.search(subject)
    name = f"{half[1]}/{position:04}" if half else f"{position:04}"
    return Sample(name, {"problem": problem, "answer": answer})


AIME24 = DatasetSpec(
    name="aime24",
    folder="aime24",
    repo="Maxwell-Jia/AIME_2024",
    revision="8d88b2876a82a080e2f172cc9b25d0d9d2cb4792",
    local_files=("*2024*", "*train*", "*test*", "*"),
    hub_files=("aime_2024_problems.parquet", "*.parquet", "*.jsonl"),
    items=30,
    sample=sample,
)

AIME25 = DatasetSpec(
    name="aime25",
    folder="aime25",
    repo="math-ai/aime25",
    revision="563bb8404243c5f09de6ec262f2db674fe5bce9b",
    local_files=("*2025*", "*test*", "*train*", "*"),
    hub_files=("test.jsonl", "*.jsonl", "*.parquet"),
    items=30,
    sample=sample,
)


def aime24() -> MathTask:
    """Return the task of 2024."""
    return MathTask(
        "aime24", load=partial(load_dataset, AIME24), template=PROMPT, repeats=32, typical_tokens=6000
    )


def aime25() -> MathTask:
    """Return the task of 2025."""
    return MathTask(
        "aime25", load=partial(load_dataset, AIME25), template=PROMPT, repeats=32, typical_tokens=6000
    )
