"""What the PRDBench protocol fixes beside tasks and prompts: limits, the judge, and where it deviates."""

from longcat_eval.records import TaskProtocol, Wire
from longcat_eval.runners.agent.edit_profile import EditProfile
from longcat_eval.runners.agent.limits import protocol_limits
from longcat_eval.tasks.prdbench import prompts
from longcat_eval.tasks.prdbench.image import PROJECT, image_name
from longcat_eval.tasks.prdbench.marks import JUDGE, TEMPERATURE
from longcat_eval.tasks.prompts import prompt_hash

GIB = 1 << 30
MAX_TOKENS = 16_384
GRADER = "prdbench/1"
"""Goes up with every change in how plans are run and marked."""
ORACLE, EMPTY = "oracle", "empty"
AGENTS = ("edit", ORACLE, EMPTY)
LIMITS = {
    "debug_rounds": 0.0,
    "case_seconds": 120.0,
    "idle_seconds": 10.0,
    "replay_seconds": 3_600.0,
    "memory_gib": 4.0,
    "disk_gib": 8.0,
}
TYPICAL_QUESTIONS = 17.9
"""Of 1,259 metrics, 365 run pytest or unittest as unit tests."""

NOTES = (
    "strict (the value): points over twice the plan's length, a metric without a mark counts 0; "
    "official_like leaves it out, as the official score does (which drops tasks without a report, too)",
    "the plan's commands are run for the judge, not by it: a line is typed when the program waits for one, "
    "and the judge reads what could be seen; it is asked one metric at a time",
    "unit tests of pytest or unittest have all points where they pass and none otherwise; no judge is asked",
    "a project in which nothing was made scores 0 without a judge",
    "images are named to the judge with their size and not shown (the official judge may ask a vision model)",
    "the developer is the profile edit with our own prompts; the authors' minimal agent is another one",
    "no network; the packages are a declared set (packages.yaml), without torch and tensorflow",
)


def prd_protocol(agent: str, image: str = "") -> TaskProtocol:
    """The protocol of an agent at work in projects, on `image` where that is not the declared one."""
    profile = EditProfile(PROJECT)
    asked = agent not in (ORACLE, EMPTY)
    texts = (*profile.texts, prompts.DEVELOP, prompts.DEBUG) if asked else ()
    return TaskProtocol(
        name=f"prdbench/{agent}/{profile.version if asked else 1}{f' on {image}' if image else ''}",
        repeats=1,
        metric="strict",
        max_tokens=MAX_TOKENS,
        prompt_hash=prompt_hash(*texts),
        grader=f"{GRADER} on {image_name()}",
        roles=("agent", JUDGE.role),
        judges={JUDGE.role: JUDGE.rules},
        role_sampling={JUDGE.role: {"temperature": TEMPERATURE}},
        limits={**protocol_limits(profile.limits), **LIMITS},
        notes=NOTES,
        tools=asked,
        typical_tokens=30_000 if asked else 0,
        typical_requests={"agent": 50.0 if asked else 0.0, JUDGE.role: TYPICAL_QUESTIONS},
    )


def machine(limits: dict[str, float], seconds: float) -> Wire:
    """What a sandbox may use, as `Sandboxes.start` takes it; `seconds` is its work's own limit."""
    return {
        "memory_bytes": int(limits["memory_gib"] * GIB),
        "disk_bytes": int(limits["disk_gib"] * GIB),
        "seconds": seconds + 3_600.0,
    }
