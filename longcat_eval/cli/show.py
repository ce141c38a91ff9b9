"""`longcat-eval show`: transcripts one can read, in the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING

from longcat_eval.cli.terminal import visible
from longcat_eval.errors import ExitCode, UsageError, did_you_mean
from longcat_eval.records import AttemptRow, Outcome, Transcript
from longcat_eval.reports.transcripts import artifact_words, blocks, leaves
from longcat_eval.runners.store import read_run, read_transcript

if TYPE_CHECKING:
    from rich.console import Console

DIM, PROMPT, REPLY, FAILED = "dim", "bold cyan", "bold green", "red"
STYLES = {"prompt": PROMPT, "prompt_call": PROMPT, "result": PROMPT, "failed_result": FAILED}


def show_transcripts(
    path: Path,
    sample: str | None,
    repeat: int | None,
    outcome: str | None,
    limit: int,
    artifact: str | None = None,
) -> int:
    """Print the chosen attempts, without a choice the first few; with `artifact` that one alone, whole."""
    from rich.console import Console

    if outcome is not None and outcome not in list(Outcome):
        raise UsageError(f"no outcome {outcome!r}{did_you_mean(outcome, Outcome)}: {', '.join(Outcome)}")
    rows = [
        row
        for row in read_run(path).rows
        if (sample is None or sample in f"{row.task}/{row.sample}")
        and repeat in (None, row.repeat)
        and outcome in (None, row.outcome)
    ]
    if not rows:
        raise UsageError(f"no attempt in {path} matches")
    printer = Printer(Console())
    for row in rows[:limit]:
        transcript = read_transcript(path, row)
        if artifact is None:
            printer.attempt(row, transcript)
        else:
            printer.artifact(row, transcript, artifact)
    if len(rows) > limit:
        printer.line(f"… and {len(rows) - limit} more; --limit shows more")
    return ExitCode.OK


class Printer:
    """Prints attempts; nothing in them is markup, and nothing steers the terminal."""

    def __init__(self, console: "Console") -> None:
        self.console = console

    def attempt(self, row: AttemptRow, transcript: Transcript) -> None:
        """One attempt: its calls, how it ended, and its verdict."""
        self.console.rule()
        self.line(str(row.key), "bold")
        for block in blocks(transcript):
            if block.who:
                self.text(block.who, block.text, STYLES.get(block.kind, REPLY))
            else:
                self.line(block.text, DIM)
        if kept := " · ".join(artifact_words(transcript.artifacts)):
            self.line(kept, DIM)
        self._verdict(row)
        if error := (row.unjudged and transcript.unjudged) or transcript.error or row.error:
            self.line(error, FAILED)
        self.console.print()

    def artifact(self, row: AttemptRow, transcript: Transcript, name: str) -> None:
        """One artifact of an attempt, whole."""
        if name not in transcript.artifacts:
            hint = did_you_mean(name, transcript.artifacts)
            raise UsageError(f"{row.key} has no artifact {name!r}{hint}: {', '.join(transcript.artifacts)}")
        self.console.rule()
        self.line(str(row.key), "bold")
        for label, text in leaves(name, transcript.artifacts[name]):
            self.text(label, text, PROMPT)

    def _verdict(self, row: AttemptRow) -> None:
        from rich.text import Text

        said = [f"{row.outcome}" + (f" ({row.reason})" if row.reason else "")]
        if row.extracted is not None or row.rule is not None:
            said.append(f"extracted {row.extracted!r} by rule {row.rule}")
        said += [f"{name} {value:g}" for name, value in row.metrics.items()]
        value = "no score" if row.value is None else f"score {row.value:g}"
        self.console.print(Text.assemble((value, "bold"), visible(f" · {' · '.join(said)}")))

    def text(self, who: str, text: str, style: str) -> None:
        """A heading and the text below it."""
        self.line(who, style)
        self.line(text)

    def line(self, text: str, style: str = "") -> None:
        """Text as it is, with what would steer the terminal made visible."""
        self.console.print(visible(text), style=style, markup=False, highlight=False, soft_wrap=True)
