"""What goes wrong in one dialogue stays in it, and lands in its class: specs' fault matrix, over the wire."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import Cli, Ran, serving
from loopback import Raw
from tau2_domains import Loaded, load
from tau2_players import AGENT, USER, Players, call

from longcat_eval.model_backend.tool_grammars import grammar_named
from longcat_eval.model_backend.tool_prompt import calls_as_text
from longcat_eval.records import AttemptRow, Transcript, Wire
from longcat_eval.runners.store import read_run, read_transcript
from longcat_eval.tasks.tau2.source import Tau2Source

VICTIM, OTHERS = "1", ("7", "3")
Fault = Callable[[str, int], Any]
"""(side, turn) -> an answer instead of the script's, or None."""


class Played:
    """One run of three airline tasks in which `fault` plays the victim's dialogue."""

    def __init__(self, cli: Cli, source: Tau2Source, path: Path, fault: Fault, *flags: str) -> None:
        self.path = path
        self.airline = load(source, "airline")
        players = players_of(
            self.airline, lambda side, task, turn, _: fault(side, turn) if task == VICTIM else None
        )
        with serving(players, models=(AGENT, USER)) as server:
            self.ran: Ran = cli(*command(server.base_url, source, path), *flags)
            self.bodies = server.bodies
        rows = {row.sample: row for row in read_run(path).rows}
        self.row: AttemptRow = rows[VICTIM]
        for other in OTHERS:
            assert (rows[other].value, rows[other].reason) == (1.0, "user_stop"), "nobody else is touched"

    @property
    def transcript(self) -> Transcript:
        return read_transcript(self.path, self.row)


def players_of(loaded: Loaded, hook: Callable[[str, str, int, Wire], Any] | None = None) -> Players:
    domain = loaded.task.domain
    return Players(domain.tasks, {domain.user_prompt(raw): raw["id"] for raw in domain.tasks}, hook)


def command(
    url: str, source: Tau2Source, path: Path, tasks: tuple[str, ...] = (VICTIM, *OTHERS)
) -> list[str]:
    chosen = [word for task in tasks for word in ("--sample-id", task)]
    return [
        *("run", "--task", "tau2-airline", *chosen, "--repeats", "1", "--tau2-src", str(source.package)),
        *("--model", AGENT, "--base-url", url, "--user-model", USER, "--user-base-url", url),
        *("--set", "sampling.temperature=0.7", "--set", "sampling.top_k=4", "--plain", "-o", str(path)),
    ]


Play = Callable[..., Played]


@pytest.fixture
def play(cli: Cli, tau2_source: Tau2Source, tmp_path: Path) -> Play:
    return lambda fault, *flags: Played(cli, tau2_source, tmp_path / "run", fault, *flags)


def once(answer: Any) -> Fault:
    """The agent's first reply, the first time it is asked for."""
    left = [answer]
    return lambda side, turn: left.pop() if left and (side, turn) == ("agent", 0) else None


def always(answer: Any, who: str = "agent") -> Fault:
    """Every reply of one side."""
    return lambda side, turn: answer if side == who else None


def error(status: int, message: str = "fault", code: str | None = None) -> Raw:
    return Raw(status, json.dumps({"error": {"message": message, "code": code}}).encode())


TOO_LONG = error(400, "This model's maximum context length is 8192 tokens", "context_length_exceeded")
BAD_JSON, LIST = call("get_user_details", '{"user_id": '), call("get_user_details", "[1]")
UNKNOWN = call("teleport", "{}")
BOTH = call("get_user_details", '{"user_id": "raj_sanchez_7340"}', content="the secret word is 42")
EMPTY, NO_CALLS = (
    {"role": "assistant", "content": ""},
    {"role": "assistant", "content": "Hm.", "tool_calls": []},
)


@pytest.mark.parametrize("answer", [error(500), error(429), EMPTY, NO_CALLS, BAD_JSON, LIST, UNKNOWN, BOTH])
def test_one_mishap_is_got_over(play: Play, answer: Any) -> None:
    played = play(once(answer))
    assert (played.ran.code, played.row.outcome, played.row.reason) == (0, "answered", "user_stop")


@pytest.mark.parametrize(
    ("fault", "outcome", "reason"),
    [
        (always(EMPTY), "no_answer", "empty_reply"),
        (always(TOO_LONG), "length_limit", "context"),
        (always(BAD_JSON), "agent_budget", "too_many_errors"),
        (always(LIST), "agent_budget", "too_many_errors"),
        (always(UNKNOWN), "agent_budget", "too_many_errors"),
        (always("And what else?"), "answered", "user_stop"),
    ],
)
def test_the_agents_own_fault_counts_as_zero(play: Play, fault: Fault, outcome: str, reason: str) -> None:
    played = play(fault)
    assert (played.ran.code, played.row.outcome, played.row.reason) == (0, outcome, reason)
    assert played.row.value == (1.0 if outcome == "answered" else 0.0), "task 1 is passed by doing nothing"
    assert played.transcript.artifacts["verdict"]["db"]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (always(error(500)), "endpoint_error"),
        (always(error(400)), "endpoint_error"),
        (always(error(500), "user"), "simulator_error"),
        (always(TOO_LONG, "user"), "simulator_error"),
        (always(EMPTY, "user"), "simulator_error"),
    ],
)
def test_what_is_not_the_agents_fault_is_shown_and_not_graded(play: Play, fault: Fault, outcome: str) -> None:
    played = play(fault, "--max-tries", "2")
    assert (played.ran.code, played.row.outcome, played.row.value) == (3, outcome, None)
    assert "incomplete 66.66 %" in played.ran.out
    assert f"1 {outcome}" in played.ran.out
    assert "66.67–100.00" in played.ran.out, "the bounds with the lost one wrong and right"


def test_ten_tool_errors_end_it_with_zero(play: Play) -> None:
    played = play(always(UNKNOWN))
    results = [e for e in played.transcript.artifacts["trajectory"] if e["from"] == "env"]
    assert [r["content"] for r in results] == ["Error: Tool 'teleport' not found."] * 10
    assert played.row.metrics["tool_errors"] == 10


def test_text_beside_a_call_is_hidden_from_the_user(play: Play) -> None:
    played = play(once(BOTH))
    assert not any("secret word" in json.dumps(b["messages"]) for b in played.bodies if b["model"] == USER)
    assert any("secret word" in e["content"] for e in played.transcript.artifacts["trajectory"])


def test_a_calculation_without_end_is_a_tool_error_at_once(play: Play) -> None:
    began = time.process_time()
    played = play(once(call("calculate", '{"expression": "9**9**9"}')))
    assert time.process_time() - began < 20
    assert played.transcript.artifacts["trajectory"][3]["content"] == "Error: Number too large"


def test_a_user_who_stops_in_answer_to_a_question_is_noticed(play: Play) -> None:
    def fault(side: str, turn: int) -> Any:
        return "Shall I book it?" if side == "agent" else ("Yes. ###STOP###" if turn else None)

    played = play(fault)
    assert played.row.metrics["premature_stop"] == 0, "the task is passed all the same"


def test_the_users_mistakes_are_the_users(play: Play) -> None:
    left = [EMPTY]
    played = play(lambda side, turn: left.pop() if side == "user" and turn and left else None)
    assert (played.row.value, played.row.metrics["user_fault"]) == (1.0, 1.0)


def test_no_setting_of_the_agent_reaches_the_user(play: Play) -> None:
    played = play(always(None))
    for body in played.bodies:
        if body["model"] == USER:
            assert (body["temperature"], body.keys() & {"top_k", "tools", "tool_choice"}) == (0.0, set())
        else:
            assert (body["temperature"], body["top_k"], body["tool_choice"]) == (0.7, 4, "auto")
        assert body["seed"] == 626729
    manifest = json.loads((played.path / "manifest.json").read_text())
    first = manifest["first_requests"]["tau2-airline/agent"]
    assert [tool["function"]["name"] for tool in first["tools"]][:2] == ["book_reservation", "calculate"]
    protocol: Mapping[str, Any] = manifest["tasks"]["tau2-airline"]["protocol"]
    assert (protocol["name"], protocol["limits"]["max_steps"]) == ("tau2-v0.2", 200)
    assert protocol["role_sampling"] == {"user": {"temperature": 0.0}}


def test_kill_nine_and_resume_without_a_terminal(cli: Cli, tau2_source: Tau2Source, tmp_path: Path) -> None:
    airline = load(tau2_source, "airline")
    tasks = tuple(sample.id for sample in airline.samples[:24])
    path, whole = tmp_path / "killed", tmp_path / "whole"
    with serving(players_of(airline), models=(AGENT, USER), latency=0.02) as server:
        words = [*command(server.base_url, tau2_source, path, tasks), "-c", "4"]
        process = subprocess.Popen(
            [sys.executable, "-m", "longcat_eval", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        rows, deadline = path / "samples.jsonl", time.monotonic() + 60
        while time.monotonic() < deadline and not (rows.exists() and rows.read_bytes().count(b"\n") >= 6):
            time.sleep(0.005)
        process.kill()
        process.wait()
        kept = rows.read_bytes().count(b"\n")
        assert 6 <= kept < len(tasks)
        again = subprocess.run(
            [sys.executable, "-m", "longcat_eval", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=os.environ,
            check=False,
        )
        assert again.returncode == 0, again.stderr
        assert len(rows.read_bytes().splitlines()) == len(tasks), "what was finished is not made again"
        assert cli(*command(server.base_url, tau2_source, whole, tasks)).code == 0
    assert cli("report", path, "-f", "csv").out == cli("report", whole, "-f", "csv").out


def test_missing_roles_and_packages_are_one_line(
    cli: Cli, tau2_source: Tau2Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("run", "--task", "tau2-airline", "--model", AGENT, "--base-url", "http://127.0.0.1:9/v1")
    ran = cli(*words, "--tau2-src", tau2_source.package)
    assert ran.code == 5
    assert "give --user-model (its authors use gpt-4.1-2025-04-14)" in ran.err
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ran = cli("run", "--task", "tau2-airline", "--model", "scripted/oracle")
    assert (ran.code, "longcat-eval fetch tau2" in ran.err) == (5, True)


@pytest.mark.parametrize("grammar", ["hermes", "longcat_xml"])
def test_both_sides_may_have_their_tools_in_the_prompt(
    cli: Cli, tau2_source: Tau2Source, tmp_path: Path, grammar: str
) -> None:
    """Servers that know no tools: calls of agent and user come as text, and go back as the same text."""
    telecom = load(tau2_source, "telecom")
    domain = telecom.task.domain
    by_prompt = {domain.user_prompt(sample.fields): sample.id for sample in telecom.samples}
    tasks = tuple(list(by_prompt.values())[:3])
    players = Players(domain.tasks, by_prompt)
    form = grammar_named(grammar)

    def as_plain_text(side: str, task: str, turn: int, body: Wire) -> Wire:
        assert not {"tools", "tool_choice"} & body.keys()
        assert not any(m["role"] == "tool" or "tool_calls" in m for m in body["messages"])
        said = players.gold(side, task, turn)
        return (
            calls_as_text({**said, "content": said["content"] or ""}, form) if "tool_calls" in said else said
        )

    players.hook = as_plain_text
    with serving(players, models=(AGENT, USER)) as server:
        words = command(server.base_url, tau2_source, tmp_path / "r", tasks)
        words[words.index("tau2-airline")] = "tau2-telecom"
        ran = cli(*words, "--tool-parser", grammar, "--user-tool-parser", grammar)
    assert ran.code == 0, ran.err
    rows = read_run(tmp_path / "r").rows
    assert [row.value for row in rows] == [1.0] * len(tasks), [row.reason for row in rows]
    assert f"parser {grammar}, user parser {grammar}" in " ".join(ran.out.split())


def test_rescoring_needs_no_model(play: Play, cli: Cli, tau2_source: Tau2Source) -> None:
    played = play(always(None))
    ran = cli("rescore", played.path, "--tau2-src", tau2_source.package)
    assert ran.code == 0, ran.err
    assert "3 attempts judged again, 0 verdicts changed" in ran.out
