"""Plots of a fitted model. Each draws on the Axes it is given or on the current one, and returns it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from broadsheet.methods.scaling.regmix.mixtures import as_mixtures, as_prior

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from broadsheet.methods.scaling.regmix.regression import RegMix

__all__ = ["plot_fit", "plot_weights"]


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.gca()


def plot_weights(model: RegMix, weights: Any = None, reference: Any = None, ax: Axes | None = None) -> Axes:
    """Draw a mixture as bars, one per domain, beside a reference.

    Args:
        model: A fitted model.
        weights: Shares by domain; by default those of ``model.optimize()``.
        reference: Shares or token counts to compare with, e.g. the prior; by default the mean of the fitted
            mixtures.
        ax: Where to draw.

    Returns:
        The Axes.

    Raises:
        ValueError: if either is no mixture of the fitted domains.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from broadsheet.methods.scaling import RegMix, sample_mixtures
        >>> mixtures = sample_mixtures({"code": 1, "web": 2}, n=40)
        >>> model = RegMix("linear").fit(mixtures, mixtures["code"].rename("loss"))
        >>> model.plot_weights(ax=Figure().add_subplot()).get_xlabel()
        'share'
    """
    ax = _axes(ax)
    optimum = model.optimize() if weights is None else weights
    given = as_mixtures([[dict(optimum)[name] for name in model.domains_]], model.domains_).iloc[0]
    other = model.mixtures_.mean() if reference is None else as_prior(reference, model.domains_)
    place = np.arange(len(given))[::-1]
    ax.barh(place + 0.2, given, height=0.4, color="C0", label="optimum" if weights is None else "mixture")
    ax.barh(
        place - 0.2, other, height=0.4, color="C1", label="fitted runs" if reference is None else "reference"
    )
    ax.set_yticks(place, [str(name) for name in model.domains_])
    ax.set_xlabel("share")
    ax.legend(frameon=False)
    return ax


def plot_fit(model: RegMix, target: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the losses of the fitted runs against their held-out predictions.

    Args:
        model: A fitted model.
        target: A column of losses; by default the objective.
        ax: Where to draw.

    Returns:
        The Axes.

    Raises:
        ValueError: if the target is unknown.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from broadsheet.methods.scaling import RegMix, sample_mixtures
        >>> mixtures = sample_mixtures({"code": 1, "web": 2}, n=40)
        >>> model = RegMix("linear").fit(mixtures, mixtures["code"].rename("loss"))
        >>> model.plot_fit(ax=Figure().add_subplot()).get_xlabel()
        'predicted loss (held out)'
    """
    if target is not None and target not in model.targets_:
        raise ValueError(f"target {target!r} is none of {', '.join(map(str, model.targets_))}")
    ax = _axes(ax)
    if target is None:
        predicted = model._objective(model.predict_held_out(model.used_targets))
        true = model._objective(model.losses_)
    else:
        predicted, true = (
            model.predict_held_out([target])[target].to_numpy(),
            model.losses_[target].to_numpy(),
        )
    ends = [min(predicted.min(), true.min()), max(predicted.max(), true.max())]
    ax.plot(ends, ends, color=mpl.rcParams["text.color"], linewidth=0.8)
    ax.plot(predicted, true, "o", markersize=3.5, alpha=0.7)
    ax.set_xlabel("predicted loss (held out)")
    ax.set_ylabel("loss")
    return ax
