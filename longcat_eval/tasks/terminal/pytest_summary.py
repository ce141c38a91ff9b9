"""What pytest's short summary says of each test: the verdict of a terminal-bench 1.x task.

The rules are those of `terminal_bench/parsers/pytest_parser.py` (0.2.18, Apache-2.0), in our own words.
"""

import re

BANNER = re.compile(r"=+\s*short test summary info\s*=+", re.IGNORECASE)
COUNTS_AS_PASSED = {
    "PASSED": True,
    "SKIPPED": True,
    "XFAIL": True,
    "FAILED": False,
    "ERROR": False,
    "XPASS": False,
}
"""The first words of a result's line, and whether each is a pass."""
ONLY_SKIPPED = "SKIPPED"


def read_summary(log: str) -> dict[str, bool] | None:
    """Return whether each test passed, by the name after the first `::`; None where there is no summary.

    Everything after the first banner counts, line by line; of a name that comes twice the last line stands.
    The reason after the last ` - ` of a failed line is no part of the name.
    """
    _, banner, summary = _partition(log)
    if not banner:
        return None
    results: dict[str, bool] = {}
    for line in summary.splitlines():
        status, name = _result(line)
        if status:
            results[name] = COUNTS_AS_PASSED[status]
    return results


def all_skipped(log: str) -> bool:
    """Whether there are results and every one of them is a test that was skipped."""
    _, _, summary = _partition(log)
    statuses = {status for status, _ in map(_result, summary.splitlines()) if status}
    return statuses == {ONLY_SKIPPED}


def _partition(log: str) -> tuple[str, str, str]:
    found = BANNER.search(log)
    return (log, "", "") if found is None else (log[: found.start()], found[0], log[found.end() :])


def _result(line: str) -> tuple[str, str]:
    """(status, test name) of a line, ("", "") for one that is no result."""
    if line.startswith("FAILED") and " - " in line:
        line = line.rpartition(" - ")[0]
    word, *rest = line.split(maxsplit=1) or [""]
    status, path = word.strip(":"), "".join(rest).strip()
    name = path.partition("::")[2] if "::" in path else path
    return (status, name) if status in COUNTS_AS_PASSED and name else ("", "")
