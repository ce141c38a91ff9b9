"""Commands on a benchmark with a user simulator: what it will cost, and its transcripts to read."""

import json
from pathlib import Path

import pytest
from cli_fixtures import Cli
from loopback import FakeEndpoint

from longcat_eval.runners.store import read_run
from longcat_eval.tasks import table

TOY = ("run", "--task", "toy-dialogue", "--plain")
PRICED = ("--set", "price.prompt=1000", "--set", "price.completion=2000")


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.TASKS, "toy-dialogue", "toy_dialogue:toy_dialogue")


@pytest.fixture
def openai_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody-1234567890")


@pytest.mark.usefixtures("openai_key")
def test_each_role_is_estimated_at_its_own_price(cli: Cli, endpoint: FakeEndpoint) -> None:
    ran = cli(
        *TOY,
        "-m",
        "m",
        "--base-url",
        endpoint.base_url,
        *PRICED,
        "--user-model",
        "gpt-4.1",
        "--dry-run",
        "-k",
        50,
    )
    assert ran.code == 0, ran.err
    lines = [line.split() for line in ran.out.splitlines()]
    agent = next(words for words in lines if words[:2] == ["toy-dialogue", "agent"])
    user = next(words for words in lines if words[:1] == ["user"])
    assert agent[2:4] == ["200", "400"]
    numbers = [int(word.replace(",", "")) for word in (*agent[4:6], *user[2:4])]
    dollars = [(numbers[0] * 1000 + numbers[1] * 2000) / 1e6, (numbers[2] * 2 + numbers[3] * 8) / 1e6]
    assert (
        f"(agent ${dollars[0]:,.2f}, user ${dollars[1]:,.2f}) before discounts for cached prompts" in ran.out
    )
    assert not endpoint.requests


def test_a_price_nobody_knows_is_said_of_its_role(cli: Cli, endpoint: FakeEndpoint) -> None:
    where = ("--base-url", endpoint.base_url, "--user-model", "u", "--user-base-url", endpoint.base_url)
    ran = cli(*TOY, "-m", "m", *where, *PRICED, "--dry-run")
    assert ran.code == 0, ran.err
    assert "at least $" in ran.out
    assert "user: cost unknown (give --role user.price.prompt=…" in ran.out
    ran = cli(*TOY, "-m", "m", *where, "--dry-run")
    assert "agent: cost unknown (give --set price.prompt=…" in ran.out
    assert "$" not in ran.out


def test_standing_attempts_give_the_estimate_of_all_roles_together(cli: Cli, endpoint: FakeEndpoint) -> None:
    assert cli(*TOY, "-m", "scripted/oracle", "--user-model", "scripted/oracle", "-o", "r").code == 0
    lines = Path("r/samples.jsonl").read_text().splitlines()[:4]
    Path("r/samples.jsonl").write_text(
        "".join(json.dumps({**json.loads(line), "cost": 0.25, "prompt_tokens": 70}) + "\n" for line in lines)
    )
    ran = cli(*TOY, "-m", "scripted/oracle", "--user-model", "scripted/oracle", "-o", "r", "--dry-run")
    assert ran.code == 0, ran.err
    words = next(line.split() for line in ran.out.splitlines() if line.startswith("toy-dialogue"))
    assert words[:6] == ["toy-dialogue", "all", "roles", "4", "16", "280"]
    assert "$1.00, about" in ran.out


def test_a_cost_cap_wants_a_price_of_every_role(cli: Cli, endpoint: FakeEndpoint) -> None:
    where = ("--base-url", endpoint.base_url, "--user-model", "u", "--user-base-url", endpoint.base_url)
    ran = cli(*TOY, "-m", "m", *where, *PRICED, "--max-cost", 5, "-o", "r")
    assert ran.code == 2
    assert "--max-cost needs a price, and the user's (u) is unknown" in ran.err
    assert "give --role user.price.prompt=… --role user.price.completion=…" in ran.err
    assert not Path("r").exists()
    ran = cli(*TOY, "-m", "m", *where, "--max-cost", 5)
    assert "and the agent's (m) is unknown: give --set price.prompt=" in ran.err


@pytest.mark.usefixtures("openai_key")
def test_a_cost_cap_takes_a_presets_price(cli: Cli, endpoint: FakeEndpoint) -> None:
    where = ("--base-url", endpoint.base_url, "--user-model", "gpt-4.1")
    ran = cli(*TOY, "-m", "m", *where, *PRICED, "--max-cost", 5, "--dry-run")
    assert ran.code == 0, ran.err


def test_a_dialogue_reads_as_it_went_on(cli: Cli) -> None:
    assert cli(*TOY, "-m", "scripted/oracle", "--user-model", "scripted/oracle", "-o", "r").code == 0
    shown = cli("show", "r", "s1", "--limit", 1).out
    parts = [
        "\ntoy-dialogue/s1#0\n",
        "user, turn 0: {'model': 'scripted/oracle'",
        "\nYou buy.\n",
        "user replies\nWhat costs item 1?\n",
        "agent, turn 0: {",
        "tool look_up(item): The price of an item.\n",
        "\nYou sell.\n",
        'agent calls\nlook_up({"item": 1})\n',
        "agent, turn 1: {'seed':",
        "tool result of look_up\n10\n",
        "agent replies\nIt costs 10.\n",
        "user, turn 1: {'seed':",
        "user replies\n###STOP###\n",
        "end user_stop · steps 4 · trajectory (10 kept)\n",
        "score 1 · answered · steps 4\n",
    ]
    places = [shown.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)
    for once in ("What costs item 1?", "It costs 10.", "You sell.", "tool look_up", "Hi! How can I help"):
        assert shown.count(once) == 1, once
    assert "tool result of look_up: an error\nError: no item 0\n" in cli("show", "r", "s0").out


def test_what_tools_and_models_say_is_never_markup(cli: Cli) -> None:
    hostile = "[/bold] [red]x[/red] \x1b[2J"
    call = {"id": "1", "type": "function", "function": {"name": hostile, "arguments": '{"item": 2}'}}
    lines = [
        {"role": "user", "content": hostile},
        {"role": "user", "turn": 1, "content": "###STOP###"},
        {"role": "agent", "content": f"told {hostile}"},
        {"role": "agent", "turn": 0, "message": {"content": None, "tool_calls": [call]}},
    ]
    Path("hostile.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ran = cli(*TOY, "-m", "scripted/hostile.jsonl", "--user-model", "scripted/hostile.jsonl", "-o", "r")
    assert ran.code == 0, ran.err
    assert {row.outcome for row in read_run(Path("r")).rows} == {"answered"}
    shown = cli("show", "r", "--limit", 1).out
    assert "\x1b[2J" not in shown
    assert shown.count("[/bold] [red]x[/red] ␛[2J") == 4, "said, called, named by the result, told"
