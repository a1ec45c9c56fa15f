"""The plot of a fitted task law."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

from broadsheet.methods.scaling.pass_until.points import curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from broadsheet.methods.scaling.pass_until.laws import TaskScaling

__all__ = ["plot_task_scaling"]

_SCALES = ("loglog", "semilog", "F")


def plot_task_scaling(
    law: TaskScaling, ax: Axes | None = None, *, scale: str = "loglog", interval: float | None = 0.95
) -> Axes:
    """Plot measured rates and the law over size: see :meth:`TaskScaling.plot`."""
    if scale not in _SCALES:
        raise ValueError(f"scale must be one of {', '.join(_SCALES)}, got {scale!r}")
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    rows = law.runs_
    n, rate = rows["N"].to_numpy(float), rows["pu"].to_numpy(float)
    grid = np.geomspace(n.min(), n.max() * (n.max() / n.min()) ** 0.15, 100)
    band = interval if interval is not None and np.isfinite(law.scale_) else None
    shown = curve if scale == "F" else np.asarray
    if band is None:
        ax.plot(grid, shown(law.predict(grid)), color="C1")
    else:
        fitted = law.predict(grid, interval=band)
        ax.plot(grid, shown(fitted["pu"]), color="C1")
        ends = sorted((shown(fitted["lower"]), shown(fitted["upper"])), key=lambda a: a[0])
        ax.fill_between(grid, ends[0], ends[1], color="C1", alpha=0.18, linewidth=0)
    inside = (rate > 0) & (rate < 1)
    ax.plot(n[inside], shown(rate[inside]), "o", color="C0")
    if {"lower", "upper"} <= set(rows.columns):
        low, high = (rows[k].to_numpy(float) for k in ("lower", "upper"))
        fine = inside & (low > 0) & (high < 1)
        ax.vlines(n[fine], shown(low[fine]), shown(high[fine]), color="C0", linewidth=1)
        none = rate == 0
        ax.plot(n[none], shown(high[none]), "v", color="C0", markerfacecolor=mpl.rcParams["axes.facecolor"])
    ax.set_xscale("log")
    if scale == "loglog":
        ax.set_yscale("log")
    ax.set_xlabel("parameters")
    ax.set_ylabel("ln(-ln PU)" if scale == "F" else "pass rate")
    return ax
