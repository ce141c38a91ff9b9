from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_fixtures import Cli, Ran, serving
from loopback import Body, FakeEndpoint, Raw, completion, default_text

from longcat_eval.cli import doctor


def lines(ran: Ran) -> dict[str, str]:
    """Status by check."""
    found = {}
    for line in ran.out.splitlines():
        if not line.startswith(" "):
            status, _, rest = line.partition(" ")
            found[rest.strip().partition(": ")[0]] = status
    return found


def greedy_when_asked(body: Body) -> str:
    still = body | {"seed": None} if body.get("top_k") == 1 or body.get("temperature") == 0 else body
    return default_text(
        {"messages": [still["messages"], body.get("repetition_penalty")], "seed": still["seed"]}
    )


@pytest.fixture
def honest() -> Iterator[FakeEndpoint]:
    with serving(greedy_when_asked) as server:
        yield server


def test_all_well_is_exit_0(cli: Cli, honest: FakeEndpoint) -> None:
    ran = cli("doctor", "--base-url", honest.base_url, "-m", "some-model", "--set", "context_length=8192")
    assert ran.code == 0, ran.out
    found = lines(ran)
    assert "fail" not in found.values()
    for name in ("python", "disk here", "extra [math]", "reachable", "seed", "top_k", "tools", "context"):
        assert found[name] == "ok"
    assert found["note"] == "warn"  # no preset, so no sampling is sent


def test_a_fail_is_exit_5_with_its_remedy(cli: Cli) -> None:
    def drops_tools(body: Body) -> Body:
        return completion(greedy_when_asked(body), {"messages": body["messages"]})

    with serving(drops_tools) as server:
        ran = cli("doctor", "--base-url", server.base_url, "-m", "some-model", "--set", "context_length=4096")
    assert ran.code == 5
    assert lines(ran)["tools"] == "fail"
    assert "→ --tool-parser" in ran.out


def test_a_preset_longer_than_the_server(cli: Cli, honest: FakeEndpoint) -> None:
    ran = cli("doctor", "--base-url", honest.base_url, "-m", "longcat-flash-lite")
    assert ran.code == 0
    assert lines(ran)["context"] == "warn"
    assert "completions are cut to fit" in ran.out


def test_nobody_there_is_exit_5(cli: Cli) -> None:
    ran = cli("doctor", "--base-url", "http://127.0.0.1:9/v1", "-m", "x")
    assert ran.code == 5
    assert lines(ran)["reachable"] == "fail"


def test_several_models_and_no_name(cli: Cli, honest: FakeEndpoint) -> None:
    ran = cli("doctor", "--base-url", honest.base_url)
    assert ran.code == 5
    assert "--served-model-name" in ran.out


def test_a_missing_key_is_a_line_and_no_request(cli: Cli) -> None:
    ran = cli("doctor", "-m", "gpt-4.1")
    assert ran.code == 5
    assert lines(ran)["model"] == "fail"
    assert "OPENAI_API_KEY" in ran.out


def test_a_typing_error_is_exit_2(cli: Cli) -> None:
    ran = cli("doctor", "-m", "longcat-flash-light")
    assert ran.code == 2
    assert "did you mean 'longcat-flash-lite'" in ran.err


def test_data_is_looked_for(cli: Cli, tmp_path: Path) -> None:
    ran = cli("doctor", "-m", "scripted/null", "-t", "smoke", "-t", "math500", "--data-dir", tmp_path)
    assert ran.code == 5
    found = lines(ran)
    assert found["data of smoke"] == "ok"
    assert found["data of math500"] == "fail"
    assert "math500" in ran.out
    assert found["endpoint"] == "ok"


@pytest.mark.data
def test_real_data_is_counted(cli: Cli, data_dir: Path) -> None:
    ran = cli("doctor", "-m", "scripted/null", "-t", "math500", "--data-dir", data_dir)
    assert ran.code == 0, ran.out
    assert "500 items" in ran.out


def test_the_key_is_not_shown(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret-key")

    def echoes(body: Body) -> Raw:
        return Raw(401, b'{"error": {"message": "bad key sk-very-secret-key"}}')

    with serving(echoes) as server:
        ran = cli("doctor", "--base-url", server.base_url, "-m", "some-model", "--api-key-env", "MY_KEY")
    assert ran.code == 5
    assert "bad key" in ran.out
    assert "very-secret" not in ran.out + ran.err


@pytest.mark.parametrize(("needed", "status"), [({"gone"}, "fail"), (set(), "warn")])
def test_a_missing_extra_fails_only_where_it_is_needed(
    needed: set[str], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "EXTRAS", {"gone": (("no_such_module",), "nothing works")})
    (probe,) = doctor.extras_installed(needed)
    assert probe.status == status
    assert probe.remedy == "pip install 'longcat-eval[gone]'"


def test_judges_are_looked_for_too(cli: Cli, honest: FakeEndpoint) -> None:
    here = ("--base-url", honest.base_url, "-m", "some-model", "--set", "context_length=8192")
    task = ("--task", "arena-hard-v2")
    none = cli("doctor", *here, *task)
    assert lines(none)["judge model"] == "warn"
    assert "its authors use gpt-4.1" in none.out
    there = cli("doctor", *here, *task, "--judge-model", "m", "--judge-base-url", honest.base_url)
    assert lines(there)["judge model"] == "ok"
    other = cli("doctor", *here, *task, "--judge-model", "mm", "--judge-base-url", honest.base_url)
    assert (other.code, lines(other)["judge model"]) == (5, "fail")
    assert "does not serve 'mm'" in other.out
