"""MMLU-Pro: 12,032 harder questions of 14 fields, with three to ten options.

Wang et al. 2024, MMLU-Pro: A More Robust and Challenging Multi-Task Language Understanding Benchmark, arXiv
2406.01574. Data: TIGER-Lab/MMLU-Pro (MIT); official code: github.com/TIGER-AI-Lab/MMLU-Pro. The official
protocol is five-shot and guesses at random where it finds no answer (compute_accuracy.py); ours is
zero-shot and an answer that is not found is wrong. The column `answer` counts, not `answer_index`: they
differ in one row.

Score: share of right answers over all questions (micro); the mean over the 14 fields stands beside it
(macro).
"""

from functools import partial

from longcat_eval.records import Sample
from longcat_eval.tasks.data_files import Row
from longcat_eval.tasks.datasets import DatasetSpec, load_dataset
from longcat_eval.tasks.multiple_choice import MultipleChoiceTask, choice_sample

PROMPT = """\
Here is a multiple-choice question. Exactly one option is right. Think it through step by step, then finish \
with a line that reads "Answer: X", where X is the letter of your option (one of {labels}).

{question}

{options}"""

CHANCE = 0.1109
"""Mean of 1 / number of options over the 12,032 questions of the local copy."""


def sample(row: Row, subject: str, position: int) -> Sample:
    """Read a row of the hub's schema."""
    return choice_sample(
        str(row["question_id"]), row["category"], row["question"], row["options"], row["answer"].strip()
    )


DATA = DatasetSpec(
    name="mmlu-pro",
    folder="mmlu_pro",
    repo="TIGER-Lab/MMLU-Pro",
    revision="527feea0afed1de15a8c115abf7be4c912123315",
    local_files=("*test", "*test-*", "*"),
    hub_files=("data/test-*.parquet",),
    items=12_032,
    sample=sample,
)


def mmlu_pro() -> MultipleChoiceTask:
    """Return the task."""
    return MultipleChoiceTask(
        "mmlu-pro", load=partial(load_dataset, DATA), template=PROMPT, chance=CHANCE, typical_tokens=1000
    )
