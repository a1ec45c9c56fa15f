"""The envelope of a set of releases: the models denser than all before them, and lines through their logarithms."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from broadsheet.methods.scaling.densing_law.scores import Floats

__all__ = ["bootstrap_lines", "line", "records"]

_CHUNK = 4_000_000  # cells of the table of resampled models held at a time


def records(days: ArrayLike, values: ArrayLike) -> NDArray[np.intp]:
    """Return which models set a record: more than all released before and on the same day.

    A day has one record at most, its best model, so the order of rows does not matter.

    Args:
        days: (n,); days since an origin.
        values: (n,); finite values.

    Returns:
        Indices, by day.

    Source:
        The maximum density of a time, on which the law is fitted.

    Example:
        >>> records([0, 0, 5, 9, 9], [1.0, 2.0, 1.5, 3.0, 2.5]).tolist()
        [1, 3]
    """
    at, y = np.asarray(days, float), np.asarray(values, float)
    order = np.lexsort((-y, at))  # within a day the best comes first
    ranked = y[order]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(ranked)[:-1]])
    return np.asarray(order[ranked > before])


def line(days: ArrayLike, logs: ArrayLike) -> tuple[float, float, float]:
    """Fit ``log = A days + B`` by least squares.

    Args:
        days: (n,); at least two distinct values.
        logs: (n,).

    Returns:
        A, B and the share of variance explained.

    Raises:
        ValueError: if days are all equal.
    """
    x, y = np.asarray(days, float), np.asarray(logs, float)
    if len(x) < 2 or np.ptp(x) == 0:
        raise ValueError(f"a line needs values on at least 2 distinct days, got {len(np.unique(x))}")
    dx, dy = x - x.mean(), y - y.mean()
    rate = float(dx @ dy / (dx @ dx))
    total = float(dy @ dy)
    residual = dy - rate * dx
    return rate, float(y.mean() - rate * x.mean()), 1.0 - float(residual @ residual) / total if total else 1.0


def bootstrap_lines(days: Floats, logs: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Resample models, find the envelope of each sample anew, and fit its line.

    All samples are worked on at once: one table of samples by models, one running maximum along days.

    Args:
        days: (n,); days of all models, not only of the envelope.
        logs: (n,); logarithms of densities.
        count: Samples.
        rng: Source of randomness.

    Returns:
        (count, 2); A and B, NaN where a sample's envelope has a single day.
    """
    order = np.argsort(days, kind="stable")
    ranked = logs[order]
    distinct, first = np.unique(days[order], return_index=True)
    n = len(ranked)
    step = max(1, _CHUNK // n)
    parts = []
    for begin in range(0, count, step):
        rows = min(step, count - begin)
        drawn = np.zeros((rows, n), bool)
        drawn[np.arange(rows)[:, None], rng.integers(0, n, (rows, n))] = True
        parts.append(_lines(drawn, ranked, distinct, first))
    return np.concatenate(parts)


def _lines(drawn: NDArray[np.bool_], ranked: Floats, distinct: Floats, first: NDArray[np.intp]) -> Floats:
    best = np.maximum.reduceat(np.where(drawn, ranked, -np.inf), first, axis=1)
    running = np.maximum.accumulate(best, axis=1)
    before = np.concatenate([np.full((len(best), 1), -np.inf), running[:, :-1]], axis=1)
    record = best > before
    points = record.sum(axis=1)
    x = np.where(record, distinct, 0.0)
    y = np.where(record, best, 0.0)
    mean_x, mean_y = x.sum(axis=1) / points, y.sum(axis=1) / points
    dx = np.where(record, distinct - mean_x[:, None], 0.0)
    spread = np.square(dx).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(points > 1, (dx * y).sum(axis=1) / spread, np.nan)
    return np.column_stack([rate, mean_y - rate * mean_x])
