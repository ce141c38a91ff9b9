"""The one importer of `swebench`; runs in a worker process, which may be killed.

Of the package only the modules that grade are imported: constants, log parsers, `grading` and
`utils.make_test_spec`. What their neighbours want besides (datasets, modal, docker and 75 more) is never
reached from them; names that `utils` binds from such packages at its top raise when they are used.
"""

import contextlib
import resource
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

from longcat_eval.records import Wire

MEMORY_BYTES = 2 << 30
_ABSENT = ("datasets", "dotenv", "tqdm")
_NAMES = {"datasets": ("Dataset", "load_dataset", "load_from_disk"), "tqdm": ("tqdm",)}


def eval_script(folder: str, row: Wire) -> str:
    """The shell script that runs a row's tests, with the recording of their exit code that grading checks."""
    _import_swebench(folder)
    script: str = import_module("swebench.harness.utils").make_test_spec(row).eval_script
    return script


def read_log(folder: str, row: Wire, log: str) -> Wire:
    """The official verdict on the log of a row's tests.

    Returns `resolved`, `ran` (whether the log holds results at all), `infra` (why not, as classified by
    swebench, or empty), `environment` (whether a patch cannot be the cause), and by FAIL_TO_PASS and
    PASS_TO_PASS the tests that passed and that did not.
    """
    _import_swebench(folder)
    utils, grading = import_module("swebench.harness.utils"), import_module("swebench.harness.grading")
    prediction = {"instance_id": row["instance_id"], "model_patch": "", "model_name_or_path": ""}
    with _bounded_memory(), tempfile.NamedTemporaryFile("w", errors="replace", newline="") as file:
        # In the locale's encoding, because that is how swebench opens it.
        file.write(log)
        file.flush()
        spec = utils.make_test_spec(row)
        reports = grading.get_eval_report(spec, prediction, file.name, include_tests_status=True)
    report = reports[row["instance_id"]]
    tests = report.get("tests_status", {})
    return {
        "resolved": report["resolved"],
        "ran": report["patch_successfully_applied"],
        "infra": report.get("infra_failure_reason", ""),
        "environment": report["infra_failure"],
        "tests": {
            name: {"passed": tests[name]["success"], "failed": tests[name]["failure"]}
            for name in ("FAIL_TO_PASS", "PASS_TO_PASS")
            if name in tests
        },
    }


def unusable_rows(folder: str, rows: list[Wire]) -> list[str]:
    """What swebench cannot work with in these rows: `id: why`; empty if nothing."""
    _import_swebench(folder)
    make_test_spec = import_module("swebench.harness.utils").make_test_spec
    parsers = import_module("swebench.harness.log_parsers").PARSER_REGISTRY
    constants = import_module("swebench.harness.constants")
    types = {kind.value for kind in constants.EvalType}
    found = []
    for row in rows:
        name = row["instance_id"]
        if row["log_parser"] not in parsers:
            found.append(f"{name}: no log parser {row['log_parser']!r}")
        if row["eval_type"] not in types:
            found.append(f"{name}: no eval_type {row['eval_type']!r}")
        try:
            script = make_test_spec(row).eval_script
        except (KeyError, TypeError, ValueError) as error:
            found.append(f"{name}: {type(error).__name__}: {error}")
            continue
        marks = (constants.START_TEST_OUTPUT, constants.END_TEST_OUTPUT, constants.TEST_EXIT_CODE)
        found += [f"{name}: no {mark!r} in its eval_script" for mark in marks if mark not in script]
    return found


def _import_swebench(folder: str) -> None:
    """Make `import swebench.…` give the copy in `folder`, without running the __init__ of its harness."""
    if "swebench.harness.utils" in sys.modules:
        return
    sys.modules["swebench"] = package = _unrun("swebench", [folder])
    sys.modules["swebench.harness"] = _unrun("swebench.harness", list(package.__path__))
    absent = {name: ModuleType(name) for name in _ABSENT}
    for name, module in absent.items():
        for one in _NAMES.get(name, ()):
            setattr(module, one, _Absent)
    absent["dotenv"].__dict__["load_dotenv"] = lambda: None  # it would read the user's .env
    before = {name: sys.modules.get(name) for name in absent}
    sys.modules.update(absent)
    try:
        for name in ("constants", "log_parsers", "grading", "utils"):
            import_module(f"swebench.harness.{name}")
    finally:
        for name, known in before.items():
            del sys.modules[name]
            if known is not None:
                sys.modules[name] = known


class _Absent:
    """Stands for what grading never uses."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("swebench wanted a package that grading was known to do without")


def _unrun(name: str, path: list[str]) -> ModuleType:
    spec = PathFinder.find_spec(name, path)
    if spec is None:
        raise ImportError(f"there is no {name} in {path[0]}")
    return module_from_spec(spec)


@contextlib.contextmanager
def _bounded_memory() -> Iterator[None]:
    """Cap this process's address space while a log is read."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    caps = [MEMORY_BYTES, *(limit for limit in before if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(caps), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
