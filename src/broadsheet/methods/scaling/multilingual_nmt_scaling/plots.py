"""Plots of a fitted joint law."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from broadsheet.methods.scaling.multilingual_nmt_scaling.law import MixtureScaling

__all__ = ["plot_fraction", "plot_frontier"]


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    return Figure().add_subplot()


def plot_frontier(
    law: MixtureScaling,
    sizes: Sequence[float],
    tasks: Sequence[Hashable] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one curve of two tasks' losses per size: see :meth:`MixtureScaling.plot_frontier`."""
    ax = _axes(ax)
    for size in sizes:
        curve = law.frontier(size, tasks)
        first, second = curve.columns[2:]
        (line,) = ax.plot(curve[first], curve[second])
        middle = len(curve) // 2
        place = (curve[first].iloc[middle], curve[second].iloc[middle])
        ax.annotate(
            f"N = {size:.3g}", place, (4, 4), textcoords="offset points", color=line.get_color(), size="small"
        )
        ax.set_xlabel(f"loss of {first}")
        ax.set_ylabel(f"loss of {second}")
    return ax


def plot_fraction(law: MixtureScaling, ax: Axes | None = None) -> Axes:
    """Draw f(p) of each task with the neutral diagonal: see :meth:`MixtureScaling.plot_fraction`."""
    ax = _axes(ax)
    ax.plot([0, 1], [0, 1], linestyle=(0, (4, 3)), linewidth=0.8, color="C5", zorder=1)
    for number, task in enumerate(law.tasks_):
        if law.f == "free":
            p = np.array(
                sorted(w for k, t, w in law.cells_.index if k == "beta" and t == task and w is not None)
            )
        else:
            p = np.linspace(0.01, 1.0, 100)
        ax.plot(
            p,
            law.effective_fraction(task, p),
            "o-" if law.f == "free" else "-",
            color=f"C{number}",
            label=str(task),
        )
    ax.set_xlabel("sampling weight p")
    ax.set_ylabel("effective fraction f(p)")
    ax.legend()
    return ax
