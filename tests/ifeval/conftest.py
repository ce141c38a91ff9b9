"""The fixtures of tests of IFEval, under their own names."""

from collections.abc import AsyncIterator

import pytest
from punkt_fixtures import punkt, real_punkt

from longcat_eval.runners.workers import WorkerPool

__all__ = ["punkt", "real_punkt"]


@pytest.fixture
async def workers(punkt: object) -> AsyncIterator[WorkerPool]:
    """Real processes."""
    pool = WorkerPool(2)
    yield pool
    await pool.close()
