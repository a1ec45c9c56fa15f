"""The search: dropping candidates changes nothing, and gradients are never worse than sampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from broadsheet.methods.scaling.regmix.optimization import (
    lowest,
    minimise_polynomial,
    polynomial,
    predict_sum,
)
from broadsheet.methods.scaling.regmix.regressors import BoostedTrees, LinearMixture, QuadraticMixture
from broadsheet.methods.scaling.regmix.simplex import SimplexBox


@pytest.fixture(scope="module")
def forests():
    rng = np.random.default_rng(2)
    x = rng.dirichlet(np.ones(5), 200)
    targets = (np.sqrt(x[:, 0]) - x[:, 1], 3 + np.log(0.05 + x[:, 2]), x[:, 3] ** 2)
    return [BoostedTrees(n_estimators=n).fit(x, y) for n, y in zip((250, 450, 120), targets, strict=True)]


@pytest.mark.parametrize("weights", [(1.0, 0, 0), (0.5, 0.25, 2.0), (-1.0, 0.3, 0.0), (0, 0, -1.0)])
@pytest.mark.parametrize("k", [1, 17, 128])
def test_the_lowest_are_those_of_full_predictions(forests, weights, k):
    candidates = np.random.default_rng(3).dirichlet(np.ones(5), 4000)
    parts = [(weight, model) for weight, model in zip(weights, forests, strict=True) if weight]
    full = predict_sum(parts, candidates)
    top, predicted = lowest(parts, candidates, k)
    # Trees tie: the values must agree, and the mixtures wherever the k-th is not tied.
    assert np.allclose(predicted, np.sort(full)[:k], atol=1e-9)
    assert np.allclose(full[top], predicted, atol=1e-9)


def test_other_regressors_are_ranked_by_full_predictions():
    x = np.random.default_rng(4).dirichlet(np.ones(3), 60)
    line = LinearMixture().fit(x, x @ [1.0, 2.0, 3.0])
    top, predicted = lowest([(1.0, line)], x, 5)
    assert np.array_equal(top, np.argsort(line.predict(x), kind="stable")[:5])
    assert (np.diff(predicted) >= 0).all()


@settings(max_examples=30)
@given(st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_gradients_are_never_worse_than_any_start_or_many_draws(k, seed):
    rng = np.random.default_rng(seed)
    box = SimplexBox.of([str(i) for i in range(k)], {"0": (0.05, 0.6)})
    slopes, products = rng.normal(size=k), rng.normal(size=(k, k))
    products = (products + products.T) / 2
    np.fill_diagonal(products, 0.0)

    def value(x):
        return x @ slopes + ((x @ products) * x).sum(axis=-1)

    drawn = box.draw(np.full(k, 1 / k), 500, rng)
    best = drawn[np.argsort(value(drawn))[:8]]
    found = minimise_polynomial(slopes, products, box, np.concatenate([best, box.project(np.eye(k))]))
    assert box.contains(found[None], 1e-8).all()
    assert value(found) <= value(drawn).min() + 1e-12


def test_a_convex_bowl_is_solved_as_by_a_general_solver():
    rng = np.random.default_rng(6)
    half = rng.normal(size=(5, 5))
    products, slopes = half @ half.T, rng.normal(size=5)
    box = SimplexBox.of(list("abcde"), {"a": (0.1, 0.3), "c": (0.0, 0.2)})
    other = minimize(
        lambda x: x @ slopes + x @ products @ x,
        np.full(5, 0.2),
        jac=lambda x: slopes + 2 * products @ x,
        bounds=list(zip(box.lower, box.upper, strict=True)),
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1, "jac": lambda x: np.ones(5)},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    found = minimise_polynomial(slopes, products, box, box.project(np.eye(5)))
    assert np.allclose(found, other.x, atol=1e-6)


def test_polynomials_are_summed_and_trees_are_none(forests):
    x = np.random.default_rng(7).dirichlet(np.ones(5), 80)
    line = LinearMixture().fit(x, x[:, 0])
    bowl = QuadraticMixture().fit(x, x[:, 1] ** 2)
    slopes, products = polynomial([(2.0, line), (-1.0, bowl)], 5)
    expected = 2 * line.predict(x) - bowl.predict(x)
    found = x @ slopes + ((x @ products) * x).sum(axis=1) + 2 * line.intercept_ - bowl.intercept_
    assert np.allclose(found, expected)
    assert polynomial([(1.0, forests[0])], 5) is None
