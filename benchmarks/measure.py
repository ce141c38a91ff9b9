"""What a whole process costs: CPU seconds, wall seconds and peak memory, as the kernel counted them."""

import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PATIENCE = 20.0
"""Runs that take longer than this many seconds are measured once; a median of three would take minutes."""


class Cost(NamedTuple):
    """One process from start to end. `cpu` is user + system time of it and of the children it waited for.

    `peak_mb` is the largest resident set of any one of these processes, in 10^6 bytes. `output` is stdout
    and stderr together.
    """

    cpu: float
    wall: float
    peak_mb: float
    output: str
    runs: int = 1


def environment(home: Path) -> dict[str, str]:
    """The same bare environment for every tool: no proxy on the way to loopback, no user configuration."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "NO_PROXY": "127.0.0.1",
        "HF_HOME": str(home / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "TMPDIR": str(home),
        "OPENAI_API_KEY": "none",
    }


def measure(argv: Sequence[str], env: Mapping[str, str], *, cwd: Path) -> Cost:
    """Run a command to its end; raises `RuntimeError` with its output if it fails."""
    with tempfile.TemporaryFile() as file:
        start = time.perf_counter()
        process = subprocess.Popen(
            argv, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        file.seek(0)
        output = file.read().decode(errors="replace")
    if process.returncode:
        raise RuntimeError(f"{' '.join(argv)} ended with {process.returncode}:\n{output[-4000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024 / 1e6, output)


def repeat(once: Callable[[], Cost], runs: int) -> Cost:
    """Medians over `runs` measurements, or over one if the first takes longer than `PATIENCE`."""
    costs = [once()]
    if costs[0].wall <= PATIENCE:
        costs += [once() for _ in range(runs - 1)]
    cpu, wall, peak_mb = (statistics.median(values) for values in list(zip(*costs, strict=True))[:3])
    return Cost(cpu, wall, peak_mb, costs[-1].output, len(costs))


def cpu_seconds(pid: int) -> float:
    """CPU time a running process has used so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load_average() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]


def machine() -> str:
    """The machine in words: processor, cores this process may use, system, Python."""
    cores = len(os.sched_getaffinity(0))
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    processor = names[0].partition(":")[2].strip() if names else platform.machine()
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{processor}, {cores} cores, {system}"
