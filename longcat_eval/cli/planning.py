"""What of the settings can run here: tasks with their checked data, and the rest by name with the remedy."""

from collections.abc import Mapping

from msgspec import structs

from longcat_eval.cli.role_settings import free_sampling
from longcat_eval.cli.settings import RunSettings
from longcat_eval.errors import EnvironmentUnusableError, UsageError, did_you_mean
from longcat_eval.model_backend.resolve import ResolvedModel
from longcat_eval.protocols import DataOptions, Scaffolded, Task
from longcat_eval.runners.plan import PlannedTask, choose_samples
from longcat_eval.runners.sandbox.base_images import parse_map
from longcat_eval.tasks.suites import expand_suite
from longcat_eval.tasks.table import LM_EVAL, load_task


def chosen_tasks(settings: RunSettings) -> tuple[list[Task], dict[str, str]]:
    """The tasks asked for, and by name the members of the suite that cannot run, with the remedy."""
    if bool(settings.suite) == bool(settings.task):
        raise UsageError("say what to run: --suite NAME or --task NAME (see `longcat-eval tasks list`)")
    if settings.suite:
        names, missing = expand_suite(settings.suite)
    else:
        names, missing = list(dict.fromkeys(settings.task)), {}
    tasks = [task for name in names for task in tasks_named(name, settings)]
    choose_agent(tasks, settings)
    set_limits(tasks, settings.limits)
    free_sampling(tasks, settings.roles)
    return tasks, missing


def tasks_named(name: str, settings: RunSettings) -> list[Task]:
    """The task called so; `lm-eval:NAME` may be a group, a tag or a pattern, and is opened as set."""
    if not name.startswith(LM_EVAL):
        return [load_task(name)]
    if (settings.lm_eval_fewshot or 0) < 0:
        raise UsageError("--lm-eval-fewshot must not be negative")
    from longcat_eval.tasks.lmeval.prompting import BridgeOptions
    from longcat_eval.tasks.lmeval.task import open_tasks

    options = BridgeOptions(
        settings.lm_eval_include,
        settings.lm_eval_fewshot,
        settings.lm_eval_prompt,
        settings.lm_eval_system or "",
        settings.lm_eval_unsafe_code,
    )
    return [*open_tasks(name, options)]


def choose_agent(tasks: list[Task], settings: RunSettings) -> None:
    """Put `--agent` into the tasks that an agent loop drives; the flags of such tasks fit no others."""
    driven = [task for task in tasks if isinstance(task, Scaffolded)]
    flags = {"--agent": settings.agent, "--dataset": settings.dataset, "--grade-only": settings.grade_only}
    given = [flag for flag, value in flags.items() if value is not None]
    if given and not driven:
        raise UsageError(
            f"{given[0]} fits no task of this run: it is for SWE-Bench, TerminalBench and the like"
        )
    if len(tasks) > 1 and (settings.dataset or settings.grade_only):
        raise UsageError(f"{given[-1]} goes with exactly one --task")
    fitting = [task for task in driven if settings.agent is None or settings.agent in task.agents]
    if driven and not fitting:
        known = list(dict.fromkeys(name for task in driven for name in task.agents))
        hint = did_you_mean(str(settings.agent), known)
        raise UsageError(f"no agent {settings.agent!r}{hint}: {', '.join(known)}")
    if (
        not any(settings.prompt_source in task.prompt_sources for task in driven)
        and settings.prompt_source != "own"
    ):
        raise UsageError(
            "--prompt-source fits no task of this run: it is for the Terminus agents of TerminalBench"
        )
    for task in fitting:
        own = task.scripted.get(settings.model or "")
        agent = settings.agent or own or task.agents[0]
        if agent in task.scripted.values() and agent != own:
            alike = next(model for model, name in task.scripted.items() if name == agent)
            raise UsageError(f"--agent {agent} asks no model: give --model {alike}")
        task.use_agent(
            agent, settings.prompt_source if settings.prompt_source in task.prompt_sources else "own"
        )


def set_limits(tasks: list[Task], limits: Mapping[str, float]) -> None:
    """Put `--set limits.NAME=…` into the protocols that have such a limit; one that none has is an error."""
    known = {name for task in tasks for name in task.protocol.limits}
    for name in limits:
        if name not in known:
            there = f"they have {', '.join(sorted(known))}" if known else "they have none"
            raise UsageError(f"limits.{name}: no task of this run has it{did_you_mean(name, known)}; {there}")
    for task in tasks:
        own = {name: limits.get(name, value) for name, value in task.protocol.limits.items()}
        task.protocol = structs.replace(task.protocol, limits=own)


def plan_tasks(settings: RunSettings, tasks: list[Task]) -> tuple[list[PlannedTask], dict[str, str]]:
    """Load and check the data of every task; in a suite, a task without data is named and left out."""
    if any(n is not None and n < 1 for n in (settings.repeats, settings.limit)):
        raise UsageError("--repeats and --limit must be at least 1")
    if settings.sample_id and len(tasks) > 1:
        raise UsageError("--sample-id goes with exactly one --task")
    options = data_options(settings)
    planned, absent = [], {}
    for task in tasks:
        try:
            dataset = task.load(options)
            if isinstance(task, Scaffolded) and not settings.dry_run:
                require_daemon()
        except EnvironmentUnusableError as error:
            if not settings.suite:
                raise
            absent[task.name] = str(error)
            continue
        chosen = choose_samples(dataset, task.name, limit=settings.limit, sample_ids=settings.sample_id)
        repeats = 1 if task.protocol.deterministic else settings.repeats or task.protocol.repeats
        planned.append(PlannedTask(task, dataset, chosen, repeats))
    return planned, absent


def require_daemon() -> None:
    """Raise `EnvironmentUnusableError` unless sandboxes can be had, before any model is asked."""
    from longcat_eval.runners.sandbox.daemon import connect

    with connect():
        pass


def data_options(settings: RunSettings) -> DataOptions:
    """Where data may come from."""
    given = {"tau2": settings.tau2_src, "vita": settings.vita_src}
    sources = {name: folder for name, folder in given.items() if folder is not None}
    return DataOptions(
        settings.data_dir,
        settings.allow_data_drift,
        sources,
        settings.dataset,
        settings.grade_only,
        parse_map(settings.base_image_map),
        settings.compose,
        settings.lm_eval_include,
    )


def refuse_unanswerable(tasks: list[Task], model: ResolvedModel) -> None:
    """A task that needs what the model cannot do is refused before the run."""
    for task in tasks:
        if lacking := task.needs - model.capabilities:
            raise EnvironmentUnusableError(
                f"{task.name} needs {', '.join(sorted(lacking))}, which {model.name} does not offer"
            )
