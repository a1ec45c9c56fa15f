"""The two steps and the exponential law: parameters come back, derivatives are right, inverses invert."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from broadsheet.methods.scaling.densing_law.family import ReferenceFamily
from broadsheet.methods.scaling.densing_law.laws import ConditionalLossLaw, ExponentialTrend, LossToMetric

RNG = np.random.default_rng(0)


def runs(noise: float = 2e-3) -> pd.DataFrame:
    N, D = (m.ravel() for m in np.meshgrid(np.geomspace(5e6, 8e8, 6), np.geomspace(1e8, 5e10, 5)))
    jitter = np.exp(noise * np.random.default_rng(3).normal(size=len(N)))
    loss = jitter * (1.1 * (N / 1e8) ** -0.28 + 0.5 * (D / 1e10) ** -0.22)
    return pd.DataFrame({"N": N, "D": D, "loss": loss, "score": 0.25 + 0.7 / (1 + np.exp(4 * (loss - 1.3)))})


@pytest.mark.parametrize(
    ("law", "theta", "x"),
    [
        (
            ConditionalLossLaw(),
            [5.0, 6.0, 0.3, 0.25],
            {"N": np.array([1e7, 1e9]), "D": np.array([1e9, 1e11])},
        ),
        (LossToMetric(floor=0.25), [1.2, 0.8], {"loss": np.array([0.3, 0.9, 2.0])}),
        (LossToMetric(floor=0.0, ceiling=None), [1.2, 0.8, -0.2], {"loss": np.array([0.3, 0.9, 2.0])}),
        (ExponentialTrend(), [0.01, -2.0], {"t": np.array([-5.0, 0.0, 400.0])}),
    ],
    ids=lambda v: type(v).__name__,
)
def test_derivatives_are_those_of_the_prediction(law, theta, x):
    theta = np.array([theta])
    f, jacobian = law._log_predict_jacobian(theta, x)
    assert f == pytest.approx(law._log_predict(theta, x))
    for j in range(theta.shape[1]):
        step = np.zeros_like(theta)
        step[0, j] = 1e-6
        slope = (law._log_predict(theta + step, x) - law._log_predict(theta - step, x)) / 2e-6
        assert jacobian[..., j] == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_loss_law_finds_both_exponents_and_has_no_floor():
    law = ConditionalLossLaw().fit(runs())
    assert law.params_["alpha"] == pytest.approx(0.28, abs=0.01)
    assert law.params_["beta"] == pytest.approx(0.22, abs=0.01)
    assert law.predict(N=1e20, D=1e22)[0] < 1e-2
    assert set(law.params_) == {"a", "b", "alpha", "beta"}


def test_score_falls_with_loss_in_the_papers_sign():
    frame = runs()
    noisy = frame["score"] + 1e-3 * np.random.default_rng(1).normal(size=len(frame))
    law = LossToMetric(floor=0.25, ceiling=None).fit(frame.assign(score=noisy))
    assert law.gamma_ == pytest.approx(-4.0, abs=0.1)
    assert law.height_ == pytest.approx(0.7, abs=0.02)
    p = law.params_
    L = np.array([0.5, 1.0, 2.0])
    by_hand = p["c"] / (1 + np.exp(-law.gamma_ * (L - p["l"]))) + 0.25
    assert law.predict(pd.DataFrame({"loss": L})) == pytest.approx(by_hand)


def test_the_inverse_of_step_two():
    frame = runs()
    law = LossToMetric(floor=0.25, ceiling=0.95).fit(
        frame.assign(score=frame["score"] + 1e-3 * np.random.default_rng(2).normal(size=len(frame)))
    )
    L = np.array([0.6, 1.2, 2.5])
    assert law.inverse(law.predict(pd.DataFrame({"loss": L}))) == pytest.approx(L)
    assert np.isnan(law.inverse([0.25, 0.2, 0.95, 1.0])).all()


def test_bounds_are_checked_at_fit():
    with pytest.raises(ValueError, match=r"below ceiling, got floor=0\.5, ceiling=0\.4"):
        LossToMetric(floor=0.5, ceiling=0.4).fit(runs())


def test_family_round_trip_and_reasons():
    frame = runs(noise=0.0)
    ref = ReferenceFamily().fit_loss(frame).fit_metric(frame, floor=0.25, ceiling=0.95)
    N = np.array([5e7, 5e8, 5e9])
    back = ref.effective_parameters(ref.predict(N, 1e12))
    assert back["N_effective"].to_numpy() == pytest.approx(N, rel=1e-6)
    found = ref.effective_parameters([0.2, 0.96, np.nan, 0.9499999])
    assert found["reason"].tolist()[:3] == ["at or below the floor", "at or above the ceiling", "missing"]
    assert found["N_effective"][:3].isna().all()
    # so little loss that the tokens' own term exceeds it, however large the model
    tight = ref.effective_parameters(ref.predict(1e13, 1e12) + 1e-9, D0=1e8)
    assert tight["reason"][0] == "tokens alone cost more"
    assert ref.density(ref.predict(1e9, 1e12), 2e9)[0] == pytest.approx(0.5, rel=1e-6)


def test_family_interval_holds_the_size():
    frame = runs(noise=0.01)
    noisy = frame.assign(
        score=np.clip(frame["score"] + 5e-3 * np.random.default_rng(4).normal(size=len(frame)), 0.26, 1)
    )
    ref = ReferenceFamily().fit_loss(noisy).fit_metric(noisy, floor=0.25, ceiling=0.95)
    clean = runs(noise=0.0)
    truth = ReferenceFamily().fit_loss(clean).fit_metric(clean, floor=0.25, ceiling=0.95)
    row = ref.effective_parameters(truth.predict(1e9, 1e12), interval=0.95, n_boot=100).iloc[0]
    assert row["lower"] < row["N_effective"] < row["upper"]
    assert row["lower"] < 1e9 < row["upper"]


def test_family_says_what_is_missing_or_wrong():
    frame = runs()
    with pytest.raises(NotFittedError, match="call fit_loss first"):
        ReferenceFamily().predict(1e9, 1e12)
    with pytest.raises(NotFittedError, match="call fit_metric first"):
        ReferenceFamily().fit_loss(frame).predict(1e9, 1e12)
    with pytest.raises(ValueError, match="does not fall as 'loss' grows"):
        ReferenceFamily().fit_metric(frame.assign(score=frame["loss"] / 10))
    with pytest.raises(ValueError, match="divide percent by 100"):
        ReferenceFamily().fit_metric(frame.assign(score=100 * frame["score"]))
    with pytest.raises(ValueError, match="2 scores are missing"):
        ReferenceFamily().fit_metric(frame.assign(score=frame["score"].where(frame.index > 1)))
