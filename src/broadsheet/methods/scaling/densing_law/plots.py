"""Plots of a trend, on the Axes that are given or on the current one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
import pandas as pd

from broadsheet.methods.scaling.densing_law.scores import column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from broadsheet.methods.scaling.densing_law.trend import DensingTrend

__all__ = ["plot_trend"]


def plot_trend(
    trend: DensingTrend,
    models: pd.DataFrame,
    ax: Axes | None = None,
    *,
    label: str | None = None,
    interval: float | None = 0.95,
    published: float | None = None,
) -> Axes:
    """Plot models, envelope, line and band over the date: see :meth:`DensingTrend.plot`."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    envelope = trend.envelope_
    names = column(envelope, label) if label is not None else None
    dates = pd.date_range(models["date"].min(), models["date"].max(), periods=60)
    band = interval if interval is not None and len(envelope) >= 4 else None
    fitted = trend.predict(dates, interval=band)
    ink = mpl.rcParams["text.color"]
    ax.plot(models["date"], models["density"], "o", color="0.6", markersize=3.5, zorder=1)
    ax.plot(envelope["date"], envelope["density"], "o-", color="C0", linewidth=0.8, markersize=5, zorder=3)
    ax.plot(fitted["date"], fitted["density"], color="C1", zorder=2)
    if band is not None:
        ax.fill_between(fitted["date"], fitted["lower"], fitted["upper"], color="C1", alpha=0.18, linewidth=0)
    if published is not None:
        days = (dates - trend.origin_).total_seconds() / 86_400.0
        middle = float(np.mean(envelope["days"]))
        level = trend.A_ * middle + trend.B_
        ax.plot(
            dates,
            np.exp(level + published * (days - middle)),
            color=ink,
            linewidth=1.0,
            linestyle=(0, (4, 3)),
        )
    if names is not None:
        for number, (date, density, name) in enumerate(
            zip(envelope["date"], envelope["density"], names, strict=True)
        ):
            below = number % 2 == 0  # neighbours on opposite sides, so that their names do not meet
            ax.annotate(
                str(name).rsplit("/", 1)[-1],
                (date, density),
                (5, -11) if below else (-4, 5),
                textcoords="offset points",
                ha="left" if below else "right",
                size="x-small",
            )
    ax.set_yscale("log")
    locator = mdates.AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    ax.set_ylabel("density")
    return ax
