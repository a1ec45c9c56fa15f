"""The figures of the claims: each draws what it is given on an empty figure and computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.ticker import NullFormatter

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_fractions", "draw_frontier", "draw_lines"]


def draw_lines(figure: Figure, points: pd.DataFrame, lines: pd.DataFrame) -> None:
    """Draw reducible loss over size, one line per weight, one panel per direction and task.

    Args:
        figure: Empty.
        points: ``panel``, ``p``, ``N`` and ``reducible`` (measured loss minus the law's irreducible loss).
        lines: The same of the joint law.
    """
    panels = list(dict.fromkeys(lines["panel"]))
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for ax, panel in zip(axes, panels, strict=True):
        mine = lines[lines["panel"] == panel]
        for number, (p, line) in enumerate(mine.groupby("p")):
            color = f"C{number}"
            seen = points[(points["panel"] == panel) & (points["p"] == p) & (points["reducible"] > 0)]
            ax.plot(line["N"], line["reducible"], color=color, linewidth=1.2)
            ax.plot(seen["N"], seen["reducible"], "o", color=color, markersize=3, alpha=0.7)
            end = line.iloc[-1]
            ax.annotate(
                f"p = {p:g}",
                (end["N"], end["reducible"]),
                (4, -2),
                textcoords="offset points",
                color=color,
                size="small",
            )
        ax.set_title(panel)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.margins(x=0.25)
        ax.set_xlabel("parameters N")
    axes[0].set_ylabel("loss minus L_inf")


def draw_fractions(figure: Figure, found: pd.DataFrame) -> None:
    """Draw effective fractions over weights, one panel per direction, with the neutral diagonal.

    Args:
        figure: Empty.
        found: ``direction``, ``task``, ``seed``, ``p`` and ``f``.
    """
    directions = list(dict.fromkeys(found["direction"]))
    axes = figure.subplots(1, len(directions), sharex=True, sharey=True, squeeze=False)[0]
    for ax, direction in zip(axes, directions, strict=True):
        ax.plot([0.05, 1], [0.05, 1], linestyle=(0, (4, 3)), linewidth=0.9, color=mpl.rcParams["text.color"])
        ax.annotate("neutral, f = p", (0.2, 0.2), (4, -12), textcoords="offset points", size="small")
        for number, (task, group) in enumerate(found[found["direction"] == direction].groupby("task")):
            middle = group.groupby("p")["f"].median()
            ax.plot(group["p"], group["f"], "o", color=f"C{number}", markersize=4, alpha=0.5)
            ax.plot(middle.index, middle, color=f"C{number}")
            ax.annotate(
                f"task {task}",
                (middle.index[0], middle.iloc[0]),
                (-4, 6),
                textcoords="offset points",
                color=f"C{number}",
                size="small",
                ha="right",
            )
        ax.set_title(direction)
        ax.set_yscale("log")
        ax.set_xlim(0, 1.02)
        ax.set_xlabel("sampling weight p")
    axes[0].set_ylabel("effective fraction f(p)")


def draw_frontier(figure: Figure, measured: pd.DataFrame, predicted: pd.DataFrame) -> None:
    """Draw the two tasks' losses against each other: the law's curve and what was measured, by size.

    Args:
        figure: Empty.
        measured: ``N``, ``de``, ``zh`` and ``held_out``, one row per model.
        predicted: ``N``, ``de`` and ``zh`` along the curves.
    """
    ax = figure.add_subplot()
    for number, (size, curve) in enumerate(predicted.groupby("N")):
        color = f"C{number}"
        ax.plot(curve["de"], curve["zh"], color=color, linewidth=1.2)
        mine = measured[measured["N"] == size]
        for held_out, marker in ((False, "o"), (True, "D")):
            shown = mine[mine["held_out"] == held_out]
            ax.plot(shown["de"], shown["zh"], marker, color=color, markersize=4, linestyle="none")
        end = curve.iloc[-1]
        ax.annotate(
            f"N = {size:,.0f}",
            (end["de"], end["zh"]),
            (4, 0),
            textcoords="offset points",
            color=color,
            size="small",
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("loss of task de")
    ax.set_ylabel("loss of task zh")
