"""The page holds what the other formats print, needs nothing else, and no text in it becomes markup."""

import base64
import re
from hashlib import sha256
from pathlib import Path

import pytest
from cli_fixtures import Cli, cli
from html_reading import Page
from made_up_runs import HOSTILE, MakeRun

from longcat_eval.reports.html.page import to_html
from longcat_eval.reports.html.summary import categories, ends, plots, run_parts, usage
from longcat_eval.reports.notes import notes
from longcat_eval.reports.table import build_table
from longcat_eval.runners.store import read_run

__all__ = ["cli"]

TASKS = {"gpqa-diamond": (9, 2), "toy": (4, 1)}


def page_of(*paths: Path, compare: tuple[str, ...] = (), embed_mb: float = 20) -> tuple[str, Page]:
    runs = [read_run(path) for path in paths]
    html = to_html(build_table(runs, compare), runs, embed_mb)
    return html, Page(html)


def test_values_and_notes_are_those_of_the_table(make_run: MakeRun) -> None:
    path = make_run(TASKS)
    table = build_table([read_run(path)], ["kimi", "qwen3-next"])
    _, page = page_of(path, compare=("kimi", "qwen3-next"))
    words = " ".join(page.text.split())
    for row in table.rows:
        assert row.label in words
        for cell in row.cells:
            assert f"{cell.text}{cell.marks}" in words
    for note in notes(table):
        assert " ".join(note.split()) in words
    assert "incomplete 94.44 %: " in words
    assert "model card meituan-longcat/LongCat-Flash-Lite (2026-01)" in words


def test_a_page_without_runs_shows_the_card(make_run: MakeRun) -> None:
    _, page = page_of(compare=("kimi", "longcat"))
    assert "Tau2-Airline (avg@8)" in page.text
    assert not any(attrs.get("id") == "browser" for _, attrs in page.elements)


def test_equal_runs_give_equal_bytes(make_run: MakeRun) -> None:
    path = make_run(TASKS)
    assert page_of(path)[0] == page_of(path)[0]


def test_the_page_asks_for_nothing(make_run: MakeRun) -> None:
    _, page = page_of(make_run(TASKS), compare=("kimi",))
    for tag, attrs in page.elements:
        assert tag not in ("img", "link", "iframe", "object", "embed", "base", "image", "video", "audio")
        assert "src" not in attrs
        assert "srcset" not in attrs
        assert (attrs.get("href") or "#").startswith("#")
    for tag, attrs, text in page.raw:
        if tag == "style" or "type" not in attrs:
            assert not re.search(r"@import|url\(|https?://|importScripts|XMLHttpRequest|WebSocket", text)


def test_the_policy_allows_this_script_and_this_style_alone(make_run: MakeRun) -> None:
    _, page = page_of(make_run(TASKS))
    (policy,) = (
        attrs["content"] or ""
        for tag, attrs in page.elements
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    hashes = {
        tag: f"{tag}-src 'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
        for tag, attrs, text in page.raw
        if "type" not in attrs
    }
    assert policy.split("; ")[:3] == ["default-src 'none'", hashes["style"], hashes["script"]]
    assert "unsafe" not in policy
    assert "connect-src" not in policy


def test_the_script_writes_text_and_never_markup() -> None:
    script = (Path(__file__).parents[2] / "longcat_eval/reports/html/script.js").read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/", "", script, flags=re.DOTALL)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|setHTML"
        r"|createContextualFragment|srcdoc|setTimeout\(\s*[\"'`]",
        code,
    )
    assert "</script" not in script.lower()


def test_hostile_text_is_text(make_run: MakeRun) -> None:
    plain, hostile = make_run(TASKS, "plain"), make_run(TASKS, "hostile", word=HOSTILE)
    _, page = page_of(hostile)
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    known = {tag for tag, _ in page_of(plain)[1].elements}
    assert {tag for tag, _ in page.elements} <= known
    scripts = [attrs for tag, attrs, _ in page.raw if tag == "script"]
    assert [attrs.get("type") for attrs in scripts[:-1]] == ["text/plain"] * (len(scripts) - 1)
    assert scripts[-1] == {}
    assert "{{ 7*7 }}" in page.text
    assert "<img src=x onerror" in page.text
    assert not set("\u202e\x1b") & set(page.text)


def test_plots_are_of_the_benchmarks_that_were_run(make_run: MakeRun) -> None:
    run = read_run(make_run(TASKS))
    found = {plot.label: plot for plot in plots(build_table([run], ["kimi"]))}
    assert list(found) == ["GPQA-Diamond (avg@16)", "toy (acc)"]
    published, ours = found["GPQA-Diamond (avg@16)"].strips
    assert (published.value, published.low, published.ours) == (69.89, None, False)
    assert ours.low is not None
    assert ours.high is not None
    assert ours.low < ours.value < ours.high
    assert found["toy (acc)"].floors == (("guessing", 25.0),)
    assert len(plots(build_table([], ["kimi"]))) > 10


def test_ends_add_up_and_tell_what_was_never_made(make_run: MakeRun) -> None:
    run = read_run(make_run({"toy": (10, 1)}))
    run.manifest.tasks["toy"].selected = 12
    (part,) = run_parts(build_table([run]), [run])
    (end,) = part.ends
    shares = {share.name: share.attempts for share in end.shares}
    assert shares == {"right": 4, "wrong": 5, "endpoint_error": 1, "not made": 2}
    assert sum(share.width for share in end.shares) == pytest.approx(100)
    assert end.shares[-1].start + end.shares[-1].width == pytest.approx(100)
    assert end.reasons == (("endpoint_error", "http_503", 1),)


def test_usage_has_quantiles_and_sums(make_run: MakeRun) -> None:
    run = read_run(make_run({"toy": (10, 1)}))
    (part,) = run_parts(build_table([run]), [run])
    (used,) = part.usage
    assert (used.median, used.p90, used.longest) == (5.0, 9.0, 10.0)
    assert (used.prompt_tokens, used.completion_tokens, used.cost, used.calls) == (290, 80, 5.0, 2.0)
    assert usage("toy", build_table([run]).rows[0].cells[0].result, []) is None  # type: ignore[arg-type]
    assert ends("toy", build_table([run]).rows[0].cells[0].result, []).shares[0].name == "not made"  # type: ignore[arg-type]


def test_categories_have_the_mean_over_their_questions(make_run: MakeRun) -> None:
    run = read_run(make_run({"toy": (12, 2)}, groups=("b", "a")))
    first, second = categories(run.rows)
    assert (first.name, first.questions, second.name) == ("a", 6, "b")
    assert first.value == pytest.approx(100 / 3)
    assert first.low < first.value < first.high
    assert categories(row for row in run.rows if row.group == "a") == []


def test_report_writes_the_page(cli: Cli, make_run: MakeRun, tmp_path: Path) -> None:
    path = make_run(TASKS)
    done = cli("report", path, "--format", "html", "-o", "page.html", "--embed-mb", "0")
    assert (done.code, done.err) == (0, "")
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "0 of 22 transcripts are in this file" in page.text
    assert cli("report", path, "--format", "html").out.startswith("<!doctype html>")


def test_embedding_is_for_html_alone(cli: Cli, make_run: MakeRun) -> None:
    done = cli("report", make_run(TASKS), "--embed-mb", "1")
    assert done.code == 2
    assert "--format html" in done.err
