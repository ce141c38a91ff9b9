"""uv for the authors' scripts that would fetch it: put into the container before they run, from its wheel.

Three of four tasks begin their tests with `curl -LsSf https://astral.sh/uv/…/install.sh | sh`, and so do some
solutions: the commonest cause of a lost verdict that is nobody's doing. The installer finds the same version
there, or is not reached, which then is of no matter. An agent with a model never sees it.
"""

import asyncio
import re
import zipfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.wheels import download_wheel
from longcat_eval.protocols import Sandbox

_FILE = Path(__file__).with_name("uv_wheels.yaml")
_ASKS = re.compile(r"astral\.sh/uv/(?:(\d+\.\d+\.\d+)/)?install\.sh")
DEFAULT = "0.9.7"
"""Taken for scripts that name no version."""
PROGRAMS = ("uv", "uvx")
ENV = (
    'case ":${PATH}:" in\n  *:"$HOME/.local/bin":*) ;;\n  *) export PATH="$HOME/.local/bin:$PATH" ;;\nesac\n'
)
"""What scripts `source` after the installer ran."""
LOOK = 'echo "$HOME"; uname -m'
REMEDY = "check network and index"


@cache
def known_wheels() -> dict[str, dict[str, str]]:
    """sha256 by version and machine."""
    import yaml

    wheels: dict[str, dict[str, str]] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return wheels


def asked_version(*scripts: str) -> str:
    """The version of uv whose installer the scripts call, empty if they call none."""
    found = next((match for script in scripts if (match := _ASKS.search(script))), None)
    return "" if found is None else found[1] or DEFAULT


async def put_uv(sandbox: Sandbox, version: str, looked: str) -> str:
    """Put uv where its installer would, over what is there as that does; return what was put.

    `looked` is what `LOOK` printed there for the script's user. Nothing is put, and returned, where the
    version is unknown here or the wheel cannot be had: the script then goes on as written.
    """
    words = looked.split()
    if len(words) != 2 or words[1] not in known_wheels().get(version, {}):
        return ""
    home, machine = words
    try:
        folder = await asyncio.to_thread(fetch_uv, version, machine)
    except EnvironmentUnusableError:
        return ""
    await sandbox.put_tree(f"{home}/.local/bin", folder)
    return f"uv {version}"


def fetch_uv(version: str, machine: str) -> Path:
    """Return the folder with `uv`, `uvx` and `env`, downloading the wheel once (17 MB, Apache-2.0 or MIT).

    Raises `EnvironmentUnusableError`.
    """
    from platformdirs import user_cache_path

    kept = user_cache_path("longcat-eval") / "uv" / f"{version}-{machine}"
    if kept.is_dir():
        return kept
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=kept.parent, prefix="fetch-") as scratch:
            digest = known_wheels()[version][machine]
            platform = f"manylinux_2_17_{machine}"
            wheel = download_wheel(f"uv=={version}", digest, Path(scratch), REMEDY, platform)
            fresh = Path(scratch) / "bin"
            fresh.mkdir()
            with zipfile.ZipFile(wheel) as archive:
                for name in PROGRAMS:
                    (fresh / name).write_bytes(archive.read(f"uv-{version}.data/scripts/{name}"))
                    (fresh / name).chmod(0o755)
            (fresh / "env").write_text(ENV, encoding="utf-8")
            with suppress(OSError):  # another process was faster
                fresh.rename(kept)
            if not kept.is_dir():
                raise OSError("it cannot be put in its place")
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot keep uv in {kept.parent}: {error}") from None
    return kept
