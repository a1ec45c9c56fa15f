"""The figures show what they are given."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from broadsheet.methods.scaling.average_parameters import figures


def test_every_sparse_run_is_drawn_at_three_counts():
    dense = pd.DataFrame({"initial": [25e3, 1e5], "loss": [2.1, 1.8]})
    sparse = pd.DataFrame(
        {
            "sparsity": [0.5, 0.75],
            "initial": [1e5] * 2,
            "average": [7e4, 4.6e4],
            "final": [5e4, 2.5e4],
            "loss": [1.9, 2.0],
        }
    )
    figure = Figure()
    figures.draw_counts(figure, dense, sparse)
    (ax,) = figure.axes
    markers = [line for line in ax.lines if line.get_marker() == "s"]
    assert sorted(float(line.get_xdata()[0]) for line in markers) == [2.5e4, 4.6e4, 5e4, 7e4, 1e5, 1e5]
    filled = [line for line in markers if line.get_markerfacecolor() != "none"]
    assert [float(line.get_xdata()[0]) for line in filled] == [7e4, 4.6e4]
    assert {"dense", "50% sparse", "75% sparse"} <= {text.get_text() for text in ax.texts}


def test_schedules_and_seeds():
    runs = pd.DataFrame(
        {"schedule": ["a", "a", "b", "b"], "seed": [0, 1, 0, 1], "loss": [1.0, 1.1, 1.2, 1.3]}
    )
    figure = Figure()
    figures.draw_schedules(figure, runs)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]


def test_the_authors_points_are_open():
    live = pd.DataFrame({"step": [0, 10, 20], "keep": [1.0, 0.7, 0.5]})
    authors = pd.DataFrame({"step": [10, 20], "keep": [0.7, 0.5], "name": ["begins", "ends"]})
    figure = Figure()
    figures.draw_schedule(figure, live, authors)
    assert [t.get_text() for t in figure.axes[0].texts] == ["begins", "ends"]
    assert figure.axes[0].lines[-1].get_markerfacecolor() == mpl.rcParams["figure.facecolor"]
