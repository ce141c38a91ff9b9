"""What came of an episode: how it ended, what it used, what was run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from longcat_eval.protocols import ModelError
from longcat_eval.records import Outcome, Wire

SUBMITTED = "submitted"
STEPS, TOKENS, COST, WALL_CLOCK, DISK = "steps", "tokens", "cost", "wall_clock", "disk_budget"
CONTEXT, LENGTH = "context", "length"
FORMAT_ERRORS, EMPTY_REPLY, REFUSED = "format_errors", "empty_reply", "refused"
TERMINAL_GONE = "terminal_gone"
"""An agent ended the shell that it typed into."""

ENDS: Mapping[str, Outcome] = {
    SUBMITTED: Outcome.ANSWERED,
    STEPS: Outcome.AGENT_BUDGET,
    TOKENS: Outcome.AGENT_BUDGET,
    COST: Outcome.AGENT_BUDGET,
    WALL_CLOCK: Outcome.AGENT_BUDGET,
    DISK: Outcome.AGENT_BUDGET,
    CONTEXT: Outcome.LENGTH_LIMIT,
    LENGTH: Outcome.LENGTH_LIMIT,
    FORMAT_ERRORS: Outcome.TOOL_PROTOCOL_ERROR,
    EMPTY_REPLY: Outcome.NO_ANSWER,
    REFUSED: Outcome.REFUSED,
    TERMINAL_GONE: Outcome.ANSWERED,
}
"""Every way an episode ends, and the outcome it stands for; what is not the agent's doing is raised."""


@dataclass
class Episode:
    """One agent at work; `end` is a key of `ENDS`.

    `steps` counts messages of the model, useless ones included; `format_errors` these and single calls that
    could not be run. `tokens` and `cost` are sums over all of them, `cost` None where a price is unknown.
    `submission` holds the bytes handed in, empty where the profile hands in the tree as it is, and None
    without a submission. `commands` has one entry per call that ran. `failure` is what ended it, where that
    was a reply that never came. `model_seconds` includes the wait for the endpoint, `seconds` is everything.
    """

    end: str = ""
    steps: int = 0
    submission: bytes | None = None
    commands: list[Wire] = field(default_factory=list)
    failure: ModelError | None = None
    format_errors: int = 0
    tokens: int = 0
    cost: float | None = None
    seconds: float = 0.0
    model_seconds: float = 0.0

    @property
    def outcome(self) -> Outcome:
        """What the end means for the attempt."""
        return ENDS[self.end]


def episode_record(episode: Episode) -> Wire:
    """Return an episode as JSON for the artifacts of its transcript; the submission as its size in bytes.

    Each command has `step`, `tool`, `input` (its beginning), `input_chars`, `error`, `seconds` (as the loop
    saw it), `output_chars` (as the model saw it), and where something was executed `exit_code`,
    `command_seconds`, `output_bytes`, and `timed_out` or `out_of_memory` where it was.
    """
    return {
        "end": episode.end,
        "steps": episode.steps,
        "format_errors": episode.format_errors,
        "tokens": episode.tokens,
        "cost": episode.cost,
        "seconds": round(episode.seconds, 3),
        "model_seconds": round(episode.model_seconds, 3),
        "submission_bytes": None if episode.submission is None else len(episode.submission),
        "failure": "" if episode.failure is None else str(episode.failure),
        "commands": episode.commands,
    }
