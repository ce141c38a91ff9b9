"""Waiting for a service: until it is healthy, or has done its work.

The daemon's own checks decide; but it makes the first one only after a whole interval, so the same test is
also run from here at once, and what passes it is healthy.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.daemon import Daemon
from longcat_eval.runners.sandbox.execution import CHUNK, create_exec
from longcat_eval.runners.sandbox.hijack import start_exec

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.05, 1.0, 1.5
SLACK_SECONDS = 60.0
"""How long after the time in which the daemon must have decided it is given up."""
COMPLETION_SECONDS = 600.0
LAST_LINES, LAST_CHARACTERS = 10, 600
NANOSECONDS = 1e9
DEFAULT = {"Interval": 30e9, "Timeout": 30e9, "Retries": 3}


async def wait_service_healthy(daemon: Daemon, container: str, service: str) -> None:
    """Return when the service's health check passes.

    Raises `SandboxError`: `service_unhealthy` where it does not, has none, or the service ended.
    """
    about = await daemon.call(daemon.api.inspect_container, container)
    check = about["Config"].get("Healthcheck") or {}
    if not check.get("Test") or check["Test"] == ["NONE"]:
        raise SandboxError("service_unhealthy", f"{service} has no health check, and another waits for it")
    test = _argv(check["Test"], about["Config"].get("Shell"))
    seconds = _seconds(check, "Timeout")
    retries = check.get("Retries") or DEFAULT["Retries"]
    whole = check.get("StartPeriod", 0) / NANOSECONDS + (retries + 1) * (
        seconds + _seconds(check, "Interval")
    )
    end, pause = time.monotonic() + whole + SLACK_SECONDS, FIRST_PAUSE
    while True:
        state = (await daemon.call(daemon.api.inspect_container, container))["State"]
        health = state.get("Health") or {}
        if not state["Running"]:
            raise await _gone(daemon, container, service, state)
        if health.get("Status") == "healthy" or await _passes(daemon, container, test, seconds):
            return
        if health.get("Status") == "unhealthy" or time.monotonic() > end:
            said = await _last_words(daemon, container)
            check_said = _checked(health)
            raise SandboxError("service_unhealthy", f"{service} is not healthy: {check_said}{said}")
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * GROWTH)


async def wait_completed(daemon: Daemon, container: str, service: str) -> None:
    """Return when the service has ended well; `SandboxError`: `service_unhealthy` where it did not."""
    end, pause = time.monotonic() + COMPLETION_SECONDS, FIRST_PAUSE
    while True:
        state = (await daemon.call(daemon.api.inspect_container, container))["State"]
        if not state["Running"]:
            if state["ExitCode"] == 0:
                return
            raise await _gone(daemon, container, service, state)
        if time.monotonic() > end:
            raise SandboxError("service_unhealthy", f"{service} is not done after {COMPLETION_SECONDS:g} s")
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * GROWTH)


def _argv(test: Sequence[str], shell: Sequence[str] | None) -> list[str]:
    kind, *rest = test
    return list(rest) if kind == "CMD" else [*(shell or ("/bin/sh", "-c")), *rest]


def _seconds(check: Mapping[str, Any], key: str) -> float:
    return float(check.get(key) or DEFAULT[key]) / NANOSECONDS


async def _passes(daemon: Daemon, container: str, argv: Sequence[str], seconds: float) -> bool:
    """Whether the test passes now; where it cannot be run, the daemon will say why."""
    try:
        async with asyncio.timeout(seconds):
            exec_id, _ = await create_exec(daemon, container, argv)
            connection = await start_exec(daemon.endpoint, daemon.version, exec_id, tty=False)
            try:
                while await connection.reader.read(CHUNK):
                    pass
            finally:
                await connection.close()
            state = await daemon.call(daemon.api.exec_inspect, exec_id)
    except (SandboxError, TimeoutError, OSError):
        return False
    return not state["Running"] and state["ExitCode"] == 0


async def _gone(daemon: Daemon, container: str, service: str, state: Mapping[str, Any]) -> SandboxError:
    said = await _last_words(daemon, container)
    return SandboxError("service_unhealthy", f"{service} ended with exit code {state['ExitCode']}{said}")


def _checked(health: Mapping[str, Any]) -> str:
    log = health.get("Log") or [{}]
    output = " ".join(str(log[-1].get("Output", "")).split())[-LAST_CHARACTERS:]
    return output or f"its check ends with exit code {log[-1].get('ExitCode', 'unknown')}"


async def _last_words(daemon: Daemon, container: str) -> str:
    """The end of a service's log, for an error's text."""
    try:
        log: bytes = await daemon.call(daemon.api.logs, container, tail=LAST_LINES)
    except SandboxError:
        return ""
    text = log.decode("utf-8", "replace").strip()[-LAST_CHARACTERS:]
    return f"; its log ends: {text}" if text else ""
