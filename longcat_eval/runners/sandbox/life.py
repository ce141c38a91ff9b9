"""A container's life: calls to it, bringing it back when its own commands ended it, and its end."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox import scripts
from longcat_eval.runners.sandbox.daemon import Daemon
from longcat_eval.runners.sandbox.execution import run_briefly
from longcat_eval.runners.sandbox.limits import Limits

ROOT = "0"
KILLED = (137, 143)
REMOVE_POLLS, REMOVE_POLL_SECONDS = 200, 0.05

T = TypeVar("T")


class Image(NamedTuple):
    """A local image, pinned by id; `digest` is its registry's name for the content, if it came from one."""

    name: str
    id: str
    digest: str
    user: str
    entrypoint: list[str]
    command: list[str]


class Life:
    """One container, from its start to its removal; `deadline` is on the clock of `time.monotonic`.

    `sleeps`: its own process does nothing but sleep until then; else it is a service's.
    """

    def __init__(
        self,
        daemon: Daemon,
        container_id: str,
        image: Image,
        limits: Limits,
        deadline: float,
        *,
        sleeps: bool = True,
    ) -> None:
        self.daemon, self.id, self.image, self.limits = daemon, container_id, image, limits
        self.over = False
        self._deadline, self._sleeps = deadline, sleeps
        self._lost: SandboxError | None = None

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """An SDK call about this container: `function(container id, ...)`; see `guarded`."""
        return await self.guarded(lambda: self.daemon.call(function, self.id, *args, **kwargs))

    async def guarded(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call; if the container has ended, bring it back and make the call once more."""
        self.check()
        try:
            return await call()
        except SandboxError as error:
            await self.revive(error)
        try:
            return await call()
        except SandboxError:
            self.check()  # its end may have come between the two
            raise

    def check(self) -> None:
        """Raise why it is over, if it is."""
        if self.over:
            raise self._lost or SandboxError("container_lost", "the sandbox was stopped")
        if time.monotonic() >= self._deadline:
            raise SandboxError("deadline", f"the sandbox lived its {self.limits.seconds:g} s")

    async def revive(self, error: SandboxError) -> None:
        """Restart a container that a command ended (`kill -9 -1`, `pkill sleep`); its files are still there.

        When this returns it runs. Raises `error`, or why the container is gone, where it was something else.
        """
        self.check()
        if error.reason not in ("container_lost", "daemon_error"):
            raise error
        state = (await self.daemon.call(self.daemon.api.inspect_container, self.id))["State"]
        if state["Running"] and error.reason == "daemon_error":
            raise error
        if not state["Running"]:
            code = state["ExitCode"]
            if self._sleeps and code == 0:
                raise SandboxError("deadline", f"the sandbox lived its {self.limits.seconds:g} s") from None
            if not self._sleeps and code not in KILLED:
                raise SandboxError("container_lost", f"the service ended with exit code {code}") from None
            await self.restart()

    async def restart(self) -> None:
        """Kill every process inside; the files stay."""
        try:
            await self.daemon.call(self.daemon.api.restart, self.id, timeout=0)
        except SandboxError as error:
            raise self._lost or error from None

    async def sweep(self, marker: str, since: str = "", *, user: str | None = None) -> None:
        """Kill what carries `marker` or, if given, started `since`; if something stays, restart.

        Root may not read the environment of another user's process, and in an image whose user is not root it
        has no capabilities to kill one: that user looks first.
        """
        argv = ["/bin/sh", "-c", scripts.SWEEP, "sh", marker, since]
        other = user or self.image.user
        users = [ROOT] if other in ("", ROOT, "root") else [other, ROOT]
        try:
            left = [await run_briefly(self.daemon, self.id, argv, one) for one in users]
            clean = all(count.strip() == b"0" for count in left)
        except SandboxError:
            clean = False
        if not clean and not self.over:
            await self.restart()

    async def fail(self, reason: str, message: str) -> None:
        """Remove it because of what it did; commands under way and all later ones raise this."""
        self.over, self._lost = True, self._lost or SandboxError(reason, message)
        await self.remove()

    async def remove(self) -> None:
        """Remove it."""
        self.over = True
        await self.daemon.call(remove_container, self.daemon.api, self.id)


def start_container(api: Any, container: str) -> None:
    """Start a created container; `SandboxError`: `image_unusable` where its command cannot be run."""
    from docker.errors import APIError, ImageNotFound, NotFound

    try:
        api.start(container)
    except ImageNotFound:
        raise
    except (NotFound, APIError) as error:
        if error.status_code in (400, 404):
            raise SandboxError("image_unusable", f"it does not start: {error.explanation}") from None
        raise


def remove_container(api: Any, container: str) -> None:
    """Remove with its anonymous volumes, killing what runs; gone already is fine.

    When this returns it is gone, even if somebody else was removing it.
    """
    from docker.errors import APIError, NotFound

    for _ in range(REMOVE_POLLS):
        try:
            api.remove_container(container, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != 409:
                raise
            time.sleep(REMOVE_POLL_SECONDS)
        else:
            return
