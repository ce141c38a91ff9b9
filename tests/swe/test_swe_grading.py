"""Test runs in real containers: the verdicts, what a patch cannot do, and what is not run twice."""

import time
from typing import Any

import pytest
import toy_repair
from docker_fixtures import connect
from toy_repair import Toy

from longcat_eval.protocols import SandboxError, Sandboxes
from longcat_eval.records import AttemptKey, Sample, TaskProtocol
from longcat_eval.runners.context import Context
from longcat_eval.runners.sandbox import log_file
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.workers import WorkerPool
from longcat_eval.tasks.swe.evaluation import Limits, evaluate
from longcat_eval.tasks.swe.grader import Grader
from longcat_eval.tasks.swe.grading import TRIES, Graded, Grading

pytestmark = pytest.mark.docker
LIMITS = Limits(60.0, 512 << 20, 1 << 30)


class Counting:
    """Sandboxes that count their starts, and fail the first `losses` of them."""

    def __init__(self, real: Sandboxes, losses: int = 0) -> None:
        self.real, self.starts, self.losses = real, 0, losses
        self.images: list[str] = []

    async def start(self, image: str, **options: Any) -> Any:
        self.starts += 1
        self.images.append(image)
        if self.starts <= self.losses:
            raise SandboxError("container_lost", "it went away")
        return await self.real.start(image, **options)


def context(sandboxes: Sandboxes, workers: WorkerPool) -> Context:
    protocol = TaskProtocol(name="t", repeats=1, metric="acc", max_tokens=1, prompt_hash="", grader="")
    return Context(AttemptKey("t", "s"), {}, protocol, 0, workers, lambda *_: None, sandboxes)


async def grade(
    grader: Grader,
    sandboxes: Sandboxes,
    workers: WorkerPool,
    sample: Sample,
    patch: str,
    limits: Limits = LIMITS,
) -> Graded:
    return await Grading(grader, limits).grade(context(sandboxes, workers), sample, patch.encode())


@pytest.mark.parametrize(
    ("patch", "state", "resolved"),
    [
        (toy_repair.GOLD, "ran", True),
        (toy_repair.NO_OP, "ran", False),
        (toy_repair.SPOOF, "ran", False),
        (toy_repair.GARBAGE, "apply_failed", False),
    ],
    ids=["gold", "no-op", "spoof", "garbage"],
)
async def test_verdicts(
    grader: Grader,
    sandboxes: DockerSandboxes,
    workers: WorkerPool,
    toy: Toy,
    patch: str,
    state: str,
    resolved: bool,
) -> None:
    found = (await grade(grader, sandboxes, workers, toy.sample(), patch)).evaluation
    assert (found.state, found.network, found.image) == (state, False, toy.image)
    if state == "ran":
        assert found.applied == "git apply --verbose"
        assert (await grader.verdict(toy.sample(), found.log, workers)).resolved is resolved


@pytest.mark.parametrize(
    ("patch", "by"),
    [
        (toy_repair.GOLD.replace(" def mean(values):", " def  mean(values):"), "patch --batch"),
        (toy_repair.GOLD.replace("@@ -3,4 +3,4 @@", "@@ -2,4 +2,4 @@"), "git apply --verbose"),
        (toy_repair.GOLD.replace("diff --git a/calc.py b/calc.py\n", ""), "git apply --verbose"),
    ],
)
async def test_the_ways_a_patch_goes_on(
    grader: Grader, sandboxes: DockerSandboxes, workers: WorkerPool, toy: Toy, patch: str, by: str
) -> None:
    found = (await grade(grader, sandboxes, workers, toy.sample(), patch)).evaluation
    assert found.state == "ran"
    assert found.applied.startswith(by)
    assert (await grader.verdict(toy.sample(), found.log, workers)).resolved


async def test_the_tests_have_no_network_and_no_index(
    grader: Grader, sandboxes: DockerSandboxes, workers: WorkerPool, toy: Toy
) -> None:
    probe = (
        "python3 -c 'import socket; socket.create_connection((\"1.1.1.1\", 53), 3)' ; env; cat /proc/net/dev"
    )
    found = (await grade(grader, sandboxes, workers, toy.sample(command=probe), toy_repair.GOLD)).evaluation
    assert "Network is unreachable" in found.log
    assert "eth0" not in found.log
    assert "PIP_NO_INDEX=1" in found.log
    assert not found.network


async def test_rows_of_requests_get_a_network_and_their_own_pip(
    grader: Grader, sandboxes: DockerSandboxes, workers: WorkerPool, toy: Toy
) -> None:
    sample = toy.sample(command="env; cat /proc/net/dev", repo="psf/requests")
    found = (await grade(grader, sandboxes, workers, sample, toy_repair.GOLD)).evaluation
    assert found.network
    assert "eth0" in found.log
    assert "PIP_NO_INDEX" not in found.log


async def test_both_streams_keep_their_order(
    grader: Grader, sandboxes: DockerSandboxes, workers: WorkerPool, toy: Toy
) -> None:
    lines = "for i in $(seq 300); do echo out $i; echo err $i >&2; done"
    found = (await grade(grader, sandboxes, workers, toy.sample(command=lines), toy_repair.GOLD)).evaluation
    said = [line for line in found.log.splitlines() if line.startswith(("out ", "err "))]
    assert said == [f"{stream} {i}" for i in range(1, 301) for stream in ("out", "err")]


async def test_tests_that_hang_are_stopped_and_not_kept(
    grader: Grader, sandboxes: DockerSandboxes, workers: WorkerPool, toy: Toy
) -> None:
    sample, short = (
        toy.sample(command="echo before; setsid sleep 300 & sleep 300"),
        LIMITS._replace(seconds=2.0),
    )
    counting = Counting(sandboxes)
    started = time.monotonic()
    for _ in range(2):
        graded = await grade(grader, counting, workers, sample, toy_repair.GOLD, short)
        assert graded.evaluation.state == "timed_out"
        assert "before" in graded.evaluation.log
    assert time.monotonic() - started < 40
    assert counting.starts == 2, "a machine that was busy may do better"


async def test_a_log_without_end_keeps_its_two(
    grader: Grader, sandboxes: DockerSandboxes, workers: WorkerPool, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "LOG_BYTES", 100_000)
    noisy = toy_repair.COMMAND + "; (yes $(seq -s. 100) | head -c 3000000; true)"
    sample = toy.sample(command=f"printf '\\xff\\xfe\\n'; {noisy}")
    found = (await grade(grader, sandboxes, workers, sample, toy_repair.GOLD)).evaluation
    assert 99_000 < len(found.log.encode()) < 101_000
    assert 2_900_000 < found.log_cut < 3_100_000
    assert "[log cut here]" in found.log
    assert "\ufffd\ufffd\n" in found.log
    assert (await grader.verdict(sample, found.log, workers)).resolved


async def test_what_writes_without_end_is_told(
    grader: Grader, sandboxes: DockerSandboxes, workers: WorkerPool, toy: Toy
) -> None:
    sample = toy.sample(
        command="for i in $(seq 100); do dd if=/dev/zero of=/big$i bs=1M count=50; done; sleep 60"
    )
    small = LIMITS._replace(disk_bytes=100 << 20)
    assert (
        await grade(grader, sandboxes, workers, sample, toy_repair.GOLD, small)
    ).evaluation.state == "over_disk"


async def test_an_equal_patch_is_not_run_again(
    grader: Grader, sandboxes: DockerSandboxes, workers: WorkerPool, toy: Toy
) -> None:
    counting, grading = Counting(sandboxes), Grading(grader, LIMITS)
    ctx = context(counting, workers)
    first = await grading.grade(ctx, toy.sample(), toy_repair.GOLD.encode())
    assert (first.kept_from, counting.starts) == ("", 1)
    again = await Grading(grader, LIMITS).grade(
        ctx, toy.sample(), toy_repair.GOLD.encode(), first.evaluation.image_id
    )
    assert again.evaluation == first.evaluation
    assert again.kept_from.startswith("20")
    assert counting.starts == 1, "where the image is known not even a container starts"
    changes: list[tuple[Sample, str, Limits]] = [
        (toy.sample(), toy_repair.NO_OP, LIMITS),
        (toy.sample(PASS_TO_PASS='["test_calc.py::test_other"]'), toy_repair.GOLD, LIMITS),
        (toy.sample(command=f"true; {toy_repair.COMMAND}"), toy_repair.GOLD, LIMITS),
        (toy.sample(), toy_repair.GOLD, LIMITS._replace(memory_bytes=300 << 20)),
    ]
    for sample, patch, limits in changes:
        assert (await grade(grader, counting, workers, sample, patch, limits)).kept_from == ""


async def test_two_equal_patches_at_once_are_run_once(
    grader: Grader, sandboxes: DockerSandboxes, workers: WorkerPool, toy: Toy
) -> None:
    import asyncio

    counting, grading = Counting(sandboxes), Grading(grader, LIMITS)
    patch = toy_repair.GOLD.encode()
    both = [grading.grade(context(counting, workers), toy.sample(), patch) for _ in range(2)]
    found = await asyncio.gather(*both)
    assert sorted(bool(graded.kept_from) for graded in found) == [False, True]


async def test_a_lost_container_is_replaced(
    grader: Grader, sandboxes: DockerSandboxes, workers: WorkerPool, toy: Toy
) -> None:
    counting = Counting(sandboxes, losses=TRIES - 1)
    found = await grade(grader, counting, workers, toy.sample(), toy_repair.GOLD)
    assert (found.evaluation.state, counting.starts) == ("ran", TRIES)
    with pytest.raises(SandboxError, match="went away"):
        await grade(grader, Counting(sandboxes, losses=TRIES), workers, toy.sample(), toy_repair.NO_OP)


async def test_a_missing_image_names_the_command_and_is_not_tried_again(
    grader: Grader, sandboxes: DockerSandboxes, workers: WorkerPool, toy: Toy
) -> None:
    counting = Counting(sandboxes)
    with pytest.raises(SandboxError) as caught:
        await grade(grader, counting, workers, toy.sample(image="swebench/absent:latest"), toy_repair.GOLD)
    assert caught.value.reason == "image_missing"
    assert "`longcat-eval images pull swebench/absent:latest`" in str(caught.value)
    assert counting.images == ["swebench/absent:latest", "longcat-eval/swe.toy_1776_calc-1:1"]


async def test_no_results_for_the_environments_reasons_ask_for_a_control(
    grader: Grader, sandboxes: DockerSandboxes, workers: WorkerPool, toy: Toy
) -> None:
    """A patch that breaks the runner is the patch's fault; an image that cannot run tests is not."""
    breaks = toy_repair.SPOOF.replace(
        '+    print("PASSED test_calc.py::test_mean")',
        "+    import os; os._exit(9)",
    )
    lost = f"{toy_repair.COMMAND} >/tmp/said; [ $? = 9 ] && echo Killed || cat /tmp/said"
    sample = toy.sample(command=lost)
    graded = await grade(grader, sandboxes, workers, sample, breaks)
    assert (graded.control, graded.definite) == (True, True)
    image_fault = toy.sample(command="echo Killed; (exit 137)")
    counting = Counting(sandboxes)
    graded = await grade(grader, counting, workers, image_fault, toy_repair.GOLD)
    assert (graded.control, graded.definite, counting.starts) == (False, False, 2)


async def test_nothing_stays(
    sandboxes: DockerSandboxes, grader: Grader, workers: WorkerPool, toy: Toy
) -> None:
    script = await grader.eval_script(toy.sample(), workers)
    await evaluate(sandboxes, toy.sample(), script, b"", LIMITS)
    with connect() as client:
        assert not client.api.containers(all=True, filters={"label": [f"lceval.run={sandboxes.run}"]})
