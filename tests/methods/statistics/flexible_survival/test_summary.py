"""The summary says what effects mean, and what they do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from broadsheet.methods.statistics import APGWRegressor
from broadsheet.methods.statistics.flexible_survival.summary import effects, shapes, text


def test_coefficients_with_wald_intervals(fitted):
    table = fitted.summary
    row = table.loc[("phi", "trt")]
    assert row["coef upper 95%"] - row["coef"] == pytest.approx(1.959964 * row["se(coef)"])
    assert row["p"] == pytest.approx(2 * stats.norm.sf(abs(row["coef"] / row["se(coef)"])))
    assert not [column for column in table.columns if "exp" in column]


def test_an_effect_that_changes_with_time_is_not_one_number(fitted):
    told = effects(fitted)
    assert np.isnan(told.loc["trt", "value"])
    assert "changes with time" in told.loc["trt", "meaning"]
    assert told.loc["age", "meaning"] == "time ratio"
    assert told.loc["age", "value"] == pytest.approx(np.exp(-fitted.params_["phi", "age"]))


@pytest.mark.parametrize(
    ("settings", "name", "meaning"),
    [
        ({"lam": "trt", "phi": 1}, "trt", "hazard ratio"),
        ({"lam": "trt", "phi": 1, "gamma": "trt:age"}, "trt", "changes with time: predict_hazard_ratio"),
        ({"phi": "np.log(age)", "gamma": "age"}, "np.log(age)", "changes with time: predict_hazard_ratio"),
        ({"phi": "trt + trt:age"}, "trt", "changes with another covariate"),
        ({"phi": "site"}, "site[T.south]", "time ratio"),
    ],
)
def test_meaning_follows_from_where_a_covariate_stands(made, settings, name, meaning):
    model = APGWRegressor(**settings).fit(made, "time", "event")
    assert effects(model).loc[name, "meaning"] == meaning


def test_shapes_are_listed_by_group(fitted, made):
    table = shapes(fitted)
    assert len(table) == 2
    assert table["share"].sum() == pytest.approx(1.0)
    many = shapes(APGWRegressor(phi="trt", gamma="age").fit(made, "time", "event"))
    assert len(many) <= 5


def test_the_text_holds_what_a_reader_needs(fitted, made, capsys):
    fitted.print_summary(decimals=2)
    shown = capsys.readouterr().out
    for part in ("400 rows", "log-likelihood", "number of events", "phi", "up then down", "time ratio"):
        assert part in shown
    hazard_type = APGWRegressor(lam="trt", phi=1).fit(made, "time", "event")
    assert "depends on the unit of time" in text(hazard_type)
    assert "depends on the unit of time" not in text(fitted)
    weibull = APGWRegressor(lam="trt", phi=1, kappa=1).fit(made, "time", "event")
    assert "depends on the unit of time" not in text(weibull)
    both = APGWRegressor(lam="trt", phi="1", kappa=0.5).fit(made, "time", "event")
    assert "hard to tell apart" in text(both)
