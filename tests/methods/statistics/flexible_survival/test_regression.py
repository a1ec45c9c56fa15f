"""The estimator: both dialects, scikit-learn's tools, scikit-survival's metrics, and its own refusals."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sksurv.metrics import (
    as_integrated_brier_score_scorer,
    concordance_index_censored,
    cumulative_dynamic_auc,
    integrated_brier_score,
)
from sksurv.util import Surv

from broadsheet.methods.statistics import APGWRegressor

COVARIATES = ["trt", "age"]


@pytest.fixture(scope="module")
def y(made):
    return Surv.from_arrays(made["event"].astype(bool), made["time"])


@pytest.fixture(scope="module")
def X(made):
    return made[COVARIATES]


def test_both_dialects_give_the_same_fit(made, X, y):
    structured = APGWRegressor(gamma="trt").fit(X, y)
    named = APGWRegressor(gamma="trt").fit(made[[*COVARIATES, "time", "event"]], "time", "event")
    pd.testing.assert_series_equal(structured.params_, named.params_)
    array = APGWRegressor(gamma="x0").fit(X.to_numpy(), y)
    np.testing.assert_allclose(array.params_, structured.params_)
    np.testing.assert_allclose(array.predict(X.to_numpy()), structured.predict(X))
    assert array.feature_names_in_.tolist() == ["x0", "x1"]
    assert structured.n_features_in_ == 2


def test_the_outcome_is_never_a_covariate(made):
    model = APGWRegressor().fit(made[[*COVARIATES, "time", "event"]], duration_col="time", event_col="event")
    assert set(model.params_["phi"].index) == {"Intercept", *COVARIATES}
    with pytest.raises(ValueError, match=r"phi='trt [+] time' cannot be read"):
        APGWRegressor(phi="trt + time").fit(made, "time", "event")


def test_it_is_a_scikit_learn_estimator(X, y):
    model = APGWRegressor(phi="trt", kappa=0)
    assert model.get_params()["kappa"] == 0
    assert clone(model.set_params(gamma="trt")).gamma == "trt"
    assert model.fit(X, y) is model
    scores = cross_val_score(APGWRegressor(), X, y, cv=3)
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    search = GridSearchCV(APGWRegressor(), {"kappa": [0, 1], "gamma": ["1", "trt"]}, cv=2).fit(X, y)
    assert search.best_params_["kappa"] in (0, 1)
    pipeline = make_pipeline(StandardScaler(), APGWRegressor()).fit(X, y)
    assert pipeline.predict(X).shape == (len(X),)


def test_weights_go_with_a_structured_outcome(X, y):
    weights = np.where(np.arange(len(X)) < 300, 1.0, 0.0)
    weighted = APGWRegressor().fit(X, y, sample_weight=weights)
    part = APGWRegressor().fit(X.iloc[:300], y[:300])
    np.testing.assert_allclose(weighted.params_, part.params_, atol=1e-7)


def test_metrics_of_scikit_survival_work(X, y):
    model = APGWRegressor(gamma="trt").fit(X, y)
    times = np.linspace(0.5, 5.0, 12)
    concordance = concordance_index_censored(y["event"], y["time"], model.predict(X))[0]
    assert concordance > 0.55  # the treatment doubles the speed
    curves = model.predict_survival_function(X)
    brier = integrated_brier_score(y, y, np.array([curve(times) for curve in curves]), times)
    assert brier < 0.2  # below 0.25, the score of a coin
    assert cumulative_dynamic_auc(y, y, model.predict(X), times)[1] > 0.55
    scorer = as_integrated_brier_score_scorer(APGWRegressor(gamma="trt"), times=times).fit(X, y)
    assert scorer.score(X, y) == pytest.approx(-brier)
    table = model.predict_survival_function(X, times)
    np.testing.assert_allclose(table.iloc[:, 0], curves[0](times))


def test_score_is_the_mean_log_likelihood(made, X, y):
    model = APGWRegressor().fit(X, y)
    assert model.score(X, y) * len(X) == pytest.approx(model.log_likelihood_)
    assert model.score(made, "time", "event") == pytest.approx(model.score(X, y))
    assert model.score(made, duration_col="time", event_col="event") == pytest.approx(model.score(X, y))


def test_a_fitted_model_can_be_pickled(made, fitted):
    again = pickle.loads(pickle.dumps(fitted))
    pd.testing.assert_frame_equal(again.summary, fitted.summary)
    np.testing.assert_array_equal(again.predict(made), fitted.predict(made))
    pd.testing.assert_series_equal(again.residuals(seed=1), fitted.residuals(seed=1))


def test_criteria_follow_their_definitions(made, fitted):
    k, value = len(fitted.params_), fitted.log_likelihood_
    assert abs(fitted.AIC_ - (2 * k - 2 * value)) < 1e-9
    assert abs(fitted.BIC_ - (k * np.log(made["event"].sum()) - 2 * value)) < 1e-9
    assert fitted.n_events_ == made["event"].sum()
    assert fitted.kappa_ == pytest.approx(np.expm1(fitted.params_["kappa", "Intercept"]))
    assert np.isnan(APGWRegressor(phi="1", kappa="trt").fit(made, "time", "event").kappa_)


def test_an_initial_point_may_be_a_series_in_any_order(made, fitted):
    shuffled = fitted.params_.sample(frac=1.0, random_state=2)
    again = APGWRegressor(phi="trt + age", gamma="trt").fit(made, "time", "event", initial_point=shuffled)
    assert again.n_iter_ <= 3
    assert again.log_likelihood_ == pytest.approx(fitted.log_likelihood_)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, df, y: m.fit(df[["trt"]].to_numpy()), "must be a DataFrame, got ndarray"),
        (lambda m, df, y: m.fit(df, "time", "event", duration_col="time"), "duration_col is given twice"),
        (lambda m, df, y: m.fit(df), "give duration_col="),
        (lambda m, df, y: m.fit(df, df["time"]), "y must be a structured array"),
        (lambda m, df, y: m.fit(df[["trt"]].iloc[:5], y), "same length, got 5 and 400"),
        (
            lambda m, df, y: m.fit(df[["trt"]], y, sample_weight=[1.0]),
            r"sample_weight must have shape \(400,\)",
        ),
        (lambda m, df, y: m.fit(df, "time", "event", sample_weight=[1.0]), "name weights_col="),
        (lambda m, df, y: m.fit(np.zeros(400), y), r"shape \(n, p\), got shape \(400,\)"),
        (
            lambda m, df, y: m.fit(df, "time", "event", initial_point=[1.0]),
            "initial_point must hold 4 finite",
        ),
        (
            lambda m, df, y: m.set_params(alpha=2.0).fit(df, "time", "event"),
            r"alpha must be in \(0, 1\), got 2.0",
        ),
        (lambda m, df, y: m.set_params(kappa=-2).fit(df, "time", "event"), "kappa must be held above -1"),
        (
            lambda m, df, y: m.fit(pd.concat([df, df["trt"]], axis=1), "time", "event"),
            "'trt' stands there twice",
        ),
    ],
)
def test_calls_that_cannot_be_meant_are_refused(made, y, call, message):
    df = made[["trt", "time", "event"]]
    with pytest.raises(ValueError, match=message):
        call(APGWRegressor(phi="trt"), df, y)


def test_an_unfitted_model_says_so(made):
    for call in (
        lambda m: m.predict(made),
        lambda m: m.summary,
        lambda m: m.print_summary(),
        lambda m: m.residuals(),
        lambda m: m.kappa_,
        lambda m: m.score(made, "time", "event"),
    ):
        with pytest.raises(NotFittedError, match="not fitted yet; call fit"):
            call(APGWRegressor())
