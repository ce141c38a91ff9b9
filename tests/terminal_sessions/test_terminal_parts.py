"""The parts of terminals that need no container: framing, process tables, screens."""

import asyncio
from pathlib import Path

import pytest
from host_tmux import host_tmux
from hypothesis import given, settings
from hypothesis import strategies as st

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.terminal import emulator
from longcat_eval.runners.terminal.control import ClientLostError, ControlClient, Replies, Reply
from longcat_eval.runners.terminal.emulator import Emulator
from longcat_eval.runners.terminal.jobs import Process, foreground_job, read_process, read_table, reader
from longcat_eval.runners.terminal.place import Place
from longcat_eval.runners.terminal.watch import Look

TEXT = st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b), max_size=4)


def framed(number: int, reply: Reply, flags: int = 1) -> bytes:
    end = b"end" if reply.ok else b"error"
    head = b" 1700000000 %d %d\n" % (number, flags)
    return b"%begin" + head + (reply.text + b"\n" if reply.text else b"") + b"%" + end + head


@given(st.lists(st.tuples(st.booleans(), TEXT, TEXT), max_size=6), st.data())
def test_replies_are_cut_out_however_they_come(
    parts: list[tuple[bool, list[bytes], list[bytes]]], data: st.DataObject
) -> None:
    replies = [Reply(ok, b"\n".join(lines)) for ok, lines, _ in parts]
    stream = b""
    for n, (reply, (_, _, between)) in enumerate(zip(replies, parts, strict=True)):
        stream += b"".join(b"%output %0 " + line + b"\n" for line in between)
        stream += framed(2 * n, Reply(True, b"not ours"), flags=0) + framed(2 * n + 1, reply)
    cutter, found = Replies(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += cutter.feed(stream[:size])
        stream = stream[size:]
    assert found == replies


def test_a_screen_that_looks_like_a_frame_stays_a_screen() -> None:
    text = b"%begin 1 2 1\n%end 1700000000 8 1\n%error 1 2 1\n%exit"
    assert Replies().feed(framed(7, Reply(True, text))) == [Reply(True, text)]


class Stream:
    """Gives what is put into `answers`; nothing is its end."""

    def __init__(self) -> None:
        self.sent = b""
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(self, data: bytes) -> None:
        self.sent += data

    async def read(self, limit: int = 65536) -> bytes:
        return await self.answers.get()

    async def resize(self, rows: int, columns: int) -> None: ...

    async def close(self) -> None:
        self.answers.put_nowait(b"")


async def test_a_silent_tmux_is_a_failure_of_the_sandbox() -> None:
    client = ControlClient(Stream())
    with pytest.raises(SandboxError, match="has not answered") as caught:
        await client.ask(["list-panes"], 0.05)
    assert caught.value.reason == "exec_stuck"
    await client.close()


async def test_a_late_answer_is_not_the_next_ones() -> None:
    stream = Stream()
    client = ControlClient(stream)
    with pytest.raises(SandboxError):
        await client.ask(["first"], 0.05)
    second = asyncio.create_task(client.ask(["second"], 30))
    await asyncio.sleep(0)
    stream.answers.put_nowait(framed(1, Reply(True, b"of the first")))
    stream.answers.put_nowait(framed(2, Reply(False, b"of the second")))
    assert await second == [Reply(False, b"of the second")]
    assert stream.sent == b"first\nsecond\n"
    await client.close()


async def test_the_end_of_the_stream_ends_every_call() -> None:
    stream = Stream()
    client = ControlClient(stream)
    calls = [asyncio.create_task(client.ask(["a", "b"], 30)) for _ in range(3)]
    await asyncio.sleep(0)
    stream.answers.put_nowait(b"")
    for call in calls:
        with pytest.raises(ClientLostError):
            await call
    with pytest.raises(ClientLostError):
        await client.ask(["c"], 30)
    await client.close()


def stat(
    pid: int, name: str, parent: int, group: int, front: int, *, state: str = "S", flags: int = 0
) -> str:
    return f"{pid} ({name}) {state} {parent} {group} 10 {(136 << 8) | 3} {front} {flags} 0 0"


def test_a_stat_line_is_read() -> None:
    process = read_process(stat(7, "a) S (b", 1, 7, 9, flags=0x40), "x -c")
    assert process is not None
    assert process[:7] == (7, "a) S (b", "S", 1, 7, 10, 9)
    assert process.tty == "/dev/pts/3"
    assert process.forked
    for text in ("", "7 (x", "7 (x)", "7 (x) S 1 2"):
        assert read_process(text) is None


@pytest.mark.parametrize(
    ("args", "asks"),
    [
        ("bash", True),
        ("-bash", True),
        ("bash --login", True),
        ("bash --rcfile", True),
        ("bash -i", True),
        ("bash -c true", False),
        ("bash -ec true", False),
        ("bash run.sh", False),
        ("sh -x /run.sh", False),
    ],
)
def test_a_shell_that_asks_for_commands(args: str, asks: bool) -> None:
    process = read_process(stat(7, "bash", 1, 7, 9), args)
    assert process is not None
    assert process.reads_commands is asks


def table(*lines: tuple[str, str]) -> dict[int, Process]:
    return read_table(f"{line}\t{args}" for line, args in lines)


def test_the_job_of_a_nested_shell_goes_with_it_and_its_background_does_not() -> None:
    processes = table(
        (stat(10, "sh", 1, 10, 40), "sh -c bash"),
        (stat(20, "bash", 10, 20, 40), "bash --login"),
        (stat(25, "sleep", 20, 25, 40), ""),
        (stat(30, "bash", 20, 30, 40), "bash"),
        (stat(35, "sleep", 30, 35, 40), ""),
        (stat(40, "make", 30, 40, 40), ""),
        (stat(41, "cc", 40, 40, 40), ""),
        (stat(42, "timeout", 41, 42, 40), ""),
        (stat(43, "ld", 42, 42, 40), ""),
        (stat(44, "gone", 40, 40, 40, state="Z"), ""),
        (stat(60, "server", 40, 60, -1).replace(" 60 10 ", " 60 60 "), ""),
    )
    assert foreground_job(processes, 20) == {30, 40, 41, 42, 43}
    assert reader(processes, 20) == 30


def test_no_job_where_the_shell_is_in_front_or_what_started_it() -> None:
    for front in (20, 10):
        processes = table(
            (stat(10, "sh", 1, 10, front), "sh -c bash"),
            (stat(20, "bash", 10, 20, front), "bash --login"),
            (stat(25, "sleep", 20, 25, front), ""),
        )
        assert foreground_job(processes, 20) == set()
        assert reader(processes, 20) == 20
    assert foreground_job(processes, 99) == set()
    assert reader(processes, 99) is None


def test_a_subshell_takes_its_timeouts_with_it() -> None:
    processes = table(
        (stat(20, "bash", 10, 20, 30), "bash --login"),
        (stat(30, "bash", 20, 30, 30, flags=0x40), "bash --login"),
        (stat(31, "timeout", 30, 31, 30), ""),
    )
    assert foreground_job(processes, 20) == {30, 31}
    assert reader(processes, 20) == 20


@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12), st.booleans()), max_size=12),
    st.integers(1, 12),
)
def test_any_table_has_a_job_without_the_shell(rows: list[tuple[int, int, bool]], front: int) -> None:
    processes = table(
        *(
            (stat(n, "bash" if shell else "x", parent, group, front), "")
            for n, (parent, group, shell) in enumerate(rows, 1)
        )
    )
    job = foreground_job(processes, 1)
    assert 1 not in job
    assert job <= processes.keys()
    assert reader(processes, 1) in {None, *processes}


@pytest.mark.parametrize(
    ("name", "mode", "waits_in", "unread", "prompt"),
    [
        ("bash", "raw", "wait_woken", False, True),
        ("bash", "raw", "wait_woken", True, False),
        ("bash", "lines", "wait_woken", False, False),
        ("bash", "", "0", None, True),
        ("sh", "lines", "wait_woken", None, True),
        ("sh", "lines", "do_wait", None, False),
    ],
)
def test_what_a_prompt_is(name: str, mode: str, waits_in: str, unread: bool | None, prompt: bool) -> None:
    process = read_process(stat(7, name, 1, 7, 7), name)
    assert process is not None
    assert Look(process, 3, waits_in, mode, unread).at_prompt is prompt
    assert not Look(process._replace(state="R"), 3, waits_in, mode, unread).at_prompt
    assert not Look(process._replace(foreground=8), 3, waits_in, mode, unread).at_prompt


@pytest.mark.parametrize(
    ("said", "usable"),
    [
        ("tmux 3.3a", True),
        ("tmux 3.0", True),
        ("tmux next-3.7", True),
        ("tmux master", True),
        ("tmux 2.8", False),
        ("", False),
    ],
)
def test_which_tmux_will_do(said: str, usable: bool) -> None:
    assert Place("/run/x", "bash", said).has_tmux is usable
    assert not Place("", "bash", said).has_tmux


def shown(*pieces: bytes) -> Emulator:
    made = Emulator(lambda data: None)
    for piece in pieces:
        made.feed(piece)
    return made


LINES = b"".join(b"%d some text  \r\n" % n for n in range(500))
STREAMS = {
    "scrolling": LINES + b"$ ",
    "wrapping": b"x" * 500 + b"\r\n" + b"y" * 160 + b"\r\nz",
    "clearing": LINES + b"\x1b[H\x1b[2Jafter" + LINES[:400] + b"\x1b[H\x1b[Jend",
    "forgetting": LINES + b"\x1b[H\x1b[2J\x1b[3Jend",
    "second screen": LINES + b"\x1b[?1049h\x1b[H\x1b[2Jfull" + LINES + b"\x1b[?1049lback",
    "moving": b"\x1b[10;20Hten\x1b[2;3Htwo\x1b[K\x1b[5;5Hfive\x1b[2D__\x1b[1Aup\r\n",
    "erasing": LINES[:900] + b"\x1b[10;5H\x1b[K\x1b[12;5H\x1b[1K\x1b[20;3H\x1b[J",
    "editing": LINES[:900] + b"\x1b[5;2H\x1b[3P\x1b[6;2H\x1b[3@\x1b[7;1H\x1b[2L\x1b[12;1H\x1b[3M",
    "regions": LINES[:900] + b"\x1b[5;10r\x1b[10;1H" + b"in\r\n" * 8 + b"\x1b[r\x1b[40;1Hout",
    "colours": b"\x1b[1;31mred\x1b[0m plain \x1b[38;5;200mmore\x1b[m\x1b[48;2;1;2;3mtrue\x1b[m\r\n",
    "strings": b"a\x1bP1$tq\x1b\\b\x1b]0;title\x07c\x1b]8;;http://x\x1b\\d\x1bkname\x1b\\e\x1b_app\x1b\\f",
    "wide": "\u4e2d\u6587 h\u00e9 \u2502 \u2014 e\r\n".encode(),
    "tabs": b"a\tb\tc\r\n\x08\x08x\ry\n\nz",
    "saving": b"one\x1b7\x1b[20;20Htwo\x1b8three",
    "odd": b"\x1b[?5W\x1b[>4;2m\x1b[5;5Hx\x1b[?2004hy\x1b[999;999Hz",
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_screens_are_those_of_tmux(tmp_path: Path, name: str, size: int) -> None:
    stream = STREAMS[name]
    tmux = host_tmux(tmp_path)
    (tmp_path / "stream").write_bytes(stream)
    tmux.start("sh", "-c", f"stty -opost; cat {tmp_path}/stream; printf '\\033]2;printed\\007'; sleep 100")
    tmux("set-option", "-g", "history-limit", "100000")
    tmux.wait_for(lambda: tmux("display-message", "-p", "#{pane_title}") == "printed\n")
    ours = shown(*(stream[at : at + size] for at in range(0, len(stream), size)))
    assert ours.rows() == tmux("capture-pane", "-p").split("\n")[:-1]
    assert [*ours.history(), *ours.rows()] == tmux("capture-pane", "-p", "-S", "-").split("\n")[:-1]
    tmux("kill-server")


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.one_of(
            st.integers(0, 200).map(lambda n: b"".join(b"line %d\r\n" % k for k in range(n))),
            st.sampled_from(
                [b"\x1b[H", b"\x1b[5;1H", b"\x1b[2J", b"half", b"\r\n", b"x" * 170, b"\x1b[3;9r"]
            ),
            st.sampled_from([b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[r", b"\xe4\xb8", b"\xad", b"\x1b["]),
            st.binary(max_size=20),
        ),
        max_size=12,
    )
)
def test_skimming_changes_nothing(pieces: list[bytes]) -> None:
    skimmed = shown(*pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emulator, "LEAST_SKIMMED", 1 << 60)
        plain = shown(*pieces)
    assert skimmed.rows() == plain.rows()
    assert skimmed.history() == plain.history()


@settings(deadline=None)
@given(st.binary(), st.binary())
def test_any_bytes_leave_it_working(first: bytes, second: bytes) -> None:
    made = shown(first, second, b"\x18\x1b\\\x1bc\x1b[2J\x1b[Hstill here")
    assert len(made.rows()) == 40
    assert made.rows()[0] == "still here"


def test_questions_of_programs_are_answered() -> None:
    said: list[bytes] = []
    made = Emulator(said.append)
    made.feed(b"\x1b[7;9H\x1b[6n\x1b[c\x1b]2;named\x1b\\")
    assert said[0] == b"\x1b[7;9R"
    assert len(said) == 2
    assert made.title == "named"
