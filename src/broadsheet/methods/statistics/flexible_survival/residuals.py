"""How far each observation lies from what the model expects of it, and the Kaplan-Meier curve to lay over it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtri

from broadsheet.methods.statistics.flexible_survival.distribution import APGW
from broadsheet.methods.statistics.flexible_survival.hazard import Floats
from broadsheet.methods.statistics.flexible_survival.observations import Observations

__all__ = ["kaplan_meier", "residuals"]

KINDS = ("cox-snell", "martingale", "quantile")


def residuals(
    seen: Observations, lifetime: APGW, kind: str, seed: int | np.random.Generator | None = 0
) -> pd.Series:
    """Return the residuals of observations under given lifetimes.

    All are functions of the cumulative hazard ``E = H(t) - H(entry)``, which is unit exponential if the model
    is right. Of an event known to lie in an interval, Cox-Snell is the expectation of E given the interval.

    Args:
        seen: The observations, n rows.
        lifetime: Their distributions, of shape (n,).
        kind: ``cox-snell`` (E), ``martingale`` (event minus E) or ``quantile`` (standard normal; drawn at
            random within what is known of the row where it is censored).
        seed: Seed or generator for the draws.

    Returns:
        (n,) residuals.

    Raises:
        ValueError: if ``kind`` is none of the three.

    Example:
        >>> df = pd.DataFrame({"t": [1.0, 2.0], "d": [1, 0]})
        >>> residuals(Observations.of_frame(df, "t", "d"), APGW(lam=[1.0, 1.0]), "martingale").tolist()
        [0.0, -2.0]
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    begun = lifetime.cumhazard(seen.entry)
    low = lifetime.cumhazard(seen.lower) - begun
    high = lifetime.cumhazard(seen.upper) - begun  # of censored rows: everything still to come
    if kind == "quantile":
        rng = np.random.default_rng(seed)
        alive = rng.uniform(np.exp(-high), np.exp(-low))  # a value of S(t) consistent with what was seen
        alive = np.where(
            seen.exact, np.exp(-low), np.where(seen.happened, alive, rng.random(seen.n) * np.exp(-low))
        )
        return pd.Series(-ndtri(alive), name=kind)
    within = seen.interval
    E = np.where(within, _expected_between(low, np.where(within, high, low + 1.0)), low)
    return pd.Series(E if kind == "cox-snell" else seen.happened.astype(float) - E, name=kind)


def _expected_between(low: Floats, high: Floats) -> Floats:
    """Return the mean of a unit exponential variate known to lie between two values."""
    gap = high - low
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        # E[X | low < X < high] = low + 1 - gap / (exp(gap) - 1)
        return low + np.where(gap < 1e-6, gap / 2.0, 1.0 - gap / np.expm1(gap))


def kaplan_meier(seen: Observations) -> pd.DataFrame:
    """Return the Kaplan-Meier curve with delayed entry and weights; intervals count at their middle.

    Args:
        seen: The observations.

    Returns:
        Table ``survival``, ``lower``, ``upper`` (95 %, from the scale of ``log(-log S)``) and ``at_risk``,
        indexed by the event times from 0 on.

    Example:
        >>> df = pd.DataFrame({"t": [1.0, 2.0, 3.0, 4.0], "d": [1, 0, 1, 1]})
        >>> kaplan_meier(Observations.of_frame(df, "t", "d"))["survival"].tolist()
        [1.0, 0.75, 0.375, 0.0]
    """
    end, happened, w = seen.middle, seen.happened, seen.weights
    times, place = np.unique(end[happened], return_inverse=True)
    deaths = np.bincount(place, weights=w[happened], minlength=len(times))
    by_end, by_entry = np.argsort(end), np.argsort(seen.entry)
    gone = np.concatenate([[0.0], np.cumsum(w[by_end])])[np.searchsorted(end[by_end], times, side="left")]
    come = np.concatenate([[0.0], np.cumsum(w[by_entry])])[
        np.searchsorted(seen.entry[by_entry], times, side="left")
    ]
    at_risk = come - gone
    keep = deaths > 0
    times, deaths, at_risk = times[keep], deaths[keep], at_risk[keep]
    survival = np.cumprod(1.0 - deaths / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(deaths / (at_risk * np.maximum(at_risk - deaths, 0.0)))
        middle = np.log(-np.log(survival))
        half = 1.959964 * np.sqrt(greenwood) / np.abs(np.log(survival))
        lower, upper = np.exp(-np.exp(middle + half)), np.exp(-np.exp(middle - half))
    known = (survival > 0) & (survival < 1)
    table = {
        "survival": np.concatenate([[1.0], survival]),
        "lower": np.concatenate([[1.0], np.where(known, lower, survival)]),
        "upper": np.concatenate([[1.0], np.where(known, upper, survival)]),
        "at_risk": np.concatenate([[float(w[seen.entry <= 0].sum())], at_risk]),
    }
    return pd.DataFrame(table, index=pd.Index(np.concatenate([[0.0], times]), name="time"))
