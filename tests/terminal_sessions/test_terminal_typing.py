"""What is typed arrives, in terminals of both kinds in real containers."""

import asyncio
import hashlib

import pytest
from terminal_seeing import content, see

from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.terminal.open import open_terminal
from longcat_eval.runners.terminal.session import COLUMNS, ROWS, Terminal

DROPPED = 70_000
"""Bytes in the kernel's queues of a terminal, which an interrupt empties."""

pytestmark = pytest.mark.docker

READ_RAW = """
import sys, termios, tty
state = termios.tcgetattr(0)
tty.setraw(0)
print("ready", end="\\r\\n", flush=True)
got = b""
while not got.endswith(b"<end>"):
    got += sys.stdin.buffer.raw.read(1 << 16)
termios.tcsetattr(0, termios.TCSANOW, state)
open("/tmp/got", "wb").write(got[:-5])
"""


async def received(terminal: Terminal, machine: DockerSandbox, keys: list[str]) -> bytes:
    await machine.put("/tmp/read.py", READ_RAW.encode())
    await terminal.send(["clear; rm -f /tmp/got; python3 /tmp/read.py", "Enter"])
    await see(terminal, "ready")
    await terminal.send([*keys, "<end>"])
    return await content(machine, "/tmp/got")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["-x"], b"-x"),
        (["a;"], b"a;"),
        ([";", "-l", "--", "-"], b";-l---"),
        (["""'"`$HOME #{pane_id} %0 \\n ~ {x} !!"""], b"""'"`$HOME #{pane_id} %0 \\n ~ {x} !!"""),
        (["two\nlines\n"], b"two\nlines\n"),
        (["tab\there", "\r"], b"tab\there\r"),
        (["h\u00e9 \u4e2d\u6587 \U0001f600 e\u0301"], "h\u00e9 \u4e2d\u6587 \U0001f600 e\u0301".encode()),
        (["nul\0gone", "half\ud800", ""], b"nulgonehalf?"),
        (["C-c", "c-D", "^Z", "Enter", "Escape"], b"\x03\x04\x1a\r\x1b"),
        (["Up", "S-Left", "M-x", "F1", "F12", "NPage"], b"\x1b[A\x1b[1;2D\x1bx\x1bOP\x1b[24~\x1b[6~"),
        (["Enter\n", " Enter", "C-cc", "enter"], b"Enter\n EnterC-cc\r"),
        (["\x03\x1b[A"], b"\x03\x1b[A"),
        (["x" * 2001, "C-" + "-" * 2500, "C-c"], b"x" * 2001 + b"C-" + b"-" * 2500 + b"\x03"),
    ],
)
async def test_keys_and_text_arrive_as_they_are(
    terminal: Terminal, machine: DockerSandbox, keys: list[str], expected: bytes
) -> None:
    assert await received(terminal, machine, keys) == expected


async def test_a_megabyte_of_heredoc_arrives_whole(terminal: Terminal, machine: DockerSandbox) -> None:
    lines = "".join(f"{n:06d} $HOME `x` \u4e2d {'=' * 75}\n" for n in range(11_000))
    assert len(lines.encode()) > 1 << 20
    assert await terminal.run(f"cat >/tmp/big <<'EOF'\n{lines}EOF", 120)
    assert hashlib.sha256(await machine.get("/tmp/big")).digest() == hashlib.sha256(lines.encode()).digest()
    part = lines[:100_000]
    await terminal.send([f"cat >/tmp/part <<'EOF'\n{part}\nEOF\n"])
    assert await terminal.run("cp /tmp/part /tmp/same", 120)
    assert await machine.get("/tmp/same") == f"{part}\n".encode()


async def test_an_interrupt_ends_a_program(terminal: Terminal, machine: DockerSandbox) -> None:
    await terminal.send(["sleep 1000; echo code=$? >/tmp/code", "Enter"])
    await asyncio.sleep(0.5)
    await terminal.send(["C-c"])
    assert await terminal.run("echo code=$? >/tmp/code", 60)
    assert await machine.get("/tmp/code") == b"code=130\n"


async def test_an_interrupt_does_not_wait_behind_text_that_nobody_reads(
    terminal: Terminal, machine: DockerSandbox
) -> None:
    await terminal.send(["sleep 1000", "Enter"])
    await asyncio.sleep(0.5)
    await terminal.send(["echo never >>/tmp/never\n" * 40_000])
    await terminal.send(["C-c"])
    assert await terminal.run("echo back >/tmp/back", 60)
    assert await content(machine, "/tmp/back") == b"back\n"
    with pytest.raises(FileNotFoundError):
        await machine.get("/tmp/never")


async def test_an_interrupt_waits_behind_text_that_is_read(
    terminal: Terminal, machine: DockerSandbox
) -> None:
    lines = "0123456789 0123456789\n" * 40_000
    await terminal.send(["cat >/tmp/all", "Enter"])
    await terminal.send([lines])
    await terminal.send(["C-c"])
    await see(terminal, "^C")
    await asyncio.sleep(0.5)  # what comes too close behind an interrupt the dying program may still read
    assert await terminal.run("wc -c </tmp/all >/tmp/count", 120)
    assert int(await machine.get("/tmp/count")) >= len(lines) - DROPPED


async def test_vim_edits_a_file(terminal: Terminal, machine: DockerSandbox) -> None:
    if (await machine.exec("command -v vim.basic", timeout=20)).exit_code:
        pytest.skip("no vim on this machine (apt-get install vim)")
    await terminal.send(["echo before; vim.basic -u NONE /tmp/note", "Enter"])
    await see(terminal, "~\n~\n")
    await terminal.send(["i", "first", "Enter", "second;", "Escape"])
    screen = await see(terminal, "second;")
    assert screen.startswith("first\nsecond;\n~\n")
    await terminal.send(["k", "0", "x", ":wq", "Enter"])
    assert await content(machine, "/tmp/note") == b"irst\nsecond;\n"
    assert "before" in await see(terminal, "before"), "the first screen is there again"


async def test_a_full_screen_program_reads_keys(terminal: Terminal, machine: DockerSandbox) -> None:
    program = (
        "import curses\n"
        "def main(w):\n"
        "    seen = []\n"
        "    while (k := w.getch()) != ord('q'):\n"
        "        seen.append(curses.keyname(k).decode())\n"
        "        w.erase(); w.addstr(20, 100, '<' + ' '.join(seen) + '>'); w.addstr(39, 0, 'last')\n"
        "        w.refresh()\n"
        "curses.wrapper(main)\n"
    )
    await machine.put("/tmp/full.py", program.encode())
    await terminal.send(["echo before; python3 /tmp/full.py", "Enter"])
    await asyncio.sleep(0.5)
    await terminal.send(["Down", "F2", "x", "C-a", "Left"])
    rows = (await see(terminal, "KEY_LEFT>")).splitlines()
    assert rows[20] == " " * 100 + "<KEY_DOWN KEY_F(2) x ^A KEY_LEFT>"
    assert rows[39] == "last"
    await terminal.send(["q"])
    assert "KEY_LEFT" not in await see(terminal, "before")


async def test_it_is_a_login_shell_of_the_right_size_without_traces(
    machine: DockerSandbox, terminal: Terminal
) -> None:
    done = (
        "(shopt -q login_shell && echo login; stty size; echo ${TMUX-none} ${TMUX_PANE-none}; pwd) >/tmp/is"
    )
    assert await terminal.run(done, 60)
    said = (await machine.get("/tmp/is")).decode()
    assert said == f"login\n{ROWS} {COLUMNS}\nnone none\n/\n"
    assert len((await terminal.screen()).splitlines()) == ROWS


@pytest.mark.parametrize("kind", ["tmux", "pty"])
async def test_another_user_in_another_folder(machine: DockerSandbox, kind: str) -> None:
    opened = await open_terminal(
        machine,
        user="nobody",
        cwd="/usr/lib",
        env={"COLOUR": "blue"},
        kind=kind,  # type: ignore[arg-type]
    )
    assert await opened.run("echo $(id -un) $PWD $COLOUR >/tmp/who", 60)
    assert await content(machine, "/tmp/who") == b"nobody /usr/lib blue\n"
    await opened.send(["sleep 1000", "Enter"])
    await asyncio.sleep(0.3)
    assert await opened.end_foreground()
    await opened.freeze()
    await opened.close()
    assert (await machine.exec("ps -u nobody", timeout=20)).exit_code == 1
