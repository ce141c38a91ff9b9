"""`--role NAME.FIELD=VALUE`: one model of its own for every judge, and no secret written down."""

from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import Cli, serving
from msgspec import structs
from toy_judged import JudgedToy

from longcat_eval.cli.role_settings import free_sampling, merged, parse_role
from longcat_eval.cli.roles import check_role_names, resolve_roles
from longcat_eval.cli.settings import Resolved, RunSettings, resolve
from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.runners.store import read_manifest

NEEDED = {"agent": "", "extractor": "qwen-coder", "scorer": "qwen"}


def settings(*lines: str, **values: Any) -> Resolved:
    values = {"model": "longcat-flash-lite", "base_url": "http://agent:1/v1", **values}
    return Resolved(RunSettings(**values, roles=merged({}, lines)), {})


def test_every_judge_has_its_own_model_and_the_others_the_common_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORER_KEY", "sk-of-the-scorer")
    roles = resolve_roles(
        settings(
            "scorer.model=someone",
            "scorer.base_url=http://scorer:2/v1",
            "scorer.api_key_env=SCORER_KEY",
            "scorer.sampling.temperature=0.5",
            "extractor.max_tokens=99",
            "scorer.price.prompt=1",
            "scorer.price.completion=2",
            judge_model="common",
            judge_base_url="http://judge:3/v1",
        ),
        NEEDED,
    )
    scorer, extractor = roles["scorer"], roles["extractor"]
    assert (scorer.name, scorer.endpoint, scorer.sampling) == (
        "someone",
        "http://scorer:2/v1",
        {"temperature": 0.5},
    )
    assert (extractor.name, extractor.endpoint, extractor.max_tokens) == ("common", "http://judge:3/v1", 99)
    assert extractor.api_key is None
    assert scorer.api_key is not None
    assert scorer.api_key.reveal() == "sk-of-the-scorer"
    assert scorer.price_record == {"prompt": 1, "completion": 2}


def test_judges_of_their_own_models_share_a_server_that_is_no_other_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = ("scorer.model=qwen", "extractor.model=qwen-coder")
    shared = resolve_roles(settings(*lines, judge_base_url="http://judge:3/v1"), NEEDED)
    assert [(shared[role].name, shared[role].endpoint) for role in ("scorer", "extractor")] == [
        ("qwen", "http://judge:3/v1"),
        ("qwen-coder", "http://judge:3/v1"),
    ]
    common = {"judge_model": "common", "judge_base_url": "http://judge:3/v1"}
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(EnvironmentUnusableError, match=r"or give --role scorer\.api_key_env=NAME"):
        resolve_roles(settings("scorer.model=gpt-4.1", **common), NEEDED)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-scorer")
    own = resolve_roles(settings("scorer.model=gpt-4.1", **common), NEEDED)
    assert own["scorer"].endpoint == "https://api.openai.com/v1"


def test_a_judge_without_a_model_is_exit_5_and_names_both_ways() -> None:
    with pytest.raises(
        EnvironmentUnusableError, match=r"extractor model; give --judge-model or --role extractor\.model=…"
    ):
        resolve_roles(settings("scorer.model=gpt-4.1", "scorer.base_url=http://s:1/v1"), NEEDED)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("scorer", "is not ROLE.FIELD=VALUE"),
        ("scorer.model", "is not ROLE.FIELD=VALUE"),
        ("scorer.sampling=1", "is not ROLE.FIELD=VALUE"),
        ("scorer.sampling.=1", "is not ROLE.FIELD=VALUE"),
        ("scorer.model.x=1", "is not ROLE.FIELD=VALUE"),
        ("scorer.modle=m", "did you mean 'model'"),
        ("scorer.key=sk-1", "keys never go into settings"),
        ("agent.model=m", "--role is for the others"),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused(line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        merged({}, [line])
    assert said in str(caught.value)


def test_an_unknown_role_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"--role scorrer.….*did you mean 'scorer'.*extractor, scorer"):
        check_role_names(merged({}, ["scorrer.model=m"]), NEEDED)


def test_a_file_holds_roles_and_the_command_line_stands_over_it(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        "roles:\n  judge: {model: a, sampling: {temperature: 0.1, top_p: 0.9}}\n", encoding="utf-8"
    )
    roles = resolve({"role": (["judge.sampling.temperature=null"], "flag")}, file).settings.roles
    assert roles == {"judge": {"model": "a", "sampling": {"temperature": None, "top_p": 0.9}}}
    file.write_text("roles: {judge: {sampling: 3}}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"roles\.judge\.sampling is 3"):
        resolve({}, file)
    assert parse_role("judge.model=a=b") == ("judge", "model", "", "a=b")


def test_what_is_said_of_a_judge_stands_instead_of_the_protocols_own() -> None:
    task = JudgedToy()
    free_sampling([task], {"scorer": {"sampling": {"temperature": 1.0}, "max_tokens": 50}})
    assert task.protocol.role_sampling == {"scorer": {}}
    assert task.protocol.judges["scorer"].max_tokens == 50
    before = JudgedToy().protocol
    assert structs.replace(task.protocol, judges={}, role_sampling={}) == structs.replace(
        before, judges={}, role_sampling={}
    )


def test_no_secret_of_a_role_is_written_down(cli: Cli, tmp_path: Path) -> None:
    """An address may hold a key in its query."""
    with serving(lambda body: "[[A=B]]") as server:
        address = f"{server.base_url}?key=sk-very-secret"
        ran = cli(
            *("run", "--suite", "smoke", "--limit", "2", "-o", "r"),
            *("--model", "m", "--base-url", server.base_url, "--role", f"judge.base_url={address}"),
        )
        assert (ran.code, "no task of this run has it" in ran.err) == (2, True)
    from arena_hard.conftest import answer, question, write_lines

    folder = tmp_path / "data" / "arena_hard_v2"
    write_lines(folder / "question.jsonl", [question(1, "hard_prompt")])
    baseline = "o3-mini-2025-01-31"
    write_lines(folder / f"{baseline}.jsonl", [answer("h001", baseline, "hm")])
    with serving(lambda body: "[[A=B]]") as server:
        address = f"{server.base_url}?key=sk-very-secret"
        ran = cli(
            *("run", "--task", "arena-hard-v2", "--data-dir", tmp_path / "data", "--allow-data-drift"),
            *("--model", "m", "--base-url", server.base_url, "-o", "r"),
            *("--role", "judge.model=m", "--role", f"judge.base_url={address}"),
        )
        assert ran.code == 0, ran.err
    for file in (tmp_path / "r").iterdir():
        assert b"sk-very-secret" not in file.read_bytes()
    manifest = read_manifest(tmp_path / "r" / "manifest.json")
    assert manifest.invocations[0].settings["roles"] == {"judge": {"model": "m"}}
    assert "sk-very-secret" not in ran.out + ran.err
