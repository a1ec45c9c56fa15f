"""The figures show what they are given, in both styles."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from broadsheet.methods.statistics import APGWRegressor
from broadsheet.methods.statistics.flexible_survival import figures


def test_the_ridge_has_a_panel_for_each_truth():
    shown = pd.DataFrame(
        {"kappa": [0.0, 0.0, 2.0], "beta_both": [0.1, -0.2, 0.3], "tau_both": [0.6, 0.9, 0.4]}
    )
    figure = Figure()
    figures.draw_ridge(figure, shown)
    assert [ax.get_title(loc="center") or ax.get_title(loc="left") for ax in figure.axes] == [
        "kappa = 0",
        "kappa = 2",
    ]
    points = [len(line.get_xdata()) for ax in figure.axes for line in ax.lines if len(line.get_xdata()) != 2]
    assert 1 in points


def test_the_shape_map_marks_every_shape_it_was_given():
    plane = pd.DataFrame(
        {
            "gamma": [0.4, 0.4, 2.0, 2.0],
            "kappa": [0.2, 3.0, 0.2, 2.0],
            "followed": ["decreasing", "down then up", "up then down", "increasing"],
        }
    )
    figure = Figure()
    figures.draw_shape_map(figure, plane)
    words = {text.get_text() for text in figure.axes[0].texts}
    assert set(plane["followed"]) | {"constant", "Weibull"} <= words


def test_the_trial_is_drawn_as_survival_and_ratio(veteran):
    df = veteran[["time", "status", "trt"]]
    model = APGWRegressor(lam="trt", phi=1, gamma="trt").fit(df, "time", "status")
    figure = Figure()
    figures.draw_trial(figure, model, df)
    assert len(figure.axes) == 2
    assert figure.axes[1].get_yscale() == "log"
