"""The agents that need no model: `oracle` does what a task's authors did, `empty` does nothing.

How a solution is given to a machine is that of terminal-bench 0.2.18 (`agents/oracle_agent.py`) and of harbor
0.24.0 (`agents/oracle.py`), both Apache-2.0.
"""

import asyncio
import shlex
import time
from collections.abc import Sequence

from longcat_eval.protocols import SandboxError
from longcat_eval.records import Wire
from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.agent.episode import Episode
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.tasks.terminal.desk import Desk
from longcat_eval.tasks.terminal.records import Keys, Oracle
from longcat_eval.tasks.terminal.uv_bootstrap import LOOK, asked_version, put_uv
from longcat_eval.tasks.terminal.work import Work

TB_SCRIPT = "/oracle/solution.sh"
SOLUTION = "/solution"
SETTLE_SECONDS = 10.0
ANY_TIME = 7 * 24 * 3600.0
"""For commands that nothing but the agent's own clock ends."""


class WithoutModel:
    """What these agents share: nothing is asked, nothing is told."""

    tools: Sequence[Wire] = ()
    texts: tuple[str, ...] = ()
    limits = AgentLimits()

    def opening(self, instruction: str) -> Sequence[Wire]:
        """Nothing."""
        return ()


class EmptyAgent(WithoutModel):
    """Does nothing; implements `agents.TerminalAgent`."""

    name, version = "empty", "1"

    async def do(self, work: Work) -> None:
        """End."""
        work.episode.end = ends.SUBMITTED


class OracleAgent(WithoutModel):
    """Runs the task's own solution; implements `agents.TerminalAgent`."""

    name, version = "oracle", "1"

    async def do(self, work: Work) -> None:
        """Run the script, or type the keys; raises `SandboxError` (`no_solution`) where there is none."""
        step, desk, episode = work.step, work.desk, work.episode
        if step.oracle is None:
            raise SandboxError("no_solution", f"the task has no solution for {step.name or 'its one step'}")
        if step.oracle.problem:
            raise SandboxError("no_solution", step.oracle.problem)
        started = time.monotonic()
        try:
            await _put_uv(desk, step.oracle)
            if step.oracle.keys:
                await _type_all(desk, step.oracle.keys, episode)
            elif step.verifier.kind == "pytest":
                await _run_in_terminal(desk, step.oracle, episode)
            else:
                await _run_beside(desk, step.oracle, episode)
        except SandboxError as error:
            if error.reason != "disk_budget":
                raise
            episode.end = ends.DISK
        episode.end = episode.end or ends.SUBMITTED
        episode.seconds = time.monotonic() - started


async def _put_uv(desk: Desk, oracle: Oracle) -> None:
    """What a solution would fetch as its tests do (`uv_bootstrap`)."""
    if oracle.folder is None:
        return
    script = (oracle.folder / oracle.script).read_text(encoding="utf-8", errors="replace")
    if version := asked_version(script):
        looked = await desk.sandbox.exec(LOOK, timeout=60.0, user=desk.user or None)
        await put_uv(desk.sandbox, version, looked.output.decode("utf-8", "replace"))


async def _type_all(desk: Desk, every: Sequence[Keys], episode: Episode) -> None:
    """Type one after another; after the last, wait for what is still under way.

    terminal-bench gives it three seconds or more, by what it does before the tests.
    """
    for keys in every:
        await _type(desk, keys, episode)
    if not every[-1].block:
        await (await desk.terminal()).run("true", SETTLE_SECONDS)


async def _type(desk: Desk, keys: Keys, episode: Episode) -> None:
    terminal, started = await desk.terminal(), time.monotonic()
    ended = True
    if keys.block:
        ended = await terminal.run(keys.command, keys.max_seconds)
    else:
        await terminal.send([keys.command, "Enter"] if keys.enter else [keys.command])
        await asyncio.sleep(keys.min_seconds)
    _note(episode, "keys", keys.command, started, timed_out=not ended)


async def _run_in_terminal(desk: Desk, oracle: Oracle, episode: Episode) -> None:
    """As a person would: the tests may look at what a shell of the agent leaves behind."""
    started = time.monotonic()
    assert oracle.folder is not None  # a script lies in a folder
    await desk.sandbox.put(TB_SCRIPT, (oracle.folder / oracle.script).read_bytes(), mode=0o755)
    command = f"bash {TB_SCRIPT}"
    await (await desk.terminal()).run(command, ANY_TIME)
    _note(episode, "terminal", command, started)


async def _run_beside(desk: Desk, oracle: Oracle, episode: Episode) -> None:
    started = time.monotonic()
    assert oracle.folder is not None  # a script lies in a folder
    await desk.sandbox.put_tree(SOLUTION, oracle.folder)
    script = shlex.quote(f"{SOLUTION}/{oracle.script}")
    await desk.sandbox.exec(f"chmod +x {script}", timeout=60.0, user="root")
    done = await desk.sandbox.exec(
        f"({script}) >/logs/agent/oracle.txt 2>&1",
        timeout=ANY_TIME,
        user=desk.user or None,
        cwd=desk.workdir or None,
        env={"DEBIAN_FRONTEND": "noninteractive", **desk.env, **oracle.env},
    )
    _note(episode, "exec", oracle.script, started, exit_code=done.exit_code)


def _note(episode: Episode, tool: str, what: str, started: float, **facts: object) -> None:
    seconds = round(time.monotonic() - started, 3)
    episode.commands.append({"step": 0, "tool": tool, "input": what[:2000], "seconds": seconds, **facts})
