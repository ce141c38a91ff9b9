"""Eval results and model-index for a model's repository, read back with huggingface_hub."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_fixtures import Cli
from exporting import Export
from huggingface_hub import EvalResult, ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_runs import MakeRun

from longcat_eval.errors import UsageError
from longcat_eval.reports.exports.model_card import export_model_index, read_card
from longcat_eval.reports.exports.output import Encoder
from longcat_eval.reports.exports.source import source
from longcat_eval.runners.store import read_run

CARD = """\
---
# kept comment
language: no
license: mit   # kept too
model-index:
- name: Toy
  results:
  - task: {type: text-generation}
    dataset: {name: mmlu, type: cais/mmlu}
    metrics:
    - {type: accuracy, value: 12.5, verified: true}
    source: {name: somebody else, url: "https://example.org"}
tags:
- a
---
# Toy

model-index: this is text
"""


def results(path: Path) -> list[EvalResult]:
    found: list[EvalResult] = ModelCard(path.read_text(encoding="utf-8")).data.eval_results
    return found


def test_a_leaderboard_of_the_hub_gets_percent(cli: Cli, make_run: MakeRun, tmp_path: Path) -> None:
    make_run({"gpqa-diamond": (6, 2), "mmlu-pro": (5, 1), "mmlu": (4, 1)})
    ran = cli("export", "run", "-f", "hf", "-o", "repo")
    assert ran.code == 0, ran.err
    files = sorted((tmp_path / "repo" / ".eval_results").iterdir())
    assert [file.name for file in files] == ["gpqa-diamond.yaml", "mmlu-pro.yaml"]
    ((gpqa,), (pro,)) = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in files)
    assert gpqa["dataset"] == {"id": "Idavidrein/gpqa", "task_id": "diamond"}
    assert pro["dataset"] == {"id": "TIGER-Lab/MMLU-Pro", "task_id": "mmlu_pro"}
    assert gpqa["value"] == 33.33
    assert gpqa["date"] == "2026-01-01"
    assert "avg@2 (4/11)" in gpqa["notes"]
    assert "incomplete 91.66 %" in gpqa["notes"]
    assert "protocol gpqa-diamond/1" in gpqa["notes"]


def test_a_benchmark_without_leaderboard_is_not_sent_there(cli: Cli, export: Export) -> None:
    export("lm-eval")
    ran = cli("export", "run", "-f", "hf", "-o", "repo")
    assert ran.code == 2
    assert "no result of a benchmark with a leaderboard on the hub" in ran.err


def test_a_new_card(export: Export) -> None:
    mmlu, aime = results(export("model-index", "--model-id", "o/Toy", output="README.md"))
    assert (mmlu.metric_type, mmlu.metric_value, mmlu.dataset_name) == ("accuracy", 50.0, "mmlu")
    assert (aime.metric_type, aime.metric_value, aime.source_name) == ("avg@4", 40.0, "longcat-eval")
    assert "acc (3/6)" in mmlu.metric_args["how"]


def test_a_card_keeps_everything_else(cli: Cli, export: Export, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(CARD, encoding="utf-8")
    export("model-index", output="README.md")
    once = path.read_text(encoding="utf-8")
    for line in CARD.splitlines():
        if "{" not in line:
            assert line in once.splitlines()
    theirs, *ours = yaml.safe_load(once.split("---")[1])["model-index"][0]["results"]
    assert theirs["metrics"] == [{"type": "accuracy", "value": 12.5, "verified": True}]
    assert [result["metrics"][0]["value"] for result in ours] == [50.0, 40.0]
    export("model-index", output="README.md")
    assert path.read_text(encoding="utf-8") == once, "a second time replaces ours and adds nothing"


@pytest.mark.parametrize(
    "text",
    [
        "---\n{{ template }}: [\n---\n",
        "---\n- a\n- b\n---\n",
        "---\nmodel-index: 7\n---\n",
        "---\nmodel-index: [{name: a, results: 3}]\n---\n",
        "---\n{a: 1, model-index: [{name: x}]}\n---\n",
        "---\na: &x [*x]\nb: !!python/object:os.system {}\n---\n",
    ],
)
def test_a_card_that_cannot_be_read_stays_as_it_is(
    cli: Cli, export: Export, tmp_path: Path, text: str
) -> None:
    export("lm-eval")
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8")
    ran = cli("export", "run", "-f", "model-index", "-o", "README.md")
    assert ran.code == 2
    assert "the metadata of README.md cannot be read" in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert path.read_text(encoding="utf-8") == text


def test_a_card_without_front_matter_gets_one(export: Export, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Only text\n", encoding="utf-8")
    path = export("model-index", output="README.md")
    assert len(results(path)) == 2
    assert path.read_text(encoding="utf-8").endswith("\n---\n# Only text\n")


KEYS = st.text("abcmodel-index", min_size=1, max_size=12)
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(before=st.dictionaries(KEYS, VALUES, max_size=4), flow=st.booleans())
def test_any_card_keeps_what_is_not_ours(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, Any], flow: bool
) -> None:
    from made_up_runs import runs_in

    folder = tmp_path_factory.mktemp("card")
    found = source(read_run(runs_in(folder)({"mmlu": (3, 1)})))
    path = folder / "README.md"
    matter = yaml.safe_dump(before, default_flow_style=flow, allow_unicode=True) if before else ""
    path.write_text(f"---\n{matter}---\ntext\n", encoding="utf-8")
    try:
        export_model_index(found, path, Encoder({}))
    except UsageError:
        assert flow or "model-index" in before
        return
    after = read_card(path).data
    assert after.pop("model-index")[0]["results"]
    assert after == {key: value for key, value in before.items() if key != "model-index"}
