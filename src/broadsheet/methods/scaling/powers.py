"""Laws that are sums of powers of their inputs: closed-form derivatives for all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from broadsheet.methods.scaling.law import Law
from broadsheet.methods.scaling.objective import Floats

__all__ = ["SumOfPowers", "Term"]


@dataclass(frozen=True)
class Term:
    """``coefficient * input ** -exponent``, or the coefficient alone.

    Args:
        coefficient: Name of its parameter, which is fitted as a logarithm.
        input: The input column, or "" for a constant term.
        exponent: Name of the exponent's parameter, or a number.
    """

    coefficient: str
    input: str = ""
    exponent: str | float = field(default=0.0)


class SumOfPowers(Law):
    """A law that is a sum of :class:`Term`. Base class: a law names its terms in ``_terms``."""

    def _terms(self) -> tuple[Term, ...]:
        raise NotImplementedError(f"{type(self).__name__} must define _terms")

    def _governs(self) -> Mapping[str, tuple[str, ...]]:
        return {
            t.input: (t.coefficient, *([t.exponent] if isinstance(t.exponent, str) else []))
            for t in self._terms()
            if t.input
        }

    def _columns(self) -> list[tuple[int, int | None, Term]]:
        place = {p.name: j for j, p in enumerate(self._parameters({}))}
        return [
            (place[t.coefficient], place[t.exponent] if isinstance(t.exponent, str) else None, t)
            for t in self._terms()
        ]

    def _log_terms(self, theta: Floats, x: Mapping[str, Any]) -> tuple[list[Floats], list[Any]]:
        """Return the (m, n) logarithm of each term, and the (n,) logarithm of its input."""
        n = len(next(iter(x.values())))
        logs, inputs = [], []
        for coefficient, exponent, term in self._columns():
            a = theta[:, coefficient, None]
            if not term.input:
                logs.append(np.broadcast_to(a, (len(theta), n)))
                inputs.append(None)
                continue
            log_x = np.log(x[term.input])
            power = theta[:, exponent, None] if exponent is not None else float(term.exponent)
            logs.append(a - power * log_x)
            inputs.append(log_x)
        return logs, inputs

    def _log_predict(self, theta: Floats, x: Mapping[str, Any]) -> Floats:
        logs, _ = self._log_terms(theta, x)
        return _logsumexp(logs)[0]

    def _log_predict_jacobian(self, theta: Floats, x: Mapping[str, Any]) -> tuple[Floats, Floats]:
        logs, inputs = self._log_terms(theta, x)
        total, shares = _logsumexp(logs)
        jacobian = np.zeros((*total.shape, theta.shape[1]))
        for share, log_x, (coefficient, exponent, _) in zip(shares, inputs, self._columns(), strict=True):
            jacobian[..., coefficient] = share
            if exponent is not None:
                jacobian[..., exponent] -= share * log_x
        return total, jacobian

    def _log_predict_curvature(self, theta: Floats, x: Mapping[str, Any], u: Floats) -> Floats:
        logs, inputs = self._log_terms(theta, x)
        _, shares = _logsumexp(logs)
        k = theta.shape[1]
        jacobian = np.zeros((*u.shape, k))
        found = np.zeros((len(theta), k, k))
        for share, log_x, (coefficient, exponent, _) in zip(shares, inputs, self._columns(), strict=True):
            jacobian[..., coefficient] = share
            weighted = u * share
            found[:, coefficient, coefficient] += weighted.sum(axis=1)
            if exponent is not None:
                jacobian[..., exponent] -= share * log_x
                cross = -(weighted @ log_x)
                found[:, coefficient, exponent] += cross
                found[:, exponent, coefficient] += cross
                found[:, exponent, exponent] += weighted @ log_x**2
        turned = jacobian.transpose(0, 2, 1)
        return found - (turned * u[:, None, :]) @ jacobian


def _logsumexp(logs: list[Floats]) -> tuple[Floats, list[Floats]]:
    """Return the logarithm of the sum of exponentials, and the share of each."""
    top = logs[0]
    for other in logs[1:]:
        top = np.maximum(top, other)
    parts = [np.exp(one - top) for one in logs]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return top + np.log(total), [part / total for part in parts]
