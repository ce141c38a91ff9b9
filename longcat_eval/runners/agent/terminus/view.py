"""What a Terminus 2 sees of its terminal: what is new, or the screen, and of much of it the two ends."""

from longcat_eval.runners.agent.terminus.prompts import Prompts
from longcat_eval.runners.terminal.session import Terminal


class View:
    """Compares the terminal's history with what it was, as `get_incremental_output` of the originals does.

    If the text before is found in the text that there is, what is new begins with the last line of the
    former, which is where a prompt stood: of a terminal that did not change, that line is new. Otherwise, or
    where this is blank, the screen is shown. Where the history begins with blank lines the originals show
    more than is new; here such lines change nothing.
    """

    def __init__(self, terminal: Terminal, prompts: Prompts, max_bytes: int) -> None:
        self.terminal, self.prompts, self.max_bytes = terminal, prompts, max_bytes
        self._before: str | None = None

    async def look(self) -> str:
        """What an observation shows, `max_bytes` of it at most; raises `SandboxError`."""
        before, self._before = self._before, await self.terminal.history()
        added = "" if before is None else new_part(before, self._before)
        if added.strip():
            return self.limited(self.prompts.fresh.format(output=self._tidy(added)))
        return self.limited(self.prompts.screen.format(output=await self.screen()))

    async def screen(self) -> str:
        """The screen alone, whole."""
        return self._tidy(await self.terminal.screen())

    def limited(self, text: str) -> str:
        """The first and last halves of `max_bytes` of a longer text in UTF-8; no character is split."""
        encoded = text.encode("utf-8", "replace")
        if len(encoded) <= self.max_bytes:
            return text
        half = self.max_bytes // 2
        head = encoded[:half].decode("utf-8", "ignore")
        tail = encoded[-half:].decode("utf-8", "ignore")
        omitted = len(encoded) - len(head.encode()) - len(tail.encode())
        return self.prompts.cut.format(head=head, max_bytes=self.max_bytes, omitted_bytes=omitted, tail=tail)

    def _tidy(self, text: str) -> str:
        return text if self.prompts.plain else text.rstrip()


def new_part(before: str, after: str) -> str:
    """What a history holds that an earlier one did not, from that one's last line on; '' if it is another."""
    known = before.strip()
    at = after.find(known)
    if at < 0:
        return ""
    return after[at + max(known.rfind("\n"), 0) :]
