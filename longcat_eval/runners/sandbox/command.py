"""One shell command in a sandbox: run, told apart how it ended, and nothing of it left after a time-out."""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from longcat_eval.protocols import ExecResult, SandboxError
from longcat_eval.runners.sandbox import scripts
from longcat_eval.runners.sandbox.capture import Capture
from longcat_eval.runners.sandbox.execution import Execution, Reports, create_exec, follow, run_briefly
from longcat_eval.runners.sandbox.life import Life

TIMED_OUT, CANNOT_RUN, KILLED, TERMINATED = 124, 126, 137, 143
NEVER_BEGAN = -1
STATE_POLLS, STATE_POLL_SECONDS = 50, 0.05
CLOCK_TICK = 0.05
HOST_SLACK_SECONDS = scripts.KILL_AFTER_SECONDS + 10.0
"""How long after its time a command may still come back by itself before the host steps in."""


@dataclass
class Command:
    """What to run; `arguments` are the shell's own."""

    life: Life
    shell: scripts.Shell
    arguments: Sequence[str]
    timeout: float
    user: str | None
    cwd: str | None
    env: Mapping[str, str]

    async def run(self) -> ExecResult:
        """Run it; `SandboxError` where the sandbox and not the command failed."""
        started = time.monotonic()
        execution, code = await self._once()
        if execution.reports.end is None and not execution.overran and code not in (KILLED, TERMINATED):
            # It did not begin: earlier commands hold the process ids, or have ended the container just now.
            await self.life.restart()
            execution, code = await self._once()
        seconds = execution.reports.seconds
        return await self._result(execution, code, time.monotonic() - started if seconds is None else seconds)

    async def _once(self) -> tuple[Execution, int]:
        """Run once; return what happened and the exit code."""
        life = self.life
        argv = scripts.wrapped(self.shell, self.arguments, self.timeout, self.cwd)
        env = {**self.env, scripts.WRAPPER_VARIABLE: scripts.WRAPPER}
        exec_id, marker = await life.guarded(
            lambda: create_exec(life.daemon, life.id, argv, user=self.user, env=env)
        )
        execution = Execution(exec_id, marker, Capture(), Reports())
        slack = 0.0 if self.shell.timeout == "none" else HOST_SLACK_SECONDS
        try:
            await follow(life.daemon, execution, self.timeout + slack)
        except asyncio.CancelledError:
            with contextlib.suppress(SandboxError):
                await asyncio.shield(life.sweep(marker, execution.since, user=self.user))
            raise
        except SandboxError as error:
            await life.revive(error)
            return execution, KILLED if execution.reports.begin else NEVER_BEGAN
        if execution.overran:
            await life.sweep(marker, execution.since, user=self.user)
            return execution, TIMED_OUT
        if execution.reports.end is not None:
            return execution, execution.reports.end[0]
        code = await self._exit_code(exec_id)
        life.check()
        return execution, code

    async def _exit_code(self, exec_id: str) -> int:
        """The daemon's word on how an exec ended, for one whose wrapper could not say."""
        daemon = self.life.daemon
        for _ in range(STATE_POLLS):
            try:
                state = await daemon.call(daemon.api.exec_inspect, exec_id)
            except SandboxError as error:
                await self.life.revive(error)
                return KILLED
            if not state["Running"] and state["ExitCode"] is not None:
                return int(state["ExitCode"])
            await asyncio.sleep(STATE_POLL_SECONDS)
        raise SandboxError("exec_stuck", "a command neither runs nor ends")

    async def _result(self, execution: Execution, code: int, seconds: float) -> ExecResult:
        reports, capture = execution.reports, execution.capture
        ended_late = reports.end is not None and seconds >= self.timeout - CLOCK_TICK
        timed_out = execution.overran or (ended_late and code in (TIMED_OUT, KILLED, TERMINATED))
        if timed_out and not execution.overran:
            await self.life.sweep(execution.marker, execution.since, user=self.user)
        return ExecResult(
            exit_code=TIMED_OUT if timed_out else code,
            output=capture.output(),
            timed_out=timed_out,
            out_of_memory=await self._ran_out_of_memory(reports, code),
            truncated_bytes=capture.left_out,
            seconds=seconds,
        )

    async def _ran_out_of_memory(self, reports: Reports, code: int) -> bool:
        """Whether the container's own counter of kernel kills went up meanwhile."""
        if reports.begin is None:
            return False
        if reports.end is not None:
            return reports.end[2] > reports.begin[1]
        if code != KILLED:
            return False
        count = ["/bin/sh", "-c", scripts.COUNT_OOM]
        words = (await self.life.guarded(lambda: run_briefly(self.life.daemon, self.life.id, count))).split()
        return len(words) == 3 and int(words[2]) > reports.begin[1]
