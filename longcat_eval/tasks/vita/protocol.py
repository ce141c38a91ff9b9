"""What VitaBench's official runner fixes beside the data, and where this one differs.

Sources: github.com/meituan-longcat/vitabench@96f3b85 (`vita/config.py`, `cli.py`, `run.py`, `models.yaml`);
He et al. 2025, arXiv 2509.26490. avg@4 is what LongCat's reports print.
"""

REPEATS = 4
MAX_STEPS = 300
RESAMPLES = 2
MAX_TOKENS = 16_384
USER_MODEL, JUDGE_MODEL = "gpt-4.1", "claude-3.7-sonnet"
ROLE_SAMPLING = {"user": {"temperature": 0.0}, "judge": {"temperature": 0.0}}

AGENT_STOPS = ("###STOP###",)
USER_STOPS = ("###STOP###", "###TRANSFER###", "###OUT-OF-SCOPE###")

EXPERIMENTAL = "experimental: no real judge or user model has been asked with it yet"
NOTES = (
    "a judge's answer that cannot be read is asked for again, up to `tries` times; the official runner holds "
    "the whole dialogue again, and drops it in the end",
    "addresses of other dialogues are not known to a dialogue; the official runner keeps those of its thread",
    "arguments that are no JSON object are a tool error; the official runner holds the dialogue again",
    "assistant messages go back as they came, reasoning included; seed and max_tokens are sent",
)
"""Deviations from the official runner."""


def stop_of(role: str, text: str) -> str:
    """`agent_stop` or `user_stop` where a text of that side ends the dialogue."""
    stops = AGENT_STOPS if role == "agent" else USER_STOPS
    return f"{role}_stop" if any(stop in text for stop in stops) else ""
