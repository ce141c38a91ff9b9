"""Long-lived processes in a real container."""

import asyncio

import pytest
from docker_fixtures import processes

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.sandbox.stream import ExecStream

pytestmark = pytest.mark.docker


async def read_until(stream: ExecStream, mark: bytes) -> bytes:
    seen = b""
    async with asyncio.timeout(20):
        while mark not in seen:
            data = await stream.read()
            assert data, seen
            seen += data
    return seen


async def test_a_terminal_answers_line_by_line(sandbox: DockerSandbox) -> None:
    shell = await sandbox.open_stream(["bash", "--norc", "-i"], tty=True, env={"PS1": "> ", "TERM": "dumb"})
    await read_until(shell, b"> ")
    for n in range(50):
        await shell.send(b"echo $((%d+1000))\n" % n)
        await read_until(shell, b"%d\r\n" % (n + 1000))
    await shell.close()


async def test_a_terminal_has_a_size_and_interrupts(sandbox: DockerSandbox) -> None:
    shell = await sandbox.open_stream(["bash", "--norc"], tty=True, cwd="/usr", env={"TERM": "dumb"})
    await read_until(shell, b"# ")
    await shell.resize(33, 99)
    await shell.send(b"until stty size | grep '33 99'; do sleep 0.1; done; pwd; echo rea''dy\n")
    said = await read_until(shell, b"ready")
    assert b"\n33 99" in said
    assert b"/usr" in said
    await shell.send(b"sleep 300; echo code=$?\n")
    await asyncio.sleep(0.3)
    await shell.send(b"\x03echo after=$((1+1))\n")
    await read_until(shell, b"after=2")
    await shell.send(b"exit 7\n")
    while await shell.read():
        pass
    assert await shell.exit_code() == 7


async def test_a_pipe_is_clean_both_ways(sandbox: DockerSandbox) -> None:
    content = bytes(range(256)) * 8000
    cat = await sandbox.open_stream(["cat"])

    async def write() -> None:
        await cat.send(content)
        await cat.finish()

    writing, got = asyncio.create_task(write()), b""
    while data := await cat.read():
        got += data
    await writing
    assert got == content
    assert await cat.exit_code() == 0


async def test_closing_ends_what_it_started_and_nothing_else(sandbox: DockerSandbox) -> None:
    other = await sandbox.open_stream(["cat"])
    shell = await sandbox.open_stream(["bash", "-c", "sleep 300 & setsid sleep 300 & wait"], user="nobody")
    await asyncio.sleep(0.5)
    assert await processes(sandbox, "sleep") == 2
    await shell.close()
    await shell.close()
    assert await processes(sandbox, "sleep") == 0
    await other.send(b"still here\n")
    assert await read_until(other, b"\n") == b"still here\n"


async def test_a_time_out_beside_it_does_no_harm(sandbox: DockerSandbox) -> None:
    shell = await sandbox.open_stream(["bash", "--norc"], tty=True, env={"TERM": "dumb"})
    slow = asyncio.create_task(sandbox.exec("sleep 300", timeout=1))
    await asyncio.sleep(0.5)
    await shell.send(b"(sleep 2; echo child=$((2+2))) &\n")
    assert (await slow).timed_out
    await read_until(shell, b"child=4")


async def test_a_program_that_is_not_there(sandbox: DockerSandbox) -> None:
    stream = await sandbox.open_stream(["no-such-program"])
    assert b"not found" in await read_until(stream, b"found")
    assert await stream.exit_code() == 127
    await sandbox.stop()
    with pytest.raises(SandboxError) as caught:
        await sandbox.open_stream(["cat"])
    assert caught.value.reason == "container_lost"
