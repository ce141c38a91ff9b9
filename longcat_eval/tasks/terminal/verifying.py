"""The tests of a step: put into the machine when the agent is done, run, and what they leave read as bytes.

How the originals do it: terminal-bench 0.2.18 (`harness/harness.py`: as root, in the image's folder, one limit
for the whole script) and harbor 0.24.0 (`verifier/verifier.py`: test.sh, then the reward files). Here the log
is a file, so that no screen wraps or forgets a line of it, and the machine stands still while it is read.
"""

import re
import secrets
import shlex
from collections.abc import Mapping

from longcat_eval.protocols import Sandbox, SandboxError
from longcat_eval.records import Wire
from longcat_eval.runners.sandbox.log_file import read_log
from longcat_eval.tasks.terminal.desk import Desk
from longcat_eval.tasks.terminal.pytest_summary import read_summary
from longcat_eval.tasks.terminal.records import Step, Verifier
from longcat_eval.tasks.terminal.rewards import read_rewards
from longcat_eval.tasks.terminal.scoring import JSON_FILE, RAN, TEXT_FILE, TIMED_OUT, sandbox_end
from longcat_eval.tasks.terminal.uv_bootstrap import asked_version, put_uv

TESTS, LOGS = "/tests", "/logs/verifier"
TERM = "xterm-256color"
REWARD_BYTES = 1 << 20
NOT_A_FILE = "(not a file, or too large for a reward)"
PREPARE_SECONDS = 60.0

NETWORK_SIGNS = re.compile(
    r"Could not resolve|Temporary failure in name resolution|Temporary failure resolving|dns error"
    r"|Failed to fetch|Connection timed out|Connection refused|Network is unreachable|tcp connect error"
    r"|SSL certificate problem|invalid peer certificate|Read timed out|Failed to download|Unable to locate package"
    r"|No matching distribution found|error sending request",
    re.IGNORECASE,
)
"""What bootstraps print when they reach no registry: apt, curl, uv and pip."""


def folders_of(verifier: Verifier) -> Wire:
    """What goes to /tests."""
    return {}


async def run_tests(
    sandbox: Sandbox, step: Step, seconds: float, desk: Desk | None = None, *, user: str = "root"
) -> Wire:
    """Run one step's tests for at most `seconds` and return what they left, as `scoring.judge_step` reads it.

    `state` is ran, timed_out or over_disk; `log` is whole, or says where its middle is missing (`log_cut`
    bytes); `rewards` are the reward files by name; `uv` says what was put in for the script. Raises
    `SandboxError`.
    """
    found: Wire = {"name": step.name, "kind": step.verifier.kind, "log": "", "log_cut": 0, "rewards": {}}
    found |= {"seconds": 0.0, "uv": "", "out_of_memory": False}
    log = f"{LOGS}/.log-{secrets.token_hex(8)}"
    try:
        await _put_tests(sandbox, step.verifier)
        found["uv"] = await _put_uv(sandbox, step.verifier, user)
        done = await _run(sandbox, step.verifier, log, seconds, desk, user)
        found |= done
        await sandbox.pause()
        text, found["log_cut"] = await read_log(sandbox, log, f"{log}-cut")
        found["log"] = text.decode("utf-8", "replace").replace("\0", "\ufffd")
        if step.verifier.kind == "reward":
            found["rewards"] = await _read_rewards(sandbox)
    except SandboxError as error:
        found["state"] = sandbox_end(error)
    return found


def cannot_tell(tested: Wire) -> bool:
    """Whether there is no result, and the log looks as if the tests had not reached what they need to run."""
    if tested["state"] not in (RAN, TIMED_OUT) or not NETWORK_SIGNS.search(tested["log"]):
        return False
    if tested["kind"] == "pytest" or read_summary(tested["log"]):
        return not read_summary(tested["log"])
    files = (tested["rewards"].get(name) for name in (JSON_FILE, TEXT_FILE))
    rewards = read_rewards(*(text if text is None else text.encode() for text in files))
    return bool(rewards.problem) or not any(rewards.by_name.values())
