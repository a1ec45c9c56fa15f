"""The figures of the claims: each draws what it is given on an empty figure and computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_counts", "draw_schedule", "draw_schedules"]

_COUNTS = (("initial", "initial"), ("average", "mean"), ("final", "final"))


def draw_schedule(figure: Figure, live: pd.DataFrame, authors: pd.DataFrame) -> None:
    """Draw the share of live weights over the steps, and where the authors begin and end to prune.

    Args:
        figure: An empty figure.
        live: Columns ``step`` and ``keep``.
        authors: Columns ``step``, ``keep`` and ``name``.
    """
    ax = figure.add_subplot()
    ax.plot(live["step"], live["keep"], drawstyle="steps-post")
    ax.fill_between(live["step"], live["keep"], step="post", alpha=0.16, linewidth=0, color="C0")
    ax.plot(
        authors["step"], authors["keep"], "o", color="C1", markerfacecolor=mpl.rcParams["figure.facecolor"]
    )
    for step, keep, name in zip(authors["step"], authors["keep"], authors["name"], strict=True):
        ax.annotate(name, (step, keep), (8, 8), textcoords="offset points", color="C1", size="small")
    ax.set_ylim(0.0, 1.12)
    ax.set_xlim(0.0, float(live["step"].max()))
    ax.set_xlabel("training step")
    ax.set_ylabel("share of live weights = compute of a step")


def draw_counts(figure: Figure, dense: pd.DataFrame, sparse: pd.DataFrame) -> None:
    """Draw the dense curve, and every sparse run at its initial, mean and final count with a line between.

    Args:
        figure: An empty figure.
        dense: Columns ``initial`` and ``loss``, one row per width.
        sparse: Columns ``sparsity``, ``initial``, ``average``, ``final`` and ``loss``, one row per sparsity.
    """
    ax = figure.add_subplot()
    ink = mpl.rcParams["text.color"]
    curve = dense.sort_values("initial")
    ax.plot(curve["initial"], curve["loss"], "o-", color="C0")
    first = curve.iloc[0]
    ax.annotate("dense", (first["initial"], first["loss"]), (8, 4), textcoords="offset points", color="C0")
    for number, run in enumerate(sparse.to_dict("records"), 1):
        color, loss = f"C{number}", float(run["loss"])
        ax.plot([float(run["final"]), float(run["initial"])], [loss, loss], color=color, linewidth=0.9)
        for column, word in _COUNTS:
            at = (float(run[column]), loss)
            ax.plot(*at, "s", color=color, markerfacecolor=color if column == "average" else "none")
            ax.annotate(word, at, (0, -15), textcoords="offset points", ha="center", size="small", color=ink)
        name, at = f"{run['sparsity']:.0%} sparse", (float(run["initial"]), loss)
        ax.annotate(name, at, (8, -4), textcoords="offset points", color=color)
    ax.set_xscale("log")
    ticks = [float(size) for size in curve["initial"]]
    ax.set_xticks(ticks, [f"{size / 1e3:.0f} k" for size in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlim(ticks[0] / 1.12, ticks[-1] * 1.35)
    ax.set_xlabel("prunable weights (linear layers, without embedding)")
    ax.set_ylabel("validation loss, nats per character")


def draw_schedules(figure: Figure, runs: pd.DataFrame) -> None:
    """Draw the loss of every seed under each schedule.

    Args:
        figure: An empty figure.
        runs: Columns ``schedule``, ``seed`` and ``loss``; schedules stand in the order of their rows.
    """
    ax = figure.add_subplot()
    names = list(dict.fromkeys(runs["schedule"]))
    for place, name in enumerate(names):
        losses = runs.loc[runs["schedule"] == name, "loss"]
        ax.plot(losses, [place] * len(losses), "o", color=f"C{place}", alpha=0.7)
        ax.plot([losses.mean()] * 2, [place - 0.22, place + 0.22], color=f"C{place}")
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlabel("validation loss, nats per character")
