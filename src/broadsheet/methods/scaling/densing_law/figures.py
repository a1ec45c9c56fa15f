"""The figures of the claims: each draws what it is given on an empty figure and computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from broadsheet.methods.scaling.densing_law.trend import DensingTrend

__all__ = ["draw_benchmarks", "draw_ladder", "draw_trend"]


def draw_trend(figure: Figure, trend: DensingTrend, published: float) -> None:
    """Draw density over date with the envelope, its line and band, and the published slope dashed."""
    ax = figure.add_subplot()
    trend.plot(ax, label="model", published=published)
    ax.set_ylabel("density relative to Llama")
    ink = mpl.rcParams["text.color"]
    ax.text(0.02, 0.96, "dashed: published slope", transform=ax.transAxes, color=ink, va="top", size="small")
    ax.text(0.02, 0.90, "line and band: fitted", transform=ax.transAxes, color="C1", va="top", size="small")


def draw_benchmarks(figure: Figure, trends: dict[str, DensingTrend]) -> None:
    """Draw one panel per benchmark with its envelope and line."""
    axes = figure.subplots(1, len(trends), squeeze=False)[0]
    for ax, (name, trend) in zip(axes, trends.items(), strict=True):
        trend.plot(ax)
        ax.set_title(f"{name}: doubles in {trend.doubling_days_:.0f} days", size="medium")
        if ax is not axes[0]:
            ax.set_ylabel("")


def draw_ladder(figure: Figure, measured: pd.DataFrame, curve: pd.DataFrame) -> None:
    """Draw accuracy over conditional loss: the models of the fit, the one predicted, and the curve."""
    ax = figure.add_subplot()
    ax.plot(curve["loss"], curve["score"], color="C1")
    last = measured["N"] == measured["N"].max()
    ax.plot(measured.loc[~last, "loss"], measured.loc[~last, "score"], "o", color="C0")
    ax.plot(measured.loc[last, "loss"], measured.loc[last, "score"], "s", color="C2")
    for rows, text, color in ((~last, "fitted", "C0"), (last, "predicted", "C2")):
        row = measured[rows].iloc[-1]
        ax.annotate(
            text, (row["loss"], row["score"]), (8, 6), textcoords="offset points", color=color, size="small"
        )
    ax.set_xlabel("conditional loss of the answer, nats")
    ax.set_ylabel("accuracy")
