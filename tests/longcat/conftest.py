"""Torch on one thread, because the tests run side by side on few cores; and a tiny checkpoint to spoil."""

from pathlib import Path

import pytest
from cli_fixtures import cli, endpoint
from longcat_checkpoints import copy_of_tiny

__all__ = ["cli", "endpoint"]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def checkpoint(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A checkpoint of the shape `tiny`, the test's own."""
    return copy_of_tiny(tmp_path_factory.getbasetemp(), tmp_path / "checkpoint")
