"""Who runs on a terminal: a sandbox's process table, and what of it is the foreground job."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

SHELLS = frozenset(["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "busybox"])
LINE_EDITORS = frozenset(["bash", "zsh", "fish"])
"""Shells that take the terminal out of line mode while they wait for a command, and then alone."""
PTS_MAJOR = 136
FORKED = 0x40
"""PF_FORKNOEXEC of the kernel's include/linux/sched.h."""
DEAD = frozenset("ZXx")


class Process(NamedTuple):
    """Fields of /proc/PID/stat; `foreground` is the foreground group of its terminal. `args` only of
    shells."""

    pid: int
    name: str
    state: str
    parent: int
    group: int
    session: int
    foreground: int
    terminal: int = 0
    forked: bool = False
    args: tuple[str, ...] = ()

    @property
    def tty(self) -> str:
        """Its pseudo-terminal's name; empty if it has none. Numbers: tty_nr in proc(5)."""
        major, minor = self.terminal >> 8 & 0xFFF, self.terminal & 0xFF | self.terminal >> 12 & 0xFFF00
        return f"/dev/pts/{minor}" if major == PTS_MAJOR else ""

    @property
    def reads_commands(self) -> bool:
        """Whether it is a shell that asks for commands, and not one that runs a script."""
        options = self.args[1:]
        return self.name in SHELLS and not self.forked and not any(_of_script(o) for o in options)


def _of_script(option: str) -> bool:
    return not option.startswith("-") or (not option.startswith("--") and "c" in option)


def read_process(stat: str, args: str = "") -> Process | None:
    """A line of /proc/PID/stat, or None if it is none: the process has just gone."""
    head, closed, tail = stat.rpartition(")")
    pid, opened, name = head.partition("(")
    fields = tail.split()
    if not (closed and opened and len(fields) >= 7 and pid.strip().isdecimal()):
        return None
    parent, group, session, terminal, foreground, flags = (int(field) for field in fields[1:7])
    forked, words = bool(flags & FORKED), tuple(args.split())
    name = name.strip()
    return Process(int(pid), name, fields[0], parent, group, session, foreground, terminal, forked, words)


def read_table(lines: Iterable[str]) -> dict[int, Process]:
    """Lines of `stat TAB args`; the dead are left out."""
    found = (read_process(*line.split("\t", 1)) for line in lines)
    return {process.pid: process for process in found if process and process.state not in DEAD}


def reader(table: Mapping[int, Process], shell: int) -> int | None:
    """Which shell takes what is typed, or will when the foreground job ends; None if there is none left."""
    if shell not in table:
        return None
    members = _members(table, shell)
    for member in sorted(members, key=lambda p: p.pid != p.group):
        for process in _upwards(table, member, shell):
            if process.reads_commands:
                return process.pid
        break
    return shell


def foreground_job(table: Mapping[int, Process], shell: int) -> set[int]:
    """The processes that go on because of what was typed, without the terminal's own shell.

    The foreground group, the shells and wrappers between it and the terminal's shell with their groups, and
    what the group started in groups of its own (`timeout` does). Not what was put in the background, there
    or in a shell in between, and not what has a session of its own.
    """
    if shell not in table:
        return set()
    session, own_group = table[shell].session, table[shell].group
    found = {process.pid for process in _members(table, shell)}
    chain = {p.pid for pid in found for p in _upwards(table, table[pid], shell)} - {shell}
    groups = {table[pid].group for pid in chain} - {own_group}
    found |= chain | {p.pid for p in table.values() if p.group in groups and p.session == session}
    while True:
        more = {
            p.pid
            for p in table.values()
            if p.pid not in found
            and p.session == session
            and p.parent in found
            and not table[p.parent].reads_commands
        }
        if not more:
            return found - {shell}
        found |= more


def _members(table: Mapping[int, Process], shell: int) -> list[Process]:
    """The foreground group of the shell's terminal, if that is not its own nor of what started it.

    A shell that ends can give the terminal back to the group that its first ancestor had it from.
    """
    foreground, session = table[shell].foreground, table[shell].session
    if any(process.group == foreground for process in _upwards(table, table[shell], 0)):
        return []
    return [p for p in table.values() if p.group == foreground and p.session == session]


def _upwards(table: Mapping[int, Process], process: Process, last: int) -> Iterable[Process]:
    """The process, its parent and so on, up to `last` and without leaving its session."""
    seen: set[int] = set()
    session = process.session
    while process.pid not in seen and process.session == session:
        yield process
        seen.add(process.pid)
        if process.pid == last or process.parent not in table:
            return
        process = table[process.parent]
