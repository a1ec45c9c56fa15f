"""Fits: known maxima, nested families, invariances, recovery, and the warnings a bad fit owes its reader."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from lifelines import LogLogisticAFTFitter, WeibullAFTFitter
from lifelines.datasets import load_lung

from broadsheet.methods.statistics import APGWRegressor, FitWarning, simulate_mpr


def fit(df, duration="time", event="event", **settings):
    return APGWRegressor(**settings).fit(df, duration, event)


def test_log_likelihoods_of_the_veterans_trial(veteran):
    """Computed once with another optimiser, time in days and phi held at 1."""
    df = veteran[["time", "status", "trt"]]
    level = fit(df, event="status", lam="trt", phi=1, gamma="1")
    shape = fit(df, event="status", lam="trt", phi=1, gamma="trt")
    assert level.log_likelihood_ == pytest.approx(-746.617, abs=5e-4)
    assert shape.log_likelihood_ == pytest.approx(-744.830, abs=5e-4)


@pytest.mark.parametrize(("fitter", "kappa"), [(WeibullAFTFitter, 1), (LogLogisticAFTFitter, 0)])
@pytest.mark.parametrize("ancillary", [False, True])
def test_nested_families_equal_lifelines(fitter, kappa, ancillary):
    df = load_lung()[["time", "status", "age", "sex"]].dropna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = fitter().fit(
            df, "time", "status", formula="age + sex", ancillary="sex" if ancillary else None
        )
    ours = fit(df, event="status", phi="age + sex", gamma="sex" if ancillary else "1", kappa=kappa)
    assert ours.log_likelihood_ == pytest.approx(theirs.log_likelihood_, abs=1e-4)
    assert ours.log_likelihood_ >= theirs.log_likelihood_ - 1e-8
    name = "lambda_" if kappa == 1 else "alpha_"
    assert -ours.params_["phi", "age"] == pytest.approx(theirs.params_[name, "age"], abs=2e-3)


def test_the_accelerated_type_does_not_depend_on_the_unit_of_time(made):
    days = fit(made, phi="trt + age", gamma="trt")
    years = fit(made.assign(time=made["time"] / 365.25), phi="trt + age", gamma="trt")
    cost = made["event"].sum() * np.log(365.25)
    assert years.log_likelihood_ == pytest.approx(days.log_likelihood_ + cost, abs=1e-6)
    np.testing.assert_allclose(
        years.params_.drop(("phi", "Intercept")), days.params_.drop(("phi", "Intercept")), atol=1e-5
    )
    np.testing.assert_allclose(years.standard_errors_, days.standard_errors_, rtol=1e-4)


def test_the_hazard_type_is_carried_over_by_phi(made):
    """With phi held, phi = 1 per day is phi = 365.25 per year: the documented rule."""
    days = fit(made, lam="trt", phi=1, gamma="trt")
    same = fit(made.assign(time=made["time"] / 365.25), lam="trt", phi=365.25, gamma="trt")
    other = fit(made.assign(time=made["time"] / 365.25), lam="trt", phi=1, gamma="trt")
    cost = made["event"].sum() * np.log(365.25)
    assert same.log_likelihood_ == pytest.approx(days.log_likelihood_ + cost, abs=1e-6)
    assert abs(other.log_likelihood_ - days.log_likelihood_ - cost) > 1e-3


def test_covariates_may_be_moved_and_scaled(made, fitted):
    moved = fit(made.assign(age=(made["age"] - 30.0) * 7.0), phi="trt + age", gamma="trt")
    assert moved.log_likelihood_ == pytest.approx(fitted.log_likelihood_, abs=1e-8)
    assert moved.params_["phi", "age"] * 7.0 == pytest.approx(fitted.params_["phi", "age"], abs=1e-8)


def test_the_order_of_rows_does_not_matter(made, fitted):
    shuffled = fit(made.sample(frac=1.0, random_state=1), phi="trt + age", gamma="trt")
    np.testing.assert_allclose(shuffled.params_, fitted.params_, atol=1e-8)


def test_a_weight_of_two_is_a_row_twice(made):
    twice = pd.concat([made, made.iloc[:50]])
    weighted = APGWRegressor(phi="trt").fit(
        made.assign(w=np.where(np.arange(len(made)) < 50, 2.0, 1.0)), "time", "event", weights_col="w"
    )
    repeated = fit(twice, phi="trt")
    np.testing.assert_allclose(weighted.params_, repeated.params_, atol=1e-7)
    assert abs(weighted.BIC_ - repeated.BIC_) < 1e-6


def test_narrow_intervals_approach_exact_times(made):
    narrow = made.assign(
        lower=made["time"], upper=np.where(made["event"] == 1, made["time"] * (1 + 1e-6), np.inf)
    ).drop(columns=["time", "event"])
    interval = APGWRegressor(phi="trt", gamma="trt").fit(
        narrow, lower_bound_col="lower", upper_bound_col="upper"
    )
    exact = fit(made, phi="trt", gamma="trt")
    # an interval of width 1e-6 moves the maximum by about as much, and its likelihood has lost six digits
    np.testing.assert_allclose(interval.params_, exact.params_, atol=1e-4)


def test_late_entry_is_corrected_for():
    """Subjects who failed before they could enter are missing; without entry_col that looks like longer lives."""
    df = simulate_mpr(6000, phi={"Intercept": 0.2, "trt": 0.5}, kappa=1.0, followup=8.0, seed=5)
    df["entry"] = np.random.default_rng(6).uniform(0.0, 1.0, len(df))
    df = df[df["time"] > df["entry"]]
    right = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event", entry_col="entry")
    wrong = APGWRegressor(phi="trt", kappa=1).fit(df.drop(columns="entry"), "time", "event")
    name = ("phi", "Intercept")
    assert abs(right.params_[name] - 0.2) < 4 * right.standard_errors_[name]
    assert abs(wrong.params_[name] - 0.2) > 4 * wrong.standard_errors_[name]


@pytest.mark.parametrize("kappa", [-0.4, 0.0, 1.0, 2.0])
def test_the_truth_is_recovered(kappa):
    truth = {
        ("phi", "Intercept"): -0.5,
        ("phi", "trt"): 0.7,
        ("gamma", "Intercept"): 0.3,
        ("gamma", "trt"): 0.2,
        ("kappa", "Intercept"): float(np.log1p(kappa)),
    }
    df = simulate_mpr(
        8000,
        phi={"Intercept": -0.5, "trt": 0.7},
        gamma={"Intercept": 0.3, "trt": 0.2},
        kappa=kappa,
        followup=12.0,
        seed=8,
    )
    model = fit(df, phi="trt", gamma="trt")
    off = (model.params_ - pd.Series(truth)) / model.standard_errors_
    assert (off.abs() < 4.0).all()
    assert model.is_regular_


def test_proportional_hazards_are_recovered():
    df = simulate_mpr(
        8000, lam={"Intercept": -0.4, "trt": 0.8}, phi=0.7, gamma=1.5, kappa=0.4, followup=9.0, seed=9
    )
    model = fit(df, lam="trt", phi=0.7)
    assert model.params_["lam", "trt"] == pytest.approx(0.8, abs=4 * model.standard_errors_["lam", "trt"])


def test_many_rows_use_a_sample_for_the_starts_and_all_rows_for_the_maximum():
    df = simulate_mpr(30_000, phi={"Intercept": -0.5, "trt": 0.7}, kappa=0.5, followup=12.0, seed=10)
    model = fit(df, phi="trt")
    again = APGWRegressor(phi="trt").fit(df, "time", "event", initial_point=model.params_ + 0.3)
    np.testing.assert_allclose(model.params_, again.params_, atol=1e-6)
    assert model.n_iter_ > again.n_iter_


def test_every_start_leads_to_the_same_place(made, fitted):
    rng = np.random.default_rng(3)
    for _ in range(5):
        start = fitted.params_ + rng.normal(0.0, 0.4, len(fitted.params_)) * [1, 1, 0.01, 1, 1, 1]
        again = APGWRegressor(phi="trt + age", gamma="trt").fit(made, "time", "event", initial_point=start)
        assert again.log_likelihood_ == pytest.approx(fitted.log_likelihood_, abs=1e-7)


# ---- what a bad fit owes its reader


def test_a_spike_is_not_reported_as_the_fit(veteran):
    df = veteran[["time", "status", "trt"]]
    with pytest.warns(FitWarning) as told:
        model = fit(df, event="status", lam="trt", phi="trt", gamma="trt")
    assert not model.is_regular_
    assert np.exp(model.params_["gamma", "Intercept"]) < 20
    text = " ".join(str(w.message) for w in told)
    assert "spike" in text
    assert "cannot be told apart" in text


def test_an_arm_without_events_is_named(made):
    quiet = made.assign(event=made["event"] * (made["trt"] == 0), arm=made["trt"])
    with pytest.warns(FitWarning, match=r"phi\[arm\] diverges: there is no event on one side of 'arm'"):
        fit(quiet, phi="arm")


def test_gompertz_data_without_end_ask_for_the_limit():
    df = simulate_mpr(1500, lam=0.02, phi=1.0, kappa=np.inf, seed=3)
    with pytest.warns(FitWarning, match=r"kappa ran to .* fit kappa=float\('inf'\)"):
        free = fit(df, lam="1", phi="1", gamma=None)
    held = fit(df, lam="1", phi="1", gamma=None, kappa=np.inf)
    assert held.log_likelihood_ == pytest.approx(free.log_likelihood_, abs=0.05)
    assert held.is_regular_


@pytest.mark.parametrize("shared", [{"lam": "1", "phi": "1"}, {"lam": "trt", "phi": "0 + trt"}])
def test_scales_that_cannot_be_told_apart_are_refused(made, shared):
    with pytest.raises(ValueError, match="cannot be told apart; drop the term"):
        fit(made, kappa=1, gamma="1", **shared)


def test_fewer_events_than_coefficients_are_refused(made):
    with pytest.raises(
        ValueError, match=r"3 events cannot carry 5 coefficients \(phi\[Intercept\], phi\[trt\]"
    ):
        fit(made[made["event"] == 1].head(3), phi="trt", gamma="trt")


def test_rows_that_all_fail_at_once_have_no_maximum(made):
    with pytest.warns(FitWarning):
        model = fit(made.assign(time=3.0, event=1), phi="trt", kappa=1)
    assert not model.is_regular_
