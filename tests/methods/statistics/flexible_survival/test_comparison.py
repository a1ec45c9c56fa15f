"""Model comparison: nested likelihoods, honest rows, and a search that finds what is there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from broadsheet.methods.statistics import (
    APGWRegressor,
    compare_models,
    likelihood_ratio_test,
    simulate_mpr,
    stepwise,
)


@pytest.fixture(scope="module")
def compared(made):
    return compare_models(made, "time", "event", "trt", return_models=True)


def test_larger_models_fit_no_worse(compared):
    table, models = compared
    value = table["log_likelihood"]
    for small, large in (
        ("M(tau)", "M(tau, alpha)"),
        ("M(beta)", "M(beta, alpha)"),
        ("Weibull", "M(tau)"),
        ("log-logistic", "M(tau)"),
        ("Weibull", "Weibull MPR"),
        ("Weibull MPR", "M(tau, alpha)"),
    ):
        assert value[small] <= value[large] + 1e-7, (small, large)
    assert set(models) == set(table.index)
    assert models["M(tau)"].log_likelihood_ == value["M(tau)"]


def test_the_table_is_sorted_and_adds_up(compared):
    table, _ = compared
    assert table["AIC"].dropna().is_monotonic_increasing
    np.testing.assert_allclose(
        table["AIC"].dropna(), (2 * table["coefficients"] - 2 * table["log_likelihood"])[table["AIC"].notna()]
    )


def test_a_model_without_a_regular_maximum_is_not_ranked(veteran):
    table = compare_models(veteran, "time", "status", "trt")
    assert np.isnan(table["AIC"]["M(beta, tau, alpha)"])
    assert "spike" in table["note"]["M(beta, tau, alpha)"]
    assert table["note"]["M(tau)"] == ""
    assert table["log_likelihood"]["M(beta, alpha)"] == pytest.approx(-744.830, abs=5e-4)


def test_with_kappa_held_at_one_both_scales_are_left_out(made):
    table = compare_models(made, "time", "event", "trt", kappa=1)
    assert "M(beta, tau, alpha)" not in table.index
    assert table["log_likelihood"]["M(tau)"] == pytest.approx(table["log_likelihood"]["Weibull"])
    # at kappa = 1 accelerated and proportional hazards are one model
    assert table["log_likelihood"]["M(tau)"] == pytest.approx(table["log_likelihood"]["M(beta)"])


def test_likelihood_ratio(made):
    small = APGWRegressor(phi="trt").fit(made, "time", "event")
    large = APGWRegressor(phi="trt", gamma="trt").fit(made, "time", "event")
    test = likelihood_ratio_test(small, large)
    assert test.df == 1
    assert test.statistic == pytest.approx(2 * (large.log_likelihood_ - small.log_likelihood_))
    assert test.p_value == pytest.approx(float(stats.chi2.sf(test.statistic, 1)))
    with pytest.raises(ValueError, match="more coefficients, got 5 and 4"):
        likelihood_ratio_test(large, small)
    other = APGWRegressor(phi="trt", gamma="trt").fit(made.iloc[1:], "time", "event")
    with pytest.raises(ValueError, match="same rows, got 400 and 399"):
        likelihood_ratio_test(small, other)
    wrong = APGWRegressor(phi="age", gamma="age", kappa=0).fit(made, "time", "event")
    with pytest.raises(ValueError, match="must contain the smaller"):
        likelihood_ratio_test(APGWRegressor(phi="trt", kappa=1).fit(made, "time", "event"), wrong)


def test_the_search_finds_terms_and_leaves_noise():
    rng = np.random.default_rng(2)
    covariates = pd.DataFrame(
        {"a": rng.normal(size=900), "b": rng.normal(size=900), "noise": rng.normal(size=900)}
    )
    df = simulate_mpr(
        covariates,
        phi={"a": 0.6},
        gamma={"Intercept": 0.2, "b": 0.35},
        kappa=1.0,
        followup=6.0,
        seed=3,
    )
    found = stepwise(df, "time", "event", kappa=1, criterion="BIC")
    assert found.model.phi == "1 + a"
    assert found.model.gamma == "1 + b"
    assert found.path["BIC"].is_monotonic_decreasing
    assert found.path["change"].tolist() == ["start", "add", "add"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": ("phi", "kappa")}, "blocks must be among lam, phi, gamma"),
        ({"blocks": ()}, "blocks must be among"),
        ({"criterion": "DIC"}, "criterion must be AIC or BIC, got 'DIC'"),
        ({"terms": ["nothing"]}, "nothing"),
    ],
)
def test_searches_that_cannot_be_made_are_refused(made, options, message):
    with pytest.raises(ValueError, match=message):
        stepwise(made, "time", "event", **{"terms": ["trt"]} | options)


def test_a_search_needs_a_candidate(made):
    with pytest.raises(ValueError, match="at least one candidate"):
        stepwise(made[["time", "event"]], "time", "event")
