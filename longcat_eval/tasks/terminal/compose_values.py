"""Single values of a compose file: times, sizes, lists that may be mappings, volumes, health checks.

Compose Specification, "Specifying durations", "Specifying byte values" and the attributes of services. All
scalars arrive as text, booleans and null apart.
"""

import os.path
import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from longcat_eval.runners.sandbox.service import Healthcheck, Volume
from longcat_eval.tasks.terminal.compose_variables import ComposeError, Variables

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)i?b?", re.IGNORECASE)
_KEEPS_ALIVE = re.compile(
    r"(exec\s+)?((/usr)?/bin/)?(sleep\s+(infinity|inf|\d{4,}s?|\d+[hd])|tail\s+-[fF]\s+/dev/null)"
    r"|while\s+(true|:)\s*;\s*do\s+sleep\s+\w+\s*;\s*done"
)
_SHELLS = ("sh", "bash", "dash", "ash")
_HOST_SOCKETS = ("docker.sock", "containerd.sock", "podman.sock")


def duration(value: Any) -> float:
    """`1m30s` in seconds."""
    text = scalar(value).strip()
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ComposeError(f"{text!r} is no duration (like 1m30s)")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def byte_size(value: Any) -> int:
    """`512m`, `1gb` or a number in bytes; steps of 1024."""
    text = scalar(value).strip()
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ComposeError(f"{text!r} is no size (like 512m)")
    power = " kmgtp".index(found[2].lower() or " ")
    return int(float(found[1]) * 1024**power)


def number(value: Any) -> float:
    """A number that is not negative."""
    try:
        found = float(scalar(value))
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise ComposeError(f"{value!r} is no number")
    return found


def flag(value: Any) -> bool:
    """true or false, as a boolean or text."""
    known = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}
    found = value if isinstance(value, bool) else known.get(str(value).lower())
    if found is None:
        raise ComposeError(f"{value!r} is neither true nor false")
    return found


def scalar(value: Any) -> str:
    """One text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise ComposeError(f"{value!r} is not one value")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts, or one alone."""
    if value is None:
        return ()
    return tuple(scalar(one) for one in value) if isinstance(value, list) else (scalar(value),)


def argv(value: Any) -> tuple[str, ...] | None:
    """A command: a list as it is, a text split as a shell would (no shell runs it); None without one."""
    if value is None:
        return None
    if isinstance(value, list):
        return texts(value)
    try:
        return tuple(shlex.split(scalar(value)))
    except ValueError as error:
        raise ComposeError(f"{value!r} does not split: {error}") from None


def keeps_alive(command: Sequence[str] | None) -> bool:
    """Whether a command does nothing but keep its container alive."""
    if not command:
        return False
    shell = posixpath.basename(command[0]) in _SHELLS
    text = command[2] if shell and len(command) == 3 and command[1] in ("-c", "-lc") else " ".join(command)
    return bool(_KEEPS_ALIVE.fullmatch(text.strip().rstrip(";").rstrip()))


def assignments(value: Any, variables: Variables) -> dict[str, str]:
    """`- A=1` or `A: 1`; a name alone takes the value that the harness has for it, or is left out."""
    pairs: dict[str, str | None] = {}
    if isinstance(value, Mapping):
        pairs = {str(name): None if given is None else scalar(given) for name, given in value.items()}
    else:
        for entry in texts(value):
            name, equals, given = entry.partition("=")
            pairs[name] = given if equals else None
    found = {name: variables.values.get(name) if given is None else given for name, given in pairs.items()}
    return {name: given for name, given in found.items() if given is not None}


def env_file(text: str, variables: Variables) -> dict[str, str]:
    """The lines of an env file: `A=1`, quotes, comments; single quotes keep `$` as it is."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        stripped = line.strip().removeprefix("export ").lstrip()
        name, equals, given = stripped.partition("=")
        if not stripped or stripped.startswith("#"):
            continue
        name, given = name.strip(), given.strip()
        if not equals:
            found |= assignments([name], variables)
        elif given[:1] == "'" and given.count("'") > 1:
            found[name] = given[1 : given.index("'", 1)]
        elif given[:1] == '"' and given.count('"') > 1:
            inside = given[1 : given.rindex('"')].replace("\\n", "\n").replace('\\"', '"')
            found[name] = variables.substitute(inside)
        else:
            found[name] = variables.substitute(re.split(r"\s+#", given)[0])
    return found


def hosts(value: Any) -> tuple[str, ...]:
    """`name:address` of every extra host, from `a:1.2.3.4`, `a=1.2.3.4` or a mapping."""
    if isinstance(value, Mapping):
        return tuple(f"{name}:{address}" for name, given in value.items() for address in texts(given))
    found = []
    for entry in texts(value):
        name, separator, address = entry.partition("=") if "=" in entry else entry.partition(":")
        if not separator or not name or not address:
            raise ComposeError(f"{entry!r} is no host (like name:1.2.3.4)")
        found.append(f"{name}:{address.strip('[]')}")
    return tuple(found)


def tmpfs(value: Any) -> dict[str, str]:
    """Options by path, of `/run:size=64m,mode=755`."""
    found = {}
    for entry in texts(value):
        path, _, options = entry.partition(":")
        found[absolute(path)] = options
    return found


def absolute(path: str) -> str:
    """A normal absolute path in a container."""
    if not path.startswith("/"):
        raise ComposeError(f"{path!r} is no absolute path")
    return posixpath.normpath("/" + path.lstrip("/"))


def inside(folder: Path, path: str) -> Path:
    """`path` from `folder`, which it may not leave, links followed."""
    found = Path(os.path.normpath(folder / path))
    if not found.resolve().is_relative_to(folder.resolve()):
        raise ComposeError(f"{path!r} lies outside the task's folder")
    return found


def volume(entry: Any, folder: Path) -> Volume | dict[str, str]:
    """One entry of `volumes`, or for `type: tmpfs` its options by path."""
    if isinstance(entry, Mapping):
        return _long_volume(entry, folder)
    source, target, options = "", scalar(entry), ""
    parts = target.split(":")
    if len(parts) > 1:
        source, target, options = parts[0], parts[1], ",".join(parts[2:])
    modes = set(filter(None, options.split(",")))
    if modes - {"ro", "rw", "z", "Z", "cached", "delegated", "consistent", "nocopy"}:
        raise ComposeError(f"{entry!r} has a mode that is not supported")
    return _volume(source, absolute(target), folder, read_only="ro" in modes)


def _long_volume(entry: Mapping[str, Any], folder: Path) -> Volume | dict[str, str]:
    known = {"type", "source", "src", "target", "dst", "destination", "read_only", "readonly", "consistency"}
    if left := sorted(set(entry) - known - {"bind", "volume", "tmpfs"}):
        raise ComposeError(f"{', '.join(left)} is not supported")
    if "subpath" in (entry.get("volume") or {}):
        raise ComposeError("volume.subpath is not supported")
    kind = scalar(entry.get("type", "volume"))
    source = scalar(entry.get("source", entry.get("src", "")))
    target = absolute(scalar(entry.get("target", entry.get("dst", entry.get("destination", "")))))
    read_only = flag(entry.get("read_only", entry.get("readonly", False)))
    if kind == "tmpfs":
        return {target: _tmpfs_options(entry.get("tmpfs") or {})}
    if kind == "bind":
        return _bind(source, target, folder, read_only=read_only)
    if kind == "volume":
        return Volume(target=target, name=source, read_only=read_only)
    raise ComposeError(f"type {kind} is not supported")


def _tmpfs_options(given: Mapping[str, Any]) -> str:
    options = []
    if "size" in given:
        options.append(f"size={byte_size(given['size'])}")
    if "mode" in given:
        text = scalar(given["mode"]).removeprefix("0o")
        try:
            mode = int(text, 8 if text.startswith("0") or text != scalar(given["mode"]) else 10)
        except ValueError:
            raise ComposeError(f"mode {text!r} is no number") from None
        options.append(f"mode={mode:o}")
    return ",".join(options)


def _volume(source: str, target: str, folder: Path, *, read_only: bool) -> Volume:
    if source.startswith((".", "/", "~")):
        return _bind(source, target, folder, read_only=read_only)
    return Volume(target=target, name=source, read_only=read_only)


def _bind(source: str, target: str, folder: Path, *, read_only: bool) -> Volume:
    """A folder or file of the task, whose content is copied in; nothing else of the host is."""
    if source.endswith(_HOST_SOCKETS):
        raise ComposeError(f"{source} would hand over the host")
    if source.startswith("~") or not source:
        raise ComposeError(f"{source!r} is no folder of the task")
    try:
        return Volume(target=target, source=inside(folder, source), read_only=read_only)
    except ComposeError:
        raise ComposeError(f"{source} is a folder of the host, which is never mounted") from None


def healthcheck(value: Any) -> Healthcheck:
    """A health check; a switched-off one has the test `NONE`."""
    if not isinstance(value, Mapping):
        raise ComposeError("it is no mapping")
    known = {"test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"}
    if left := sorted(set(value) - known):
        raise ComposeError(f"{', '.join(left)} is not supported")
    test = value.get("test")
    if flag(value.get("disable", False)) or test in (["NONE"], "NONE"):
        return Healthcheck(test=("NONE",))
    words = texts(test) if isinstance(test, list) else ("CMD-SHELL", scalar(test or ""))
    if len(words) < 2 or words[0] not in ("CMD", "CMD-SHELL") or not words[1]:
        raise ComposeError("its test is neither a text nor a list that begins with CMD or CMD-SHELL")
    return Healthcheck(
        test=words,
        interval=duration(value.get("interval") or "30s"),
        timeout=duration(value.get("timeout") or "30s"),
        retries=int(number(value.get("retries") or "3")),
        start_period=duration(value.get("start_period") or "0s"),
        start_interval=duration(value.get("start_interval") or "5s"),
    )
