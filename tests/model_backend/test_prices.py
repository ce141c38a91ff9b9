import pytest

from longcat_eval.model_backend.prices import Price
from longcat_eval.records import Usage


def test_cost_is_per_million_tokens() -> None:
    assert Price(2.0, 8.0).cost(Usage(1_000_000, 500_000)) == pytest.approx(6.0)


def test_cached_prompt_tokens_have_their_own_price() -> None:
    usage = Usage(1000, 100, cached_tokens=600)
    assert Price(2.0, 8.0, 0.5).cost(usage) == pytest.approx((400 * 2 + 600 * 0.5 + 100 * 8) / 1e6)
    assert Price(2.0, 8.0).cost(usage) == pytest.approx((1000 * 2 + 100 * 8) / 1e6)


def test_uncounted_tokens_cost_an_unknown_amount() -> None:
    assert Price(2.0, 8.0).cost(Usage()) is None
