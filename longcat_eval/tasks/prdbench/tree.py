"""What a developer made: the files that differ from the task's own, as bytes and as part of a transcript."""

import base64
import posixpath
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from longcat_eval.protocols import Sandbox
from longcat_eval.records import Wire
from longcat_eval.tasks.prdbench.data import NOT_OF_THE_TASK, REPORTS
from longcat_eval.tasks.prdbench.image import DEVELOPER, PROJECT

EVALUATION = "evaluation"
MOST_BYTES = 64 << 20
COMMAND_SECONDS = 120.0

CLEAN = f"""
cd {PROJECT}
find . \\( -name __pycache__ -o -name .pytest_cache \\) -type d -prune -exec rm -rf {{}} +
find . -type f -perm -u+x -print
"""
LAY_OUT = f"""
cd {PROJECT}
chown -R {DEVELOPER}:{DEVELOPER} .
"""
READ_ONLY = f"""
chown root:root . && chmod 1777 .
for folder in {EVALUATION} {REPORTS}; do
  if [ -e $folder ]; then chown -R root:root $folder; chmod -R a-w,a+rX $folder; fi
done
"""
"""The sticky bit keeps a folder of root's from being renamed."""


class Tree(NamedTuple):
    """Files that were made or changed, by path; those of the task that are `gone`; which are `executable`.

    `problem` says why there is no tree: it was too large to take.
    """

    files: Mapping[str, bytes] = {}
    gone: tuple[str, ...] = ()
    executable: tuple[str, ...] = ()
    problem: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing was made at all."""
        return not self.files


async def lay_out(
    sandbox: Sandbox, files: Mapping[str, bytes | Path], tree: Tree, *, read_only: bool
) -> None:
    """Put a task and what was made of it into the project's folder, all the developer's.

    With `read_only` the evaluation folder and reports are root's and cannot be written. Raises
    `SandboxError`.
    """
    whole = {name: content for name, content in files.items() if name not in tree.gone}
    await sandbox.put_tree(PROJECT, {**whole, **tree.files})
    run = "".join(f"chmod +x -- {shlex.quote(f'./{name}')} 2>/dev/null\n" for name in tree.executable)
    await sandbox.exec(LAY_OUT + run + (READ_ONLY if read_only else ""), timeout=COMMAND_SECONDS, user="root")


async def take_tree(sandbox: Sandbox, files: Mapping[str, bytes | Path]) -> Tree:
    """What of the project's folder is not the task's own; links and caches are left behind."""
    listed = await sandbox.exec(CLEAN, timeout=COMMAND_SECONDS, user="root")
    runnable = {posixpath.normpath(line) for line in listed.output.decode("utf-8", "replace").splitlines()}
    try:
        found = await sandbox.get_tree(PROJECT, max_bytes=MOST_BYTES)
    except OSError as error:
        return Tree(problem=str(error))
    kept = {name: content for name, content in found.items() if not _not_taken(name)}
    changed = {name: content for name, content in kept.items() if content != _content(files.get(name))}
    own = [name for name in files if not _not_taken(name)]
    return Tree(
        dict(sorted(changed.items())),
        tuple(name for name in own if name not in kept),
        tuple(sorted(runnable & changed.keys())),
    )


def reference_tree(folder: Path) -> Tree:
    """The tree of a solution that lies in a folder."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    names = {name: path for name, path in names.items() if not _not_taken(name)}
    executable = tuple(name for name, path in names.items() if path.stat().st_mode & 0o100)
    return Tree({name: path.read_bytes() for name, path in names.items()}, (), executable)


def tree_record(tree: Tree) -> Wire:
    """A tree as JSON: text as it is, all else in base64."""
    texts, binaries = dict[str, str](), dict[str, str]()
    for name, content in tree.files.items():
        try:
            texts[name] = content.decode()
        except UnicodeDecodeError:
            binaries[name] = base64.b64encode(content).decode()
    return {
        "files": texts,
        "binary": binaries,
        "gone": list(tree.gone),
        "executable": list(tree.executable),
        "problem": tree.problem,
    }


def _not_taken(name: str) -> bool:
    parts = name.split("/")
    return parts[0] in (EVALUATION, REPORTS) or bool(NOT_OF_THE_TASK & set(parts)) or name.endswith(".pyc")


def _content(file: bytes | Path | None) -> bytes | None:
    return file.read_bytes() if isinstance(file, Path) else file
