"""Kinds of growth by the curvature of ``F = ln(-ln PU)`` in ``ln N``, and what bends it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import log_softmax, logsumexp
from scipy.stats import norm
from scipy.stats import t as student_t

from broadsheet.methods.scaling.pass_until.points import Floats, line_fit, read_points

__all__ = ["Emergence", "UndeterminedWarning", "circuits_curve", "classify_emergence", "steps_curve"]

LINEAR, CONVEX, CONCAVE, OPEN = (
    "scaling law",
    "sub-scaling",
    "accelerated emergence",
    "undetermined",
)


class UndeterminedWarning(UserWarning):
    """Too few sizes to tell a curvature."""


@dataclass(frozen=True)
class Emergence:
    """The curvature of F in ``ln N``.

    Attributes:
        curvature: Second derivative; NaN where it cannot be told.
        lower: Lower end of its interval; NaN where there is none.
        upper: Upper end.
        label: ``"scaling law"`` (the interval holds 0), ``"sub-scaling"`` (convex), ``"accelerated emergence"``
            (concave) or ``"undetermined"`` (no interval).
        sizes: Distinct sizes.
    """

    curvature: float
    lower: float
    upper: float
    label: str
    sizes: int


def classify_emergence(frame: pd.DataFrame, *, level: float = 0.95, warn: bool = True) -> Emergence:
    """Fit a parabola to F over ``ln N`` and name the growth by the sign of its curvature.

    Args:
        frame: A row per model: ``N``, ``pu`` and, where known, ``lower`` and ``upper``. Several rows may share a size.
        level: Level of the interval, and of those in the table.
        warn: Whether to warn where the curvature cannot be told.

    Returns:
        Curvature, interval and label.

    Raises:
        ValueError: as :func:`~broadsheet.methods.scaling.pass_until.points.read_points`.

    Warns:
        UndeterminedWarning: if there are fewer than 4 sizes with a rate between 0 and 1, or no spare point and no
            intervals.

    Source:
        The quantitative study of emergence: three kinds of growth.

    Example:
        >>> sizes = np.geomspace(1e7, 1e9, 6)
        >>> faster = pd.DataFrame({"N": sizes, "pu": np.exp(-np.exp(2 - 0.05 * (np.log(sizes) - 16) ** 2))})
        >>> classify_emergence(faster).label
        'accelerated emergence'
    """
    points = read_points(frame, level=level)
    sizes = len(np.unique(points.x))
    measured = len(np.unique(points.x[points.side == 0]))
    nothing = Emergence(np.nan, np.nan, np.nan, OPEN, sizes)
    if measured < 4:
        _warn(warn, f"a curvature needs at least 4 sizes with a rate between 0 and 1, got {measured}")
        return nothing
    coefficients, covariance, residuals, used = line_fit(points, degree=2)
    bend = 2.0 * float(coefficients[2])
    spare = int(used.sum()) - 3
    if points.weighted:
        chi2 = float(np.square(residuals[used] / points.sigma[used]).sum())
        spread, reach = max(1.0, chi2 / spare if spare else 1.0), float(norm.ppf(0.5 + 0.5 * level))
    elif spare:
        spread = float(np.square(residuals[used]).sum()) / spare
        reach = float(student_t.ppf(0.5 + 0.5 * level, spare))
    else:
        _warn(warn, "a curvature has no interval without a spare size or lower and upper")
        return Emergence(bend, np.nan, np.nan, OPEN, sizes)
    half = 2.0 * reach * float(np.sqrt(spread * covariance[2, 2]))
    # Exact curves leave residuals of rounding alone; their own size is the least that can be told from 0.
    half = max(half, 1e-9)
    label = LINEAR if abs(bend) <= half else CONVEX if bend > 0 else CONCAVE
    return Emergence(bend, bend - half, bend + half, label, sizes)


def _warn(wanted: bool, text: str) -> None:
    if wanted:
        warnings.warn(text, UndeterminedWarning, stacklevel=3)


def steps_curve(N: ArrayLike, c: ArrayLike, alpha: ArrayLike) -> Floats:
    """Return F of a task whose steps must all pass, each with its own law.

    The product of ``exp(-c_i N^-alpha_i)`` has ``F = ln sum_i c_i N^-alpha_i``: a log-sum-exp of lines in ``ln N``,
    hence convex. Many steps make growth slower, never accelerated.

    Args:
        N: (n,); parameters.
        c: (k,); one per step, > 0.
        alpha: (k,).

    Returns:
        (n,).

    Source:
        The theorem on the multi-step reasoning hypothesis.

    Example:
        >>> F = steps_curve(np.geomspace(1e6, 1e10, 9), [30.0, 4000.0], [0.1, 0.4])
        >>> bool((np.diff(F, 2) > 0).all())
        True
    """
    logs = np.log(np.asarray(c, float)) - np.outer(np.log(np.asarray(N, float)), np.asarray(alpha, float))
    return np.asarray(np.logaddexp.reduce(logs, axis=1))


def circuits_curve(N: ArrayLike, c: ArrayLike, alpha: ArrayLike, sharpness: float = 1.0) -> Floats:
    """Return F of a task that several circuits can solve, chosen softly by how well each does.

    Args:
        N: (n,); parameters.
        c: (k,); one per circuit, > 0.
        alpha: (k,).
        sharpness: How strongly the better circuit is preferred: its weight is ``softmax(sharpness * ln P_i)``;
            0 is the mean.

    Returns:
        (n,).

    Source:
        The multiple circuits hypothesis. The weights are our reading of the soft choice.

    Example:
        >>> F = circuits_curve(np.geomspace(1e6, 1e10, 9), [5.0, 4000.0], [0.01, 0.4])
        >>> bool((np.diff(F, 2) < 0).any())
        True
    """
    nats = np.exp(
        np.log(np.asarray(c, float)) - np.outer(np.log(np.asarray(N, float)), np.asarray(alpha, float))
    )
    logs = logsumexp(log_softmax(-sharpness * nats, axis=1) - nats, axis=1)
    return np.asarray(np.log(-logs))
