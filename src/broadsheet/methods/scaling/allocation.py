"""Where to spend a budget: compute-optimal size and tokens under a law of N and D."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from broadsheet.methods.scaling import uncertainty
from broadsheet.methods.scaling.identification import ScalingWarning
from broadsheet.methods.scaling.objective import Floats

if TYPE_CHECKING:
    from broadsheet.methods.scaling.chinchilla import Chinchilla

__all__ = ["optimal"]

_FAR = 100.0


def optimal(
    law: Chinchilla, C: Any, *, interval: float | None, n_boot: int, group: str | None
) -> pd.DataFrame:
    """Minimise ``A N**-alpha + B D**-beta`` subject to ``C = 6 N D``.

    With ``G = (alpha A / (beta B))**(1 / (alpha + beta))`` the optimum is
    ``N = G (C / 6)**(beta / (alpha + beta))`` and ``D = C / (6 N)``.

    Args:
        law: A fitted law.
        C: Budgets in FLOPs.
        interval: Level of bootstrap intervals, or None.
        n_boot: Refits.
        group: Column resampled as a whole.

    Returns:
        See :meth:`Chinchilla.optimal`.

    Source:
        Hoffmann et al. 2022 (arXiv:2203.15556), equation 4.
    """
    check_is_fitted(law, "theta_")
    budgets = np.atleast_1d(np.asarray(C, float))
    if budgets.ndim != 1 or not (np.isfinite(budgets) & (budgets > 0)).all():
        raise ValueError(f"C must be FLOPs > 0, one number or a list, got {C!r}")
    if min(law.params_["alpha"], law.params_["beta"]) <= 0:
        raise ValueError(
            "there is no compute-optimal size: alpha and beta must be > 0, are "
            f"{law.params_['alpha']:.3g} and {law.params_['beta']:.3g}"
        )
    _warn_far(law, budgets)
    found = _frontier(law, law.theta_[None], budgets)
    frame = pd.DataFrame({"C": budgets, **{name: values[0] for name, values in found.items()}})
    if interval is None:
        return frame
    uncertainty.check_level(interval, "interval")
    law._check_has_runs()
    made = uncertainty.bootstrap(law, n_boot=n_boot, group=group)
    tails = [50 * (1 - interval), 50 * (1 + interval)]
    for name, values in _frontier(law, made.theta, budgets).items():
        frame[f"{name}_lower"], frame[f"{name}_upper"] = np.nanpercentile(values, tails, axis=0)
    return frame


def _frontier(law: Chinchilla, theta: Floats, budgets: Floats) -> dict[str, Floats]:
    """Return (m, c) optima for (m, k) parameters; not a number where no optimum exists."""
    place = {name: j for j, name in enumerate(law.names_)}
    a, b, alpha, beta = (theta[:, place[n], None] for n in ("A", "B", "alpha", "beta"))
    with np.errstate(invalid="ignore", divide="ignore"):
        log_g = (np.log(alpha) + a - np.log(beta) - b) / (alpha + beta)
        log_n = log_g + beta / (alpha + beta) * np.log(budgets / 6.0)
        log_d = np.log(budgets / 6.0) - log_n
        e = theta[:, place["E"], None]
        loss = np.exp(a - alpha * log_n) + np.exp(b - beta * log_d) + np.exp(e)
        return {
            "N": np.exp(log_n),
            "D": np.exp(log_d),
            "tokens_per_parameter": np.exp(log_d - log_n),
            "loss": loss,
        }


def _warn_far(law: Chinchilla, budgets: Floats) -> None:
    if not hasattr(law, "rows_"):
        return
    size, tokens = (np.asarray(law.rows_.x[name]) for name in law._inputs())
    spent = 6.0 * size * tokens
    low, high = float(spent.min()) / _FAR, float(spent.max()) * _FAR
    far = budgets[(budgets < low) | (budgets > high)]
    if len(far):
        warnings.warn(
            f"C={far[0]:.3g} lies more than {_FAR:g} times outside the fitted runs "
            f"({spent.min():.3g} to {spent.max():.3g} FLOPs): the allocation is a far extrapolation",
            ScalingWarning,
            stacklevel=4,
        )
