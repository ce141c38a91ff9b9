"""The tool `editor`: looks at files and changes them, with no shell's quoting between model and bytes."""

import posixpath
import secrets
from collections.abc import Callable
from typing import Any

from longcat_eval.protocols import Sandbox
from longcat_eval.records import Wire
from longcat_eval.runners.agent import text_edits
from longcat_eval.runners.agent.faults import (
    UNREADABLE,
    FormatError,
    integer,
    is_below,
    path_argument,
    resolve,
    text_argument,
)
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.observation import Observation, shown
from longcat_eval.runners.agent.text_edits import Edit, EditError

LARGEST_FILE = 4 << 20
LISTED = 200
SCRATCH = "/tmp"

EDITOR: Wire = {
    "type": "function",
    "function": {
        "name": "editor",
        "description": (
            "Look at a file or folder, or change a text file. "
            "`view` shows a file with line numbers, whole or the lines of `view_range`, and lists a folder. "
            "`create` writes a new file with `file_text`. "
            "`str_replace` puts `new_str` in the place of `old_str`, which must be in the file exactly once, "
            "character by character and without line numbers. "
            "`insert` puts `new_str` after line `insert_line`, 0 being the beginning of the file."
        ),
        "parameters": {
            "type": "object",
            "properties": {
                "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
                "path": {"type": "string", "description": "Absolute, or relative to the project's folder."},
                "view_range": {
                    "type": "array",
                    "items": {"type": "integer"},
                    "description": "First and last line to show, from 1; -1 is the end of the file.",
                },
                "file_text": {"type": "string"},
                "old_str": {"type": "string"},
                "new_str": {"type": "string"},
                "insert_line": {"type": "integer"},
            },
            "required": ["command", "path"],
        },
    },
}

LIST = r"""
[ -d "$LCEVAL_PATH" ] || exit 3
cd -- "$LCEVAL_PATH" || exit
find . -mindepth 1 -maxdepth 2 -name '.*' -prune -o -print 2>/dev/null |
  cut -b 3- | sort | head -n "$LCEVAL_LINES"
"""
WRITE = r"""
mkdir -p -- "$LCEVAL_FOLDER" && cat <"$LCEVAL_FROM" >"$LCEVAL_PATH"
code=$?; rm -f -- "$LCEVAL_FROM" 2>/dev/null; exit $code
"""
"""Writes into the file that is there: its mode, its owner and the links to it stay."""


class Editor:
    """Files of one sandbox. It writes below `workdir` and /tmp only; it reads everywhere.

    That is to catch wrong paths and no security: the sandbox is, and the shell writes where it wants to.
    """

    def __init__(self, sandbox: Sandbox, workdir: str, limits: AgentLimits) -> None:
        self.sandbox, self.workdir, self.limits = sandbox, workdir, limits

    async def act(self, arguments: dict[str, Any]) -> Observation:
        """Do what one call asks for; raises `FormatError` and `SandboxError`."""
        command = text_argument(arguments, "command")
        path = resolve(path_argument(arguments, "path"), self.workdir)
        try:
            match command:
                case "view":
                    return Observation(await self._view(path, arguments.get("view_range")))
                case "create":
                    return Observation(await self._create(path, text_argument(arguments, "file_text")))
                case "str_replace":
                    old, new = text_argument(arguments, "old_str"), text_argument(arguments, "new_str", "")
                    return Observation(await self._change(path, text_edits.replace_once, old, new))
                case "insert":
                    line = integer(arguments.get("insert_line"), "insert_line")
                    new = text_argument(arguments, "new_str")
                    return Observation(await self._change(path, text_edits.insert_after, line, new))
        except EditError as error:
            return Observation(f"{path}: {error}", error=True)
        raise FormatError(UNREADABLE, "`command` is one of view, create, str_replace, insert.")

    async def _view(self, path: str, wanted: Any) -> str:
        lines = _range(wanted)
        try:
            content = await self.sandbox.get(path, max_bytes=LARGEST_FILE)
        except FileNotFoundError:
            raise EditError("There is no such file.") from None
        except OSError as error:
            return await self._listing(path, str(error))
        text = text_edits.decode(content)
        count = len(text_edits.split_lines(text))
        first, last = lines or (1, count)
        last = count if last == -1 else min(last, count)
        if lines and max(first, 1) > last:
            raise EditError(f"`view_range` {list(lines)} is not in the file, which has {count} lines.")
        return f"{path}: {_about(text, count)}\n" + text_edits.numbered(
            text, max(first, 1), last, self.limits.output_chars
        )

    async def _listing(self, path: str, problem: str) -> str:
        """What a folder holds, two levels deep; `problem` is why it is no file."""
        code, listed = await self._script(LIST, LCEVAL_PATH=path, LCEVAL_LINES=str(LISTED + 1))
        if code == 3:
            raise EditError(f"It cannot be read: {problem}.")
        names = listed.splitlines()
        more = [f"[... more than {LISTED} entries]"] if len(names) > LISTED else []
        head = f"{path} is a folder. Two levels of it, without hidden files:"
        return shown("\n".join([head, *names[:LISTED], *more]).encode(), self.limits.output_chars)

    async def _create(self, path: str, content: str) -> str:
        self._refuse_outside(path)
        try:
            there = await self.sandbox.get(path, max_bytes=1)
        except FileNotFoundError:
            there = b""
        except OSError:
            there = b"more than a byte, or a folder"
        if there:
            raise EditError("It exists already: change it with `str_replace` or `insert`.")
        await self._write(path, content)
        return f"{path}: created, {_about(content, len(text_edits.split_lines(content)))}"

    async def _change(self, path: str, change: Callable[..., Edit], *arguments: Any) -> str:
        self._refuse_outside(path)
        try:
            content = await self.sandbox.get(path, max_bytes=LARGEST_FILE)
        except FileNotFoundError:
            raise EditError("There is no such file.") from None
        except OSError as error:
            raise EditError(f"It cannot be read: {error}.") from None
        edit = change(text_edits.decode(content), *arguments)
        await self._write(path, edit.text)
        around = (max(1, edit.first - text_edits.CONTEXT_LINES), edit.last + text_edits.CONTEXT_LINES)
        return f"{path}: changed. Now:\n" + text_edits.numbered(edit.text, *around, self.limits.output_chars)

    async def _write(self, path: str, text: str) -> None:
        source = f"{SCRATCH}/.lceval-edit-{secrets.token_hex(8)}"
        await self.sandbox.put(source, text_edits.encode(text))
        folder = posixpath.dirname(path)
        code, said = await self._script(WRITE, LCEVAL_FROM=source, LCEVAL_FOLDER=folder, LCEVAL_PATH=path)
        if code != 0:
            raise EditError(f"It cannot be written: {said or f'exit code {code}'}")

    async def _script(self, script: str, **variables: str) -> tuple[int, str]:
        """Run one of our own; what it works on travels in variables, so nothing needs quoting."""
        result = await self.sandbox.exec(
            script, timeout=self.limits.command_seconds, cwd="/", env=variables | {"LC_ALL": "C"}
        )
        return result.exit_code, shown(result.output, len(result.output)).strip("\n")

    def _refuse_outside(self, path: str) -> None:
        if not (is_below(path, self.workdir) or is_below(path, SCRATCH)):
            raise EditError(f"It is outside of {self.workdir} and can only be viewed.")


def _range(wanted: Any) -> tuple[int, int] | None:
    if wanted is None or wanted == []:
        return None
    if not isinstance(wanted, list) or len(wanted) != 2:
        raise FormatError(UNREADABLE, "`view_range` wants two numbers: [first line, last line].")
    return integer(wanted[0], "view_range"), integer(wanted[1], "view_range")


def _about(text: str, lines: int) -> str:
    """A text's length and what cannot be seen of it."""
    ends = ", lines end in CRLF" if text_edits.line_end_of(text) == "\r\n" else ""
    last = "" if not text or text.endswith("\n") else ", no line end after the last"
    return f"{lines} line{'' if lines == 1 else 's'}{ends}{last}"
