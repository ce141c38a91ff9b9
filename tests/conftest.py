"""Fixtures every area shares."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
"""A busy machine fails no test: speed is measured in benchmarks/."""

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


DOCKER_FIXTURES = frozenset({"docker_daemon", "sandboxes", "sandbox", "shell_image", "busybox_image"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses the Docker daemon runs on one worker: some of it looks at all that the daemon has."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.get_closest_marker("docker") or fixtures & DOCKER_FIXTURES:
            item.add_marker(pytest.mark.xdist_group("docker"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """A pytest-xdist that no longer writes groups into ids would let Docker tests meet, unseen."""
    if getattr(session.config.option, "loadgroup", False):
        for item in session.items:
            if item.get_closest_marker("xdist_group") and not item.nodeid.endswith("@docker"):
                raise pytest.UsageError(f"{item.nodeid} is not in its group: see the bound on pytest")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The real benchmark data; absent data skips with a reason, and fails in CI."""
    if not SHARED_DATA.is_dir():
        reason = f"no benchmark data at {SHARED_DATA}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return SHARED_DATA


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache, keys or settings."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "LONGCAT_EVAL_", "HF_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
