"""The objective: closed forms, and every derivative against numerical ones."""

from __future__ import annotations

import numpy as np
import pytest

from broadsheet.methods.scaling import Chinchilla, KaplanSteps, PowerLaw, Reciprocal
from broadsheet.methods.scaling.law import Law
from broadsheet.methods.scaling.objective import LOSSES, Objective

RNG = np.random.default_rng(5)
N = RNG.uniform(2.0, 50.0, 9)
D = RNG.uniform(3.0, 80.0, 9)
Y = RNG.uniform(1.5, 4.0, 9)
CASES = {
    "chinchilla": (Chinchilla(), {"N": N, "D": D}, [[0.3, 0.5, 0.2, 0.4, 0.7], [1.0, -0.5, 0.1, 0.2, 1.2]]),
    "power": (PowerLaw(), {"N": N}, [[0.3, 0.4, 0.2]]),
    "power without offset": (PowerLaw(offset=False), {"N": N}, [[1.3, 0.1]]),
    "reciprocal": (Reciprocal(x="N"), {"N": N}, [[1.0, 0.5]]),
    "kaplan": (KaplanSteps(), {"N": N, "S": D}, [[3.0, -1.0, 2.0, -0.3]]),
}


@pytest.mark.parametrize("name", CASES)
def test_jacobian_is_the_derivative_of_the_prediction(name):
    law, x, theta = CASES[name]
    theta = np.array(theta)
    predicted, jacobian = law._log_predict_jacobian(theta, x)
    np.testing.assert_allclose(predicted, law._log_predict(theta, x), rtol=1e-13)
    for j in range(theta.shape[1]):
        step = np.zeros_like(theta)
        step[:, j] = 1e-6
        numeric = (law._log_predict(theta + step, x) - law._log_predict(theta - step, x)) / 2e-6
        np.testing.assert_allclose(jacobian[..., j], numeric, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_curvature_is_the_derivative_of_the_jacobian(name):
    law, x, theta = CASES[name]
    theta = np.array(theta)
    u = np.random.default_rng(2).normal(size=(len(theta), 9))
    numeric = Law._log_predict_curvature(law, theta, x, u)
    np.testing.assert_allclose(law._log_predict_curvature(theta, x, u), numeric, atol=1e-7)


@pytest.mark.parametrize("space", ["log", "linear"])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_and_hessian_are_those_of_the_value(loss, space):
    law, x, theta = CASES["chinchilla"]
    theta = np.array(theta[:1])
    # Huber's threshold and the smoothing are wide, so that no residual crosses a kink within the step.
    objective = Objective(law, x, Y, loss, 0.5, space, np.arange(1.0, 10.0))
    smooth = 0.4
    here = objective.derivatives(theta, smooth)
    for j in range(5):
        step = np.zeros_like(theta)
        step[:, j] = 1e-6
        up, down = objective.derivatives(theta + step, smooth), objective.derivatives(theta - step, smooth)
        np.testing.assert_allclose(
            here.gradient[0, j], (up.value - down.value)[0] / 2e-6, rtol=2e-6, atol=1e-7
        )
        np.testing.assert_allclose(
            here.hessian[0, j], (up.gradient - down.gradient)[0] / 2e-6, rtol=1e-5, atol=1e-5
        )


def test_losses_have_their_closed_forms():
    law, x = Reciprocal(x="N"), {"N": np.array([1.0, 1.0, 1.0])}
    theta = np.log([[1.0, 1.0]])  # predicts 2 everywhere
    y = np.array([2.1, 1.7, 2.0])

    def value(loss, space, **settings):
        return float(Objective(law, x, y, loss, space=space, **settings).value(theta)[0])

    r = np.log(y / 2.0)
    assert value("mse", "log") == pytest.approx(0.5 * (r**2).sum())
    assert value("mae", "linear") == pytest.approx(0.1 + 0.3)
    assert value("asymmetric", "linear") == pytest.approx(0.1 + 10 * 0.3)  # over-prediction weighs 10 times
    d = 0.1
    assert value("huber", "log", delta=d) == pytest.approx(0.5 * r[0] ** 2 + d * (abs(r[1]) - d / 2))


def test_a_member_of_a_batch_has_the_value_it_has_alone():
    law, x, theta = CASES["chinchilla"]
    theta = np.array(theta)
    weights = np.random.default_rng(0).integers(0, 3, (2, 9)).astype(float)
    both = Objective(law, x, Y, weights=weights)
    for i in range(2):
        alone = Objective(law, x, Y, weights=weights[i])
        np.testing.assert_array_equal(both.value(theta)[i], alone.value(theta[i : i + 1])[0])
        a, b = both.derivatives(theta), alone.derivatives(theta[i : i + 1])
        np.testing.assert_allclose(a.gradient[i], b.gradient[0], rtol=1e-13)
        np.testing.assert_allclose(a.hessian[i], b.hessian[0], rtol=1e-12)
