r"""MATH500: 500 competition problems with closed-form answers, from seven fields and five levels.

Hendrycks et al. 2021, Measuring Mathematical Problem Solving With the MATH Dataset, arXiv 2103.03874; the
500 are the test split of Lightman et al. 2023, Let's Verify Step by Step, arXiv 2305.20050
(github.com/openai/prm800k). Data: HuggingFaceH4/MATH-500 (MIT). Official grading compares normalised
strings (prm800k/grading/grader.py); we take the last `\boxed{}` and ask math-verify where strings and
integers do not settle it (specs/qa.md §4.1).

Score: share of the 500 that are right, one run.
"""

from functools import partial

from longcat_eval.records import Sample
from longcat_eval.tasks.data_files import Row
from longcat_eval.tasks.datasets import DatasetSpec, load_dataset
from longcat_eval.tasks.math_task import MathTask

PROMPT = """\
{problem}

Solve this step by step. State the final answer, and nothing else, inside \\boxed{{}} at the end."""


def sample(row: Row, subject: str, position: int) -> Sample:
    """Read a row of the hub's schema."""
    fields = {name: row[name] for name in ("problem", "solution", "answer")} | {"level": int(row["level"])}
    return Sample(row["unique_id"], fields, row["subject"])


DATA = DatasetSpec(
    name="math500",
    folder="math500",
    repo="HuggingFaceH4/MATH-500",
    revision=None,
    local_files=("test", "*test*", "*"),
    hub_files=("test.jsonl", "*test*.parquet"),
    items=500,
    sample=sample,
)


def math500() -> MathTask:
    """Return the task."""
    return MathTask("math500", load=partial(load_dataset, DATA), template=PROMPT)
