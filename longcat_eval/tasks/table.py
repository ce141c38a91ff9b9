"""Every task by name: where it is made and what it is. One line per benchmark; nothing here loads data."""

from importlib import import_module

from longcat_eval.errors import UsageError, did_you_mean
from longcat_eval.protocols import Task

TASKS: dict[str, str] = {
    "tau2-airline": "longcat_eval.tasks.tau2.task:tau2_airline",
    "tau2-retail": "longcat_eval.tasks.tau2.task:tau2_retail",
    "tau2-telecom": "longcat_eval.tasks.tau2.task:tau2_telecom",
    "tau2-telecom-full": "longcat_eval.tasks.tau2.task:tau2_telecom_full",
    "vitabench": "longcat_eval.tasks.vita.task:vitabench",
    "vitabench-delivery": "longcat_eval.tasks.vita.task:vitabench_delivery",
    "vitabench-instore": "longcat_eval.tasks.vita.task:vitabench_instore",
    "vitabench-ota": "longcat_eval.tasks.vita.task:vitabench_ota",
    "vitabench-en": "longcat_eval.tasks.vita.task:vitabench_en",
    "vitabench-delivery-en": "longcat_eval.tasks.vita.task:vitabench_delivery_en",
    "vitabench-instore-en": "longcat_eval.tasks.vita.task:vitabench_instore_en",
    "vitabench-ota-en": "longcat_eval.tasks.vita.task:vitabench_ota_en",
    "swe-bench-verified": "longcat_eval.tasks.swe.task:swe_bench_verified",
    "terminal-bench": "longcat_eval.tasks.terminal.task:terminal_bench",
    "swe-bench-multilingual": "longcat_eval.tasks.swe.task:swe_bench_multilingual",
    "swe-bench-lite": "longcat_eval.tasks.swe.task:swe_bench_lite",
    "prdbench": "longcat_eval.tasks.prdbench.task:prdbench",
    "mmlu": "longcat_eval.tasks.mmlu:mmlu",
    "mmlu-pro": "longcat_eval.tasks.mmlu_pro:mmlu_pro",
    "ceval": "longcat_eval.tasks.ceval:ceval",
    "cmmlu": "longcat_eval.tasks.cmmlu:cmmlu",
    "gpqa-diamond": "longcat_eval.tasks.gpqa:gpqa_diamond",
    "math500": "longcat_eval.tasks.math500:math500",
    "aime24": "longcat_eval.tasks.aime:aime24",
    "aime25": "longcat_eval.tasks.aime:aime25",
    "ifeval": "longcat_eval.tasks.ifeval:ifeval",
    "collie": "longcat_eval.tasks.collie.task:collie",
    "arena-hard-v2": "longcat_eval.tasks.arena_hard.task:arena_hard_v2",
    "arena-hard-v2-creative": "longcat_eval.tasks.arena_hard.task:arena_hard_v2_creative",
    "meeseeks-zh": "longcat_eval.tasks.meeseeks.task:meeseeks_zh",
    "smoke": "longcat_eval.tasks.smoke:smoke",
}

DESCRIPTIONS: dict[str, str] = {
    "tau2-airline": "τ²-Bench, 50 dialogues with a simulated airline customer, 8 trials",
    "tau2-retail": "τ²-Bench, 114 dialogues with a simulated shop customer, 8 trials",
    "tau2-telecom": "τ²-Bench, 114 dialogues in which the customer has tools too, 8 trials",
    "tau2-telecom-full": "all 2,285 telecom dialogues of τ²-Bench; not on the card",
    "vitabench": "VitaBench, 100 dialogues across deliveries, shops and travel; judged, 4 trials",
    "vitabench-delivery": "VitaBench, 100 dialogues about deliveries; judged, 4 trials",
    "vitabench-instore": "VitaBench, 100 dialogues about shops; judged, 4 trials",
    "vitabench-ota": "VitaBench, 100 dialogues about travel; judged, 4 trials",
    "vitabench-en": "VitaBench in English, 100 dialogues across all three; judged, 4 trials",
    "vitabench-delivery-en": "VitaBench in English, 100 dialogues about deliveries; judged, 4 trials",
    "vitabench-instore-en": "VitaBench in English, 100 dialogues about shops; judged, 4 trials",
    "vitabench-ota-en": "VitaBench in English, 100 dialogues about travel; judged, 4 trials",
    "swe-bench-verified": "SWE-bench Verified, 500 issues of Python projects, solved in containers",
    "terminal-bench": "terminal-bench-core 0.1.1, 80 tasks at a terminal, or a folder of such",
    "swe-bench-multilingual": "SWE-bench Multilingual, 300 issues in nine languages, solved in containers",
    "swe-bench-lite": "SWE-bench Lite, 300 smaller issues, solved in containers; not on the card",
    "prdbench": "PRDBench, 50 projects from their requirements, tested by plan and judged",
    "mmlu": "14,042 four-option questions of 57 subjects",
    "mmlu-pro": "12,032 harder questions of 14 fields, up to ten options",
    "ceval": "C-Eval, 1,346 Chinese questions of 52 subjects (validation split)",
    "cmmlu": "11,582 Chinese questions of 67 subjects",
    "gpqa-diamond": "198 graduate-level science questions, 16 repeats; gated data",
    "math500": "500 competition problems with closed-form answers",
    "aime24": "30 problems of AIME 2024, 32 repeats",
    "aime25": "30 problems of AIME 2025, 32 repeats",
    "ifeval": "541 prompts with instructions that a program can check",
    "collie": "COLLIE, 2,080 texts to write under constraints on words and sentences",
    "arena-hard-v2": "Arena-Hard v2.0, 500 hard prompts, a judge compares with o3-mini's answers",
    "arena-hard-v2-creative": "its 250 creative writing prompts, compared with gemini-2.0-flash's answers",
    "meeseeks-zh": "Meeseeks, 373 Chinese instructions, judged in parts by rules and models",
    "smoke": "40 short questions of our own, no download: does everything work?",
}

CARD_TASKS: tuple[str, ...] = (
    "tau2-airline",
    "tau2-retail",
    "tau2-telecom",
    "swe-bench-verified",
    "terminal-bench",
    "swe-bench-multilingual",
    "prdbench",
    "gpqa-diamond",
    "mmlu",
    "mmlu-pro",
    "ceval",
    "cmmlu",
    "math500",
    "aime24",
    "aime25",
)
"""The rows of the model card, in its order."""


LM_EVAL = "lm-eval:"


def load_task(name: str) -> Task:
    """Return the task called `name`; `UsageError` if it is unknown.

    `lm-eval:NAME` is lm-eval's task of that name, looked for when it is loaded.
    """
    if name.startswith(LM_EVAL):
        from longcat_eval.tasks.lmeval.task import named

        return named(name)
    if name not in TASKS:
        raise UsageError(f"unknown task {name!r}{did_you_mean(name, TASKS)}: see `longcat-eval tasks list`")
    module, _, maker = TASKS[name].partition(":")
    task: Task = getattr(import_module(module), maker)()
    return task
