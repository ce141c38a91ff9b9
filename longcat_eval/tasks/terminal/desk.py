"""Where an agent sits: a container, and in it a terminal that opens when somebody first wants it."""

from collections.abc import Mapping

from longcat_eval.protocols import Sandbox
from longcat_eval.runners.terminal.open import open_terminal
from longcat_eval.runners.terminal.session import Terminal


class Desk:
    """One step's place of work, for `user` (the image's own where empty) in `workdir` (likewise)."""

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        user: str = "",
        workdir: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.sandbox, self.user, self.workdir, self.env = sandbox, user, workdir, dict(env or {})
        self._terminal: Terminal | None = None

    async def terminal(self) -> Terminal:
        """The terminal, opened at the first call; `SandboxError`."""
        if self._terminal is None:
            user, cwd = self.user or None, self.workdir or None
            self._terminal = await open_terminal(self.sandbox, user=user, cwd=cwd, env=self.env)
        return self._terminal

    @property
    def kind(self) -> str:
        """What the terminal is, empty while there is none."""
        return self._terminal.kind if self._terminal is not None else ""

    async def leave(self, *, same_shell: bool = False) -> None:
        """End what the agent has in the foreground; its shell too, unless tests are to be typed into it.

        What it put in the background stays: many tasks ask for a server, and the tests look at it.
        """
        if self._terminal is None:
            return
        if not await self._terminal.alive():
            self._terminal = None
        elif same_shell:
            await self._terminal.end_foreground()
        else:
            await self._terminal.freeze()
