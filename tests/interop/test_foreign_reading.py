"""Other tools' files are read for what they say, and hostile ones are one clear error."""

import copy
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from foreign_files import EEE, INSPECT, LM_EVAL, write_inspect, write_json
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_runs import MakeRun

from longcat_eval.errors import UsageError
from longcat_eval.reports.foreign.benchmarks import our_task
from longcat_eval.reports.foreign.files import LARGEST
from longcat_eval.reports.foreign.reading import read_foreign, split_compare
from longcat_eval.reports.foreign.records import ForeignLog


def only(word: object) -> ForeignLog:
    (log,) = read_foreign([str(word)])
    return log


@pytest.mark.parametrize("name", ["a.eval", "a.json"])
@pytest.mark.parametrize("prefix", ["", "inspect:"])
def test_an_inspect_log(tmp_path: Path, name: str, prefix: str) -> None:
    path = write_inspect(tmp_path / name)
    log = only(f"{prefix}{path}")
    assert (log.tool, log.version, log.date, log.model) == (
        "inspect-ai",
        "0.3.285",
        "2026-03-04",
        "lab/some-model",
    )
    (result,) = log.results
    assert (result.task, result.name, result.metric) == ("mmlu", "inspect_evals/mmlu_0_shot", "accuracy")
    assert (result.value, result.stderr, result.n, result.repeats, result.lost) == (62.5, 4.0, 100, 2, 2)
    assert result.label == "avg@2"
    assert result.told["temperature"] == "0.5"
    assert result.others == ()
    assert result.unknown == ["prompts and grader beyond their name"]


def test_a_zstd_member_is_read(tmp_path: Path) -> None:
    """Python's zipfile writes no zstd before 3.14: the member is stored, then called zstd."""
    header = json.dumps({name: value for name, value in INSPECT.items() if name != "samples"}).encode()
    frame = zstandard.ZstdCompressor().compress(header)
    path = tmp_path / "new.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("samples/1_epoch_1.json", b"{}")
        archive.writestr("header.json", frame)
    content = bytearray(path.read_bytes())
    local = content.rfind(b"PK\x03\x04")
    central = content.rfind(b"PK\x01\x02")
    struct.pack_into("<H", content, local + 8, 93)
    struct.pack_into("<H", content, central + 10, 93)
    path.write_bytes(content)
    assert only(path).results[0].value == 62.5


def test_lm_eval_results(tmp_path: Path) -> None:
    path = write_json(tmp_path / "out" / "lab__some-model" / "results_2026-03-04T05-06-07.json", LM_EVAL)
    for word in (path, tmp_path / "out", f"lm-eval:{tmp_path / 'out'}"):
        log = only(word)
        assert (log.tool, log.version, log.date, log.model) == (
            "lm-eval",
            "0.4.13",
            "2026-03-04",
            "lab/some-model",
        )
        results = {result.name: result for result in log.results}
        assert set(results) == {"mmlu", "aime25", "gsm8k", "wikitext"}, "parts of mmlu are in mmlu"
        mmlu, aime = results["mmlu"], results["aime25"]
        assert (mmlu.task, mmlu.metric, mmlu.value, mmlu.stderr, mmlu.n) == ("mmlu", "acc", 50.0, 0.4, 301)
        assert (aime.task, aime.value, aime.n, aime.repeats) == ("aime25", 10.0, 10, None)
        assert aime.told["repeats asked"] == "4", "its default filter takes one of them"
        assert "repeats" in aime.unknown
        assert results["gsm8k"].others == ("exact_match,flexible-extract 0.45",)
        assert (results["gsm8k"].task, results["gsm8k"].told["filter"]) == ("", "strict-match")
        assert (results["wikitext"].value, results["wikitext"].share) == (12.5, False)


def test_the_newest_result_of_a_folder_counts(tmp_path: Path) -> None:
    newer = copy.deepcopy(LM_EVAL)
    newer["date"] += 60
    newer["results"] = {"aime25": {"exact_match,none": 0.2}}
    write_json(tmp_path / "m" / "results_a.json", newer)
    write_json(tmp_path / "m" / "results_b.json", LM_EVAL)
    results = {result.name: result.value for result in only(tmp_path).results}
    assert (results["aime25"], results["mmlu"]) == (20.0, 50.0)


def test_models_of_a_folder_are_columns(tmp_path: Path) -> None:
    other = {**LM_EVAL, "model_name": "lab/other"}
    write_json(tmp_path / "results_a.json", LM_EVAL)
    write_json(tmp_path / "results_b.json", other)
    assert {log.model for log in read_foreign([str(tmp_path)])} == {"lab/some-model", "lab/other"}
    for number in range(20):
        write_json(tmp_path / f"results_m{number}.json", {**LM_EVAL, "model_name": f"m{number}"})
    with pytest.raises(UsageError, match="22 models, and 12 fit"):
        read_foreign([str(tmp_path)])


def test_an_every_eval_ever_file(tmp_path: Path) -> None:
    log = only(write_json(tmp_path / "e.json", EEE))
    assert (log.tool, log.version, log.date, log.model) == (
        "lighteval",
        "0.9",
        "2026-03-04",
        "lab/some-model",
    )
    assert log.about == ("told by Some Leaderboard", "evaluator third party", "reported numbers, not a run")
    pro, speed = log.results
    assert (pro.task, pro.value, pro.stderr, pro.n, pro.label) == ("mmlu-pro", 66.5, 0.5, 12032, "acc")
    assert (speed.task, speed.value, speed.share) == ("", 0.7, False)


def test_proportions_become_percent_by_what_the_file_states(tmp_path: Path) -> None:
    made = copy.deepcopy(EEE)
    config = made["evaluation_results"][0]["metric_config"]
    config |= {"max_score": 1.0, "min_score": 0.0}
    made["evaluation_results"][0]["score_details"] = {
        "score": 0.665,
        "uncertainty": {"standard_error": {"value": 0.005}},
    }
    result = only(write_json(tmp_path / "e.json", made)).results[0]
    assert (result.value, result.stderr) == (66.5, 0.5)


@pytest.mark.parametrize(
    ("name", "dataset", "task"),
    [
        ("inspect_evals/mmlu_0_shot", None, "mmlu"),
        ("MMLU-Pro", None, "mmlu-pro"),
        ("leaderboard_mmlu_pro", None, ""),
        ("mmlu_anatomy", "cais/mmlu", ""),
        ("gpqa_main_zeroshot", None, ""),
        ("gpqa_diamond_cot_zeroshot", None, "gpqa-diamond"),
        ("inspect_evals/swe_bench", "princeton-nlp/SWE-bench_Verified", "swe-bench-verified"),
        ("inspect_evals/swe_bench", "my/own", ""),
        ("swe_bench_verified_mini", None, ""),
        ("minerva_math500", None, "math500"),
        ("minerva_math", None, ""),
        ("aime", None, ""),
        ("tau2-airline", None, "tau2-airline"),
    ],
)
def test_only_the_whole_benchmark_is_ours(name: str, dataset: str | None, task: str) -> None:
    assert our_task(name, dataset) == task


def test_a_name_of_a_published_column_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kimi").mkdir()
    (tmp_path / "mine").mkdir()
    assert split_compare(["kimi, mine,inspect:kimi"]) == (["kimi"], ["mine", "inspect:kimi"])


def changed(record: dict[str, Any], *path: str | int, to: Any) -> dict[str, Any]:
    """A copy with one value replaced."""
    made: Any = copy.deepcopy(record)
    at = made
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = to
    whole: dict[str, Any] = made
    return whole


HOSTILE = {
    "no file": (None, "there is no such file or folder"),
    "empty": (b"", "nobody's file that is known here"),
    "noise": (bytes(range(256)) * 9, "nobody's file that is known here"),
    "list": (b"[1, 2]", "nobody's file that is known here"),
    "deep": (b'{"results": ' + b"[" * 200_000, "x.json"),
    "wrong type": (json.dumps({"results": {"a": 7}}).encode(), "Expected `object`"),
    "no number": (json.dumps({"results": {"a": {"acc,none": "N/A"}}}).encode(), "no task in it has a number"),
    "loop": (
        json.dumps({"results": {"a": {}}, "group_subtasks": {"a": ["b"], "b": ["a"]}}).encode(),
        "no task in it has a number",
    ),
    "NaN": (
        json.dumps({"results": {"a": {"acc,none": float("nan")}}}).encode(),
        "no task in it has a number",
    ),
    "Inspect version": (json.dumps(changed(INSPECT, "version", to=9)).encode(), "version 9"),
    "Inspect error": (json.dumps(changed(INSPECT, "results", to=None)).encode(), "the log has no scores"),
    "Inspect field": (json.dumps(changed(INSPECT, "eval", "task", to=None)).encode(), "$.eval.task"),
    "EEE version": (json.dumps(changed(EEE, "schema_version", to="7.1")).encode(), "schema 7.1 is not known"),
    "EEE field": (json.dumps(changed(EEE, "model_info", to={})).encode(), "missing required field `id`"),
    "EEE empty": (json.dumps(changed(EEE, "evaluation_results", to=[])).encode(), "no result with a score"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_clear_error(tmp_path: Path, name: str) -> None:
    content, said = HOSTILE[name]
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_foreign([str(path)])
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_hostile_zips(tmp_path: Path) -> None:
    whole = write_inspect(tmp_path / "a.eval").read_bytes()
    for name, content, said in (
        ("cut", whole[: len(whole) // 2], "no whole zip"),
        ("flipped", whole.replace(b"header.json", b"harder.json"), "has not finished"),
        ("nothing", b"PK\x05\x06" + bytes(18), "no Inspect log"),
    ):
        path = tmp_path / f"{name}.eval"
        path.write_bytes(content)
        with pytest.raises(UsageError, match=said):
            read_foreign([str(path)])
    bomb = tmp_path / "bomb.eval"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", b" " * (LARGEST + 1))
    assert bomb.stat().st_size < 100_000
    with pytest.raises(UsageError, match="more than the"):
        read_foreign([str(bomb)])


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = write_json(tmp_path / "results_1.json", LM_EVAL)
    with path.open("r+b") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(UsageError, match="bytes are more than"):
        read_foreign([str(path)])


def test_folders_without_results(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for word, said in (
        ("{}", "no .eval log, no results"),
        ("lm-eval:{}", "the folder has no results"),
        ("inspect:{}", "no .eval and no .json log"),
        ("eee:{}", "no aggregate of Every Eval Ever"),
    ):
        with pytest.raises(UsageError, match=said):
            read_foreign([word.format(tmp_path / "empty")])


def test_a_name_from_a_file_cannot_steer_the_terminal(tmp_path: Path) -> None:
    made = changed(INSPECT, "eval", "model", to="a\x1b[31m\nb")
    log = only(write_inspect(tmp_path / "a.eval", made))
    assert log.model == "a[31m b"


def read_or_refuse(word: str) -> None:
    """No other error than ours, on one line."""
    said = ""
    try:
        read_foreign([word])
    except UsageError as error:
        said = str(error)
    assert "\n" not in said


WRITTEN = {"x.json": json.dumps(LM_EVAL), "y.json": json.dumps(EEE), "z.json": json.dumps(INSPECT)}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(WRITTEN)), cut=st.floats(0, 1), byte=st.integers(0, 255), keep=st.booleans()
)
def test_any_damage_is_read_or_refused(tmp_path: Path, name: str, cut: float, byte: int, keep: bool) -> None:
    content = bytearray(WRITTEN[name].encode())
    at = int(cut * (len(content) - 1))
    content[at] = byte
    path = tmp_path / name
    path.write_bytes(content if keep else content[: at + 1])
    read_or_refuse(str(path))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1), byte=st.integers(0, 255), keep=st.booleans())
def test_any_damage_of_a_zip_is_read_or_refused(tmp_path: Path, cut: float, byte: int, keep: bool) -> None:
    content = bytearray(write_inspect(tmp_path / "whole.eval").read_bytes())
    at = int(cut * (len(content) - 1))
    content[at] = byte
    path = tmp_path / "a.eval"
    path.write_bytes(content if keep else content[: at + 1])
    read_or_refuse(f"inspect:{path}")


def test_a_folder_of_logs_with_a_crashed_one(tmp_path: Path) -> None:
    """The newest log of a task counts; what cannot be used is told, what is no log is passed over."""
    later = changed(INSPECT, "results", "scores", 0, "metrics", "accuracy", "value", to=0.75)
    other = changed(INSPECT, "eval", "task", to="inspect_evals/mmlu_pro")
    write_inspect(tmp_path / "2026-03-04T05_mmlu.eval")
    write_inspect(tmp_path / "2026-03-04T09_mmlu.json", later)
    write_inspect(tmp_path / "2026-03-03T01_pro.eval", other)
    write_inspect(tmp_path / "2026-03-05T01_mmlu.json", changed(INSPECT, "results", to=None))
    write_json(tmp_path / "logs.json", {"a.eval": {"status": "success"}})
    log = only(tmp_path)
    assert {result.task: result.value for result in log.results} == {"mmlu": 75.0, "mmlu-pro": 62.5}
    assert log.about == ("left out, because they cannot be used: 2026-03-05T01_mmlu.json",)
    assert log.path == str(tmp_path)


def test_a_folder_of_results_with_a_cut_one(tmp_path: Path) -> None:
    write_json(tmp_path / "results_1.json", LM_EVAL)
    for number in range(2, 7):
        (tmp_path / f"results_{number}.json").write_text('{"results": {"a"', encoding="utf-8")
    said = "results_2.json, results_3.json, results_4.json and 2 more"
    assert only(tmp_path).about[-1].endswith(said)
    (tmp_path / "results_1.json").unlink()
    with pytest.raises(UsageError, match=r"results_2\.json"):
        read_foreign([str(tmp_path)])


def test_a_datastore_folder(tmp_path: Path) -> None:
    name = "8a6de171-09fd-44eb-989f-8af0664cb415"
    write_json(tmp_path / "data" / "c" / "d" / "m" / f"{name}.json", EEE)
    write_json(tmp_path / "adapter_reports" / "failures.json", {"schema_version": 1})
    assert only(f"eee:{tmp_path}").model == "lab/some-model"


def test_a_run_of_ours_is_named_as_a_run(make_run: MakeRun) -> None:
    with pytest.raises(UsageError, match="name it as a run, before --compare"):
        read_foreign([str(make_run({"mmlu": (2, 1)}))])
