from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from longcat_eval.model_backend.retries import backoff, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "86400"}, 60.0),
        ({"Retry-After": "inf"}, 60.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({"retry-after-ms": "x", "Retry-After": "9"}, 9.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_what_a_server_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_an_http_date() -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    assert retry_after({"Retry-After": when}) == pytest.approx(20, abs=1.5)


def test_backoff_doubles_with_jitter_up_to_a_minute() -> None:
    for tries in range(1, 12):
        step = min(60.0, 0.5 * 2 ** (tries - 1))
        drawn = [backoff(tries, 0.5) for _ in range(50)]
        assert step / 2 <= min(drawn) < max(drawn) <= step
