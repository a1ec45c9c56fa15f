"""The figures of the claims: each draws what it is given and computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_curves", "draw_held_out", "draw_trade_off"]


def draw_held_out(figure: Figure, points: pd.DataFrame) -> None:
    """Lay predictions over published losses, small sizes as faint points and the held-out one filled."""
    ax = figure.add_subplot()
    ends = (points["loss"].min() * 0.99, points["loss"].max() * 1.01)
    ax.plot(ends, ends, color=mpl.rcParams["text.color"], linewidth=0.8)
    fitted, held = points[~points["held_out"]], points[points["held_out"]]
    ax.plot(fitted["loss"], fitted["predicted"], "o", color="C0", alpha=0.3, markersize=4)
    ax.plot(held["loss"], held["predicted"], "o", color="C1", markersize=5)
    ax.text(0.04, 0.92, "held out, 1.07 B parameters", color="C1", transform=ax.transAxes, weight="bold")
    ax.text(0.04, 0.85, "fitted, below 1 B", color="C0", transform=ax.transAxes)
    ax.set(xlabel="measured loss (nats per token)", ylabel="predicted loss (nats per token)")


def draw_curves(figure: Figure, table: pd.DataFrame) -> None:
    """Draw measured curves as points and the law as lines, the held-out curve bold."""
    ax = figure.add_subplot()
    for number, (width, curves) in enumerate(table.groupby("width")):
        bold = bool(curves["held_out"].all())
        for _, curve in curves.groupby("B"):
            ax.plot(
                curve["S"],
                curve["loss"],
                "o",
                color=f"C{number}",
                markersize=4 if bold else 2,
                alpha=1 if bold else 0.4,
            )
            ax.plot(curve["S"], curve["predicted"], color=f"C{number}", linewidth=2.2 if bold else 0.8)
        last = curves.sort_values("S").iloc[-1]
        words = f"width {width}" + (", held out" if bold else "")
        ax.annotate(
            words,
            (last["S"], last["predicted"]),
            xytext=(5, 0),
            textcoords="offset points",
            color=f"C{number}",
            va="center",
            weight="bold" if bold else "normal",
            size="small",
        )
    ax.set(xscale="log", xlabel="steps S", ylabel="loss (nats per character)")
    ax.margins(x=0.22)


def draw_trade_off(figure: Figure, points: pd.DataFrame, lines: pd.DataFrame) -> None:
    """Draw steps against tokens to three losses, with their hyperbolas."""
    ax = figure.add_subplot()
    for number, (loss, level) in enumerate(lines.groupby("loss")):
        color = f"C{number}"
        ax.plot(level["E"], level["S"], color=color, linewidth=1)
        own = points[points["loss"] == loss]
        ax.plot(own["E"], own["S"], "o", color=color, markersize=4)
        end = level.sort_values("E").iloc[-1]
        ax.annotate(
            f"loss {loss:.2f}",
            (end["E"], end["S"]),
            xytext=(4, 0),
            textcoords="offset points",
            color=color,
            va="center",
            size="small",
        )
    ax.set(xscale="log", yscale="log", xlabel="tokens E to the loss", ylabel="steps S to the loss")
    ax.margins(x=0.18)
