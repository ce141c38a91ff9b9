"""longcat as a model of lm-eval: its own evaluator drives ours, and both ways give the same numbers."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import Cli, serving
from lmeval_tasks import ROWS, SUMS, write_task

from longcat_eval.errors import EnvironmentUnusableError, UsageError


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """lm-eval reads rows of other tests' homes from `datasets`' cache otherwise, and draws progress bars."""
    import datasets

    datasets.disable_progress_bars()
    return


def evaluate(ours: Path, tasks: list[str], **how: Any) -> dict[str, Any]:
    import lm_eval
    from lm_eval.tasks import TaskManager

    from longcat_eval.cli import lm_eval_model

    manager = TaskManager(include_path=str(ours), include_defaults=False)
    arguments, make = how.pop("model_args"), lm_eval_model.LongcatLM
    lm = make.create_from_arg_string(arguments) if isinstance(arguments, str) else make(**arguments)
    try:
        found: dict[str, Any] = lm_eval.simple_evaluate(
            model=lm, tasks=tasks, task_manager=manager, bootstrap_iters=0, **how
        )
        return found
    finally:
        lm.close()


def test_the_same_numbers_from_both_sides(cli: Cli, ours: Path) -> None:
    tasks = ("--task", "lm-eval:our_choice", "--task", "lm-eval:our_text", "--task", "lm-eval:our_sums")
    greedy = ("--set", "sampling.temperature=0", "--model", "local:tiny")
    ran = cli("run", *tasks, "--lm-eval-include", ours, *greedy, "-o", "r", "--plain")
    assert ran.code == 0, ran.err
    report = {row["task"]: row for row in json.loads(cli("report", "r", "-f", "json").out)["rows"]}
    names = ["our_choice", "our_text", "our_sums"]
    theirs = evaluate(ours, names, model_args="pretrained=local:tiny,local.seed=0,text=False")["results"]
    for name in names:
        row = report[f"lm-eval:{name}"]
        known = {k: v for k, v in theirs[name].items() if "," in k and "stderr" not in k}
        found = {k: row["metrics"][k] / 100 for k in row["metrics"] if k in known} | {
            k: v for k, v in row["means"].items() if k in known
        }
        assert set(found) == set(known), name
        for metric, value in known.items():
            assert found[metric] == pytest.approx(float(value), rel=1e-6), (name, metric)


def answered(body: dict[str, Any]) -> str:
    return f"The answer is {body['seed'] % 7}. Q: more"


def test_every_repeat_has_its_seed_and_what_a_task_says_of_sampling_holds(ours: Path) -> None:
    write_task(
        ours, SUMS | {"task": "thrice", "repeats": 3}, [{"q": "1+1", "a": "2"}, {"q": "2+2", "a": "4"}]
    )
    sampled = {"until": ["Q:"], "do_sample": True, "temperature": 0.6, "max_gen_toks": 9}
    write_task(ours, SUMS | {"task": "drawn", "generation_kwargs": sampled}, [{"q": "1+1", "a": "2"}])
    with serving(reply=answered) as server:
        where = {"model": "m", "base_url": server.base_url, "sampling.top_k": 4}
        found = evaluate(ours, ["thrice", "drawn"], model_args=where)
        bodies = server.bodies
    greedy = [body for body in bodies if body["temperature"] == 0]
    assert len(greedy) == 6
    assert len({body["seed"] for body in bodies}) == 7
    (drawn,) = [body for body in bodies if body["temperature"] == 0.6]
    assert (drawn["max_tokens"], drawn["stop"], drawn["top_k"]) == (9, ["Q:"], 4)
    assert drawn["messages"] == [{"role": "user", "content": "What is 1+1?"}]
    (resps,) = next(s["resps"] for s in found["samples"]["thrice"] if s["doc_id"] == 0)
    assert len(resps) == 3
    assert all(text.endswith(". ") for text in resps), "cut at the stop string"


def test_the_chat_template_keeps_the_messages(ours: Path) -> None:
    how = {"apply_chat_template": True, "fewshot_as_multiturn": True, "system_instruction": "Be brief."}
    write_task(ours, SUMS | {"task": "shot", "fewshot_split": "test", "num_fewshot": 1}, ROWS["our_sums"])
    with serving(reply=answered) as server:
        where = {"model": "m", "base_url": server.base_url}
        evaluate(ours, ["shot"], model_args=where, **how)
        roles = [message["role"] for message in server.bodies[0]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    with serving(reply=lambda body: {"choices": [{"text": "The answer is 1", "index": 0}]}) as server:
        where = {"model": "m", "base_url": server.base_url, "text": True}
        plain = evaluate(ours, ["our_sums"], model_args=where, limit=1)
        (sent,) = server.bodies
    assert (sent["prompt"], plain["results"]["our_sums"]["exact_match,strict"]) == ("What is 0+1?", 1.0)
    local = evaluate(ours, ["our_choice"], model_args="model=local:tiny", apply_chat_template=True, limit=1)
    prompt = local["samples"]["our_choice"][0]["arguments"][0][0]
    assert json.loads(prompt)[-1]["role"] == "user"


def test_failures_are_told_after_the_rest_is_kept(ours: Path, tmp_path: Path) -> None:
    def reply(body: dict[str, Any]) -> Any:
        from loopback import Raw

        return Raw(400, b'{"error":{"message":"no"}}') if "3+4" in str(body) else "The answer is 1"

    write_task(ours, SUMS | {"task": "sums"}, [{"q": f"{i}+{i + 1}", "a": "1"} for i in range(5)])
    with serving(reply=reply) as server:
        where = {"model": "m", "base_url": server.base_url, "cache": str(tmp_path / "cache"), "max_tries": 1}
        for _ in range(2):
            with pytest.raises(EnvironmentUnusableError, match=r"1 of 5 requests failed: m: .*no"):
                evaluate(ours, ["sums"], model_args=where)
        assert len(server.bodies) == 6, "what was answered is not asked again"


def test_wrong_arguments_are_usage_errors(ours: Path) -> None:
    from longcat_eval.cli.lm_eval_model import LongcatLM

    with pytest.raises(UsageError, match=r"unknown setting 'modle' \(did you mean 'model'\?\)"):
        LongcatLM(modle="x")
    with pytest.raises(EnvironmentUnusableError, match=r"127\.0\.0\.1"):
        LongcatLM(model="m", base_url="http://127.0.0.1:9/v1", max_tries=1)
    with serving() as server:
        endpoint = LongcatLM(model="m", base_url=server.base_url)
        try:
            from lm_eval.api.instance import Instance

            templated = endpoint.apply_chat_template([{"role": "user", "content": "hi"}])
            request = Instance("loglikelihood", {}, (templated, " yes"), 0, ("t", 0, 1))
            with pytest.raises(UsageError, match="without --apply_chat_template"):
                endpoint.loglikelihood([request])
        finally:
            endpoint.close()
            endpoint.close()


def test_lm_evals_own_command_line_knows_the_model(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval.api.registry import get_model

    from longcat_eval.cli.lm_eval_model import LongcatLM

    handed: list[str] = []
    monkeypatch.setattr("lm_eval.__main__.cli_evaluate", lambda: handed.extend(sys.argv))
    assert cli("lm-eval", "run", "--model", "longcat", "--tasks", "x", "--help").code == 0
    assert handed == ["lm_eval", "run", "--model", "longcat", "--tasks", "x", "--help"]
    assert get_model("longcat") is LongcatLM
    assert get_model("local-completions"), "lm-eval's own models are there as well"
