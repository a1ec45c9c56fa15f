"""Where the search for the joint law begins: each task's best starts, found apart, since tasks do not interact."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from broadsheet.methods.scaling.multilingual_nmt_scaling.cells import fraction, unbounded
from broadsheet.methods.scaling.objective import Floats

if TYPE_CHECKING:
    from broadsheet.methods.scaling.multilingual_nmt_scaling.cells import Cells

__all__ = ["grid"]

_ALPHAS = (0.05, 0.1, 0.2, 0.3, 0.45, 0.65, 0.9, 1.3)
_FLOORS = (0.02, 0.3, 0.6, 0.8, 0.9, 0.97, 0.995)
_SHAPES: dict[str, list[tuple[float, ...]]] = {
    "power": [
        (0.0, 0.5, 0.5),
        (0.3, 0.5, 0.5),
        (0.3, 1.0, 1.0),
        (1.0, 1.0, 0.5),
        (1.0, 0.5, 1.0),
        (-0.3, 1.0, 1.0),
    ],
    "linear": [(0.01,), (0.3,), (0.7,)],
    "free": [()],
}
_MOST = 24


def grid(cells: Cells, x: Mapping[str, Any], y: Floats) -> Floats:
    """Return starts: the k-th best of every cell together, for k = 1, 2, ….

    Args:
        cells: The parameters.
        x: Input columns.
        y: (n,) losses.

    Returns:
        (m, k) transformed starts.
    """
    made = np.zeros((_MOST, len(cells.parameters)))
    apart = cells.f == "free" and not cells.shared
    weights = np.round(np.asarray(x["p"], float), 9)
    log_N, task = np.log(np.asarray(x["N"], float)), np.asarray(x["task"])
    common = None
    for name in cells.tasks:
        mine = task == name
        for weight in np.unique(weights[mine]) if apart else [None]:
            rows = mine if weight is None else mine & (weights == weight)
            found = _ranked(cells, log_N[rows], weights[rows], y[rows], common)
            if cells.common_f and common is None:
                common = [shape for _, _, shape in found]
            for place, (alpha, floor, shape) in enumerate(found):
                _fill(
                    cells,
                    made[place],
                    name,
                    weight,
                    (alpha, floor, shape),
                    (log_N[rows], weights[rows], y[rows]),
                )
    return made


def _ranked(
    cells: Cells, log_N: Floats, p: Floats, y: Floats, common: list[tuple[float, ...]] | None
) -> list[tuple[float, float, tuple[float, ...]]]:
    """Return the best (alpha, floor, shape) of one cell, each with its best factors, best first."""
    scored = []
    group = np.unique(p, return_inverse=True)[1] if cells.f == "free" else np.zeros(len(p), int)
    count = np.bincount(group)
    for alpha, share, shape in product(_ALPHAS, _FLOORS, _SHAPES[cells.f]):
        size = log_N
        if cells.f != "free":
            c = _transformed(cells, shape)
            f = fraction(cells.f, c, p)
            if not (f > 0).all():
                continue
            size = log_N + np.log(f)
        floor = share * y.min()
        level = np.log(y - floor) + alpha * size
        b = (np.bincount(group, level) / count)[group]
        error = np.log(y) - np.logaddexp(b - alpha * size, np.log(floor))
        scored.append((float(error @ error), alpha, floor, shape))
    scored.sort(key=lambda s: s[0])
    ordered = [(alpha, floor, shape) for _, alpha, floor, shape in scored[:_MOST]]
    while len(ordered) < _MOST:
        ordered.append(ordered[len(ordered) % len(scored)])
    if common is not None:  # another task has chosen the shapes already
        ordered = [(alpha, floor, shape) for (alpha, floor, _), shape in zip(ordered, common, strict=True)]
    return ordered


def _transformed(cells: Cells, shape: tuple[float, ...]) -> list[Floats]:
    if cells.f == "linear":
        return [np.log(np.asarray(shape[0]))]
    return [np.asarray(shape[0]), *map(unbounded, shape[1:])]


def _fill(
    cells: Cells,
    theta: Floats,
    name: Any,
    weight: float | None,
    start: tuple[float, float, tuple[float, ...]],
    rows: tuple[Floats, Floats, Floats],
) -> None:
    """Write one cell's start into theta."""
    alpha, floor, shape = start
    log_N, p, y = rows
    size = log_N
    if shape:
        c = _transformed(cells, shape)
        theta[cells.fraction_index(name)] = [float(v) for v in c]
        size = log_N + np.log(np.maximum(fraction(cells.f, c, p), 1e-6))
    level = np.log(np.maximum(y - floor, 1e-12)) + alpha * size
    for (kind, owner, at), place in cells.index.items():
        if owner != name or (weight is not None and at != weight):
            continue
        if kind == "beta":
            theta[place] = level.mean() if at is None else level[p == at].mean()
        elif kind == "alpha":
            theta[place] = alpha
        elif kind == "L_inf":
            theta[place] = np.log(floor)
