"""The baseline hazard: values and derivatives at 40 digits, limits, and the inverse."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.methods.statistics.flexible_survival.hazard import (
    baseline,
    baseline_derivatives,
    inverse_baseline,
)

NUS = (-2.0, -0.7, -1e-6, 1e-9, 0.3, 0.6931, 1.5, 4.0)
YS = (-30.0, -3.0, -0.1, 0.5, 2.0, 3.0)


def exact_H(y, nu):
    k1 = mp.exp(nu)
    kappa = k1 - 1
    return mp.log1p(mp.exp(y)) if kappa == 0 else k1 / kappa * ((1 + mp.exp(y) / k1) ** kappa - 1)


def exact_M(y, nu):
    return y + (mp.exp(nu) - 2) * mp.log1p(mp.exp(y) / mp.exp(nu))


@pytest.mark.parametrize("nu", NUS)
def test_derivatives_equal_those_taken_at_forty_digits(nu):
    got = baseline_derivatives(np.array(YS), nu)
    orders = {"": (0, 0), "_y": (1, 0), "_yy": (2, 0), "_n": (0, 1), "_yn": (1, 1), "_nn": (0, 2)}
    with mp.workdps(40):
        for letter, function in (("H", exact_H), ("M", exact_M)):
            for ending, order in orders.items():
                wanted = [float(mp.diff(function, (mp.mpf(y), mp.mpf(nu)), order)) for y in YS]
                # near y = -30 second derivatives are differences of numbers 1e13 times larger
                np.testing.assert_allclose(getattr(got, letter + ending), wanted, rtol=1e-9, atol=1e-15)


def test_the_limit_at_infinity_is_taken_exactly():
    y = np.array(YS)
    H, log_slope = baseline(y, np.array(np.inf))
    np.testing.assert_allclose(H, np.expm1(np.exp(y)))
    d = baseline_derivatives(y, np.inf, infinite=True)
    np.testing.assert_allclose(d.H, H)
    np.testing.assert_allclose(d.M, log_slope)
    step = 1e-6
    up, down = (baseline_derivatives(y + s, np.inf, infinite=True) for s in (step, -step))
    np.testing.assert_allclose((up.H - down.H) / (2 * step), d.H_y, rtol=1e-6)
    np.testing.assert_allclose((up.H_y - down.H_y) / (2 * step), d.H_yy, rtol=1e-6)
    np.testing.assert_allclose((up.M_y - down.M_y) / (2 * step), d.M_yy, rtol=1e-5, atol=1e-9)


def test_finite_kappa_approaches_infinity_as_one_over_kappa():
    y = np.linspace(-3.0, 1.0, 9)
    limit = np.exp(-baseline(y, np.array(np.inf))[0])
    gaps = [np.abs(np.exp(-baseline(y, np.array(k))[0]) - limit).max() for k in (1e3, 1e6, 1e9)]
    np.testing.assert_allclose(np.array(gaps[:-1]) / gaps[1:], 1e3, rtol=0.05)


def test_kappas_of_several_kinds_in_one_array():
    y = np.zeros(4)
    H, _ = baseline(y, np.array([-0.5, 0.0, 1.0, np.inf]))
    np.testing.assert_allclose(H, [3**0.5 * 0 + 1.0 - 3**-0.5, np.log(2.0), 1.0, np.e - 1.0])


@given(
    y=st.floats(-40, 40),
    kappa=st.one_of(st.floats(-0.99, 50), st.sampled_from([0.0, 1.0, 1e-12, -1e-12])),
)
def test_the_inverse_finds_its_way_back(y, kappa):
    H, log_slope = baseline(np.array(y), np.array(kappa))
    if not (1e-300 < H < 1e300):
        return
    back = inverse_baseline(H, np.array(kappa))
    # what one rounding of H means for y; in a cure model H is flat for long times
    doubt = 1e-14 * (1.0 + abs(y)) + 1e-14 * float(H) / np.exp(float(log_slope))
    assert back == pytest.approx(y, abs=max(1e-12, 20 * doubt)) or (np.isposinf(back) and kappa < 0)


def test_long_times_do_not_overflow_into_nan():
    for kappa in (-0.9, -1e-9, 0.0, 0.5, 3.0, np.inf):
        H, log_slope = baseline(np.array([50.0, 800.0, np.inf]), np.array(kappa))
        assert not np.isnan(H).any()
        assert not np.isnan(log_slope[:2]).any()
