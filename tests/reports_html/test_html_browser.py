"""In a real browser: the list works, transcripts open, and nothing a model said becomes an element."""

import asyncio
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest
from headless import BROWSER, Tab, browsing
from html_reading import Page
from made_up_runs import HOSTILE, MakeRun

from longcat_eval.reports.html.page import to_html
from longcat_eval.reports.table import build_table
from longcat_eval.runners.store import read_run

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")

LISTED = "document.querySelector('.status')?.textContent.includes('attempts')"
OPENED = "document.querySelector('.open dl')"


def write_page(path: Path, embed_mb: float = 20.0) -> str:
    """Write the page beside the run; return its address."""
    run = read_run(path)
    file = path.with_suffix(".html")
    file.write_text(to_html(build_table([run], ["kimi"]), [run], embed_mb), encoding="utf-8")
    return file.as_uri()


def address_of(sample: str, repeat: int = 1) -> str:
    return "#" + urlencode({"run": 1, "task": "toy", "sample": sample, "repeat": repeat})


async def read_all(tab: Tab, url: str) -> Page:
    """Open an attempt by its address, unfold everything, and read the document."""
    await tab.open(url)
    await tab.until(OPENED)
    await tab.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    await tab.until("[...document.querySelectorAll('.open details')].every((each) => each.children[1])")
    assert tab.events == [], "nothing was thrown, and the policy had nothing to refuse"
    return Page(await tab.html())


async def test_hostile_transcripts_stay_text(make_run: MakeRun, tmp_path: Path) -> None:
    def artifacts(word: str) -> dict[str, str]:
        patch = f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n+{word}\n"
        return {"patch": patch, f"log {word}": f"log {word}\n" * 9}

    plain = write_page(make_run({"toy": (3, 2)}, "plain", artifacts=artifacts("x")))
    bad = write_page(make_run({"toy": (3, 2)}, "bad", word=HOSTILE, artifacts=artifacts(HOSTILE)))
    async with browsing(tmp_path / "profile") as tab:
        known = {tag for tag, _ in (await read_all(tab, plain + address_of("q000"))).elements}
        page = await read_all(tab, bad + address_of(f"q000{HOSTILE}"))
        title = await tab.value("document.title")
    assert title.startswith("toy-model</script>")
    assert page.text.count("<img src=x onerror") > 20
    assert page.text.count("[U+202E]") > 20
    assert not set("\u202e\x1b") & set(page.text)
    assert {tag for tag, _ in page.elements} <= known
    for _, attrs in page.elements:
        assert not any(name.startswith("on") for name in attrs)
        assert (attrs.get("href") or "#").startswith("#")


async def test_a_transcript_that_is_not_embedded_names_its_commands(
    make_run: MakeRun, tmp_path: Path
) -> None:
    path = make_run({"toy": (3, 2)})
    async with browsing(tmp_path / "profile") as tab:
        await tab.open(write_page(path, embed_mb=0) + address_of("q000"))
        await tab.until("document.querySelector('.open pre')")
        text = await tab.value("document.querySelector('.open').textContent")
    assert "This transcript is not in the file" in text
    assert f"longcat-eval show {path} toy/q000 --repeat 1" in text
    assert f"longcat-eval view {path}" in text


async def test_filters_pages_and_search(make_run: MakeRun, tmp_path: Path) -> None:
    url = write_page(make_run({"toy": (30, 2)}, said=lambda task, i, j: f"Needle{i} and {i}" + "x" * i))
    rows = "[...document.querySelectorAll('.attempt .key-text')].map((each) => each.textContent)"
    async with browsing(tmp_path / "profile") as tab:
        await tab.open(url)
        await tab.until(LISTED)
        assert len(await tab.value(rows)) == 50
        await tab.value("[...document.querySelectorAll('.pager button')].at(-1).click()")
        assert len(await tab.value(rows)) == 10
        await tab.value(
            "(() => { const chooser = document.querySelector('[aria-label=Result]');"
            "chooser.value = 'lost'; chooser.dispatchEvent(new Event('change')); })()"
        )
        assert await tab.value(rows) == ["toy/q001 #0"]
        await tab.value(
            "(() => { const chooser = document.querySelector('[aria-label=Result]');"
            "chooser.value = ''; chooser.dispatchEvent(new Event('change'));"
            "document.querySelector('input').value = 'nEEDLE7 ';"
            "document.querySelector('form button').click(); })()"
        )
        await tab.until("document.querySelector('.status').textContent.includes('searched transcripts')")
        assert await tab.value(rows) == ["toy/q007 #0", "toy/q007 #1"]
        await tab.value("document.querySelector('.attempt').click()")
        await tab.until(OPENED)
        assert await tab.value("document.querySelector('.open mark').textContent") == "Needle7"
        assert "sample=q007" in await tab.value("location.hash")


async def test_dark_and_light_follow_the_button(make_run: MakeRun, tmp_path: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    async with browsing(tmp_path / "profile") as tab:
        await tab.call(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}]
        )
        await tab.open(write_page(make_run({"toy": (3, 1)})))
        dark = await tab.value(paper)
        await tab.value("document.getElementById('theme').click()")
        light = await tab.value(paper)
        await tab.value("document.getElementById('theme').click()")
        assert (light, dark) == ("rgb(255, 255, 255)", await tab.value(paper))
        assert light != dark


async def test_no_page_is_wider_than_a_telephone(make_run: MakeRun, tmp_path: Path) -> None:
    word = "a-long-name-" + "x" * 80
    async with browsing(tmp_path / "profile") as tab:
        await tab.call(
            "Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True
        )
        await read_all(tab, write_page(make_run({"toy": (3, 2)}, word=word)) + address_of(f"q000{word}"))
        assert await tab.value("document.documentElement.scrollWidth") == 360


async def test_the_live_page_reads_transcripts_from_its_server(make_run: MakeRun, tmp_path: Path) -> None:
    path = make_run({"toy": (3, 2)}, word=HOSTILE)
    command = [sys.executable, "-m", "longcat_eval", "view", str(path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        address = (await process.stdout.readline()).decode().strip()
        async with browsing(tmp_path / "profile") as tab:
            page = await read_all(tab, address + address_of(f"q000{HOSTILE}"))
    finally:
        process.terminate()
        await process.wait()
    assert "agent replies" in page.text
    assert not any(tag == "img" or "onerror" in attrs for tag, attrs in page.elements)
