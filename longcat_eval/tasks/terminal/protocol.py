"""What the TerminalBench protocol fixes beside tasks and prompts: limits, and where it deviates."""

from longcat_eval.records import TaskProtocol
from longcat_eval.runners.agent.limits import protocol_limits
from longcat_eval.tasks.prompts import prompt_hash
from longcat_eval.tasks.terminal.agents import TerminalAgent

MAX_TOKENS = 16_384
GRADER = "terminal-bench/1"
"""The rules of `scoring`, which are those of terminal-bench 0.2.18 and harbor 0.24.0 but for `NOTES`."""
LIMITS = {
    "agent_timeout_multiplier": 1.0,
    "test_timeout_multiplier": 1.0,
    "timeout_grace_seconds": 0.0,
    "memory_gib": 8.0,
    "disk_gib": 16.0,
}

NOTES = (
    "a task's time limit ends its agent; published results of terminal-bench 0.2.x had up to 300 s more, "
    "which limits.timeout_grace_seconds=300 gives; an attempt past its limit is agent_budget in any case",
    "when the agent is done, what it has in the foreground is killed and its shell stopped for good; what it "
    "put in the background stays, because tasks ask for servers",
    "a pytest verdict needs at least one result (an empty summary passes in terminal-bench 0.2.18)",
    "the tests' log is a file, not a screen: nothing of it is wrapped or forgotten",
    "uv comes from its wheel where the tests would fetch its installer",
    "tests that cannot reach the network are tried without the agent: only if they fail there too is it a "
    "sandbox_error, which is retried; all else without a verdict counts 0 and is named (unscored)",
    "images on stand-in bases are not those of the published results: marked in every report",
)


def terminal_protocol(agent: TerminalAgent) -> TaskProtocol:
    """The protocol of an agent at work."""
    limits = protocol_limits(agent.limits)
    del limits["max_seconds"]  # each task has its own
    return TaskProtocol(
        name=f"terminal-bench/{agent.name}/{agent.version}",
        repeats=1,
        metric="acc",
        max_tokens=MAX_TOKENS,
        prompt_hash=prompt_hash(*agent.texts),
        grader=GRADER,
        limits={**limits, **LIMITS},
        notes=NOTES,
        tools=bool(agent.tools),
        typical_tokens=9_000,
        typical_requests={"agent": 30.0},
    )
