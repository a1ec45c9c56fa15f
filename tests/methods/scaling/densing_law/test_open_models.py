"""The re-measurement on published scores, against an independent computation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.methods.scaling.conftest import registered

from broadsheet.methods.scaling.densing_law.open_models import load_open_models, measure_trend, rate_draws


@pytest.fixture(scope="module")
def models():
    return load_open_models(registered("obs-base-llm-benchmark-eval"))


def test_tables_join(models):
    assert len(models) == 148
    assert models["date"].notna().sum() == 65
    llama = models.set_index("model").loc["huggyllama/llama-65b"]
    assert (llama["N"], llama["D"]) == (pytest.approx(65.2e9, rel=0.01), pytest.approx(1.4e12))


@pytest.mark.parametrize(
    ("metric", "floor", "days", "points"),
    [("MMLU", 0.25, 103.85, 8), ("HellaSwag", 0.25, 288.89, 5), ("GSM8K", 0.0, 63.07, 6)],
)
def test_doubling_times_by_plain_numpy(models, metric, floor, days, points):
    known = models[models["family"].isin(["Llama", "Llama-2"])]
    s = (known[metric] - floor) / (1 - floor)
    X = np.column_stack([np.ones(len(known)), np.log(known["N"]), np.log(known["D"])])
    w = np.linalg.lstsq(X, np.log(s / (1 - s)), rcond=None)[0]
    dated = models.dropna(subset=["date", metric]).sort_values("date")
    z = (dated[metric] - floor) / (1 - floor)
    rho = np.exp((np.log(z / (1 - z)) - w[0] - w[2] * np.log(1e12)) / w[1]) / dated["N"]
    best, kept = 0.0, []
    for date, group in rho.groupby(dated["date"]):
        if group.max() > best:
            best = group.max()
            kept.append(((date - pd.Timestamp("2023-02-24")).days, best))
    slope = np.polyfit([k[0] for k in kept], np.log([k[1] for k in kept]), 1)[0]
    reference, trend, _ = measure_trend(models, metric)
    assert reference.n_models_ == 7
    assert len(trend.envelope_) == len(kept) == points
    assert pytest.approx(slope, rel=1e-9) == trend.A_
    assert trend.doubling_days_ == pytest.approx(days, abs=0.01)


def test_the_references_error_widens_the_rate(models):
    reference, trend, dated = measure_trend(models, "MMLU")
    draws = rate_draws(reference, dated, 400)
    assert np.quantile(draws, 0.1) < trend.A_ < np.quantile(draws, 0.9)
    assert (draws > 0).all()
