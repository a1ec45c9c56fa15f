"""The figures of the claims: each draws what it is given on an empty figure and computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_exponents", "draw_optima"]


def draw_exponents(figure: Figure, tables: dict[str, pd.DataFrame]) -> None:
    """Draw the exponent in each regime, published (open) and measured (filled), one panel per corpus."""
    axes = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    ink = mpl.rcParams["text.color"]
    for ax, (corpus, table) in zip(axes, tables.items(), strict=True):
        place = np.arange(len(table))[::-1]
        for exponent, name, side in ((0.88, "Kaplan et al.", "right"), (0.5, "Hoffmann et al.", "left")):
            ax.axvline(exponent, color=ink, linewidth=0.7, linestyle=(0, (4, 3)))
            ax.text(exponent, len(table) - 0.45, name, size="small", ha=side)
        ax.errorbar(table["exponent"], place, xerr=1.96 * table["std"], fmt="o", color="C0")
        ax.plot(table["published"], place, "o", color="C0", markerfacecolor="none", markersize=9)
        ax.set_yticks(place, table.index)
        ax.set_ylim(-0.5, len(table) - 0.1)
        ax.set_title(corpus, pad=14)
        ax.set_xlabel("exponent of the optimal size")


def draw_optima(figure: Figure, optima: pd.DataFrame) -> None:
    """Draw the optimal sizes over compute in the first and the last regime."""
    ax = figure.add_subplot()
    for number, (regime, rows) in enumerate(optima.groupby("regime", sort=False)):
        color = f"C{number}"
        ax.plot(rows["flops"], rows["n_opt"], "o", color=color, markersize=4)
        ax.plot(rows["flops"], rows["fitted"], color=color)
        at = rows.iloc[len(rows) // 4]
        ax.annotate(
            str(regime),
            (at["flops"], at["fitted"]),
            (8, -16) if number == 0 else (-8, 12),
            textcoords="offset points",
            ha="left" if number == 0 else "center",
            color=color,
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("training FLOPs C")
    ax.set_ylabel("compute-optimal parameters")
