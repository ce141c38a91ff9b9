"""The answers of one run before other judges: a directory of their verdicts, which the engine then fills."""

from collections.abc import Collection
from datetime import UTC, datetime

from msgspec import structs

from longcat_eval.errors import UsageError
from longcat_eval.records import AttemptRow, Outcome, TaskProtocol, Transcript
from longcat_eval.runners.budget import ANSWER_TAKEN
from longcat_eval.runners.engine import cost_of
from longcat_eval.runners.session import Session
from longcat_eval.runners.store import RunData, read_transcript


def take_answers(run: RunData, session: Session, tasks: Collection[str], judges: Collection[str]) -> int:
    """Write the whole attempts of `run` into an open session, without what the roles `judges` said.

    They stand there as attempts that lack nothing but a verdict; those that are there already are left out,
    so that an interrupted start can be made again. Returns how many answers the run has.
    """
    whole = [row for row in run.rows if row.task in tasks and (row.outcome.valid or row.unjudged)]
    there = {row.key for row in session.rows}
    for row in whole:
        if row.key not in there:
            answer = without(read_transcript(run.path, row), judges)
            session.rows.append(session.store.append(_taken(row, answer), answer))
    return len(whole)


def without(transcript: Transcript, judges: Collection[str]) -> Transcript:
    """The transcript without the calls of these roles."""
    calls = [call for call in transcript.calls if call.role not in judges]
    return structs.replace(transcript, calls=calls, unjudged="these judges have not been asked yet")


def _taken(row: AttemptRow, answer: Transcript) -> AttemptRow:
    completions = [call.completion for call in answer.calls]
    return AttemptRow(
        task=row.task,
        sample=row.sample,
        repeat=row.repeat,
        tries=row.tries,
        group=row.group,
        outcome=Outcome.JUDGE_ERROR,
        reason=ANSWER_TAKEN,
        prompt_tokens=sum(c.usage.prompt_tokens for c in completions),
        completion_tokens=sum(c.usage.completion_tokens for c in completions),
        cost=cost_of(answer.calls),
        calls=len(completions),
        error=answer.unjudged,
        time=datetime.now(UTC).isoformat(),
        unjudged=True,
    )


def judged_protocol(
    name: str, asked: TaskProtocol, today: TaskProtocol, judges: Collection[str]
) -> TaskProtocol:
    """The protocol of a run whose judges change: its questions as they were, judging as it is today.

    Raises `UsageError` where this version asks the agent something else than the run did.
    """
    if asked.prompt_hash != today.prompt_hash:
        raise UsageError(
            f"{name}: the run asked by other prompts ({asked.prompt_hash[:12]}) than this version "
            f"({today.prompt_hash[:12]}); its answers are judged by the version that asked"
        )
    rules = {**asked.judges, **{role: today.judges[role] for role in judges if role in today.judges}}
    sampling = {role: own for role, own in asked.role_sampling.items() if role not in judges}
    sampling |= {role: today.role_sampling[role] for role in judges if role in today.role_sampling}
    return structs.replace(
        asked, grader=today.grader, judges=rules, role_sampling=sampling, notes=today.notes
    )
