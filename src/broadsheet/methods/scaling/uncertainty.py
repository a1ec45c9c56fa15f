"""How sure a fit is: bootstrap, curvature, profiles, and intervals of predictions."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special

from broadsheet.methods.scaling.fitting import minimise
from broadsheet.methods.scaling.identification import ScalingWarning
from broadsheet.methods.scaling.objective import Floats

if TYPE_CHECKING:
    from broadsheet.methods.scaling.law import Law

__all__ = [
    "Bootstrap",
    "bootstrap",
    "confint",
    "correlations",
    "covariance",
    "prediction_interval",
    "profile",
]

_BLOCK = 128  # resamples in one batch; fixed, so that results do not depend on the number of threads
_RESTARTS = 2
_WIDE = 3.0  # spread of the random restarts, in standard errors


@dataclass(frozen=True)
class Bootstrap:
    """Refits on resampled runs.

    Attributes:
        theta: (b, k) transformed parameters of the refits that succeeded.
        values: (b, k) the same on their natural scale.
        names: Names of the parameters.
        failed: How many refits failed, beyond the b.
        key: What it was made with.
    """

    theta: Floats
    values: Floats
    names: tuple[str, ...]
    failed: int
    key: tuple[Any, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """One row per refit, one column per parameter, on the natural scale."""
        return pd.DataFrame(self.values, columns=list(self.names))


def bootstrap(law: Law, *, n_boot: int, group: str | None, n_jobs: int = 1) -> Bootstrap:
    """Refit on resampled rows or groups: see :meth:`Law.bootstrap`."""
    if not isinstance(n_boot, int | np.integer) or n_boot < 20:
        raise ValueError(f"n_boot must be a whole number of at least 20, got {n_boot!r}")
    if not isinstance(n_jobs, int) or n_jobs < 1:
        raise ValueError(f"n_jobs must be a whole number of at least 1, got {n_jobs!r}")
    key = (int(n_boot), group, law.random_state)
    kept: Bootstrap | None = getattr(law, "bootstrap_", None)
    if kept is not None and kept.key == key:
        return kept
    codes = _codes(law, group)
    blocks = [range(i, min(i + _BLOCK, n_boot)) for i in range(0, n_boot, _BLOCK)]
    if n_jobs == 1:
        parts = [_refit(law, codes, block) for block in blocks]
    else:
        with ThreadPoolExecutor(n_jobs) as pool:
            parts = list(pool.map(lambda block: _refit(law, codes, block), blocks))
    theta = np.concatenate([p[0] for p in parts])
    fine = np.concatenate([p[1] for p in parts])
    failed = int((~fine).sum())
    if failed > 0.05 * n_boot:
        warnings.warn(
            f"{failed} of {n_boot} bootstrap refits failed; intervals rest on the other {n_boot - failed} and "
            "are too narrow: the table hardly identifies the law",
            ScalingWarning,
            stacklevel=4,
        )
    if failed == n_boot:
        raise ValueError(f"all {n_boot} bootstrap refits failed; no interval can be given")
    kept = Bootstrap(theta[fine], law._natural(theta[fine]), law.names_, failed, key)
    law.bootstrap_ = kept
    return kept


def _codes(law: Law, group: str | None) -> np.ndarray:
    if group is None:
        return np.arange(len(law.rows_.y))
    if group not in law.runs_.columns:
        raise ValueError(f"group={group!r} is no column of the fitted table")
    codes = np.unique(law.runs_[group].astype(str), return_inverse=True)[1]
    if codes.max() < 4:
        raise ValueError(
            f"group={group!r} has {codes.max() + 1} distinct values; at least 5 are needed to resample them"
        )
    return codes


def _refit(law: Law, codes: np.ndarray, block: range) -> tuple[Floats, np.ndarray]:
    groups = int(codes.max()) + 1
    free = law._free()
    counts = np.empty((len(block), len(codes)))
    starts = np.empty((1 + _RESTARTS, len(block), len(law.theta_)))
    root = _root(covariance(law))
    for row, index in enumerate(block):
        rng = np.random.default_rng([law.random_state, index])
        counts[row] = np.bincount(rng.integers(0, groups, groups), minlength=groups)[codes]
        starts[0, row] = law.theta_
        for restart in range(_RESTARTS):
            # Wide of the optimum, but along its valley: anywhere else every search would only fall back into it.
            jump = _WIDE * root @ rng.standard_normal(len(free))
            starts[1 + restart, row] = law.theta_ + np.clip(jump, -1.0, 1.0)
    found = [minimise(law._objective(counts), start, free=free, max_iter=100) for start in starts]
    values = np.stack([np.where(np.isfinite(f.value), f.value, np.inf) for f in found])
    best = np.argmin(values, axis=0)
    rows = np.arange(len(block))
    theta = np.stack([f.theta for f in found])[best, rows]
    fine = np.stack([f.converged for f in found])[best, rows] & np.isfinite(theta).all(axis=1)
    return theta, fine


def _root(matrix: Floats) -> Floats:
    """Return a square root of a covariance; directions without a finite spread are left out."""
    if not np.isfinite(matrix).all():
        return np.zeros_like(matrix)
    spread, axes = np.linalg.eigh(matrix)
    root: Floats = axes * np.sqrt(np.maximum(spread, 0.0))
    return root


# --- Curvature -----------------------------------------------------------------------------------------------


def covariance(law: Law, group: str | None = None) -> Floats:
    """Return the (k, k) covariance of the transformed parameters; rows of held ones are 0.

    Args:
        law: A fitted law.
        group: Column whose rows may depend on each other.

    Returns:
        The covariance of an M-estimator: with independent rows of equal spread, or clustered by ``group``.
    """
    objective = law._objective()
    free = law._free()
    jacobian = _scaled_jacobian(law)[:, free]
    psi, _ = objective.slopes(law.theta_[None])
    psi = psi[0]
    bend, square = _spread(law)
    weights = law.rows_.weights if law.rows_.weights is not None else np.ones(len(psi))
    bread = np.linalg.pinv((jacobian * (weights * bend)[:, None]).T @ jacobian, hermitian=True)
    n, k = jacobian.shape
    if group is None:
        meat = (jacobian * (weights * square)[:, None]).T @ jacobian
    else:
        codes = _codes(law, group)
        score = np.zeros((codes.max() + 1, k))
        np.add.at(score, codes, jacobian * (weights * psi)[:, None])
        clusters = len(score)
        meat = score.T @ score * clusters / (clusters - 1) * (n - 1) / max(n - k, 1)
    full = np.zeros((len(free), len(free)))
    full[np.ix_(free, free)] = bread @ meat @ bread
    return full


def _scaled_jacobian(law: Law) -> Floats:
    f, jacobian = law._log_predict_jacobian(law.theta_[None], law.rows_.x)
    if law.space == "linear":
        jacobian = jacobian * np.exp(f)[..., None]
    found: Floats = jacobian[0]
    return found


def _spread(law: Law) -> tuple[float, float]:
    """Return the mean curvature of the loss at the residuals, and the mean weighted squared slope.

    Weights are taken as relative inverse variances of the slopes.
    """
    r = law.residuals_
    n, k = len(r), int(law._free().sum())
    psi = law._objective()._pieces(r[None], 0.0)[1][0]
    weights = law.rows_.weights if law.rows_.weights is not None else np.ones(n)
    share = weights / weights.sum()
    square = float((weights * psi**2).sum()) / max(n - k, 1)
    if law.loss == "mse":
        return 1.0, square
    # The slope's expected change with a shift of the residuals, over a window that holds enough of them.
    window = max(law.delta if law.loss == "huber" else 0.0, 0.5 * _robust_sd(r) * n ** (-0.2))
    up = law._objective()._pieces(r[None] + window, 0.0)[1][0]
    down = law._objective()._pieces(r[None] - window, 0.0)[1][0]
    bend = float((share * (up - down)).sum()) / (2 * window) if window else 1.0
    return max(bend, 1e-12), square


def _robust_sd(r: Floats) -> float:
    return float(1.4826 * np.median(np.abs(r - np.median(r))))


def correlations(law: Law) -> pd.DataFrame:
    """Return the correlation matrix of the free transformed parameters."""
    free = law._free()
    cov = covariance(law)[np.ix_(free, free)]
    sd = np.sqrt(np.diag(cov))
    names = [n for n, f in zip(law.names_, free, strict=True) if f]
    return pd.DataFrame(cov / np.outer(sd, sd), index=names, columns=names)


# --- Intervals -----------------------------------------------------------------------------------------------


def check_level(level: float, name: str = "level") -> None:
    """Refuse a level outside (0, 1)."""
    if not (isinstance(level, int | float) and 0.0 < level < 1.0):
        raise ValueError(f"{name} must be a number in (0, 1), got {level!r}")


def confint(
    law: Law,
    *,
    level: float = 0.95,
    method: str = "bootstrap",
    n_boot: int = 1000,
    group: str | None = None,
    kind: str = "percentile",
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Return intervals of the parameters: see :meth:`Law.confint`."""
    check_level(level)
    if kind not in ("percentile", "basic"):
        raise ValueError(f"kind must be 'percentile' or 'basic', got {kind!r}")
    failed = 0
    if method == "bootstrap":
        made = bootstrap(law, n_boot=n_boot, group=group, n_jobs=n_jobs)
        failed = made.failed
        tails = [50 * (1 - level), 50 * (1 + level)]
        low, high = np.percentile(made.theta, tails, axis=0)
        if kind == "basic":
            low, high = 2 * law.theta_ - high, 2 * law.theta_ - low
    elif method == "hessian":
        freedom = len(law.rows_.y) - int(law._free().sum())
        if group is not None:
            freedom = int(_codes(law, group).max())  # groups less one: rows of one group add nothing
        t = special.stdtrit(max(freedom, 1), 0.5 * (1 + level))
        half = t * np.sqrt(np.diag(covariance(law, group)))
        low, high = law.theta_ - half, law.theta_ + half
    elif method == "profile":
        if group is not None:
            raise ValueError(f"method='profile' takes rows as independent: group must be None, got {group!r}")
        low, high = profile(law, level)
    else:
        raise ValueError(f"method must be 'bootstrap', 'hessian' or 'profile', got {method!r}")
    frame = pd.DataFrame(
        {
            "estimate": law._natural(law.theta_),
            "lower": law._natural(low),
            "upper": law._natural(high),
        },
        index=pd.Index(law.names_, name="parameter"),
    )
    frame.attrs["failed"] = failed
    return frame


def profile(law: Law, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return (k,) ends of profile intervals on the transformed scale; infinite where the profile stays low.

    All other parameters are refitted at each value of one. The rise of the objective is compared with a
    chi-squared quantile, in units of the slope's variance over its curvature.
    """
    free = law._free()
    bend, square = _spread(law)
    n, k = len(law.rows_.y), int(free.sum())
    bar = 0.5 * special.fdtri(1, max(n - k, 1), level) * square / bend
    sd = np.sqrt(np.diag(covariance(law)))
    ends = np.tile(law.theta_, (2, 1))
    steps = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0])
    for j in map(int, np.flatnonzero(free)):
        rest = free & (np.arange(len(free)) != j)
        for side, sign in enumerate((-1.0, 1.0)):
            ends[side, j] = _crossing(law, j, rest, sign * sd[j] * steps, bar)
    return ends[0], ends[1]


def _crossing(law: Law, j: int, rest: np.ndarray, shifts: Floats, bar: float) -> float:
    at, rise = [0.0], [0.0]
    theta = law.theta_.copy()
    objective = law._objective()
    for shift in shifts:
        start = theta.copy()
        start[j] = law.theta_[j] + shift
        found = minimise(objective, start[None], free=rest)
        theta = found.theta[0]
        at.append(float(shift))
        rise.append(max(float(found.value[0]) - law.objective_, 0.0))
        if rise[-1] > bar:
            # The rise is nearly quadratic: its root is nearly linear in the shift.
            a, b = np.sqrt(rise[-2]), np.sqrt(rise[-1])
            share = (np.sqrt(bar) - a) / (b - a)
            return float(law.theta_[j] + at[-2] + share * (at[-1] - at[-2]))
    return float(np.sign(shifts[0]) * np.inf)


def prediction_interval(
    law: Law, x: dict[str, Any], *, level: float, n_boot: int, group: str | None
) -> tuple[Floats, Floats]:
    """Return (n,) ends of intervals for one further run at each row of ``x``."""
    check_level(level, "interval")
    made = bootstrap(law, n_boot=n_boot, group=group)
    n, k = len(law.residuals_), int(law._free().sum())
    with np.errstate(over="ignore"):
        f = law._log_predict(made.theta, x)
        centre = f if law.space == "log" else np.exp(f)
    rng = np.random.default_rng([law.random_state, 2**31])
    noise = law.residuals_ * np.sqrt(n / max(n - k, 1))
    draws = 8
    drawn = np.concatenate([centre + rng.choice(noise, centre.shape) for _ in range(draws)])
    low, high = np.percentile(drawn, [50 * (1 - level), 50 * (1 + level)], axis=0)
    return (np.exp(low), np.exp(high)) if law.space == "log" else (low, high)
