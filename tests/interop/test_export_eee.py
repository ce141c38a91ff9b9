"""Every Eval Ever files against the project's own schemas (0.3.0, MIT, in every_eval_ever_0_3_0)."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from exporting import Export

from longcat_eval.reports.rows import result_rows
from longcat_eval.runners.store import read_run

SCHEMAS = Path(__file__).with_name("every_eval_ever_0_3_0")


def validator(name: str) -> jsonschema.Draft7Validator:
    schema = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    assert schema["version"] == "0.3.0"
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def read(folder: Path) -> tuple[Path, dict[str, Any], list[dict[str, Any]]]:
    (path,) = folder.rglob("*[0-9a-f].json")
    log = json.loads(path.read_text(encoding="utf-8"))
    samples = folder / log["detailed_evaluation_results"]["file_path"]
    assert samples == path.with_name(f"{path.stem}_samples.jsonl")
    return path, log, [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    "flags", [(), ("--no-texts",), ("--model-id", "o/m", "--relationship", "first_party")]
)
def test_both_files_are_valid(export: Export, flags: tuple[str, ...]) -> None:
    _, log, lines = read(export("eee", *flags))
    validator("eval.schema.json").validate(log)
    instances = validator("instance_level_eval.schema.json")
    for line in lines:
        instances.validate(line)


def test_scores_errors_and_counts_are_the_same(export: Export, tmp_path: Path) -> None:
    path, log, lines = read(export("eee", "--model-id", "toy-lab/Toy.1"))
    assert path.parent == tmp_path / "out/data/longcat-eval/toy-lab/Toy.1"
    results = {each["evaluation_name"]: each for each in log["evaluation_results"]}
    for row in result_rows(read_run(tmp_path / "run")):
        assert row.value is not None
        assert row.ci_low is not None
        assert row.se_questions is not None
        told = results[row.task]
        details = told["score_details"]
        assert details["score"] == pytest.approx(row.value / 100)
        error = details["uncertainty"]["standard_error"]
        assert error["value"] == pytest.approx(row.se_questions / 100)
        interval = details["uncertainty"]["confidence_interval"]
        assert interval["lower"] == pytest.approx(row.ci_low / 100)
        assert told["metric_config"]["metric_parameters"] == {"repeats": row.k}
        mine = [line for line in lines if line["evaluation_result_id"] == told["evaluation_result_id"]]
        assert len(mine) == row.valid == int(details["details"]["valid"])
        assert len(mine) < row.attempts == int(details["details"]["attempts"])
        assert sum(line["evaluation"]["score"] for line in mine) == row.correct
        assert max(int(line["metadata"]["repeat"]) for line in mine) == row.k - 1


def test_the_two_files_belong_together(export: Export) -> None:
    path, log, lines = read(export("eee"))
    about = log["detailed_evaluation_results"]
    samples = path.with_name(f"{path.stem}_samples.jsonl")
    assert about["checksum"] == hashlib.sha256(samples.read_bytes()).hexdigest()
    assert about["total_rows"] == len(lines)
    assert {line["evaluation_id"] for line in lines} == {log["evaluation_id"]}
    assert {line["model_id"] for line in lines} == {log["model_info"]["id"]}


def test_a_conversation_with_tools_is_agentic(export: Export) -> None:
    _, _, lines = read(export("eee"))
    line = next(line for line in lines if line["sample_id"] == "q002")
    assert line["interaction_type"] == "agentic"
    assert [message["role"] for message in line["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    call = line["messages"][2]["tool_calls"][0]
    assert call == {"id": "c1", "name": "bash", "arguments": {"command": "ls"}}
    assert line["messages"][3]["tool_call_id"] == ["c1"]
    assert line["evaluation"]["num_turns"] == 2
    assert line["answer_attribution"][0]["source"] == "messages[4].content"


def test_what_is_not_said_is_unknown(export: Export) -> None:
    _, log, _ = read(export("eee"))
    source = log["source_metadata"]
    assert (source["source_organization_name"], source["evaluator_relationship"]) == ("unknown", "other")


def test_a_wrong_relationship_is_refused(cli: Any, export: Export) -> None:
    export("eee")
    ran = cli("export", "run", "-f", "eee", "-o", "x", "--relationship", "third-party")
    assert ran.code == 2
    assert "did you mean 'third_party'?" in ran.err
