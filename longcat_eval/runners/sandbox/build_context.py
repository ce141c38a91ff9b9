"""What goes to a builder: a context folder as an archive, as the docker command line sends it."""

import io
import re
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.dockerfile_lowering import Added

DOCKERFILE_NAME = ".longcat-eval.Dockerfile"
"""Where the lowered Dockerfile lies in the archive; .dockerignore makes the daemon hide it from COPY."""
IGNORE = ".dockerignore"


def read_dockerfile(context: Path, dockerfile: str) -> str:
    """The text of a context's Dockerfile; `SandboxError` (`build_failed`) if there is none."""
    try:
        return (context / dockerfile).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        problem = error.strerror or str(error)
        raise SandboxError("build_failed", f"{context / dockerfile}: {problem}") from None


def ignore_patterns(context: Path, dockerfile: str) -> tuple[list[str], bool]:
    """What the context leaves out, and whether its own .dockerignore says so.

    A Dockerfile's own ignore file (`NAME.dockerignore`) goes before that, as in BuildKit.
    """
    for path in (context / f"{dockerfile}{IGNORE}", context / IGNORE):
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
            patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
            return patterns, path.name == IGNORE
    return [], False


def pack_context(context: Path, dockerfile: str, text: str) -> IO[bytes]:
    """The archive of a context, at its begin, with `text` at `DOCKERFILE_NAME`; it lies in a temporary file.

    Files keep their modes and links and belong to root; sockets are left out. Raises `SandboxError`
    (`build_failed`) for what cannot be read.
    """
    from docker.utils.build import PatternMatcher

    patterns, own = ignore_patterns(context, dockerfile)
    hidden = "\n".join([*patterns, *([] if own else [IGNORE]), DOCKERFILE_NAME, ""])
    archive = tempfile.TemporaryFile()  # noqa: SIM115 - returned
    try:
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name in sorted(set(PatternMatcher(patterns).walk(str(context)))):
                if name not in (DOCKERFILE_NAME, IGNORE):
                    _add(tar, context / name, name)
            add_bytes(tar, DOCKERFILE_NAME, text.encode("utf-8", "surrogateescape"))
            add_bytes(tar, IGNORE, hidden.encode("utf-8", "surrogateescape"))
    except OSError as error:
        archive.close()
        raise SandboxError("build_failed", f"the build context cannot be read: {error}") from None
    except BaseException:
        archive.close()
        raise
    archive.seek(0)
    return archive


def context_matches(context: Path, pattern: str) -> list[str]:
    """The paths that a source of COPY means, folders with a slash at the end; itself if there are none."""
    name = pattern.lstrip("/")
    if not re.search(r"[*?\[]", name):
        return [f"{pattern.rstrip('/')}/" if (context / name).is_dir() else pattern]
    found = sorted(context.glob(name.replace("[^", "[!").replace("**", "*")))
    return [f"{path.relative_to(context)}{'/' * path.is_dir()}" for path in found] or [pattern]


def pack_helper(files: Mapping[str, Added]) -> IO[bytes]:
    """The context of a helper image: its Dockerfile and the files, below /files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        add_bytes(tar, DOCKERFILE_NAME, b"FROM scratch\nCOPY files /\n")
        for path, (content, mode) in sorted(files.items()):
            add_bytes(tar, f"files/{path}", content, mode)
    archive.seek(0)
    return archive


def add_bytes(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    """One file of root's in an archive."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), mode, int(time.time())
    tar.addfile(entry, io.BytesIO(content))


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    entry = tar.gettarinfo(path, arcname=name)
    if entry is None:  # a socket, for which the type stubs have no word
        return
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    if entry.isreg():
        with path.open("rb") as file:
            tar.addfile(entry, file)
    else:
        tar.addfile(entry)
