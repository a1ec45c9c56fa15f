"""Estimates and intervals of inverse sampling, against sums over the negative binomial."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, nbinom

from broadsheet.methods.scaling.pass_until.estimator import expected_mle, pass_rate, pass_rate_interval

rates = st.floats(0.02, 0.98)


@given(rates)
def test_bias_of_one_pass_is_the_known_formula(p):
    assert expected_mle(p, 1) == pytest.approx(-p * np.log(p) / (1 - p))


@given(rates, st.integers(1, 8))
def test_expectations_are_sums_over_the_negative_binomial(p, r):
    k = np.arange(r, r + 4000)
    mass = nbinom.pmf(k - r, r, p)
    assert expected_mle(p, r) == pytest.approx((mass * pass_rate(r, k)).sum(), rel=1e-6)
    if r > 1:
        assert (mass * pass_rate(r, k, method="unbiased")).sum() == pytest.approx(p, rel=1e-6)


def test_the_bias_far_down():
    assert expected_mle(1e-5, 1) / 1e-5 == pytest.approx(np.log(1e5), rel=1e-4)
    assert expected_mle(1e-5, 2) / 1e-5 == pytest.approx(2.0, rel=1e-3)  # r/(r - 1)
    assert expected_mle(1.0, 3) == 1.0


@given(rates, st.integers(1, 5), st.sampled_from([0.8, 0.95]))
def test_intervals_cover_at_least_as_often_as_they_say(p, r, level):
    k = np.arange(r, r + 4000)
    low, high = pass_rate_interval(r, k, level=level)
    covered = nbinom.pmf(k - r, r, p)[(low <= p) & (p <= high)].sum()
    assert covered >= level - 1e-6


def test_they_are_not_much_wider_than_that_at_low_rates():
    p, r = 1e-3, 2
    k = np.arange(r, 60_000)
    low, high = pass_rate_interval(r, k)
    covered = nbinom.pmf(k - r, r, p)[(low <= p) & (p <= high)].sum()
    assert covered == pytest.approx(0.95, abs=0.002)


@given(st.integers(0, 30))
def test_a_capped_item_has_the_binomial_interval(passes):
    low, high = pass_rate_interval(passes, 1000, capped=True)
    if passes:
        assert binom.sf(passes - 1, 1000, low) == pytest.approx(0.025, rel=1e-6)
    assert binom.cdf(passes, 1000, high) == pytest.approx(0.025, rel=1e-6)


def test_no_pass_at_all():
    low, high = pass_rate_interval(0, 20_000, capped=True)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 20_000))
    assert high == pytest.approx(3.7 / 20_000, rel=0.01)
    assert pass_rate(0, 20_000, True) == 0.0


def test_all_passed():
    low, high = pass_rate_interval(3, 3)
    assert (low, high) == (pytest.approx(0.025 ** (1 / 3)), 1.0)


def test_one_pass_has_no_unbiased_estimate_of_use():
    assert np.isnan(pass_rate(1, 50, method="unbiased"))
    assert pass_rate(1, 50, True, method="unbiased") == 0.02  # capped: a plain share
    assert np.isnan(pass_rate(np.array([1, 2]), np.array([50, 51]), method="unbiased")).tolist() == [
        True,
        False,
    ]


def test_what_it_refuses():
    with pytest.raises(ValueError, match="got passes=3, samples=2"):
        pass_rate(3, 2)
    with pytest.raises(ValueError, match=r"got passes=1\.5, samples=2"):
        pass_rate(1.5, 2)
    with pytest.raises(ValueError, match="passes=0 without capped=True"):
        pass_rate_interval(0, 20)
    with pytest.raises(ValueError, match="level must lie between 0 and 1, got 95"):
        pass_rate_interval(1, 20, level=95)
    with pytest.raises(ValueError, match=r"rate must lie in \(0, 1\], got 0"):
        expected_mle(0.0)
    with pytest.raises(ValueError, match="passes must be at least 1, got 0"):
        expected_mle(0.5, 0)
    with pytest.raises(ValueError, match="method must be 'mle' or 'unbiased'"):
        pass_rate(1, 2, method="mean")
