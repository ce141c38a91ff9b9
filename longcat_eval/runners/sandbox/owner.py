"""Who owns a container: the process that started it, told apart from every other process there ever was.

A container whose owner is dead can be removed by anyone; one whose owner lives is never touched.
"""

import hashlib
import os
import socket
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

PREFIX = "lceval."
RUN, KIND, NAME = f"{PREFIX}run", f"{PREFIX}kind", f"{PREFIX}name"
HOST, OWNER, DEADLINE = f"{PREFIX}host", f"{PREFIX}owner", f"{PREFIX}deadline"
ALL = (RUN, KIND, NAME, HOST, OWNER, DEADLINE)

FOREIGN_GRACE_SECONDS = 3600.0
"""How long past its deadline a container of another machine is left alone: clocks differ."""


@lru_cache(maxsize=1)
def host_id() -> str:
    """This machine, by machine id and host name: clones share the one, containers the other."""
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        machine = ""
    return hashlib.sha256(f"{machine}/{socket.gethostname()}".encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def space_id() -> str:
    """Where a process id means something: this boot of the kernel and this process-id namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return "no-proc"


def started(pid: int) -> str | None:
    """When process `pid` started, as text that only it has; None if there is no such process."""
    if Path("/proc/self").is_dir():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        state, *fields = stat.rpartition(")")[2].split()
        return None if state in "ZX" else fields[18]
    found = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip().replace(" ", "_") or None


def own_labels(run: str, kind: str, name: str, deadline: float) -> dict[str, str]:
    """The labels of a container that this process starts; `deadline` is in seconds since the epoch."""
    pid = os.getpid()
    owner = f"{space_id()}|{pid}|{started(pid)}"
    values = (run, kind, name, host_id(), owner, str(int(deadline)))
    return dict(zip(ALL, values, strict=True))


def abandoned(labels: Mapping[str, str], now: float) -> str:
    """Why a container with these labels may be removed, or an empty string.

    Its deadline passed, or its owner is dead: that can be said only of this machine's processes, and of
    another process-id namespace of the same boot not at all.
    """
    owner, deadline = labels.get(OWNER, ""), labels.get(DEADLINE, "")
    if not owner or not deadline.isdecimal():
        return ""
    ours = labels.get(HOST) == host_id()
    if now > int(deadline) + (0 if ours else FOREIGN_GRACE_SECONDS):
        return "deadline passed"
    space, _, process = owner.partition("|")
    pid, _, start = process.partition("|")
    if not ours or not pid.isdecimal():
        return ""
    if space != space_id():
        return "machine restarted" if space.split("/")[0] != space_id().split("/")[0] else ""
    return "" if started(int(pid)) == start else "owner is gone"
