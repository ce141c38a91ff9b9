"""`longcat-eval export`: what a run made, in the words of other tools."""

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import typer

from longcat_eval.cli.export_swebench import export_swebench
from longcat_eval.errors import EnvironmentUnusableError, ExitCode, UsageError, did_you_mean
from longcat_eval.reports.exports.output import Encoder
from longcat_eval.reports.exports.source import Evaluator, Source, source
from longcat_eval.runners.store import RunData, read_run


class ExportOptions(NamedTuple):
    """What is asked for beside run, format and output; `repeat` is for swebench alone."""

    tasks: tuple[str, ...] = ()
    repeat: int | None = None
    texts: bool = True
    model_id: str | None = None
    organization: str | None = None
    relationship: str | None = None


SWEBENCH = "swebench"
WRITERS = {
    "inspect": "inspect_log:export_inspect",
    "inspect-json": "inspect_log:export_inspect_json",
    "lm-eval": "lm_eval:export_lm_eval",
    "eee": "every_eval_ever:export_eee",
    "hf": "hugging_face:export_eval_results",
    "model-index": "model_card:export_model_index",
    "parquet": "parquet:export_parquet",
}
"""Functions of `reports.exports` by format, imported when one is asked for."""
WITH_TEXTS = ("inspect", "inspect-json", "lm-eval", "eee")
"""Formats that hold questions and replies."""
EVALUATOR = ("eee",)
"""Formats that say who ran the evaluation."""


def export_run(path: Path, format: str, output: Path, options: ExportOptions) -> int:
    """Write a run in another tool's format; every file is whole or absent."""
    known = (SWEBENCH, *WRITERS)
    if format not in known:
        raise UsageError(f"no format {format!r}{did_you_mean(format, known)}: {', '.join(known)}")
    _check(format, options)
    run = read_run(path)
    try:
        if format == SWEBENCH:
            return export_swebench(run, output, options.tasks, options.repeat or 0)
        return _export(run, format, output, options)
    except OSError as error:
        where = error.filename or output
        raise EnvironmentUnusableError(f"cannot write {where}: {error.strerror}") from None


def _check(format: str, options: ExportOptions) -> None:
    """Refuse what another format would need, instead of passing it over."""
    if options.repeat is not None and format != SWEBENCH:
        raise UsageError(f"--repeat is for {SWEBENCH}: {format} holds every repeat")
    if not options.texts and format not in WITH_TEXTS:
        raise UsageError(f"--no-texts is for {', '.join(WITH_TEXTS)}: {format} holds no texts")
    if options.model_id is not None and format == SWEBENCH:
        raise UsageError(f"--model-id is not for {SWEBENCH}")
    given = {"--organization": options.organization, "--relationship": options.relationship}
    for flag, value in given.items():
        if value is not None and format not in EVALUATOR:
            raise UsageError(f"{flag} is for {', '.join(EVALUATOR)}, not {format}")


def _export(run: RunData, format: str, output: Path, options: ExportOptions) -> int:
    evaluator = Evaluator(options.organization, options.relationship)
    found = source(run, options.tasks, options.model_id, options.texts, evaluator)
    module, _, function = WRITERS[format].partition(":")
    write = getattr(import_module(f"longcat_eval.reports.exports.{module}"), function)
    encode = Encoder()
    for file in write(found, output, encode):
        typer.echo(str(file))
    for note in _notes(found, format, encode, options):
        typer.echo(f"note: {note}", err=True)
    return ExitCode.OK


def _notes(found: Source, format: str, encode: Encoder, options: ExportOptions) -> list[str]:
    notes = [
        f"{each.name}: {each.result.attempts - each.result.valid:,} of {each.result.attempts:,} attempts "
        f"have no verdict; the score is over the others"
        for each in found.benchmarks
        if not each.result.complete
    ]
    if encode.hidden:
        notes.append(f"{encode.hidden} texts that look like credentials are written as ***")
    if format in WITH_TEXTS and options.texts:
        notes.append(
            "the files hold questions and replies; where a benchmark's terms forbid to publish them, "
            "use --no-texts"
        )
    return notes
