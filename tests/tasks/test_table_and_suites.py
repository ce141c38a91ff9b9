"""Names to tasks, suites to names: everything loads lazily, nothing that is missing goes unsaid."""

import subprocess
import sys

import pytest

from longcat_eval.errors import UsageError
from longcat_eval.tasks.suites import NOT_YET, SUITES, expand_suite
from longcat_eval.tasks.table import CARD_TASKS, DESCRIPTIONS, TASKS, load_task


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_made_under_its_name(name: str) -> None:
    task = load_task(name)
    assert task.name == name
    assert task.protocol == load_task(name).protocol
    if name.startswith("tau2-"):  # prompts and floors come with the package
        assert task.protocol.name == "tau2-v0.2"
        return
    if name.startswith("vitabench"):
        assert task.protocol.name == f"vitabench-2025-11-{'english' if name.endswith('-en') else 'chinese'}"
        return
    assert task.protocol.name.startswith((f"{name}/", "swe-bench/"))
    assert task.floors["null"] == 0.0
    assert len(task.protocol.prompt_hash) == 64


def test_every_task_is_described() -> None:
    assert set(DESCRIPTIONS) == set(TASKS)
    assert all("\n" not in text and len(text) < 80 for text in DESCRIPTIONS.values())


def test_unknown_names_are_usage_errors() -> None:
    with pytest.raises(UsageError, match=r"unknown task 'mmlu-por' \(did you mean 'mmlu-pro'\?\)"):
        load_task("mmlu-por")
    with pytest.raises(UsageError, match=r"unknown suite 'maths' \(did you mean 'math'\?\)"):
        expand_suite("maths")


def test_a_member_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SUITES, "mine", ("smoke", "nothing"))
    assert expand_suite("mine") == (["smoke"], {"nothing": NOT_YET})


def test_the_card_is_whole() -> None:
    assert expand_suite("card") == (list(CARD_TASKS), {})
    assert len(CARD_TASKS) == len(set(CARD_TASKS)) == 15


def test_suites_of_what_exists() -> None:
    assert expand_suite("general") == (["gpqa-diamond", "mmlu", "mmlu-pro", "ceval", "cmmlu"], {})
    assert expand_suite("math") == (["math500", "aime24", "aime25"], {})
    assert expand_suite("chinese") == (["ceval", "cmmlu"], {})
    assert expand_suite("smoke") == (["smoke"], {})
    assert expand_suite("instruction") == (["ifeval", "collie", "arena-hard-v2", "meeseeks-zh"], {})


def test_agents_have_two_suites() -> None:
    assert expand_suite("agentic") == ([*CARD_TASKS[:3], "terminal-bench", "prdbench", "vitabench"], {})
    assert expand_suite("coding") == (
        ["swe-bench-verified", "terminal-bench", "swe-bench-multilingual", "prdbench"],
        {},
    )
    assert {*SUITES["card"], "vitabench"} == {
        name for suite in ("agentic", "coding", "general", "math") for name in SUITES[suite]
    }


def test_making_every_task_imports_nothing_heavy() -> None:
    heavy = ("huggingface_hub", "pyarrow", "math_verify", "sympy", "scipy", "numpy", "aiohttp", "openai")
    script = (
        "import sys\nfrom longcat_eval.tasks.table import TASKS, load_task\n"
        f"[load_task(n) for n in TASKS]\nprint([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
