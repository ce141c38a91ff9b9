"""Fetching from a hub: pins, cache, gating, and every failure as one line with its remedy."""

from collections.abc import Iterator

import pytest
from fake_hub import TOKEN, FakeHub, fake_hub

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.hub import HubFiles, fetch
from longcat_eval.tasks.pins import Pin, record_pin

REMEDY = "give --data-dir DIR"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def get(repo: str, *patterns: str, revision: str | None = None, name: str = "task") -> HubFiles:
    return fetch(name, repo, revision, patterns, REMEDY)


def refusal(repo: str, *patterns: str, revision: str | None = None) -> str:
    with pytest.raises(EnvironmentUnusableError) as caught:
        get(repo, *patterns, revision=revision)
    text = str(caught.value)
    assert text.endswith(f", or {REMEDY}")
    assert "\n" not in text
    assert caught.value.__suppress_context__
    return text


def test_only_the_files_wanted_are_fetched_at_the_commit_of_main(hub: FakeHub) -> None:
    sha = hub.add("o/set", {"test.jsonl": b"{}", "train.jsonl": b"big", "a/[x].csv": b"1"})
    files = get("o/set", "*.parquet", "test.jsonl")
    assert files.pin == Pin("o/set", sha, ["test.jsonl"])
    assert (files.folder / "test.jsonl").read_bytes() == b"{}"
    assert not any("train" in path for _, path, _ in hub.seen)
    assert get("o/set", "a/*.csv").pin.files == ["a/[x].csv"]


def test_a_noted_commit_is_used_from_then_on_and_costs_no_request(hub: FakeHub) -> None:
    old = hub.add("o/set", {"test.jsonl": b"old"})
    record_pin("task", get("o/set", "test.jsonl").pin)
    hub.add("o/set", {"test.jsonl": b"new"})
    hub.seen.clear()
    files = get("o/set", "test.jsonl")
    assert (files.pin.revision, (files.folder / "test.jsonl").read_bytes()) == (old, b"old")
    assert hub.seen == []


def test_a_noted_commit_is_fetched_again_where_the_cache_was_cleared(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    old = hub.add("o/set", {"test.jsonl": b"old"})
    record_pin("task", Pin("o/set", old, ["test.jsonl"], "hash"))
    hub.add("o/set", {"test.jsonl": b"new"})
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.mktemp("elsewhere")))
    files = get("o/set", "test.jsonl")
    assert files.pin == Pin("o/set", old, ["test.jsonl"], "hash")
    assert (files.folder / "test.jsonl").read_bytes() == b"old"


def test_the_revision_of_the_benchmark_wins_over_a_note(hub: FakeHub) -> None:
    old = hub.add("o/set", {"test.jsonl": b"old"})
    record_pin("task", get("o/set", "test.jsonl").pin)
    new = hub.add("o/set", {"test.jsonl": b"new"}, revision="b" * 40)
    assert old != new
    assert get("o/set", "test.jsonl", revision=new).pin.revision == new


def test_a_gated_set_needs_a_token_of_an_account_that_accepted(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("o/gated", {"q.csv": b"secret"}, gated=True)
    terms = "o/gated is gated: accept its terms at https://huggingface.co/datasets/o/gated and set HF_TOKEN"
    assert refusal("o/gated", "q.csv").startswith(terms)
    monkeypatch.setenv("HF_TOKEN", "hf_of_someone_else")
    text = refusal("o/gated", "q.csv")
    assert text.startswith(terms)
    assert "someone_else" not in text
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert get("o/gated", "q.csv").pin.files == ["q.csv"]


def test_a_token_that_is_no_header_is_not_printed(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("o/set", {"test.jsonl": b"{}"})
    monkeypatch.setenv("HF_TOKEN", "hf_secret\nwith a line break")
    assert "hf_secret" not in refusal("o/set", "test.jsonl")


def test_what_the_hub_does_not_have_is_named(hub: FakeHub) -> None:
    sha = hub.add("o/set", {"test.jsonl": b"{}"})
    assert f"o/set at {sha} holds none of *.parquet, *.csv" in refusal("o/set", "*.parquet", "*.csv")
    assert "does not know o/other at main" in refusal("o/other", "*.csv")
    assert f"does not know o/set at {'c' * 40}" in refusal("o/set", "*.csv", revision="c" * 40)


def test_a_broken_or_unreachable_hub_is_named(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.broken = 500
    assert f"o/set cannot be fetched from {hub.url} (HTTP 500): check the network" in refusal(
        "o/set", "*.csv"
    )
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9/")
    assert "cannot be fetched from http://127.0.0.1:9 (Connect" in refusal("o/set", "*.csv")


def test_offline_uses_the_cache_or_says_what_is_missing(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = hub.add("o/set", {"test.jsonl": b"{}"})
    get("o/set", "test.jsonl", revision=sha)
    hub.seen.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert get("o/set", "test.jsonl", revision=sha).pin == Pin("o/set", sha, ["test.jsonl"])
    assert "o/other is not in the hub cache and HF_HUB_OFFLINE is set: unset it" in refusal("o/other", "*")
    assert hub.seen == []


def test_what_another_tool_cached_serves_while_the_hub_is_down(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import snapshot_download

    sha = hub.add("o/set", {"test.jsonl": b"{}"})
    files = get("o/set", "test.jsonl")
    cache = str(files.folder.parents[2])
    snapshot_download("o/set", repo_type="dataset", endpoint=hub.url, cache_dir=cache)
    hub.broken = 503
    assert get("o/set", "test.jsonl").pin == Pin("o/set", sha, ["test.jsonl"])


def test_without_the_extra_the_line_names_it(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    assert "o/set needs huggingface-hub: pip install 'longcat-eval[data]'" in refusal("o/set", "*")
