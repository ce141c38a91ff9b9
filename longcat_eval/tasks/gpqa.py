"""GPQA-Diamond: 198 graduate questions that experts answer and search engines do not; avg@16.

Rein et al. 2023, GPQA: A Graduate-Level Google-Proof Q&A Benchmark, arXiv 2311.12022. Data:
Idavidrein/gpqa, gated; its authors ask that questions are never spread in plain text, so they stay in the
hub cache and the run directory. Official code: github.com/idavidrein/gpqa. Zero-shot chain of thought and a
new order of the options for every repeat, as openai/simple-evals (gpqa_eval.py) does; our orders follow
from question and repeat alone.

Score: mean over 198 questions of the mean over 16 repeats; maj@16 votes for options, not letters.
"""

from functools import partial

from longcat_eval.records import Sample
from longcat_eval.tasks.data_files import Row
from longcat_eval.tasks.datasets import DatasetSpec, load_dataset
from longcat_eval.tasks.multiple_choice import MultipleChoiceTask, choice_sample

PROMPT = """\
Here is a multiple-choice question at graduate level. Exactly one option is right. Think it through step by \
step, then finish with a line that reads "Answer: X", where X is the letter of your option (one of {labels}).

{question}

{options}"""

_OPTIONS = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


def sample(row: Row, subject: str, position: int) -> Sample:
    """Read a row of gpqa_diamond.csv; the right option comes first here and is moved by `option_order`."""
    options = [row[column] for column in _OPTIONS]
    return choice_sample(row["Record ID"], row["High-level domain"], row["Question"], options, "A")


DATA = DatasetSpec(
    name="gpqa-diamond",
    folder="gpqa",
    repo="Idavidrein/gpqa",
    revision="5233cd1db58884ed0bf678c7c6be731722a23f84",
    local_files=("*diamond*", "*"),
    hub_files=("gpqa_diamond.csv",),
    items=198,
    sample=sample,
)


def gpqa_diamond() -> MultipleChoiceTask:
    """Return the task."""
    return MultipleChoiceTask(
        "gpqa-diamond",
        load=partial(load_dataset, DATA),
        template=PROMPT,
        repeats=16,
        shuffled=True,
        typical_tokens=2500,
    )
