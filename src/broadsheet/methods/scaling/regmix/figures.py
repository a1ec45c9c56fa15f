"""The figures of the claims: each draws what it is given on an empty figure and computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_arms", "draw_domains", "draw_fits", "draw_learning_curve", "draw_optimum"]


def draw_domains(figure: Figure, table: pd.DataFrame) -> None:
    """Draw published and measured rank correlation by domain: columns ``published`` and ``measured``."""
    ax = figure.add_subplot()
    place = np.arange(len(table))[::-1]
    ax.hlines(place, table["published"], table["measured"], color=mpl.rcParams["text.color"], linewidth=0.7)
    ax.plot(table["published"], place, "o", color="C0", markerfacecolor="none", markersize=8)
    ax.plot(table["measured"], place, "o", color="C0", markersize=4)
    first = table.iloc[0]
    ax.annotate(
        "open: published",
        (first["published"], place[0]),
        (-8, 9),
        textcoords="offset points",
        ha="right",
        size="small",
    )
    ax.annotate(
        "filled: measured",
        (first["measured"], place[0]),
        (-8, -13),
        textcoords="offset points",
        ha="right",
        size="small",
    )
    ax.set_yticks(place, list(table.index))
    ax.set_xlabel("Spearman x 100 on 256 unseen mixtures")


def draw_fits(figure: Figure, points: pd.DataFrame) -> None:
    """Draw loss against prediction, one panel per scale: columns ``scale``, ``predicted``, ``loss``."""
    scales = list(dict.fromkeys(points["scale"]))
    axes = figure.subplots(1, len(scales), squeeze=False)[0]
    for number, (ax, scale) in enumerate(zip(axes, scales, strict=True)):
        here = points[points["scale"] == scale]
        ax.plot(here["predicted"], here["loss"], "o", color=f"C{number}", alpha=0.6, markersize=3.5)
        ax.set_title(f"{scale} parameters")
        ax.set_xlabel("loss predicted at 1M")
    axes[0].set_ylabel("loss on Pile-CC (nats per token)")


def draw_optimum(figure: Figure, table: pd.DataFrame) -> None:
    """Draw shares by domain as bars: columns ``prior``, ``measured``, and ``published`` where there is one."""
    ax = figure.add_subplot()
    place = np.arange(len(table))[::-1]
    ax.barh(place + 0.2, table["measured"], height=0.4, color="C0")
    ax.barh(place - 0.2, table["prior"], height=0.4, color="C1", alpha=0.7)
    shown = table["published"].notna().to_numpy()
    ax.plot(
        table["published"][shown],
        place[shown] + 0.2,
        "o",
        color=mpl.rcParams["text.color"],
        markerfacecolor="none",
    )
    ax.set_yticks(place, list(table.index))
    for number, text in enumerate(("RegMix (open circles: published)", "tokens of the Pile")):
        ax.text(
            0.97,
            0.3 - 0.07 * number,
            text,
            color=f"C{number}",
            ha="right",
            transform=ax.transAxes,
            weight="bold",
        )
    ax.set_xlabel("share of training tokens")


def draw_learning_curve(figure: Figure, curve: pd.DataFrame) -> None:
    """Draw rank correlation against number of proxy runs: columns ``runs``, ``regressor``, ``spearman``."""
    ax = figure.add_subplot()
    for number, (name, rows) in enumerate(curve.groupby("regressor", sort=False)):
        groups = rows.groupby("runs")["spearman"]
        middle = groups.mean()
        ax.fill_between(middle.index, groups.min(), groups.max(), color=f"C{number}", alpha=0.15, linewidth=0)
        ax.plot(middle.index, middle, "o-", color=f"C{number}", markersize=4)
        # Labels stand where the curves part: at the left end for trees, on the way, at the right end.
        place = (0, (len(middle) - 1) // 3, len(middle) - 1)[number % 3]
        offset, side = ((10, -3), "left") if number < 2 else ((0, -14), "right")
        ax.annotate(
            str(name),
            (middle.index[place], middle.iloc[place]),
            offset,
            textcoords="offset points",
            color=f"C{number}",
            ha=side,
            size="small",
        )
    ax.set_xscale("log", base=2)
    ax.set_xticks(sorted(curve["runs"].unique()), [str(n) for n in sorted(curve["runs"].unique())])
    ax.set_xlabel("proxy runs that the regressor was fitted to")
    ax.set_ylabel("Spearman x 100, unseen mixtures")


def draw_arms(figure: Figure, table: pd.DataFrame) -> None:
    """Draw target losses of large models by mixture: columns ``arm``, ``loss``, one row per arm and seed."""
    ax = figure.add_subplot()
    named = [arm for arm in dict.fromkeys(table["arm"]) if not arm.startswith("random")]
    rows = [*named, "random mixtures"]
    for number, arm in enumerate(rows):
        chosen = table["arm"].str.startswith("random") if arm == "random mixtures" else table["arm"] == arm
        losses = table.loc[chosen, "loss"]
        place = np.full(len(losses), len(rows) - 1 - number)
        ax.plot(losses, place, "o", color="C0" if arm == "regmix" else "C1", alpha=0.7, clip_on=False)
    ax.set_yticks(np.arange(len(rows))[::-1], rows)
    ax.set_xlabel("loss of the large model on the target domain (nats per character)")
