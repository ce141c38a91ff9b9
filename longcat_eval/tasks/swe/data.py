"""The rows of SWE-bench in the format of `swebench` 5, where each carries its own tests, parser and image.

Jimenez et al. 2024, SWE-bench (arXiv 2310.06770); Verified: OpenAI 2024; Multilingual: SWE-smith, Yang et al.
2025 (arXiv 2504.21798). github.com/SWE-bench/SWE-bench, MIT; texts and patches are their projects' own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.protocols import DataOptions
from longcat_eval.records import Dataset, Sample, Wire
from longcat_eval.tasks.data_files import Row, read_rows
from longcat_eval.tasks.datasets import DatasetSpec, load_dataset
from longcat_eval.tasks.known_data import canonical_hash, known_data

TEXTS = (
    "repo",
    "base_commit",
    "patch",
    "test_patch",
    "problem_statement",
    "hints_text",
    "version",
    "eval_script",
    "log_parser",
    "eval_type",
    "image",
)
TEST_LISTS = ("FAIL_TO_PASS", "PASS_TO_PASS")
NEW_IN_5 = frozenset({"eval_script", "log_parser", "eval_type", "image"})


def swe_spec(name: str, title: str, items: int) -> DatasetSpec:
    """Where one of the sets lies: `title` is its name on the hub, below SWE-bench/."""
    low = title.lower()
    return DatasetSpec(
        name=name,
        folder="swebench",
        repo=f"SWE-bench/{title}",
        revision=None,
        local_files=(f"{low}_test", f"{low}/test", f"{low}/data/test-*", low, "data/test-*"),
        hub_files=("data/test-*.parquet",),
        items=items,
        sample=lambda row, subject, position: to_sample(row),
    )


VERIFIED = swe_spec("swe-bench-verified", "SWE-bench_Verified", 500)
MULTILINGUAL = swe_spec("swe-bench-multilingual", "SWE-bench_Multilingual", 300)
LITE = swe_spec("swe-bench-lite", "SWE-bench_Lite", 300)


def load_rows(spec: DatasetSpec, options: DataOptions) -> Dataset:
    """Return the checked samples of a set, or those of `options.dataset`, which every report then names.

    Raises `EnvironmentUnusableError`.
    """
    if options.dataset is None:
        return load_dataset(spec, options)
    samples = read_own_rows(options.dataset)
    sha256 = canonical_hash(samples)
    known = {copy.sha256 for copy in known_data().get(spec.name, ())}
    drift = "" if sha256 in known else f"the {len(samples)} rows of {options.dataset.name} instead of its own"
    return Dataset(samples, options.dataset.name, None, sha256, drift)


def read_own_rows(path: Path) -> list[Sample]:
    """Read a file of rows (parquet, JSON or JSONL), with unique ids."""
    path = path.expanduser()
    if not path.is_file():
        raise UsageError(f"--dataset {path}: there is no such file")
    samples = [to_sample(row) for row in read_rows(path, path.name)]
    if not samples:
        raise EnvironmentUnusableError(f"{path.name} holds no rows")
    if twice := _twice([sample.id for sample in samples]):
        raise EnvironmentUnusableError(f"{path.name}: two rows have the instance_id {twice}")
    return samples


def to_sample(row: Row) -> Sample:
    """Return a row as a sample: the columns that are asked or graded by, test lists as lists.

    Raises `EnvironmentUnusableError` for a row that swebench 5 cannot grade.
    """
    name = row.get("instance_id")
    if not isinstance(name, str) or not name:
        raise EnvironmentUnusableError("a row has no instance_id: this is no SWE-bench data")
    missing = [column for column in (*TEXTS, *TEST_LISTS) if column not in row]
    if missing:
        old = "; rows from before swebench 5 cannot be graded, get today's" if NEW_IN_5 & {*missing} else ""
        raise EnvironmentUnusableError(f"{name}: there is no column {', '.join(missing)}{old}")
    fields: dict[str, Any] = {}
    for column in TEXTS:
        if not isinstance(row[column], str):
            raise EnvironmentUnusableError(f"{name}: {column} is no text")
        fields[column] = row[column]
    for column in TEST_LISTS:
        fields[column] = test_list(name, column, row[column])
    if row.get("image_assets") not in (None, "", "{}", {}):
        raise EnvironmentUnusableError(
            f"{name}: image_assets (SWE-bench Multimodal) are not part of this version"
        )
    return Sample(name, fields, fields["repo"])


def test_list(name: str, column: str, value: Any) -> list[str]:
    """A list of test names, given as a list (Multilingual) or as its JSON text (Verified, Lite)."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise EnvironmentUnusableError(f"{name}: {column} is no JSON list") from None
    if not isinstance(value, list) or not all(isinstance(test, str) for test in value):
        raise EnvironmentUnusableError(f"{name}: {column} is no list of test names")
    return value


def official_row(sample: Sample) -> Wire:
    """The sample as the row that `swebench` takes."""
    return {"instance_id": sample.id, **sample.fields}


def _twice(names: Sequence[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""
