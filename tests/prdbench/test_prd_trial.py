"""An attempt's machines, and what they are made of."""

from pathlib import Path
from typing import Any

import pytest
from toy import NoWorkers

from longcat_eval.protocols import SandboxError
from longcat_eval.records import AttemptKey
from longcat_eval.runners.context import Context
from longcat_eval.tasks.prdbench.data import read_task
from longcat_eval.tasks.prdbench.image import image_name
from longcat_eval.tasks.prdbench.packages import LIGHT, declared
from longcat_eval.tasks.prdbench.protocol import EMPTY, ORACLE, prd_protocol
from longcat_eval.tasks.prdbench.trial import Trial


class Failing:
    """Sandboxes that cannot be had, for these reasons one after another."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)
        self.asked: list[dict[str, Any]] = []

    async def start(self, image: str, **how: Any) -> Any:
        self.asked.append({"image": image, **how})
        raise SandboxError(self.reasons.pop(0), "not now")


def trial(tasks: Path, sandboxes: Failing, agent: str = ORACLE) -> Trial:
    protocol = prd_protocol(agent)
    key = AttemptKey("prdbench", "toy")
    context = Context(key, {}, protocol, 0, NoWorkers(), lambda *_: None, sandboxes)
    return Trial(context, read_task(tasks / "toy"), agent, "image", protocol.limits)


async def test_a_lost_machine_costs_no_project(tasks: Path) -> None:
    sandboxes = Failing("container_lost", "daemon_error", "container_lost", "never")
    with pytest.raises(SandboxError, match="not now"):
        await trial(tasks, sandboxes).run()
    assert sandboxes.reasons == ["never"], "three tries of the plan"
    assert {(asked["image"], asked["kind"], asked.get("network", False)) for asked in sandboxes.asked} == {
        ("image", "grade", False)
    }


async def test_what_another_try_cannot_mend_is_not_tried_again(tasks: Path) -> None:
    sandboxes = Failing("image_missing", "never")
    with pytest.raises(SandboxError, match="images build --task prdbench"):
        await trial(tasks, sandboxes).run()
    assert sandboxes.reasons == ["never"]


async def test_nobody_needs_no_machine(tasks: Path) -> None:
    transcript = await trial(tasks, Failing(), EMPTY).run()
    assert transcript.artifacts["rounds"][0]["runs"] == []


def test_packages_are_pinned_by_hash() -> None:
    packages = declared()
    pins = {**packages.wheels, **packages.sources}
    assert all(name.count("==") == 1 for name in pins)
    assert all(len(known) == 64 and int(known, 16) for hashes in pins.values() for known in hashes)
    names = {name.partition("==")[0] for name in pins}
    assert {"pytest", "numpy", "pandas", "matplotlib", "jieba", "pip", "setuptools"} <= names
    light = packages.only(LIGHT)
    assert {name.partition("==")[0] for name in light.wheels} == set(LIGHT)
    assert not light.sources


def test_the_images_name_goes_with_its_content() -> None:
    assert image_name() == image_name(declared())
    assert image_name() != image_name(declared().only(LIGHT))
    assert image_name() in prd_protocol("edit").grader
    assert prd_protocol("edit", "mine:1").name == "prdbench/edit/1 on mine:1"
