"""What the SWE-bench protocols fix beside data and prompts: limits of each set, and where they deviate."""

from typing import NamedTuple

from longcat_eval.records import TaskProtocol, Wire
from longcat_eval.runners.agent.limits import protocol_limits
from longcat_eval.runners.agent.profile import PROFILES, Profile
from longcat_eval.tasks.prompts import prompt_hash
from longcat_eval.tasks.swe.evaluation import Limits
from longcat_eval.tasks.swe.package import VERSION
from longcat_eval.tasks.swe.repository import WORKDIR

GIB = 1 << 30
MAX_TOKENS = 16_384
DEFAULT_AGENT = "bash"
TYPICAL_STEP = {"assistant": 600, "user": 1_800}
"""Characters that a step adds to the history: a message with its call, and what that gave."""
GRADER = f"swebench>={VERSION},<6"

NOTES = (
    "the patch is the submission where that is one, else the work tree against its start, submitted or not",
    "files that the row's test patch touches are left out of the patch at grading",
    "tests run without network, but where they reach out or their script fetches (recorded)",
    "a patch whose tests take longer than grade_seconds fails; a log without results is a failure of the "
    "sandbox only where swebench calls it the environment's and the tests have none without the patch either",
    "images built here stand on a release instead of the base commit (rebased): not comparable",
)


class Machine(NamedTuple):
    """What an instance of a set may use, for the agent and for its tests."""

    grade_seconds: float = 1_800.0
    memory_gib: float = 4.0
    disk_gib: float = 4.0


SMALL, LARGE = Machine(), Machine(memory_gib=8.0, disk_gib=16.0)
"""Python sets; Multilingual, whose scripts build projects in C, Rust and Java."""


def agent_protocol(profile: Profile, machine: Machine) -> TaskProtocol:
    """The protocol of an agent at work."""
    return TaskProtocol(
        name=f"swe-bench/{profile.name}/{profile.version}",
        repeats=1,
        metric="acc",
        max_tokens=MAX_TOKENS,
        prompt_hash=prompt_hash(*profile.texts),
        grader=GRADER,
        limits={**protocol_limits(profile.limits), **machine._asdict()},
        notes=NOTES,
        tools=not profile.fenced,
        typical_tokens=15_000,
        typical_requests={"agent": 50.0},
    )


def graded_only(protocol: TaskProtocol, machine: Machine, sha256: str) -> TaskProtocol:
    """The protocol of predictions that came from elsewhere: their file stands for the prompts."""
    from msgspec import structs

    own = {name: protocol.limits[name] for name in machine._asdict()}
    return structs.replace(
        protocol,
        name="swe-bench/predictions/1",
        prompt_hash=sha256,
        limits=own,
        tools=False,
        typical_tokens=0,
        typical_requests={},
    )


def make_profile(name: str) -> Profile:
    """A profile at work in the repository."""
    return PROFILES[name](WORKDIR)


def grade_limits(limits: dict[str, float]) -> Limits:
    """What the tests may use, of a protocol's limits."""
    return Limits(limits["grade_seconds"], int(limits["memory_gib"] * GIB), int(limits["disk_gib"] * GIB))


def agent_machine(limits: dict[str, float]) -> Wire:
    """What the agent's sandbox may use, as `Sandboxes.start` takes it; its own clock ends it first."""
    tests = grade_limits(limits)
    seconds = limits["max_seconds"] + 3_600.0 if limits["max_seconds"] else 24 * 3_600.0
    return {"memory_bytes": tests.memory_bytes, "disk_bytes": tests.disk_bytes, "seconds": seconds}
