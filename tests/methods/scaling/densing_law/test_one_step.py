"""The one-step reference: its inverse, its intervals, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from broadsheet.methods.scaling.densing_law.one_step import OneStepReference
from broadsheet.methods.scaling.densing_law.scores import ExtrapolationWarning

W = np.array([-36.0, 0.65, 0.72])


def family(noise: float = 0.0, seed: int = 0) -> pd.DataFrame:
    N = np.array([7e9, 13e9, 33e9, 65e9, 7e9, 13e9, 70e9])
    D = np.array([1e12, 1e12, 1.4e12, 1.4e12, 2e12, 2e12, 2e12])
    z = W[0] + W[1] * np.log(N) + W[2] * np.log(D)
    z += noise * np.random.default_rng(seed).normal(size=7)
    return pd.DataFrame({"N": N, "D": D, "MMLU": 0.25 + 0.75 * expit(z)})


def reference(**options) -> OneStepReference:
    return OneStepReference(metric="MMLU", floor=0.25).fit(family(**options))


def test_coefficients_of_exact_scores_come_back():
    ref = reference()
    assert ref.coef_ == pytest.approx(W, rel=1e-9)
    assert ref.r2_ == pytest.approx(1.0)
    assert ref.N_range_ == (7e9, 70e9)


@given(st.floats(1e9, 5e11), st.floats(1e11, 1e13))
def test_the_effective_size_of_the_reference_is_its_own(N, D0):
    ref = reference()
    assert ref.effective_parameters(ref.predict(N, D0), D0)["N_effective"][0] == pytest.approx(N, rel=1e-6)


def test_density_is_a_ratio_and_falls_with_more_tokens_for_the_reference():
    ref = reference()
    score = float(ref.predict(20e9, 1e12)[0])
    assert ref.density(score, 10e9)[0] == pytest.approx(2.0)
    assert ref.density(score, 10e9, D0=2e12)[0] < 2.0
    # w1 ln N + w2 ln D is what the score tells: doubling D0 saves 2^(w2/w1) in size
    assert ref.density(score, 10e9, D0=2e12)[0] == pytest.approx(2.0 * 2 ** (-W[2] / W[1]))


def test_a_series_keeps_its_index():
    scores = pd.Series([0.4, 0.5], index=["a", "b"])
    found = reference().density(scores, np.array([1e9, 2e9]))
    assert found.index.tolist() == ["a", "b"]
    assert found.name == "density"


def test_undefined_sizes_are_nan_with_their_reason():
    table = reference().effective_parameters([0.2, 0.25, 1.0, np.nan, 0.5])
    assert table["N_effective"].isna().tolist() == [True, True, True, True, False]
    assert table["reason"].tolist()[:4] == [
        "at or below the floor",
        "at or below the floor",
        "at or above the ceiling",
        "missing",
    ]


def test_far_extrapolation_is_told():
    ref = reference()
    with pytest.warns(ExtrapolationWarning, match="1 of 2 effective sizes exceed 10 times"):
        ref.density([0.5, 0.97], [1e9, 1e9])


def test_intervals_cover_the_true_size():
    hits = 0
    truth = 30e9
    score = float(reference().predict(truth, 1e12)[0])
    for seed in range(150):
        table = reference(noise=0.15, seed=seed).effective_parameters(score, interval=0.9)
        hits += table["lower"][0] <= truth <= table["upper"][0]
    assert 0.83 <= hits / 150 <= 0.96


def test_confint_is_least_squares_own():
    frame = family(noise=0.1)
    ref = OneStepReference(metric="MMLU", floor=0.25).fit(frame)
    s = (frame["MMLU"] - 0.25) / 0.75
    X = np.column_stack([np.ones(7), np.log(frame["N"]), np.log(frame["D"])])
    solved, rss, *_ = np.linalg.lstsq(X, np.log(s / (1 - s)), rcond=None)
    assert ref.coef_ == pytest.approx(solved, rel=1e-6)
    error = np.sqrt(rss[0] / 4 * np.linalg.inv(X.T @ X)[1, 1])
    interval = ref.confint().loc["w1"]
    assert (interval["upper"] - interval["lower"]) / 2 == pytest.approx(2.776445 * error, rel=1e-4)


def test_it_is_an_estimator():
    ref = OneStepReference(metric="MMLU", floor=0.25)
    assert clone(ref).get_params() == {"metric": "MMLU", "floor": 0.25, "ceiling": 1.0}
    with pytest.raises(NotFittedError):
        ref.predict(1e9, 1e12)


def test_what_it_refuses():
    frame = family()
    fit = OneStepReference(metric="MMLU", floor=0.25).fit
    with pytest.raises(ValueError, match="divide percent by 100"):
        fit(frame.assign(MMLU=100 * frame["MMLU"]))
    with pytest.raises(ValueError, match="does not grow with N"):
        fit(frame.assign(MMLU=1.2 - frame["MMLU"]))
    with pytest.raises(ValueError, match="all reference models have 7e\\+09 parameters"):
        fit(frame.assign(N=7e9))
    with pytest.raises(ValueError, match="all reference models saw 1e\\+12 tokens"):
        fit(frame.assign(D=1e12))
    with pytest.raises(ValueError, match="are proportional"):
        fit(frame.assign(D=20 * frame["N"]))
    with pytest.raises(
        ValueError, match=r"at least 4 models that score between floor 0\.25 and ceiling 1, got 3 of 7"
    ):
        fit(frame.assign(MMLU=[0.2, 0.2, 0.2, 0.2, 0.4, 0.5, 0.6]))
    with pytest.raises(ValueError, match="N: values must be positive and finite, got -1 at place 0"):
        fit(frame.assign(N=-1.0))
    with pytest.raises(KeyError, match="no column 'tokens'"):
        fit(frame, D="tokens")
    with pytest.raises(ValueError, match="interval must lie between 0 and 1"):
        fit(frame).effective_parameters(0.5, interval=95)
