"""--task lm-eval:NAME: our engine and seeds, lm-eval's prompts, filters and metrics."""

import os
import re
import subprocess
import sys
import time
from math import exp
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import Cli, serving
from lmeval_tasks import CHOICE, SUMS, write_task

from longcat_eval.cli.planning import refuse_unanswerable
from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.resolve import ResolvedModel
from longcat_eval.protocols import DataOptions
from longcat_eval.runners.store import read_run, read_transcript
from longcat_eval.tasks.lmeval import catalog
from longcat_eval.tasks.lmeval.prompting import BridgeOptions
from longcat_eval.tasks.lmeval.task import open_tasks


def answer(body: dict[str, Any]) -> str:
    """Right at every other seed; what follows the stop string is not read."""
    numbers = re.findall(r"\d+", body["messages"][-1]["content"])[-2:]
    said = sum(map(int, numbers)) + body["seed"] % 2
    return f"The answer is {said}.\n\nThe answer is 7. 7"


def continued(body: dict[str, Any]) -> dict[str, Any]:
    """A text completion; right for 1+1."""
    usage = {"prompt_tokens": 9, "completion_tokens": 5}
    choice = {"index": 0, "text": " The answer is 2", "finish_reason": "stop"}
    return {"object": "text_completion", "model": "m", "choices": [choice], "usage": usage}


def rows(path: Path) -> list[Any]:
    return read_run(path).rows


def run(cli: Cli, url: str, ours: Path, *more: object) -> Any:
    where = ("--lm-eval-include", ours, "--base-url", url, "--model", "m", "--plain")
    return cli("run", *where, *more)


def test_four_repeats_are_four_draws_each_judged_by_itself(cli: Cli, ours: Path, tmp_path: Path) -> None:
    with serving(reply=answer) as server:
        ran = run(cli, server.base_url, ours, "--task", "lm-eval:our_sums", "-k", 4, "-o", "r")
        bodies = server.bodies
    assert ran.code == 0, ran.err
    kept = rows(tmp_path / "r")
    assert len(kept) == 40
    assert len({body["seed"] for body in bodies}) == 40
    assert all(body["stop"] == ["\n\n", "Q:"] and body["max_tokens"] == 64 for body in bodies)
    assert bodies[0]["messages"] == [{"role": "user", "content": "What is 0+1?"}]
    assert "temperature" not in bodies[0], "sampling is the model's, not the definition's"
    for row in kept:
        seed = next(iter(read_transcript(tmp_path / "r", row).calls)).request["seed"]
        assert row.value == float(seed % 2 == 0)
        assert row.metrics == {"exact_match,strict": row.value, "exact_match,last": row.value}
        assert row.extracted == str(2 * int(row.sample) + 1 + seed % 2)
    assert "lm-eval:our_sums (exact_match)" in ran.out
    assert "Wilson" not in ran.out, "the interval is over questions, from the t distribution"


def test_kill_nine_and_resume(cli: Cli, ours: Path, tmp_path: Path) -> None:
    command = ["run", "--task", "lm-eval:our_sums", "--lm-eval-include", str(ours), "-k", "4", "--plain"]
    path, file = tmp_path / "killed", tmp_path / "killed" / "samples.jsonl"
    with serving(reply=answer, latency=0.1) as server:
        command += ["--base-url", server.base_url, "--model", "m", "-c", "4"]
        process = subprocess.Popen(
            [sys.executable, "-m", "longcat_eval", *command, "-o", str(path)],
            env=os.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (file.exists() and file.read_bytes().count(b"\n") >= 6):
            time.sleep(0.01)
        process.kill()
        process.communicate()
        kept = file.read_bytes().rpartition(b"\n")[0]
        assert 5 <= kept.count(b"\n") < 39
        assert cli(*command, "-o", path).code == 0
        assert file.read_bytes().startswith(kept)
        assert (len(rows(path)), {row.tries for row in rows(path)}) == (40, {1})
        assert len({body["seed"] for body in server.bodies}) == 40, "what was in flight has its seed again"


def test_scored_texts_on_the_local_model(cli: Cli, ours: Path, tmp_path: Path) -> None:
    tasks = ("--task", "lm-eval:our_choice", "--task", "lm-eval:our_text")
    ran = cli(
        "run", *tasks, "--lm-eval-include", ours, "--model", "local:tiny", "-k", 3, "-o", "r", "--plain"
    )
    assert ran.code == 0, ran.err
    assert "lm-eval:our_choice asks for log probabilities, the same every time: k is 1" in ran.out
    kept = rows(tmp_path / "r")
    assert (len(kept), {row.repeat for row in kept}) == (10, {0})
    chosen = [row for row in kept if row.task == "lm-eval:our_choice"]
    assert {row.calls for row in chosen} == {6}
    texts = [row for row in kept if row.task == "lm-eval:our_text"]
    units = [row.items["byte_perplexity,none"]["of"] for row in texts]
    expected = exp(-sum(total for total, _ in units) / sum(count for _, count in units))
    shown = cli("report", "r", "-f", "json").out
    assert f"{expected:.4f}"[:6] in shown
    shown = cli("show", "r", "lm-eval:our_choice/0").out
    assert "After a?" in shown
    assert "log-likelihood -" in shown
    again = cli("rescore", "r", "--lm-eval-include", ours)
    assert "10 attempts judged again, 0 verdicts changed" in again.out, again.err


def test_an_endpoint_tells_at_once_that_it_scores_no_text(cli: Cli, ours: Path, tmp_path: Path) -> None:
    with serving() as server:
        ran = run(cli, server.base_url, ours, "--task", "lm-eval:our_choice", "-o", "r", "--max-tries", 1)
        assert len(server.bodies) == 1
    assert ran.code == 5
    assert "lm-eval:our_choice needs log probabilities of prompts" in ran.err
    assert not (tmp_path / "r").exists()
    (task,) = open_tasks("lm-eval:our_choice", BridgeOptions(ours))
    chats = ResolvedModel(name="chats", kind="endpoint")
    with pytest.raises(
        EnvironmentUnusableError, match="our_choice needs loglikelihood, which chats does not"
    ):
        refuse_unanswerable([task], chats)


def test_tags_expand_and_choices_are_part_of_the_protocol(cli: Cli, ours: Path, tmp_path: Path) -> None:
    rows_of = [{"q": f"{n}+{n}", "a": str(2 * n)} for n in (1, 2, 3)]
    write_task(ours, SUMS | {"task": "shots", "fewshot_split": "test", "num_fewshot": None}, rows_of)
    with serving(reply=answer) as server:
        flags = ("--lm-eval-fewshot", 2, "--lm-eval-prompt", "multiturn", "--lm-eval-system", "Be brief.")
        assert run(cli, server.base_url, ours, "--task", "lm-eval:shots", "-o", "r", *flags).code == 0
        roles = [message["role"] for message in server.bodies[0]["messages"]]
        assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
        protocol = read_run(tmp_path / "r").manifest.tasks["lm-eval:shots"].protocol
        assert protocol.name.startswith("lm-eval/shots/1.0/2-shot/multiturn/system ")
        assert any("stop strings" in note and "Q:" in note for note in protocol.notes)
        other = run(cli, server.base_url, ours, "--task", "lm-eval:shots", "-o", "r", "--lm-eval-fewshot", 1)
        assert other.code == 2
        assert "protocol.name" in other.err
        flags = ("--limit", 1, "--lm-eval-prompt", "flat", "--lm-eval-fewshot", 1)
        assert run(cli, server.base_url, ours, "--task", "lm-eval:shots", *flags).code == 0
        (message,) = server.bodies[-1]["messages"]
        assert message["content"].count("What is") == 2
    with serving(reply=continued) as server:
        flags = ("--limit", 1, "--lm-eval-prompt", "text", "--lm-eval-fewshot", 1, "-o", "t")
        assert run(cli, server.base_url, ours, "--task", "lm-eval:shots", *flags).code == 0
        (sent,) = [request for request in server.requests if request.method == "POST"]
    assert sent.path == "/v1/completions"
    assert sent.body["prompt"] == message["content"]
    assert (rows(tmp_path / "t")[0].value, rows(tmp_path / "t")[0].completion_tokens) == (1.0, 5)
    dry = cli(
        "run", "--task", "lm-eval:ours", "--lm-eval-include", ours, "--model", "local:tiny", "--dry-run"
    )
    assert dry.code == 0
    assert "lm-eval:our_choice" in dry.out
    assert "lm-eval:our_sums" in dry.out


def test_replies_that_end_otherwise(cli: Cli, ours: Path, tmp_path: Path) -> None:
    replies = {"0+1": "no idea", "1+2": "", "2+3": "<think>Q: 1</think>The answer is 5"}

    def reply(body: dict[str, Any]) -> str:
        asked = body["messages"][0]["content"]
        return next((said for sum_, said in replies.items() if sum_ in asked), "The answer is 1")

    with serving(reply=reply) as server:
        more = ("-o", "r", "--set", "limits.max_tokens=900")
        assert run(cli, server.base_url, ours, "--task", "lm-eval:our_sums", *more).code == 0
        assert server.bodies[0]["max_tokens"] == 900
    found = {row.sample: (row.outcome.value, row.reason, row.value) for row in rows(tmp_path / "r")}
    assert found["0"] == ("no_answer", "no_match", 0.0)
    assert found["1"] == ("no_answer", "empty", 0.0)
    assert found["2"] == ("answered", "", 1.0)


BAD = """
def process_results(doc, results):
    if doc["q"] == "0+1":
        raise ValueError("cannot judge this")
    return {"ours": 1.0}


def total(items):
    return sum(items) * 3.0
"""

CODED = """metric_list: [{metric: ours, aggregation: !function utils.total, higher_is_better: true}]
process_results: !function utils.process_results"""


def test_a_tasks_own_code_judges_and_aggregates(cli: Cli, ours: Path, tmp_path: Path) -> None:
    (ours / "utils.py").write_text(BAD)
    write_task(
        ours, SUMS | {"task": "coded", "metric_list": []}, [{"q": f"{i}+1", "a": "1"} for i in range(3)]
    )
    text = (ours / "coded.yaml").read_text().replace("metric_list: []", CODED)
    (ours / "coded.yaml").write_text(text)
    with serving(reply=answer) as server:
        ran = run(cli, server.base_url, ours, "--task", "lm-eval:coded", "-o", "r")
    assert ran.code == 3, "one attempt has no verdict"
    (broken,) = [row for row in rows(tmp_path / "r") if row.value is None]
    assert (broken.sample, broken.outcome.value, broken.reason) == ("0", "harness_error", "grader_error")
    assert "cannot judge this" in (broken.extracted or "")
    assert "6.00" in ran.out, "the sum of two times three"


def test_what_cannot_be_is_said_in_one_line(cli: Cli, ours: Path) -> None:
    def refused(name: str, *more: object) -> str:
        ran = cli("run", "--task", f"lm-eval:{name}", "--model", "scripted/null", *more)
        assert ran.code in (2, 5)
        assert ran.err.count("\n") == 1, ran.err
        return ran.err

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "KNOWN", "0.5")
        said = refused("our_sums", "--lm-eval-include", ours)
    assert "lm-eval 0.4.13 is installed, tasks are bridged from 0.5" in said
    assert "--lm-eval-fewshot must not be negative" in refused("our_sums", "--lm-eval-fewshot", "-1")
    write_task(ours, SUMS | {"task": "unsafe", "unsafe_code": True}, [{"q": "1+1", "a": "2"}])
    write_task(ours, SUMS | {"task": "nowhere"}, [])
    (ours / "nowhere.jsonl").unlink()
    include = ("--lm-eval-include", ours)
    assert "in no sandbox: give --lm-eval-unsafe-code" in refused("unsafe", *include)
    confirmed = ("--lm-eval-unsafe-code", "-o", "u")
    assert cli("run", "--task", "lm-eval:unsafe", "--model", "scripted/null", *include, *confirmed).code == 0
    said = refused("nowhere", *include)
    assert "lm-eval:nowhere cannot be had: FileNotFoundError" in said
    assert "is no folder" in refused("x", "--lm-eval-include", ours / "none")
    (ours / "empty").mkdir()
    assert "holds no task of lm-eval" in refused("x", "--lm-eval-include", ours / "empty")


def test_names_of_lm_eval_itself(cli: Cli, stock: None) -> None:
    from longcat_eval.tasks.lmeval.catalog import leaves

    ran = cli("run", "--task", "lm-eval:gsm8", "--model", "scripted/null")
    assert ran.code == 2
    assert "lm-eval 0.4.13 has no task 'gsm8' (did you mean 'gsm8k'?)" in ran.err
    assert len(leaves("mmlu", None)) == 57
    assert "mmlu_abstract_algebra" in leaves("mmlu_abstract_*", None)
    assert all(name.startswith("mmlu_abstract_") for name in leaves("mmlu_abstract_*", None))
    ran = cli("run", "--task", "lm-eval:humaneval", "--model", "scripted/null")
    assert "lm-eval:humaneval runs code that the model wrote" in ran.err


def test_a_group_that_changes_its_tasks_names_them_so(ours: Path, stock: None) -> None:
    from longcat_eval.tasks.lmeval.catalog import leaves

    group = "group: both\ntask: [our_sums, {task: our_choice, num_fewshot: 3}]\n"
    (ours / "both.yaml").write_text(group)
    found = leaves("both", ours)
    assert set(found) == {"our_sums", "both/our_choice"}
    assert found["both/our_choice"].overrides == {"num_fewshot": 3}
    assert leaves("both/our_choice", ours) == {"both/our_choice": found["both/our_choice"]}
    assert CHOICE["task"] == "our_choice"


MIXED = '''
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean
from lm_eval.api.task import Task


class Mixed(Task):
    """Answers and says how sure it is, as SQuAD 2 does; written without a configuration."""

    VERSION = 3
    OUTPUT_TYPE = "generate_until"

    def __init__(self, config=None):
        super().__init__(config={"metadata": {"version": 3}, "task": "mixed"})

    def download(self, *args, **kwargs):
        self.docs = [{"q": "1+1", "a": "2"}, {"q": "2+3", "a": "5"}]

    def has_training_docs(self):
        return False

    def has_validation_docs(self):
        return True

    def has_test_docs(self):
        return False

    def validation_docs(self):
        return self.docs

    def doc_to_text(self, doc):
        return f"What is {doc['q']}?"

    def doc_to_target(self, doc):
        return " " + doc["a"]

    def construct_requests(self, doc, ctx, **kwargs):
        meta = {"metadata": kwargs["metadata"]}
        return [
            Instance("generate_until", doc, (ctx, {"until": [";"]}), 0, **meta),
            Instance("loglikelihood", doc, (ctx, " unanswerable"), 1, **meta),
        ]

    def process_results(self, doc, results):
        said, (total, greedy) = results
        return {"exact": said == doc["a"], "unsure": total}

    def aggregation(self):
        return {"exact": mean, "unsure": min}

    def higher_is_better(self):
        return {"exact": True, "unsure": False}
'''


def test_a_task_in_python_with_two_kinds_of_requests(cli: Cli, ours: Path, tmp_path: Path) -> None:
    (ours / "mixed.py").write_text(MIXED)
    (ours / "mixed.yaml").write_text("task: mixed\nclass: !function mixed.Mixed\n")
    (task,) = open_tasks("lm-eval:mixed", BridgeOptions(ours))
    assert task.needs == {"chat"}, "as far as the definition tells"
    task.load(DataOptions())
    assert task.needs == {"chat", "loglikelihood"}
    ran = cli("run", "--task", "lm-eval:mixed", "--lm-eval-include", ours, "--model", "local:tiny", "-o", "r")
    assert ran.code == 0, ran.err
    kept = rows(tmp_path / "r")
    assert [row.calls for row in kept] == [2, 2]
    worst = min(row.items["unsure,none"]["of"] for row in kept)
    assert f"unsure,none {worst:.1f}" in ran.out.replace("\n ", "")
    first = read_transcript(tmp_path / "r", kept[0]).calls[0].request
    assert first["messages"] == [{"role": "user", "content": "What is 1+1?"}]


def test_doctor_says_whether_texts_can_be_scored(cli: Cli, ours: Path) -> None:
    asked = ("doctor", "--task", "lm-eval:our_choice", "--lm-eval-include", ours)
    ran = cli(*asked, "--model", "local:tiny")
    assert "ok    log-likelihoods: texts are scored (-" in ran.out
    with serving() as server:
        ran = cli(*asked, "--model", "m", "--base-url", server.base_url)
    assert ran.code == 5
    assert "fail  log-likelihoods: m: the reply holds no log probabilities of the prompt" in ran.out
    assert "data of lm-eval:our_choice: 6 items from lm-eval: our_choice.jsonl" in ran.out


def test_the_oracle_finds_every_choice_and_silence_the_first(cli: Cli, ours: Path, tmp_path: Path) -> None:
    word = {"task": "word", "output_type": "loglikelihood", "doc_to_text": "{{q}}", "doc_to_target": " {{a}}"}
    accuracy = {"metric_list": [{"metric": "acc"}, {"metric": "perplexity"}], "test_split": "test"}
    write_task(ours, word | accuracy, [{"q": "one two", "a": "three"}])
    asked = ("run", "--task", "lm-eval:our_choice", "--task", "lm-eval:word", "--lm-eval-include", ours)
    assert cli(*asked, "--model", "scripted/oracle", "-o", "o").code == 0
    assert {row.value for row in rows(tmp_path / "o")} == {1.0}
    assert cli(*asked, "--model", "scripted/null", "-o", "n").code == 0
    found = {(row.task, row.sample): row.value for row in rows(tmp_path / "n")}
    assert found["lm-eval:word", "0"] == 0.0
    assert sum(found["lm-eval:our_choice", str(number)] or 0 for number in range(6)) == 1.0, "the first"
