"""MMLU: 14,042 four-option questions of 57 subjects, from school to profession.

Hendrycks et al. 2021, Measuring Massive Multitask Language Understanding, arXiv 2009.03300. Data and
original code: github.com/hendrycks/test (MIT); the hub copy is cais/mmlu. The original scores
log-likelihoods five-shot; model cards of chat models report zero-shot chain of thought as
openai/simple-evals (mmlu_eval.py) does, and so do we, in our own words and with our own extraction rule
(`choice_extraction`).

Score: share of right answers over all questions (micro); the mean over the 57 subjects stands beside it
(macro).
"""

from functools import partial

from longcat_eval.records import Sample
from longcat_eval.tasks.choice_extraction import LABELS
from longcat_eval.tasks.data_files import Row
from longcat_eval.tasks.datasets import DatasetSpec, load_dataset
from longcat_eval.tasks.multiple_choice import MultipleChoiceTask, choice_sample

PROMPT = """\
Here is a multiple-choice question. Exactly one option is right. Think it through step by step, then finish \
with a line that reads "Answer: X", where X is the letter of your option (one of {labels}).

{question}

{options}"""


def sample(row: Row, subject: str, position: int) -> Sample:
    """Read a row of the original CSV (A to D, answer a letter) or of the hub (choices, answer a number)."""
    options = row["choices"] if "choices" in row else [row[label] for label in "ABCD"]
    answer = LABELS[row["answer"]] if isinstance(row["answer"], int) else row["answer"].strip()
    return choice_sample(f"{subject}/{position:04}", subject, row["question"], options, answer)


DATA = DatasetSpec(
    name="mmlu",
    folder="mmlu",
    repo="cais/mmlu",
    revision="c30699e8356da336a370243923dbaf21066bb9fe",
    local_files=("*test/*_test", "all/test-*", "*/test-*", "*_test", "test", "*/test", "*"),
    hub_files=("all/test-*.parquet",),
    items=14_042,
    sample=sample,
    columns=("question", "A", "B", "C", "D", "answer"),
)


def mmlu() -> MultipleChoiceTask:
    """Return the task."""
    return MultipleChoiceTask("mmlu", load=partial(load_dataset, DATA), template=PROMPT)
