"""Density of public base models, from scores that one group measured with one harness."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.datasets import load_observational_scores, load_release_dates
from broadsheet.methods.scaling.densing_law.envelope import bootstrap_lines
from broadsheet.methods.scaling.densing_law.one_step import OneStepReference
from broadsheet.methods.scaling.densing_law.scores import ExtrapolationWarning
from broadsheet.methods.scaling.densing_law.trend import DensingTrend

__all__ = ["FLOORS", "ORIGIN", "load_open_models", "measure_trend", "rate_draws"]

FLOORS = {"MMLU": 0.25, "HellaSwag": 0.25, "GSM8K": 0.0}
"""Scores of guessing: one of four choices, or a free answer."""
ORIGIN = "2023-02-24"
"""Release of Llama-1."""
_REFERENCE = ("Llama", "Llama-2")


def load_open_models(path: Path | str | None = None) -> pd.DataFrame:
    """Load public base models with size, tokens, scores and, for some, the release date.

    Args:
        path: The table of scores; by default that of the data registry.

    Returns:
        A row per model: ``model``, ``family``, ``N`` (parameters), ``D`` (tokens), ``date`` (NaT where not known) and
        one column of fractions per benchmark.
    """
    frame = load_observational_scores(path).rename(columns={"Model": "model", "Model Family": "family"})
    frame["N"] = 1e9 * frame["Model Size (B)"]
    frame["D"] = 1e12 * frame["Pretraining Data Size (T)"]
    dates = load_release_dates().set_index("Model")["Release Date"]
    frame["date"] = pd.to_datetime(frame["model"].map(dates))
    return frame


def measure_trend(
    models: pd.DataFrame, metric: str, D0: float = 1e12
) -> tuple[OneStepReference, DensingTrend, pd.DataFrame]:
    """Fit the reference to Llama and Llama-2, and the trend to all dated models since Llama-1.

    Args:
        models: What :func:`load_open_models` returned.
        metric: A key of :data:`FLOORS`.
        D0: Tokens of the reference.

    Returns:
        The reference, the trend, and the dated models with ``density`` and ``reason``.
    """
    reference = OneStepReference(metric=metric, floor=FLOORS[metric])
    known = models[models["family"].isin(_REFERENCE)].dropna(subset=[metric])
    reference.fit(known)
    dated = models[models["date"] >= ORIGIN].dropna(subset=[metric]).copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)  # the column of reasons tells it, row by row
        dated["density"] = reference.density(dated[metric], dated["N"].to_numpy(), D0)
    dated["reason"] = reference.effective_parameters(dated[metric], D0)["reason"]
    trend = DensingTrend(origin=ORIGIN).fit(dated, model="model", family="family")
    return reference, trend, dated


def rate_draws(
    reference: OneStepReference, dated: pd.DataFrame, count: int, seed: int = 0, D0: float = 1e12
) -> np.ndarray:
    """Draw growth rates from the uncertainty of models and of the reference curve together.

    Args:
        reference: Fitted.
        dated: The third value of :func:`measure_trend`.
        count: Draws.
        seed: Seed.
        D0: Tokens of the reference.

    Returns:
        (<= count,); rates per day, without draws in which the reference does not grow with size.
    """
    kept = dated[np.isfinite(dated["density"])]
    days = (kept["date"] - pd.Timestamp(ORIGIN)).dt.days.to_numpy(float)
    drawn = reference.draws(count, seed)
    drawn = drawn[drawn[:, 1] > 0]
    logs = reference.log_effective(kept[reference.metric].to_numpy(), D0, drawn) - np.log(
        kept["N"].to_numpy()
    )
    rng = np.random.default_rng(seed + 1)
    rates = np.array([bootstrap_lines(days, row, 1, rng)[0, 0] for row in logs])
    return np.asarray(rates[np.isfinite(rates)])
