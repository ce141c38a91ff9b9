"""`longcat-eval merge`: shards of one run, laid side by side."""

import shutil
import sys
from pathlib import Path

from longcat_eval.errors import ExitCode, UsageError
from longcat_eval.runners.identity import differences
from longcat_eval.runners.store import manifest_files, read_manifest

KINDS = ("manifest", "samples", "transcripts")


def merge_runs(output: Path, parts: list[Path]) -> int:
    """Copy every part's files into `output`; parts must be shards of the same run and no file may repeat."""
    if output.exists() and any(output.iterdir()):
        raise UsageError(f"{output} is not empty; give a new directory")
    files = [file for part in parts for file in _files(part)]
    names = [file.name for file in files]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise UsageError(
            f"two parts hold {sorted(repeated)[0]}; parts must be different shards (--shard 1/2, 2/2)"
        )
    manifests = [file for file in files if file.name.startswith("manifest")]
    first = read_manifest(manifests[0])
    for other in manifests[1:]:
        if changes := differences(first, read_manifest(other)):
            raise UsageError(f"{other.parent} is another run than {manifests[0].parent}: {changes[0]}")
    output.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy2(file, output / file.name)
    sys.stdout.write(f"{output}: {len(manifests)} parts\n")
    return ExitCode.OK


def _files(part: Path) -> list[Path]:
    if not part.is_dir() or not manifest_files(part):
        raise UsageError(f"{part} is not a run directory (no manifest)")
    return sorted(f for f in part.iterdir() if f.name.startswith(KINDS))
