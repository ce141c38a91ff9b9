"""Words of --compare that name files of other tools: `inspect:PATH`, `lm-eval:PATH`, `eee:PATH` or a path."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from longcat_eval.errors import UsageError
from longcat_eval.reports.foreign.every_eval_ever import read_eee
from longcat_eval.reports.foreign.files import read_all, unusable
from longcat_eval.reports.foreign.inspect_logs import read_inspect
from longcat_eval.reports.foreign.lm_eval_results import PATTERN, read_lm_eval
from longcat_eval.reports.foreign.records import ForeignLog
from longcat_eval.reports.published import column_names
from longcat_eval.runners.store import manifest_files

MOST = 12
"""Columns that one word may give."""
LOOKED_AT = 100
"""Files of a folder that are looked at to tell whose it is."""
PEEK = 4096
"""Bytes at the beginning of a file that tell whose it is."""


def read_inspect_logs(path: Path) -> list[ForeignLog]:
    """A log, or a folder of logs: one column per model, later logs of a task in place of earlier ones."""
    if not path.is_dir():
        return read_inspect(path)
    files = sorted([*path.rglob("*.eval"), *filter(_is_inspect, path.rglob("*.json"))])
    if not files:
        raise unusable(path, "the folder has no .eval and no .json log")
    read, left_out = read_all(files, read_inspect)
    logs = _by_model(path, [log for _, found in read for log in found])
    return [log._replace(about=(*log.about, *left_out)) for log in logs]


def _is_inspect(path: Path) -> bool:
    """Whether a JSON file in a folder of logs is a log: listings and other files lie there too."""
    try:
        return whose(path) == "inspect"
    except UsageError:
        return False


def _by_model(path: Path, logs: list[ForeignLog]) -> list[ForeignLog]:
    """Logs of one model and tool as one, its results by task, the newest of each."""
    together: dict[tuple[str, str], list[ForeignLog]] = {}
    for log in sorted(logs, key=lambda log: log.date):
        together.setdefault((log.model, log.made_by), []).append(log)
    return [_joined(path, same) for same in together.values()]


def _joined(path: Path, logs: list[ForeignLog]) -> ForeignLog:
    *_, last = logs
    if len(logs) == 1:
        return last
    results = {result.task or result.name: result for log in logs for result in log.results}
    about = dict.fromkeys(said for log in logs for said in log.about)
    return last._replace(path=str(path), results=tuple(results.values()), about=tuple(about))


READERS: Mapping[str, Callable[[Path], list[ForeignLog]]] = {
    "inspect": read_inspect_logs,
    "lm-eval": read_lm_eval,
    "eee": read_eee,
}


def split_compare(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Names of published columns, and words that name files."""
    published, foreign = list[str](), list[str]()
    for word in (part.strip() for text in words for part in text.split(",")):
        if word:
            (foreign if is_foreign(word) else published).append(word)
    return published, foreign


def is_foreign(word: str) -> bool:
    """Whether a word of --compare names files; one that is the name of a published column is that."""
    kind, colon, _ = word.partition(":")
    if colon and kind.casefold() in READERS:
        return True
    if word.casefold() in column_names():
        return False
    return word.endswith((".eval", ".json")) or "/" in word or Path(word).exists()


def read_foreign(words: Iterable[str]) -> list[ForeignLog]:
    """The logs that the words name, in their order; `UsageError` says what is wrong with one."""
    logs = []
    for word in words:
        kind, colon, rest = word.partition(":")
        reader = READERS.get(kind.casefold()) if colon else None
        path = Path(rest if reader else word).expanduser()
        if not str(rest if reader else word) or not path.exists():
            raise UsageError(f"--compare {word}: there is no such file or folder")
        found = (reader or READERS[whose(path)])(path)
        if len(found) > MOST:
            raise unusable(path, f"{len(found)} models, and {MOST} fit; name one file or folder")
        logs += [log.plain() for log in found]
    return logs


def whose(path: Path) -> str:
    """Whose file or folder a path is, by names and first bytes; `UsageError` where that cannot be told."""
    if path.is_dir():
        if any(path.rglob("*.eval")):
            return "inspect"
        if any(path.rglob(PATTERN)):
            return "lm-eval"
        if manifest_files(path):
            raise unusable(path, "this is a run of longcat-eval: name it as a run, before --compare")
        for inner in itertools.islice(path.rglob("*.json"), LOOKED_AT):
            with suppress(UsageError):
                return whose(inner)
        raise unusable(path, "the folder has no .eval log, no results*.json and no other file that is known")
    try:
        with path.open("rb") as file:
            head = file.read(PEEK)
    except OSError as error:
        raise unusable(path, error.strerror or error) from None
    if head[:4] == b"PK\x03\x04" or path.suffix == ".eval":
        return "inspect"
    if b'"schema_version"' in head:
        return "eee"
    if b'"eval"' in head and b'"version"' in head:
        return "inspect"
    if b'"results"' in head:
        return "lm-eval"
    raise unusable(
        path, f"nobody's file that is known here; say whose it is: {', '.join(f'{k}:PATH' for k in READERS)}"
    )
