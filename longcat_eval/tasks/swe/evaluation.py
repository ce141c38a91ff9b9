"""One run of an instance's tests on a patch, in a fresh container without network.

The ways a patch is applied, and that each starts from a clean tree, are those of the official runner
(swebench 5.0.2, `harness/run_evaluation.py`); the log is written in the container, where its two streams keep
their order, and fetched as bytes.
"""

import contextlib
import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec import structs

from longcat_eval.protocols import Sandbox, SandboxError, Sandboxes
from longcat_eval.records import Sample
from longcat_eval.runners.sandbox.log_file import read_log
from longcat_eval.tasks.swe.images import BuildRecord, read_build_record, start_from
from longcat_eval.tasks.swe.repository import WORKDIR

SPARE_SECONDS = 900.0
"""How much longer than its tests a grade container may live."""
APPLY_SECONDS = 120.0
OFFLINE = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
"""The scripts install the repository again before the tests: pip then builds with what the image holds, and
asks no index (`0` is how pip's inverted flag is switched on)."""

_SCRIPT, _PATCH, _LOG, _CUT = "/eval.sh", "/tmp/patch.diff", "/tmp/.lceval-log", "/tmp/.lceval-log-cut"
NOT_APPLIED = 91
APPLY = f"""
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
first=yes
for how in 'git apply --verbose' 'git apply --verbose --3way' 'git apply --verbose --reject' \\
           'patch --batch --forward --fuzz=5 -p1 -i'; do
  [ $first ] || {{ git checkout -- . ; git clean -fd; }} >/dev/null 2>&1
  first=
  if $how {_PATCH}; then echo "applied by: $how"; exit 0; fi
done
if git apply --check --reverse {_PATCH} 2>/dev/null; then echo 'applied by: it was there already'; exit 0; fi
exit {NOT_APPLIED}
"""

NETWORK_REPOS = frozenset({"psf/requests"})
"""Two of the tests of psf/requests wait for an address that does not answer."""
_FETCHES = re.compile(
    r"^\s*\(?(?:git (?:submodule update|clone|fetch|pull)|composer (?:update|install)|npm (?:install|ci)"
    r"|pnpm install|yarn install|bundle install|go mod download|curl|wget|apt-get|apk)\b",
    re.MULTILINE,
)
_HEREDOC = re.compile(r"<<-?'?(\w+)'?.*?\n\1$", re.DOTALL | re.MULTILINE)


class Limits(NamedTuple):
    """What the tests of an instance may use."""

    seconds: float
    memory_bytes: int
    disk_bytes: int


class Evaluation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happened: `state` is ran, timed_out, over_disk or apply_failed, `log` the text of the tests' log.

    `applied` says how the patch went on, or how the tries failed; `rebased` is the commit that stands for the
    base commit in an image built without the project's history. `log_cut` bytes are missing in the middle of
    the log. `seconds` is the time of the script alone.
    """

    state: str
    log: str
    applied: str
    image: str
    image_id: str
    network: bool
    rebased: str = ""
    out_of_memory: bool = False
    log_cut: int = 0
    seconds: float = 0.0


RAN, TIMED_OUT, OVER_DISK, APPLY_FAILED = "ran", "timed_out", "over_disk", "apply_failed"


def wants_network(sample: Sample) -> bool:
    """Whether the tests of an instance reach out, or their script fetches what they need."""
    script = _HEREDOC.sub("", sample.fields["eval_script"])
    return sample.fields["repo"] in NETWORK_REPOS or bool(_FETCHES.search(script))


async def evaluate(
    sandboxes: Sandboxes,
    sample: Sample,
    script: str,
    patch: bytes,
    limits: Limits,
    known: Callable[[str], Evaluation | None] = lambda image_id: None,
) -> Evaluation:
    """Apply `patch` in a fresh container and run `script`, unless `known` has the result for this image.

    Raises `SandboxError`.
    """
    network = wants_network(sample)
    sandbox, image = await start_from(
        sandboxes,
        sample,
        network=network,
        kind="grade",
        env={} if network else OFFLINE,
        memory_bytes=limits.memory_bytes,
        disk_bytes=limits.disk_bytes,
        seconds=limits.seconds + SPARE_SECONDS,
    )
    try:
        if (before := known(sandbox.image_id)) is not None:
            return before
        record = await read_build_record(sandbox, sample)
        facts = Evaluation(APPLY_FAILED, "", "", image, sandbox.image_id, network, record.commit)
        try:
            applied, how = await _apply(sandbox, patch)
        except SandboxError as error:
            if error.reason != "disk_budget":
                raise
            return structs.replace(facts, state=OVER_DISK)
        if not applied:
            return structs.replace(facts, applied=how)
        return await _run(
            sandbox, rebase(script, sample, record), limits, structs.replace(facts, applied=how)
        )
    finally:
        with contextlib.suppress(SandboxError):
            await sandbox.stop()


def rebase(script: str, sample: Sample, record: BuildRecord) -> str:
    """The script on the commit that an image without the project's history has for the base commit."""
    return script.replace(sample.fields["base_commit"], record.commit) if record.commit else script


async def _apply(sandbox: Sandbox, patch: bytes) -> tuple[bool, str]:
    if not patch:
        return True, "nothing to apply"
    await sandbox.put(_PATCH, patch)
    done = await sandbox.exec(APPLY, timeout=APPLY_SECONDS, user="root", cwd=WORKDIR)
    said = done.output.decode("utf-8", "replace").strip()
    if done.exit_code not in (0, NOT_APPLIED) and not done.timed_out:
        raise SandboxError("image_unusable", f"no patch can be applied here: {said[-300:]}")
    if done.exit_code == 0:
        return True, said.splitlines()[-1].removeprefix("applied by: ")
    return False, said[-2000:]


async def _run(sandbox: Sandbox, script: str, limits: Limits, facts: Evaluation) -> Evaluation:
    first, _, rest = script.partition("\n")
    await sandbox.put(_SCRIPT, f"{first}\nexec >{_LOG} 2>&1\n{rest}".encode(), mode=0o755)
    try:
        done = await sandbox.exec(f"/bin/bash {_SCRIPT}", timeout=limits.seconds, user="root", cwd=WORKDIR)
        log, cut = await read_log(sandbox, _LOG, _CUT)
    except SandboxError as error:
        if error.reason != "disk_budget":
            raise
        return structs.replace(facts, state=OVER_DISK)
    return structs.replace(
        facts,
        state=TIMED_OUT if done.timed_out else RAN,
        log=log.decode("utf-8", "replace"),
        out_of_memory=done.out_of_memory,
        log_cut=cut,
        seconds=round(done.seconds, 3),
    )
