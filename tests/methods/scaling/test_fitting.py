"""The optimiser, against SciPy's on the same objective, and as a batch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from broadsheet.methods.scaling import Chinchilla, PowerLaw
from broadsheet.methods.scaling.fitting import distinct_best, minimise, screen
from broadsheet.methods.scaling.objective import Objective


def plain_huber(theta, frame, delta=1e-3):
    """The objective of Hoffmann et al., written without the package."""
    a, b, e, alpha, beta = theta
    z = np.stack([a - alpha * np.log(frame["N"]), b - beta * np.log(frame["D"]), np.full(len(frame), e)])
    r = np.abs(np.log(frame["loss"]) - np.log(np.exp(z).sum(axis=0)))
    return float(np.where(r <= delta, 0.5 * r**2, delta * (r - 0.5 * delta)).sum())


def test_optimum_is_no_worse_than_that_of_scipy(runs, law):
    assert plain_huber(law.theta_, runs) == pytest.approx(law.objective_, rel=1e-12)
    start = np.array([np.log(400), np.log(1500), np.log(1.7), 0.34, 0.35])
    # SciPy's simplex on the scaled objective, started near: it can end lower only if ours is no minimum.
    found = optimize.minimize(
        lambda t: 1e6 * plain_huber(t, runs),
        law.theta_ + 0.001 * start,
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000, "maxfev": 4000, "adaptive": True},
    )
    assert law.objective_ <= 1e-6 * found.fun * (1 + 1e-12)
    np.testing.assert_allclose(found.x, law.theta_, rtol=2e-3)


def test_least_squares_are_those_of_curve_fit():
    x = np.array([0.15, 0.3, 0.6, 1.0, 1.4, 2.0])
    y = 3.43 + 0.05 / x**1.02 + 0.002 * np.array([1, -1, 1, 1, -1, -1])
    theirs, _ = optimize.curve_fit(lambda x, A, a, E: E + A / x**a, x, y, p0=(0.05, 1.0, 3.4))
    ours = PowerLaw(loss="mse", space="linear", x="size").fit(pd.DataFrame({"size": x, "loss": y}))
    np.testing.assert_allclose([ours.params_[n] for n in ("A", "alpha", "E")], theirs, rtol=1e-5)


def test_a_batch_ends_where_its_members_end_alone(runs, law):
    weights = np.random.default_rng(0).integers(0, 3, (6, len(runs))).astype(float)
    starts = np.repeat(law.theta_[None], 6, axis=0)
    together = minimise(law._objective(weights), starts)
    for i in range(6):
        alone = minimise(law._objective(weights[i]), starts[i : i + 1])
        np.testing.assert_array_equal(together.theta[i], alone.theta[0])
    assert together.converged.all()


def test_held_parameters_do_not_move(law):
    start = law.theta_.copy()
    start[3] = 0.4
    found = minimise(law._objective(), start[None], free=np.array([True, True, True, False, True]))
    assert found.theta[0, 3] == 0.4
    assert found.value[0] > law.objective_
    gradient = law._objective().derivatives(found.theta).gradient[0]
    assert np.abs(np.delete(gradient, 3)).max() < 1e-7 < abs(gradient[3])


@pytest.mark.parametrize("loss", ["mae", "asymmetric"])
def test_losses_with_a_kink_reach_a_point_that_no_small_move_improves(runs, loss):
    fitted = Chinchilla(loss=loss).fit(runs)
    objective = fitted._objective()
    rng = np.random.default_rng(0)
    for scale in (1e-2, 1e-4, 1e-6):
        around = fitted.theta_ + scale * rng.standard_normal((400, 5))
        assert objective.value(around).min() >= fitted.objective_ * (1 - 1e-9)


def test_asymmetric_fit_is_a_lower_bound(runs):
    below = Chinchilla(loss="asymmetric", space="linear").fit(runs)
    # The optimum of a pinball with weights 10 and 1 leaves about 1 in 11 observations below.
    assert np.mean(runs["loss"] < below.predict(runs)) < 0.2


def test_screen_gives_infinity_where_the_law_overflows_and_best_are_distinct():
    x = {"N": np.array([1.0, 2.0, 3.0])}
    objective = Objective(PowerLaw(), x, np.array([3.0, 2.0, 1.5]), space="linear")
    starts = np.array([[0.0, 0.5, 0.0], [900.0, 0.5, 0.0], [0.0, 0.5, 0.0], [0.5, 0.5, 0.0]])
    values = screen(objective, starts)
    assert np.isinf(values[1])
    assert np.isfinite(values[[0, 2, 3]]).all()
    best = distinct_best(starts, values, 16)
    assert len(best) == 2
