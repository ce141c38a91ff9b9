"""The fixtures of tests of COLLIE."""

import pytest
from cli_fixtures import cli, endpoint
from punkt_fixtures import punkt, real_punkt

__all__ = ["bare_machine", "cli", "endpoint", "punkt", "real_punkt"]


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but our own, empty cache is looked at."""
    import nltk

    monkeypatch.setattr(nltk.data, "path", [])
