"""Pass rates from sampling until a pass: estimates, their bias in closed form, and exact intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import hyp2f1
from scipy.stats import beta

__all__ = ["expected_mle", "pass_rate", "pass_rate_interval"]

Floats = NDArray[np.float64]


def _counts(passes: ArrayLike, samples: ArrayLike) -> tuple[Any, Any]:
    r, k = (np.asarray(a, float) for a in np.broadcast_arrays(passes, samples))
    bad = ~((k >= 1) & (r >= 0) & (r <= k) & (r == np.floor(r)) & (k == np.floor(k)))
    if bad.any():
        raise ValueError(
            "passes and samples are whole numbers with 0 <= passes <= samples and samples >= 1, got "
            f"passes={r[bad][0]:g}, samples={k[bad][0]:g}"
        )
    return r, k


def pass_rate(
    passes: ArrayLike, samples: ArrayLike, capped: ArrayLike = False, *, method: str = "mle"
) -> Any:
    """Estimate the probability that one sample passes.

    Args:
        passes: (n,); passes seen: the number that was waited for, or fewer where the cap came first.
        samples: (n,); samples drawn, the last pass included.
        capped: (n,); whether the cap on samples came first.
        method: ``"mle"``: passes over samples. ``"unbiased"``: ``(r - 1)/(K - 1)``, NaN for one pass waited for; where
            the cap came first, r/K.

    Returns:
        (n,), or a float for scalars.

    Raises:
        ValueError: if counts are impossible or the method is unknown.

    Source:
        The definition of PassUntil: r/K is the maximum-likelihood estimate.

    Example:
        >>> pass_rate(2, 401), pass_rate(2, 401, method="unbiased")
        (0.004987531172069825, 0.0025)
    """
    if method not in ("mle", "unbiased"):
        raise ValueError(f"method must be 'mle' or 'unbiased', got {method!r}")
    r, k = _counts(passes, samples)
    rate = r / k
    if method == "unbiased":
        with np.errstate(invalid="ignore", divide="ignore"):
            # (r - 1)/(K - 1) is 0/0 at r = K = 1 and 0 at r = 1: one pass allows no unbiased estimate of use.
            waited = np.where(r >= 2, (r - 1.0) / np.maximum(k - 1.0, 1.0), np.nan)
        rate = np.where(np.asarray(capped, bool), rate, waited)
    return float(rate) if rate.ndim == 0 else rate


def expected_mle(rate: ArrayLike, passes: int = 1) -> Any:
    """Return the mean of r/K over repetitions: what the maximum-likelihood estimate is biased to.

    Args:
        rate: (n,); true probability of a pass, in (0, 1].
        passes: r, passes waited for, >= 1, without a cap.

    Returns:
        (n,), or a float for a scalar: ``p 2F1(1, 1; r + 1; 1 - p)``, which for r = 1 is ``-p ln p / (1 - p)``.

    Raises:
        ValueError: if a rate is not in (0, 1] or ``passes`` is below 1.

    Example:
        >>> round(expected_mle(0.01), 4), round(expected_mle(0.01, passes=10), 5)
        (0.0465, 0.0111)
    """
    p = np.asarray(rate, float)
    if not ((p > 0) & (p <= 1)).all():
        raise ValueError(f"rate must lie in (0, 1], got {p[~((p > 0) & (p <= 1))].flat[0]:g}")
    if passes < 1:
        raise ValueError(f"passes must be at least 1, got {passes!r}")
    mean = p * hyp2f1(1.0, 1.0, passes + 1.0, 1.0 - p)
    return float(mean) if mean.ndim == 0 else mean


def pass_rate_interval(
    passes: ArrayLike, samples: ArrayLike, capped: ArrayLike = False, *, level: float = 0.95
) -> tuple[Any, Any]:
    """Return exact intervals, which hold the true rate in at least ``level`` of repetitions.

    Where the passes waited for were reached, the number of samples is negative binomial (inverse sampling); where the
    cap came first, the number of passes is binomial (Clopper-Pearson).

    Args:
        passes: (n,); passes seen.
        samples: (n,); samples drawn.
        capped: (n,); whether the cap came first. Without passes it must be true.
        level: In (0, 1); each tail has half of the rest.

    Returns:
        Lower and upper ends, (n,) each, or floats for scalars. No pass in K samples has lower end 0 and upper end
        ``1 - (a/2)^(1/K)``, about 3.7/K.

    Raises:
        ValueError: if counts are impossible, or ``level`` is out of range.

    Example:
        >>> low, high = pass_rate_interval(0, 20, capped=True)
        >>> low, round(high, 4)
        (0.0, 0.1684)
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level!r}")
    r, k = _counts(passes, samples)
    cut = np.broadcast_to(np.asarray(capped, bool), r.shape)
    if ((r == 0) & ~cut).any():
        raise ValueError("passes=0 without capped=True: sampling until a pass ends with a pass or at the cap")
    tail = 0.5 * (1.0 - level)
    lower = np.where(r > 0, beta.ppf(tail, np.maximum(r, 1.0), k - r + 1.0), 0.0)
    a, b = np.where(cut, r + 1.0, r), k - r
    upper = np.where(b > 0, beta.ppf(1.0 - tail, a, np.maximum(b, 1.0)), 1.0)
    if lower.ndim == 0:
        return float(lower), float(upper)
    return lower, upper
