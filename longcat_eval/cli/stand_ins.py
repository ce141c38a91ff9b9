"""`longcat-eval images build --stand-in`: base images made here, where no registry can be reached."""

import time
from collections.abc import Sequence
from pathlib import Path

import typer

from longcat_eval.errors import ExitCode, LongcatEvalError, UsageError


def build_stand_ins(names: Sequence[str], python: Path | None, *, light: bool) -> int:
    """Make each stand-in that is not there yet; report every one, exit 5 if one fails."""
    from longcat_eval.runners.sandbox.stand_ins import make_stand_in

    if python is not None and sum(name.startswith("python-") for name in names) != 1:
        raise UsageError("--python is the prefix of one Python: give one --stand-in python-3.X with it")
    failed = False
    for name in dict.fromkeys(names):
        started = time.monotonic()
        try:
            image = make_stand_in(name, python=python, light=light, say=typer.echo)
        except UsageError:
            raise
        except LongcatEvalError as error:
            failed = True
            typer.echo(f"fail  {name}: {error}")
        else:
            typer.echo(f"ok    {name}: {image}, {time.monotonic() - started:.1f} s")
    return ExitCode.ENVIRONMENT if failed else ExitCode.OK
