"""Search the allowed mixtures for the one with the lowest predicted loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from broadsheet.methods.scaling.regmix.regressors import BoostedTrees, LinearMixture, QuadraticMixture
from broadsheet.methods.scaling.regmix.simplex import SimplexBox

__all__ = ["lowest", "minimise_polynomial", "polynomial", "predict_sum"]

Parts = Sequence[tuple[float, Any]]
"""An objective: weights and fitted regressors, whose weighted predictions are summed."""

_STAGES = (100, 150, 200, 300, 400, 600)
_SCOUTS = 4


def predict_sum(parts: Parts, mixtures: np.ndarray) -> np.ndarray:
    """Return the weighted sum of predictions, (mixtures,)."""
    total = np.zeros(len(mixtures))
    for weight, model in parts:
        total += weight * np.asarray(model.predict(mixtures), float)
    return total


def lowest(parts: Parts, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the k candidates with the lowest prediction.

    Trees are evaluated some at a time, and candidates that can no longer be among the k are dropped: those whose
    sum so far plus the smallest output of every tree to come exceeds the k-th lowest full prediction known. The
    answer is the same as from full predictions, several times sooner.

    Args:
        parts: The objective.
        candidates: Mixtures, (n, domains).
        k: How many, 1 to n.

    Returns:
        Indices of the k, lowest first, and their predictions.
    """
    if len(candidates) > 4 * k and all(isinstance(model, BoostedTrees) for _, model in parts):
        alive, predicted = _survivors(parts, candidates, k)
    else:
        alive, predicted = np.arange(len(candidates)), predict_sum(parts, candidates)
    order = np.argsort(predicted, kind="stable")[:k]
    return alive[order], predicted[order]


def _survivors(parts: Parts, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    most = max(model.n_trees_ for _, model in parts)
    alive, sums, done = np.arange(len(candidates)), np.zeros(len(candidates)), 0
    for stop in [stage for stage in _STAGES if stage < most] + [most]:
        rows = candidates[alive]
        for weight, model in parts:
            sums += weight * model.predict(rows, done, stop)
        done = stop
        if stop == most:
            break
        floor = sum(_least_to_come(weight, model, done) for weight, model in parts)
        # Full predictions of the most promising ones bound the k-th lowest from above.
        scouts = np.argpartition(sums, min(_SCOUTS * k, len(sums) - 1))[: _SCOUTS * k]
        bar = np.partition(_finish(parts, rows[scouts], sums[scouts], done), k - 1)[k - 1]
        # The sums' own rounding must not drop a candidate that ties with the k-th.
        keep = sums + floor <= bar + 1e-9 * max(1.0, abs(bar))
        alive, sums = alive[keep], sums[keep]
    return alive, sums


def _least_to_come(weight: float, model: BoostedTrees, done: int) -> float:
    ends = model.leaf_range_[done:]
    return float(weight * (ends[:, 0] if weight >= 0 else ends[:, 1]).sum())


def _finish(parts: Parts, rows: np.ndarray, sums: np.ndarray, done: int) -> np.ndarray:
    return np.asarray(sums + sum(weight * model.predict(rows, done) for weight, model in parts))


def polynomial(parts: Parts, domains: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return slopes and products of the objective if it is a polynomial of second degree, else None.

    Args:
        parts: The objective.
        domains: Number of domains.

    Returns:
        Slopes (domains,) and a symmetric matrix (domains, domains), without the constant; or None.
    """
    slopes, products = np.zeros(domains), np.zeros((domains, domains))
    for weight, model in parts:
        if not isinstance(model, LinearMixture | QuadraticMixture):
            return None
        slopes += weight * model.coef_
        if isinstance(model, QuadraticMixture):
            products += weight * model.interaction_
    return slopes, products


def minimise_polynomial(
    slopes: np.ndarray, products: np.ndarray, box: SimplexBox, starts: np.ndarray, steps: int = 5000
) -> np.ndarray:
    """Minimise ``slopes @ x + x @ products @ x`` over the allowed mixtures.

    Without products the answer is exact. Otherwise projected gradients with momentum run from all starts at once
    until none moves; each start's best point is kept, so that the answer is never above the best start. The
    polynomial need not be convex: the answer is then the lowest of the local minima that were reached.

    Args:
        slopes: Linear terms, (domains,).
        products: Symmetric matrix, (domains, domains).
        box: The allowed mixtures.
        starts: Allowed mixtures to start from, (starts, domains).
        steps: Most steps.

    Returns:
        The minimiser, (domains,).

    Source:
        Beck and Teboulle 2009 (momentum), O'Donoghue and Candès 2015 (restarts).
    """
    if not products.any():
        return box.best_linear(slopes)

    def value(points: np.ndarray) -> np.ndarray:
        return np.asarray(points @ slopes + ((points @ products) * points).sum(axis=1))

    rate = 1.0 / (2.0 * np.linalg.norm(products, 2))
    here, ahead = starts.copy(), starts.copy()
    best, lowest_yet = starts.copy(), value(starts)
    momentum = np.ones(len(starts))
    for _ in range(steps):
        moved = box.project(ahead - rate * (slopes + 2.0 * ahead @ products))
        step = moved - here
        restart = ((ahead - moved) * step).sum(axis=1) > 0
        momentum = np.where(restart, 1.0, momentum)
        following = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        ahead = moved + ((momentum - 1.0) / following)[:, None] * step
        here, momentum = moved, following
        values = value(here)
        better = values < lowest_yet
        best[better], lowest_yet[better] = here[better], values[better]
        if np.abs(step).max() < 1e-12:
            break
    winner: np.ndarray = best[int(np.argmin(lowest_yet))]
    return winner
