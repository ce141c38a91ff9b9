"""In a real browser: the list works, transcripts open, and nothing a model said becomes an element."""

import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import pytest
from html_reading import Page
from made_up_runs import HOSTILE, MakeRun

from longcat_eval.reports.html.page import to_html
from longcat_eval.reports.table import build_table
from longcat_eval.runners.store import read_run

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")


def dump(url: str, profile: Path) -> str:
    """The document after its script has run."""
    assert BROWSER is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    options += [f"--user-data-dir={profile}", "--virtual-time-budget=8000", "--dump-dom"]
    done = subprocess.run([BROWSER, *options, url], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def opened(tmp_path: Path, path: Path, word: str = "", embed_mb: float = 20.0) -> Page:
    """The page with one attempt of question 0 opened by its address."""
    run = read_run(path)
    table = build_table([run], ["kimi"])
    file = tmp_path / "page.html"
    file.write_text(to_html(table, [run], embed_mb), encoding="utf-8")
    address = urlencode({"run": 1, "task": "toy", "sample": f"q000{word}", "repeat": 1})
    return Page(dump(f"{file.as_uri()}#{address}", tmp_path / "profile"))


def test_hostile_transcripts_stay_text(make_run: MakeRun, tmp_path: Path) -> None:
    artifacts = {
        "patch": f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n+{HOSTILE}\n",
        HOSTILE: "log\n" * 9,
    }
    plain = opened(tmp_path, make_run({"toy": (3, 2)}, "plain", artifacts={"patch": "diff --git a b\n+x\n"}))
    page = opened(tmp_path, make_run({"toy": (3, 2)}, "bad", word=HOSTILE, artifacts=artifacts), HOSTILE)
    assert "agent replies" in page.text, "the transcript was opened"
    assert page.text.count("<img src=x onerror") > 10
    assert "[U+202E]" in page.text
    assert "\u202e" not in page.text
    assert "\x1b" not in page.text
    titles = page.text.lstrip()[:60]
    assert titles.startswith("toy-model</script>"), titles
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in plain.elements}
    for _, attrs in page.elements:
        assert (attrs.get("href") or "#").startswith("#")


def test_a_transcript_that_is_not_embedded_names_its_commands(make_run: MakeRun, tmp_path: Path) -> None:
    path = make_run({"toy": (3, 2)})
    page = opened(tmp_path, path, embed_mb=0)
    assert "This transcript is not in the file" in page.text
    assert f"longcat-eval show {path} toy/q000 --repeat 1" in page.text
    assert f"longcat-eval view {path}" in page.text


def test_all_attempts_are_listed(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run({"toy": (30, 2)}))
    file = tmp_path / "page.html"
    file.write_text(to_html(build_table([run]), [run]), encoding="utf-8")
    page = Page(dump(file.as_uri(), tmp_path / "profile"))
    assert "60 attempts" in page.text
    assert "page 1 of 2" in page.text
    assert sum(attrs.get("class") == "attempt" for _, attrs in page.elements) == 50
