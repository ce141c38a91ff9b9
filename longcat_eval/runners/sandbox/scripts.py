"""The shell texts that run inside a sandbox: around a command, before the first one, and after a time-out.

They stand on POSIX shell builtins alone where it matters: in a container that has used up its process ids
nothing can be forked any more.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

MARKER = "LCEVAL_EXEC"
"""Environment variable that everything a command starts inherits; its value is the command's own."""

KILL_AFTER_SECONDS = 5
LONGEST_ARGUMENT = 100_000
"""Bytes; the kernel refuses an argument over 128 KiB."""

TimeoutKind = Literal["exact", "whole", "old", "none"]
"""The image's `timeout`: takes fractions and -k; whole seconds and -k; busybox before 1.30; there is none."""

_REPORT = """
report() {
  read -r up _ </proc/uptime; oom=0
  for f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r "$f" ] && while read -r k v; do [ "$k" = oom_kill ] && oom=$v; done <"$f"
  done
  echo "$1 $up $oom" >&2
}
"""

PROCESSES_NEEDED = 16

WRAPPER = (
    _REPORT
    + f"""
unset LCEVAL_WRAPPER
dir=$1; shift
report begin
for d in /sys/fs/cgroup /sys/fs/cgroup/pids; do
  if [ -r $d/pids.max ] && read -r most <$d/pids.max && read -r now <$d/pids.current &&
     [ "$most" != max ] && [ $((most - now)) -lt {PROCESSES_NEEDED} ]; then exit 75; fi
done
if [ -n "$dir" ] && ! cd -- "$dir" 2>&1; then report "end 1"; exit 1; fi
"$@" 2>&1
report "end $?"
"""
)
"""Joins stderr to stdout, so that lines keep their order; its own stderr carries two reports beside them:
`begin <uptime> <oom kills>` and `end <exit code> <uptime> <oom kills>`. It comes in a variable, which it
drops at once: as an argument it would fill every `ps` that an agent looks at. Where earlier commands left
hardly a process id, it runs nothing and makes no second report."""
WRAPPER_VARIABLE = "LCEVAL_WRAPPER"

COUNT_OOM = _REPORT + "report now 2>&1\n"

OPEN_STREAM = """
exec 2>&1
read -r up _ </proc/uptime; echo "$up"
if [ -n "$1" ]; then cd -- "$1" || exit 1; fi
shift
exec "$@"
"""
"""The first line of a stream is the uptime at its start."""

PROBE = """
s=$(command -v bash || command -v sh)
if timeout -k 0.1 0.5 true; then t=exact
elif timeout -k 1 1 true; then t=whole
elif timeout -t 1 true; then t=old
else t=none
fi 2>/dev/null
echo "$s $t"
"""

SWEEP = f"""
exec 2>/dev/null
marker=$1 since=$2
each() {{
  sig=$1 n=0
  set +f; set -- /proc/[0-9]*; set -f
  for d in "$@"; do
    p=${{d#/proc/}}
    if [ "$p" = 1 ] || [ "$p" = $$ ]; then continue; fi
    s=; l=
    while read -r l || [ -n "$l" ]; do s="$s $l"; l=; done <"$d/stat" || continue
    set -- ${{s##*) }}
    case $sig$1 in *Z | *X | STOPT | STOPt) continue;; esac
    shift 19 || continue
    [ -n "$since" ] && [ "$1" -lt "$since" ] && continue
    mine=; l=
    while read -r l || [ -n "$l" ]; do
      case $l in
        *"{MARKER}=$marker"*) mine=yes;;
        *"{MARKER}="*) mine=no;;
      esac
      l=
    done <"$d/environ"
    if [ "$mine" = yes ] || {{ [ -z "$mine" ] && [ -n "$since" ]; }}; then
      kill -"$sig" "$p"; n=$((n + 1))
    fi
  done
}}
i=0
while [ $i -lt 10 ]; do each STOP; [ $n = 0 ] && break; i=$((i + 1)); done
i=0
while [ $i -lt 40 ]; do each KILL; [ $n = 0 ] && break; i=$((i + 1)); done
echo "$n"
"""
"""Kills what a command left: $1 its marker, $2 its start in hundredths of a second of uptime. Of what started
since then, all goes but what carries another command's marker: `env -i` and `su` drop the marker, and the
environment of another user's process cannot be read. Stopped first, a fork bomb cannot outrun the kills.
Prints how many would not die."""


class Shell(NamedTuple):
    """What an image offers to run a command with."""

    path: str
    timeout: TimeoutKind


def read_probe(output: bytes) -> Shell | None:
    """The answer to `PROBE`, or None if the image did not give one."""
    path, _, kind = output.decode("utf-8", "replace").strip().partition(" ")
    known: tuple[TimeoutKind, ...] = ("exact", "whole", "old", "none")
    return next((Shell(path, k) for k in known if k == kind and path), None)


def wrapped(shell: Shell, command: Sequence[str], seconds: float, cwd: str | None) -> list[str]:
    """The argument list that runs `command` (as given to the shell) under the image's `timeout`.

    The environment must hold `WRAPPER` as `WRAPPER_VARIABLE`.
    """
    limit: dict[TimeoutKind, list[str]] = {
        "exact": ["timeout", "-k", str(KILL_AFTER_SECONDS), f"{seconds:.3f}"],
        "whole": ["timeout", "-k", str(KILL_AFTER_SECONDS), str(math.ceil(seconds))],
        "old": ["timeout", "-t", str(math.ceil(seconds))],
        "none": [],
    }
    return [
        "/bin/sh",
        "-c",
        f'eval "${WRAPPER_VARIABLE}"',
        "sh",
        cwd or "",
        *limit[shell.timeout],
        shell.path,
        *command,
    ]


def centiseconds(uptime: str) -> str:
    """`12.34` of /proc/uptime as the kernel's ticks of a process's start (100 a second on Linux)."""
    seconds, _, rest = uptime.partition(".")
    return str(int(seconds + rest[:2].ljust(2, "0"))) if seconds.isdecimal() else ""
