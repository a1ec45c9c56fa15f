"""Fits of the APGW regression against a second implementation of its likelihood, and against lifelines."""

from __future__ import annotations

import warnings

import autograd.numpy as anp
import lifelines
import lifelines.datasets
import numpy as np
import pandas as pd
import pytest
from lifelines.fitters import ParametricRegressionFitter
from sksurv.util import Surv

from broadsheet.methods.statistics import APGWRegressor, FitWarning

from .reference_apgw import Model, cumulative_hazard, design, exact_cumulative_hazard, log_hazard
from .reference_data import censored, truncated, veteran, visited
from .reference_fits import AFT, AFT_DESIGN, KINDS, errors_of, fit, fit_quietly, fits, model_of, parameters_of


# ---------------------------------------------------------------- one fit of every kind
@pytest.mark.parametrize("kind", KINDS)
def test_the_log_likelihood_is_that_of_the_reported_parameters(kind):
    _, fitted, model = fits(kind)
    value = float(model.log_likelihood(parameters_of(fitted, model)))
    assert fitted.log_likelihood_ == pytest.approx(value, rel=1e-10, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_reported_parameters_are_a_maximum(kind):
    _, fitted, model = fits(kind)
    theta = parameters_of(fitted, model)
    assert np.max(np.abs(model.newton_step_in_errors(theta))) < 1e-4
    assert np.linalg.eigvalsh(model.hessian(theta)).max() < 0


@pytest.mark.parametrize("kind", KINDS)
def test_standard_errors_are_those_of_the_observed_information(kind):
    _, fitted, model = fits(kind)
    expected = model.standard_errors(parameters_of(fitted, model))
    np.testing.assert_allclose(errors_of(fitted, model), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_information_criteria_follow_from_the_likelihood(kind):
    frame, fitted, model = fits(kind)
    k = len(model.terms)
    assert pytest.approx(2 * k - 2 * fitted.log_likelihood_) == fitted.AIC_
    weights = frame["w"] if KINDS[kind][2].get("weights") else 1.0
    events = (np.isfinite(frame["upper"]) if "upper" in frame else frame["event"]) * weights
    assert pytest.approx(k * np.log(events.sum()) - 2 * fitted.log_likelihood_) == fitted.BIC_


# ---------------------------------------------------------------- the reference is right about itself
def test_the_reference_likelihood_equals_50_digits_and_a_closed_form():
    frame = truncated(20, 0.5, 3)
    model = model_of(frame, AFT_DESIGN, entry="entry")
    theta = np.array([-1.0, 0.4, 0.01, 0.2, 0.3, 0.1])
    total = 0
    for row in frame.itertuples():
        phi, gamma = np.exp(-1.0 + 0.4 * row.trt + 0.01 * row.age), np.exp(0.2 + 0.3 * row.trt)
        kappa = np.exp(0.1) - 1
        total -= exact_cumulative_hazard(row.time, 1.0, phi, gamma, kappa)
        if row.entry > 0:
            total += exact_cumulative_hazard(row.entry, 1.0, phi, gamma, kappa)
        if row.event:
            total += float(log_hazard(row.time, 0.0, np.log(phi), np.log(gamma), kappa))
    assert float(model.log_likelihood(theta)) == pytest.approx(float(total), rel=1e-12)

    exponential = Model(
        {"lam": design(frame)}, time=frame["time"].to_numpy(), event=frame["event"].to_numpy(float)
    )
    best = np.log(frame["event"].sum() / frame["time"].sum())
    assert exponential.gradient([best])[0] == pytest.approx(0, abs=1e-9)
    assert exponential.standard_errors([best])[0] == pytest.approx(frame["event"].sum() ** -0.5, rel=1e-9)


# ---------------------------------------------------------------- veteran: figures found before the method was
def test_the_trial_gives_the_known_maxima():
    frame = veteran()
    plain = fit(frame, lam="trt", phi=None, gamma="1", kappa="1")
    shaped = fit(frame, lam="trt", phi=None, gamma="trt", kappa="1")
    assert plain.log_likelihood_ == pytest.approx(-746.617, abs=6e-4)
    assert shaped.log_likelihood_ == pytest.approx(-744.830, abs=6e-4)


def test_no_plain_search_beats_the_fit_on_the_trial():
    frame = veteran()
    starts = [[-4.0, 0, 0, nu] for nu in (-0.5, 0.1, 0.7, 1.5)]
    cases = {"phi": {"lam": None}, "lam": {"phi": None}}
    for block, held in cases.items():
        _, best = model_of(frame, {block: ("trt",), "gamma": (), "kappa": ()}).maximise(starts)
        fitted = fit(frame, **{block: "trt", "gamma": "1", "kappa": "1"}, **held)
        assert fitted.log_likelihood_ > best - 1e-6


@pytest.mark.parametrize("kappa", [-0.4, 0.0, 0.5, 2.0, 6.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_plain_search_beats_the_fit_on_small_samples(kappa, seed):
    frame = censored(70, kappa, 100 + seed)
    fitted, warned = fit_quietly(frame, phi="trt", gamma="trt", lam=None, kappa="1")
    model = model_of(frame, {"phi": ("trt",), "gamma": ("trt",), "kappa": ()})
    theta, best = model.maximise([[-0.5, 0, 0, 0, nu] for nu in (-0.5, 0.1, 0.7, 1.5)])
    if np.exp(theta[2:4].sum()) < 20 and np.exp(theta[2]) < 20 and theta[4] < 6:  # not at a boundary
        assert fitted.log_likelihood_ > best - 1e-4, f"the plain search stands at {theta}"
    assert warned or np.max(np.abs(model.newton_step_in_errors(parameters_of(fitted, model)))) < 1e-3


def test_a_spike_that_beats_the_fit_is_warned_of():
    frame = veteran()
    fitted, warned = fit_quietly(frame, lam="trt", phi="1", gamma="trt", kappa="1")
    model = model_of(frame, {"lam": ("trt",), "phi": (), "gamma": ("trt",), "kappa": ()})
    # A Pareto-like corner: gamma = 111 and 82 in the two arms, kappa near 0, phi at the earliest times.
    _, spike = model.maximise([[-3, 0, log_phi, 2, 0, 0.02] for log_phi in (0.0, -0.3, -0.7)])
    assert spike > fitted.log_likelihood_ + 0.3
    assert fitted.params_["gamma", "Intercept"] < np.log(20)
    assert warned


def test_a_spike_is_not_reported_as_the_fit():
    frame = veteran()
    fitted, warned = fit_quietly(frame, lam="trt", phi="trt", gamma="trt", kappa="1")
    assert warned
    assert fitted.params_["gamma", "Intercept"] < np.log(20)


def test_rows_that_all_fail_at_once_are_refused_or_warned_of():
    frame = censored(100, 1.0, 24).assign(time=3.0, event=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", FitWarning)
        try:
            fitted = fit(frame, phi="trt", gamma="1", lam=None, kappa=1)
        except ValueError:
            return
    assert not fitted.is_regular_


# ---------------------------------------------------------------- lifelines
def ncctg():
    frame = lifelines.datasets.load_lung()[["time", "status", "age", "sex", "ph.ecog"]].dropna()
    return frame.rename(columns={"ph.ecog": "ecog", "status": "event"}).astype(float)


def rossi():
    return lifelines.datasets.load_rossi().rename(columns={"week": "time", "arrest": "event"})


def same_maximum(ours, theirs):
    """lifelines stops up to 1e-4 short of its maximum, never above it."""
    assert ours.log_likelihood_ == pytest.approx(theirs.log_likelihood_, abs=1e-4)
    assert ours.log_likelihood_ > theirs.log_likelihood_ - 1e-7


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("data", [ncctg, rossi])
@pytest.mark.parametrize("kappa", [1, 0])
@pytest.mark.parametrize("ancillary", [False, True])
def test_aft_models_equal_those_of_lifelines(data, kappa, ancillary):
    frame = data()
    formula = "age + sex + ecog" if data is ncctg else "fin + age + prio"
    theirs = lifelines.WeibullAFTFitter() if kappa == 1 else lifelines.LogLogisticAFTFitter()
    theirs.fit(frame, "time", "event", formula=formula, ancillary=formula if ancillary else False)
    ours = fit(frame, phi=formula, gamma=formula if ancillary else "1", lam=None, kappa=kappa)
    same_maximum(ours, theirs)
    scale, shape = ("lambda_", "rho_") if kappa == 1 else ("alpha_", "beta_")
    for (block, term), value in ours.params_.items():
        theirs_value = theirs.params_[scale if block == "phi" else shape, term] * (
            -1 if block == "phi" else 1
        )
        assert value == pytest.approx(theirs_value, abs=0.02 * ours.standard_errors_[block, term])
    errors = [theirs.standard_errors_[scale if b == "phi" else shape, t] for b, t in ours.params_.index]
    np.testing.assert_allclose(ours.standard_errors_, errors, rtol=0.01)


@pytest.mark.filterwarnings("ignore")
def test_left_truncation_equals_that_of_lifelines():
    frame = truncated(400, 1.0, 21)
    theirs = lifelines.WeibullAFTFitter().fit(
        frame[["time", "event", "entry", "trt"]], "time", "event", entry_col="entry"
    )
    same_maximum(fit(frame, entry="entry", phi="trt", gamma="1", lam=None, kappa=1), theirs)


@pytest.mark.filterwarnings("ignore")
def test_interval_censoring_equals_that_of_lifelines():
    frame = visited(400, 1.0, 22)
    theirs = lifelines.WeibullAFTFitter().fit_interval_censoring(
        frame[["lower", "upper", "trt"]], "lower", "upper"
    )
    same_maximum(fit(frame, interval=True, phi="trt", gamma="1", lam=None, kappa=1), theirs)


class Guest(ParametricRegressionFitter):
    """APGW as a guest in lifelines: AFT-type, kappa = 1.5 exp(nu) - 1 so that lifelines' start is not kappa = 0."""

    _fitted_parameter_names = ("phi_", "gamma_", "kappa_")

    def _cumulative_hazard(self, params, times, designs):
        log_phi, log_gamma, nu = (
            anp.dot(designs[name], params[name]) for name in self._fitted_parameter_names
        )
        return cumulative_hazard(times, 0.0, log_phi, log_gamma, 1.5 * anp.exp(nu) - 1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("data", ["veteran", "made up"])
def test_the_aft_type_equals_a_custom_model_in_lifelines(data):
    frame = veteran() if data == "veteran" else censored(300, 0.5, 23)
    theirs = Guest().fit(
        frame[["time", "event", "trt"]],
        "time",
        "event",
        regressors={"phi_": "trt", "gamma_": "trt", "kappa_": "1"},
    )
    ours = fit(frame, phi="trt", gamma="trt", lam=None, kappa="1")
    same_maximum(ours, theirs)
    nu = theirs.params_["kappa_", "Intercept"] + np.log(1.5)
    assert ours.params_["kappa", "Intercept"] == pytest.approx(nu, abs=0.05)


# ---------------------------------------------------------------- invariances
@pytest.fixture(scope="module")
def small():
    frame = truncated(250, 0.5, 31)
    return frame, fit(frame, entry="entry", **AFT)


def same_fit(one, other, rtol=1e-5):
    np.testing.assert_allclose(one.params_, other.params_, rtol=rtol, atol=1e-7)
    np.testing.assert_allclose(one.standard_errors_, other.standard_errors_, rtol=rtol)


def test_a_weight_of_two_is_a_row_twice_and_of_zero_none():
    frame = censored(250, 0.5, 32).assign(w=lambda f: np.arange(len(f)) % 3)
    twice = frame.loc[frame.index.repeat(frame["w"])].reset_index(drop=True)
    weighted, repeated = fit(frame, weights="w", **AFT), fit(twice, **AFT)
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, abs=1e-7)
    same_fit(weighted, repeated)


def test_the_order_of_rows_and_their_index_do_not_matter(small):
    frame, fitted = small
    shuffled = frame.sample(frac=1.0, random_state=1)
    shuffled.index = pd.Index([f"p{i}" for i in range(len(frame))])
    other = fit(shuffled, entry="entry", **AFT)
    assert other.log_likelihood_ == pytest.approx(fitted.log_likelihood_, abs=1e-8)
    same_fit(other, fitted)


def test_entry_at_zero_is_no_truncation():
    frame = censored(250, 0.5, 33).assign(entry=0.0)
    same_fit(fit(frame, entry="entry", **AFT), fit(frame, **AFT))


def test_an_interval_from_the_censoring_to_infinity_is_right_censoring():
    frame = censored(250, 0.5, 34)
    frame = frame.assign(lower=frame["time"], upper=frame["time"].where(frame["event"] == 1, np.inf))
    by_interval, by_event = fit(frame, interval=True, **AFT), fit(frame, **AFT)
    assert by_interval.log_likelihood_ == pytest.approx(by_event.log_likelihood_, abs=1e-8)
    same_fit(by_interval, by_event)


@pytest.mark.parametrize("unit", [1e-6, 365.25, 1e9])
def test_another_unit_of_time_moves_only_the_time_scale(small, unit):
    frame, fitted = small
    other = fit(frame.assign(time=frame["time"] * unit, entry=frame["entry"] * unit), entry="entry", **AFT)
    shift = frame["event"].sum() * np.log(unit)
    assert other.log_likelihood_ == pytest.approx(fitted.log_likelihood_ - shift, abs=1e-6)
    moved = fitted.params_.copy()
    moved["phi", "Intercept"] -= np.log(unit)
    np.testing.assert_allclose(other.params_, moved, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(other.standard_errors_, fitted.standard_errors_, rtol=1e-5)


def test_a_held_phi_in_the_new_unit_gives_the_same_ph_model():
    frame = veteran()
    days = fit(frame, lam="trt", phi=1.0, gamma="trt", kappa="1")
    years = fit(frame.assign(time=frame["time"] / 365.25), lam="trt", phi=365.25, gamma="trt", kappa="1")
    shift = frame["event"].sum() * np.log(365.25)
    assert years.log_likelihood_ == pytest.approx(days.log_likelihood_ + shift, abs=1e-6)
    np.testing.assert_allclose(years.params_, days.params_, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1e-8, 1e8])
def test_another_unit_of_a_covariate_moves_only_its_coefficient(small, size):
    frame, fitted = small
    other = fit(frame.assign(age=(frame["age"] - 50) * size), entry="entry", **AFT)
    assert other.log_likelihood_ == pytest.approx(fitted.log_likelihood_, abs=1e-7)
    assert other.params_["phi", "age"] * size == pytest.approx(fitted.params_["phi", "age"], rel=1e-5)
    start = fitted.params_["phi", "Intercept"] + 50 * fitted.params_["phi", "age"]
    assert other.params_["phi", "Intercept"] == pytest.approx(start, abs=1e-6)
    relative = other.standard_errors_["phi", "age"] * size / fitted.standard_errors_["phi", "age"]
    assert relative == pytest.approx(1, rel=1e-5)


def test_a_category_is_a_set_of_dummies():
    frame = veteran()
    dummies = frame.assign(**{name: (frame["cell"] == name).astype(float) for name in frame["cell"].unique()})
    by_category = fit(frame, phi="cell + karno", gamma="1", lam=None, kappa=0)
    by_dummy = fit(dummies, phi="large + smallcell + squamous + karno", gamma="1", lam=None, kappa=0)
    each_level = fit(
        dummies, phi="0 + adeno + large + smallcell + squamous + karno", gamma="1", lam=None, kappa=0
    )
    assert by_category.log_likelihood_ == pytest.approx(by_dummy.log_likelihood_, abs=1e-7)
    assert each_level.log_likelihood_ == pytest.approx(by_dummy.log_likelihood_, abs=1e-7)
    np.testing.assert_allclose(np.sort(by_category.params_), np.sort(by_dummy.params_), rtol=1e-5, atol=1e-6)


def test_a_structured_y_is_the_same_fit(small):
    frame = censored(250, 0.5, 35)
    y = Surv.from_arrays(frame["event"] == 1, frame["time"])
    by_y = APGWRegressor(**AFT).fit(frame[["trt", "age"]], y)
    same_fit(by_y, fit(frame, **AFT))
