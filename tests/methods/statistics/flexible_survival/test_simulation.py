"""Simulated data follow the model they were asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from broadsheet.methods.statistics import APGW, simulate_mpr


def test_times_follow_each_rows_own_distribution():
    df = simulate_mpr(
        6000, phi={"Intercept": -0.5, "trt": 0.7}, gamma={"trt": 0.3}, lam=0.8, kappa=0.4, seed=1
    )
    assert (df["event"] == 1).all()
    for trt, rows in df.groupby("trt"):
        own = APGW(0.8, np.exp(-0.5 + 0.7 * trt), np.exp(0.3 * trt), 0.4)
        assert stats.kstest(rows["time"], own.cdf).pvalue > 0.001


def test_terms_may_be_formulas():
    X = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 1.0, 0.0]})
    plain = simulate_mpr(X.assign(ab=X["a"] * X["b"]), phi={"ab": 1.0}, seed=3)
    formula = simulate_mpr(X, phi={"a:b": 1.0}, seed=3)
    pd.testing.assert_series_equal(plain["time"], formula["time"])


def test_censoring_of_both_kinds():
    df = simulate_mpr(5000, phi=0.3, kappa=-0.4, censoring=6.0, followup=9.0, seed=2)
    assert df["time"].max() == 9.0
    assert (df.loc[df["time"] == 9.0, "event"] == 0).all()
    assert 0.2 < df["event"].mean() < 0.8


def test_seeds_decide():
    one, other = (simulate_mpr(50, phi=1.0, seed=s) for s in (1, 2))
    pd.testing.assert_frame_equal(one, simulate_mpr(50, phi=1.0, seed=np.random.default_rng(1)))
    assert (one["time"] != other["time"]).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"covariates": 0}, "number of rows >= 1, got 0"),
        ({"covariates": 2.5}, "number of rows >= 1, got 2.5"),
        ({"censoring": 0.0}, "censoring must be > 0 or None, got 0.0"),
        ({"followup": -1.0}, "followup must be > 0 or None"),
        ({"phi": -1.0}, "phi must be > 0"),
        ({"phi": {"nothing": 1.0}}, "nothing"),
        ({"kappa": -0.5}, "kappa=-0.5 leaves some without an event for ever"),
        ({"covariates": pd.DataFrame({"time": [1.0]})}, "must not have a column 'time'"),
        ({"covariates": pd.DataFrame({"s": list("abc")}), "phi": {"C(s)": 1.0}}, "must give one column"),
    ],
)
def test_bad_requests_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        simulate_mpr(**{"covariates": 100} | given)
