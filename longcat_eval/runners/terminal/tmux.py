"""A terminal that is tmux in the sandbox, driven through one control client: no exec per key or screen.

The semantics are those of `tmux send-keys` and `capture-pane` at the tmux that the image has, as
terminal-bench (`terminal_bench/terminal/tmux_session.py` 0.2.18) calls them; its server is private, and the
agent's own `tmux` never meets it.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from longcat_eval.protocols import Sandbox, SandboxError
from longcat_eval.runners.terminal import scripts
from longcat_eval.runners.terminal.control import ClientLostError, ControlClient, Reply
from longcat_eval.runners.terminal.keys import quoted
from longcat_eval.runners.terminal.place import Place

OPEN_SECONDS = 60.0
ANSWER_SECONDS = 60.0
"""Patience with tmux's answer; it waits for nothing, so this is a machine that does not move."""
WHOLE_ARGUMENT = 2000
"""Characters that tmux gets as one argument; more is no key's name and goes literally, in pieces."""


class TmuxTerminal:
    """`session.Terminal` on a tmux server of its own; made by `open_tmux`."""

    kind = "tmux"

    def __init__(self, sandbox: Sandbox, place: Place, client: ControlClient, user: str | None) -> None:
        self._sandbox, self._place, self._client, self._user = sandbox, place, client, user
        self._clients = [client]
        self._attaching = asyncio.Lock()
        self._over = False
        self._last_screen = ""
        self._last_history = ""
        self.pane, self.shell_pid, self.tty = "%0", 0, ""

    async def started(self) -> "TmuxTerminal":
        """Wait until its server answers; `SandboxError` (image_unusable) with what it said if it does not."""
        try:
            asked = await self._client.ask(
                ["display-message -p '#{pane_id} #{pane_pid} #{pane_tty}'"], OPEN_SECONDS
            )
        except ClientLostError:
            said = self._client.said.decode("utf-8", "replace").strip()
            raise SandboxError("image_unusable", f"tmux does not start: {said}") from None
        self.pane, pid, self.tty = asked[0].text.decode().split()
        self.shell_pid = int(pid)
        await self._quieten()
        # Older ones do not know it and say so; theirs writes `Pane is dead` on the screen.
        await self._client.ask(["set-option -g remain-on-exit-format ''"], ANSWER_SECONDS)
        return self

    async def send(self, keys: Sequence[str]) -> None:
        """Type; see `session.Terminal`. tmux itself says what is the name of a key."""
        await self._ask([command for key in keys for command in self._typing(key)])

    async def screen(self) -> str:
        """The visible rows."""
        if replies := await self._ask([f"capture-pane -p -t {self.pane}"]):
            self._last_screen = _captured(replies[0])
        return self._last_screen

    async def history(self) -> str:
        """The scrollback and the screen."""
        if replies := await self._ask([f"capture-pane -p -S - -t {self.pane}"]):
            self._last_history = _captured(replies[0])
        return self._last_history

    async def alive(self) -> bool:
        """Whether its shell is still there."""
        replies = await self._ask([f"display-message -p -t {self.pane} '#{{pane_dead}}'"])
        return bool(replies) and replies[0].ok and replies[0].text != b"1"

    async def close(self) -> None:
        """End the server, the shell and all that was started from it; safe to call twice."""
        self._over = True
        for client in reversed(self._clients):
            await client.close()

    def _typing(self, key: str) -> list[str]:
        target = f"send-keys -t {self.pane}"
        if len(key) <= WHOLE_ARGUMENT:
            return [f"{target} -- {quoted(key)}"] if key else []
        pieces = [key[at : at + WHOLE_ARGUMENT] for at in range(0, len(key), WHOLE_ARGUMENT)]
        return [f"{target} -l -- {quoted(piece)}" for piece in pieces]

    async def _ask(self, commands: Sequence[str]) -> list[Reply]:
        """The replies, or none where the terminal is over. A lost client is attached anew, once a call."""
        if self._over or not commands:
            return []
        client = self._client
        try:
            return await client.ask(commands, ANSWER_SECONDS)
        except ClientLostError:
            if not await self._attached_anew(client):
                return []
        with contextlib.suppress(ClientLostError):
            return await self._client.ask(commands, ANSWER_SECONDS)
        return []

    async def _attached_anew(self, lost: ControlClient) -> bool:
        """Whether the server still lives and there is a new client on it."""
        async with self._attaching:
            if self._client is lost and not self._over:
                argv = ["/bin/sh", "-c", scripts.ATTACH_TMUX, "sh", self._place.folder]
                stream = await self._sandbox.open_stream(argv, user=self._user)
                self._client = ControlClient(stream)
                self._clients.append(self._client)
                try:
                    await self._quieten()
                except ClientLostError:
                    self._over = True
            return not self._over

    async def _quieten(self) -> None:
        """What programs print is not wanted as it comes: the screen is asked for. (`-f` since 3.2.)"""
        for option in ("-f", "-F"):
            (reply,) = await self._client.ask([f"refresh-client {option} no-output"], ANSWER_SECONDS)
            if reply.ok:
                return


def _captured(reply: Reply) -> str:
    return reply.text.decode("utf-8", "replace") + "\n"


async def open_tmux(
    sandbox: Sandbox,
    place: Place,
    *,
    user: str | None = None,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
) -> TmuxTerminal:
    """Start a server and its shell. Raises `SandboxError`."""
    argv = ["/bin/sh", "-c", scripts.START_TMUX, "sh", place.folder, place.shell]
    client = ControlClient(await sandbox.open_stream(argv, user=user, cwd=cwd, env=env))
    try:
        return await TmuxTerminal(sandbox, place, client, user).started()
    except BaseException:
        await asyncio.shield(client.close())
        raise
