"""Worker processes: results, the four ways to fail, replacement, and no process left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longcat_eval.protocols import WorkerError
from longcat_eval.runners.workers import WorkerPool

MIB = 1 << 20


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(1, memory_bytes=256 * MIB, seconds=1.0)
    yield pool
    await pool.close()


def exists(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def reason_of(pool: WorkerPool, function: str, *args: object) -> str:
    with pytest.raises(WorkerError) as caught:
        await pool.call(function, *args)
    return caught.value.reason


async def test_a_call_returns_the_result_and_the_process_is_kept(pool: WorkerPool) -> None:
    assert await pool.call("operator:add", 2, 3) == 5
    first = await pool.call("os:getpid")
    assert first != os.getpid()
    assert await pool.call("os:getpid") == first


async def test_nothing_is_started_before_the_first_call() -> None:
    pool = WorkerPool(4)
    assert not pool._alive
    await pool.close()


async def test_a_call_past_its_seconds_is_killed_and_the_next_one_works(pool: WorkerPool) -> None:
    before = await pool.call("os:getpid")
    started = time.monotonic()
    assert await reason_of(pool, "time:sleep", 60) == "timeout"
    assert time.monotonic() - started < 5
    assert not exists(before)
    assert await pool.call("os:getpid") != before


async def test_memory_is_capped_and_the_worker_replaced(pool: WorkerPool) -> None:
    before = await pool.call("os:getpid")
    assert await reason_of(pool, "builtins:bytearray", 512 * MIB) == "memory"
    assert await pool.call("os:getpid") != before


async def test_a_crash_is_told_apart_and_survived(pool: WorkerPool) -> None:
    assert await reason_of(pool, "os:abort") == "crash"
    assert await reason_of(pool, "os:_exit", 0) == "crash"
    assert await pool.call("operator:add", 1, 1) == 2


async def test_an_exception_is_an_error_and_the_process_stays(pool: WorkerPool) -> None:
    before = await pool.call("os:getpid")
    assert await reason_of(pool, "operator:truediv", 1, 0) == "error"
    assert await reason_of(pool, "no_such_module:f") == "error"
    assert await reason_of(pool, "builtins:object") == "error"  # msgpack cannot carry it back
    assert await pool.call("os:getpid") == before


async def test_printing_and_reading_do_not_disturb_the_frames(pool: WorkerPool) -> None:
    assert await pool.call("builtins:print", "x" * 100_000) is None
    assert await pool.call("os:write", 1, b"\x00\x00\x00\x01junk") == 8
    assert await pool.call("os:read", 0, 10) == b""
    assert await pool.call("operator:mul", "ab", 2) == "abab"


async def test_large_arguments_and_results_pass(pool: WorkerPool) -> None:
    assert await pool.call("operator:add", "答" * 200_000, "x") == "答" * 200_000 + "x"


async def test_signal_alarm_works_because_calls_run_in_the_main_thread(pool: WorkerPool) -> None:
    assert await pool.call("signal:alarm", 0) == 0
    assert await pool.call("signal:setitimer", int(signal.ITIMER_REAL), 0) is not None


async def test_size_bounds_the_processes_and_calls_run_side_by_side() -> None:
    pool = WorkerPool(2, seconds=10)
    await asyncio.gather(*(pool.call("os:getpid") for _ in range(2)))
    started = time.monotonic()
    pids = await asyncio.gather(*(pool.call("os:getpid") for _ in range(20)))
    await asyncio.gather(pool.call("time:sleep", 0.5), pool.call("time:sleep", 0.5))
    assert time.monotonic() - started < 0.95
    assert len(set(pids)) <= 2
    await pool.close()


async def test_a_cancelled_call_takes_its_process_with_it(pool: WorkerPool) -> None:
    before = await pool.call("os:getpid")
    call = asyncio.create_task(pool.call("time:sleep", 60))
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not exists(before)
    assert await pool.call("operator:add", 1, 1) == 2


async def test_close_kills_idle_and_busy_workers_and_later_calls_fail() -> None:
    pool = WorkerPool(2)
    pids = await asyncio.gather(*(pool.call("os:getpid") for _ in range(2)))
    busy = asyncio.create_task(pool.call("time:sleep", 60))
    await asyncio.sleep(0.05)
    await pool.close()
    with pytest.raises(WorkerError):
        await busy
    assert not any(exists(pid) for pid in pids)
    assert await reason_of(pool, "os:getpid") == "error"


async def test_keys_of_the_user_are_not_in_a_worker(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("HF_TOKEN", "hf-1")
    monkeypatch.setenv("KEPT", "yes")
    seen = [await pool.call("os:getenv", name) for name in ("OPENAI_API_KEY", "HF_TOKEN", "KEPT")]
    assert seen == [None, None, "yes"]


async def test_a_worker_that_cannot_start_is_an_error_not_a_wrong_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    pool = WorkerPool(1)
    assert await reason_of(pool, "os:getpid") == "error"
    await pool.close()


PARENT = """
import asyncio, sys
from longcat_eval.runners.workers import WorkerPool

async def main():
    pool = WorkerPool(2)
    print(*await asyncio.gather(*(pool.call("os:getpid") for _ in range(2))), flush=True)
    await pool.call("time:sleep", 60)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is of Linux")
def test_workers_die_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(exists(pid) for pid in pids)
        parent.kill()
    deadline = time.monotonic() + 5
    while any(exists(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(exists(pid) for pid in pids)
