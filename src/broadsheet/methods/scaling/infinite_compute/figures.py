"""The figures of the claims: each draws what it is given on an empty figure and computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from broadsheet.methods.scaling.infinite_compute.asymptote import Asymptote

__all__ = ["draw_epochs", "draw_members", "draw_published", "draw_widths"]


def _label(ax: Axes, x: float, y: float, text: str, color: str, dx: float = 6, dy: float = 0) -> None:
    ax.annotate(text, (x, y), (dx, dy), textcoords="offset points", color=color, va="center", size="small")


def _log2_axis(ax: Axes, ticks: list[float]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()


def draw_published(figure: Figure, sizes: pd.DataFrame, curve: Asymptote, standard: pd.DataFrame) -> None:
    """Draw the published losses by size: usual decay, law of the regularised recipe, infinite ensembles."""
    ax = figure.add_subplot()
    x = np.geomspace(0.13, 12.0, 200)
    ink = mpl.rcParams["text.color"]
    ax.plot(standard["N"], standard["loss"], "o-", color="C3", markerfacecolor="none")
    _label(ax, 1.4, float(standard["loss"].iloc[-1]), "decay 0.1", "C3", 8)
    ax.plot(x, 0.05 / x**1.02 + 3.43, color="C0")
    _label(ax, 2.2, 3.43 + 0.05 / 2.2, "strong decay: 0.05/N^1.02 + 3.43", "C0", 0, 9)
    ax.plot(sizes["N"], sizes["E"], "o", color="C1", markerfacecolor="none")
    ax.plot(x, curve.predict(x), color="C1")
    _label(ax, 1.9, float(curve.predict(1.9)), "infinitely many members", "C1", 0, 10)
    ax.axhline(curve.E, color=ink, linewidth=0.7, linestyle=(0, (4, 3)))
    _label(ax, 0.14, curve.E, f"infinite members of infinite size: {curve.E:.2f}", ink, 0, -9)
    ax.set_xscale("log")
    ax.set_xticks([0.15, 0.3, 0.6, 1.4, 10.0], ["0.15", "0.3", "0.6", "1.4", "10"])
    ax.minorticks_off()
    ax.set_ylim(3.1, 3.9)
    ax.set_xlabel("parameters of a model, billions")
    ax.set_ylabel("loss, nats per token")


def draw_epochs(figure: Figure, table: pd.DataFrame) -> None:
    """Draw the loss by epochs for two decays, with the spread over replicates."""
    ax = figure.add_subplot()
    for number, (decay, group) in enumerate(table.groupby("decay")):
        by = group.groupby("epochs")["test"]
        x = np.array(sorted(group["epochs"].unique()), float)
        color = ("C3", "C0")[number]
        ax.fill_between(x, by.min(), by.max(), color=color, alpha=0.15, linewidth=0)
        ax.plot(x, by.mean(), "o-", color=color)
        _label(
            ax, x[-1], float(by.mean().iloc[-1]), f"decay {decay:g}", color, -8, 10 if number == 0 else -12
        )
    _log2_axis(ax, sorted(table["epochs"].unique()))
    ax.set_xlabel("epochs")
    ax.set_ylabel("loss on held-out documents, nats per character")


def draw_widths(figure: Figure, table: pd.DataFrame, asymptote: float, low: float, high: float) -> None:
    """Draw the tuned loss by width for both recipes, and the asymptote of ensembles with its interval."""
    ax = figure.add_subplot()
    widths = sorted(table["width"].unique())
    for name, color, label in (
        ("standard", "C3", "decay 0.1, rate and epochs tuned"),
        ("regularised", "C0", "decay and epochs tuned"),
    ):
        by = table.groupby("width")[name]
        ax.fill_between(widths, by.min(), by.max(), color=color, alpha=0.15, linewidth=0)
        ax.plot(widths, by.mean(), "o-", color=color)
        _label(ax, widths[1], float(by.mean().iloc[1]), label, color, 0, 14)
    ax.axhspan(low, high, color="C1", alpha=0.15, linewidth=0)
    ax.axhline(asymptote, color="C1")
    _label(ax, widths[0], asymptote, f"infinitely many members of width {widths[1]}", "C1", 0, -9)
    _log2_axis(ax, widths)
    ax.set_xlabel("width of the hidden layer")
    ax.set_ylabel("loss on held-out documents, nats per character")


def draw_members(
    figure: Figure, table: pd.DataFrame, fits: dict[str, Asymptote], labels: dict[str, str]
) -> None:
    """Draw the loss by members for two settings of members, with fits and their asymptotes."""
    ax = figure.add_subplot()
    most = float(table["K"].max())
    x = np.geomspace(1.0, 4 * most, 200)
    for name, color in (("alone", "C0"), ("together", "C1")):
        rows = table[table["members"] == name]
        ax.plot(rows["K"], rows["loss"], "o", color=color)
        ax.plot(x, fits[name].predict(x), color=color)
        ax.axhline(fits[name].E, color=color, linewidth=0.7, linestyle=(0, (4, 3)))
        _label(ax, most, float(fits[name].predict(most)), labels[name], color, 6, 7)
    _log2_axis(ax, [float(k) for k in (1, 2, 4, 8, 16, 32) if k <= 4 * most])
    ax.set_xlabel("members K")
    ax.set_ylabel("loss on held-out documents, nats per character")
