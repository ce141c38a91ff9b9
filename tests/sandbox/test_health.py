"""What a health check's options become; what waits for services is tested on the daemon."""

import pytest

from longcat_eval.runners.sandbox.service import Healthcheck
from longcat_eval.runners.sandbox.service_options import check_options


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (Healthcheck(test=("NONE",)), {"test": ["NONE"]}),
        (
            Healthcheck(test=("CMD", "x"), interval=1.5, timeout=0, retries=0, start_period=2),
            {
                "test": ["CMD", "x"],
                "interval": 1_500_000_000,
                "timeout": 1_000_000,
                "retries": 1,
                "start_period": 2_000_000_000,
            },
        ),
    ],
)
def test_a_check_in_the_words_of_the_api(check: Healthcheck, expected: dict[str, object]) -> None:
    assert check_options(check) == expected
