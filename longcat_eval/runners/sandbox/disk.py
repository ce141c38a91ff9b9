"""The disk budget of a sandbox: overlayfs has no quota of its own on most file systems, so it is watched."""

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.owner import RUN

if TYPE_CHECKING:
    from docker.api import APIClient

    from longcat_eval.runners.sandbox.container import DockerSandbox
    from longcat_eval.runners.sandbox.daemon import Daemon

POLL_SECONDS = 10.0
SHARE_OF_TIME = 10
"""The daemon walks every file that was written: asking may take at most a tenth of the time."""
MIB = 1 << 20


async def watch_disk(
    daemon: "Daemon", run: str, sandboxes: Mapping[str, "DockerSandbox"], poll_seconds: float
) -> None:
    """Until cancelled, remove every sandbox that has written more than its `disk_bytes`."""
    pause = poll_seconds
    while True:
        await asyncio.sleep(pause)
        if not sandboxes:
            continue
        asked = time.monotonic()
        try:
            sizes = await daemon.call(written_bytes, daemon.api, run)
        except SandboxError:
            continue
        for container, written in sizes.items():
            sandbox = sandboxes.get(container)
            if sandbox is not None and written > sandbox.limits.disk_bytes:
                await over_budget(sandbox, written)
        pause = max(poll_seconds, SHARE_OF_TIME * (time.monotonic() - asked))


async def over_budget(sandbox: "DockerSandbox", written: int) -> None:
    """Remove it; what runs there ends with the reason."""
    limit = sandbox.limits.disk_bytes
    message = f"{written / MIB:.0f} MiB were written and {limit / MIB:.0f} are allowed"
    try:
        await sandbox.life.fail("disk_budget", message)
    except SandboxError:
        return


def written_bytes(api: "APIClient", run: str) -> dict[str, int]:
    """What each container of a run has written over its image (SizeRw)."""
    listed: list[dict[str, Any]] = api.containers(size=True, filters={"label": [f"{RUN}={run}"]})
    return {entry["Id"]: int(entry.get("SizeRw") or 0) for entry in listed}
