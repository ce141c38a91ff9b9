"""A terminal that is tmux in the sandbox, driven through one control client: no exec per key or screen.

The semantics are those of `tmux send-keys` and `capture-pane` at the tmux that the image has, as
terminal-bench (`terminal_bench/terminal/tmux_session.py` 0.2.18) calls them; its server is private, and the
agent's own `tmux` never meets it.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from longcat_eval.protocols import Sandbox, SandboxError
from longcat_eval.runners.terminal import scripts
from longcat_eval.runners.terminal.control import ClientLostError, ControlClient, Reply
from longcat_eval.runners.terminal.jobs import Process
from longcat_eval.runners.terminal.keys import quoted
from longcat_eval.runners.terminal.place import Place
from longcat_eval.runners.terminal.shell import ShellTerminal

OPEN_SECONDS = 60.0
ANSWER_SECONDS = 60.0
"""Patience with tmux's answer; it waits for nothing, so this is a machine that does not move."""
QUIET_CLIENTS = (3, 2)
WHOLE_ARGUMENT = 2000
"""Characters that tmux gets as one argument; more is no key's name and goes literally, in pieces."""


class Pane(NamedTuple):
    """The one pane: tmux's name for it, the parent of its shell, and its terminal."""

    id: str
    parent: int
    tty: str


class TmuxTerminal(ShellTerminal):
    """`session.Terminal` on a tmux server of its own; made by `open_tmux`."""

    kind = "tmux"

    def __init__(
        self, sandbox: Sandbox, user: str | None, place: Place, client: ControlClient, pane: Pane
    ) -> None:
        super().__init__(sandbox, user, pane.tty)
        self._place, self._user, self._pane = place, user, pane.id
        self._client, self._clients = client, [client]
        self._attaching = asyncio.Lock()
        self._over = False
        self._last_screen, self._last_history = "", ""
        self._pane_parent = pane.parent

    async def screen(self) -> str:
        """The visible rows."""
        if replies := await self._ask([f"capture-pane -p -t {self._pane}"]):
            self._last_screen = _captured(replies[0])
        return self._last_screen

    async def history(self) -> str:
        """The scrollback and the screen."""
        if replies := await self._ask([f"capture-pane -p -S - -t {self._pane}"]):
            self._last_history = _captured(replies[0])
        return self._last_history

    async def alive(self) -> bool:
        """Whether its shell is still there."""
        replies = await self._ask([f"display-message -p -t {self._pane} '#{{pane_dead}}'"])
        return bool(replies) and replies[0].ok and replies[0].text != b"1"

    async def close(self) -> None:
        """End the server, the shell and all that was started from it; safe to call twice."""
        self._over = True
        await asyncio.gather(self._watch.close(), *(client.close() for client in self._clients))

    async def _type(self, keys: Sequence[str]) -> None:
        await self._ask([line for key in keys for line in self._typing(key)], twice=False)

    async def _type_text(self, text: str) -> None:
        await self._ask(self._literally(text), twice=False)

    def _is_shell(self, process: Process) -> bool:
        return process.parent == self._pane_parent

    def _typing(self, key: str) -> list[str]:
        """What tmux is told; it says itself what is the name of a key."""
        if len(key) > WHOLE_ARGUMENT:
            return self._literally(key)
        return [f"send-keys -t {self._pane} -- {quoted(key)}"] if key else []

    def _literally(self, text: str) -> list[str]:
        pieces = [text[at : at + WHOLE_ARGUMENT] for at in range(0, len(text), WHOLE_ARGUMENT)]
        return [f"send-keys -t {self._pane} -l -- {quoted(piece)}" for piece in pieces]

    async def _ask(self, commands: Sequence[str], *, twice: bool = True) -> list[Reply]:
        """The replies, or none where the terminal is over. A lost client is attached anew, once a call.

        What was lost on its way is sent again if it may come `twice`.
        """
        if self._over or not commands:
            return []
        client = self._client
        known_lost = client.lost
        try:
            return await client.ask(commands, ANSWER_SECONDS)
        except ClientLostError:
            if not await self._attached_anew(client) or not (twice or known_lost):
                return []
        with contextlib.suppress(ClientLostError):
            return await self._client.ask(commands, ANSWER_SECONDS)
        return []

    async def _attached_anew(self, lost: ControlClient) -> bool:
        """Whether the server still lives and there is a new client on it."""
        async with self._attaching:
            if self._client is lost and not self._over:
                place = self._place
                argv = ["/bin/sh", "-c", scripts.ATTACH_TMUX, "sh", place.folder]
                stream = await self._sandbox.open_stream([*argv, *_client_options(place)], user=self._user)
                self._client = ControlClient(stream)
                self._clients.append(self._client)
                try:
                    await _quieten(self._client, place)
                except ClientLostError:
                    self._over = True
            return not self._over


async def _first_pane(client: ControlClient, place: Place) -> Pane:
    """Wait until the server answers; `SandboxError` (image_unusable) with what it said if it does not."""
    try:
        asked = await client.ask(["display-message -p '#{pane_id} #{pane_pid} #{pane_tty}'"], OPEN_SECONDS)
        # Older ones do not know it and say so; theirs writes `Pane is dead` on the screen.
        await client.ask(["set-option -g remain-on-exit-format ''"], ANSWER_SECONDS)
        await _quieten(client, place)
    except ClientLostError:
        said = client.said.decode("utf-8", "replace").strip()
        raise SandboxError("image_unusable", f"tmux does not start: {said}") from None
    name, pid, tty = asked[0].text.decode().split()
    return Pane(name, int(pid), tty)


def _client_options(place: Place) -> list[str]:
    """What programs print is not wanted as it comes: the screen is asked for.

    Asked of a client that has begun to get it, 3.3a may say nothing any more at all.
    """
    return ["-f", "no-output"] if place.version >= QUIET_CLIENTS else []


async def _quieten(client: ControlClient, place: Place) -> None:
    """The same for older ones."""
    if place.version < QUIET_CLIENTS:
        await client.ask(["refresh-client -F no-output"], ANSWER_SECONDS)


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
    stream = await sandbox.open_stream([*argv, *_client_options(place)], user=user, cwd=cwd, env=env)
    client = ControlClient(stream)
    try:
        return TmuxTerminal(sandbox, user, place, client, await _first_pane(client, place))
    except BaseException:
        await asyncio.shield(client.close())
        raise
