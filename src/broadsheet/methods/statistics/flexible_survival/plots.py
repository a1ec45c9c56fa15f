"""Plots of a fitted model. Each draws on the Axes it is given or on the current one, and returns it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import expon, norm

from broadsheet.methods.statistics.flexible_survival.observations import Observations
from broadsheet.methods.statistics.flexible_survival.residuals import kaplan_meier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from broadsheet.methods.statistics.flexible_survival.regression import APGWRegressor

__all__ = [
    "plot_coefficients",
    "plot_hazard",
    "plot_hazard_ratio",
    "plot_residuals",
    "plot_survival",
]


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.gca()


def plot_coefficients(model: APGWRegressor, ax: Axes | None = None) -> Axes:
    """Plot the coefficients but the intercepts, with their intervals.

    Args:
        model: A fitted model.
        ax: Where to draw.

    Returns:
        The Axes.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
        >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
        >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
        >>> ax = model.plot(ax=Figure().add_subplot())
        >>> ax.get_xlabel()
        'coefficient (95 % interval)'
    """
    ax = _axes(ax)
    table = model.summary
    table = table[table.index.get_level_values("covariate") != "Intercept"][::-1]
    if not len(table):
        raise ValueError("the model has no coefficient besides intercepts: nothing to plot")
    place = np.arange(len(table))
    half = table["coef"] - table.iloc[:, 2]
    ax.axvline(0.0, color="0.6", linewidth=0.8)
    ax.errorbar(table["coef"], place, xerr=half, fmt="o", capsize=0)
    ax.set_yticks(place, [f"{parameter}  {name}" for parameter, name in table.index])
    ax.set_xlabel(f"coefficient ({100 * (1 - model.alpha):g} % interval)")
    return ax


def plot_survival(
    model: APGWRegressor,
    df: pd.DataFrame,
    by: Hashable,
    *,
    duration_col: Hashable,
    event_col: Hashable | None = None,
    entry_col: Hashable | None = None,
    times: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot fitted survival over Kaplan-Meier, group by group.

    The fitted curve of a group is the average over its rows, which is what Kaplan-Meier estimates.

    Args:
        model: A fitted model.
        df: Table with outcome and covariates.
        by: Column of groups.
        duration_col: Column of times.
        event_col: Column of events; None: every row is one.
        entry_col: Column of entry times.
        times: Times of the fitted curves; by default 200 up to the last.
        ax: Where to draw.

    Returns:
        The Axes.

    Raises:
        ValueError: if the column of groups is not there or has more than 12 values.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
        >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
        >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
        >>> ax = model.plot_survival(
        ...     df, "trt", duration_col="time", event_col="event", ax=Figure().add_subplot()
        ... )
        >>> ax.get_xlabel()
        'time'
    """
    ax = _axes(ax)
    groups = _groups(df, by)
    last = float(df[duration_col].max())
    at = np.linspace(0.0, last, 200) if times is None else np.asarray(times, float)
    for position, group in enumerate(groups):
        rows = df[df[by] == group]
        color = f"C{position % 10}"
        seen = Observations.of_frame(rows, duration_col, event_col, entry_col=entry_col)
        curve = kaplan_meier(seen)
        end = float(seen.lower.max())
        ax.step(
            np.append(curve.index, end),
            np.append(curve["survival"], curve["survival"].iloc[-1]),
            where="post",
            color=color,
            linewidth=0.9,
            alpha=0.6,
        )
        fitted = model.predict_distribution(rows).sf(at[:, None]).mean(axis=1)
        ax.plot(at, fitted, color=color, linewidth=1.8, label=f"{by} = {group}")
    ax.set_ylim(0.0, 1.02)
    ax.set_xlim(0.0, None)
    ax.set_xlabel(str(duration_col))
    ax.set_ylabel("surviving (steps: Kaplan-Meier)")
    ax.legend(frameon=False)
    return ax


def _groups(df: pd.DataFrame, by: Hashable) -> list[Any]:
    if by not in df.columns:
        raise ValueError(f"by={by!r} is not a column of the table")
    groups = sorted(df[by].dropna().unique())
    if len(groups) > 12:
        raise ValueError(f"by={by!r} must have at most 12 values, has {len(groups)}")
    return groups


def plot_hazard(model: APGWRegressor, X: Any, times: ArrayLike | None = None, ax: Axes | None = None) -> Axes:
    """Plot the hazard of every row.

    Args:
        model: A fitted model.
        X: A few rows of covariates.
        times: Times > 0; by default 100 up to the last observed one.
        ax: Where to draw.

    Returns:
        The Axes.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
        >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
        >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
        >>> ax = model.plot_hazard(df.head(2), ax=Figure().add_subplot())
        >>> ax.get_xlabel()
        'time'
    """
    ax = _axes(ax)
    hazard = model.predict_hazard(X, times)
    for column in hazard.columns:
        ax.plot(hazard.index, hazard[column], label=str(column))
    name = model._likelihood.seen.name
    ax.set_xlabel(name)
    ax.set_ylabel(f"hazard (events per unit of {name})")
    ax.set_ylim(0.0, None)
    ax.legend(frameon=False)
    return ax


def plot_hazard_ratio(
    model: APGWRegressor,
    X: Any,
    reference: Any,
    times: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    **how: Any,
) -> Axes:
    """Plot the hazard ratio over time with its band.

    Args:
        model: A fitted model.
        X: The subject, as in ``predict_hazard_ratio``.
        reference: The subject it is compared with.
        times: Times > 0.
        ax: Where to draw.
        how: ``method``, ``draws`` and ``seed`` of ``predict_hazard_ratio``.

    Returns:
        The Axes.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
        >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
        >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
        >>> ax = model.plot_hazard_ratio({"trt": 1}, {"trt": 0}, ax=Figure().add_subplot())
        >>> ax.get_xlabel()
        'time'
    """
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    ax = _axes(ax)
    ratio = model.predict_hazard_ratio(X, reference, times, **how)
    ax.axhline(1.0, color="0.6", linewidth=0.8)
    ax.fill_between(ratio.index, ratio["lower"], ratio["upper"], alpha=0.2, linewidth=0)
    ax.plot(ratio.index, ratio["hazard_ratio"])
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel(model._likelihood.seen.name)
    ax.set_ylabel(f"hazard ratio ({100 * (1 - model.alpha):g} % band)")
    return ax


def plot_residuals(
    model: APGWRegressor, kind: str = "quantile", *, seed: int = 0, ax: Axes | None = None
) -> Axes:
    """Plot residuals against what they should look like.

    Args:
        model: A fitted model.
        kind: ``quantile`` (normal quantile plot), ``cox-snell`` (cumulative hazard against the diagonal) or
            ``martingale`` (against time).
        seed: Seed of the randomised residuals.
        ax: Where to draw.

    Returns:
        The Axes.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
        >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
        >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
        >>> ax = model.plot_residuals(ax=Figure().add_subplot())
        >>> ax.get_xlabel()
        'standard normal quantile'
    """
    ax = _axes(ax)
    values = model.residuals(kind, seed=seed).to_numpy()
    seen = model._likelihood.seen
    if kind == "martingale":
        ax.axhline(0.0, color="0.6", linewidth=0.8)
        ax.plot(seen.middle, values, ".", alpha=0.6)
        ax.set_xlabel(seen.name)
        ax.set_ylabel("event minus expected")
        return ax
    if kind == "cox-snell":
        outcome = Observations(
            values, np.where(seen.happened, values, np.inf), np.zeros(seen.n), seen.weights
        )
        curve = kaplan_meier(outcome)
        expected = expon.ppf(1.0 - curve["survival"].to_numpy())
        shown = np.isfinite(expected)
        across, up = curve.index.to_numpy()[shown], expected[shown]
        ax.set_xlabel("Cox-Snell residual")
        ax.set_ylabel("its cumulative hazard")
    else:
        up = np.sort(values)
        across = norm.ppf((np.arange(len(up)) + 0.5) / len(up))
        ax.set_xlabel("standard normal quantile")
        ax.set_ylabel("quantile residual")
    ends = [min(across.min(), up.min()), max(across.max(), up.max())]
    ax.plot(ends, ends, color="0.6", linewidth=0.8)
    ax.plot(across, up, ".", alpha=0.7)
    return ax
