"""The baseline hazard of the adapted power generalised Weibull family, stable at every kappa.

Everything is written in ``y = log x = gamma (log phi + log t)``. With ``k1 = kappa + 1`` and
``L = log(1 + x / k1)`` the family's cumulative hazard at ``lambda = 1`` is

    ``H0(y) = k1 / kappa * (exp(kappa L) - 1) = k1 * L * exprel(kappa L)``

where ``exprel(z) = (exp(z) - 1) / z``. The first form is 0/0 at ``kappa = 0`` and the second is exact there;
``L = softplus(y - log k1)`` neither overflows for long times nor loses digits for short ones. The limit
``kappa = inf`` is ``H0 = exp(x) - 1``, and is taken as such.

Source: arXiv:1901.03212. In this folder ``lam``, ``phi``, ``gamma`` and ``kappa`` are the paper's
lambda (the proportional-hazards scale), phi (the time scale), gamma (the power shape) and kappa (the family).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, exprel

Floats = NDArray[np.float64]

__all__ = ["Derivatives", "Floats", "baseline", "baseline_derivatives", "inverse_baseline"]


def softplus(z: Floats) -> Floats:
    """Return ``log(1 + exp(z))`` without overflow."""
    return np.logaddexp(0.0, z)


def baseline(y: Floats, kappa: Floats) -> tuple[Floats, Floats]:
    """Return the baseline cumulative hazard and the log of its slope in ``y``.

    Args:
        y: Any shape; ``log x``, where ``-inf`` stands for time 0.
        kappa: Broadcasts with ``y``; > -1, infinity included.

    Returns:
        ``H0`` and ``log(dH0 / dy)``; the log hazard at time t is the latter plus ``log(lam * gamma / t)``.

    Example:
        >>> H0, _ = baseline(np.log([0.5, 2.0]), np.array(1.0))  # Weibull: H0 = x
        >>> H0.round(6).tolist()
        [0.5, 2.0]
    """
    y, kappa = np.broadcast_arrays(np.asarray(y, float), np.asarray(kappa, float))
    finite = np.isfinite(kappa)
    k = np.where(finite, kappa, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        L = softplus(y - np.log1p(k))
        H0 = (1.0 + k) * L * exprel(k * L)
        log_slope = y + (k - 1.0) * L
        # at t = inf the product is inf * 0: the limit is finite in the cure models, infinite elsewhere
        limit = np.where(k < 0, -(1.0 + k) / np.where(k < 0, k, -1.0), np.inf)
        H0 = np.where(np.isposinf(L), limit, H0)
        if not finite.all():
            x = np.exp(y)
            H0 = np.where(finite, H0, np.expm1(x))
            log_slope = np.where(finite, log_slope, y + x)
    return H0, log_slope


def inverse_baseline(H0: Floats, kappa: Floats) -> Floats:
    """Return ``y = log x`` at which the baseline cumulative hazard equals ``H0``.

    Args:
        H0: Any shape; >= 0.
        kappa: Broadcasts with ``H0``; > -1, infinity included.

    Returns:
        ``log x``; ``+inf`` where a cure model never reaches ``H0``, ``-inf`` at 0.

    Example:
        >>> inverse_baseline(np.array([0.5, 2.0]), np.array(-0.5)).round(4).tolist()
        [0.4055, inf]
    """
    H0, kappa = np.broadcast_arrays(np.asarray(H0, float), np.asarray(kappa, float))
    finite = np.isfinite(kappa)
    k = np.where(finite, kappa, 0.0)
    k1 = 1.0 + k
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        share = k * (H0 / k1)
        # L = log1p(share) / kappa = H0 / k1 * log1p(share) / share, by its series where share has lost its digits
        ratio = np.log1p(np.maximum(share, -1.0)) / np.where(share == 0.0, 1.0, share)
        L = H0 / k1 * np.where(np.abs(share) < 1e-9, 1.0 - 0.5 * share, ratio)
        L = np.where(np.isposinf(H0) | (share <= -1.0), np.inf, L)  # never reached, or by the cured never
        # log(expm1(L)) = L + log(1 - exp(-L)) stays finite where expm1 overflows
        y = np.log(k1) + L + np.log(-np.expm1(-L))
        y = np.where(np.isposinf(L), np.inf, y)
        if not finite.all():
            y = np.where(finite, y, np.log(np.log1p(H0)))
    return np.where(H0 == 0.0, -np.inf, y)


@dataclass(frozen=True)
class Derivatives:
    """Derivatives of ``H0`` and of ``M = log(dH0 / dy)`` in ``y`` and ``nu = log(kappa + 1)``.

    Each is an array of the shape of ``y``; those in ``nu`` are None where ``kappa`` is held fixed.
    """

    H: Floats
    H_y: Floats
    H_yy: Floats
    M: Floats
    M_y: Floats
    M_yy: Floats
    H_n: Floats | None = None
    H_yn: Floats | None = None
    H_nn: Floats | None = None
    M_n: Floats | None = None
    M_yn: Floats | None = None
    M_nn: Floats | None = None


def _moments(z: Floats, expz: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the integrals over s in [0, 1] of ``s^m exp(z s)`` for m = 0, 1, 2."""
    small = np.abs(z) < 1.0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        g0 = exprel(z)
        g1 = (expz - g0) / z
        g2 = (expz - 2.0 * g1) / z
    if small.any():
        # The recursion cancels near 0; the power series sum z^j / (j! (j + m + 1)) does not.
        near = z[small]
        first, second = np.zeros_like(near), np.zeros_like(near)
        for j, factor in _SERIES:
            first = first * near + factor / (j + 2)
            second = second * near + factor / (j + 3)
        g1[small], g2[small] = first, second
    return g0, g1, g2


def _series(terms: int) -> tuple[tuple[int, float], ...]:
    factors = [1.0]
    for j in range(1, terms):
        factors.append(factors[-1] / j)
    return tuple((j, factors[j]) for j in reversed(range(terms)))


_SERIES = _series(18)  # 1 / 18! is below the rounding of a double


def baseline_derivatives(y: Floats, nu: Any, *, infinite: bool = False, with_nu: bool = True) -> Derivatives:
    """Return the baseline and its first and second derivatives.

    Args:
        y: (n,); ``log x``, finite.
        nu: ``log(kappa + 1)``, a number or (n,); ignored if ``infinite``.
        infinite: Take ``kappa = inf``.
        with_nu: Also differentiate in ``nu``.

    Returns:
        The values and their derivatives, each (n,).
    """
    if infinite:
        x = np.exp(y)
        growth = np.exp(x)
        H_y = x * growth
        return Derivatives(H=np.expm1(x), H_y=H_y, H_yy=H_y * (1.0 + x), M=y + x, M_y=1.0 + x, M_yy=x)
    kappa = np.expm1(nu)
    k1 = np.exp(nu)
    z = y - nu
    L = softplus(z)
    p = expit(z)  # dL/dy = -dL/dnu
    q = p * (1.0 - p)
    kL = kappa * L
    E = np.exp(kL)  # w^kappa
    H_y = k1 * p * E
    slope = 1.0 + (kappa - 1.0) * p
    M, M_y, M_yy = y + (kappa - 1.0) * L, slope, (kappa - 1.0) * q
    if not with_nu:
        return Derivatives(k1 * L * exprel(kL), H_y, H_y * slope, M, M_y, M_yy)

    g0, g1, g2 = _moments(kL, E)
    G, G_k, G_kk = L * g0, L * L * g1, L * L * L * g2  # G = (E - 1) / kappa and its derivatives in kappa
    k1L = k1 * L
    E_n = E * (k1L - kappa * p)
    Q = k1 * G_k - E * p  # dG/dnu
    Q_n = k1 * G_k + k1 * (k1 * G_kk - L * E * p) - E_n * p + E * q
    M_n = k1L - (kappa - 1.0) * p
    return Derivatives(
        H=k1 * G,
        H_y=H_y,
        H_yy=H_y * slope,
        M=M,
        M_y=M_y,
        M_yy=M_yy,
        H_n=k1 * (G + Q),
        H_yn=H_y * M_n,
        H_nn=k1 * (G + 2.0 * Q + Q_n),
        M_n=M_n,
        M_yn=k1 * p - (kappa - 1.0) * q,
        M_nn=k1 * (L - 2.0 * p) + (kappa - 1.0) * q,
    )
