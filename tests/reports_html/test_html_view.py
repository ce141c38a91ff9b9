"""`view` serves a run to this machine alone, reads transcripts on demand, and follows a run that grows."""

import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web
from cli_fixtures import Cli, cli
from html_reading import Page
from made_up_runs import HOSTILE, MakeRun

from longcat_eval.cli.report import load_table
from longcat_eval.cli.view import LOOPBACK, make_app
from longcat_eval.reports.html import live
from longcat_eval.reports.html.live import LiveReport
from longcat_eval.runners.store import RunWriter, read_run

__all__ = ["cli"]

SECRET = "secret-of-the-test"


@asynccontextmanager
async def viewing(*paths: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client at the page's address."""
    report = LiveReport(lambda: load_table(list(paths), None, False), paths)
    runner = web.AppRunner(make_app(report, SECRET))
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        base = f"http://{LOOPBACK}:{runner.addresses[0][1]}/{SECRET}/"
        async with aiohttp.ClientSession(base_url=base) as session:
            yield session
    finally:
        await runner.cleanup()


async def load(session: aiohttp.ClientSession) -> Page:
    async with session.get("") as reply:
        assert reply.status == 200
        assert reply.headers["Cache-Control"] == "no-store"
        return Page(await reply.text())


async def test_the_page_has_no_transcript_and_gives_each_on_demand(make_run: MakeRun) -> None:
    path = make_run({"toy": (4, 2)}, word=HOSTILE)
    async with viewing(path) as session:
        page = await load(session)
        assert not any((attrs.get("id") or "").startswith("chunk") for _, attrs in page.elements)
        (policy,) = (
            a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"
        )
        assert policy is not None
        assert policy.endswith("connect-src 'self'")
        samples = page.packed("index")["columns"]["sample"]
        for number, row in enumerate(read_run(path).rows):
            async with session.get(f"attempt/1/{number}") as reply:
                assert reply.content_type == "application/json"
                shown = await reply.json()
            assert samples[number] == row.sample
            assert any(f"reply to {int(row.sample[1:4])} " in text for _, _, text in shown["blocks"])


async def test_search_goes_through_all_transcripts_in_parts(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SEARCH_SECONDS", 0.0)
    path = make_run({"toy": (9, 1)}, said=lambda task, i, j: "Größe NEEDLE" if i % 4 == 0 else "hay")
    async with viewing(path) as session:
        await load(session)
        found, start, parts = list[int](), 0, 0
        while start < 9:
            async with session.get("search/1", params={"text": "GRÖSSE needle", "from": start}) as reply:
                part = await reply.json()
            found, start, parts = found + part["found"], part["next"], parts + 1
    assert found == [0, 4, 8]
    assert parts == 9


async def test_a_run_that_has_grown_is_read_again(make_run: MakeRun) -> None:
    path = make_run({"toy": (4, 1)})
    async with viewing(path) as session:
        assert len((await load(session)).packed("index")["columns"]["run"]) == 4
        row = read_run(path).rows[0]
        writer = RunWriter(path)
        writer.open()
        writer.append_row(msgspec.structs.replace(row, repeat=7))
        writer.close()
        async with session.get("attempt/1/0") as reply:
            assert reply.status == 200, "what a page shows stays readable until another is made"
        assert len((await load(session)).packed("index")["columns"]["run"]) == 5
        async with session.get("attempt/1/0") as reply:
            assert reply.status == 409
            assert "load the page again" in await reply.text()


@pytest.mark.parametrize("number", ["4", "-1", "x", "1e1", "٣", "99999999999999999999", "../../etc/passwd"])
async def test_numbers_of_no_attempt(make_run: MakeRun, number: str) -> None:
    async with viewing(make_run({"toy": (4, 1)})) as session:
        await load(session)
        async with session.get(f"attempt/1/{number}") as reply:
            assert reply.status == 404


async def test_only_this_machine_and_only_with_the_secret(make_run: MakeRun) -> None:
    async with viewing(make_run({"toy": (2, 1)})) as session:
        for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]"):
            async with session.get("", headers={"Host": host}) as reply:
                assert reply.status == 403
        for host in ("localhost", "localhost:9000", "127.0.0.1:1", "[::1]:5"):
            async with session.get("", headers={"Host": host}) as reply:
                assert reply.status == 200
        for path in ("/", "/other/", f"/{SECRET}x/", "/attempt/1/0"):
            async with session.get(path) as reply:
                assert reply.status == 404
                assert "toy" not in await reply.text()


def test_the_command_prints_its_address_and_ends_with_a_signal(make_run: MakeRun) -> None:
    command = [sys.executable, "-m", "longcat_eval", "view", str(make_run({"toy": (2, 1)}))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/", address)
            with urllib.request.urlopen(address, timeout=30) as reply:
                assert b"toy-model" in reply.read()
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def test_what_is_no_run_is_told_before_listening(cli: Cli, tmp_path: Path) -> None:
    done = cli("view", tmp_path)
    assert done.code == 2
    assert "not a run directory" in done.err
