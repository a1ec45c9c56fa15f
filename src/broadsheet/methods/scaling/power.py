"""Power laws of one input, with and without an irreducible term."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.law import Law, Parameter
from broadsheet.methods.scaling.objective import Floats, LossName, Space
from broadsheet.methods.scaling.powers import SumOfPowers, Term
from broadsheet.methods.scaling.runs import LossUnit, RunTable

__all__ = ["PowerLaw", "Reciprocal"]

AnyPower = TypeVar("AnyPower", bound="_OneInput")

_A = Parameter("A", "log", "weight of the power")
_ALPHA = Parameter("alpha", "identity", "exponent")
_E = Parameter("E", "log", "irreducible loss: the limit of large x")


class _OneInput(SumOfPowers):
    """A law of the one column that ``x`` names."""

    x: str

    def _inputs(self) -> tuple[str, ...]:
        return (getattr(self, "x_", self.x),)

    def _unfitted(self) -> Law:
        made: Law = super()._unfitted().set_params(x=self._inputs()[0])
        return made

    def fit(
        self: AnyPower,
        runs: pd.DataFrame | RunTable,
        y: Any = None,
        *,
        x: str | None = None,
        columns: Mapping[str, Hashable] | None = None,
        weights: Any = None,
        loss_unit: LossUnit = "nats",
        spare_rows: int = 2,
        open_parameters: Literal["refuse", "warn"] = "refuse",
    ) -> AnyPower:
        """Fit the law: see :meth:`Law.fit`.

        Args:
            runs: The table.
            y: (n,) target, if it does not stand in the table.
            x: The input column, instead of the law's own ``x``.
            columns: Where columns stand: ``{"loss": "eval_loss"}``.
            weights: Column name, or (n,) weights.
            loss_unit: Unit of the loss.
            spare_rows: How many more rows than free parameters are asked for.
            open_parameters: ``refuse`` or ``warn`` where the noise leaves a parameter open.

        Returns:
            The law itself.
        """
        self.x_ = self.x if x is None else x
        super().fit(
            runs,
            y,
            columns=columns,
            weights=weights,
            loss_unit=loss_unit,
            spare_rows=spare_rows,
            open_parameters=open_parameters,
        )
        return self


class PowerLaw(_OneInput):
    """``L(x) = E + A / x**alpha``, or ``A / x**alpha`` without offset: any positive x.

    Args:
        offset: Whether the law has an irreducible term E. Without it is another model, to be compared by
            :func:`compare_laws`: a fitted E is always > 0.
        x: The input column.
        target: The column that is predicted.
        loss: See :class:`Law`.
        delta: See :class:`Law`.
        space: See :class:`Law`.
        fixed: See :class:`Law`.
        grid: See :class:`Law`.
        random_state: See :class:`Law`.

    Source:
        Hestness et al. 2017 (arXiv:1712.00409), section 3; Kaplan et al. 2020 (arXiv:2001.08361), equation 1.1
        (without offset).

    Example:
        >>> runs = pd.DataFrame({"N": [0.15, 0.3, 0.6, 1.4, 2.0]})
        >>> runs["loss"] = 3.43 + 0.05 / runs["N"] ** 1.02
        >>> law = PowerLaw().fit(runs)
        >>> {name: round(value, 4) for name, value in law.params_.items()}
        {'A': 0.05, 'alpha': 1.02, 'E': 3.43}
    """

    def __init__(
        self,
        offset: bool = True,
        x: str = "N",
        target: str = "loss",
        loss: LossName = "huber",
        delta: float = 1e-3,
        space: Space = "log",
        fixed: Mapping[str, float] | None = None,
        grid: Mapping[str, Sequence[float]] | None = None,
        random_state: int = 0,
    ) -> None:
        super().__init__(loss, delta, space, fixed, grid, random_state)
        self.offset = offset
        self.x = x
        self.target = target

    def _parameters(self, x: Mapping[str, Any]) -> tuple[Parameter, ...]:
        return (_A, _ALPHA, _E) if self.offset else (_A, _ALPHA)

    def _terms(self) -> tuple[Term, ...]:
        power = Term("A", self._inputs()[0], "alpha")
        return (power, Term("E")) if self.offset else (power,)

    def _starts(self, x: Mapping[str, Any], y: Floats) -> Floats:
        log_x = np.log(x[self._inputs()[0]])
        if not self.offset:
            slope, level = np.polyfit(log_x, np.log(y), 1)
            return np.array([[level + shift * log_x.mean(), shift - slope] for shift in (0.0, 0.1, -0.1)])
        alpha, floor = (
            a.ravel()
            for a in np.meshgrid(
                (0.03, 0.07, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0, 1.5, 2.5),
                (0.001, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995, 0.999),
                indexing="ij",
            )
        )
        E = floor * y.min()
        return np.stack([np.log(np.median(y) - E) + alpha * log_x.mean(), alpha, np.log(E)], axis=1)


class Reciprocal(_OneInput):
    """``L(K) = E + A / K``: the loss of an average over K members, E that of infinitely many.

    Args:
        x: The input column.
        target: The column that is predicted.
        loss: See :class:`Law`.
        delta: See :class:`Law`.
        space: See :class:`Law`.
        fixed: See :class:`Law`.
        grid: See :class:`Law`.
        random_state: See :class:`Law`.

    Source:
        Ensembles of language models: Kim et al. 2025, Pre-training under infinite compute (arXiv:2509.14786).

    Example:
        >>> curve = pd.DataFrame({"K": [1, 2, 3, 5, 8], "loss": [3.75, 3.55, 3.4833, 3.43, 3.4]})
        >>> law = Reciprocal().fit(curve)
        >>> {name: round(value, 2) for name, value in law.params_.items()}
        {'A': 0.4, 'E': 3.35}
    """

    def __init__(
        self,
        x: str = "K",
        target: str = "loss",
        loss: LossName = "huber",
        delta: float = 1e-3,
        space: Space = "log",
        fixed: Mapping[str, float] | None = None,
        grid: Mapping[str, Sequence[float]] | None = None,
        random_state: int = 0,
    ) -> None:
        super().__init__(loss, delta, space, fixed, grid, random_state)
        self.x = x
        self.target = target

    def _parameters(self, x: Mapping[str, Any]) -> tuple[Parameter, ...]:
        return (_A, _E)

    def _terms(self) -> tuple[Term, ...]:
        return (Term("A", self._inputs()[0], 1.0), Term("E"))

    def _starts(self, x: Mapping[str, Any], y: Floats) -> Floats:
        floor = np.array([0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995])
        E = floor * y.min()
        middle = 1.0 / np.mean(1.0 / x[self._inputs()[0]])
        return np.stack([np.log((np.median(y) - E) * middle), np.log(E)], axis=1)
