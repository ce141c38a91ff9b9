"""One attempt at a task, from its machine to what its tests left: the steps in their order."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from longcat_eval.protocols import AttemptContext, SandboxError
from longcat_eval.records import Transcript, Wire
from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.agent.deadline import Deadline
from longcat_eval.runners.agent.episode import Episode, episode_record
from longcat_eval.runners.agent.limits import agent_limits
from longcat_eval.runners.sandbox.service import GroupSandboxes
from longcat_eval.tasks.clock import Clock
from longcat_eval.tasks.terminal.agents import WITHOUT_MODEL, TerminalAgent
from longcat_eval.tasks.terminal.desk import Desk
from longcat_eval.tasks.terminal.machine import (
    Images,
    Machine,
    Ready,
    bounds,
    groups_of,
    start_machine,
    wait_until_passing,
)
from longcat_eval.tasks.terminal.records import Step, TerminalTask
from longcat_eval.tasks.terminal.rewards import below
from longcat_eval.tasks.terminal.scoring import NO_SETUP, judge_step
from longcat_eval.tasks.terminal.separate import collect, gather, test_separately
from longcat_eval.tasks.terminal.verifying import cannot_tell, remove_tests, run_tests
from longcat_eval.tasks.terminal.work import Work

SETUP_SECONDS = 600.0


@dataclass
class Trial:
    """An attempt under way."""

    ctx: AttemptContext
    task: TerminalTask
    agent: TerminalAgent
    images: Images
    limits: Mapping[str, float]
    processors: asyncio.Semaphore
    """Tests, and agents without a model, work and do not wait: so many at once as there are processors."""
    clock: Clock = field(init=False)
    sandboxes: GroupSandboxes = field(init=False)
    transcript: Transcript = field(init=False)
    busy: float = 0.0
    """Seconds that belong to agents and tests, and to waiting for their turn."""

    def __post_init__(self) -> None:
        self.sandboxes, self.transcript = groups_of(self.ctx.sandboxes), self.ctx.transcript()
        self.transcript.artifacts |= {"states": list[list[str | float]](), "agents": [], "tested": []}
        self.clock = Clock(self.transcript.artifacts["states"])

    async def run(self) -> Transcript:
        """Make the machine, go through the steps, and leave nothing behind; raises `SandboxError`."""
        task, artifacts = self.task, self.transcript.artifacts
        artifacts |= {"format": task.format, "digest": task.digest, "final_only": task.final_only}
        self.clock.enter("building")
        ready = await self.images.of(self.sandboxes, task, task.services)
        self.clock.enter("starting")
        began = time.monotonic()
        machine = await self._start(ready)
        artifacts |= {
            "image_ids": {task.agent_service: machine.main.image_id},
            "images": dict(machine.images),
        }
        artifacts["stand_ins"] = list(machine.stand_ins)
        try:
            await self._check_health(machine)
            for step in task.steps:
                if not await self._step(machine, step):
                    break
        except BaseException:
            with suppress(SandboxError):
                await machine.stop()
            raise
        self.sandboxes.discard(machine.group)
        artifacts["outside_seconds"] = round(time.monotonic() - began - self.busy, 3)
        self.clock.enter("graded")
        if artifacts["tested"] and cannot_tell(artifacts["tested"][-1]):
            artifacts["control"] = await self._control(ready)
        return self.transcript

    async def _start(self, ready: Ready) -> Machine:
        seconds = sum(self._agent_seconds(s) + self._test_seconds(s) for s in self.task.steps)
        endless = any(not self._agent_seconds(step) for step in self.task.steps)
        return await start_machine(
            self.sandboxes,
            self.task,
            ready,
            self.task.agent_service,
            no_network=self.task.no_network,
            limits=bounds(self.limits, 0.0 if endless else seconds),
            name=str(self.ctx.key),
            by_compose=self.images.by_compose,
        )

    async def _check_health(self, machine: Machine) -> None:
        if self.task.healthcheck is not None:
            why = await wait_until_passing(machine.main, self.task.healthcheck, user=self.task.user)
            if why:
                raise SandboxError("service_unhealthy", f"the task's health check fails: {why}")

    async def _step(self, machine: Machine, step: Step) -> bool:
        """One step; return whether the next one follows."""
        tested: list[Wire] = self.transcript.artifacts["tested"]
        desk = self._desk(machine, step)
        if problem := await self._set_up(machine, step, desk):
            state = {"name": step.name, "kind": step.verifier.kind, "state": NO_SETUP, "log": problem}
            tested.append({**state, "seconds": 0.0, "rewards": {}})
            return False
        await self._work(step, desk)
        async with self._turn():
            self.clock.enter("testing")
            result = await self._test(machine, step, desk)
        self.busy += result["seconds"]
        tested.append(result)
        if step is self.task.steps[-1]:
            return False
        verdict = judge_step(result)
        if verdict.unscored or (step.min_reward is not None and below(verdict.rewards, step.min_reward)):
            return False
        if not step.verifier.separate:
            await remove_tests(machine.main)
        return True

    async def _set_up(self, machine: Machine, step: Step, desk: Desk) -> str:
        """Bring in what the step brings; return why it cannot begin, empty if it can."""
        sandbox = machine.main
        if step.workdir_folder is not None:
            where = await sandbox.exec("pwd", timeout=60.0, user=desk.user or None, cwd=desk.workdir or None)
            folder = where.output.decode("utf-8", "replace").strip() or "/"
            await sandbox.put_tree(folder, step.workdir_folder)
            if (step.workdir_folder / "setup.sh").is_file():
                done = await sandbox.exec(
                    "bash ./setup.sh", timeout=SETUP_SECONDS, user=desk.user or None, cwd=folder
                )
                if done.exit_code:
                    said = done.output.decode("utf-8", "replace").strip()[-1000:]
                    return f"setup.sh: exit code {done.exit_code}: {said}"
        if step.healthcheck is not None:
            return await wait_until_passing(sandbox, step.healthcheck, user=desk.user, workdir=desk.workdir)
        return ""

    async def _work(self, step: Step, desk: Desk) -> None:
        """Let the agent work; whatever its end, it is noted, and nothing that it typed goes on after it."""
        self.clock.enter("agent_running")
        limits, episode = agent_limits(self.limits)._replace(seconds=0.0), Episode()
        deadline = Deadline(self._agent_seconds(step), self.limits["timeout_grace_seconds"])
        try:
            async with self._turn(wanted=self.agent.name in WITHOUT_MODEL), deadline.enforced(self.ctx):
                await self.agent.do(Work(self.ctx, desk, step, episode, limits, deadline))
        finally:
            episode.seconds = deadline.used
            self.busy += episode.seconds
            if deadline.expired:
                episode.end = ends.WALL_CLOCK
            self.transcript.artifacts["agents"].append(
                {**episode_record(episode), "terminal": desk.kind, "overran": deadline.overran}
            )
        end = ends.WALL_CLOCK if deadline.overran else episode.end
        self.transcript.outcome, self.transcript.reason = ends.ENDS[end], end
        await desk.leave(same_shell=step.verifier.same_shell)

    async def _test(self, machine: Machine, step: Step, desk: Desk) -> Wire:
        seconds = self._test_seconds(step)
        if not step.verifier.separate:
            return await run_tests(machine.main, step, seconds, desk, clear=not machine.has_tests)
        problems = await collect(machine, step.verifier.collect)
        carried = await gather(machine, [*self.task.artifacts, *step.artifacts])
        if step is self.task.steps[-1]:
            await machine.stop()
        result = await test_separately(
            self.sandboxes,
            self.task,
            step,
            self.images,
            carried,
            seconds,
            limits=bounds(self.limits, seconds),
            name=str(self.ctx.key),
        )
        return {
            **result,
            "carried": {source: len(files) for source, files in carried.items()},
            "collect": problems,
        }

    @asynccontextmanager
    async def _turn(self, *, wanted: bool = True) -> AsyncIterator[None]:
        """Wait for a processor; the wait counts for nobody."""
        began = time.monotonic()
        if not wanted:
            yield
            return
        async with self.processors:
            self.busy += time.monotonic() - began
            yield

    async def _control(self, ready: Ready) -> str:
        """Run the last step's tests where no agent was: `failed` if they reach nothing there either."""
        self.clock.enter("control")
        step = self.task.steps[-1]
        if step.verifier.separate:
            return "failed"
        machine = await self._start(ready)
        desk = self._desk(machine, step)
        try:
            seconds = self._test_seconds(step)
            result = await run_tests(machine.main, step, seconds, desk, clear=not machine.has_tests)
        finally:
            with suppress(SandboxError):
                await machine.stop()
        return "failed" if cannot_tell(result) else "passed"

    def _desk(self, machine: Machine, step: Step) -> Desk:
        user = step.agent_user or self.task.user
        return Desk(machine.main, user=user, workdir=self.task.workdir, env=self.task.env)

    def _agent_seconds(self, step: Step) -> float:
        return step.agent_seconds * self.limits["agent_timeout_multiplier"]

    def _test_seconds(self, step: Step) -> float:
        return step.verifier.seconds * self.limits["test_timeout_multiplier"]
