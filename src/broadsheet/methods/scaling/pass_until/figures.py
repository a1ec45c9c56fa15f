"""The figures of the claims: each draws what it is given on an empty figure and computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

from broadsheet.methods.scaling.pass_until.points import curve

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_coverage", "draw_emergence", "draw_prediction", "draw_resolution"]


def draw_coverage(figure: Figure, found: pd.DataFrame) -> None:
    """Draw coverage over the true rate, one line per number of passes waited for."""
    ax = figure.add_subplot()
    ink = mpl.rcParams["text.color"]
    ax.axhline(0.95, color=ink, linewidth=0.8, linestyle=(0, (4, 3)))
    for number, (r, rows) in enumerate(found.groupby("r")):
        ax.plot(rows["rate"], rows["coverage"], "o-", color=f"C{number}", label=f"r = {r}")
    ax.legend()
    ax.set_xscale("log")
    ax.set_xlabel("true pass rate")
    ax.set_ylabel("share of intervals that hold it")


def draw_resolution(figure: Figure, table: pd.DataFrame) -> None:
    """Draw the rate by PassUntil over the exact one, item by item; beneath, what 20 samples show."""
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    ink = mpl.rcParams["text.color"]
    for number, (n, rows) in enumerate(table.groupby("N")):
        color = f"C{number}"
        top.vlines(rows["exact"], rows["lower"], rows["upper"], color=color, alpha=0.4, linewidth=0.8)
        passed = rows[rows["r"] > 0]
        top.plot(passed["exact"], passed["p_mle"], "o", color=color, markersize=3, label=f"{n:,.0f} weights")
        bottom.plot(rows["exact"], rows["of_20"], "o", color=color, markersize=3)
    ends = [table["exact"].min(), table["exact"].max()]
    top.plot(ends, ends, color=ink, linewidth=0.8, linestyle=(0, (4, 3)))
    top.set_yscale("log")
    top.set_xscale("log")
    top.legend()
    top.set_ylabel("rate by PassUntil")
    bottom.set_ylabel("share of 20")
    bottom.set_xlabel("exact pass rate")


def draw_prediction(figure: Figure, measured: pd.DataFrame, fitted: pd.DataFrame) -> None:
    """Draw pass rates over size for every seed on both scales: measured, the line of the smaller ones, the largest."""
    left, right = figure.subplots(1, 2)
    for number, (seed, rows) in enumerate(measured.groupby("seed")):
        color = f"C{number}"
        last = rows["N"] == rows["N"].max()
        line = fitted[fitted["seed"] == seed]
        for ax, scale in ((left, lambda v: v), (right, curve)):
            ax.plot(line["N"], scale(line["pu"]), color=color, linewidth=1)
            ax.plot(rows.loc[~last, "N"], scale(rows.loc[~last, "pu"]), "o", color=color)
            ax.plot(rows.loc[last, "N"], scale(rows.loc[last, "exact"]), "s", color=color)
        small = rows[~last]
        left.vlines(small["N"], small["lower"], small["upper"], color=color, linewidth=1)
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_xlabel("weights outside the embedding")
    left.set_ylabel("pass rate")
    right.set_ylabel("ln(-ln PU)")
    left.set_title("squares: predicted size, exact rate", size="medium")


def draw_emergence(figure: Figure, measured: pd.DataFrame, parabola: pd.DataFrame) -> None:
    """Draw the pass rate of additions over size, and F with its parabola."""
    left, right = figure.subplots(1, 2)
    for number, (_, rows) in enumerate(measured.groupby("seed")):
        left.plot(rows["N"], rows["pu"], "o-", color=f"C{number}", linewidth=0.8)
        right.plot(rows["N"], curve(rows["pu"]), "o", color=f"C{number}")
    right.plot(parabola["N"], parabola["F"], color=mpl.rcParams["text.color"])
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_xlabel("weights outside the embedding")
    left.set_yscale("log")
    left.set_ylabel("pass rate")
    right.set_ylabel("ln(-ln PU)")
