"""Residuals of a right model look as promised; Kaplan-Meier equals lifelines' and scikit-survival's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from scipy import stats

from broadsheet.methods.statistics import APGW, APGWRegressor, kaplan_meier, simulate_mpr
from broadsheet.methods.statistics.flexible_survival.observations import Observations
from broadsheet.methods.statistics.flexible_survival.residuals import residuals


def observed(df, **columns):
    return Observations.of_frame(df, **columns)


def test_quantile_residuals_of_the_true_model_are_standard_normal():
    df = simulate_mpr(4000, phi=0.6, gamma=1.5, kappa=0.3, censoring=3.0, seed=1)
    df["entry"] = np.random.default_rng(2).uniform(0.0, 0.5, len(df))
    df = df[df["time"] > df["entry"]]
    truth = APGW(1.0, np.full(len(df), 0.6), 1.5, 0.3)
    late = observed(df, duration_col="time", event_col="event", entry_col="entry")
    assert stats.kstest(residuals(late, truth, "quantile", 3), "norm").pvalue > 0.001
    # the same lives seen only between visits
    visits = np.floor(df["time"] * 2) / 2
    bounds = df.assign(
        low=np.maximum(visits, df["entry"]), high=np.where(df["event"] == 1, visits + 0.5, np.inf)
    )
    bounds = bounds.assign(low=np.where(df["event"] == 1, bounds["low"], df["time"]))
    seen = observed(bounds, lower_bound_col="low", upper_bound_col="high", entry_col="entry")
    assert stats.kstest(residuals(seen, truth, "quantile", 3), "norm").pvalue > 0.001


def test_martingale_residuals_sum_to_zero_where_lam_has_an_intercept(made):
    model = APGWRegressor(lam="trt", phi=1, gamma="1").fit(made, "time", "event")
    assert model.residuals("martingale").sum() == pytest.approx(0.0, abs=1e-4)
    np.testing.assert_allclose(
        model.residuals("martingale") + model.residuals("cox-snell"), made["event"].to_numpy(float)
    )


def test_cox_snell_of_an_interval_is_the_expectation_over_it():
    bounds = pd.DataFrame({"l": [0.0, 1.0, 2.0], "u": [1.0, 1.5, 2.0 + 1e-9]})
    seen = observed(bounds, lower_bound_col="l", upper_bound_col="u")
    got = residuals(seen, APGW(lam=np.ones(3)), "cox-snell")
    for value, (low, high) in zip(got, bounds.to_numpy(), strict=True):
        wanted = stats.truncexpon(high - low, loc=low).mean()
        assert value == pytest.approx(wanted, abs=1e-7)


def test_randomised_residuals_follow_their_seed(fitted):
    pd.testing.assert_series_equal(fitted.residuals(seed=4), fitted.residuals(seed=4))
    assert (fitted.residuals(seed=4) != fitted.residuals(seed=5)).any()
    with pytest.raises(
        ValueError, match="kind must be one of cox-snell, martingale, quantile, got 'deviance'"
    ):
        fitted.residuals("deviance")


@pytest.mark.parametrize("late", [False, True])
def test_kaplan_meier_equals_lifelines(made, late):
    df = made.assign(time=np.round(made["time"] + 0.05, 1), entry=0.0, w=np.arange(len(made)) % 3 + 1.0)
    if late:
        df["entry"] = 0.3 * df["time"] * (np.arange(len(df)) % 2)
    curve = kaplan_meier(
        observed(df, duration_col="time", event_col="event", entry_col="entry", weights_col="w")
    )
    theirs = KaplanMeierFitter().fit(
        df["time"], df["event"], entry=df["entry"] if late else None, weights=df["w"]
    )
    wanted = theirs.survival_function_at_times(curve.index).to_numpy()
    np.testing.assert_allclose(curve["survival"], wanted, atol=1e-9)
    if not late:
        limits = theirs.confidence_interval_survival_function_.reindex(curve.index).iloc[1:-1].to_numpy()
        np.testing.assert_allclose(curve[["lower", "upper"]].iloc[1:-1], limits, atol=1e-6)
