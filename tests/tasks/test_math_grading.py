r"""Equality by math-verify in workers: the table of specs/qa.md §4.1, real golds, hostile answers."""

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import WorkerError
from longcat_eval.runners.workers import WorkerPool
from longcat_eval.tasks import math_grading
from longcat_eval.tasks.math_answers import extract_boxed
from longcat_eval.tasks.math_grading import Verdict, grader_version, judge, require_math_verify


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(1)
    yield pool
    await pool.close()


TABLE = [
    ("204", r"first \boxed{203} and then \boxed{204}", True),
    (r"\frac{1}{3}", r"\boxed{0.333333}", True),
    (r"\frac{1}{3}", r"\boxed{0.333}", False),
    ("4210", r"\boxed{4210_5}", True),
    ("1,2", r"\boxed{(1,2)}", True),
    ("1,2", r"\boxed{2,1}", True),
    ("(2,5]", r"\boxed{2<x\le 5}", False),
    (r"2<x\le 5", r"\boxed{(2,5]}", True),
    ("5", r"\boxed{5\%}", True),
    (r"5\%", r"\boxed{0.05}", True),
    ("10080", r"\boxed{10{,}080}", True),
    (r"\frac{9}{5}", r"\boxed{1\frac45}", True),
    (r"\frac{1}{2}", r"\boxed{\dfrac12}", True),
    (r"3\sqrt{13}", r"\boxed{\sqrt{117}}", True),
    (r"(3,\frac{\pi}{2})", r"\boxed{(3,pi/2)}", True),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\boxed{\begin{pmatrix}1\\2\end{pmatrix}}", True),
    ("5", r"\boxed{5\text{ cm}}", True),
    ("36", r"\boxed{36^\circ}", True),
    ("18.90", r"\boxed{\$18.90}", True),
    (r"\text{Evelyn}", r"\boxed{Evelyn}", True),
    (r"\text{(C)}", r"\boxed{C}", True),
    (r"\text{east}", r"\boxed{East}", True),
    (r"\text{Evelyn}", "The answer is Evelyn.", None),
    ("6-5i", r"\boxed{\text{6 - 5i}}", False),
    ("204", r"\fbox{204}", None),
    ("204", r"$\boxed{204", None),
    ("y=2x+3", r"\boxed{2x+3}", True),
    ("5", r"\boxed{x=5}", True),
    ("x=5", r"\boxed{5}", True),
    ("10^{10}", r"\boxed{1e10}", False),
    ("p - q", r"\boxed{p-q}", True),
    ("1", r"\boxed{$ 1 + $ 1 + $ 1}", False),
    ("7", r"\boxed{8}", False),
]


@pytest.mark.parametrize(("gold", "reply", "right"), TABLE)
@pytest.mark.asyncio(loop_scope="module")
async def test_case_table(gold: str, reply: str, right: bool | None, workers: WorkerPool) -> None:
    answer = extract_boxed(reply).answer
    assert (None if answer is None else (await judge(gold, answer, workers)).right) is right


@pytest.mark.data
@pytest.mark.asyncio(loop_scope="module")
async def test_every_math500_gold_equals_itself_and_its_solution(data_dir: Path, workers: WorkerPool) -> None:
    rows = [json.loads(line) for line in (data_dir / "math500" / "test.jsonl").read_text().splitlines()]
    module = math_grading.__name__
    for row in rows:
        answer = extract_boxed(row["solution"]).answer
        assert answer is not None
        assert (await judge(row["answer"], answer, workers)).right, row["unique_id"]
        if not re.fullmatch(r"[\d.]+", answer):
            # The short cut must not be what makes them equal.
            assert await workers.call(f"{module}:equivalent", row["answer"], answer), row["unique_id"]


TOWER, BRACKETS = "9^{9^{9^{9}}}", "(" * 900 + "1" + ")" * 900
HOSTILE = {
    "nested fractions": r"\frac{1}{" * 150 + "2" + "}" * 150,
    "nested roots": r"\sqrt{" * 250 + "2" + "}" * 250,
}
# Each of these lasts until the first alarm of math-verify, at 5 s.
HOSTILE_AND_LONG = {
    "tower of powers": TOWER,
    "brackets": BRACKETS,
    "factorial": "10000000!",
    "binomial": r"\binom{10^8}{5\cdot 10^7}",
    "sum": r"\sum_{k=1}^{10^9} k^{k}",
    "nested powers": "x^{" * 390 + "x" + "}" * 390,
    "determinant": r"\det\begin{pmatrix}"
    + r"\\".join("&".join(f"a_{{{i}{j}}}" for j in range(8)) for i in range(8))
    + r"\end{pmatrix}",
    "large set": r"\{" + ",".join(f"x^{{{i}}}" for i in range(200)) + r"\}",
}


@pytest.mark.parametrize(
    "answer",
    [
        *(pytest.param(answer, id=name) for name, answer in HOSTILE.items()),
        *(pytest.param(answer, id=name, marks=pytest.mark.slow) for name, answer in HOSTILE_AND_LONG.items()),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_hostile_answers_are_wrong_within_the_limits(answer: str, workers: WorkerPool) -> None:
    started = time.monotonic()
    assert (await judge(r"\{x, \sqrt{2}\}", answer, workers)).right is False
    assert time.monotonic() - started < 20


async def test_an_endless_comparison_is_killed_and_the_next_one_graded() -> None:
    pool = WorkerPool(1, seconds=1.5)
    assert (await judge("1/2", "0.5", pool)).right
    for answer in (TOWER, BRACKETS):
        assert await judge(r"\sqrt{2}", answer, pool) == Verdict(False, "grader_timeout")
    assert (await judge(r"\sqrt{2}", r"2^{1/2}", pool)).right
    await pool.close()


async def test_too_little_memory_is_a_wrong_answer_with_its_reason() -> None:
    class Starved:
        async def call(self, function: str, *args: Any) -> Any:
            raise WorkerError("memory", "no")

    assert await judge("x", "y", Starved()) == Verdict(False, "grader_memory")


async def test_a_grader_that_fails_by_itself_gives_no_verdict() -> None:
    class Broken:
        async def call(self, function: str, *args: Any) -> Any:
            raise WorkerError("error", "no module named math_verify")

    assert await judge("x", "y", Broken()) == Verdict(None, "grader_error")


async def test_a_long_answer_is_wrong_unread() -> None:
    assert await judge("1", "1 + " * 501, None) == Verdict(False, "answer_too_long")


async def test_without_workers_only_the_plain_is_equal() -> None:
    assert await judge("025", "25", None) == Verdict(True)
    assert await judge("1/2", "0.5", None) == Verdict(False)


def test_the_grader_names_every_package_that_can_change_a_verdict() -> None:
    assert re.fullmatch(
        r"last-boxed/1 math-verify=\S+ latex2sympy2_extended=\S+ sympy=\S+ antlr4-python3-runtime=4\.13\.\d",
        grader_version(),
    )


def test_another_antlr_or_a_missing_extra_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    require_math_verify()
    monkeypatch.setattr(math_grading, "_installed", lambda name: "4.11.0")
    with pytest.raises(
        EnvironmentUnusableError, match=r"antlr4-python3-runtime 4\.11\.0 .*longcat-eval\[math\]"
    ):
        require_math_verify()
    monkeypatch.setattr(math_grading, "_installed", lambda name: None)
    with pytest.raises(EnvironmentUnusableError, match=r"needs math-verify.*longcat-eval\[math\]"):
        require_math_verify()
