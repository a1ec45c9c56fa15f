"""The figures show what they are given."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from broadsheet.methods.scaling.regmix import figures


@pytest.fixture
def figure():
    return Figure()


def test_domains_are_open_and_filled(figure):
    figures.draw_domains(
        figure, pd.DataFrame({"published": [99.0, 98.0], "measured": [99.1, 97.9]}, index=["a", "b"])
    )
    ax = figure.axes[0]
    published, measured = ax.lines
    assert list(published.get_xdata()) == [99.0, 98.0]
    assert published.get_markerfacecolor() == "none"
    assert list(measured.get_xdata()) == [99.1, 97.9]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]


def test_every_scale_has_a_panel(figure):
    points = pd.DataFrame({"scale": ["60M", "1B", "1B"], "predicted": [1.0, 2, 3], "loss": [4.0, 5, 6]})
    figures.draw_fits(figure, points)
    assert [len(ax.lines[0].get_xdata()) for ax in figure.axes] == [1, 2]


def test_the_optimum_stands_beside_prior_and_published(figure):
    table = pd.DataFrame(
        {"prior": [0.5, 0.5], "measured": [0.9, 0.1], "published": [0.87, None]}, index=["a", "b"]
    )
    figures.draw_optimum(figure, table)
    ax = figure.axes[0]
    assert [bar.get_width() for bar in ax.patches] == [0.9, 0.1, 0.5, 0.5]
    assert list(ax.lines[0].get_xdata()) == [0.87]


def test_every_regressor_has_a_labelled_curve(figure):
    curve = pd.DataFrame(
        {
            "runs": [16, 32, 64] * 4,
            "regressor": ["trees"] * 6 + ["linear"] * 6,
            "spearman": [50.0, 60, 70, 70, 80, 90, 40, 50, 60, 40, 50, 60],
        }
    )
    figures.draw_learning_curve(figure, curve)
    ax = figure.axes[0]
    assert [list(line.get_ydata()) for line in ax.lines] == [[60, 70, 80], [40, 50, 60]]
    assert {t.get_text() for t in ax.texts} == {"trees", "linear"}


def test_random_arms_share_a_line(figure):
    table = pd.DataFrame({"arm": ["regmix", "uniform", "random 1", "random 2"], "loss": [1.0, 2.0, 3.0, 4.0]})
    figures.draw_arms(figure, table)
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["regmix", "uniform", "random mixtures"]
    assert list(ax.lines[2].get_xdata()) == [3.0, 4.0]
