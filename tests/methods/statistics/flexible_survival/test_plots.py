"""Plots return Axes with what they promise drawn on them."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from broadsheet.methods.statistics import APGWRegressor

mpl.use("agg")


@pytest.fixture
def ax() -> Axes:
    return Figure().add_subplot()


def test_coefficients(fitted, ax):
    assert fitted.plot(ax=ax) is ax
    assert [label.get_text() for label in ax.get_yticklabels()] == ["gamma  trt", "phi  age", "phi  trt"]


def test_survival_lies_over_kaplan_meier(fitted, made, ax):
    fitted.plot_survival(made, "trt", duration_col="time", event_col="event", ax=ax)
    steps, curve = ax.lines[0], ax.lines[1]
    at = np.linspace(0.5, 5.0, 10)
    there = np.interp(at, curve.get_xdata(), curve.get_ydata())
    x, y = steps.get_xdata(), steps.get_ydata()
    empirical = y[np.searchsorted(x, at, side="right") - 1]
    assert np.abs(there - empirical).max() < 0.1
    assert len(ax.lines) == 4
    assert "Kaplan-Meier" in ax.get_ylabel()


def test_hazards_and_their_ratio(fitted, made, ax):
    fitted.plot_hazard(made.head(2), ax=ax)
    assert len(ax.lines) == 2
    ratio_ax = Figure().add_subplot()
    assert fitted.plot_hazard_ratio({"trt": 1}, {"trt": 0}, ax=ratio_ax) is ratio_ax
    assert ratio_ax.get_yscale() == "log"
    assert ratio_ax.collections  # the band


@pytest.mark.parametrize("kind", ["quantile", "cox-snell", "martingale"])
def test_residuals(fitted, ax, kind):
    assert fitted.plot_residuals(kind, ax=ax) is ax
    points = ax.lines[-1]
    assert len(points.get_xdata()) > 100


def test_without_axes_the_current_ones_are_used(fitted):
    import matplotlib.pyplot as plt

    plt.figure()
    assert fitted.plot() is plt.gca()
    plt.close("all")


def test_plots_that_cannot_be_drawn_say_why(fitted, made, ax):
    with pytest.raises(ValueError, match="by='arm' is not a column"):
        fitted.plot_survival(made, "arm", duration_col="time", ax=ax)
    with pytest.raises(ValueError, match="at most 12 values, has 400"):
        fitted.plot_survival(made, "age", duration_col="time", ax=ax)
    with pytest.raises(ValueError, match="no coefficient besides intercepts"):
        APGWRegressor(phi="1").fit(made, "time", "event").plot(ax=ax)
