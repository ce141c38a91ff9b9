"""TerminalBench by its own runners: the same real tasks, on the same local images, for ours and theirs."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from compose_plugin import docker_config
from peers import HARBOR, TERMINAL_BENCH

from longcat_eval.runners.sandbox.stand_ins import make_stand_in
from longcat_eval.tasks.terminal.source import core_folder
from longcat_eval.tasks.terminal.uv_bootstrap import fetch_uv

UV = "0.7.13"
"""What the tests of these tasks would fetch from a host that may not be reachable: it lies in the images."""
BASES = {
    r"\S*t-bench/ubuntu-24-04\S*": "debian-12",
    r"\S*t-bench/python-3-13\S*": "python-3.13",
}
REPOSITORY = "longcat-eval-bench/terminal"


class Trial(NamedTuple):
    """One trial of a runner: whether it passed, and seconds of all of it, its agent and its tests."""

    task: str
    passed: bool
    total: float
    agent: float
    tests: float

    @property
    def outside(self) -> float:
        """What is neither the agent's nor the tests'."""
        return self.total - self.agent - self.tests


def base_image(stand_in: str) -> str:
    """A stand-in with uv where its installer would put it; built once."""
    tag = f"{REPOSITORY}:{stand_in}"
    known = subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False)
    if known.returncode == 0:
        return tag
    base = make_stand_in(stand_in)
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(fetch_uv(UV, os.uname().machine), Path(name) / "bin")
        (Path(name) / "Dockerfile").write_text(f"FROM {base}\nCOPY bin /root/.local/bin\n")
        subprocess.run(["docker", "build", "-q", "-t", tag, name], check=True, stdout=subprocess.DEVNULL)
    return tag


def copy_tasks(names: Sequence[str], folder: Path) -> Path:
    """The tasks of the source distribution, on the local bases."""
    source = core_folder()
    for name in names:
        shutil.copytree(source / name, folder / name)
        dockerfile = folder / name / "Dockerfile"
        text = dockerfile.read_text()
        for pattern, stand_in in BASES.items():
            text = re.sub(rf"^FROM {pattern}", f"FROM {base_image(stand_in)}", text, flags=re.MULTILINE)
        dockerfile.write_text(text)
    return folder


def variables(home: Path) -> dict[str, str]:
    """The environment of a peer: the plugins, and no price list to wait for."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_") or name == "PATH"}
    more = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "DOCKER_CONFIG": str(docker_config())}
    return {**kept, **more, "HOME": str(home), "PATH": f"{TERMINAL_BENCH.bin}:{HARBOR.bin}:{kept['PATH']}"}


def terminal_bench(
    tasks: Path, out: Path, *arguments: str, agent: str = "oracle", env: Mapping[str, str] | None = None
) -> list[Trial]:
    """`tb run` over a folder, one task at a time."""
    out.mkdir(parents=True)
    words = ["--agent", agent, "--n-concurrent", "1", "--output-path", str(out), "--no-livestream"]
    argv = [str(TERMINAL_BENCH.bin / "tb"), "run", "--dataset-path", str(tasks), *words, *arguments]
    _run(argv, out, env)
    return [_tb_trial(path) for path in sorted(out.glob("*/*/*/results.json"))]


def harbor(
    tasks: Path, out: Path, *arguments: str, agent: str = "oracle", env: Mapping[str, str] | None = None
) -> list[Trial]:
    """`harbor run` over the same tasks in its own format, one at a time."""
    out.mkdir(parents=True)
    migrated = out / "tasks"
    _run([str(HARBOR.bin / "harbor"), "task", "migrate", "-i", str(tasks), "-o", str(migrated)], out, env)
    words = ["-a", agent, "-n", "1", "-o", str(out / "jobs")]
    _run([str(HARBOR.bin / "harbor"), "run", "-p", str(migrated), *words, *arguments], out, env)
    return [_harbor_trial(path) for path in sorted(out.glob("jobs/*/*/result.json"))]


def _run(argv: Sequence[str], out: Path, env: Mapping[str, str] | None) -> None:
    done = subprocess.run(
        argv, env={**variables(out), **(env or {})}, cwd=out, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(argv[:3])}: exit {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
        )


def _seconds(found: Mapping[str, Any], began: str, ended: str) -> float:
    if not found.get(began) or not found.get(ended):
        return 0.0
    return (datetime.fromisoformat(found[ended]) - datetime.fromisoformat(found[began])).total_seconds()


def _tb_trial(path: Path) -> Trial:
    found = json.loads(path.read_text())
    times = [_seconds(found, f"{part}_started_at", f"{part}_ended_at") for part in ("trial", "agent", "test")]
    return Trial(found["task_id"], bool(found["is_resolved"]), *times)


def _harbor_trial(path: Path) -> Trial:
    found = json.loads(path.read_text())
    rewards = (found.get("verifier_result") or {}).get("rewards") or {}
    spans = [found, found.get("agent_execution") or {}, found.get("verifier") or {}]
    times = [_seconds(span, "started_at", "finished_at") for span in spans]
    return Trial(found["task_name"].rpartition("/")[2], rewards.get("reward") == 1, *times)
