"""NLTK's sentence model for tests: the user's own copy, fetched once, seen from each test's own home."""

import os
from pathlib import Path

import pytest

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.punkt import ROOT, fetch_punkt, find_punkt, punkt_cache

# Found before any test gets a home of its own.
REAL_CACHE = punkt_cache().parents[2]


@pytest.fixture(scope="session")
def real_punkt() -> Path:
    """The root of the model; where it cannot be had, tests skip with the reason, and fail in CI."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(REAL_CACHE))
        try:
            return fetch_punkt()
        except EnvironmentUnusableError as error:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
            raise


@pytest.fixture
def punkt(real_punkt: Path) -> Path:
    """The same as if fetched into this test's own cache, where tasks look for it."""
    root = punkt_cache() / ROOT
    root.parent.mkdir(parents=True, exist_ok=True)
    root.symlink_to(real_punkt, target_is_directory=True)
    return find_punkt()
