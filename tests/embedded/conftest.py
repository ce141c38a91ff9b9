"""A tiny model that always is there, and the real one where it was fetched."""

import os
from pathlib import Path

import pytest
from cli_fixtures import cli
from tiny_gguf import write_tiny_gguf

from longcat_eval.model_backend.demo_model import OVERRIDE, cached_model

__all__ = ["cli"]

# Found before any test gets a home of its own.
REAL = Path(os.environ.get(OVERRIDE) or cached_model())


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF file of 130 kB."""
    return write_tiny_gguf(tmp_path_factory.mktemp("weights") / "tiny.gguf")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The embedded model's weights, as `longcat-eval fetch demo-model` leaves them."""
    if not REAL.is_file():
        pytest.skip(f"no {REAL}: longcat-eval fetch demo-model")
    return REAL
