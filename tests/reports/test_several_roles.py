"""Results with a user simulator and tools: what must agree, what stands beside the score, floors."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs
from rich.console import Console

from longcat_eval.errors import UsageError
from longcat_eval.records import AttemptRow, Outcome
from longcat_eval.reports.notes import notes
from longcat_eval.reports.render import render
from longcat_eval.reports.rows import result_row, result_rows
from longcat_eval.reports.summary import render_run_summary
from longcat_eval.reports.table import build_table
from longcat_eval.reports.texts import curve
from longcat_eval.runners.manifest import RoleRecord, TaskRecord
from longcat_eval.runners.store import RunData
from longcat_eval.tasks import table as tasks

MakeBinary = Callable[..., tuple[TaskRecord, list[AttemptRow]]]
MakeRecord = Callable[..., TaskRecord]
MakeRows = Callable[..., list[AttemptRow]]
MakeRun = Callable[..., RunData]

DIALOGUE: dict[str, Any] = {
    "roles": ("agent", "user"),
    "limits": {"max_steps": 200.0, "max_errors": 10.0},
    "tools": True,
    "role_sampling": {"user": {"temperature": 0.0}},
}
USER = RoleRecord(name="gpt-4.1", kind="endpoint", served_name="gpt-4.1-2025-04-14")
SAID = "user gpt-4.1-2025-04-14 (temperature 0), max_errors 10, max_steps 200, parser none"


def steps(count: int) -> dict[str, Any]:
    return {**DIALOGUE, "limits": {"max_steps": float(count), "max_errors": 10.0}}


@pytest.fixture
def make_dialogue(make_run: MakeRun, make_binary: MakeBinary) -> MakeRun:
    """One run of `tasks` (name -> right of 50 x 8) under the protocol `more`."""

    def make(
        *names: str,
        path: str = "runs/a",
        more: dict[str, Any] = DIALOGUE,
        user: RoleRecord = USER,
        **agent: Any,
    ) -> RunData:
        made = {name: make_binary(name, 232, 50, 8, protocol="tau2-v0.2", more=more) for name in names}
        return make_run(made, path=path, agent=agent, user=user)

    return make


def note(runs: list[RunData], start: str, compare: tuple[str, ...] = (), *, mixed: bool = False) -> str:
    """The one note that begins so, or nothing."""
    found = [text for text in notes(build_table(runs, compare, allow_mixed=mixed)) if text.startswith(start)]
    assert len(found) < 2
    return "".join(found)


def test_conditions_are_the_other_models_the_limits_and_the_parser(make_dialogue: MakeRun) -> None:
    (row,) = result_rows(make_dialogue("tau2-airline"))
    assert list(row.conditions.items()) == [
        ("user", "gpt-4.1-2025-04-14 (temperature 0)"),
        ("max_errors", "10"),
        ("max_steps", "200"),
        ("parser", "none"),
    ]


def test_parsers_of_both_sides_and_sampling_of_the_users_own(make_dialogue: MakeRun) -> None:
    user = RoleRecord(
        name="me",
        kind="endpoint",
        sampling={"temperature": 1.0, "top_p": 0.9, "chat_template_kwargs": {"thinking": False}},
        tool_parser="hermes",
    )
    run = make_dialogue("tau2-telecom", user=user, tool_parser="longcat_xml", lenient_tools=True)
    (row,) = result_rows(run)
    assert row.conditions["user"] == 'me (chat_template_kwargs {"thinking":false}, temperature 0, top_p 0.9)'
    assert (row.conditions["parser"], row.conditions["user parser"]) == ("longcat_xml lenient", "hermes")


def test_a_field_that_was_never_sent_is_no_condition(make_dialogue: MakeRun) -> None:
    run = make_dialogue("tau2-airline")
    run.manifest.first_requests = {"tau2-airline/user": {"model": "gpt-4.1-2025-04-14", "messages": []}}
    assert result_rows(run)[0].conditions["user"] == "gpt-4.1-2025-04-14 (server defaults)"


def test_a_question_and_an_answer_have_no_conditions(make_run: MakeRun, make_binary: MakeBinary) -> None:
    run = make_run({"mmlu": make_binary("mmlu", 1, 2)})
    assert result_rows(run)[0].conditions == {}
    assert not any("protocol" in text for text in notes(build_table([run])))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"more": steps(100)}, r"max_steps \(200, 100\)"),
        (
            {"user": structs.replace(USER, served_name="gpt-5")},
            r"user \(gpt-4.1-2025-04-14 \(temperature 0\), gpt-5",
        ),
        ({"tool_parser": "hermes"}, r"parser \(none, hermes\)"),
        ({"user": structs.replace(USER, tool_parser="hermes")}, r"user parser \(not set, hermes\)"),
        (
            {"user": structs.replace(USER, sampling={"top_p": 0.5}), "more": steps(50)},
            r"user \(.*\(temperature 0\); .*\(temperature 0, top_p 0.5\)\), max_steps \(200, 50\)",
        ),
    ],
)
def test_other_conditions_do_not_mix(change: dict[str, Any], said: str, make_dialogue: MakeRun) -> None:
    runs = [make_dialogue("tau2-airline"), make_dialogue("tau2-airline", path="runs/b", **change)]
    with pytest.raises(UsageError, match=rf"tau2-airline: the runs differ in {said}.*--allow-mixed"):
        build_table(runs)
    assert note(runs, "mixed", mixed=True).startswith("mixed: tau2-airline: the runs differ in ")


def test_equal_conditions_are_one_note(make_dialogue: MakeRun) -> None:
    runs = [make_dialogue("tau2-airline", "tau2-retail", path=f"runs/{name}") for name in "ab"]
    assert note(runs, "Tau2-A") == f"Tau2-Airline, Tau2-Retail: protocol tau2-v0.2, {SAID}."


def test_mixed_conditions_are_said_of_each_run(make_dialogue: MakeRun) -> None:
    runs = [make_dialogue("tau2-airline"), make_dialogue("tau2-airline", path="runs/b", more=steps(100))]
    assert note(runs, "toy-model (a) Tau2-Airline", mixed=True).endswith("max_steps 200, parser none.")
    assert note(runs, "toy-model (b) Tau2-Airline", mixed=True).endswith("max_steps 100, parser none.")


def test_json_has_conditions_means_and_the_whole_curves(
    make_dialogue: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tasks.TASKS, "toy-dialogue", "toy_dialogue:toy_dialogue")
    run = make_dialogue("toy-dialogue")
    (row,) = json.loads(render(build_table([run]), [run], "json"))["rows"]
    assert row["conditions"]["max_steps"] == "200"
    assert row["means"] == {"steps": 0.0, "tool_calls": 1.0}
    assert {f"pass{kind}{j}" for kind in "@^" for j in range(1, 9)} < row["metrics"].keys()
    assert row["metrics"]["pass^1"] == row["value"] == 58.0


def test_shares_means_and_the_curve_stand_beside_the_score(
    make_run: MakeRun, make_record: MakeRecord, make_rows: MakeRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tasks.TASKS, "toy-dialogue", "toy_dialogue:toy_dialogue")
    rows = make_rows("toy-dialogue", [[1.0, 1.0], [1.0, 0.0]])
    rows = [
        structs.replace(row, metrics={"steps": 10.0 + i, "user_fault": float(i == 0)})
        for i, row in enumerate(rows)
    ]
    run = make_run({"toy-dialogue": (make_record(2, 2), rows)})
    assert note([run], "Beside") == (
        "Beside the score; toy-dialogue: user fault 25.00, steps 11.5, tool calls 1.0, "
        "pass@2 100.00, pass^1..2: 75.00 50.00."
    )


@pytest.mark.parametrize(
    ("k", "valid", "printed"),
    [
        (8, 8, ["pass@8 100.00", "pass^1..8: 50.00 21.43 7.14 1.43 0.00 0.00 0.00 0.00"]),
        (8, 2, ["pass@2 100.00", "pass^1..2: 50.00 0.00 (some question has only 2 valid attempts)"]),
        (4, 1, ["pass@1 100.00", "pass^1: 100.00 (some question has only 1 valid attempt)"]),
        (12, 12, ["pass@12 100.00", "pass^1,2,4,8,12: 50.00 22.73 3.03 0.00 0.00"]),
        (16, 16, ["pass@16 100.00", "pass^1,2,4,8,16: 50.00 23.33 3.85 0.01 0.00"]),
        (8, 0, []),
        (1, 1, []),
    ],
)
def test_the_printed_curve_is_short_and_ends_where_it_must(
    k: int, valid: int, printed: list[str], make_record: MakeRecord, make_rows: MakeRows
) -> None:
    values: list[float | None] = [float(i % 2 == 0) for i in range(valid)]
    rows = make_rows("toy", [values + [None] * (k - valid)] * 3)
    assert list(curve(result_row("toy", make_record(3, k), rows))) == printed


AIRLINE = {"null": 0.38, "transfer": 0.38}
RETAIL = {"null": 7 / 114, "transfer": 7 / 114}
TELECOM = {"null": 0.0, "transfer": 20 / 114}


def test_values_at_or_below_a_floor_are_named(make_run: MakeRun, make_binary: MakeBinary) -> None:
    run = make_run(
        {
            "tau2-airline": make_binary("tau2-airline", 152, 50, 8, floors=AIRLINE),
            "tau2-retail": make_binary("tau2-retail", 57, 114, 8, floors=RETAIL),
            "tau2-telecom": make_binary("tau2-telecom", 161, 114, 8, floors=TELECOM),
        }
    )
    assert note([run], "Floors") == (
        "Floors, scored without any skill; Tau2-Airline: doing nothing 38.00, always transferring to a human "
        "38.00; Tau2-Retail: doing nothing 6.14, always transferring to a human 6.14; Tau2-Telecom: always "
        "transferring to a human 17.54."
    )
    assert note([run], "at or below", ("kimi", "qwen3-next", "gemini", "longcat")) == (
        "at or below a floor: "
        "Kimi-Linear-48B-A3B (Tau2-Telecom 15.68 <= always transferring to a human 17.54); "
        "Qwen3-Next-80B-A3B-Instruct (Tau2-Telecom 13.2 <= always transferring to a human 17.54); "
        "Gemini 2.5 Flash-Lite (Tau2-Airline 35.00 <= doing nothing 38.00); "
        "toy-model (this run) (Tau2-Airline 38.00 <= doing nothing 38.00)."
    )


@pytest.mark.parametrize("change", [{"items": 50}, {"drift": "one row less"}])
def test_published_values_are_held_against_the_floor_of_all_questions_alone(
    change: dict[str, Any], make_run: MakeRun, make_binary: MakeBinary
) -> None:
    some = make_run({"tau2-airline": make_binary("tau2-airline", 3, 10, floors={"null": 0.5}, **change)})
    assert note([some], "at or below", ("gemini",)) == (
        "at or below a floor: toy-model (this run) (Tau2-Airline 30.00 <= doing nothing 50.00)."
    )


def test_a_floor_of_zero_is_no_news(make_run: MakeRun, make_binary: MakeBinary) -> None:
    run = make_run({"toy": make_binary("toy", 0, 10, floors={"null": 0.0})})
    assert not any("floor" in text.lower() for text in notes(build_table([run])))


def summary(run: RunData) -> str:
    file = io.StringIO()
    render_run_summary(Console(file=file, width=200, color_system=None), [run])
    return file.getvalue()


def test_a_failing_user_simulator_is_a_warning(
    make_run: MakeRun, make_record: MakeRecord, make_rows: MakeRows
) -> None:
    rows = make_rows("tau2-airline", [[1.0]] * 8 + [[None]] * 2)
    rows = [r if r.outcome.valid else structs.replace(r, outcome=Outcome.SIMULATOR_ERROR) for r in rows]
    text = summary(make_run({"tau2-airline": (make_record(10), rows)}))
    assert (
        "warning   Tau2-Airline: the user simulator failed in 2 of 10 attempts, which have no score" in text
    )
    assert "--outcome simulator_error" in text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("user_fault", "the user simulator made a fault in"),
        ("premature_stop", "the user simulator seems to have stopped before the agent was done in"),
    ],
)
@pytest.mark.parametrize("faults", [1, 2])
def test_a_faulty_user_simulator_is_a_warning_beyond_a_limit(
    faults: int,
    name: str,
    said: str,
    make_run: MakeRun,
    make_record: MakeRecord,
    make_rows: MakeRows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(tasks.TASKS, "toy-dialogue", "toy_dialogue:toy_dialogue")
    rows = make_rows("toy-dialogue", [[1.0]] * 20)
    rows = [structs.replace(row, metrics={name: float(i < faults)}) for i, row in enumerate(rows)]
    text = summary(make_run({"toy-dialogue": (make_record(20), rows)}))
    assert (f"warning   toy-dialogue: {said} 10.0 % of the attempts" in text) is (faults == 2)
    assert ("warning" in text) is (faults == 2)
