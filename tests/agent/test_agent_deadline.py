"""The agent's clock: enforced, with a grace by name, and never mistaken for another time-out."""

import asyncio
import time

import pytest
from agent_play import ScriptedAgent, context

from longcat_eval.runners.agent.deadline import Deadline


async def test_the_end_comes_whatever_is_under_way() -> None:
    ctx, deadline = context(ScriptedAgent(["x"])), Deadline(0.1)
    async with deadline.enforced(ctx):
        assert ctx.deadline is not None
        assert ctx.deadline <= time.monotonic() + 0.1
        await asyncio.sleep(60)
    assert deadline.expired
    assert deadline.overran
    assert 0.1 <= deadline.used < 30
    assert ctx.deadline is None
    used = deadline.used
    await asyncio.sleep(0.02)
    assert deadline.used == used


async def test_the_grace_lets_go_on_and_is_told() -> None:
    deadline = Deadline(0.05, grace=60.0)
    async with deadline.enforced(context(ScriptedAgent(["x"]))):
        await asyncio.sleep(0.1)
    assert deadline.overran
    assert not deadline.expired


async def test_work_in_time_is_neither() -> None:
    for seconds in (0.0, 60.0):
        deadline = Deadline(seconds)
        async with deadline.enforced(context(ScriptedAgent(["x"]))):
            assert deadline.left > 50
        assert not deadline.overran
        assert not deadline.expired


async def test_a_timeout_of_the_work_itself_passes_through() -> None:
    with pytest.raises(TimeoutError, match="its own"):
        async with Deadline(60.0).enforced(context(ScriptedAgent(["x"]))):
            raise TimeoutError("its own")


async def test_an_earlier_deadline_of_the_attempt_stays() -> None:
    ctx = context(ScriptedAgent(["x"]))
    ctx.deadline = before = time.monotonic() + 1.0
    async with Deadline(60.0).enforced(ctx):
        assert ctx.deadline == before
    assert ctx.deadline == before
