"""Newton's method with a limited step and a line search, for log-likelihoods of a few dozen coefficients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from broadsheet.methods.statistics.flexible_survival.hazard import Floats

__all__ = ["Maximum", "maximise", "maximise_some"]

_STEP = 2.0  # a log parameter moves by at most this much in one iteration
_ENOUGH = 1e-4  # share of the predicted rise that a step must bring (Armijo)
_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Maximum:
    """Where the search ended.

    Attributes:
        theta: (p,) coefficients.
        value: The function there.
        hessian: (p, p) matrix of second derivatives there.
        converged: Whether the remaining rise, by the quadratic model, is below the tolerance.
        iterations: Number of steps taken.
    """

    theta: Floats
    value: float
    hessian: Floats
    converged: bool
    iterations: int


def maximise(
    derivatives: Callable[[Floats], tuple[float, Floats, Floats]],
    start: Floats,
    *,
    tolerance: float = 1e-10,
    max_iterations: int = 200,
    give_up: Callable[[Floats], bool] | None = None,
) -> Maximum:
    """Climb from ``start`` to a maximum.

    Where the Hessian is not negative definite, its eigenvalues are taken by their size, so that every step
    points upward.

    Args:
        derivatives: Returns value, (p,) gradient and (p, p) Hessian; a value of ``-inf`` refuses a point.
        start: (p,) where to begin.
        tolerance: Stop where the quadratic model promises less than this.
        max_iterations: Largest number of steps.
        give_up: Ends the search, unconverged, at a point where it is true.

    Returns:
        The last point reached.

    Example:
        >>> bowl = lambda t: (float(-t @ t), -2 * t, -2 * np.eye(2))
        >>> maximise(bowl, np.array([3.0, -1.0])).theta.tolist()
        [0.0, 0.0]
    """
    theta = np.asarray(start, float)
    value, gradient, hessian = derivatives(theta)
    for iteration in range(max_iterations):
        if not (np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()):
            return Maximum(theta, value, hessian, False, iteration)
        step, is_concave = _direction(gradient, hessian)
        if not np.isfinite(step).all():
            return Maximum(theta, value, hessian, False, iteration)
        promised = float(gradient @ step)
        if is_concave and 0.5 * promised < tolerance:
            return _polish(derivatives, Maximum(theta, value, hessian, True, iteration), step)
        if give_up is not None and give_up(theta):
            return Maximum(theta, value, hessian, False, iteration)
        step *= min(1.0, _STEP / float(np.abs(step).max()))
        promised = float(gradient @ step)
        slack = 8 * _EPS * abs(value)
        size = 1.0
        while size > 1e-9:
            trial = theta + size * step
            new = derivatives(trial)
            if new[0] >= value + _ENOUGH * size * promised - slack and np.isfinite(new[1]).all():
                break
            size *= 0.5 if np.isfinite(new[0]) else 0.25
        else:
            return Maximum(theta, value, hessian, is_concave and promised < 1e-6, iteration)
        theta, (value, gradient, hessian) = trial, new
    return Maximum(theta, value, hessian, False, max_iterations)


def maximise_some(
    derivatives: Callable[[Floats], tuple[float, Floats, Floats]], start: Floats, moves: NDArray[np.bool_]
) -> Maximum:
    """Climb with some coordinates held where they are.

    Args:
        derivatives: As for :func:`maximise`.
        start: (p,) where to begin.
        moves: (p,) mask of the coordinates that may move.

    Returns:
        The last point reached, in all p coordinates.
    """

    def fill(free: Floats) -> Floats:
        theta = start.copy()
        theta[moves] = free
        return theta

    def inside(free: Floats) -> tuple[float, Floats, Floats]:
        value, gradient, hessian = derivatives(fill(free))
        return value, gradient[moves], hessian[np.ix_(moves, moves)]

    top = maximise(inside, start[moves])
    return Maximum(fill(top.theta), top.value, top.hessian, top.converged, top.iterations)


def _direction(gradient: Floats, hessian: Floats) -> tuple[Floats, bool]:
    """Return an upward step, and whether the Hessian is negative definite."""
    # A diagonal scaling keeps the eigenvalues of blocks of very different curvature comparable.
    diagonal = np.abs(np.diag(hessian))
    scale = 1.0 / np.sqrt(np.maximum(diagonal, max(1e-30 * float(diagonal.max()), 1e-100)))
    curvature, directions = np.linalg.eigh(-hessian * scale[:, None] * scale[None, :])
    is_concave = bool(curvature[0] > 0)
    floor = 1e-8 * max(float(np.abs(curvature).max()), 1e-8) if not is_concave else 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        along = (directions.T @ (gradient * scale)) / np.maximum(np.abs(curvature), floor)
        return scale * (directions @ along), is_concave


def _polish(
    derivatives: Callable[[Floats], tuple[float, Floats, Floats]], found: Maximum, step: Floats
) -> Maximum:
    """Take the last, quadratically convergent step if it does not lose anything."""
    if not np.abs(step).max() < 1e-2:
        return found
    theta = found.theta + step
    value, gradient, hessian = derivatives(theta)
    if value >= found.value and np.isfinite(hessian).all() and np.isfinite(gradient).all():
        return Maximum(theta, value, hessian, True, found.iterations + 1)
    return found
