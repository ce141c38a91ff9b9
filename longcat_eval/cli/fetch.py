"""`longcat-eval fetch`: data and the embedded model ahead of time."""

from pathlib import Path

from longcat_eval.errors import ExitCode, LongcatEvalError
from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.suites import SUITES, expand_suite
from longcat_eval.tasks.table import load_task


def fetch_all(what: list[str], data_dir: Path | None) -> int:
    """Fetch each; report every one, exit 5 if any is missing."""
    from rich.console import Console

    console, failed = Console(), False
    names = [name for word in what for name in (expand_suite(word)[0] if word in SUITES else [word])]
    for name in dict.fromkeys(names):
        try:
            console.print(
                f"ok    {name}: {_fetch(name, data_dir)}", highlight=False, soft_wrap=True, markup=False
            )
        except LongcatEvalError as error:
            failed = True
            console.print(f"fail  {name}: {error}", highlight=False, soft_wrap=True, markup=False)
    return ExitCode.ENVIRONMENT if failed else ExitCode.OK


def _fetch(name: str, data_dir: Path | None) -> str:
    if name == "demo-model":
        from longcat_eval.model_backend.demo_model import fetch_demo_model

        return str(fetch_demo_model())
    data = load_task(name).load(DataOptions(data_dir))
    revision = f" at {data.revision}" if data.revision else ""
    return f"{len(data.samples)} items from {data.source}{revision}, hash {data.sha256[:12]}"
