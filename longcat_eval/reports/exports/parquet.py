"""One row per attempt in a parquet file, for dataframes; what the run was is in the file's own metadata."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.records import AttemptRow
from longcat_eval.reports.exports.output import Encoder, replacing
from longcat_eval.reports.exports.source import TOOL, Source, provenance

BATCH = 8192
"""Rows written at a time."""
LEFT_OUT = ("file", "offset", "length")
"""Where a transcript lies in the run directory says nothing outside of it."""


def export_parquet(source: Source, output: Path, encode: Encoder) -> list[Path]:
    """Write the file `output`, which ends in .parquet; `EnvironmentUnusableError` without pyarrow."""
    if output.suffix != ".parquet":
        raise UsageError(f"{output} should end in .parquet: it is one file")
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise EnvironmentUnusableError("parquet needs pyarrow: pip install 'longcat-eval[data]'") from None
    about = {TOOL: encode(_about(source))}
    schema = pyarrow.schema(_fields(pyarrow), metadata=about)
    with (
        replacing(output) as file,
        pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        rows = (row for benchmark in source.benchmarks for row in benchmark.rows)
        for batch in _batches(rows):
            records = [_record(source, row, encode) for row in batch]
            writer.write_table(pyarrow.Table.from_pylist(records, schema=schema))
    return [output]


def _batches(rows: Iterator[AttemptRow]) -> Iterator[list[AttemptRow]]:
    while batch := list(itertools.islice(rows, BATCH)):
        yield batch


def _fields(pa: Any) -> list[Any]:
    """The columns: the model's, then those of `AttemptRow` and whether the attempt counts."""
    kinds = {
        "model": pa.string(),
        "task": pa.string(),
        "sample": pa.string(),
        "repeat": pa.int32(),
        "tries": pa.int32(),
        "group": pa.string(),
        "outcome": pa.string(),
        "valid": pa.bool_(),
        "reason": pa.string(),
        "value": pa.float64(),
        "extracted": pa.string(),
        "rule": pa.string(),
        "metrics": pa.map_(pa.string(), pa.float64()),
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
        "cost": pa.float64(),
        "seconds": pa.float64(),
        "finish_reason": pa.string(),
        "calls": pa.int32(),
        "cached": pa.int32(),
        "error": pa.string(),
        "time": pa.string(),
        "rescored": pa.string(),
    }
    return [pa.field(name, kind) for name, kind in kinds.items()]


def _record(source: Source, row: AttemptRow, encode: Encoder) -> dict[str, Any]:
    record = {name: getattr(row, name) for name in row.__struct_fields__ if name not in LEFT_OUT}
    told = {name: encode.text(text) if isinstance(text, str) else text for name, text in record.items()}
    valid = row.value is not None and row.outcome.valid
    metrics = sorted(row.metrics.items())
    return {
        **told,
        "model": encode.text(source.model_id),
        "outcome": row.outcome.value,
        "valid": valid,
        "metrics": metrics,
    }


def _about(source: Source) -> dict[str, Any]:
    return {
        "version": source.version,
        "model": source.model_id,
        "started": source.started,
        "ended": source.ended,
        "sampling": msgspec.to_builtins(dict(source.sampling)),
        "tasks": {each.name: provenance(source, each) for each in source.benchmarks},
    }
