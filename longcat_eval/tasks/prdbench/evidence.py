"""What a metric's commands left in the project's folder, and the files that it is compared with.

A judge that reads only a terminal cannot mark a metric that asks for a file.
"""

import base64
import struct
from pathlib import Path

import msgspec

from longcat_eval.protocols import Sandbox
from longcat_eval.tasks.prdbench.image import PROJECT
from longcat_eval.tasks.prdbench.plan import Metric

SHOWN_FILES, SHOWN_BYTES = 12, 4_000
SECONDS = 30.0
MARK = "/tmp/.lceval-mark"
MAGIC = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive (such as XLSX or DOCX)",
    b"SQLite format 3": "an SQLite database",
}

SET_MARK = f"touch {MARK}"
LIST = f"""
cd {PROJECT} || exit 0
find . \\( -name __pycache__ -o -name .git -o -name .pytest_cache \\) -prune -o \\
  -type f -newer {MARK} -not -name '*[[:cntrl:]]*' -not -name '*.pyc' -print 2>/dev/null |
  LC_ALL=C sort | {{
  n=0
  while IFS= read -r f; do
    n=$((n + 1)); [ $n -gt {SHOWN_FILES} ] && continue
    printf '%s\\t%s\\t' "${{f#./}}" "$(stat -c %s -- "$f")"
    head -c {SHOWN_BYTES} -- "$f" | base64 -w 0; echo
  done
  echo "$n"
}}
touch {MARK}
"""


class SeenFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file: its path in the project, size in bytes, and its beginning, or what it is if that is no text."""

    path: str
    size: int
    text: str = ""
    what: str = ""


class Changes(msgspec.Struct, frozen=True, omit_defaults=True):
    """Files written meanwhile: the first ones, and how many there are."""

    files: tuple[SeenFile, ...] = ()
    count: int = 0


async def watch_files(sandbox: Sandbox) -> None:
    """Begin to look; raises `SandboxError`."""
    await sandbox.exec(SET_MARK, timeout=SECONDS)


async def changed_files(sandbox: Sandbox) -> Changes:
    """The files written since the last call; raises `SandboxError`."""
    done = await sandbox.exec(LIST, timeout=SECONDS)
    *lines, count = done.output.decode("utf-8", "replace").split("\n")[:-1] or [""]
    if done.exit_code != 0 or not count.isdecimal():
        return Changes()
    files = []
    for line in lines:
        path, size, content = [*line.split("\t"), "", ""][:3]
        if size.isdecimal():
            files.append(seen(path, int(size), base64.b64decode(content)))
    return Changes(tuple(files), int(count))


def expected_files(folder: Path, metric: Metric) -> list[SeenFile]:
    """The files of the task that a metric compares with; a pattern stands for all that fit."""
    found = []
    for name in metric.expected_files:
        try:
            paths = [path for path in sorted(folder.glob(name.removeprefix("./"))) if path.is_file()]
        except (ValueError, NotImplementedError):
            paths = []
        for path in paths[:SHOWN_FILES]:
            if path.resolve().is_relative_to(folder.resolve()):
                relative = path.relative_to(folder).as_posix()
                found.append(seen(relative, path.stat().st_size, path.read_bytes()[:SHOWN_BYTES]))
    return found


def seen(path: str, size: int, begin: bytes) -> SeenFile:
    """Describe a file by its path, its size and its first bytes."""
    for magic, what in MAGIC.items():
        if begin.startswith(magic):
            if magic == b"\x89PNG" and len(begin) >= 24:
                width, height = struct.unpack(">II", begin[16:24])
                what += f" of {width} x {height} pixels"
            return SeenFile(path, size, what=what)
    if b"\0" in begin:
        return SeenFile(path, size, what="binary")
    return SeenFile(path, size, begin.decode("utf-8", "replace"))
