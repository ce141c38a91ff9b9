"""Every setting of `run`, defined once: it is a flag, an environment variable and a key of a YAML file.

Precedence: flag > environment > file > preset > default; where each value came from is kept.
"""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from longcat_eval.cli.role_settings import merged
from longcat_eval.errors import UsageError, did_you_mean

WHAT, MODEL, ROLES = "What is run", "The model", "Other roles"
LM_EVAL_TASKS = "Tasks lm-eval:NAME"
DATA, LIMITS, OUTPUT = "Data", "Limits and budgets", "Output"
FILE_ONLY = "file only"


def setting(default: Any, flag: str, panel: str, description: str) -> Any:
    """A field with its flag names (comma separated), help panel and help text."""
    metadata = {"flags": flag.split(",") if flag else [], "panel": panel, "help": description}
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class RunSettings:
    """What `longcat-eval run` does; sampling and the like come from `--set a.b=c` or a file."""

    suite: str | None = setting(
        None,
        "--suite",
        WHAT,
        "card, agentic, coding, general, math, chinese, instruction or smoke (see `tasks list`).",
    )
    task: list[str] = setting([], "--task,-t", WHAT, "A benchmark by name; may be given several times.")
    repeats: int | None = setting(
        None, "--repeats,-k", WHAT, "Independent tries per sample, instead of the protocol's own k."
    )
    limit: int | None = setting(
        None, "--limit", WHAT, "At most so many samples per task, evenly spread: a marked subset."
    )
    sample_id: list[str] = setting([], "--sample-id", WHAT, "Only this sample; may be given several times.")
    agent: str | None = setting(
        None,
        "--agent",
        WHAT,
        "The agent of SWE-Bench (bash, edit, bash-text), of TerminalBench (terminus-2, terminus-2-xml, "
        "terminus-1, bash, bash-text) or of PRDBench (edit), and of the last two without a model oracle and "
        "empty; the first is the default.",
    )
    prompt_source: Literal["own", "installed", "terminal-bench", "harbor"] = setting(
        "own",
        "--prompt-source",
        WHAT,
        "Terminus with our own prompts, or with those of an installed package: terminal-bench, harbor, or "
        "whichever is there (installed).",
    )
    grade_only: Path | None = setting(
        None, "--grade-only", WHAT, "Grade these predictions (SWE-bench's format); no model is asked."
    )
    shard: str | None = setting(None, "--shard", WHAT, "Run part i of n (i/n); `merge` joins the parts.")
    seed: int = setting(0, "--seed", WHAT, "Base of every request's own seed.")
    require_all: bool = setting(
        False, "--require-all", WHAT, "Exit 5 if a member of the suite cannot run here, instead of going on."
    )
    dry_run: bool = setting(
        False, "--dry-run", WHAT, "Print requests, tokens, cost and time to expect; send nothing."
    )

    model: str | None = setting(
        None,
        "--model,-m",
        MODEL,
        "A preset (`models list`), a server's model name, local:PATH (a checkpoint, computed here), "
        "local:tiny, scripted/oracle, scripted/null or scripted/FILE.jsonl. Without it and without a base "
        "URL: the small embedded model.",
    )
    base_url: str | None = setting(
        None, "--base-url", MODEL, "An OpenAI-compatible endpoint, such as http://host:8000/v1."
    )
    served_model_name: str | None = setting(
        None, "--served-model-name", MODEL, "The model's name on the wire, if it differs from the preset's."
    )
    api_key_env: str | None = setting(
        None, "--api-key-env", MODEL, "Name of the environment variable that holds the key."
    )
    tool_parser: Literal["longcat_xml", "hermes", "none"] | None = setting(
        None,
        "--tool-parser",
        MODEL,
        "Put tools in the prompt and parse calls here: longcat_xml, hermes, none.",
    )
    lenient_tools: bool = setting(
        False, "--lenient-tools", MODEL, "Accept malformed tool calls of known kinds; recorded."
    )
    transport: Literal["aiohttp", "openai"] = setting(
        "aiohttp", "--transport", MODEL, "aiohttp, or openai for the official SDK (extra [openai])."
    )
    header: list[str] = setting([], "--header", MODEL, "An extra HTTP header, `Name: value`; not recorded.")
    set: list[str] = setting(
        [],
        "--set",
        MODEL,
        "One setting by path: sampling.temperature=0.6, extra_body.x=1, limits.max_steps=20, "
        "local.quant=int8.",
    )

    user_model: str | None = setting(None, "--user-model", ROLES, "The user simulator's model.")
    user_base_url: str | None = setting(None, "--user-base-url", ROLES, "The user simulator's endpoint.")
    user_api_key_env: str | None = setting(None, "--user-api-key-env", ROLES, "Variable with its key.")
    user_tool_parser: Literal["longcat_xml", "hermes", "none"] | None = setting(
        None, "--user-tool-parser", ROLES, "As --tool-parser, for a user simulator that has tools."
    )
    judge_model: str | None = setting(None, "--judge-model", ROLES, "The model of every judge.")
    judge_base_url: str | None = setting(None, "--judge-base-url", ROLES, "The judge's endpoint.")
    judge_api_key_env: str | None = setting(None, "--judge-api-key-env", ROLES, "Variable with its key.")
    role: list[str] = setting(
        [],
        "--role",
        ROLES,
        "One setting of one role: judge.sampling.temperature=1, scorer.model=NAME, scorer.base_url=URL, "
        "extractor.api_key_env=NAME, judge.price.prompt=2.",
    )

    data_dir: Path | None = setting(
        None, "--data-dir", DATA, "Folder with one sub-folder per benchmark, used before the hub."
    )
    tau2_src: Path | None = setting(
        None, "--tau2-src", DATA, "An upstream checkout of tau2-bench to use instead of the fetched package."
    )
    vita_src: Path | None = setting(
        None, "--vita-src", DATA, "A checkout of meituan-longcat/vitabench, which VitaBench is run from."
    )
    dataset: Path | None = setting(
        None,
        "--dataset",
        DATA,
        "A file of rows (parquet, JSON, JSONL) instead of the benchmark's own; for TerminalBench and "
        "PRDBench a folder of tasks, or terminal-bench-core@0.1.1.",
    )
    base_image_map: list[str] = setting(
        [],
        "--base-image-map",
        DATA,
        "from=to: build TerminalBench's images on another base, such as a mirror's, or take another "
        "image for PRDBench's (a * ends both).",
    )
    compose: Literal["native", "cli"] = setting(
        "native",
        "--compose",
        DATA,
        "How tasks of several containers start: by us, or by the `docker compose` that is installed.",
    )
    lm_eval_include: Path | None = setting(
        None, "--lm-eval-include", LM_EVAL_TASKS, "A folder with definitions (YAML) of tasks of your own."
    )
    lm_eval_fewshot: int | None = setting(
        None, "--lm-eval-fewshot", LM_EVAL_TASKS, "Examples in the prompt, instead of the task's own number."
    )
    lm_eval_prompt: Literal["auto", "chat", "multiturn", "flat", "text"] = setting(
        "auto",
        "--lm-eval-prompt",
        LM_EVAL_TASKS,
        "chat: examples and question in one user message (auto); multiturn: each example a turn; flat: "
        "lm-eval's plain text; text: the same, continued without a chat template (POST /completions). Texts "
        "that are scored are always plain.",
    )
    lm_eval_system: str | None = setting(
        None, "--lm-eval-system", LM_EVAL_TASKS, "A system prompt before the task's own description."
    )
    lm_eval_unsafe_code: bool = setting(
        False,
        "--lm-eval-unsafe-code",
        LM_EVAL_TASKS,
        "Run tasks that execute what the model wrote on this machine, in no sandbox.",
    )
    allow_data_drift: bool = setting(
        False,
        "--allow-data-drift",
        DATA,
        "Accept data that is not the known-good one; shown in every report.",
    )

    concurrency: str = setting("auto", "--concurrency,-c", LIMITS, "auto (adapts to the server) or a number.")
    timeout: float = setting(3600.0, "--timeout", LIMITS, "Seconds one request may take.")
    max_tries: int = setting(
        6, "--max-tries", LIMITS, "Requests sent for one reply before it counts as failed."
    )
    rpm: int | None = setting(None, "--rpm", LIMITS, "Requests a minute at most.")
    tpm: int | None = setting(None, "--tpm", LIMITS, "Tokens a minute at most (estimated).")
    max_cost: float | None = setting(
        None, "--max-cost", LIMITS, "Stop cleanly when so many dollars are spent."
    )
    max_time: str | None = setting(None, "--max-time", LIMITS, "Stop cleanly after so long: 90, 30m, 2h.")
    max_total_tokens: int | None = setting(
        None, "--max-total-tokens", LIMITS, "Stop cleanly when so many tokens are used."
    )
    cache: Path | None = setting(
        None, "--cache", LIMITS, "Answer repeated requests from this file (and fill it). Off by default."
    )
    cache_namespace: str = setting("", "--cache-namespace", LIMITS, "Keeps apart caches in one file.")

    output: Path | None = setting(
        None, "--output,-o", OUTPUT, "The run directory; an existing one is resumed. Default: runs/…"
    )
    compare: str | None = setting(
        None,
        "--compare",
        OUTPUT,
        "Columns beside ours: kimi,qwen3-next,gemini,longcat, inspect:PATH, lm-eval:PATH, eee:PATH.",
    )
    plain: bool = setting(False, "--plain", OUTPUT, "Plain lines instead of the live display.")

    sampling: dict[str, Any] = setting({}, "", FILE_ONLY, "Sampling parameters by their wire names.")
    extra_body: dict[str, Any] = setting({}, "", FILE_ONLY, "Further fields of the request body.")
    roles: dict[str, dict[str, Any]] = setting(
        {}, "", FILE_ONLY, "What --role says, as ROLE: {field: value}."
    )
    price: dict[str, float] = setting({}, "", FILE_ONLY, "prompt, completion: US dollars per million tokens.")
    local: dict[str, Any] = setting(
        {},
        "",
        FILE_ONLY,
        "How local:PATH is computed: dtype, quant, tables, gpus, offload, context, batch, threads.",
    )
    limits: dict[str, float] = setting({}, "", FILE_ONLY, "A task's own limits.")
    context_length: int | None = setting(None, "", FILE_ONLY, "The model's context window in tokens.")

    def changed(self, **values: Any) -> "RunSettings":
        """A copy with some values replaced."""
        return replace(self, **values)


FIELDS = {f.name: f for f in fields(RunSettings)}


class Resolved(NamedTuple):
    """Settings with the origin of each value that is not a default."""

    settings: RunSettings
    origins: dict[str, str]


SET_TARGETS = ("sampling", "extra_body", "price", "limits", "local")


def resolve(given: dict[str, tuple[Any, str]], file: Path | None) -> Resolved:
    """Merge `given` (value and origin by name: flags and environment) over a YAML file over the defaults."""
    from pydantic import TypeAdapter, ValidationError

    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if file is not None:
        values = read_settings_file(file)
        origins = dict.fromkeys(values, f"file {file}")
    for name, (value, origin) in given.items():
        values[name], origins[name] = value, origin
    origin_of_set = origins.get("set", "")
    for path, value in (parse_set(text) for text in values.pop("set", [])):
        _put(values, path, value)
        origins[path] = origin_of_set
    values["roles"] = merged(values.get("roles", {}), values.pop("role", []))
    try:
        return Resolved(TypeAdapter(RunSettings).validate_python(values), origins)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        where = origins.get(str(first["loc"][0]), "a setting")
        raise UsageError(f"{name} ({where}): {first['msg']}; got {first['input']!r}") from None


def read_settings_file(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings; unknown keys are errors with a suggestion."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold `name: value` lines")
    for name in content:
        if name not in FIELDS:
            hint = did_you_mean(str(name), FIELDS)
            if "key" in str(name):
                hint = " (keys never go into files; api_key_env names the variable that holds one)"
            raise UsageError(f"{path}: unknown key {name!r}{hint}")
    return content


def parse_set(text: str) -> tuple[str, Any]:
    """Read one `--set a.b=c`; the value is YAML, so numbers, true and null mean themselves."""
    import yaml

    path, equals, raw = text.partition("=")
    target, dot, name = path.partition(".")
    known = [*(f"{t}.…" for t in SET_TARGETS), "context_length"]
    if not equals or (target in SET_TARGETS) != bool(dot and name) or path == "":
        raise UsageError(f"--set {text!r} is not path=value with a path of {', '.join(known)}")
    if target not in SET_TARGETS and path != "context_length":
        hint = did_you_mean(target, [*SET_TARGETS, "context_length"])
        raise UsageError(f"--set {text!r}: unknown path{hint}; known: {', '.join(known)}")
    try:
        return path, yaml.safe_load(raw)
    except yaml.YAMLError:
        return path, raw


def _put(values: dict[str, Any], path: str, value: Any) -> None:
    target, _, name = path.partition(".")
    if name:
        values[target] = {**values.get(target, {}), name: value}
    else:
        values[target] = value


def parse_seconds(text: str) -> float:
    """Read a duration: seconds, or a number with s, m, h or d."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], units[text[-1]]) if text and text[-1] in units else (text, 1)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = -1.0
    if seconds <= 0:
        raise UsageError(f"--max-time {text!r} is no duration; give 90, 30m or 2h")
    return seconds
