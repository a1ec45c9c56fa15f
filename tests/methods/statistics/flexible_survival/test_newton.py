"""The optimiser on functions whose maximum is known."""

from __future__ import annotations

import numpy as np

from broadsheet.methods.statistics.flexible_survival.newton import maximise, maximise_some


def quadratic(centre, curvature):
    def function(t):
        d = t - centre
        return float(-0.5 * d @ curvature @ d), -curvature @ d, -curvature

    return function


def test_a_quadratic_is_solved_in_steps_of_limited_length():
    curvature = np.array([[2.0, 0.9], [0.9, 1.0]])
    found = maximise(quadratic(np.array([3.0, -2.0]), curvature), np.zeros(2))
    np.testing.assert_allclose(found.theta, [3.0, -2.0], atol=1e-8)
    assert found.converged


def test_it_climbs_out_of_a_saddle():
    def function(t):  # maxima at (-1, 0) and (1, 0), a saddle at 0
        x, y = t
        value = -((x * x - 1) ** 2) - y * y
        return value, np.array([-4 * x * (x * x - 1), -2 * y]), np.array([[-12 * x * x + 4, 0], [0, -2.0]])

    found = maximise(function, np.array([0.01, 0.5]))
    np.testing.assert_allclose(np.abs(found.theta), [1.0, 0.0], atol=1e-6)


def test_it_steps_back_where_the_function_is_not_finite():
    def function(t):  # log t - t, defined for t > 0 only
        x = float(t[0])
        if x <= 0:
            return -np.inf, np.array([np.nan]), np.array([[np.nan]])
        return np.log(x) - x, np.array([1 / x - 1]), np.array([[-1 / x**2]])

    found = maximise(function, np.array([1.99]))
    np.testing.assert_allclose(found.theta, [1.0], atol=1e-6)


def test_it_stops_where_it_is_told_to_and_says_so():
    def rising(t):
        return float(t[0]), np.ones(1), np.zeros((1, 1))

    found = maximise(rising, np.zeros(1), give_up=lambda t: t[0] > 10)
    assert not found.converged
    assert 10 < found.theta[0] < 20
    assert not maximise(rising, np.zeros(1), max_iterations=5).converged


def test_coordinates_can_be_held():
    curvature = np.array([[2.0, 0.9], [0.9, 1.0]])
    function = quadratic(np.array([1.0, 1.0]), curvature)
    found = maximise_some(function, np.zeros(2), np.array([True, False]))
    np.testing.assert_allclose(found.theta, [1.0 + 0.45, 0.0], atol=1e-8)
