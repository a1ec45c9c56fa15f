"""The simulation study behind the claims: accelerated-failure-time data, fitted with one scale and with both."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import beta as beta_distribution

from broadsheet.methods.statistics.flexible_survival.observations import FitWarning
from broadsheet.methods.statistics.flexible_survival.regression import APGWRegressor
from broadsheet.methods.statistics.flexible_survival.simulation import simulate_mpr

if TYPE_CHECKING:
    from broadsheet.claims import Run

__all__ = ["KAPPAS", "binomial_interval", "bootstrap_interval", "replicates"]

KAPPAS = (-0.4, 0.0, 1.0, 2.0)  # a cure model, log-logistic, Weibull, linear hazard at gamma = 1
TAU = (-0.5, 0.7)
ALPHA = (0.3, 0.2)


def replicates(run: Run, kappas: Sequence[float], *, both_scales: bool) -> pd.DataFrame:
    """Simulate and fit: two arms, treatment on the time scale and the power shape, a quarter or so censored.

    Args:
        run: Gives scale, seeds, progress and cache.
        kappas: Family shapes of the truth.
        both_scales: Also add a treatment effect on lam to the fitted model.

    Returns:
        One row per replicate: ``n``, ``kappa`` and what :func:`_replicate` returns.
    """
    count = run.pick(smoke=3, laptop=50, paper=1000)
    sizes = run.pick(smoke=(300,), laptop=(600,), paper=(100, 500, 1000))
    jobs = [
        (n, kappa, seed, number)
        for n in sizes
        for kappa in kappas
        for seed in run.seeds
        for number in range(count)
    ]
    rows = []
    for n, kappa, seed, number in run.progress(jobs, label="simulated studies"):
        key = f"replicate n={n} kappa={kappa} seed={seed} number={number} both={both_scales}"
        stream = [seed, n, KAPPAS.index(kappa), number]
        found = run.cached(key, lambda n=n, k=kappa, s=stream: _replicate(n, k, s, both_scales))  # type: ignore[misc]
        rows.append({"n": n, "kappa": kappa, **{k: np.nan if v is None else v for k, v in found.items()}})
    return pd.DataFrame(rows)


def _replicate(n: int, kappa: float, stream: list[int], both_scales: bool) -> dict[str, float | None]:
    """Simulate one study and fit it; None stands for what could not be estimated."""
    df = simulate_mpr(
        n,
        phi={"Intercept": TAU[0], "trt": TAU[1]},
        gamma={"Intercept": ALPHA[0], "trt": ALPHA[1]},
        kappa=kappa,
        censoring=6.0,
        followup=12.0,
        seed=np.random.default_rng(stream),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # is_regular_ tells the same, row by row
        aft = APGWRegressor(phi="trt", gamma="trt").fit(df, "time", "event")
        out: dict[str, Any] = {
            "events": aft.n_events_,
            "kappa_hat": aft.kappa_,
            "tau": aft.params_["phi", "trt"],
            "tau_se": aft.standard_errors_["phi", "trt"],
            "alpha": aft.params_["gamma", "trt"],
            "alpha_se": aft.standard_errors_["gamma", "trt"],
            "regular": float(aft.is_regular_),
        }
        if both_scales:
            out |= _second_scale(df, aft)
    return {name: None if not np.isfinite(value) else float(value) for name, value in out.items()}


def _second_scale(df: pd.DataFrame, aft: APGWRegressor) -> dict[str, float]:
    """Fit the proportional-hazards rival, and the model with the treatment on both scales."""
    ph = APGWRegressor(lam="trt", phi=None, gamma="trt").fit(df, "time", "event")
    # lam has no intercept: at no treatment effect the larger model is the smaller one, where it starts
    start = pd.concat([pd.Series({("lam", "trt"): 0.0}), aft.params_])
    both = APGWRegressor(lam="0 + trt", phi="trt", gamma="trt")
    both.fit(df, "time", "event", initial_point=start)
    beta, tau = ("lam", "trt"), ("phi", "trt")
    se_beta, se_tau = both.standard_errors_[beta], both.standard_errors_[tau]
    covariance = both.variance_matrix_.loc[[beta, tau], [beta, tau]].to_numpy()[0, 1]
    return {
        "beta_both": both.params_[beta],
        "tau_both": both.params_[tau],
        "correlation": covariance / (se_beta * se_tau),
        "se_ratio": se_tau / aft.standard_errors_[tau],
        "lr": 2.0 * (both.log_likelihood_ - aft.log_likelihood_),
        "aft_over_ph": 2.0 * (aft.log_likelihood_ - ph.log_likelihood_),
        "both_regular": float(both.is_regular_),
    }


def binomial_interval(hits: int, trials: int) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) 95 % interval of a share.

    Args:
        hits: How many.
        trials: Out of how many.

    Returns:
        Its ends.

    Example:
        >>> [round(end, 3) for end in binomial_interval(5, 100)]
        [0.016, 0.113]
    """
    low = 0.0 if hits == 0 else float(beta_distribution.ppf(0.025, hits, trials - hits + 1))
    high = 1.0 if hits == trials else float(beta_distribution.ppf(0.975, hits + 1, trials - hits))
    return low, high


def bootstrap_interval(groups: Sequence[np.ndarray], statistic: Any, seed: int = 0) -> tuple[float, float]:
    """Return the percentile 95 % interval of a statistic over resampled replicates.

    Args:
        groups: Values of the replicates, one array per truth; each is resampled within itself.
        statistic: Takes such groups, returns a number.
        seed: Seed of the resampling.

    Returns:
        Its ends.
    """
    rng = np.random.default_rng(seed)
    drawn = [statistic([rng.choice(g, len(g)) for g in groups]) for _ in range(1000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
