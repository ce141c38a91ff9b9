"""The same questions for inspect-ai, which runs this file in its own environment; QUESTIONS names them."""

import os

from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.scorer import pattern
from inspect_ai.solver import generate


@task
def bench_choice() -> Task:
    return Task(
        dataset=json_dataset(os.environ["QUESTIONS"], FieldSpec(input="prompt", target="target", id="id")),
        solver=generate(),
        scorer=pattern(r"Answer: ([A-D])", ignore_case=False),
    )
