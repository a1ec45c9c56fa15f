"""Made-up survival data with every kind of incompleteness, and the one installed data set, for the reference tests."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import arff

from .reference_apgw import draw_times


def covariates(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """A treatment, an age in years (far from standardised) and weights, some of them 0."""
    return pd.DataFrame(
        {
            "trt": rng.integers(0, 2, n).astype(float),
            "age": rng.normal(60, 10, n),
            "w": rng.integers(0, 4, n) * 0.75,
        }
    )


def lifetimes(frame: pd.DataFrame, rng: np.random.Generator, kappa: float, kind: str = "phi") -> np.ndarray:
    """Draw from M(tau, alpha) (kind "phi") or M(beta, alpha) (kind "lam")."""
    scale = -0.5 + 0.7 * frame["trt"].to_numpy() + 0.02 * (frame["age"].to_numpy() - 60)
    log_gamma = 0.3 + 0.2 * frame["trt"].to_numpy()
    flat = np.zeros(len(frame))
    parts = (flat, scale) if kind == "phi" else (scale, flat)
    return draw_times(rng, *parts, log_gamma, kappa)


def censored(n: int, kappa: float, seed: int, kind: str = "phi") -> pd.DataFrame:
    """Right censoring: exponential with mean 6, and the end of the study at 12."""
    rng = np.random.default_rng(seed)
    frame = covariates(n, rng)
    t = lifetimes(frame, rng, kappa, kind)
    end = np.minimum(rng.exponential(6, n), 12)
    return frame.assign(time=np.minimum(t, end), event=(t <= end).astype(int))


def truncated(n: int, kappa: float, seed: int, kind: str = "phi") -> pd.DataFrame:
    """Left truncation on top: half of the rows come under observation late, who fails earlier is not seen."""
    rng = np.random.default_rng(seed)
    frame = covariates(3 * n, rng)
    t = lifetimes(frame, rng, kappa, kind)
    entry = rng.uniform(0, 1.5, len(frame)) * rng.integers(0, 2, len(frame))
    end = entry + np.minimum(rng.exponential(6, len(frame)), 12)
    frame = frame.assign(time=np.minimum(t, end), event=(t <= end).astype(int), entry=entry)
    return frame[t > entry].head(n).reset_index(drop=True)


def visited(n: int, kappa: float, seed: int) -> pd.DataFrame:
    """Interval censoring: visits at random gaps until 8; every tenth failure is seen when it happens."""
    rng = np.random.default_rng(seed)
    frame = covariates(n, rng)
    t = lifetimes(frame, rng, kappa)
    lower, upper = np.zeros(n), np.zeros(n)
    for i in range(n):
        visits = np.cumsum(rng.uniform(0.2, 1.4, 40))
        ends = np.concatenate([[0.0], visits[visits < 8], [np.inf]])
        place = np.searchsorted(ends, t[i])
        lower[i], upper[i] = (t[i], t[i]) if i % 10 == 0 and t[i] < 8 else (ends[place - 1], ends[place])
    return frame.assign(lower=lower, upper=upper)


def veteran() -> pd.DataFrame:
    """The Veterans' lung cancer trial, from the installed scikit-survival: time in days, trt = 1 for the test arm."""
    place = importlib.metadata.distribution("scikit-survival").locate_file(
        "sksurv/datasets/data/veteran.arff"
    )
    raw, _ = arff.loadarff(str(Path(str(place))))
    return pd.DataFrame(
        {
            "time": raw["Survival_in_days"].astype(float),
            "event": (raw["Status"] == b"dead").astype(int),
            "trt": (raw["Treatment"] == b"test").astype(float),
            "karno": raw["Karnofsky_score"].astype(float),
            "cell": [str(name, "ascii") for name in raw["Celltype"]],
        }
    )
