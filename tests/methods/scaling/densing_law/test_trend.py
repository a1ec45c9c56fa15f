"""The trend: exact growth comes back, intervals cover, bad tables are refused."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from broadsheet.methods.scaling.densing_law.laws import ExponentialTrend
from broadsheet.methods.scaling.densing_law.trend import DensingTrend


def models(seed: int = 0, n: int = 80, days: float = 95.0, noise: float = 0.8) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    at = rng.integers(0, 600, n)
    log_best = np.log(0.1) + np.log(2) / days * at
    below = noise * rng.exponential(size=n)
    names = [f"lab/model-{i}" for i in range(n)]
    dates = pd.Timestamp("2023-02-24") + pd.to_timedelta(at, unit="D")
    return pd.DataFrame(
        {
            "date": dates,
            "density": np.exp(log_best - below),
            "model": names,
            "family": rng.choice(["a", "b", "c"], n),
        }
    )


def test_the_envelope_is_fitted_not_all_models():
    frame = models(noise=0.0)
    low = frame.assign(density=0.01, date=frame["date"] + pd.Timedelta(days=1))
    trend = DensingTrend().fit(pd.concat([frame, low], ignore_index=True))
    assert trend.doubling_days_ == pytest.approx(95.0)
    assert trend.r2_ == pytest.approx(1.0)
    assert (trend.envelope_["density"] > 0.05).all()


def test_it_agrees_with_the_exponential_law_on_its_envelope():
    trend = DensingTrend().fit(models())
    table = trend.envelope_.rename(columns={"days": "t", "density": "y"})[["t", "y"]]
    law = ExponentialTrend().fit(table)
    assert law.params_["A"] == pytest.approx(trend.A_, rel=1e-6)
    assert law.doubling_ == pytest.approx(trend.doubling_days_, rel=1e-6)


def test_the_unit_of_density_moves_the_level_only():
    frame = models()
    one, two = DensingTrend().fit(frame), DensingTrend().fit(frame.assign(density=7 * frame["density"]))
    assert pytest.approx(one.A_) == two.A_
    assert pytest.approx(np.log(7)) == two.B_ - one.B_


def test_intervals_hold_the_true_rate():
    hits = 0
    for seed in range(60):
        interval = DensingTrend().fit(models(seed, n=60)).confint(level=0.9, n_boot=300).loc["doubling_days"]
        hits += interval["lower"] <= 95.0 <= interval["upper"]
    assert hits >= 45


def test_an_interval_of_growth_that_reaches_zero_has_no_longest_doubling_time():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"date": pd.date_range("2023-01-01", periods=40, freq="7D"), "density": 1.0})
    frame["density"] = np.exp(0.001 * rng.normal(size=40)) * np.linspace(1, 1.001, 40)
    interval = DensingTrend().fit(frame).confint()
    assert interval.loc["A", "lower"] > 0  # an envelope never falls
    assert np.isfinite(interval.loc["doubling_days", "upper"])


def test_the_same_seed_gives_the_same_interval():
    trend = DensingTrend().fit(models())
    assert trend.confint(random_state=4).equals(trend.confint(random_state=4))
    assert not trend.confint(random_state=4).equals(trend.confint(random_state=5))


def test_prediction_reads_dates():
    trend = DensingTrend(origin="2023-01-01").fit(models(noise=0.0))
    found = trend.predict(["2024-01-01", "2024-04-05"], interval=0.9)
    assert found["density"][1] / found["density"][0] == pytest.approx(2.0)
    assert (found["lower"] <= found["density"]).all()
    assert (found["density"] <= found["upper"]).all()


def test_families_can_be_left_out():
    frame = models()
    trend = DensingTrend().fit(frame, family="family")
    table = trend.influence()
    assert set(table["without"]) <= {"a", "b", "c"}
    row = table.iloc[0]
    again = DensingTrend().fit(frame, family="family", exclude=[row["without"]])
    assert pytest.approx(row["A"]) == again.A_
    with pytest.raises(ValueError, match="no family 'd'; families are a, b, c"):
        DensingTrend().fit(frame, family="family", exclude="d")
    with pytest.raises(ValueError, match="needs family="):
        DensingTrend().fit(frame, exclude="a")
    with pytest.raises(ValueError, match="influence\\(\\) needs families"):
        DensingTrend().fit(frame).influence()


def test_undefined_densities_are_left_out_and_counted():
    frame = models()
    frame.loc[:4, "density"] = np.nan
    trend = DensingTrend().fit(frame)
    assert (trend.n_undefined_, trend.n_models_) == (5, 75)


def test_what_it_refuses():
    frame = models()
    fit = DensingTrend().fit
    with pytest.raises(ValueError, match="2023-01-01; a trend needs at least 2 dates"):
        fit(frame.assign(date="2023-01-01"))
    with pytest.raises(ValueError, match="lies after 2023-12-31; give release dates"):
        fit(frame, today=dt.date(2023, 12, 31))
    with pytest.raises(ValueError, match="cannot read 'soon' in row 0 as a date"):
        fit(frame.assign(date=["soon", *frame["date"].astype(str)[1:]]))
    with pytest.raises(ValueError, match="densities must be positive and finite, got -1 in row 0"):
        fit(frame.assign(density=-1.0))
    with pytest.raises(ValueError, match="no row with a density"):
        fit(frame.assign(density=np.nan))
    with pytest.raises(ValueError, match="the envelope is a single point"):
        fit(pd.DataFrame({"date": ["2023-01-01", "2023-02-01"], "density": [2.0, 1.0]}))
    few = fit(pd.DataFrame({"date": ["2023-01-01", "2023-02-01", "2023-03-01"], "density": [1.0, 2.0, 4.0]}))
    with pytest.raises(ValueError, match="at least 4 envelope points, got 3"):
        few.confint()
    with pytest.raises(ValueError, match="n_boot must be at least 20, got 5"):
        fit(frame).confint(n_boot=5)
    with pytest.raises(ValueError, match="level must lie between 0 and 1, got 95"):
        fit(frame).confint(level=95)
    with pytest.raises(KeyError, match="no column 'when'"):
        fit(frame, date="when")


def test_the_plot_shows_all_models_and_names_the_envelope():
    trend = DensingTrend().fit(models(), model="model")
    ax = trend.plot(Figure().add_subplot(), label="model", published=0.0073)
    assert ax.get_yscale() == "log"
    grey, envelope, fitted, published = ax.get_lines()[:4]
    assert len(grey.get_xdata()) == trend.n_models_
    assert len(envelope.get_xdata()) == len(trend.envelope_)
    assert len(ax.texts) == len(trend.envelope_)
    assert "/" not in ax.texts[0].get_text()
    rates = [np.log(a.get_ydata()[-1] / a.get_ydata()[0]) for a in (fitted, published)]
    span = (trend._models["date"].max() - trend._models["date"].min()).days
    assert rates == pytest.approx([trend.A_ * span, 0.0073 * span], rel=1e-6)
    with pytest.raises(KeyError, match="no column 'name'"):
        trend.plot(Figure().add_subplot(), label="name")
