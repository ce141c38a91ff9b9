"""The GitHub action and the workflow of docs/ci.md do what they say."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_fixtures import Cli
from typer.testing import CliRunner

from longcat_eval.cli.main import app

WriteRun = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def step(name: str) -> dict[str, Any]:
    return next(each for each in ACTION["runs"]["steps"] if each["name"] == name)


@pytest.mark.parametrize(
    ("right", "strict", "verdict", "code"),
    [(450, "false", "passed", 0), (400, "false", "failed", 1), (440, "true", "inconclusive", 4)],
)
def test_the_action_gates(
    write_run: WriteRun, tmp_path: Path, right: int, strict: str, verdict: str, code: int
) -> None:
    """Its script with the variables that GitHub sets, in the shell that GitHub uses."""
    for name, correct in (("a", 450), ("b", right)):
        write_run(name, {"math500": [[1.0]] * correct + [[0.0]] * (500 - correct)})
    (tmp_path / "p.yaml").write_text("default: {margin: 2.2, tier: block}\n")
    values = {"BASE": "a", "CANDIDATE": "b", "POLICY": "p.yaml", "STRICT": strict, "JUNIT": "out file.xml"}
    assert step("Gate")["env"].keys() == values.keys()
    files = {"GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary.md"}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step("Gate")["run"]],
        cwd=tmp_path,
        env={**os.environ, **values, **files, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert (tmp_path / "output").read_text() == f"verdict={verdict}\nexit-code={code}\n"
    assert f"(exit {code})" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "out file.xml").read_text().startswith("<?xml")
    assert ("::error" in done.stdout) == (code != 0)


def test_the_action_never_pastes_inputs_into_its_scripts() -> None:
    """What is interpolated into a script is run; inputs come as variables."""
    for each in ACTION["runs"]["steps"]:
        assert "${{" not in each["run"]
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text(encoding="utf-8")))
    assert used == ACTION["inputs"].keys()


def test_the_workflow_of_the_document_is_whole() -> None:
    """It parses, and every command of ours in it exists with its options."""
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.+?)```", text, re.DOTALL)
    jobs = yaml.safe_load(block)["jobs"]
    assert jobs["gate"]["needs"] == "evaluate"
    uses = next(each for each in jobs["gate"]["steps"] if each.get("id") == "gate")
    assert uses["with"].keys() <= ACTION["inputs"].keys()
    helps = {
        name: CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).output
        for name in ("run", "merge")
    }
    scripts = [
        each["run"]
        for job in jobs.values()
        for each in job["steps"]
        if "longcat-eval " in each.get("run", "")
    ]
    commands = re.findall(r"longcat-eval (run|merge)(.*)", "\n".join(scripts))
    assert [name for name, _ in commands] == ["run", "merge"]
    for name, rest in commands:
        assert all(flag in helps[name] for flag in re.findall(r"--[\w-]+", rest))


def test_shards_merge_into_a_candidate_for_the_gate(cli: Cli) -> None:
    smoke = ("run", "--task", "smoke", "--model", "scripted/oracle", "-o")
    assert cli(*smoke, "base").code == 0
    assert cli("report", "base", "-f", "summary", "-o", "baseline.json").code == 0
    for shard in (1, 2):
        assert cli(*smoke, f"shard-{shard}", "--shard", f"{shard}/2").code in (0, 3)
    assert cli("merge", "candidate", "shard-1", "shard-2").code == 0
    ran = cli("gate", "baseline.json", "candidate")
    assert ran.code == 0, ran.err
    assert "100.00  100.00" in ran.out
    assert cli("gate", "baseline.json", "shard-1").code == 3
