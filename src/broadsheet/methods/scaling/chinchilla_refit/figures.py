"""The figures of the claims: each draws what it is given on an empty figure and computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_allocation", "draw_parameters", "draw_residuals"]


def draw_residuals(figure: Figure, residuals: pd.DataFrame) -> None:
    """Draw residuals of the refit and of the published law over D / N, the left-out points marked."""
    axes = figure.subplots(1, 2, sharey=True)
    ink = mpl.rcParams["text.color"]
    for number, (ax, column, title) in enumerate(
        zip(axes, ("refit", "Hoffmann et al."), ("refit", "as published in 2022"), strict=True)
    ):
        kept, out = residuals[~residuals["left out"]], residuals[residuals["left out"]]
        ax.axhline(0.0, color=ink, linewidth=0.8)
        ax.plot(kept["D / N"], 100 * kept[column], "o", color=f"C{number}", alpha=0.5, markersize=4)
        ax.plot(
            out["D / N"], 100 * out[column], "o", color=f"C{number}", markerfacecolor="none", markersize=6
        )
        ax.set_xscale("log")
        ax.set_title(title)
        ax.set_xlabel("tokens per parameter D / N")
    row = residuals[residuals["left out"]].iloc[-1]
    axes[0].annotate(
        "left out: the five\nhighest losses, which are\nthe five lowest D / N",
        (row["D / N"], 100 * row["refit"]),
        (0.30, 0.72),
        textcoords="axes fraction",
        size="small",
        arrowprops={"arrowstyle": "-", "color": ink, "linewidth": 0.6},
    )
    axes[0].set_ylabel("residual of ln loss (%)")


def draw_parameters(figure: Figure, table: pd.DataFrame) -> None:
    """Draw each parameter's bootstrap interval with the two published values."""
    axes = figure.subplots(1, len(table))
    for ax, (name, row) in zip(axes, table.iterrows(), strict=True):
        ax.plot([0, 0], [row["lower"], row["upper"]], color="C0", linewidth=3, alpha=0.6)
        ax.plot([0], [row["estimate"]], "o", color="C0")
        ax.plot([1], [row["Besiroglu et al."]], "s", color="C0", markerfacecolor="none")
        ax.plot([2], [row["Hoffmann et al."]], "D", color="C1", markerfacecolor="none")
        ax.set_xlim(-0.6, 2.6)
        ax.set_xticks([0, 1, 2], ["here", "2024", "2022"], rotation=90, size="small")
        ax.set_title(str(name))
        ax.grid(visible=False, axis="x")


def draw_allocation(figure: Figure, table: pd.DataFrame) -> None:
    """Draw optimal tokens per parameter over the budget, for the refit with its band and for 2022's law."""
    ax = figure.add_subplot()
    ax.fill_between(table["C"], table["lower"], table["upper"], color="C0", alpha=0.2, linewidth=0)
    ax.plot(table["C"], table["refit"], color="C0")
    ax.plot(table["C"], table["Hoffmann et al."], color="C1")
    ax.plot([5.76e23], [20.0], "o", color="C2", markerfacecolor="none", markersize=8)
    ax.annotate(
        "Chinchilla 70B", (5.76e23, 20.0), (-8, 4), textcoords="offset points", ha="right", size="small"
    )
    last = table.iloc[-1]
    ax.annotate(
        "as published in 2022",
        (last["C"], last["Hoffmann et al."]),
        (-4, 6),
        textcoords="offset points",
        ha="right",
        va="bottom",
        color="C1",
    )
    ax.annotate(
        "refit, 80 % band",
        (last["C"], last["refit"]),
        (-4, -18),
        textcoords="offset points",
        ha="right",
        color="C0",
    )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("training FLOPs C")
    ax.set_ylabel("optimal tokens per parameter")
