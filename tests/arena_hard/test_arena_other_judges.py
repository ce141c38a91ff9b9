"""The answers of a run before another judge: the model is not asked again, the run stays as it is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from arena_hard.conftest import MakeSet
from cli_fixtures import Cli, serving
from loopback import Body, Raw

from longcat_eval.runners.manifest import Manifest
from longcat_eval.runners.store import manifest_files, read_manifest, read_run


class Server:
    """An agent and judges on one endpoint; judges are told apart by their models' names."""

    def __init__(self) -> None:
        self.asked: list[Body] = []
        self.down = False

    def reply(self, body: Body) -> Any:
        self.asked.append(body)
        if "<|User Prompt|>" not in body["messages"][-1]["content"]:
            return f"An answer to {body['messages'][-1]['content']}"
        if self.down:
            return Raw(400, b'{"error":{"message":"down","type":"x","code":null}}')
        if body["model"] == "m":
            return "[[A=B]]"
        a = re.findall(r"Assistant A's Answer\|>\nAn answer", body["messages"][-1]["content"])
        return "[[A>>B]]" if a else "[[B>>A]]"

    def take(self) -> list[Body]:
        asked, self.asked = self.asked, []
        return asked


def manifest(path: Path) -> Manifest:
    (name,) = manifest_files(path)
    return read_manifest(name)


def value(cli: Cli, run: str) -> float:
    (row,) = json.loads(cli("report", run, "--format", "json").out)["rows"]
    found: float = row["value"]
    return found


def test_another_judge_goes_over_the_kept_answers(cli: Cli, tmp_path: Path, make_set: MakeSet) -> None:
    server, data = Server(), make_set(12)
    with serving(server.reply) as endpoint:
        url = endpoint.base_url
        first = ("--task", "arena-hard-v2", "--data-dir", data, "--allow-data-drift", "--limit", "10")
        ran = cli(
            *("run", *first, "--model", "m", "--base-url", url, "-o", "r"),
            *("--judge-model", "m", "--judge-base-url", url),
        )
        assert ran.code == 0, ran.err
        assert (len(server.take()), value(cli, "r")) == (30, 50.0)
        before = {file.name: file.read_bytes() for file in (tmp_path / "r").iterdir()}
        other = (
            "--judge-model",
            "some-model",
            "--judge-base-url",
            url,
            "--role",
            "judge.sampling.temperature=1",
        )
        server.down = True
        broken = cli("rescore", "r", "--data-dir", data, *other, "-o", "other")
        assert broken.code == 5, "ten of ten fail alike"
        server.down = False
        server.take()
        again = cli("rescore", "r", "--data-dir", data, *other, "-o", "other")
        assert again.code == 0, again.err
        asked = server.take()
        assert {body["model"] for body in asked} == {"some-model"}
        assert (len(asked), {body["temperature"] for body in asked}) == (20, {1})
        assert cli("rescore", "r", "--data-dir", data, *other, "-o", "other").code == 0
        assert server.take() == [], "all is judged"
    assert {file.name: file.read_bytes() for file in (tmp_path / "r").iterdir()} == before
    assert (value(cli, "r"), value(cli, "other")) == (50.0, 100.0)
    old, new = manifest(tmp_path / "r"), manifest(tmp_path / "other")
    assert new.roles["agent"] == old.roles["agent"]
    assert new.roles["judge"].sampling == {"temperature": 1}
    assert new.tasks["arena-hard-v2"].protocol.role_sampling == {"judge": {}}
    assert len(new.invocations) == len(old.invocations) + 3
    rows = read_run(tmp_path / "other").rows
    assert [(row.calls, row.unjudged) for row in rows] == [(3, False)] * 10
    shown = re.sub(r"\s+", " ", again.out)
    assert "judge some-model (temperature 1) by prompts" in shown


def test_what_the_recorded_judge_said_needs_no_judge(cli: Cli, make_set: MakeSet) -> None:
    server, data = Server(), make_set(4)
    with serving(server.reply) as endpoint:
        url = endpoint.base_url
        model = ("--model", "m", "--base-url", url, "--judge-model", "m", "--judge-base-url", url)
        flags = ("--task", "arena-hard-v2", "--data-dir", data, "--allow-data-drift")
        assert cli("run", *flags, *model, "-o", "r").code == 0
        server.take()
        ran = cli("rescore", "r", "--data-dir", data)
        assert (ran.code, server.take()) == (0, []), ran.err
    assert "4 attempts judged again, 0 verdicts changed" in ran.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--judge-model", "scripted/oracle"), "give -o DIR"),
        (("--judge-model", "scripted/oracle", "-o", "r"), "give -o DIR"),
        (("-o", "x"), "give --judge-model or --role too"),
        (
            ("--role", "juge.model=m", "-o", "x"),
            "--role juge.…: no task has such a judge (did you mean 'judge'?)",
        ),
        (("--role", "judge.modle=m", "-o", "x"), "did you mean 'model'?"),
        (("--role", "judge.api_key=sk-1", "-o", "x"), "keys never go into settings"),
        (("--role", "agent.model=m", "-o", "x"), "--role is for the others"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    cli: Cli, make_set: MakeSet, flags: tuple[str, ...], said: str
) -> None:
    data = make_set(2)
    ran = cli(
        *("run", "--task", "arena-hard-v2", "--data-dir", data, "--allow-data-drift", "-o", "r"),
        *("--model", "scripted/oracle"),
    )
    assert ran.code == 0, ran.err
    ran = cli("rescore", "r", "--data-dir", data, *flags)
    assert (ran.code, said in ran.err) == (2, True), ran.err


def test_a_run_without_judges_has_none_to_change(cli: Cli) -> None:
    assert cli("run", "--suite", "smoke", "--model", "scripted/null", "-o", "r").code == 0
    ran = cli("rescore", "r", "--judge-model", "scripted/null", "-o", "x")
    assert (ran.code, "has no task with a judge" in ran.err) == (2, True)


def test_a_key_alone_names_no_judge(cli: Cli, make_set: MakeSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the folder of the data may stand in the environment, as for the run."""
    monkeypatch.setenv("LONGCAT_EVAL_DATA_DIR", str(make_set(2)))
    task = ("--task", "arena-hard-v2", "--allow-data-drift")
    assert cli("run", *task, "--model", "scripted/oracle", "-o", "r").code == 0
    assert cli("rescore", "r").code == 0
    ran = cli("rescore", "r", "--judge-api-key-env", "JUDGE_KEY", "-o", "other")
    assert (ran.code, "names no judge" in ran.err) == (2, True)
    assert not Path("other").exists()
