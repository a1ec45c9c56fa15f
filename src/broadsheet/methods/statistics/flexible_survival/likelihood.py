"""The log-likelihood with its exact gradient and Hessian, for censored, truncated and interval data.

A row contributes ``d log h(t) - H(t) + H(entry)``, and ``log(S(l) - S(u))`` where the event is only known to
lie between l and u. Derivatives are taken in the four linear predictors ``(log lam, log phi, log gamma, nu)``
row by row and carried through the design matrices block by block; rows are worked off in chunks that stay
in the processor's cache, so that memory is O(n p) and small.

Source: arXiv:1901.03212 for the model; the derivatives are ours and checked against mpmath in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from broadsheet.methods.statistics.flexible_survival.design import Predictors, Rows
from broadsheet.methods.statistics.flexible_survival.hazard import Floats, baseline_derivatives
from broadsheet.methods.statistics.flexible_survival.observations import Observations

__all__ = ["Likelihood", "Terms", "hazard_terms"]

S, B, A, N = range(4)  # log lam, log phi, log gamma, nu = log(kappa + 1)
_CHUNK = 8192


@dataclass(frozen=True)
class Terms:
    """A function of the four linear predictors, row by row, with its derivatives.

    Attributes:
        value: (n,).
        first: For each free parameter its derivative, (n,).
        second: For each pair ``j <= k`` of free parameters the second derivative, (n,).
    """

    value: Floats
    first: dict[int, Floats]
    second: dict[tuple[int, int], Floats]


def hazard_terms(log_t: Floats, eta: Predictors, d: Any, free: Sequence[int]) -> Terms:
    """Return ``d log h(t) - H(t)`` with its derivatives in the linear predictors.

    Args:
        log_t: (n,) log times, finite.
        eta: ``(log lam, log phi, log gamma, nu)``, each a number or (n,); nu may be ``inf``.
        d: 1 for an event, 0 for censoring; a number or (n,).
        free: The parameters to differentiate in, 0 to 3.

    Returns:
        The terms.
    """
    s, b, a, nu = eta
    lam, gamma = np.exp(s), np.exp(a)
    y = gamma * (b + log_t)
    infinite = np.ndim(nu) == 0 and np.isposinf(nu)
    D = baseline_derivatives(y, nu, infinite=bool(infinite), with_nu=N in free)
    H = lam * D.H
    value = d * (s + a + D.M - log_t) - H
    l_y = d * D.M_y - lam * D.H_y
    l_yy = d * D.M_yy - lam * D.H_yy
    sy = -lam * D.H_y  # d^2 / ds dy

    first = {S: d - H, B: gamma * l_y, A: y * l_y + d}
    second = {
        (S, S): -H,
        (S, B): gamma * sy,
        (S, A): y * sy,
        (B, B): gamma * gamma * l_yy,
        (B, A): gamma * (l_y + y * l_yy),
        (A, A): y * (l_y + y * l_yy),
    }
    if D.H_n is not None:
        l_yn = d * D.M_yn - lam * D.H_yn
        first[N] = d * D.M_n - lam * D.H_n
        second |= {
            (S, N): -lam * D.H_n,
            (B, N): gamma * l_yn,
            (A, N): y * l_yn,
            (N, N): d * D.M_nn - lam * D.H_nn,
        }
    return Terms(
        value,
        {j: first[j] for j in free},
        {(j, k): second[j, k] for j, k in _pairs(free)},
    )


def interval_terms(log_l: Floats, log_u: Floats, eta: Predictors, free: Sequence[int]) -> Terms:
    """Return ``log(S(l) - S(u)) = -H(l) + log(1 - exp(H(l) - H(u)))`` with its derivatives.

    Args:
        log_l: (n,) logs of the lower bounds; ``-inf`` for a bound of 0.
        log_u: (n,) logs of the upper bounds, finite.
        eta: The linear predictors.
        free: The parameters to differentiate in.

    Returns:
        The terms.
    """
    begun = np.isfinite(log_l)  # before time 0 nothing happens: H(0) = 0 with all its derivatives
    lower = hazard_terms(np.where(begun, log_l, log_u), eta, 0.0, free)
    upper = hazard_terms(log_u, eta, 0.0, free)

    def at_lower(values: Floats) -> Floats:
        return np.where(begun, values, 0.0)

    gap = at_lower(lower.value) - upper.value  # H(u) - H(l) > 0
    r = 1.0 / np.expm1(gap)  # derivative of log(1 - exp(-gap))
    change = {j: at_lower(lower.first[j]) - upper.first[j] for j in free}
    first = {j: at_lower(lower.first[j]) + r * change[j] for j in free}
    second = {}
    for j, k in _pairs(free):
        low = at_lower(lower.second[j, k])
        second[j, k] = low + r * (low - upper.second[j, k]) - r * (1.0 + r) * change[j] * change[k]
    return Terms(at_lower(lower.value) + np.log(-np.expm1(-gap)), first, second)


def _pairs(free: Sequence[int]) -> Iterator[tuple[int, int]]:
    return ((j, k) for i, j in enumerate(free) for k in free[i:])


class Likelihood:
    """The log-likelihood of standardised coefficients, laid one block after another.

    Args:
        seen: The observations.
        rows: The four blocks on the same rows.
    """

    def __init__(self, seen: Observations, rows: Rows) -> None:
        self.seen = seen
        self.rows = rows
        self._kinds = self._kinds_of_rows()

    def _kinds_of_rows(self) -> list[tuple[str, Any, tuple[Floats, ...]]]:
        """Sort the rows by what they contribute: kind, row numbers (None for all), and what it needs."""
        seen = self.seen
        within = seen.interval
        kinds: list[tuple[str, Any, tuple[Floats, ...]]] = []
        with np.errstate(divide="ignore"):
            point = None if not within.any() and (seen.lower > 0).all() else ~within & (seen.lower > 0)
            part = seen if point is None else seen.take(point)
            if part.n:
                d = part.happened.astype(float)
                kinds.append(("point", _numbers(point), (np.log(part.lower), d, part.weights)))
            late = seen.entry > 0
            if late.any():
                part = seen.take(late)
                kinds.append(("entry", _numbers(late), (np.log(part.entry), part.weights)))
            if within.any():
                part = seen.take(within)
                bounds = (np.log(part.lower), np.log(part.upper), part.weights)
                kinds.append(("interval", _numbers(within), bounds))
        return kinds

    def value(self, theta: Floats) -> float:
        """Return the log-likelihood.

        Args:
            theta: (size,) standardised coefficients.

        Returns:
            Its value; ``-inf`` where it overflows.
        """
        return self._sum(theta, ())[0]

    def derivatives(self, theta: Floats) -> tuple[float, Floats, Floats]:
        """Return the log-likelihood, its gradient and its Hessian.

        Args:
            theta: (size,) standardised coefficients.

        Returns:
            The value, (size,) gradient and (size, size) Hessian.
        """
        return self._sum(theta, self.rows.free)

    def _sum(self, theta: Floats, free: Sequence[int]) -> tuple[float, Floats, Floats]:
        size = self.rows.size
        value, gradient, hessian = 0.0, np.zeros(size), np.zeros((size, size))
        with np.errstate(all="ignore"):
            for kind, numbers, arrays in self._kinds:
                count = len(arrays[0])
                for start in range(0, count, _CHUNK):
                    part = slice(start, start + _CHUNK)
                    rows = part if numbers is None else numbers[part]
                    eta = self.rows.predictors(theta, rows)
                    given = [array[part] for array in arrays]
                    weights = given.pop()
                    if kind == "interval":
                        terms = interval_terms(given[0], given[1], eta, free)
                    else:
                        d = given[1] if kind == "point" else 0.0
                        terms = hazard_terms(given[0], eta, d, free)
                    # H(entry) enters with a plus: minus what a censored time contributes
                    value += self._add(
                        terms, weights if kind != "entry" else -weights, rows, gradient, hessian
                    )
        if not np.isfinite(value):
            value = -np.inf
        return value, gradient, hessian

    def _add(self, terms: Terms, weights: Floats, rows: Any, gradient: Floats, hessian: Floats) -> float:
        """Carry the derivatives of some rows through the design matrices."""
        blocks, slices = self.rows.blocks, self.rows.slices
        for j, first in terms.first.items():
            gradient[slices[j]] += self._project(j, rows, weights * first)
        for (j, k), second in terms.second.items():
            h = weights * second
            left, right = blocks[j], blocks[k]
            if left.is_constant:
                cross = self._project(k, rows, h)[None, :]
            elif right.is_constant:
                cross = self._project(j, rows, h)[:, None]
            else:
                assert left.matrix is not None
                assert right.matrix is not None
                cross = left.matrix[rows].T @ (h[:, None] * right.matrix[rows])
            hessian[slices[j], slices[k]] += cross
            if j != k:
                hessian[slices[k], slices[j]] += cross.T
        return float(weights @ terms.value)

    def _project(self, j: int, rows: Any, values: Floats) -> Floats:
        block = self.rows.blocks[j]
        if block.is_constant:
            return np.array([values.sum()])
        assert block.matrix is not None
        return np.asarray(values @ block.matrix[rows])


def _numbers(mask: Any) -> Any:
    return None if mask is None else np.flatnonzero(mask)
