"""Parabolas and trends, on curves whose lowest point is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from broadsheet.methods.scaling import (
    Chinchilla,
    NotIdentified,
    RunTable,
    ScalingWarning,
    fit_power_trend,
    isoflop_fit,
)

from .conftest import TRUTH


def parabolas(exponent=0.5, budgets=(1e18, 1e19, 1e20), noise=0.0, shift=1.0):
    share, C = (a.ravel() for a in np.meshgrid(np.geomspace(0.2, 5.0, 9), budgets))
    best = 0.1 * C**exponent
    N = shift * share * best
    loss = 2.0 + 0.03 * np.log(N / best) ** 2 + noise * np.random.default_rng(0).standard_normal(len(N))
    return pd.DataFrame({"N": N, "C": C, "loss": loss})


def test_exact_parabolas_give_exact_optima():
    fit = isoflop_fit(parabolas(0.6))
    np.testing.assert_allclose(fit.optima["N"], 0.1 * fit.optima["C"] ** 0.6, rtol=1e-9)
    np.testing.assert_allclose(fit.optima["D"], fit.optima["C"] / 6 / fit.optima["N"], rtol=1e-12)
    np.testing.assert_allclose(fit.optima["loss"], 2.0, rtol=1e-12)
    np.testing.assert_allclose(fit.optima["curvature"], 0.06, rtol=1e-9)
    assert fit.N_trend.exponent == pytest.approx(0.6)
    assert fit.D_trend.exponent == pytest.approx(0.4)
    assert fit.N_trend.coefficient == pytest.approx(0.1)
    assert fit.N_trend.predict(1e21) == pytest.approx(0.1 * 1e21**0.6)


def test_standard_errors_are_those_of_repetition():
    estimates, errors = [], []
    for seed in range(200):
        frame = parabolas(budgets=(1e18, 1e19))
        frame["loss"] += 0.002 * np.random.default_rng(seed).standard_normal(len(frame))
        optima = isoflop_fit(frame).optima
        estimates.append(np.log(optima["N"].iloc[0]))
        errors.append(optima["log_N_std"].iloc[0])
    assert np.std(estimates) == pytest.approx(np.median(errors), rel=0.2)


def test_near_the_optimum_parabolas_agree_with_the_closed_form():
    law = Chinchilla.from_params(TRUTH)
    budgets = np.geomspace(1e18, 1e21, 4)
    best = law.optimal(budgets)["N"].to_numpy()
    share, N = (a.ravel() for a in np.meshgrid(np.geomspace(0.5, 2.0, 7), best))
    C = np.repeat(budgets, 7)
    N = share * N
    frame = pd.DataFrame({"N": N, "C": C, "loss": law.predict(N=N, C=C)})
    fit = isoflop_fit(frame)
    np.testing.assert_allclose(fit.optima["N"], best, rtol=0.02)
    assert fit.N_trend.exponent == pytest.approx(0.366 / (0.348 + 0.366), abs=0.002)
    wide = pd.concat([frame, frame.assign(N=frame["N"] * 30, loss=3.5)])
    assert isoflop_fit(wide, within=2.01).N_trend.exponent == pytest.approx(fit.N_trend.exponent, abs=0.01)


def test_budgets_without_a_lowest_point_are_told_and_left_out():
    frame = parabolas()
    off = parabolas(budgets=(1e21,), shift=50.0)  # all sizes too large
    few = parabolas(budgets=(1e22,)).iloc[:2]
    with pytest.warns(
        ScalingWarning, match=r"2 budgets have fewer than 3 sizes or no lowest point.*: 1e\+22, 1e\+21"
    ):
        fit = isoflop_fit(pd.concat([frame, off, few]))
    assert fit.optima["inside"].tolist() == [True, True, True, False]
    assert fit.N_trend.exponent == pytest.approx(0.5)
    with pytest.warns(ScalingWarning), pytest.raises(NotIdentified, match="1 budgets have a lowest point"):
        isoflop_fit(pd.concat([parabolas(budgets=(1e18,)), off]))


def test_columns_are_found_or_named():
    frame = parabolas().rename(columns={"N": "params", "loss": "val"})
    assert isoflop_fit(frame, columns={"N": "params", "loss": "val"}).N_trend.exponent == pytest.approx(0.5)
    assert isoflop_fit(RunTable(parabolas())).N_trend.exponent == pytest.approx(0.5)
    nominal = parabolas().assign(budget=lambda d: d["C"], C=lambda d: d["C"] * (1 + 0.01 * np.sin(d["N"])))
    assert isoflop_fit(nominal, level="budget").N_trend.exponent == pytest.approx(0.5, abs=0.01)
    for wrong, message in (
        ({"runs": parabolas().drop(columns="loss")}, "column 'loss' is needed"),
        ({"runs": parabolas(), "level": "budget"}, "level='budget' is no column"),
        ({"runs": parabolas(), "within": 1.0}, "within must be a factor > 1, got 1.0"),
    ):
        with pytest.raises(ValueError, match=message):
            isoflop_fit(**wrong)


def test_a_trend_is_a_weighted_line_of_logarithms():
    rng = np.random.default_rng(0)
    x = np.geomspace(1e16, 1e20, 10)
    y = 0.1 * x**0.5 * np.exp(0.1 * rng.standard_normal(10))
    line = stats.linregress(np.log(x), np.log(y))
    trend = fit_power_trend(x, y)
    assert trend.exponent == pytest.approx(line.slope)
    assert trend.exponent_std == pytest.approx(line.stderr)
    assert trend.coefficient == pytest.approx(np.exp(line.intercept))
    assert trend.r2 == pytest.approx(line.rvalue**2)
    std = np.where(np.arange(10) < 5, 0.01, 1.0)
    slope, _ = np.polyfit(np.log(x), np.log(y), 1, w=1 / std)
    assert fit_power_trend(x, y, std).exponent == pytest.approx(slope)
    for wrong, message in (
        (([1e16, -1.0], [1.0, 2.0]), "x must be finite and > 0, got -1 at position 1"),
        (([1e16, 1e17], [1.0]), "y must have one value per point"),
        (([1e16, 1e17], [1.0, 2.0], [0.1, 0.0]), "std must be finite and > 0, got 0 at position 1"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_power_trend(*wrong)
    with pytest.raises(NotIdentified, match="an exponent needs at least 2"):
        fit_power_trend([1e16, 1e16], [1.0, 2.0])
