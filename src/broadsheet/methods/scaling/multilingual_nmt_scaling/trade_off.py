"""Trading tasks against each other with a fitted law: the frontier, and the weights that are best for a purpose."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from broadsheet.methods.scaling.multilingual_nmt_scaling.cells import refuse_task
from broadsheet.methods.scaling.objective import Floats

if TYPE_CHECKING:
    from broadsheet.methods.scaling.multilingual_nmt_scaling.law import MixtureScaling

__all__ = ["best_weights", "frontier"]

_LEAST = 1e-4  # the smallest weight that is considered: at 0 the law says nothing
Utility = Callable[[Mapping[Hashable, float]], float]


def frontier(
    law: MixtureScaling, N: float, tasks: Sequence[Hashable] | None, n: int, total: float
) -> pd.DataFrame:
    """Return the curve of two tasks' losses: see :meth:`MixtureScaling.frontier`."""
    _refuse_size(N)
    chosen = tuple(law.tasks_ if tasks is None else tasks)
    for task in chosen:
        refuse_task(task, law.tasks_)
    if len(set(chosen)) != 2:
        raise ValueError(
            f"tasks must name two different tasks of {', '.join(map(repr, law.tasks_))}, got {tasks!r}"
        )
    if not 0.0 < total <= 1.0:
        raise ValueError(f"total must be in (0, 1], got {total!r}")
    if isinstance(n, bool) or not n >= 2:
        raise ValueError(f"n must be at least 2, got {n!r}")
    first, second = chosen
    if law.f == "free":
        seen = sorted({w for k, t, w in law.cells_.index if k == "beta" and t == first and w is not None})
        p = np.array([w for w in seen if w < total and law.cells_.has(second, total - w)])
        if not len(p):
            raise ValueError(
                f"with f='free' no weights of the fit sum to {total:g} for {first!r} and {second!r}; use f='power'"
            )
    else:
        p = total * np.linspace(0.01, 0.99, n)
    losses = {task: _losses(law, N, task, w) for task, w in ((first, p), (second, total - p))}
    return pd.DataFrame({f"p_{first}": p, f"p_{second}": total - p, **losses})


def _refuse_size(N: float) -> None:
    if isinstance(N, bool) or not isinstance(N, int | float | np.number) or not 0 < float(N) < np.inf:
        raise ValueError(f"N must be a finite number > 0, got {N!r}")


def _losses(law: MixtureScaling, N: float, task: Hashable, p: Any) -> Floats:
    p = np.atleast_1d(np.asarray(p, float))
    x = {"N": np.full(len(p), float(N)), "p": p, "task": np.array([task] * len(p), dtype=object)}
    return np.asarray(np.exp(law._log_predict(law.theta_[None], x)[0]))


def best_weights(law: MixtureScaling, N: float, utility: Utility | str | None) -> pd.Series:
    """Return the weights of the highest utility: see :meth:`MixtureScaling.best_weights`."""
    _refuse_size(N)
    if law.f == "free":
        raise ValueError("f='free' knows the weights of its runs only; fit with f='power' or 'linear'")
    if isinstance(utility, str) and utility != "equal regret":
        raise ValueError(f"utility must be a function of the losses, 'equal regret' or None, got {utility!r}")
    tasks = law.tasks_
    wanted = _regret(law, N) if isinstance(utility, str) else (utility or _mean)

    def value(weights: Floats) -> float:
        found = {task: float(_losses(law, N, task, w)[0]) for task, w in zip(tasks, weights, strict=True)}
        return float(wanted(found))

    equal = np.full(len(tasks), 1.0 / len(tasks))
    if not np.isfinite(value(equal)):
        raise ValueError(f"utility must be a finite number, got {value(equal)!r} at equal weights")
    if len(tasks) == 1:
        return pd.Series([1.0], index=list(tasks), name="p")
    best = _search(value, len(tasks))
    return pd.Series(best, index=list(tasks), name="p")


def _mean(losses: Mapping[Hashable, float]) -> float:
    return -sum(losses.values()) / len(losses)


def _regret(law: MixtureScaling, N: float) -> Utility:
    alone = {task: float(_losses(law, N, task, 1.0)[0]) for task in law.tasks_}
    return lambda losses: -max(losses[task] - alone[task] for task in alone)


def _search(value: Callable[[Floats], float], count: int) -> Floats:
    """Maximise over the simplex: the best of a coarse set of points, then downhill simplex in log ratios."""

    def weights(z: Floats) -> Floats:
        full = np.append(z, 0.0)
        share = np.exp(full - full.max())
        share = np.maximum(share / share.sum(), _LEAST)
        return np.asarray(share / share.sum())

    if count == 2:
        first = np.linspace(_LEAST, 1 - _LEAST, 201)
        points = np.column_stack([first, 1 - first])
    else:
        points = np.random.default_rng(0).dirichlet(np.ones(count), 200 * count)
        points = np.vstack([np.full((1, count), 1.0 / count), np.maximum(points, _LEAST)])
    scores = np.array([value(p / p.sum()) for p in points])
    best = points[int(np.nanargmax(scores))]
    found = minimize(
        lambda z: -value(weights(z)),
        np.log(best[:-1] / best[-1]),
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-13, "maxiter": 4000},
    )
    refined = weights(found.x)
    return refined if value(refined) >= np.nanmax(scores) else best / best.sum()
