"""Tasks of lm-eval over small files of our own, and lm-eval's index read once."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from longcat_eval.tasks.lmeval import catalog

SUMS = {
    "task": "our_sums",
    "tag": "ours",
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "What is {{q}}?",
    "doc_to_target": "{{a}}",
    "generation_kwargs": {"until": ["\n\n", "Q:"], "max_gen_toks": 64, "do_sample": False},
    "filter_list": [
        {
            "name": "strict",
            "filter": [
                {"function": "regex", "regex_pattern": "The answer is (\\d+)"},
                {"function": "take_first"},
            ],
        },
        {
            "name": "last",
            "filter": [
                {"function": "regex", "regex_pattern": "(\\d+)", "group_select": -1},
                {"function": "take_first"},
            ],
        },
    ],
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    "metadata": {"version": 1.0},
}
CHOICE = {
    "task": "our_choice",
    "tag": "ours",
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "{{q}}\nAnswer:",
    "doc_to_choice": "{{o}}",
    "doc_to_target": "{{a}}",
    "metric_list": [
        {"metric": "acc", "aggregation": "mean", "higher_is_better": True},
        {"metric": "acc_norm", "aggregation": "mean", "higher_is_better": True},
        {"metric": "mcc"},
    ],
    "metadata": {"version": 2.0},
}
TEXT = {
    "task": "our_text",
    "test_split": "test",
    "output_type": "loglikelihood_rolling",
    "doc_to_text": "",
    "doc_to_target": "{{t}}",
    "metric_list": [
        {"metric": "word_perplexity"},
        {"metric": "byte_perplexity"},
        {"metric": "bits_per_byte"},
    ],
}
ROWS: dict[str, list[dict[str, Any]]] = {
    "our_sums": [{"q": f"{i}+{i + 1}", "a": str(2 * i + 1)} for i in range(10)],
    "our_choice": [
        {"q": f"After {letter}?", "o": [*"bcdefg"], "a": place} for place, letter in enumerate("abcdef")
    ],
    "our_text": [{"t": "The quick brown fox " * (i + 1)} for i in range(4)],
}


def write_task(folder: Path, definition: dict[str, Any], rows: list[dict[str, Any]] | None = None) -> None:
    """A definition in YAML and its rows in JSONL, in one folder."""
    name = definition["task"]
    rows = ROWS[name] if rows is None else rows
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    where = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}}}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(where | definition))


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A folder for --lm-eval-include with a generative, a multiple-choice and a perplexity task."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    for definition in (SUMS, CHOICE, TEXT):
        write_task(folder, definition)
    return folder


def index_file() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("longcat-eval") / "lm-eval" / f"index-{catalog.lm_eval_version()}.json"


# Found before any test gets a home of its own.
REAL_INDEX = index_file()


@pytest.fixture
def stock(monkeypatch: pytest.MonkeyPatch) -> None:
    """lm-eval's own tasks; reading them all takes seconds, so the user's index is used, or made."""
    if not REAL_INDEX.is_file():
        with monkeypatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(REAL_INDEX.parents[2]))
            catalog.registry(None)
    index_file().parent.mkdir(parents=True)
    shutil.copy(REAL_INDEX, index_file())
