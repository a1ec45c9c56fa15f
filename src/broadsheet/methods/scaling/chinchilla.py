"""The law of Hoffmann et al.: loss from parameters and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from broadsheet.methods.scaling import allocation
from broadsheet.methods.scaling.law import Parameter
from broadsheet.methods.scaling.objective import Floats
from broadsheet.methods.scaling.powers import SumOfPowers, Term

__all__ = ["Chinchilla"]


class Chinchilla(SumOfPowers):
    """``L(N, D) = E + A / N**alpha + B / D**beta``: loss by number of parameters and of tokens.

    Args:
        loss: See :class:`Law`.
        delta: See :class:`Law`.
        space: See :class:`Law`.
        fixed: See :class:`Law`.
        grid: See :class:`Law`.
        random_state: See :class:`Law`.

    Source:
        Hoffmann et al. 2022 (arXiv:2203.15556), equation 2 and section 3.3, with the sum in place of the mean
        after Besiroglu et al. 2024 (arXiv:2404.10102).

    Example:
        >>> import pandas as pd
        >>> N, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5)))
        >>> runs = pd.DataFrame({"N": N, "D": D, "loss": 1.8 + 480 / N**0.35 + 2100 / D**0.37})
        >>> law = Chinchilla().fit(runs)
        >>> {name: round(value, 3) for name, value in law.params_.items()}
        {'A': 480.0, 'B': 2100.0, 'E': 1.8, 'alpha': 0.35, 'beta': 0.37}
        >>> law.predict(N=7e10, D=1.4e12).round(3).tolist()
        [1.944]
    """

    inputs = ("N", "D")
    parameters = (
        Parameter("A", "log", "weight of the parameter term"),
        Parameter("B", "log", "weight of the token term"),
        Parameter("E", "log", "irreducible loss"),
        Parameter("alpha", "identity", "exponent of N"),
        Parameter("beta", "identity", "exponent of D"),
    )

    def _terms(self) -> tuple[Term, ...]:
        size, tokens = self._inputs()
        return (Term("A", size, "alpha"), Term("B", tokens, "beta"), Term("E"))

    def optimal(
        self,
        C: Any,
        *,
        interval: float | None = None,
        n_boot: int = 400,
        group: str | None = None,
    ) -> pd.DataFrame:
        """Return the size and the tokens that make the loss least for a budget: see :func:`allocation.optimal`.

        Args:
            C: Budget or budgets in FLOPs, > 0.
            interval: Level of intervals in (0, 1), from the bootstrap; None: no interval.
            n_boot: Refits behind them, >= 20.
            group: Column whose values are resampled as a whole.

        Returns:
            One row per budget: ``C``, ``N``, ``D``, ``tokens_per_parameter``, ``loss``, and each of the last
            four with ``_lower`` and ``_upper`` where an interval is asked for.

        Raises:
            ValueError: if a budget is not > 0, or an exponent is not, so that no optimum exists.

        Warns:
            ScalingWarning: if a budget lies outside 100 times the range of the fitted runs.

        Example:
            >>> law = Chinchilla.from_params({"A": 482, "B": 2085.4, "E": 1.82, "alpha": 0.3478, "beta": 0.3658})
            >>> law.optimal(C=5.76e23)["tokens_per_parameter"].round(1).tolist()
            [18.4]
        """
        return allocation.optimal(self, C, interval=interval, n_boot=n_boot, group=group)

    def _starts(self, x: Mapping[str, Any], y: Floats) -> Floats:
        size, tokens = (np.log(x[name]).mean() for name in self._inputs())
        middle, least = float(np.median(y)), float(y.min())
        exponents = (0.1, 0.2, 0.35, 0.5, 0.8, 1.2)
        floors = (0.2, 0.5, 0.7, 0.85, 0.95)
        splits = (0.15, 0.35, 0.65, 0.85)
        alpha, beta, floor, split = (
            a.ravel() for a in np.meshgrid(exponents, exponents, floors, splits, indexing="ij")
        )
        E = floor * least
        reducible = np.log(middle - E)
        # At the middle of the table the two terms share what is reducible: starts that know no units.
        a = np.log(split) + reducible + alpha * size
        b = np.log1p(-split) + reducible + beta * tokens
        return np.stack([a, b, np.log(E), alpha, beta], axis=1)
