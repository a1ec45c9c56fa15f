"""Made-up survival data from a multi-parameter regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from broadsheet.methods.statistics.flexible_survival.design import Formula
from broadsheet.methods.statistics.flexible_survival.distribution import APGW
from broadsheet.methods.statistics.flexible_survival.hazard import Floats

__all__ = ["simulate_mpr"]

Coefficients = Mapping[str, float]


def simulate_mpr(
    covariates: pd.DataFrame | int,
    *,
    phi: Coefficients | float | None = None,
    gamma: Coefficients | float | None = None,
    lam: Coefficients | float | None = None,
    kappa: float = 1.0,
    censoring: float | None = None,
    followup: float | None = None,
    seed: int | np.random.Generator | None = 0,
) -> pd.DataFrame:
    """Draw survival times from a multi-parameter regression, with censoring.

    Args:
        covariates: A table of covariates, or a number of rows for a trial of two equal arms: one column
            ``trt``, 0 and 1 in turn.
        phi: Coefficients of ``log phi`` by term, e.g. ``{"Intercept": -0.5, "trt": 0.7}``; or a number at
            which phi is held; None holds it at 1. A term is a column or anything formulaic reads as one
            column, such as ``trt:age``.
        gamma: The same for ``log gamma``.
        lam: The same for ``log lam``.
        kappa: Family shape, > -1, ``inf`` included.
        censoring: Mean of exponential censoring times; None for no such censoring.
        followup: Time at which all observation ends; None for never.
        seed: Seed or generator.

    Returns:
        The covariates with ``time`` and ``event`` (1: event, 0: censored).

    Raises:
        ValueError: if a number is out of its range, a term cannot be read, or cured subjects (kappa < 0)
            would have no finite time because there is no censoring.

    Example:
        >>> df = simulate_mpr(6, phi={"Intercept": -0.5, "trt": 0.7}, kappa=0, followup=5, seed=1)
        >>> list(df.columns), len(df)
        (['trt', 'time', 'event'], 6)
    """
    for name, value in (("censoring", censoring), ("followup", followup)):
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be > 0 or None, got {value!r}")
    if isinstance(covariates, pd.DataFrame):
        frame = covariates
        taken = [name for name in ("time", "event") if name in frame.columns]
        if taken:
            raise ValueError(f"covariates must not have a column {taken[0]!r}: the result gets one")
    else:
        if isinstance(covariates, bool) or not int(covariates) == covariates or covariates < 1:
            raise ValueError(f"covariates must be a table or a number of rows >= 1, got {covariates!r}")
        frame = pd.DataFrame({"trt": np.arange(int(covariates)) % 2})
    given = {"lam": lam, "phi": phi, "gamma": gamma}
    lifetime = APGW(**{name: _values(name, value, frame) for name, value in given.items()}, kappa=kappa)
    rng = np.random.default_rng(seed)
    times = lifetime.rvs(len(frame), random_state=rng)
    limit = np.full(len(frame), np.inf if followup is None else float(followup))
    if censoring is not None:
        limit = np.minimum(limit, rng.exponential(censoring, len(frame)))
    if not np.isfinite(np.minimum(times, limit)).all():
        raise ValueError(
            f"kappa={kappa:g} leaves some without an event for ever: give followup= or censoring="
        )
    return frame.assign(time=np.minimum(times, limit), event=(times <= limit).astype(int))


def _values(name: str, given: Coefficients | float | None, frame: pd.DataFrame) -> Any:
    """Return a parameter's values, (n,) or a number."""
    if given is None:
        return 1.0
    if not isinstance(given, Mapping):
        return given
    log_value: Floats = np.zeros(len(frame))
    for term, coefficient in given.items():
        if term == "Intercept":
            log_value += coefficient
        elif term in frame.columns:
            log_value += coefficient * frame[term].to_numpy(float)
        else:
            formula = Formula(name, f"0 + {term}")
            columns = formula.learn(frame)
            if columns.shape[1] != 1:
                raise ValueError(f"{name}: term {term!r} must give one column, gives {formula.names}")
            log_value += coefficient * columns[:, 0]
    return np.exp(log_value)
