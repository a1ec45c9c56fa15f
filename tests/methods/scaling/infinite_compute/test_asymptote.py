"""Asymptotes against closed forms, SciPy and published fits; intervals against simulation."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import curve_fit

from broadsheet.methods.scaling import PowerLaw
from broadsheet.methods.scaling.infinite_compute import (
    AsymptoteWarning,
    data_efficiency,
    fit_asymptote,
    joint_asymptote,
)
from broadsheet.methods.scaling.infinite_compute import published as p

SIZES = np.array([0.15, 0.3, 0.6, 1.4, 3.0, 7.0])


@given(st.floats(0.01, 3), st.floats(0.1, 3), st.floats(0.5, 5), st.floats(1e-3, 1e9))
def test_a_power_law_is_found_again_in_any_unit(A, alpha, E, unit):
    fit = fit_asymptote(SIZES * unit, A * SIZES**-alpha + E)
    assert pytest.approx(E, abs=1e-5) == fit.E
    assert fit.alpha == pytest.approx(alpha, rel=1e-3)
    assert fit.predict(SIZES * unit) == pytest.approx(A * SIZES**-alpha + E, abs=1e-6)
    assert fit.low - 1e-6 <= E <= fit.high + 1e-6


def test_the_published_law_is_found_again_in_billions():
    law = p.REGULARISED
    fit = fit_asymptote(p.SIZES, [law["A"] / n ** law["alpha"] + law["E"] for n in p.SIZES])
    assert fit.params_ == pytest.approx(dict(law), rel=1e-4)
    assert fit.freedom == 1
    assert str(fit) == "0.05/x^1.02 + 3.430"


def noisy(seed, n=8, noise=0.01):
    x = np.arange(1.0, n + 1)
    return x, 3.0 + 0.4 / x**0.8 + np.random.default_rng(seed).normal(0, noise, n)


@pytest.mark.parametrize("seed", range(4))
def test_least_squares_are_scipys(seed):
    x, y = noisy(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (A, alpha, E), _ = curve_fit(
            lambda x, A, alpha, E: A / x**alpha + E, x, y, p0=[0.4, 0.8, 3.0], maxfev=20000
        )
        fit = fit_asymptote(x, y)
    ours, theirs = (float(((f - y) ** 2).sum()) for f in (fit.predict(x), A / x**alpha + E))
    assert ours <= theirs * (1 + 1e-9)
    assert (fit.A, fit.alpha, fit.E) == pytest.approx((A, alpha, E), rel=1e-3)


def test_the_reciprocal_form_is_linear_regression_with_its_t_interval():
    x, y = noisy(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = fit_asymptote(x, y, "reciprocal")
    line = stats.linregress(1 / x, y)
    half = stats.t.ppf(0.975, len(x) - 2) * line.intercept_stderr
    assert pytest.approx((line.slope, line.intercept)) == (fit.A, fit.E)
    assert fit.r2 == pytest.approx(line.rvalue**2)
    assert (fit.low, fit.high) == pytest.approx(
        (line.intercept - half, line.intercept + half), abs=half * 0.05
    )


def test_the_core_law_agrees():
    runs = pd.DataFrame({"N": SIZES, "loss": 3.43 + 0.05 / SIZES**1.02})
    law = PowerLaw(loss="mse", space="linear").fit(runs)
    assert fit_asymptote(runs["N"], runs["loss"]).params_ == pytest.approx(law.params_, rel=1e-3)


def test_intervals_cover_at_about_their_level():
    x = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(120):
        y = 3.0 + 0.5 / x + rng.normal(0, 0.01, len(x))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = fit_asymptote(x, y)
        hits += fit.low <= 3.0 <= fit.high
    assert 0.88 <= hits / 120 <= 0.995


def test_one_degree_of_freedom_makes_a_wide_interval_and_none_makes_none():
    y = np.array([3.495, 3.273, 3.212, 3.174])
    four = fit_asymptote(p.SIZES, y)
    assert four.freedom == 1
    assert four.high - four.low > 0.05
    three = fit_asymptote(p.SIZES[:3], y[:3])
    assert math.isnan(three.low)
    assert math.isnan(three.high)
    assert "3 points leave no degree of freedom" in three.reason
    assert "measure at 4 or more" in three.reason


def test_losses_that_rise_are_warned_of():
    with pytest.warns(AsymptoteWarning, match=r"rise from 3\.2 at 2 to 3\.4 at 4.*means nothing"):
        fit = fit_asymptote([1, 2, 4, 8], [3.5, 3.2, 3.4, 3.1], "reciprocal")
    assert "rise" in fit.reason
    with pytest.warns(AsymptoteWarning):
        assert fit_asymptote([1, 2, 4, 8], [3.0, 3.1, 3.2, 3.3], "reciprocal").A < 0


def test_the_order_of_points_does_not_matter():
    x, y = SIZES, 3.43 + 0.05 / SIZES**1.02
    order = [3, 0, 5, 1, 4, 2]
    assert pytest.approx(fit_asymptote(x, y).E) == fit_asymptote(x[order], y[order]).E


@pytest.mark.parametrize(
    ("x", "y", "settings", "message"),
    [
        ([1, 2], [3, 2], {}, "at least 3 different values for the power form"),
        ([1, 1, 1, 1], [3, 2, 1, 0], {"form": "reciprocal"}, "at least 2 different values"),
        ([1, 2, 3], [3, 2], {}, "same length, got 3 and 2"),
        ([1, 0, 3], [3, 2, 1], {}, "x must be finite and > 0, got 0 at position 1"),
        ([1, 2, 3], [3, math.nan, 1], {}, "loss must be finite, got nan at position 1"),
        ([1, 2, 3], [3, 2, 1], {"form": "log"}, "form must be"),
        ([1, 2, 3], [3, 2, 1], {"level": 1.0}, "level must lie between 0 and 1"),
    ],
)
def test_bad_points_are_refused(x, y, settings, message):
    with pytest.raises(ValueError, match=message):
        fit_asymptote(x, y, **settings)


# --- joint limits


def test_the_published_joint_limit_comes_out_of_the_published_asymptotes():
    rows = [(n, each[0]) for n, each in p.ENSEMBLE_ASYMPTOTES.items()]
    joint = joint_asymptote(pd.DataFrame(rows, columns=["N", "loss"]))
    assert round(joint.E, 2) == p.JOINT == 3.17


def test_two_limits_are_taken_one_after_the_other():
    rows = [(n, k, 3.1 + 0.2 / n**0.7 + (0.3 + 0.1 * n) / k) for n in (1, 2, 4, 8) for k in (1, 2, 3, 5)]
    table = pd.DataFrame(rows, columns=["N", "K", "loss"])
    joint = joint_asymptote(table.sample(frac=1, random_state=0), members="reciprocal")
    assert joint.by_size["E"].tolist() == pytest.approx([3.1 + 0.2 / n**0.7 for n in (1, 2, 4, 8)])
    assert pytest.approx(3.1, abs=1e-5) == joint.E
    assert joint.curve.alpha == pytest.approx(0.7, rel=1e-3)


def test_bad_tables_are_refused():
    with pytest.raises(ValueError, match=r"columns N, K and loss, got \['N'\]"):
        joint_asymptote(pd.DataFrame({"N": [1]}))
    with pytest.raises(ValueError, match="no column K"):
        joint_asymptote(pd.DataFrame({"N": [1, 1, 2], "loss": [3.0, 2.9, 2.8]}))


# --- data efficiency


@given(st.floats(0.1, 10), st.floats(0.1, 1), st.floats(0, 3), st.floats(0.1, 10), st.floats(0.5, 20))
def test_efficiency_inverts_the_law(A, alpha, E, D, times):
    law = {"A": A, "alpha": alpha, "E": E}
    found = data_efficiency(law, A / (D * times) ** alpha + E, D)
    assert found.ratio == pytest.approx(times, rel=1e-6)
    assert found.tokens == pytest.approx(D * times, rel=1e-6)
    assert float(found) == found.ratio


@pytest.mark.parametrize(("loss", "published"), p.EFFICIENCIES.items())
def test_published_efficiencies_lie_in_the_published_ranges(loss, published):
    middle, corners = p.baseline_efficiencies(loss)
    assert min(corners) < published < max(corners)
    assert middle == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize("loss", [2.0, 1.5])
def test_out_of_reach_is_infinite_with_a_reason(loss):
    found = data_efficiency({"A": 1.0, "alpha": 0.5, "E": 2.0}, loss, 1.0)
    assert found.ratio == math.inf
    assert "no amount of data reaches it" in found.reason


def test_fitted_laws_are_taken():
    D = np.array([0.2, 0.4, 0.8, 1.6, 3.2])
    losses = 1.9 + 1.27 / D**0.235
    curve = fit_asymptote(D, losses)
    core = PowerLaw(x="D", loss="mse", space="linear").fit(pd.DataFrame({"D": D, "loss": losses}))
    expected = (1.27 / (3.43 - 1.9)) ** (1 / 0.235) / 0.2
    assert data_efficiency(curve, 3.43, 0.2).ratio == pytest.approx(expected, rel=1e-3)
    assert data_efficiency(core, 3.43, 0.2).ratio == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("law", "loss", "D", "message"),
    [
        ({"A": 1.0, "E": 2.0}, 3.0, 1.0, "got no alpha"),
        (object(), 3.0, 1.0, "got no A, alpha, E"),
        ({"A": -1.0, "alpha": 1.0, "E": 2.0}, 3.0, 1.0, "A must be finite and > 0"),
        ({"A": 1.0, "alpha": 1.0, "E": 2.0}, 3.0, 0.0, "D must be finite and > 0"),
        ({"A": 1.0, "alpha": 1.0, "E": 2.0}, math.nan, 1.0, "loss must be finite"),
    ],
)
def test_bad_laws_are_refused(law, loss, D, message):
    with pytest.raises(ValueError, match=message):
        data_efficiency(law, loss, D)
