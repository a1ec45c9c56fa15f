"""Tables made by the law itself, to see what its fit and its test make of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

__all__ = ["WEIGHTS", "make_table"]

WEIGHTS = (0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0)
"""The paper's weights but 0."""
TRUTH = {"de": (60.0, 0.27, 1.1, 0.0), "zh": (80.0, 0.25, 1.5, 0.6)}
"""Per task beta, alpha, L_inf and c1 (with c2 = .5, c3 = 1): one neutral, one with synergy. Made up."""
SIZES = np.geomspace(2e7, 1e9, 8)


def make_table(
    rng: np.random.Generator,
    noise: float = 0.003,
    weights: Sequence[float] = WEIGHTS,
    sizes: Sequence[float] | np.ndarray = SIZES,
    drift: float = 0.0,
    tasks: Sequence[str] = ("de", "zh"),
) -> pd.DataFrame:
    """Make a table of two tasks by the joint law.

    Args:
        rng: Source of the noise.
        noise: Standard deviation of log loss, >= 0.
        weights: Weights of each task, in (0, 1].
        sizes: Numbers of parameters.
        drift: How much the exponent rises from weight 0 to 1, as a share of itself: 0 where the law holds.
        tasks: Which of the two tasks.

    Returns:
        Columns ``task``, ``N``, ``p``, ``loss`` and, without noise, ``truth``.

    Example:
        >>> table = make_table(np.random.default_rng(0), noise=0.0, weights=[0.5, 1.0], sizes=[2e7, 2e8, 2e9])
        >>> len(table), bool((table["loss"] == table["truth"]).all())
        (12, True)
    """
    parts = []
    for task in tasks:
        beta, alpha, floor, c1 = TRUTH[task]
        p, N = (a.ravel() for a in np.meshgrid(weights, sizes, indexing="ij"))
        f = p + c1 * p**0.5 * (1 - p)
        truth = beta * (f * N) ** (-alpha * (1 + drift * (p - 0.5))) + floor
        loss = truth * np.exp(noise * rng.normal(size=len(p)))
        parts.append(pd.DataFrame({"task": task, "N": N, "p": p, "loss": loss, "truth": truth, "f": f}))
    return pd.concat(parts, ignore_index=True)
