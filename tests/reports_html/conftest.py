"""Runs on disk for pages."""

from pathlib import Path

import pytest
from made_up_runs import MakeRun, runs_in


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes run directories that belong to the test."""
    return runs_in(tmp_path)
