"""`longcat-eval doctor`: everything a run needs, checked before it is needed."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from longcat_eval.cli.doctor_roles import role_checks
from longcat_eval.cli.roles import innermost, list_models, make_role
from longcat_eval.cli.settings import RunSettings
from longcat_eval.errors import EnvironmentUnusableError, ExitCode
from longcat_eval.model_backend.probes import Probe, Status, probe_endpoint, scores_texts
from longcat_eval.model_backend.resolve import (
    LOCAL_PREFIX,
    ModelOptions,
    ResolvedModel,
    open_model,
    resolve_model,
)
from longcat_eval.protocols import DataOptions, Model, ModelError
from longcat_eval.records import Wire
from longcat_eval.tasks.tau2.importing import EXTRA_MODULES
from longcat_eval.tasks.vita.importing import EXTRA_MODULES as VITA_MODULES

if TYPE_CHECKING:
    from rich.console import Console

PROBE_TIMEOUT = 120.0
PROBE_TRIES = 2
DISK_WARN, DISK_FAIL = 5e9, 2e8
COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}

EXTRAS: dict[str, tuple[tuple[str, ...], str]] = {
    "math": (("math_verify", "antlr4"), "no MATH500"),
    "data": (("huggingface_hub", "pyarrow"), "data comes from --data-dir only"),
    "demo": (("xllamacpp",), "no embedded model"),
    "openai": (("openai",), "no --transport openai"),
    "tau2": (EXTRA_MODULES, "no tau2 tasks"),
    "vita": (VITA_MODULES, "no VitaBench"),
    "swe": (("unidiff",), "no SWE-Bench"),
    "local": (
        ("torch", "transformers", "safetensors", "accelerate", "starlette", "uvicorn"),
        "no --model local:PATH, no serve",
    ),
    "collie": (("nltk",), "no COLLIE"),
    "meeseeks": (
        ("pypinyin", "opencc", "json_repair", "jsonschema", "RestrictedPython"),
        "no Meeseeks-zh",
    ),
    "arena-hard": (("bpe_openai",), "Arena-Hard v2 without style control"),
    "lm-eval": (("lm_eval", "langdetect", "immutabledict", "nltk"), "no IFEval, no lm-eval:NAME"),
    "docker": (("docker",), "no sandboxes: no SWE-Bench, TerminalBench, PRDBench"),
}
"""Extra -> (modules it brings, what is lost without it)."""
SANDBOXED = ("swe-bench", "terminal-bench", "prdbench")
"""What the names of tasks begin with that need sandboxes."""


def run_doctor(options: ModelOptions, tasks: Sequence[str], data: DataOptions, settings: RunSettings) -> int:
    """Check this machine, the data of `tasks` and the model; print a line each; exit 5 if one fails.

    Tasks of TerminalBench are tried, one by one, where that is asked for by name: the samples that `settings`
    chooses.
    """
    from rich.console import Console

    console, failed = Console(), False
    for check in machine_checks(options, tasks, data):
        for probe in check():
            show(console, probe)
            failed |= probe.status == "fail"
    from longcat_eval.tasks.table import load_task

    scores = any("loglikelihood" in load_task(name).needs for name in tasks)
    for probe in [*asyncio.run(model_checks(options, scores)), *asyncio.run(role_checks(settings, tasks))]:
        show(console, probe)
        failed |= probe.status == "fail"
    if "terminal-bench" in settings.task:
        from longcat_eval.cli.terminal_doctor import examine_terminal

        failed |= examine_terminal(console, settings, data) != ExitCode.OK
    return ExitCode.ENVIRONMENT if failed else ExitCode.OK


def machine_checks(
    options: ModelOptions, tasks: Sequence[str], data: DataOptions
) -> list[Callable[[], list[Probe]]]:
    """The checks that ask no model, in print order."""
    return [
        lambda: [python_version()],
        lambda: extras_installed(needed_extras(options, tasks)),
        lambda: disk_free(),
        lambda: sandboxes_work(tasks),
        lambda: tau2_present(tasks, data),
        lambda: vita_present(tasks, data),
        lambda: prdbench_image(tasks, data),
        lambda: punkt_present(tasks),
        lambda: data_present(tasks, data),
    ]


def python_version() -> Probe:
    """The interpreter."""
    found = ".".join(map(str, sys.version_info[:3]))
    status: Status = "ok" if sys.version_info >= (3, 11) else "fail"
    return Probe(
        "python", status, f"{found}, longcat-eval {version('longcat-eval')}", "use Python 3.11 or newer"
    )


def needed_extras(options: ModelOptions, tasks: Sequence[str]) -> set[str]:
    """The extras without which what was asked for cannot run."""
    needed = {"openai"} if options.transport == "openai" else set()
    if (options.model or "").startswith(LOCAL_PREFIX):
        needed.add("local")
    if any(name.startswith("math") for name in tasks):
        needed.add("math")
    if any(name.startswith("tau2-") for name in tasks):
        needed.add("tau2")
    if any(name.startswith("vitabench") for name in tasks):
        needed.add("vita")
    needed |= {"collie"} & set(tasks)
    if "meeseeks-zh" in tasks:
        needed.add("meeseeks")
    if any(name == "ifeval" or name.startswith("lm-eval:") for name in tasks):
        needed.add("lm-eval")
    if any(name.startswith("swe-bench-") for name in tasks):
        needed.add("swe")
    if any(name.startswith(SANDBOXED) for name in tasks):
        needed.add("docker")
    return needed


def extras_installed(needed: set[str]) -> list[Probe]:
    """One line per extra."""
    found = []
    for name, (modules, lost) in EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        if not missing:
            found.append(Probe(f"extra [{name}]", "ok", "installed"))
            continue
        detail = f"{', '.join(missing)} not installed: {lost}"
        remedy = f"pip install 'longcat-eval[{name}]'"
        found.append(Probe(f"extra [{name}]", "fail" if name in needed else "warn", detail, remedy))
    return found


def disk_free() -> list[Probe]:
    """Room where runs and where the cache go."""
    from platformdirs import user_cache_path

    found = []
    for name, path in (("disk here", Path.cwd()), ("disk of the cache", user_cache_path("longcat-eval"))):
        while not path.exists():
            path = path.parent
        free = shutil.disk_usage(path).free
        status: Status = "fail" if free < DISK_FAIL else "warn" if free < DISK_WARN else "ok"
        found.append(Probe(name, status, f"{free / 1e9:.1f} GB free on {path}", "make room"))
    return found


def sandboxes_work(tasks: Sequence[str]) -> list[Probe]:
    """The Docker daemon, and whether it enforces what keeps sandboxes in bounds."""
    from longcat_eval.runners.sandbox.daemon import connect, read_facts

    if find_spec("docker") is None:
        return []
    wanted = any(name.startswith(SANDBOXED) for name in tasks)
    try:
        with connect() as client:
            facts = read_facts(client)
    except EnvironmentUnusableError as error:
        return [Probe("docker", "fail" if wanted else "warn", str(error))]
    free = "on another machine" if facts.free_bytes is None else f"{facts.free_bytes / 1e9:.1f} GB free"
    detail = f"{facts.version}, {facts.cpus} CPUs, {facts.storage}, cgroup v{facts.cgroup}, {free}"
    if facts.unenforced:
        remedy = "give the daemon cgroup v2 with these controllers, or do not run untrusted models on it"
        lacking = f"{detail}; it does not enforce limits of {', '.join(facts.unenforced)}"
        return [Probe("docker", "warn", lacking, remedy)]
    return [Probe("docker", "ok", detail)]


def tau2_present(tasks: Sequence[str], data: DataOptions) -> list[Probe]:
    """Where τ²-Bench comes from, if a task of it is asked for."""
    from longcat_eval.tasks.tau2.source import find_source

    if not any(name.startswith("tau2-") for name in tasks):
        return []
    try:
        source = find_source(data)
    except EnvironmentUnusableError as error:
        return [Probe("tau2 package", "fail", str(error))]
    return [Probe("tau2 package", "ok", f"{source.version} in {source.package}")]


def vita_present(tasks: Sequence[str], data: DataOptions) -> list[Probe]:
    """The checkout of VitaBench, if a task of it is asked for."""
    from longcat_eval.tasks.vita.source import find_source

    if not any(name.startswith("vitabench") for name in tasks):
        return []
    try:
        source = find_source(data)
    except EnvironmentUnusableError as error:
        return [Probe("vitabench checkout", "fail", str(error))]
    return [Probe("vitabench checkout", "ok", f"{source.version} in {source.root}")]


def punkt_present(tasks: Sequence[str]) -> list[Probe]:
    """NLTK's sentence model, if a task asked for counts words or sentences."""
    from longcat_eval.tasks.punkt import find_punkt

    if not {"collie", "ifeval"} & set(tasks):
        return []
    try:
        return [Probe("punkt_tab", "ok", f"NLTK's sentence model, in {find_punkt()}")]
    except EnvironmentUnusableError as error:
        return [Probe("punkt_tab", "fail", str(error))]


def prdbench_image(tasks: Sequence[str], data: DataOptions) -> list[Probe]:
    """The image in which PRDBench's projects are made and tested, if they are asked for."""
    from longcat_eval.runners.sandbox.base_images import inspect, mapped
    from longcat_eval.runners.sandbox.daemon import connect
    from longcat_eval.tasks.prdbench.image import BASE_LABEL, HOW_TO_BUILD, image_name

    if "prdbench" not in tasks or find_spec("docker") is None:
        return []
    name = mapped(image_name(), data.base_images) or image_name()
    try:
        with connect() as client:
            about = inspect(client.api, name)
    except EnvironmentUnusableError:
        return []  # the check of the daemon has said why
    if about is None:
        return [Probe("image of prdbench", "fail", f"no image {name} on this machine", HOW_TO_BUILD)]
    base = (about["Config"].get("Labels") or {}).get(BASE_LABEL, "")
    detail = f"{name}, {about['Size'] / 1e9:.1f} GB{f', on {base}' if base else ''}"
    return [Probe("image of prdbench", "ok", detail)]


def data_present(tasks: Sequence[str], data: DataOptions) -> list[Probe]:
    """Whether the data of each task is there and the known-good one; fetches what is pinned on the hub."""
    from longcat_eval.tasks.table import load_task

    found = []
    for name in tasks:
        try:
            loaded = load_task(name).load(data)
        except EnvironmentUnusableError as error:
            found.append(Probe(f"data of {name}", "fail", str(error)))
            continue
        detail = f"{len(loaded.samples):,} items from {loaded.source}"
        detail += f" ({loaded.remark})" if loaded.remark else ""
        if loaded.drift:
            found.append(
                Probe(f"data of {name}", "warn", f"{detail}; {loaded.drift}", "compare only with the same")
            )
        else:
            found.append(Probe(f"data of {name}", "ok", detail))
    return found


async def model_checks(options: ModelOptions, scores: bool = False) -> list[Probe]:
    """Resolve and open the model and probe its endpoint; raises `UsageError` for what is typed wrongly.

    `scores`: a task has texts scored.
    """
    options = replace(options, timeout=min(options.timeout, PROBE_TIMEOUT), max_tries=PROBE_TRIES)
    try:
        resolved = resolve_model(options, env=os.environ)
    except EnvironmentUnusableError as error:
        return [Probe("model", "fail", str(error))]
    about = [Probe("model is", "ok", f"{resolved.name} ({resolved.endpoint or resolved.kind})")]
    about += [Probe("note", "warn", note) for note in resolved.notes]
    if resolved.kind == "scripted":
        return [*about, Probe("endpoint", "ok", "a script answers: nothing to probe")]
    try:
        model = await open_model(resolved)
    except EnvironmentUnusableError as error:
        return [*about, Probe("model opens", "fail", str(error))]
    facts = getattr(innermost(model), "facts", {})
    if facts:
        how = ", ".join(f"{name} {value}" for name, value in facts["computed"].items())
        about += [Probe("computed", "ok", how), Probe("placement", "ok", facts["placement"])]
    try:
        return about + await probe_model(model, resolved, scores)
    finally:
        await model.close()


async def probe_model(model: Model, resolved: ResolvedModel, scores: bool = False) -> list[Probe]:
    """Find the model's name on the wire and probe its endpoint."""
    models: Sequence[Wire] | ModelError
    try:
        models = await list_models(model)
    except ModelError as error:
        models = error
    name = resolved.served_name
    if name is None:
        ids = [] if isinstance(models, ModelError) else [str(entry.get("id")) for entry in models]
        if len(ids) > 1:
            detail = f"the endpoint serves several models: {', '.join(ids[:8])}"
            return [Probe("model", "fail", detail, "say which with --served-model-name")]
        name = ids[0] if ids else ""
    role = make_role(model, resolved, name, resolved.context_length)
    return await probe_endpoint(role, models) + ([await scores_texts(role)] if scores else [])


def show(console: "Console", probe: Probe) -> None:
    """Print one line, and the remedy below it where there is something to do."""
    from rich.text import Text

    line = Text.assemble((f"{probe.status:<4}", COLOURS[probe.status]), f"  {probe.name}: {probe.detail}")
    console.print(line, soft_wrap=True)
    if probe.status != "ok" and probe.remedy:
        console.print(Text(f"      → {probe.remedy}"), soft_wrap=True)
