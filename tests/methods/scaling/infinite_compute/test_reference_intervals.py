"""Profile intervals of an asymptote, against an F test by brute force and a straight line."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import optimize, stats

from broadsheet.methods.scaling import AsymptoteWarning, fit_asymptote


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_power_interval_holds_all_asymptotes_that_an_f_test_accepts(level):
    rng = np.random.default_rng(3)
    x = np.geomspace(0.1, 5, 9)
    y = 0.3 / x**0.6 + 2.5 + 0.003 * rng.standard_normal(9)
    fitted = fit_asymptote(x, y, level=level)

    def squares(E):  # the best A and alpha for a given E: A is linear, alpha searched
        def inner(alpha):
            basis = x**-alpha
            return ((y - E - basis @ (y - E) / (basis @ basis) * basis) ** 2).sum()

        return optimize.minimize_scalar(
            inner, bounds=(0.01, 6), method="bounded", options={"xatol": 1e-12}
        ).fun

    limit = squares(fitted.E) * (1 + stats.f.ppf(level, 1, 6) / 6)
    for end, far in ((fitted.low, fitted.E - 1.0), (fitted.high, y.min())):
        expected = optimize.brentq(lambda E: squares(E) - limit, fitted.E, far)
        # A profile found on a grid or by root search: a hundredth of the interval's width.
        assert end == pytest.approx(expected, abs=0.01 * (fitted.high - fitted.low))


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_reciprocal_fit_is_a_straight_line_in_one_over_k(level):
    rng = np.random.default_rng(1)
    k = np.arange(1, 9.0)
    y = 0.4 / k + 3.3 + 0.004 * rng.standard_normal(8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AsymptoteWarning)
        fitted = fit_asymptote(k, y, form="reciprocal", level=level)
    line = stats.linregress(1 / k, y)
    t = stats.t.ppf((1 + level) / 2, 6)
    assert fitted.alpha == 1
    assert fitted.freedom == 6
    assert (fitted.A, fitted.E, fitted.r2) == pytest.approx(
        (line.slope, line.intercept, line.rvalue**2), rel=1e-9
    )
    # The profile interval of a linear model is Student's, exactly.
    assert fitted.low == pytest.approx(line.intercept - t * line.intercept_stderr, rel=1e-6)
    assert fitted.high == pytest.approx(line.intercept + t * line.intercept_stderr, rel=1e-6)
