"""lm-eval's instruction checkers, made repeatable; everything below `verdicts` runs in a worker process.

Zhou et al. 2023, Instruction-Following Evaluation for Large Language Models, arXiv 2311.07911; checkers:
lm_eval/tasks/ifeval of github.com/EleutherAI/lm-evaluation-harness (MIT), from google-research (Apache-2.0).
By themselves they judge alike inputs differently: langdetect draws without a seed, and where a prompt asks
for the frequency of `#` or `!` a random letter is counted instead (keys 1122, 1129). Here both are seeded
per item.
"""

import hashlib
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any, NamedTuple

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import WorkerError, Workers
from longcat_eval.tasks.punkt import KNOWN, find_punkt, use_punkt

PACKAGES = ("lm_eval", "langdetect", "nltk", "immutabledict")
SEEDING = "seeded/1"
SECONDS = 60.0
"""Wall time of one item; the first in a worker imports the checkers."""


class Verdicts(NamedTuple):
    """For each instruction of a prompt whether it was followed, as is and leniently."""

    strict: list[bool]
    loose: list[bool]


def grader_version() -> str:
    """The seeding and everything whose version can change a verdict."""
    found = (f"{name}={_installed(name) or 'absent'}" for name in PACKAGES[:3])
    return " ".join((SEEDING, *found, f"punkt_tab={KNOWN}"))


def require_checkers() -> None:
    """Raise `EnvironmentUnusableError` unless the checkers and their sentence model are here."""
    absent = [name for name in PACKAGES if _installed(name) is None]
    if absent:
        raise EnvironmentUnusableError(
            f"grading IFEval needs {', '.join(absent)}: pip install 'longcat-eval[lm-eval]'"
        )
    find_punkt()


async def judge(
    prompt: str,
    instructions: Sequence[str],
    kwargs: Sequence[Mapping[str, Any]],
    reply: str,
    workers: Workers,
) -> Verdicts:
    """Return the verdicts on `reply`; raises `WorkerError` where the checkers broke a limit or failed."""
    arguments = (str(find_punkt()), prompt, list(instructions), [dict(k) for k in kwargs], reply)
    strict, loose = await workers.call(f"{__name__}:verdicts", *arguments, seconds=SECONDS)
    if len(strict) != len(instructions) or len(loose) != len(instructions):
        raise WorkerError("error", f"{len(strict)} verdicts on {len(instructions)} instructions")
    return Verdicts(strict, loose)


def verdicts(
    nltk_data: str, prompt: str, instructions: list[str], kwargs: list[dict[str, Any]], reply: str
) -> list[list[bool]]:
    """Return lm-eval's strict and loose verdicts, one per instruction, from the same seed each."""
    checkers = _checkers(nltk_data)
    item = checkers.InputExample(0, instructions, prompt, kwargs)
    found = []
    for test in (checkers.test_instruction_following_strict, checkers.test_instruction_following_loose):
        random.seed(int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8]))
        found.append([bool(followed) for followed in test(item, reply).follow_instruction_list])
    return found


@cache
def _checkers(nltk_data: str) -> Any:
    """The module `lm_eval.tasks.ifeval.utils` with langdetect seeded and NLTK pointed to its data."""
    import langdetect

    langdetect.DetectorFactory.seed = 0
    use_punkt(nltk_data)  # found at import: without it lm-eval would try to download
    with _bare_package("lm_eval.tasks"):
        from lm_eval.tasks.ifeval import utils
    return utils


@contextmanager
def _bare_package(name: str) -> Iterator[None]:
    """Let modules below a package be imported without its `__init__`, which reads `datasets` (seconds)."""
    if name in sys.modules:
        yield
        return
    from importlib.util import find_spec

    spec = find_spec(name)
    bare = ModuleType(name)
    bare.__path__ = list(spec.submodule_search_locations or ()) if spec else []
    sys.modules[name] = bare
    try:
        yield
    finally:
        del sys.modules[name]


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
