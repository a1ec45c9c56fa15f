"""The likelihood: against densities by hand, its derivatives, and what must leave it unchanged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadsheet.methods.statistics import APGW
from broadsheet.methods.statistics.flexible_survival import likelihood as module
from broadsheet.methods.statistics.flexible_survival.design import Block, Rows
from broadsheet.methods.statistics.flexible_survival.likelihood import Likelihood
from broadsheet.methods.statistics.flexible_survival.observations import Observations

N = 40
RNG = np.random.default_rng(5)
FRAME = pd.DataFrame({"a": RNG.normal(size=N), "b": RNG.normal(3.0, 2.0, N)})
SETTINGS = {"lam": "0 + b", "phi": "a + b", "gamma": "a", "kappa": "1"}
TRUTH = {"lam": 0.1, "phi": 0.5, "gamma": 1.3, "kappa": 0.6}


def mixed_rows(entries: bool = True) -> Observations:
    """Events, censored times, intervals (one from 0), late entries, and unequal weights."""
    time = RNG.exponential(2.0, N) + 0.5
    lower, upper = time.copy(), time.copy()
    upper[:10] = np.inf
    upper[10:20] = time[10:20] + RNG.exponential(1.0, 10)
    lower[10] = 0.0
    entry = np.where(np.arange(N) % 3 == 0, 0.3 * time, 0.0) if entries else np.zeros(N)
    entry[10] = 0.0
    return Observations(lower, upper, entry, RNG.uniform(0.5, 2.0, N))


def build(seen: Observations, settings: dict) -> Likelihood:
    blocks = [Block.make(name, value, FRAME, seen.weights) for name, value in settings.items()]
    return Likelihood(seen, Rows(blocks, seen.n))


def by_hand(likelihood: Likelihood, theta) -> float:
    """The log-likelihood from the distribution's own functions, row by row."""
    seen = likelihood.seen
    eta = [np.broadcast_to(e, seen.n) for e in likelihood.rows.predictors(theta)]
    total = 0.0
    for i in range(seen.n):
        lifetime = APGW(*(float(np.exp(e[i])) for e in eta[:3]), float(np.expm1(eta[3][i])))
        low, high = seen.lower[i], seen.upper[i]
        if low == high:
            row = lifetime.logpdf(low)
        elif np.isinf(high):
            row = lifetime.logsf(low)
        else:
            row = lifetime.logsf(low) + np.log(-np.expm1(lifetime.logsf(high) - lifetime.logsf(low)))
        total += seen.weights[i] * (row - lifetime.logsf(seen.entry[i]))
    return float(total)


CASES = {
    "all free": SETTINGS,
    "kappa on a covariate": SETTINGS | {"lam": 1.0, "kappa": "a"},
    "kappa infinite": SETTINGS | {"kappa": np.inf, "lam": "1"},
    "log-logistic": SETTINGS | {"kappa": 0.0, "lam": 1.0},
    "proportional hazards": SETTINGS | {"phi": 0.4, "lam": "b"},
    "cure": SETTINGS | {"kappa": -0.4},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("point", [0, 1])
def test_value_gradient_and_hessian(name, point):
    likelihood = build(mixed_rows(), CASES[name])
    # at kappa = inf the hazard is doubly exponential: stay where it is a number of common size
    spread = 0.05 if name == "kappa infinite" else 0.25
    theta = np.random.default_rng(point).normal(0.0, spread, likelihood.rows.size)
    theta[likelihood.rows.slices[1]] -= 0.5
    value, gradient, hessian = likelihood.derivatives(theta)
    assert value == pytest.approx(by_hand(likelihood, theta), rel=1e-9)
    assert likelihood.value(theta) == pytest.approx(value, rel=1e-12)
    step = 1e-5
    ahead = [likelihood.derivatives(theta + step * unit) for unit in np.eye(len(theta))]
    behind = [likelihood.derivatives(theta - step * unit) for unit in np.eye(len(theta))]
    slopes = [(a[0] - b[0]) / (2 * step) for a, b in zip(ahead, behind, strict=True)]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-6 * np.abs(gradient).max())
    curves = [(a[1] - b[1]) / (2 * step) for a, b in zip(ahead, behind, strict=True)]
    np.testing.assert_allclose(hessian, curves, rtol=1e-5, atol=1e-7 * np.abs(hessian).max())
    np.testing.assert_allclose(hessian, hessian.T)


def test_chunks_add_up(monkeypatch):
    likelihood = build(mixed_rows(), SETTINGS)
    theta = np.full(likelihood.rows.size, 0.1)
    whole = likelihood.derivatives(theta)
    monkeypatch.setattr(module, "_CHUNK", 7)
    for one, other in zip(whole, likelihood.derivatives(theta), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_weight_counts_a_row_as_often_as_it_says():
    seen = mixed_rows()
    counted = Observations(seen.lower, seen.upper, seen.entry, np.arange(N) % 3 + 0.0)
    rows = np.repeat(np.arange(N), np.arange(N) % 3)
    one = build(counted, SETTINGS)
    theta = np.full(one.rows.size, 0.1)
    repeated = Likelihood(
        Observations(*(a[rows] for a in (seen.lower, seen.upper, seen.entry)), np.ones(len(rows))),
        one.rows.take(rows),
    )
    assert one.value(theta) == pytest.approx(repeated.value(theta), rel=1e-12)


def test_overflow_is_a_refused_point_and_not_a_number():
    likelihood = build(mixed_rows(), SETTINGS)
    assert likelihood.value(np.full(likelihood.rows.size, 60.0)) == -np.inf


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(1e-3, 1e3))
def test_the_unit_of_time_shifts_it_by_a_constant(scale):
    """With densities of time, k times larger times cost log k for every event seen exactly."""
    seen = mixed_rows()
    moved = Observations(scale * seen.lower, scale * seen.upper, scale * seen.entry, seen.weights)
    settings_ = SETTINGS | {"phi": "1", "lam": "b"}
    one, other = build(seen, settings_), build(moved, settings_)
    theta = np.full(one.rows.size, 0.2)
    shifted = theta.copy()
    shifted[one.rows.slices[1]] -= np.log(scale)
    cost = float(seen.weights[seen.exact].sum()) * np.log(scale)
    assert other.value(shifted) == pytest.approx(one.value(theta) - cost, rel=1e-9)
