"""Figures by matplotlib, and the table for a paper."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from cli_fixtures import Cli, cli
from hypothesis import given
from hypothesis import strategies as st
from made_up_runs import HOSTILE, MakeRun

from longcat_eval.reports.render import render
from longcat_eval.reports.render_latex import escape
from longcat_eval.reports.table import build_table
from longcat_eval.runners.store import read_run

__all__ = ["cli"]

TASKS = {"gpqa-diamond": (9, 2), "toy": (4, 1)}
MAGIC = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


@pytest.mark.parametrize("suffix", MAGIC)
def test_a_figure_in_every_format(cli: Cli, make_run: MakeRun, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    path = make_run(TASKS, word="$x^{ <b>")
    done = cli("report", path, "--compare", "kimi", "--plot", f"plot.{suffix}", "--format", "csv")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("task,"), "the report itself is printed too"
    assert (tmp_path / f"plot.{suffix}").read_bytes().startswith(MAGIC[suffix])


def test_the_figure_has_every_name_and_equal_runs_give_equal_bytes(
    cli: Cli, make_run: MakeRun, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    path = make_run(TASKS)
    for name in ("a.svg", "b.svg"):
        assert cli("report", path, "--compare", "kimi", "--plot", name).code == 0
    content = (tmp_path / "a.svg").read_bytes()
    assert content == (tmp_path / "b.svg").read_bytes()
    words = {
        "".join(each.itertext()).strip()
        for each in ET.fromstring(content).iter()
        if each.tag.endswith("text")
    }
    assert {"GPQA-Diamond (avg@16)", "toy (acc)", "Kimi-Linear-48B-A3B", "floor: guessing"} <= words
    assert "MMLU (acc)" not in words


def test_a_figure_needs_a_known_format(cli: Cli, make_run: MakeRun) -> None:
    done = cli("report", make_run(TASKS), "--plot", "plot.gif")
    assert done.code == 2
    assert ".svg, .png, .pdf" in done.err


def test_latex_has_a_cell_for_every_column(make_run: MakeRun) -> None:
    run = read_run(make_run(TASKS, word=HOSTILE))
    text = render(build_table([run], ["kimi", "qwen3-next"]), [run], "latex")
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")].splitlines()
    rows = [line for line in body if line.endswith(r"\\") and r"\multicolumn" not in line]
    assert len(rows) > 15
    assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {3}
    assert r"\begin{tabular}{lrrr}" in text
    assert r"45.5\textsuperscript{\textasteriskcentered{}}" in text
    assert r"\item \textasteriskcentered{} the card took the value from a public report." in text


@given(st.text())
def test_escaped_text_cannot_leave_its_place(text: str) -> None:
    escaped = escape(text)
    assert "\n" not in escaped
    assert not escaped.startswith("[")
    bare = re.sub(r"\\[a-zA-Z]+\{\}|\\[&%$#_{}]|\$(\\[a-z]+|\^2)\$|^\{\}", "", escaped)
    assert not set(bare) & set("\\&%$#_{}~^")


def test_latex_says_which_engine_it_needs(make_run: MakeRun) -> None:
    plain, named = (read_run(make_run(TASKS, name, word=word)) for name, word in (("a", ""), ("b", " 历史é")))
    needs = [
        render(build_table([run], ["longcat"]), [run], "latex").splitlines()[0] for run in (plain, named)
    ]
    assert needs == [
        r"% Needs \usepackage{booktabs}.",
        "% Needs XeLaTeX or LuaLaTeX and a font that has 历史",
    ]
