"""Measured pass rates on the scale ``F = ln(-ln PU)``, on which the task law is a straight line in ``ln N``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

__all__ = ["Points", "curve", "inverse_curve", "line_fit", "read_points"]

Floats = NDArray[np.float64]


def curve(rate: ArrayLike) -> Any:
    """Return ``F = ln(-ln rate)``; a rate of 0 gives infinity, a rate of 1 minus infinity.

    Example:
        >>> round(float(curve(0.01)), 4)
        1.5272
    """
    with np.errstate(divide="ignore"):
        return np.log(-np.log(np.asarray(rate, float)))


def inverse_curve(value: ArrayLike) -> Any:
    """Return ``exp(-exp(F))``, the rate of F."""
    with np.errstate(over="ignore"):
        return np.exp(-np.exp(np.asarray(value, float)))


@dataclass(frozen=True)
class Points:
    """Pass rates on the F scale.

    Attributes:
        x: (n,); ``ln N``.
        F: (n,); where a rate is 0 or 1, F of the end of its interval.
        sigma: (n,); standard errors of F, or all NaN where the table has no intervals.
        side: (n,); 0 measured, +1: F is at least the value (a rate of 0), -1: at most (a rate of 1).
        frame: The table's rows, in their order.
    """

    x: Floats
    F: Floats
    sigma: Floats
    side: NDArray[np.int64]
    frame: pd.DataFrame

    @property
    def weighted(self) -> bool:
        """Whether standard errors are known."""
        return bool(np.isfinite(self.sigma).all())


def read_points(
    frame: pd.DataFrame, N: str = "N", pu: str = "pu", *, level: float = 0.95, sizes: int = 3
) -> Points:
    """Read and check a table of pass rates.

    Args:
        frame: A row per model: parameters, pass rate and, where known, ``lower`` and ``upper``.
        N: Column of parameters.
        pu: Column of pass rates, in [0, 1].
        level: Level of the intervals.
        sizes: Distinct sizes needed.

    Returns:
        The points.

    Raises:
        ValueError: naming column, row and value: too few sizes; a rate outside [0, 1]; a rate of 0 or 1 without an
            interval that says how far from it the truth may be; an interval that does not hold its rate.
        KeyError: if a column is not there.
    """
    for name in (N, pu):
        if name not in frame:
            raise KeyError(f"there is no column {name!r}; columns are {', '.join(map(str, frame.columns))}")
    n, rate = (pd.to_numeric(frame[c]).to_numpy(float) for c in (N, pu))
    _refuse(~(np.isfinite(n) & (n > 0)), n, N, "parameters must be positive and finite", frame)
    _refuse(~((rate >= 0) & (rate <= 1)), rate, pu, "pass rates must lie in [0, 1]", frame)
    if len(np.unique(n)) < sizes:
        raise ValueError(f"column {N!r}: at least {sizes} distinct sizes are needed, got {len(np.unique(n))}")
    given = "lower" in frame and "upper" in frame
    low, high = (
        (pd.to_numeric(frame[c]).to_numpy(float) for c in ("lower", "upper")) if given else (rate, rate)
    )
    _refuse(~((low <= rate) & (rate <= high)), rate, pu, "lower <= rate <= upper must hold", frame)
    edge = ((rate == 0) & (high == 0)) | ((rate == 1) & (low == 1)) | ((rate == 0) & (high >= 1))
    _refuse(
        edge | ((rate == 1) & (low <= 0)),
        rate,
        pu,
        "ln(-ln PU) is infinite; give lower and upper (PassUntil does), whose inner end bounds it",
        frame,
    )
    side = np.where(rate == 0, 1, np.where(rate == 1, -1, 0))
    F = curve(np.where(side > 0, high, np.where(side < 0, low, rate)))
    return Points(np.log(n), F, _errors(rate, low, high, side, level, given), side, frame)


def _refuse(bad: Any, values: Floats, column: str, rule: str, frame: pd.DataFrame) -> None:
    if np.any(bad):
        place = int(np.argmax(bad))
        raise ValueError(f"column {column!r}: {rule}, got {values[place]:g} in row {frame.index[place]!r}")


def _errors(rate: Floats, low: Floats, high: Floats, side: Any, level: float, given: bool) -> Floats:
    """Return the standard error of F from the width of the interval on the F scale."""
    if not given:
        return np.full(len(rate), np.nan)
    reach = float(norm.ppf(0.5 + 0.5 * level))
    top, bottom, middle = curve(low), curve(high), curve(rate)
    # An end at 0 or 1 lies at infinity; the other half of the interval tells the width then.
    with np.errstate(invalid="ignore"):
        halves = np.stack([top - middle, middle - bottom])
    halves = np.where(np.isfinite(halves) & (halves > 0), halves, np.nan)
    known = np.isfinite(halves).any(axis=0) & (side == 0)
    width = np.full(len(rate), np.nan)
    width[known] = np.nanmean(halves[:, known], axis=0) / reach
    if not known.any():
        return width
    # A bound has no width of its own; it is taken as soft as the widest measured point.
    width[~known] = np.nanmax(width) if (side[~known] != 0).all() else np.nan
    return width


def line_fit(points: Points, degree: int = 1) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Fit a polynomial in ``ln N`` by weighted least squares; bounds count where the curve would break them.

    Args:
        points: The points.
        degree: 1 for the law, 2 for its curvature.

    Returns:
        Coefficients of ``(ln N - mean)^j`` from j = 0; their covariance for standard errors of 1 where those are not
        known; residuals; and which points took part.

    Raises:
        ValueError: if fewer than ``degree + 1`` sizes were measured, not only bounded.
    """
    middle = points.x.mean()
    design = np.vander(points.x - middle, degree + 1, increasing=True)
    weight = 1.0 / points.sigma if points.weighted else np.ones(len(points.x))
    used = points.side == 0
    if len(np.unique(points.x[used])) < degree + 1:
        raise ValueError(
            f"only {len(np.unique(points.x[used]))} sizes have a rate strictly between 0 and 1; at least {degree + 1} "
            "are needed; sample longer (max_samples) at the smaller sizes"
        )
    for _ in range(2 * len(used) + 2):
        a, b = design[used] * weight[used, None], points.F[used] * weight[used]
        solved, *_ = np.linalg.lstsq(a, b, rcond=None)
        short = points.side * (points.F - design @ solved) > 1e-12  # the curve breaks the bound
        wanted = (points.side == 0) | short
        if (wanted == used).all():
            break
        used = wanted
    covariance = np.linalg.inv(a.T @ a)
    return solved, covariance, points.F - design @ solved, used
