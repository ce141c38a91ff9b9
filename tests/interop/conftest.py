"""Runs on disk, and the command line that exports them."""

from pathlib import Path

import pytest
from cli_fixtures import Cli, cli
from exporting import TASKS, Export
from made_up_runs import MakeRun, runs_in

__all__ = ["cli"]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes run directories that belong to the test."""
    return runs_in(tmp_path)


@pytest.fixture
def export(cli: Cli, make_run: MakeRun, tmp_path: Path) -> Export:
    """`export("inspect")` is the folder that the run of `TASKS` was exported to; further words are flags."""

    def call(format: str, *words: object, output: str = "out") -> Path:
        if not (tmp_path / "run").exists():
            make_run(TASKS)
        ran = cli("export", "run", "-f", format, "-o", output, *words)
        assert ran.code == 0, ran.err
        return tmp_path / output

    return call
