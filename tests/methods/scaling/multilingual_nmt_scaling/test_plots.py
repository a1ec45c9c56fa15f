"""Plots and figures show what they are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from broadsheet.methods.scaling.multilingual_nmt_scaling import figures


def test_a_frontier_for_each_size(power):
    ax = power.plot_frontier([1e8, 1e9])
    assert [text.get_text() for text in ax.texts] == ["N = 1e+08", "N = 1e+09"]
    np.testing.assert_allclose(ax.lines[1].get_xdata(), power.frontier(1e9)["de"])
    assert ax.get_xlabel() == "loss of de"


def test_fractions_stand_beside_the_diagonal(power, free):
    ax = Figure().add_subplot()
    assert power.plot_fraction(ax) is ax
    p, f = ax.lines[2].get_data()
    np.testing.assert_allclose(f, power.effective_fraction("zh", p))
    assert len(free.plot_fraction().lines[1].get_xdata()) == 6


def test_lines_have_a_panel_for_each_direction():
    lines = pd.DataFrame(
        [(panel, p, N, N**-0.3) for panel in ("out", "into") for p in (0.3, 1.0) for N in (1e3, 1e4)],
        columns=["panel", "p", "N", "reducible"],
    )
    figure = Figure()
    figures.draw_lines(figure, lines.assign(reducible=lines["reducible"] - 0.1), lines)
    assert len(figure.axes) == 2
    assert {text.get_text() for text in figure.axes[0].texts} == {"p = 0.3", "p = 1"}
    drawn = figure.axes[0].lines[1].get_ydata()  # what lies below the irreducible loss has no logarithm
    assert (np.asarray(drawn) > 0).all()


def test_fractions_have_a_panel_for_each_direction():
    found = pd.DataFrame(
        [(d, t, s, p, p) for d in ("out", "into") for t in ("de", "zh") for s in (0, 1) for p in (0.3, 0.5)],
        columns=["direction", "task", "seed", "p", "f"],
    )
    figure = Figure()
    figures.draw_fractions(figure, found)
    assert len(figure.axes) == 2
    assert "task zh" in {text.get_text() for text in figure.axes[1].texts}


def test_the_frontier_marks_what_was_held_out():
    measured = pd.DataFrame({"N": [1e3, 1e3], "de": [1.0, 2.0], "zh": [2.0, 1.0], "held_out": [True, False]})
    figure = Figure()
    figures.draw_frontier(figure, measured, measured[["N", "de", "zh"]])
    markers = {
        line.get_marker(): len(line.get_xdata())
        for line in figure.axes[0].lines
        if line.get_marker() != "None"
    }
    assert markers == {"o": 1, "D": 1}
