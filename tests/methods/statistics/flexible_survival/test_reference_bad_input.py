"""What cannot be fitted is refused, and what should not be read is warned of, by name."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from broadsheet.methods.statistics import (
    APGWRegressor,
)

from .reference_apgw import draw_times
from .reference_data import censored, covariates, veteran, visited
from .reference_fits import COLUMNS, INF, fit, fit_quietly


# ---------------------------------------------------------------- bad input
def good(n=60, seed=61):
    return censored(n, 0.5, seed)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, INF])
def test_a_time_that_cannot_be_is_refused(value):
    frame = good()
    frame.loc[3, "time"] = value
    with pytest.raises(ValueError, match="time"):
        fit(frame, phi="trt", lam=None)


@pytest.mark.parametrize("value", [2, -1, 0.5, np.nan])
def test_an_event_that_is_neither_0_nor_1_is_refused(value):
    frame = good().astype({"event": float})
    frame.loc[3, "event"] = value
    with pytest.raises(ValueError, match="event"):
        fit(frame, phi="trt", lam=None)


@pytest.mark.parametrize("offset", [0.0, 1.0, np.nan])
def test_an_entry_not_before_the_time_is_refused(offset):
    frame = good().assign(entry=0.0)
    frame.loc[3, "entry"] = frame.loc[3, "time"] + offset
    with pytest.raises(ValueError, match="entry"):
        fit(frame, entry="entry", phi="trt", lam=None)


def test_a_negative_entry_is_refused():
    with pytest.raises(ValueError, match="entry"):
        fit(good().assign(entry=-1.0), entry="entry", phi="trt", lam=None)


def test_no_event_at_all_is_refused():
    with pytest.raises(ValueError, match="event"):
        fit(good().assign(event=0), phi="trt", lam=None)


@pytest.mark.parametrize("value", [-1.0, np.nan, INF])
def test_a_weight_that_cannot_be_is_refused(value):
    frame = good().assign(w=1.0)
    frame.loc[3, "w"] = value
    with pytest.raises(ValueError, match=r"weight|\bw\b"):
        fit(frame, weights="w", phi="trt", lam=None)


@pytest.mark.parametrize("weights", [0.0, None])
def test_events_that_all_weigh_nothing_are_no_events(weights):
    frame = good()
    frame["w"] = 0.0 if weights == 0.0 else (frame["event"] == 0).astype(float)
    with pytest.raises(ValueError, match=r"event|weight|\bw\b"):
        fit(frame, weights="w", phi="trt", lam=None)


def test_interval_bounds_in_the_wrong_order_are_refused():
    frame = visited(60, 0.5, 62)
    frame.loc[3, ["lower", "upper"]] = [2.0, 1.0]
    with pytest.raises(ValueError, match=r"lower|upper"):
        fit(frame, interval=True, phi="trt", lam=None)


@pytest.mark.parametrize("block", ["phi", "gamma"])
def test_a_constant_column_is_named(block):
    frame = good().assign(site=3.0)
    blocks = {"phi": "trt", "gamma": "1", block: "trt + site"}
    with pytest.raises(ValueError, match="site"):
        fit(frame, lam=None, **blocks)


@pytest.mark.parametrize("block", ["phi", "gamma"])
def test_a_collinear_column_is_named(block):
    frame = good().assign(months=lambda f: 12 * f["age"] + 5)
    blocks = {"phi": "trt", "gamma": "1", block: "age + months"}
    with pytest.raises(ValueError, match=r"months|age"):
        fit(frame, lam=None, **blocks)


def test_the_same_column_in_two_blocks_is_not_collinear():
    frame = good(150)
    assert np.isfinite(fit(frame, phi="age", gamma="age", lam=None, kappa=1).log_likelihood_)


@pytest.mark.parametrize("kappa", [-1, -1.0, -2.5, float("nan")])
def test_a_held_kappa_out_of_range_is_refused(kappa):
    with pytest.raises(ValueError, match="kappa"):
        fit(good(), phi="trt", lam=None, kappa=kappa)


@pytest.mark.parametrize("block", ["lam", "phi", "gamma"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), INF])
def test_another_held_parameter_out_of_range_is_refused(block, value):
    with pytest.raises(ValueError, match=block):
        fit(good(), **{"phi": "trt", "lam": None, "gamma": "1", block: value})


@pytest.mark.parametrize(("lam", "phi"), [("1", "1"), ("trt", "1"), ("1", "trt"), ("trt", "trt")])
def test_two_scale_intercepts_in_a_weibull_model_are_refused(lam, phi):
    with pytest.raises(ValueError, match="lam") as caught:
        fit(good(), lam=lam, phi=phi, gamma="1", kappa=1)
    assert "phi" in str(caught.value)


def test_two_scales_with_one_intercept_but_the_same_covariate_are_refused_in_a_weibull_model():
    # gamma is common, so lam = exp(b trt) and phi = exp(c trt) move the same quantity, b + gamma c.
    with pytest.raises(ValueError, match="lam"):
        fit(good(), lam="0 + trt", phi="trt", gamma="1", kappa=1)


def test_fewer_events_than_coefficients_are_said():
    frame = good()
    frame["event"] = 0
    frame.loc[[0, 5], "event"] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((ValueError, Warning), match="event"):
            fit(frame, phi="trt + age", gamma="trt", lam=None, kappa="1")


def test_an_unseen_level_is_named_at_prediction():
    frame = veteran()
    fitted = fit(frame, phi="cell", gamma="1", lam=None, kappa=1)
    with pytest.raises(ValueError, match="martian"):
        fitted.predict_survival_function(frame.head(2).assign(cell="martian"), times=[10.0])


@pytest.mark.parametrize("blocks", [{"phi": "trt", "lam": None}, {"lam": "trt", "phi": None}])
def test_an_arm_without_events_is_warned_of_by_name(blocks):
    frame = good(120)
    frame.loc[frame["trt"] == 1, "event"] = 0
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        fit(frame, gamma="1", kappa=1, **blocks)
    assert any("trt" in str(warning.message) for warning in seen), [str(w.message) for w in seen]


@pytest.mark.parametrize("column", ["duration_col", "event_col", "entry_col", "weights_col"])
def test_a_column_that_is_not_there_is_named(column):
    columns = {**COLUMNS, column: "nowhere"}
    with pytest.raises((ValueError, KeyError), match="nowhere"):
        APGWRegressor(phi="trt").fit(good(), **columns)


def test_a_covariate_that_is_not_there_or_has_gaps_is_named():
    with pytest.raises((ValueError, KeyError), match="dose"):
        fit(good(), phi="dose", lam=None)
    frame = good()
    frame.loc[3, "age"] = np.nan
    with pytest.raises(ValueError, match="age"):
        fit(frame, phi="age", lam=None)


def test_a_ph_model_with_a_held_time_scale_says_that_it_depends_on_the_unit(capsys):
    fit(veteran(), lam="trt", phi=None, gamma="trt", kappa="1").print_summary()
    assert "unit" in capsys.readouterr().out


def test_gompertz_data_end_at_a_large_kappa_or_with_a_warning():
    rng = np.random.default_rng(71)
    frame = covariates(400, rng)
    t = draw_times(rng, -4 + 0.5 * frame["trt"].to_numpy(), np.zeros(400), np.zeros(400), INF)
    frame = frame.assign(time=t, event=1)
    free, warned = fit_quietly(frame, lam="trt", phi="1", gamma=None, kappa="1")
    held = fit(frame, lam="trt", phi="1", gamma=None, kappa=INF)
    assert free.log_likelihood_ >= held.log_likelihood_ - 1e-3
    assert warned or np.exp(free.params_["kappa", "Intercept"]) < 1e6


def test_a_level_that_no_row_has_does_no_harm():
    # What pandas leaves behind when rows of a categorical column are filtered.
    frame = veteran().astype({"cell": "category"}).query("cell != 'adeno'")
    blocks = {"phi": "cell", "gamma": "1", "lam": None, "kappa": 0}
    by_text = fit(frame.astype({"cell": str}), **blocks)
    assert fit(frame, **blocks).log_likelihood_ == pytest.approx(by_text.log_likelihood_, abs=1e-7)
