"""What tests of SWE-bench share: the real grader, a toy instance in a real container, real Flask rows."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from toy_repair import Toy, toy_image

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.records import Sample
from longcat_eval.runners.sandbox.host_image import build_host_image
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.workers import WorkerPool
from longcat_eval.tasks.swe import data
from longcat_eval.tasks.swe.grader import Grader
from longcat_eval.tasks.swe.image_build import build_image
from longcat_eval.tasks.swe.package import Swebench, cached_package, fetch_swebench, find_swebench

# Found before any test gets a home of its own.
REAL = cached_package()
FLASK = ("pallets__flask-4992", "pallets__flask-5063")


def unavailable(error: EnvironmentUnusableError) -> None:
    (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


@pytest.fixture(scope="session")
def real_cache() -> Path:
    """The user's own cache, for what is fetched once."""
    return REAL.parents[2]


@pytest.fixture(scope="session")
def real_swebench(real_cache: Path) -> Path:
    """The folder of swebench 5.0.2; where it cannot be had, tests skip with the reason, and fail in CI."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(real_cache))
        try:
            return fetch_swebench()
        except EnvironmentUnusableError as error:
            unavailable(error)
            raise


@pytest.fixture
def swebench(real_swebench: Path) -> Swebench:
    """The same as if fetched into this test's own cache, where commands look for it."""
    folder = cached_package()
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(real_swebench, target_is_directory=True)
    return find_swebench()


@pytest.fixture
def grader(swebench: Swebench) -> Grader:
    return Grader(swebench)


@pytest_asyncio.fixture
async def workers() -> AsyncIterator[WorkerPool]:
    """One worker process."""
    pool = WorkerPool(1)
    yield pool
    await pool.close()


@pytest.fixture(scope="session")
def toy(docker_daemon: None) -> Toy:
    """The image of the toy instance."""
    try:
        return Toy(*asyncio.run(toy_image()))
    except EnvironmentUnusableError as error:
        unavailable(error)
        raise


@pytest.fixture(scope="session")
def flask_rows(data_dir: Path, real_cache: Path, docker_daemon: None) -> list[Sample]:
    """Two real rows of SWE-bench Lite whose images were built here, from a release on PyPI."""
    rows = {sample.id: sample for sample in data.load_rows(data.LITE, DataOptions(data_dir)).samples}
    chosen = [rows[name] for name in FLASK]

    async def build() -> None:
        made = DockerSandboxes()
        try:
            for sample in chosen:
                await build_image(made, sample, build_host_image())
        finally:
            await made.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(real_cache))
        try:
            asyncio.run(build())
        except EnvironmentUnusableError as error:
            unavailable(error)
    return chosen
