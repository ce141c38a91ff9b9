"""The tests of a step: put into the machine when the agent is done, run, and what they leave read as bytes.

How the originals do it: terminal-bench 0.2.18 (`harness/harness.py`: as root, in the image's folder, one
limit for the whole script) and harbor 0.24.0 (`verifier/verifier.py`: test.sh, then the reward files). Here
the log is a file, so that no screen wraps or forgets a line of it, and the machine stands still while it is
read.
"""

import re
import secrets
import shlex
import time

from longcat_eval.protocols import Sandbox, SandboxError
from longcat_eval.records import Wire
from longcat_eval.runners.sandbox.log_file import read_log
from longcat_eval.tasks.terminal.desk import Desk
from longcat_eval.tasks.terminal.pytest_summary import read_summary
from longcat_eval.tasks.terminal.records import Step, Verifier
from longcat_eval.tasks.terminal.scoring import (
    JSON_FILE,
    RAN,
    TEXT_FILE,
    TIMED_OUT,
    rewards_of,
    sandbox_end,
)
from longcat_eval.tasks.terminal.uv_bootstrap import LOOK, asked_version, put_uv

TESTS, LOGS = "/tests", "/logs/verifier"
FRESH = f"rm -rf {LOGS}; mkdir -p {TESTS} {LOGS}; chmod 777 {LOGS}"
TERM = "xterm-256color"
REWARD_BYTES = 1 << 20
NOT_A_FILE = "(not a file, or too large for a reward)"
PREPARE_SECONDS = 60.0

NETWORK_SIGNS = re.compile(
    r"Could not resolve|Temporary failure in name resolution|Temporary failure resolving|dns error"
    r"|Failed to fetch|Connection timed out|Connection refused|Network is unreachable|tcp connect error"
    r"|SSL certificate problem|invalid peer certificate|Read timed out|Failed to download"
    r"|Unable to locate package|No matching distribution found|error sending request",
    re.IGNORECASE,
)
"""What bootstraps print when they reach no registry: apt, curl, uv and pip."""


async def run_tests(sandbox: Sandbox, step: Step, seconds: float, desk: Desk, *, clear: bool = True) -> Wire:
    """Run one step's tests for at most `seconds` and return what they left, as `scoring.judge_step` reads it.

    `state` is ran, timed_out or over_disk; `log` is whole, or says where its middle is missing (`log_cut`
    bytes); `rewards` are the reward files by name; `uv` says what was put in for the script. `clear` empties
    /tests before, which in the image's own state holds nothing. The machine is paused afterwards. Raises
    `SandboxError`.
    """
    verifier = step.verifier
    found: Wire = {"name": step.name, "kind": verifier.kind, "log": "", "log_cut": 0, "rewards": {}}
    found |= {"seconds": 0.0, "uv": "", "out_of_memory": False}
    log = f"{LOGS}/.log-{secrets.token_hex(8)}"
    try:
        found["uv"] = await _prepare(sandbox, verifier, clear=clear)
        found |= await _run(sandbox, verifier, log, seconds, desk)
        await sandbox.pause()
        text, found["log_cut"] = await read_log(sandbox, log, f"{log}-cut", paused=True)
        found["log"] = text.decode("utf-8", "replace").replace("\0", "\ufffd")
        if verifier.kind == "reward":
            found["rewards"] = await _read_rewards(sandbox)
    except SandboxError as error:
        found["state"] = sandbox_end(error)
    return found


async def remove_tests(sandbox: Sandbox) -> None:
    """Let a machine go on without the tests and what they wrote: the next step's agent sees neither."""
    await sandbox.unpause()
    await sandbox.exec(f"rm -rf {TESTS}; {FRESH}", timeout=PREPARE_SECONDS, user="root")


def cannot_tell(tested: Wire) -> bool:
    """Whether there is no result, and the log looks as if the tests had not reached what they need to run."""
    if tested["state"] not in (RAN, TIMED_OUT) or not NETWORK_SIGNS.search(tested["log"]):
        return False
    if tested["kind"] == "pytest" or read_summary(tested["log"]):
        return not read_summary(tested["log"])
    rewards = rewards_of(tested)
    return bool(rewards.problem) or not any(rewards.by_name.values())


async def _prepare(sandbox: Sandbox, verifier: Verifier, *, clear: bool) -> str:
    """Put the tests into their place, and uv where they would fetch it; return what of uv was put."""
    empty = f"rm -rf {TESTS}; " if clear and (verifier.folders or verifier.files) else ""
    asked = asked_version(*_scripts(verifier))
    look = LOOK if asked and _runs_as_root(verifier) else "true"
    made = await sandbox.exec(
        f"{empty}{FRESH}; {look}",
        timeout=PREPARE_SECONDS,
        user="root",
    )
    for folder in verifier.folders[:-1]:
        await sandbox.put_tree(TESTS, folder)
    last = {child.name: child for folder in verifier.folders[-1:] for child in folder.iterdir()}
    if last or verifier.files:
        await sandbox.put_tree(TESTS, {**last, **verifier.files})
    if not asked:
        return ""
    if look == "true":
        made = await sandbox.exec(LOOK, timeout=PREPARE_SECONDS, user=verifier.user)
    return await put_uv(sandbox, asked, made.output.decode("utf-8", "replace"))


async def _run(sandbox: Sandbox, verifier: Verifier, log: str, seconds: float, desk: Desk) -> Wire:
    if verifier.same_shell:
        started = time.monotonic()
        ended = await (await desk.terminal()).run(f"bash {verifier.script} >{log} 2>&1", seconds)
        return {"state": RAN if ended else TIMED_OUT, "seconds": round(time.monotonic() - started, 3)}
    script = shlex.quote(verifier.script)
    command = f"bash {script}" if verifier.kind == "pytest" else f"chmod +x {script} 2>/dev/null; {script}"
    done = await sandbox.exec(
        f"exec >{log} 2>&1; {command}",
        timeout=seconds,
        user="root" if _runs_as_root(verifier) else verifier.user or None,
        env={"TERM": TERM, "TEST_DIR": TESTS, **verifier.env},
    )
    return {
        "state": TIMED_OUT if done.timed_out else RAN,
        "seconds": round(done.seconds, 3),
        "out_of_memory": done.out_of_memory,
    }


def _runs_as_root(verifier: Verifier) -> bool:
    """terminal-bench runs tests as root whoever the agent is, harbor as the image's or a named user."""
    return verifier.kind == "pytest" or verifier.user in ("root", "0")


def _scripts(verifier: Verifier) -> list[str]:
    """The texts of the shell scripts among the tests."""
    found = [file for file in verifier.files.values() if file.suffix == ".sh"]
    found += [file for folder in verifier.folders for file in sorted(folder.glob("*.sh"))]
    return [file.read_text(encoding="utf-8", errors="replace") for file in found]


async def _read_rewards(sandbox: Sandbox) -> dict[str, str]:
    rewards = {}
    for name in (JSON_FILE, TEXT_FILE):
        try:
            content = await sandbox.get(f"{LOGS}/{name}", max_bytes=REWARD_BYTES)
        except FileNotFoundError:
            continue
        except OSError:
            content = NOT_A_FILE.encode()
        rewards[name] = content.decode("utf-8", "replace").replace("\0", "\ufffd")
    return rewards
