"""Load the samples of a benchmark from a local folder or the hub, and check that they are the known ones."""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.records import Dataset, Sample
from longcat_eval.tasks.data_files import Parser, Row, first_matches, list_files, read_files
from longcat_eval.tasks.hub import fetch
from longcat_eval.tasks.known_data import canonical_hash, known_data
from longcat_eval.tasks.pins import read_pins, record_pin

_SPLIT = re.compile(r"(?:test|val|validation|train)(?:-\d+-of-\d+)?")
_SPLIT_ENDING = re.compile(r"[_-](?:test|val)$")


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """Where a benchmark's data lies and how a row becomes a sample.

    `folder` is the place below --data-dir, `local_files` and `hub_files` patterns in order of preference
    (see `data_files.first_matches`), `columns` the names of headerless CSV columns. `sample` gets a row,
    its subject (`subject` column, else from the file's name) and its position within that subject. `parse`
    reads the rows of a file that is in none of the common formats. Data that is on no hub has no `repo`, and
    `where` says how to come by it.
    """

    name: str
    folder: str
    repo: str
    revision: str | None
    local_files: tuple[str, ...]
    hub_files: tuple[str, ...]
    items: int
    sample: Callable[[Row, str, int], Sample]
    columns: tuple[str, ...] = ()
    subjects: frozenset[str] = frozenset()
    parse: Parser | None = None
    where: str = ""


def load_dataset(spec: DatasetSpec, options: DataOptions) -> Dataset:
    """Return the checked samples: from the local folder if there is one, else from the hub.

    The local root is `options.data_dir`, else LONGCAT_EVAL_DATA. Raises `EnvironmentUnusableError` where data
    is absent, damaged, or not the known-good data; `options.allow_drift` lets the last through, marked.
    """
    folder = local_folder(spec, options)
    if folder is not None:
        return _from_folder(spec, folder, options)
    return _from_hub(spec, options, _local_root(options))


def _local_root(options: DataOptions) -> Path | None:
    root = options.data_dir or os.environ.get("LONGCAT_EVAL_DATA")
    if not root:
        return None
    if not Path(root).expanduser().is_dir():
        raise EnvironmentUnusableError(f"there is no data folder {root} (--data-dir or LONGCAT_EVAL_DATA)")
    return Path(root).expanduser()


def local_folder(spec: DatasetSpec, options: DataOptions) -> Path | None:
    """Where the benchmark's own folder is: below the root, or the root itself if it is called so."""
    root = _local_root(options)
    if root is None:
        return None
    places = (root / spec.folder, *([root] if root.name == spec.folder else []))
    return next((place for place in places if place.is_dir()), None)


def _from_folder(spec: DatasetSpec, folder: Path, options: DataOptions) -> Dataset:
    names = first_matches(list(list_files(folder)), spec.local_files)
    if not names:
        raise EnvironmentUnusableError(
            f"{folder} holds no data of {spec.name}: expected {spec.local_files[0]}"
        )
    samples = _samples(spec, folder, names)
    sha256 = canonical_hash(samples)
    known = {k.sha256: k.source for k in known_data().get(spec.name, ()) if k.sha256}
    pin = read_pins().get(spec.name)
    accepted = {*known, *([pin.sha256] if pin else [])}
    source = f"{spec.folder}/{_place(names)}"
    drift = _drift(spec, samples, sha256, accepted if known else set(), source, options)
    if sha256 in known:
        source = f"{source} = {known[sha256]}"
    return Dataset(samples, source, None, sha256, drift)


def _from_hub(spec: DatasetSpec, options: DataOptions, root: Path | None) -> Dataset:
    looked = f" ({root} has no {spec.folder}/)" if root else ""
    remedy = f"give --data-dir DIR with the data in DIR/{spec.folder}{looked}"
    if not spec.repo:
        raise EnvironmentUnusableError(f"the data of {spec.name} is on no hub: {spec.where}, and {remedy}")
    files = fetch(spec.name, spec.repo, spec.revision, spec.hub_files, remedy)
    stored = [n for n in list_files(files.folder) if n.startswith(tuple(files.pin.files))]
    samples = _samples(spec, files.folder, first_matches(stored, spec.local_files))
    sha256, source = canonical_hash(samples), f"hub {spec.repo}"
    accepted = {files.pin.sha256} if files.pin.sha256 else set()
    drift = _drift(spec, samples, sha256, accepted, f"{source}@{files.pin.revision}", options)
    note = msgspec.structs.replace(files.pin, sha256=files.pin.sha256 or ("" if drift else sha256))
    if note != read_pins().get(spec.name):
        record_pin(spec.name, note)
    return Dataset(samples, source, files.pin.revision, sha256, drift)


def _samples(spec: DatasetSpec, folder: Path, names: Sequence[str]) -> list[Sample]:
    samples: list[Sample] = []
    positions: Counter[str] = Counter()
    for name, rows in read_files(folder, names, spec.columns, spec.parse):
        of_file = subject_of(name)
        for number, row in enumerate(rows, 1):
            subject = str(row.get("subject", of_file))
            if spec.subjects and subject not in spec.subjects:
                raise EnvironmentUnusableError(f"{name}: {spec.name} has no subject {subject!r}")
            try:
                samples.append(spec.sample(row, subject, positions[subject]))
            except KeyError as error:
                raise EnvironmentUnusableError(f"{name}: there is no column {error}") from None
            except (ValueError, TypeError, AttributeError, IndexError) as error:
                raise EnvironmentUnusableError(f"{name}, row {number}: {error}") from None
            positions[subject] += 1
    if len({s.id for s in samples}) < len(samples):
        raise EnvironmentUnusableError(
            f"{spec.folder or spec.repo}: two items of {spec.name} have the same id"
        )
    return samples


def subject_of(name: str) -> str:
    """Return the subject that a file is about: `test/anatomy_test.csv` and `anatomy/test-0-of-1.parquet`."""
    path = PurePosixPath(name)
    stem = path.name.partition(".")[0]
    return path.parent.name if _SPLIT.fullmatch(stem) else _SPLIT_ENDING.sub("", stem)


def _place(names: Sequence[str]) -> str:
    places = {name.partition(".zip/")[0] + ".zip" if ".zip/" in name else name for name in names}
    return places.pop() if len(places) == 1 else f"{len(names)} files"


def _drift(
    spec: DatasetSpec,
    samples: list[Sample],
    sha256: str,
    accepted: set[str],
    source: str,
    options: DataOptions,
) -> str:
    """Return how the data differs from the known-good, empty if not at all; refuse it unless allowed."""
    problems = []
    if len(samples) != spec.items:
        problems.append(f"{len(samples)} items, expected {spec.items}")
    if accepted and sha256 not in accepted:
        problems.append(
            f"sha256 {sha256[:12]}, expected {' or '.join(sorted(h[:12] for h in accepted if h))}"
        )
    if problems and not options.allow_drift:
        raise EnvironmentUnusableError(
            f"{spec.name} from {source} is not the known data: {'; '.join(problems)}. "
            "--allow-data-drift runs it all the same and marks every report"
        )
    return "; ".join(problems)
