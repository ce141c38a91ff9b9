"""The run directory under kills, torn writes and full disks."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import ToyTask, manifest, planned

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.records import AttemptKey, AttemptRow, Outcome, Transcript
from longcat_eval.runners.store import RunWriter, counting_rows, read_run, read_transcript


def row(sample: str, outcome: Outcome = Outcome.ANSWERED, time: str = "", **more: object) -> AttemptRow:
    value = 1.0 if outcome.valid else None
    return AttemptRow(task="toy", sample=sample, repeat=0, outcome=outcome, value=value, time=time, **more)  # type: ignore[arg-type]


def write(path: Path, samples: list[str]) -> RunWriter:
    writer = RunWriter(path)
    writer.open()
    for sample in samples:
        writer.append(row(sample), Transcript(AttemptKey("toy", sample), error=sample * 50))
    return writer


@given(cut_rows=st.integers(0, 400), cut_frames=st.integers(0, 60))
def test_any_torn_tail_costs_only_what_is_torn(
    tmp_path_factory: pytest.TempPathFactory, cut_rows: int, cut_frames: int
) -> None:
    path = tmp_path_factory.mktemp("run")
    writer = write(path, ["a", "b", "c"])
    writer.write_manifest(manifest(planned(ToyTask())))
    writer.close()
    content = writer.rows_path.read_bytes()
    writer.rows_path.write_bytes(content[: max(len(content) - cut_rows, 0)])
    whole = writer.rows_path.read_bytes().count(b"\n")
    ends = [0, *(r.offset + r.length for r in read_run(path).rows)]
    frames = writer.frames_path.read_bytes()
    writer.frames_path.write_bytes(frames[: max(len(frames) - cut_frames, ends[-1])])

    again = write(path, ["d"])
    again.close()
    rows = read_run(path).rows
    assert [r.sample for r in rows] == [*"abc"[:whole], "d"]
    for kept in rows:
        assert read_transcript(path, kept).error == kept.sample * 50


def test_lost_transcripts_are_an_error_not_a_silent_hole(tmp_path: Path) -> None:
    writer = write(tmp_path, ["a", "b"])
    writer.close()
    writer.frames_path.write_bytes(b"")
    again = RunWriter(tmp_path)
    with pytest.raises(EnvironmentUnusableError, match="shorter"):
        again.open()
    again.close()


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").touch()
    writer = RunWriter(tmp_path)
    (tmp_path / "samples.jsonl").unlink()
    (tmp_path / "samples.jsonl").symlink_to("/dev/full")
    writer.open()
    with pytest.raises(EnvironmentUnusableError, match="No space left on device; finished attempts are kept"):
        writer.append(row("a"), Transcript(AttemptKey("toy", "a")))
    writer.close()


def test_the_newest_valid_row_counts(tmp_path: Path) -> None:
    rows = [
        row("a", time="2", reason="second"),
        row("a", Outcome.ENDPOINT_ERROR, time="3"),
        row("a", time="1", reason="first"),
        row("b", Outcome.ENDPOINT_ERROR, time="1", reason="old"),
        row("b", Outcome.ENDPOINT_ERROR, time="2", reason="new"),
    ]
    assert [(r.sample, r.reason) for r in counting_rows(rows)] == [("a", "second"), ("b", "new")]


def test_reading_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run directory"):
        read_run(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 1}')
    with pytest.raises(UsageError, match="not a manifest of this version"):
        read_run(tmp_path)
