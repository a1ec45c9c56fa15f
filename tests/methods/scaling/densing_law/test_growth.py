"""Doubling times: closed forms."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.methods.scaling.densing_law.growth import (
    DAYS_PER_MONTH,
    combined_doubling,
    doubling_time,
    halving_time,
)

times = st.floats(0.1, 1e4)


def test_the_printed_numbers():
    assert doubling_time(0.0073) == pytest.approx(94.952, abs=1e-3)
    assert halving_time(20, 0.075, 20) == pytest.approx(20 / math.log2(266.6667), rel=1e-6)
    assert combined_doubling(95, 767) == pytest.approx(84.53, abs=0.01)
    assert pytest.approx(30.4375) == DAYS_PER_MONTH


@given(times)
def test_growth_at_the_rate_doubles_in_the_doubling_time(t):
    assert math.exp(math.log(2) / t * doubling_time(math.log(2) / t)) == pytest.approx(2.0)
    assert doubling_time(-math.log(2) / t) == pytest.approx(-t)


@given(times, times)
def test_a_product_doubles_when_both_rates_together_do(a, b):
    t = combined_doubling(a, b)
    assert 2 ** (t / a) * 2 ** (t / b) == pytest.approx(2.0)
    assert t <= min(a, b)


@pytest.mark.parametrize("rate", [0.0, math.nan, math.inf])
def test_no_doubling_without_a_rate(rate):
    with pytest.raises(ValueError, match="rate must be finite and not 0"):
        doubling_time(rate)


def test_bad_prices_and_times():
    with pytest.raises(ValueError, match="0 < last < first"):
        halving_time(0.075, 20, 20)
    with pytest.raises(ValueError, match="positive doubling times"):
        combined_doubling(95, -1)
    with pytest.raises(ValueError, match="at least one"):
        combined_doubling()
