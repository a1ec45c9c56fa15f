"""From the starts of a law to its optimum: one pass over all of them, one batch of the best."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from broadsheet.methods.scaling.fitting import distinct_best, minimise, screen
from broadsheet.methods.scaling.objective import Floats

if TYPE_CHECKING:
    from broadsheet.methods.scaling.law import Law

__all__ = ["POLISHED", "search", "starts_of"]

POLISHED = 16  # starts that are followed to their optimum
_AGREE = 1e-6  # relative difference of objectives that count as the same optimum


def starts_of(law: Law) -> Floats:
    """Return the (m, k) starts of a law: its own, or the product of its ``grid``; held parameters at their values.

    Raises:
        ValueError: if the grid misses a parameter.
    """
    fixed, grid = law.fixed or {}, law.grid
    if grid is None:
        starts = np.array(law._starts(law.rows_.x, law.rows_.y), float)
    else:
        missing = [n for n in law.names_ if n not in grid and n not in fixed]
        if missing:
            raise ValueError(f"grid must name every free parameter; {', '.join(missing)} are missing")
        axes = [np.atleast_1d(law._transformed(n, grid.get(n, [1.0]))) for n in law.names_]
        starts = np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)
    for j, name in enumerate(law.names_):
        if name in fixed:
            starts[:, j] = law._transformed(name, fixed[name])
    return starts


def search(law: Law, free: np.ndarray) -> None:
    """Screen all starts, polish the best, and set what was found on the law.

    Args:
        law: A law that has adopted its rows.
        free: (k,) mask of the parameters that may move.

    Raises:
        ValueError: if the objective is infinite at every start.
    """
    objective = law._objective()
    starts = starts_of(law)
    best = distinct_best(starts, screen(objective, starts), POLISHED)
    if not len(best):
        raise ValueError("the objective is infinite at every start; check the table's units, or give grid=")
    found = minimise(objective, best, free=free)
    top = int(np.argmin(np.where(np.isfinite(found.value), found.value, np.inf)))
    worst = float(screen(objective, starts[:1])[0])
    # Where the law fits without noise objectives differ by rounding alone.
    near = found.value[top] * (1.0 + _AGREE) + 1e-14 * (worst if math.isfinite(worst) else 0.0)
    law.theta_ = found.theta[top]
    law.polished_ = found
    law.objective_ = float(found.value[top])
    law.converged_ = bool(found.converged[top])
    law.n_polished_ = len(best)
    law.n_agree_ = int((found.value <= near).sum())
    law.params_ = dict(zip(law.names_, map(float, law._natural(law.theta_)), strict=True))
