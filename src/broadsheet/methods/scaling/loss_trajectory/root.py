"""The root of the trajectory law, for many rows and many parameter vectors at once."""

from __future__ import annotations

import numpy as np

from broadsheet.methods.scaling.objective import Floats

__all__ = ["trajectory_root"]

_STEPS = 60
_DONE = 1e-13
_BLOCK = 8192


def trajectory_root(
    theta: Floats, log_n: Floats, log_s: Floats, log_b: Floats, *, jacobian: bool = False
) -> tuple[Floats, Floats | None]:
    """Solve the law for the loss.

    With ``u = ln L`` the law is ``u = ln(A + T(u))``, where ``A`` is the limit of the size and ``T`` falls as u grows.
    ``g(u) = u - ln(A + T(u))`` has a slope of at least 1: one root, which Newton's steps inside a shrinking bracket
    find for all rows at once. A fixed-point iteration may swing for ever.

    Args:
        theta: (m, 6) ``ln N_c, ln alpha_N, ln S_c, ln alpha_S, ln B_star, ln alpha_B``.
        log_n: (n,) ln of non-embedding parameters.
        log_s: (n,) ln of steps.
        log_b: (n,) ln of tokens per step.
        jacobian: Whether to return the derivatives of u by theta, from the implicit function.

    Returns:
        (m, n) ``u`` and (m, n, 6) derivatives, or None.

    Example:
        >>> theta = np.log([[6.5e13, 0.077, 2.1e3, 0.76, 2e8, 0.21]])
        >>> u, _ = trajectory_root(theta, *(np.log([v]) for v in (1e9, 2e4, 1e6)))
        >>> round(float(np.exp(u[0, 0])), 4)
        2.6259
    """
    rows = len(log_n)
    if rows > _BLOCK and len(theta) == 1:  # blocks that stay in the cache
        parts = [
            trajectory_root(
                theta, log_n[i : i + _BLOCK], log_s[i : i + _BLOCK], log_b[i : i + _BLOCK], jacobian=jacobian
            )
            for i in range(0, rows, _BLOCK)
        ]
        derivatives = [part[1] for part in parts if part[1] is not None]
        return np.concatenate([p[0] for p in parts], axis=1), np.concatenate(
            derivatives, axis=1
        ) if jacobian else None
    n_c, s_c, b_star = (theta[:, j, None] for j in (0, 2, 4))
    alpha_n, alpha_s, alpha_b = (np.exp(theta[:, j, None]) for j in (1, 3, 5))
    log_a = alpha_n * (n_c - log_n)
    beyond, ahead = b_star - log_b, s_c - log_s
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        u = _solve(log_a, ahead, beyond, alpha_s, alpha_b)
        if not jacobian:
            return u, None
        inner, batch, step, _ = _terms(u, log_a, ahead, beyond, alpha_s, alpha_b)
        slope = 1.0 + step * alpha_s * batch / alpha_b
        size = (1.0 - step) / slope
        step = step / slope
        found = np.empty((*u.shape, 6))
        found[..., 0] = size * alpha_n
        found[..., 1] = size * log_a
        found[..., 2] = step * alpha_s
        found[..., 3] = step * alpha_s * inner
        found[..., 4] = step * alpha_s * batch
        found[..., 5] = step * alpha_s * batch * u / alpha_b
        return u, found


def _solve(log_a: Floats, ahead: Floats, beyond: Floats, alpha_s: Floats, alpha_b: Floats) -> Floats:
    """Return u by Newton's steps inside a bracket that closes from both sides."""
    low = _sum(log_a, alpha_s * ahead)  # a batch without bound: never above the root
    _, _, _, high = _terms(low, log_a, ahead, beyond, alpha_s, alpha_b)
    high = np.maximum(high, low)
    u = low.copy()
    for _ in range(_STEPS):
        _, batch, step, total = _terms(u, log_a, ahead, beyond, alpha_s, alpha_b)
        gap = u - total
        low, high = np.where(gap < 0, u, low), np.where(gap > 0, u, high)
        moved = u - gap / (1.0 + step * alpha_s * batch / alpha_b)
        moved = np.where((moved >= low) & (moved <= high), moved, 0.5 * (low + high))
        done = not (np.abs(moved - u) > _DONE * (1.0 + np.abs(moved))).any()
        u = moved
        if done:
            break
    return u


def _terms(
    u: Floats, log_a: Floats, ahead: Floats, beyond: Floats, alpha_s: Floats, alpha_b: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return ``ln T / alpha_S``, the share of the batch in it, the share of T in the loss, and ``ln(A + T)``."""
    z = beyond - u / alpha_b
    small = np.exp(-np.abs(z))
    inner = ahead + np.maximum(z, 0.0) + np.log1p(small)
    batch = np.where(z >= 0, 1.0, small) / (1.0 + small)
    log_t = alpha_s * inner
    total = _sum(log_a, log_t)
    return inner, batch, np.exp(log_t - total), total


def _sum(a: Floats, b: Floats) -> Floats:
    """Return ``ln(exp a + exp b)``; numpy's own logaddexp is several times slower."""
    found: Floats = np.maximum(a, b) + np.log1p(np.exp(-np.abs(a - b)))
    return found
