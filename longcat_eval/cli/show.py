"""`longcat-eval show`: transcripts one can read, in the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from longcat_eval.cli.terminal import visible
from longcat_eval.errors import ExitCode, UsageError, did_you_mean
from longcat_eval.records import AttemptRow, Call, Outcome
from longcat_eval.runners.store import read_run, read_transcript

if TYPE_CHECKING:
    from rich.console import Console


def show_transcripts(
    path: Path, sample: str | None, repeat: int | None, outcome: str | None, limit: int
) -> int:
    """Print the chosen attempts; without a choice, the first few."""
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
    console = Console()
    for row in rows[:limit]:
        _print_attempt(console, path, row)
    if len(rows) > limit:
        console.print(f"… and {len(rows) - limit} more; --limit shows more")
    return ExitCode.OK


def _print_attempt(console: "Console", path: Path, row: AttemptRow) -> None:
    from rich.text import Text

    console.rule(Text(str(row.key)), align="left")
    for call in read_transcript(path, row).calls:
        _print_call(console, call)
    verdict = f"{row.outcome}" + (f" ({row.reason})" if row.reason else "")
    value = "no score" if row.value is None else f"score {row.value:g}"
    line = Text.assemble((value, "bold"), f" · {verdict} · extracted {row.extracted!r} by rule {row.rule}")
    console.print(line)
    if row.error:
        console.print(visible(row.error), style="red", markup=False, highlight=False)
    console.print()


def _print_call(console: "Console", call: Call) -> None:
    settings = {k: v for k, v in call.request.items() if k not in ("messages", "tools")}
    console.print(f"request as {call.role}, turn {call.turn}: {settings}", style="dim", markup=False)
    for tool in call.request.get("tools", []):
        console.print(f"tool {tool}", style="dim", markup=False)
    for message in call.request["messages"]:
        _print_message(console, message["role"], message)
    reply = call.completion
    if reply.message.reasoning:
        _print_text(console, "assistant (reasoning)", reply.message.reasoning)
    _print_message(console, "assistant", {"content": reply.text, **reply.message.wire()})
    console.print(
        f"{reply.finish_reason} · {reply.usage.prompt_tokens} + {reply.usage.completion_tokens} tokens · "
        f"{reply.seconds:.2f} s" + (" · from the cache" if reply.cached else ""),
        style="dim",
    )


def _print_message(console: "Console", who: str, message: dict[str, Any]) -> None:
    _print_text(console, who, message.get("content") or "")
    for call in message.get("tool_calls") or []:
        _print_text(console, f"{who} calls", f"{call['function']['name']}({call['function']['arguments']})")


def _print_text(console: "Console", who: str, text: Any) -> None:
    console.print(f"[bold cyan]{who}[/bold cyan]")
    console.print(visible(str(text)), markup=False, highlight=False, soft_wrap=True)
