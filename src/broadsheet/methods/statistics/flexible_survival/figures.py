"""The figures of the claims: each draws what it is given on an empty figure and computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from broadsheet.methods.statistics.flexible_survival.regression import APGWRegressor

__all__ = ["draw_ridge", "draw_shape_map", "draw_trial"]


def draw_shape_map(figure: Figure, plane: pd.DataFrame) -> None:
    """Fill the regions of the rule and lay the shapes that were found over them as points."""
    ax = figure.add_subplot()
    ax.grid(visible=False)
    ink = mpl.rcParams["text.color"]
    gamma = np.linspace(0.2, 3.0, 281)
    border = np.clip(1.0 / gamma, -0.8, 3.0)
    regions: dict[str, tuple[Any, Any, Any, tuple[float, float]]] = {
        "increasing": (gamma >= 1, border, 3.0, (2.1, 1.9)),
        "decreasing": (gamma <= 1, -0.8, border, (0.6, 0.3)),
        "up then down": (gamma >= 1, -0.8, border, (2.1, -0.3)),
        "down then up": (gamma <= 1, border, 3.0, (0.72, 2.5)),
    }
    shown = plane[(plane["gamma"] * 5 % 1 < 1e-6) & (plane["kappa"] * 5 % 1 < 1e-6)]
    for number, (name, (where, low, high, place)) in enumerate(regions.items()):
        color = f"C{number}"
        ax.fill_between(gamma, low, high, where=where, color=color, alpha=0.16, linewidth=0)
        found = shown[shown["followed"] == name]
        ax.plot(found["gamma"], found["kappa"], ".", color=color, markersize=3.5, clip_on=False)
        ax.text(
            *place,
            name,
            color=color,
            ha="center",
            weight="bold",
            bbox={"facecolor": _ground(), "linewidth": 0, "pad": 2},
        )
    ax.plot(gamma[border < 3.0], border[border < 3.0], color=ink, linewidth=0.9)
    ax.axvline(1.0, color=ink, linewidth=0.9)
    ax.plot([1.0], [1.0], "o", color=ink)
    for x, y, text, align in (
        (1.06, 1.07, "constant", "left"),
        (2.97, 0.03, "Burr XII, log-logistic", "right"),
        (2.97, 1.03, "Weibull", "right"),
        (2.97, -0.77, "below kappa = 0: cure models", "right"),
    ):
        ax.text(x, y, text, ha=align, size="small")
    for kappa in (0.0, 1.0):
        ax.axhline(kappa, color=ink, linewidth=0.7, linestyle=(0, (4, 3)))
    ax.set_xlim(0.2, 3.0)
    ax.set_ylim(-0.8, 3.0)
    ax.set_xlabel("power shape gamma")
    ax.set_ylabel("family shape kappa")


def _ground() -> str:
    """Return the colour of the paper behind the figure in hand."""
    return str(mpl.rcParams["figure.facecolor"])


def draw_ridge(figure: Figure, shown: pd.DataFrame) -> None:
    """Draw the two treatment effects of every replicate against each other, one panel per true kappa."""
    kappas = sorted(shown["kappa"].unique())
    axes = figure.subplots(1, len(kappas), sharex=True, sharey=True, squeeze=False)[0]
    for number, (ax, kappa) in enumerate(zip(axes, kappas, strict=True)):
        group = shown[shown["kappa"] == kappa]
        ax.axvline(0.0, linewidth=0.6, color="C5", alpha=0.5)
        ax.plot(group["beta_both"], group["tau_both"], "o", color=f"C{number}", alpha=0.5, markersize=4)
        ax.plot([0.0], [0.7], "o", color="C5", markerfacecolor="none", markersize=9)
        ax.annotate("truth", (0.0, 0.7), (7, 4), textcoords="offset points", size="small")
        ax.set_title(f"kappa = {kappa:g}")
        ax.set_xlabel("effect on log lam")
        ax.set_xlim(-6.0, 4.0)
        ax.set_ylim(-2.0, 5.0)
    axes[0].set_ylabel("effect on log phi")


def draw_trial(figure: Figure, model: APGWRegressor, df: pd.DataFrame) -> None:
    """Draw survival by treatment with the fitted curves, and the hazard ratio over time."""
    left, right = figure.subplots(1, 2)
    named = df.assign(treatment=df["trt"].map({0: "standard", 1: "test"}))
    model.plot_survival(named, "treatment", duration_col="time", event_col="status", ax=left)
    handles, labels = left.get_legend_handles_labels()
    left.legend(handles, [label.split("= ")[1] for label in labels])
    left.set_xlabel("days since randomisation")
    left.set_title("Survival")
    model.plot_hazard_ratio({"trt": 1}, {"trt": 0}, ax=right)
    right.set_xlabel("days since randomisation")
    right.set_title("Test against standard")
