"""Predictions against the distribution, and intervals against what they promise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from broadsheet.methods.statistics import APGW, APGWRegressor, simulate_mpr


def lifetime_by_hand(params, trt, age):
    return APGW(
        1.0,
        np.exp(params["phi", "Intercept"] + params["phi", "trt"] * trt + params["phi", "age"] * age),
        np.exp(params["gamma", "Intercept"] + params["gamma", "trt"] * trt),
        np.expm1(params["kappa", "Intercept"]),
    )


def test_curves_are_those_of_the_rows_own_distribution(fitted, made):
    rows, times = made.iloc[[3, 10]], [0.5, 2.0, 7.0]
    for place, (label, row) in enumerate(rows.iterrows()):
        own = lifetime_by_hand(fitted.params_, row["trt"], row["age"])
        for table, curve in (
            (fitted.predict_survival_function(rows, times), own.sf),
            (fitted.predict_cumulative_hazard(rows, times), own.cumhazard),
            (fitted.predict_hazard(rows, times), own.hazard),
        ):
            assert table.index.tolist() == times
            np.testing.assert_allclose(table[label], curve(np.array(times)))
        assert fitted.predict_median(rows)[label] == pytest.approx(float(own.median()))
        assert fitted.predict_percentile(rows, 0.9)[label] == pytest.approx(float(own.isf(0.9)))
        assert fitted.predict_expectation(rows)[label] == pytest.approx(float(own.mean()))
        assert fitted.predict_distribution(rows).phi[place] == pytest.approx(float(own.phi))


def test_curves_have_a_default_timeline(fitted, made):
    table = fitted.predict_survival_function(made.head(3))
    assert table.shape == (100, 3)
    assert table.iloc[0].tolist() == [1.0, 1.0, 1.0]
    assert (fitted.predict_hazard(made.head(1)).index > 0).all()


def test_risk_orders_rows_as_their_survival_does_where_curves_do_not_cross(made):
    model = APGWRegressor(phi="trt + age", gamma="1").fit(made, "time", "event")
    risk = model.predict(made)
    at_two = model.predict_survival_function(made, [2.0]).iloc[0].to_numpy()
    assert (np.argsort(risk) == np.argsort(-at_two)).mean() > 0.99


def test_the_hazard_ratio_is_the_quotient_of_hazards(fitted):
    times = np.array([0.3, 1.0, 4.0])
    one, other = (lifetime_by_hand(fitted.params_, trt, 60.0) for trt in (1, 0))
    ratio = fitted.predict_hazard_ratio({"trt": 1, "age": 60.0}, {"trt": 0, "age": 60.0}, times)
    np.testing.assert_allclose(ratio["hazard_ratio"], one.hazard(times) / other.hazard(times))
    assert (ratio["lower"] < ratio["hazard_ratio"]).all()
    assert (ratio["upper"] > ratio["hazard_ratio"]).all()
    frame = fitted.predict_hazard_ratio(
        pd.DataFrame({"trt": [1], "age": [60.0]}), pd.Series({"trt": 0, "age": 60.0}), times
    )
    pd.testing.assert_frame_equal(frame, ratio)


def test_covariates_not_given_are_typical_ones(fitted, made):
    typical = made["age"].mean()
    short = fitted.predict_hazard_ratio({"trt": 1}, {"trt": 0}, [1.0])
    full = fitted.predict_hazard_ratio({"trt": 1, "age": typical}, {"trt": 0, "age": typical}, [1.0])
    pd.testing.assert_frame_equal(short, full)


def test_delta_and_bootstrap_bands_agree_on_much_data():
    df = simulate_mpr(5000, phi={"trt": 0.7}, gamma={"trt": 0.2}, kappa=0.8, followup=9.0, seed=2)
    model = APGWRegressor(phi="trt", gamma="trt").fit(df, "time", "event")
    times = [0.2, 1.0, 3.0]
    delta = model.predict_hazard_ratio({"trt": 1}, {"trt": 0}, times)
    drawn = model.predict_hazard_ratio({"trt": 1}, {"trt": 0}, times, method="bootstrap", draws=2000, seed=1)
    np.testing.assert_allclose(np.log(drawn["lower"]), np.log(delta["lower"]), atol=0.03)
    np.testing.assert_allclose(drawn["se_log"], delta["se_log"], rtol=0.08)


def test_a_pure_hazard_model_has_a_constant_ratio(made):
    model = APGWRegressor(lam="trt", phi=1, gamma="1").fit(made, "time", "event")
    ratio = model.predict_hazard_ratio({"trt": 1}, {"trt": 0}, [0.1, 1.0, 10.0])
    np.testing.assert_allclose(ratio["hazard_ratio"], np.exp(model.params_["lam", "trt"]))
    np.testing.assert_allclose(ratio["se_log"], model.standard_errors_["lam", "trt"])


def test_cure_fractions_come_with_intervals_that_hold_the_truth():
    df = simulate_mpr(3000, lam={"trt": -0.4}, phi=0.8, gamma=1.4, kappa=-0.4, followup=40.0, seed=4)
    model = APGWRegressor(lam="trt", phi="1").fit(df, "time", "event")
    table = model.cure_fraction(pd.DataFrame({"trt": [0, 1]}))
    truth = APGW([1.0, np.exp(-0.4)], 0.8, 1.4, -0.4).cure_fraction()
    assert (table["lower"] < truth).all()
    assert (truth < table["upper"]).all()
    assert ((table["lower"] < table["cure_fraction"]) & (table["cure_fraction"] < table["upper"])).all()
    assert (model.predict_expectation(pd.DataFrame({"trt": [0, 1]})) == np.inf).all()
    step = 1e-6  # the delta method against a derivative by differences, in the direction of each coefficient
    gradient = []
    for name in model.params_.index:
        values = []
        for sign in (1, -1):
            moved = model.params_.copy()
            moved[name] += sign * step
            kappa = np.expm1(moved["kappa", "Intercept"])
            share = np.exp(np.exp(moved["lam", "Intercept"]) * (kappa + 1) / kappa)
            values.append(np.log(-np.log(share)))
        gradient.append((values[0] - values[1]) / (2 * step))
    se = np.sqrt(np.array(gradient) @ model.variance_matrix_.to_numpy() @ np.array(gradient))
    low = np.exp(-np.exp(np.log(-np.log(table["cure_fraction"][0])) + 1.959964 * se))
    assert table["lower"][0] == pytest.approx(low, rel=1e-6)


def test_without_cure_the_fraction_is_zero_and_has_no_interval(fitted, made):
    table = fitted.cure_fraction(made.head(2))
    assert (table["cure_fraction"] == 0).all()
    assert table[["lower", "upper"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, df: m.predict_percentile(df, 1.0), r"p must be in \(0, 1\), got 1.0"),
        (
            lambda m, df: m.predict_survival_function(df, [-1.0]),
            "times must be a list of finite numbers >= 0",
        ),
        (lambda m, df: m.predict_hazard(df, [np.nan]), "times must be"),
        (lambda m, df: m.predict_hazard_ratio({"trt": 1}, {"trt": 0}, [0.0]), "times must be > 0"),
        (
            lambda m, df: m.predict_hazard_ratio({"trt": 1}, {"trt": 0}, [1.0], method="x"),
            "delta or bootstrap",
        ),
        (lambda m, df: m.predict_hazard_ratio({"sex": 1}, {"trt": 0}, [1.0]), "'sex' is not a covariate"),
        (lambda m, df: m.predict_hazard_ratio(df, {"trt": 0}, [1.0]), "one row each, got 400"),
        (lambda m, df: m.predict(df[["trt"]]), "column 'age' is missing"),
        (lambda m, df: m.predict(np.zeros((2, 5))), "must be a DataFrame or have shape"),
    ],
)
def test_bad_requests_are_named(fitted, made, call, message):
    with pytest.raises(ValueError, match=message):
        call(fitted, made)
