"""Laws that are sums of powers of their inputs: closed-form derivatives for all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from broadsheet.methods.scaling.law import Law
from broadsheet.methods.scaling.objective import Curvature, Floats
from broadsheet.methods.scaling.reading import new_inputs

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

    def _may_vanish(self) -> tuple[str, ...]:
        return tuple(t.coefficient for t in self._terms() if not isinstance(t.exponent, str))

    def _cautions(self) -> list[str]:
        said = []
        shares = _logsumexp(self._log_terms(self.theta_[None], self.rows_.x)[0])[1]
        name = type(self).__name__
        for share, term in zip(shares, self._terms(), strict=True):
            if float(share.max()) < 1e-3:
                what = f"the term in {term.input}" if term.input else "the irreducible term"
                said.append(
                    f"{name}: {what} runs to 0 ({term.coefficient} = {self.params_[term.coefficient]:.3g}, below "
                    "0.1 % of every prediction): the table shows no such term. Compare a law without it by "
                    "compare_laws"
                )
            if isinstance(term.exponent, str) and self.params_[term.exponent] <= 0:
                said.append(
                    f"{name}: the exponent {term.exponent} is {self.params_[term.exponent]:.3g}, not above 0: in "
                    f"this table the target does not fall with {term.input}"
                )
        return said

    def solve(self, unknown: str, *, target: Any, **inputs: Any) -> Floats:
        """Return the value of one input at which the law predicts a given target.

        Args:
            unknown: The input to solve for.
            target: (n,) or one value of the target.
            **inputs: The other inputs by name.

        Returns:
            (n,) values; infinite where no finite one reaches the target (it lies at or below what the other
            terms leave).

        Raises:
            ValueError: if ``unknown`` is no input, or an input is missing.

        Example:
            >>> from broadsheet.methods.scaling import Chinchilla
            >>> law = Chinchilla.from_params({"A": 482, "B": 2085.4, "E": 1.82, "alpha": 0.3478, "beta": 0.3658})
            >>> law.solve("D", target=[2.5, 1.8], N=1e9).round(-7).tolist()
            [26060000000.0, inf]
        """
        check_is_fitted(self, "theta_")
        names = self._inputs()
        if unknown not in names:
            raise ValueError(f"unknown must be an input, one of {', '.join(names)}, got {unknown!r}")
        wanted = np.atleast_1d(np.asarray(target, float))
        given = {n: np.broadcast_to(np.asarray(v, float), wanted.shape) for n, v in inputs.items()}
        x, _ = new_inputs(self, pd.DataFrame({**given, unknown: np.ones(len(wanted))}), {})
        logs, _ = self._log_terms(self.theta_[None], x)
        here = next(j for j, t in enumerate(self._terms()) if t.input == unknown)
        term = self._terms()[here]
        rest = sum((np.exp(log[0]) for j, log in enumerate(logs) if j != here), np.zeros(len(wanted)))
        power = self.params_[term.exponent] if isinstance(term.exponent, str) else term.exponent
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.exp((logs[here][0] - np.log(wanted - rest)) / power)
        return np.where(wanted > rest, found, np.inf)

    def _columns(self) -> list[tuple[int, int | None, Term]]:
        place = {p.name: j for j, p in enumerate(self._parameters({}))}
        return [
            (place[t.coefficient], place[t.exponent] if isinstance(t.exponent, str) else None, t)
            for t in self._terms()
        ]

    def _log_terms(self, theta: Floats, x: Mapping[str, Any]) -> tuple[list[Floats], list[Any]]:
        """Return the (m, n) logarithm of each term, and the (n,) logarithm of its input."""
        n = len(next(iter(x.values())))
        logs: list[Floats] = []
        inputs: list[Any] = []
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
        return total, self._turned(theta, shares, inputs).transpose(0, 2, 1)

    def _log_predict_curvature(self, theta: Floats, x: Mapping[str, Any], u: Floats) -> Floats:
        logs, inputs = self._log_terms(theta, x)
        shares = _logsumexp(logs)[1]
        return self._curvature(shares, inputs, self._turned(theta, shares, inputs), u)

    def _log_predict_expansion(self, theta: Floats, x: Mapping[str, Any]) -> tuple[Floats, Floats, Curvature]:
        if type(self)._log_predict_jacobian is not SumOfPowers._log_predict_jacobian:
            return super()._log_predict_expansion(theta, x)  # a subclass has its own
        logs, inputs = self._log_terms(theta, x)
        total, shares = _logsumexp(logs)
        turned = self._turned(theta, shares, inputs)
        return total, turned.transpose(0, 2, 1), lambda u: self._curvature(shares, inputs, turned, u)

    def _turned(self, theta: Floats, shares: list[Floats], inputs: list[Any]) -> Floats:
        """Return the (m, k, n) derivatives of the logarithm of the sum."""
        turned = np.zeros((len(theta), theta.shape[1], shares[0].shape[1]))
        for share, log_x, (coefficient, exponent, _) in zip(shares, inputs, self._columns(), strict=True):
            turned[:, coefficient] = share
            if exponent is not None:
                turned[:, exponent] -= share * log_x
        return turned

    def _curvature(self, shares: list[Floats], inputs: list[Any], turned: Floats, u: Floats) -> Floats:
        # The second derivatives of a log-sum: the mean square of the terms' slopes less the square of their mean.
        k = turned.shape[1]
        found = np.zeros((len(u), k, k))
        for share, log_x, (coefficient, exponent, _) in zip(shares, inputs, self._columns(), strict=True):
            weighted = u * share
            found[:, coefficient, coefficient] += weighted.sum(axis=1)
            if exponent is not None:
                cross = -(weighted @ log_x)
                found[:, coefficient, exponent] += cross
                found[:, exponent, coefficient] += cross
                found[:, exponent, exponent] += weighted @ log_x**2
        return found - (turned * u[:, None, :]) @ turned.transpose(0, 2, 1)


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
