"""Commands in a real container: their output, their limits, and nothing left of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from docker_fixtures import processes

from longcat_eval.protocols import ExecResult
from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

MIB = 1 << 20


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandboxes(docker_daemon: None) -> AsyncIterator[DockerSandboxes]:
    made = DockerSandboxes(agents=8)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandbox(sandboxes: DockerSandboxes, shell_image: str) -> DockerSandbox:
    """One for all: every command leaves it as it was, which is what is tested here."""
    return await sandboxes.start(shell_image, memory_bytes=256 << 20, pids=64, cpus=1)


async def test_a_command_and_its_answer(sandbox: DockerSandbox) -> None:
    done = await sandbox.exec("echo out; echo err >&2; exit 3", timeout=10)
    assert done._replace(seconds=0.0) == ExecResult(3, b"out\nerr\n", False, False)
    assert 0 <= done.seconds < 60


async def test_where_and_as_whom(sandbox: DockerSandbox) -> None:
    text = "pwd; id -u; echo $A; echo $TZ $PYTHONHASHSEED; set -o pipefail && echo bash"
    done = await sandbox.exec(text, timeout=10, cwd="/usr/bin", user="nobody", env={"A": "a b"})
    assert done.output == b"/usr/bin\n65534\na b\nUTC 0\nbash\n"
    done = await sandbox.exec("env; cat /proc/self/cmdline", timeout=10)
    assert b"report" not in done.output, "our wrapper shows in what an agent sees"


async def test_stdout_and_stderr_keep_their_order(sandbox: DockerSandbox) -> None:
    text = "set -x; for i in $(seq 60); do echo o$i; echo e$i >&2; done"
    expected = "".join(f"+ for i in $(seq 60)\n+ echo o{i}\no{i}\n+ echo e{i}\ne{i}\n" for i in range(1, 61))
    runs = await asyncio.gather(*(sandbox.exec(text, timeout=30) for _ in range(40)))
    wrong = [run.output for run in runs if run.output.decode().replace("++ seq 60\n", "") != expected]
    assert not wrong


async def test_bytes_come_as_they_are(sandbox: DockerSandbox) -> None:
    text = r"printf 'h\303\251llo \000\377\376\033[31m\r\n'; printf '龙猫'"
    done = await sandbox.exec(text, timeout=10)
    assert done.output == b"h\xc3\xa9llo \x00\xff\xfe\x1b[31m\r\n" + "龙猫".encode()


async def test_long_output_costs_no_memory(sandbox: DockerSandbox) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    await sandbox.exec("true", timeout=10)
    before, peak = resident(), 0
    running = asyncio.create_task(
        sandbox.exec("echo first; head -c 200000000 /dev/zero; echo; echo last", timeout=60)
    )
    while not running.done():
        await asyncio.sleep(0.02)
        peak = max(peak, resident())
    done = await running
    assert done.exit_code == 0
    assert done.output.startswith(b"first\n")
    assert done.output.endswith(b"\nlast\n")
    assert len(done.output) < 2.1 * MIB
    assert done.truncated_bytes == 200_000_000 + 12 - 2 * MIB
    assert b"%d bytes left out" % done.truncated_bytes in done.output
    assert peak - before < 40 * MIB


async def test_a_time_out_kills_the_whole_tree(sandbox: DockerSandbox) -> None:
    started = time.monotonic()
    done = await sandbox.exec("echo go; sleep 300 & setsid sleep 300; sleep 300", timeout=2)
    assert time.monotonic() - started < 60
    assert (done.timed_out, done.exit_code, done.output) == (True, 124, b"go\n")
    assert await processes(sandbox, "sleep") == 0
    assert (await sandbox.exec("echo usable", timeout=10)).output == b"usable\n"


async def test_what_hides_from_the_marker_is_found_too(sandbox: DockerSandbox) -> None:
    assert (await sandbox.exec("env -i setsid sleep 300 & sleep 9", timeout=1)).timed_out
    assert await processes(sandbox, "sleep") == 0


async def test_other_users_processes_are_found_too(sandbox: DockerSandbox) -> None:
    done = await sandbox.exec("setsid sleep 300 & sleep 300", timeout=1, user="nobody")
    assert done.timed_out
    assert await processes(sandbox, "sleep") == 0


async def test_a_time_out_spares_what_was_there_before(sandbox: DockerSandbox) -> None:
    await sandbox.exec("setsid env -i sleep 300 >/dev/null 2>&1 &", timeout=10)
    beside = asyncio.create_task(sandbox.exec("sleep 2; echo unharmed", timeout=20))
    await asyncio.sleep(0.5)
    assert (await sandbox.exec("sleep 300", timeout=1)).timed_out
    assert (await beside).output == b"unharmed\n"
    assert await processes(sandbox, "sleep") == 1
    await sandbox.restart()


async def test_a_command_that_ends_just_in_time_is_no_time_out(sandbox: DockerSandbox) -> None:
    done = await sandbox.exec("exit 124", timeout=5)
    assert (done.exit_code, done.timed_out) == (124, False)


async def test_what_runs_on_in_the_background_stays(sandbox: DockerSandbox) -> None:
    started = time.monotonic()
    done = await sandbox.exec("sleep 300 & echo started", timeout=10)
    assert done.output == b"started\n"
    assert time.monotonic() - started < 60
    assert await processes(sandbox, "sleep") == 1
    await sandbox.restart()
    assert await processes(sandbox, "sleep") == 0


async def test_a_cancelled_command_leaves_nothing(sandbox: DockerSandbox) -> None:
    running = asyncio.create_task(sandbox.exec("setsid sleep 300 & sleep 300", timeout=300))
    await asyncio.sleep(0.7)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await processes(sandbox, "sleep") == 0


async def test_a_fork_bomb_is_contained(sandbox: DockerSandbox) -> None:
    await sandbox.exec(":(){ :|:& };:", timeout=1)
    done = await sandbox.exec("echo usable", timeout=10)
    assert done.output == b"usable\n"
    assert await processes(sandbox, "bash") <= 1


async def test_a_fork_bomb_in_the_foreground_ends_at_its_time(sandbox: DockerSandbox) -> None:
    started = time.monotonic()
    await sandbox.exec("f() { f | f; }; f", timeout=2)
    assert time.monotonic() - started < 90
    assert (await sandbox.exec("echo usable", timeout=10)).output == b"usable\n"


async def test_memory_is_bounded_and_told_apart(sandbox: DockerSandbox) -> None:
    done = await sandbox.exec("head -c 1G /dev/zero | tail >/dev/null", timeout=60)
    assert done.out_of_memory
    assert not done.timed_out
    assert done.exit_code == 137
    done = await sandbox.exec("kill -9 $$", timeout=10)
    assert (done.exit_code, done.out_of_memory) == (137, False)


async def test_a_file_is_bounded(sandboxes: DockerSandboxes, shell_image: str) -> None:
    small = await sandboxes.start(shell_image, file_bytes=10 * MIB)
    done = await small.exec("head -c 50M /dev/zero >/big; stat -c %s /big", timeout=30)
    assert done.output.splitlines()[-1] == b"%d" % (10 * MIB)


async def test_no_privileges_no_network(sandbox: DockerSandbox) -> None:
    status = (await sandbox.exec("cat /proc/self/status", timeout=10)).output.decode()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["NoNewPrivs"] == "1"
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0xEB
    done = await sandbox.exec("exec 3<>/dev/tcp/1.1.1.1/53", timeout=10)
    assert b"Network is unreachable" in done.output
    assert (await sandbox.exec("ls /sys/class/net", timeout=10)).output.split() == [b"lo"]
    assert (await sandbox.exec("test -e /var/run/docker.sock", timeout=10)).exit_code == 1


async def test_network_where_it_is_asked_for(sandboxes: DockerSandboxes, shell_image: str) -> None:
    online = await sandboxes.start(shell_image, network=True)
    assert b"eth0" in (await online.exec("ls /sys/class/net", timeout=10)).output


@pytest.mark.parametrize("command", ["kill -9 -1", "kill -9 $PPID", "pkill -9 sleep"])
async def test_a_command_that_ends_its_own_container(sandbox: DockerSandbox, command: str) -> None:
    await sandbox.put("/kept", b"kept")
    await sandbox.exec(command, timeout=10)
    assert (await sandbox.exec("cat /kept", timeout=10)).output == b"kept"


async def test_odd_commands(sandbox: DockerSandbox) -> None:
    long = "x" * 300_000
    done = await sandbox.exec(f"cat <<'END' | wc -c\n{long}\nEND", timeout=20)
    assert done.output.strip() == b"300001"
    assert (await sandbox.exec("echo a\0b", timeout=10)).exit_code == 126
    done = await sandbox.exec("echo x", timeout=10, cwd="/not/there")
    assert done.exit_code == 1
    assert b"/not/there" in done.output
    assert (await sandbox.exec("sleep 5", timeout=0)).timed_out
    assert (await sandbox.exec("cat; echo end", timeout=10)).output == b"end\n", "standard input is empty"


async def test_an_agent_that_deletes_the_shell(sandboxes: DockerSandboxes, shell_image: str) -> None:
    sandbox = await sandboxes.start(shell_image)
    await sandbox.exec("rm -f /bin/sh /bin/dash /bin/bash", timeout=10)
    done = await sandbox.exec("echo x", timeout=10)
    assert done.exit_code in (126, 127)
    assert b"/bin/sh" in done.output


async def test_commands_wait_for_a_slot_and_the_loop_runs_on(docker_daemon: None, shell_image: str) -> None:
    few = DockerSandboxes(agents=2, execs=1)
    try:
        one = await few.start(shell_image)
        ticks, started = 0, time.monotonic()
        both = asyncio.gather(one.exec("sleep 0.6", timeout=10), one.exec("sleep 0.6", timeout=1))
        while not both.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert time.monotonic() - started > 1.2
        assert ticks > 60, "the event loop was blocked"
        assert not any(done.timed_out for done in await both), "waiting for a slot is not the command's time"
    finally:
        await few.close()


async def test_busybox_times_out_as_well(sandboxes: DockerSandboxes, busybox_image: str) -> None:
    bare = await sandboxes.start(busybox_image)
    done = await bare.exec("sleep 300 & setsid sleep 300; sleep 300", timeout=1)
    assert (done.timed_out, done.exit_code) == (True, 124)
    assert done.seconds < 60
    assert await processes(bare, "sleep") == 0
    assert (await bare.exec("echo out; echo err >&2; exit 4", timeout=5)).exit_code == 4
