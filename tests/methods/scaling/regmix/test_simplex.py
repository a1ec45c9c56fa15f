"""Allowed mixtures: draws stay inside, projections are nearest, linear objectives are solved exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from broadsheet.methods.scaling.regmix.simplex import SimplexBox, draw_dirichlet


def some_box(rng, k):
    lower = rng.dirichlet(np.ones(k)) * rng.uniform(0, 0.9) * (rng.random(k) < 0.6)
    upper = np.minimum(lower + rng.uniform(0.05, 1.0, k), 1.0)
    if upper.sum() < 1.0:
        upper[0] = 1.0
    return SimplexBox([f"d{i}" for i in range(k)], lower, upper)


@settings(max_examples=60)
@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_draws_lie_in_the_set_even_where_a_prior_is_extreme(k, seed):
    rng = np.random.default_rng(seed)
    box = some_box(rng, k)
    prior = rng.dirichlet(np.full(k, 0.1)) * 0.98 + 0.02 / k
    drawn = box.draw(prior, 50, rng)
    assert box.contains(drawn, 1e-9).all()


@settings(max_examples=60)
@given(st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_projection_lies_in_the_set_and_satisfies_its_optimality_condition(k, seed):
    rng = np.random.default_rng(seed)
    box = some_box(rng, k)
    points = rng.normal(0, 2, (20, k))
    nearest = box.project(points)
    assert box.contains(nearest, 1e-9).all()
    # (p - P(p)) . (y - P(p)) <= 0 for every y of the set: enough to be tested at its extreme points.
    for point, here in zip(points, nearest, strict=True):
        assert (point - here) @ (box.best_linear(here - point) - here) <= 1e-8


def test_projection_agrees_with_a_general_solver():
    rng = np.random.default_rng(5)
    box = some_box(rng, 5)
    point = rng.normal(size=5)
    found = minimize(
        lambda x: ((x - point) ** 2).sum(),
        box.project(np.zeros((1, 5)))[0],
        bounds=list(zip(box.lower, box.upper, strict=True)),
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14},
    )
    assert np.allclose(box.project(point[None])[0], found.x, atol=1e-5)


@settings(max_examples=40)
@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_the_best_linear_mixture_is_that_of_linear_programming(k, seed):
    rng = np.random.default_rng(seed)
    box, slopes = some_box(rng, k), rng.normal(size=k)
    other = linprog(
        slopes, A_eq=np.ones((1, k)), b_eq=[1], bounds=list(zip(box.lower, box.upper, strict=True))
    )
    found = box.best_linear(slopes)
    assert box.contains(found[None], 1e-9).all()
    assert slopes @ found == pytest.approx(other.fun, abs=1e-9)


def test_a_domain_that_would_overflow_gives_to_the_others_in_proportion():
    box = SimplexBox.of(["a", "b", "c"], {"a": (0.0, 0.5)})
    filled = box._fill(np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3]]))
    assert np.allclose(filled, [[0.5, 1 / 3, 1 / 6], [0.2, 0.5, 0.3]], atol=1e-9)


def test_dirichlet_has_its_moments_and_survives_tiny_concentrations():
    a = np.array([0.5, 1.0, 2.5])
    x = draw_dirichlet(np.broadcast_to(a, (40_000, 3)), np.random.default_rng(0))
    mean = a / a.sum()
    assert np.allclose(x.mean(axis=0), mean, atol=0.006)
    assert np.allclose(x.var(axis=0), mean * (1 - mean) / (a.sum() + 1), atol=0.003)
    tiny = draw_dirichlet(np.full((2000, 4), 1e-5), np.random.default_rng(1))
    assert np.isfinite(tiny).all()
    assert np.allclose(tiny.sum(axis=1), 1.0)
    assert abs(tiny.mean(axis=0) - 0.25).max() < 0.05


@pytest.mark.parametrize(
    ("bounds", "share", "message"),
    [
        ({"a": (0.6, 1), "b": (0.6, 1)}, None, "smallest shares sum to 1.2, more than 1"),
        (None, 0.4, "smallest shares sum to 1.2"),
        ({"a": (0, 0.2), "b": (0, 0.2), "c": (0, 0.2)}, None, "largest shares sum to 0.6, less than 1"),
        ({"a": (0, 0.2)}, {"a": 0.3}, "domain 'a' needs at least 0.3 and may have at most 0.2"),
        ({"x": (0, 1)}, None, "bounds names 'x', which is no domain; domains are a, b, c"),
        ({"a": (0.5, 0.2)}, None, "0 <= smallest <= largest <= 1"),
        ({"a": 0.5}, None, "must be a pair"),
        ([(0, 1)], None, "bounds must be a mapping"),
        (None, {"x": 0.1}, "min_share names 'x'"),
        (None, -0.1, "min_share of 'a' must be from 0 to 1"),
    ],
)
def test_impossible_bounds_are_refused(bounds, share, message):
    with pytest.raises(ValueError, match=message):
        SimplexBox.of(["a", "b", "c"], bounds, share)


def test_the_seen_range_never_contradicts_a_bound():
    box = SimplexBox.of(["a", "b"], {"a": (0.5, 1.0)})
    narrow = box.within(np.array([[0.1, 0.9], [0.2, 0.8]]))
    assert narrow.contains(np.array([[0.5, 0.5]])).all()
