"""The optimiser: many starts, or many resamples, brought to their optima as one batch.

Damped Newton steps with exact Hessians. Steps are measured in a metric of the problem's own curvature, so that
neither units nor the strong correlation of a coefficient with its exponent matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broadsheet.methods.scaling.objective import Derivatives, Floats, Objective

__all__ = ["Optima", "distinct_best", "minimise", "screen"]

_LONGEST = 4.0  # largest change of a transformed parameter in one step
_RIDGE = 1e-9
_CELLS = 2_000_000  # doubles in one block of the screen


@dataclass(frozen=True)
class Optima:
    """Where m searches ended.

    Attributes:
        theta: (m, k) transformed parameters.
        value: (m,) objective.
        converged: (m,) whether a further step promises nothing.
        iterations: Steps of the longest search.
    """

    theta: Floats
    value: Floats
    converged: np.ndarray
    iterations: int


def screen(objective: Objective, starts: Floats) -> Floats:
    """Evaluate the objective at every start.

    Args:
        objective: With one vector of weights or none.
        starts: (m, k).

    Returns:
        (m,) values; infinite where the law overflows.
    """
    block = max(1, _CELLS // max(1, len(objective.y)))
    return np.concatenate([objective.value(starts[i : i + block]) for i in range(0, len(starts), block)])


def distinct_best(starts: Floats, values: Floats, count: int) -> Floats:
    """Return the best ``count`` starts that differ from each other.

    Args:
        starts: (m, k).
        values: (m,).
        count: How many at most.

    Returns:
        (<= count, k), best first.
    """
    order = np.argsort(values, kind="stable")
    order = order[np.isfinite(values[order])]
    kept: list[int] = []
    for i in order:
        if all(np.abs(starts[i] - starts[j]).max() > 1e-9 for j in kept):
            kept.append(int(i))
        if len(kept) == count:
            break
    return starts[kept]


def minimise(
    objective: Objective,
    starts: Floats,
    *,
    free: np.ndarray | None = None,
    max_iter: int = 200,
    tol: float = 1e-12,
) -> Optima:
    """Minimise from every start at once.

    Args:
        objective: Its weights may differ by member: (m, n).
        starts: (m, k).
        free: (k,) or (m, k) mask of the parameters that may move; all by default.
        max_iter: Largest number of steps.
        tol: Stop where a step promises less than this share of the objective.

    Returns:
        The optima, in the order of the starts. Losses with a kink are approached through parabolas of
        shrinking width; their value is that of the loss itself.
    """
    movable = np.ones(starts.shape, bool) if free is None else np.broadcast_to(free, starts.shape)
    if objective.loss in ("mse", "huber"):
        return _newton(objective, starts, movable, 0.0, max_iter, tol)
    typical = float(np.median(np.abs(objective.residuals(starts[:1]))))
    unit = max(typical, 1e-6 * float(np.abs(objective.target).mean()))
    found = Optima(starts, np.full(len(starts), np.inf), np.zeros(len(starts), bool), 0)
    steps = 0
    for width in unit * 10.0 ** -np.arange(0.0, 9.0):
        found = _newton(objective, found.theta, movable, float(width), max_iter, tol)
        steps += found.iterations
    return Optima(found.theta, objective.value(found.theta), found.converged, steps)


def _newton(
    objective: Objective, starts: Floats, movable: np.ndarray, smooth: float, max_iter: int, tol: float
) -> Optima:
    theta = starts.astype(float).copy()
    m = len(theta)
    here = objective.derivatives(theta, smooth)
    value, gradient, hessian, metric = here.value, here.gradient, here.hessian, here.metric
    damping, growth = np.full(m, 1e-2), np.full(m, 4.0)
    rounding = objective.floor
    converged = np.zeros(m, bool)
    active = np.flatnonzero(_finite(here))
    iteration = 0
    while len(active) and iteration < max_iter:
        iteration += 1
        step, promised, stiffness = _step(
            Derivatives(value[active], gradient[active], hessian[active], metric[active]),
            movable[active],
            damping[active],
        )
        trial = theta[active] + step
        there = objective.of(active).derivatives(trial, smooth)
        gained = value[active] - there.value
        finite = _finite(there)
        floor = 1e-15 * np.abs(value[active])
        good = finite & (gained >= -floor) & (gained >= 1e-4 * promised - floor)
        taken = active[good]
        theta[taken], value[taken] = trial[good], there.value[good]
        gradient[taken], hessian[taken] = there.gradient[good], there.hessian[good]
        metric[taken] = there.metric[good]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(promised > 0, gained / promised, 0.0)
        shrink = np.maximum(0.1, 1.0 - (2.0 * np.clip(ratio, 0.0, 1.0) - 1.0) ** 3)
        growth[active] = np.where(good, 4.0, 2.0 * growth[active])
        # Damping below the stiffness of the direction that was tried would try the same step again.
        stronger = np.maximum(damping[active] * growth[active], stiffness)
        damping[active] = np.clip(np.where(good, damping[active] * shrink, stronger), 1e-12, 1e16)
        # Nothing left to gain, or no step however short gains anything: rounding decides from here on.
        small = promised <= tol * np.abs(value[active]) + rounding
        stuck = ~good & (np.abs(step).max(axis=1) <= 1e-12 * (1.0 + np.abs(theta[active]).max(axis=1)))
        converged[active] |= small | (stuck & (promised <= 1e-7 * np.abs(value[active]) + rounding))
        active = active[~(small | stuck)]
    return Optima(theta, value, converged, iteration)


def _finite(at: Derivatives) -> np.ndarray:
    """Return (m,) which members have a finite value and finite derivatives."""
    fine = np.isfinite(at.value) & np.isfinite(at.gradient).all(axis=1)
    return fine & np.isfinite(at.hessian).all(axis=(1, 2)) & np.isfinite(at.metric).all(axis=(1, 2))


def _step(at: Derivatives, movable: np.ndarray, damping: Floats) -> tuple[Floats, Floats, Floats]:
    """Return (m, k) damped Newton steps, what they promise to gain, and the curvature along most of each."""
    pair = movable[:, :, None] & movable[:, None, :]
    eye = np.eye(at.gradient.shape[1])
    gradient = np.where(movable, at.gradient, 0.0)
    metric = np.where(pair, at.metric, 0.0)
    size = np.sqrt(np.diagonal(metric, axis1=1, axis2=2))
    largest = size.max(axis=1, keepdims=True)
    scale = 1.0 / np.where(size > 1e-12 * largest, size, np.where(largest > 0, 1e-12 * largest, 1.0))
    scaled = metric * scale[:, :, None] * scale[:, None, :]
    # The small diagonal keeps directions without a slope; it is far below any that matters.
    root = np.linalg.cholesky(np.where(pair, scaled, eye) + _RIDGE * eye)
    whiten = scale[:, :, None] * np.linalg.inv(root).transpose(0, 2, 1)
    whiten *= movable[:, :, None]
    seen = whiten.transpose(0, 2, 1) @ at.hessian @ whiten
    bend, turned = np.linalg.eigh(seen)
    basis = whiten @ turned
    slope = (basis.transpose(0, 2, 1) @ gradient[..., None])[..., 0]
    along = -slope / (np.maximum(np.abs(bend), 1e-9) + damping[:, None])
    step = (basis @ along[..., None])[..., 0]
    length = np.abs(step).max(axis=1)
    cut = np.minimum(1.0, _LONGEST / np.maximum(length, 1e-300))
    along *= cut[:, None]
    promised = -(slope * along + 0.5 * np.abs(bend) * along**2).sum(axis=1)
    stiffness = np.take_along_axis(np.abs(bend), np.abs(along).argmax(axis=1)[:, None], axis=1)[:, 0]
    return step * cut[:, None], promised, stiffness
