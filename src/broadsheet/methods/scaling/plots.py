"""Plots of a fitted law. Each draws on the Axes it is given, or on those of a new figure, and returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.runs import RunTable, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from broadsheet.methods.scaling.law import Law

__all__ = ["plot_law", "plot_residuals"]

_CURVES = 6  # more would not be told apart
LABELS = {
    "N": "parameters N",
    "D": "tokens D",
    "C": "training FLOPs C",
    "S": "steps S",
    "K": "members K",
    "loss": "loss (nats per token)",
}


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.figure().add_subplot()


def plot_law(law: Law, x: str | None = None, color: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the runs over a column and the law through them, by levels of another.

    Args:
        law: A fitted law.
        x: The column along which to draw; by default the last input.
        color: The column whose levels are told apart; by default the first other input, if there is one.
        ax: Where to draw.

    Returns:
        The Axes.

    Raises:
        ValueError: if a column is not there.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from broadsheet.methods.scaling import PowerLaw
        >>> runs = pd.DataFrame({"N": [1e6, 2e6, 4e6, 8e6, 16e6], "loss": [4.0, 3.7, 3.5, 3.36, 3.27]})
        >>> PowerLaw(loss="mse").fit(runs).plot(ax=Figure().add_subplot()).get_xlabel()
        'parameters N'
    """
    ax = _axes(ax)
    names = law._inputs()
    x = names[-1] if x is None else x
    if color is None:
        others = [n for n in (*names, *law.labels) if n != x]
        color = others[0] if others else None
    frame = law.runs_
    for argument, name in (("x", x), ("color", color)):
        if name is not None and name not in frame.columns:
            raise ValueError(f"{argument}={name!r} is no column of the fitted table")
    at, observed = numbers(frame, x), law.rows_.y
    levels = [None] if color is None else list(pd.unique(frame[color].sort_values()))
    shown = [levels[i] for i in np.unique(np.linspace(0, len(levels) - 1, _CURVES).round().astype(int))]
    if color is not None and len(levels) > _CURVES:
        ax.plot(at, observed, ".", color="0.6", markersize=3, zorder=1)
    for number, level in enumerate(shown):
        rows = np.ones(len(frame), bool) if level is None else (frame[color] == level).to_numpy()
        shade = f"C{number}"
        label = None if level is None else f"{color} = {_short(level)}"
        ax.plot(at[rows], observed[rows], "o", color=shade, markersize=4, zorder=3)
        curve = _curve(law, x, color, level, at[rows], at)
        if curve is not None:
            ax.plot(*curve, color=shade, linewidth=1.5, zorder=2, label=label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    _write_plainly(ax.yaxis)
    ax.set_xlabel(LABELS.get(x, x))
    ax.set_ylabel(LABELS.get(law.target, law.target))
    if color is not None:
        ax.legend(frameon=False, fontsize="small")
    return ax


def _write_plainly(axis: Axis) -> None:
    """Write 2.5 and not 2.5 x 10^0 on a logarithmic axis that spans less than a decade."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    low, high = sorted(axis.get_view_interval())
    if low > 0 and high / low < 10:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _curve(
    law: Law, x: str, color: str | None, level: object, here: np.ndarray, everywhere: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return a smooth curve where x and the level determine all inputs, or the law at the rows themselves."""
    low, high = (here.min(), here.max()) if here.min() < here.max() else (everywhere.min(), everywhere.max())
    grid = np.geomspace(low, high, 80)
    made = pd.DataFrame({x: grid} if color is None else {x: grid, color: level})
    names = {*law._inputs(), *law.labels}
    if not names <= set(made.columns) and len({"N", "D", "C"} & set(made.columns)) == 2:
        made = RunTable(made).df
    if names <= set(made.columns):
        return grid, law.predict(made)
    rows = law.runs_ if color is None else law.runs_[law.runs_[color] == level]
    rows = rows.sort_values(x)
    return rows[x].to_numpy(float), law.predict(rows)


def _short(level: object) -> str:
    return f"{level:.3g}" if isinstance(level, int | float | np.number) else str(level)


def plot_residuals(law: Law, x: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the residuals of the fit over the prediction or a column.

    Args:
        law: A fitted law.
        x: The column; by default the prediction.
        ax: Where to draw.

    Returns:
        The Axes.

    Raises:
        ValueError: if the column is not there.
    """
    ax = _axes(ax)
    at = law.predict(law.runs_) if x is None else numbers(law.runs_, x)
    relative = law.space == "log"
    residuals = 100.0 * law.residuals_ if relative else law.residuals_
    ax.axhline(0.0, color="0.5", linewidth=0.8)
    ax.plot(at, residuals, "o", markersize=4, alpha=0.7)
    ax.set_xscale("log")
    _write_plainly(ax.xaxis)
    ax.set_xlabel(f"predicted {LABELS.get(law.target, law.target)}" if x is None else LABELS.get(x, x))
    ax.set_ylabel("residual (%)" if relative else "residual")
    return ax
