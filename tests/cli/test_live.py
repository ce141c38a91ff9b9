"""What is seen while a run goes on."""

import io

from rich.console import Console
from toy import ToyTask, planned

from longcat_eval.cli.live import LiveDisplay, PlainLines, Progress, duration
from longcat_eval.records import AttemptRow, Outcome
from longcat_eval.runners.events import AttemptFinished, RunEnded, RunStarted


def finished(sample: str, value: float | None, **more: object) -> AttemptFinished:
    outcome = Outcome.ANSWERED if value is not None else Outcome.ENDPOINT_ERROR
    reason = "" if value is not None else "rate_limited"
    row = AttemptRow(task="toy", sample=sample, repeat=0, outcome=outcome, reason=reason, value=value, **more)  # type: ignore[arg-type]
    return AttemptFinished(row, False)


def watch(progress: Progress) -> None:
    items = len(planned(ToyTask(6)).samples)
    done = [finished("s000", 1.0).row]
    progress.hear(RunStarted({"toy": items}, done))
    progress.hear(finished("s001", 1.0, completion_tokens=500, cost=0.25))
    progress.hear(finished("s002", 0.0, completion_tokens=500, cost=0.25))
    progress.hear(finished("s003", None))


def test_the_live_table_shows_score_interval_cost_and_errors_by_class() -> None:
    progress = Progress(lambda: "7 in flight")
    watch(progress)
    file = io.StringIO()
    Console(file=file, width=120).print(progress.view())
    shown = file.getvalue()
    for part in (
        "toy",
        "3/6",
        "66.67 [",
        "tokens/s",
        "$0.50",
        "ETA",
        "7 in flight",
        "1× endpoint_error rate_limited",
    ):
        assert part in shown, shown


def test_the_terminal_is_given_back() -> None:
    file = io.StringIO()
    display = LiveDisplay(Console(file=file, force_terminal=True, width=80), Progress())
    display(RunStarted({"toy": 2}, []))
    display(finished("s000", 1.0))
    display(RunEnded(""))
    display.close()
    assert "\x1b[?25h" in file.getvalue(), "the cursor is visible again"


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    file = io.StringIO()
    lines = PlainLines(Console(file=file, width=80), Progress(), every=0.0)
    lines(RunStarted({"toy": 2}, []))
    lines(finished("s000", 1.0))
    lines(finished("s001", 0.0))
    lines(RunEnded(""))
    assert [line.split(" ")[0] for line in file.getvalue().splitlines()] == ["1/2", "2/2"]


def test_durations_as_people_read_them() -> None:
    assert [duration(s) for s in (4.4, 75, 7260)] == ["4s", "1m15s", "2h01m"]
