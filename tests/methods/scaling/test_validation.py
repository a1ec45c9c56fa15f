"""Validation by scale, criteria, comparison, records, plots and reports of laws."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats
from sklearn.exceptions import NotFittedError

from broadsheet.methods.scaling import Chinchilla, Law, PowerLaw, Reciprocal, compare_laws

from .conftest import simulated


@pytest.fixture(scope="module")
def curve() -> pd.DataFrame:
    x = np.geomspace(1e6, 1e9, 16)
    noise = np.exp(0.003 * np.random.default_rng(4).standard_normal(16))
    return pd.DataFrame({"N": x, "loss": (1.7 + 40 * x**-0.25) * noise, "seed": np.arange(16) % 2})


# ---- held out by scale


def test_the_largest_scale_is_held_out_and_not_seen(runs, law):
    table = law.cross_validate(by="N", largest=2)
    assert table["N"].nunique() == 2
    assert table["N"].min() > np.sort(runs["N"].unique())[-3]
    small = runs[runs["N"] <= np.sort(runs["N"].unique())[-3]]
    np.testing.assert_allclose(
        table["predicted"], Chinchilla().fit(small).predict(runs.loc[table.index]), rtol=1e-9
    )
    np.testing.assert_allclose(table["error"], table["predicted"] / table["observed"] - 1)
    assert table.attrs["mean_absolute_error"] == pytest.approx(table["error"].abs().mean())
    spoilt = runs.assign(loss=np.where(runs["N"] == runs["N"].max(), 9.0, runs["loss"]))
    assert Chinchilla().cross_validate(spoilt).attrs["params"] == pytest.approx(
        law.cross_validate().attrs["params"]
    )


def test_validation_takes_other_columns_rules_and_intervals(runs, law):
    by_compute = law.cross_validate(runs.assign(C=6 * runs["N"] * runs["D"]), by="C", above=1e20)
    assert (by_compute["C"] > 1e20).all()
    table = law.cross_validate(interval=0.95)
    inside = (table["lower"] <= table["observed"]) & (table["observed"] <= table["upper"])
    assert inside.mean() >= 5 / 7
    with pytest.raises(ValueError, match="largest=7 holds out everything"):
        law.cross_validate(largest=7)
    with pytest.raises(NotFittedError):
        Chinchilla().cross_validate()


def test_weights_go_along(curve):
    weights = np.where(curve["seed"] == 0, 1.0, 1e-9)
    table = PowerLaw(loss="mse").cross_validate(curve, weights=weights)
    alone = PowerLaw(loss="mse").fit(curve[(curve["seed"] == 0) & (curve["N"] < 1e9)])
    assert table["predicted"].iloc[0] == pytest.approx(alone.predict([1e9])[0], rel=1e-6)


# ---- criteria


def test_aicc_is_that_of_the_density_whose_logarithm_the_loss_is(curve):
    n = len(curve)
    for loss, density in (("mse", stats.norm), ("mae", stats.laplace)):
        law = PowerLaw(loss=loss).fit(curve)
        r = law.residuals_
        scale = np.sqrt(np.mean(r**2)) if loss == "mse" else np.mean(np.abs(r))
        expected = -2 * density.logpdf(r, scale=scale).sum() + 2 * 4 + 2 * 4 * 5 / (n - 5)
        assert law.aicc_ == pytest.approx(expected, rel=1e-6)
    wide = PowerLaw(loss="huber", delta=10.0).fit(curve)  # no residual reaches the threshold
    assert wide.aicc_ == pytest.approx(PowerLaw(loss="mse").fit(curve).aicc_, rel=1e-6)


def test_huber_density_integrates_to_one(curve):
    from broadsheet.methods.scaling.validation import _log_normaliser

    law = PowerLaw(delta=0.01).fit(curve)
    r = np.linspace(-2, 2, 400_001)
    rho = np.where(abs(r) <= 0.01, 0.5 * r**2, 0.01 * (abs(r) - 0.005))
    for t in (1e-5, 1e-4, 1e-3):
        assert np.trapezoid(np.exp(-rho / t), r) == pytest.approx(np.exp(_log_normaliser(law, t)), rel=1e-4)


def test_comparison_finds_the_law_that_made_the_runs(curve):
    pure = curve.assign(loss=30 * curve["N"] ** -0.12 * curve["loss"] / (1.7 + 40 * curve["N"] ** -0.25))
    laws = {"floor": PowerLaw(), "no floor": PowerLaw(offset=False), "reciprocal": Reciprocal(x="N")}
    assert compare_laws(laws, curve, by="N").index[0] == "floor"
    assert compare_laws(laws, pure, by="N").index[0] == "no floor"
    table = compare_laws(laws, curve, by="N", largest=3)
    assert table["weight"].sum() == pytest.approx(1.0)
    assert table["delta"].min() == 0.0
    assert table.loc["floor", "parameters"] == 3
    assert table.loc["floor", "extrapolation_error"] < table.loc["no floor", "extrapolation_error"]
    assert not hasattr(laws["floor"], "theta_")


def test_a_law_that_cannot_be_fitted_says_so_in_the_table(runs):
    table = compare_laws([Chinchilla(), PowerLaw()], runs.assign(D=1e10))
    assert table.index.tolist() == ["PowerLaw", "Chinchilla"]
    assert "column 'D' has one distinct value" in table.loc["Chinchilla", "problem"]
    assert table.loc["Chinchilla", "AICc"] == np.inf
    assert table.loc["Chinchilla", "weight"] == 0.0


def test_comparisons_that_make_no_sense_are_refused(curve):
    for laws, message in (
        ([PowerLaw()], "at least two laws, got 1"),
        ([PowerLaw(), PowerLaw(offset=False)], "two laws are named 'PowerLaw'"),
        ({"a": PowerLaw(), "b": PowerLaw(loss="mse")}, "laws must have the same loss, got huber, mse"),
        ({"a": PowerLaw(), "b": PowerLaw(space="linear")}, "laws must have the same space"),
        ({"a": PowerLaw(), "b": PowerLaw(delta=0.1)}, "laws must have the same delta"),
    ):
        with pytest.raises(ValueError, match=message):
            compare_laws(laws, curve)


# ---- records


def test_records_are_json_and_give_the_same_law_back(runs, law):
    record = json.loads(json.dumps(law.to_dict()))
    again = Law.from_dict(record)
    assert type(again) is Chinchilla
    assert again.params_ == law.params_
    np.testing.assert_array_equal(again.predict(runs), law.predict(runs))
    np.testing.assert_allclose(again.bootstrap(30).theta, law.bootstrap(30).theta, rtol=1e-12)
    assert again.confint(n_boot=30, group="recipe").equals(law.confint(n_boot=30, group="recipe"))
    assert again.n_agree_ == law.n_agree_
    assert again.report(n_boot=20) == law.report(n_boot=20)


def test_records_without_runs_predict_only(law):
    again = Law.from_dict(law.to_dict(runs=False))
    assert again.predict(N=1e9, D=1e10) == law.predict(N=1e9, D=1e10)
    with pytest.raises(ValueError, match="without its runs"):
        again.confint()


def test_the_input_named_at_the_fit_is_kept(curve):
    renamed = curve.rename(columns={"N": "size"})
    law = PowerLaw().fit(renamed, x="size")
    again = Law.from_dict(law.to_dict())
    np.testing.assert_array_equal(again.predict(renamed), law.predict(renamed))
    assert law.cross_validate(by="size")["size"].tolist() == [1e9]


def test_bad_records_are_refused():
    with pytest.raises(ValueError, match="record lacks 'settings'"):
        Law.from_dict({"law": "Chinchilla"})
    with pytest.raises(ValueError, match=r"names the law 'Nonesuch', which is not known.*Chinchilla"):
        Law.from_dict({"law": "Nonesuch", "settings": {}, "theta": [], "params": {}})


# ---- plots and reports


def test_plots_show_every_run_and_the_law(law, runs):
    ax = law.plot(ax=Figure().add_subplot())
    lines = ax.get_lines()
    assert len(lines[0].get_xdata()) == len(runs)  # all runs in grey, six levels in colour
    curve = next(line for line in lines if len(line.get_xdata()) == 80)
    x, y = curve.get_data()
    level = float(re.search(r"N = (\S+)", curve.get_label())[1])
    np.testing.assert_allclose(y, law.predict(N=level, D=x), rtol=1e-3)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_ylabel() == "loss (nats per token)"


def test_plots_over_compute_follow_the_size():
    runs = simulated(1).assign(C=lambda d: 6 * d["N"] * d["D"])
    law = Chinchilla().fit(runs)
    ax = law.plot(x="C", color="N", ax=Figure().add_subplot())
    x, y = next(line for line in ax.get_lines() if len(line.get_xdata()) == 80).get_data()
    np.testing.assert_allclose(y, law.predict(N=5e7, D=x / 6 / 5e7), rtol=1e-9)
    with pytest.raises(ValueError, match="color='family' is no column"):
        law.plot(color="family", ax=Figure().add_subplot())


def test_residual_plots_show_residuals(law, curve):
    ax = law.residual_plot(x="N", ax=Figure().add_subplot())
    np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), 100 * law.residuals_)
    linear = PowerLaw(loss="mse", space="linear").fit(curve)
    ax = linear.residual_plot(ax=Figure().add_subplot())
    np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), curve["loss"] - linear.predict(curve))
    assert ax.get_ylabel() == "residual"


def test_text_report_holds_what_a_reader_needs(law):
    text = law.report(n_boot=40)
    assert text.startswith("Chinchilla on 49 runs\n")
    for part in (
        "objective",
        "polished starts agree",
        "40 bootstrap refits, of which 0 failed",
        "exponent of N",
    ):
        assert part in text
    assert f"{law.params_['E']:.5g}" in text
