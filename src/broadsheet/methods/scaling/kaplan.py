"""The law of Kaplan et al.: loss from parameters and steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from broadsheet.methods.scaling.law import Law, Parameter
from broadsheet.methods.scaling.objective import Floats

__all__ = ["KaplanSteps"]


class KaplanSteps(Law):
    """``L(N, S) = (N_c / N)**alpha_N + (S_c / S)**alpha_S``: loss by parameters and by steps.

    S are steps at a batch far above the critical one (S_min); see LossTrajectory for any batch. There is no
    irreducible term.

    Args:
        loss: See :class:`Law`.
        delta: See :class:`Law`.
        space: See :class:`Law`.
        fixed: See :class:`Law`.
        grid: See :class:`Law`.
        random_state: See :class:`Law`.

    Source:
        Kaplan et al. 2020 (arXiv:2001.08361), equation 1.6.

    Example:
        >>> import pandas as pd
        >>> N, S = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e3, 1e5, 5)))
        >>> runs = pd.DataFrame({"N": N, "S": S, "loss": (1e13 / N) ** 0.08 + (2e3 / S) ** 0.7})
        >>> {name: float(f"{value:.3g}") for name, value in KaplanSteps().fit(runs).params_.items()}
        {'N_c': 10000000000000.0, 'alpha_N': 0.08, 'S_c': 2000.0, 'alpha_S': 0.7}
    """

    inputs = ("N", "S")
    parameters = (
        Parameter("N_c", "log", "size at which the first term is 1 nat"),
        Parameter("alpha_N", "log", "exponent of N"),
        Parameter("S_c", "log", "steps after which the second term is 1 nat"),
        Parameter("alpha_S", "log", "exponent of S"),
    )
    governs = {"N": ("N_c", "alpha_N"), "S": ("S_c", "alpha_S")}  # noqa: RUF012

    def _pieces(self, theta: Floats, x: Mapping[str, Any]) -> tuple[Any, ...]:
        size, steps = (np.log(x[name]) for name in self._inputs())
        alpha_n, alpha_s = np.exp(theta[:, 1, None]), np.exp(theta[:, 3, None])
        first = alpha_n * (theta[:, 0, None] - size)
        second = alpha_s * (theta[:, 2, None] - steps)
        return alpha_n, alpha_s, first, second, np.logaddexp(first, second)

    def _log_predict(self, theta: Floats, x: Mapping[str, Any]) -> Floats:
        total: Floats = self._pieces(theta, x)[-1]
        return total

    def _log_predict_jacobian(self, theta: Floats, x: Mapping[str, Any]) -> tuple[Floats, Floats]:
        alpha_n, alpha_s, first, second, total = self._pieces(theta, x)
        share, other = np.exp(first - total), np.exp(second - total)
        jacobian = np.stack([share * alpha_n, share * first, other * alpha_s, other * second], axis=-1)
        return total, jacobian

    def _starts(self, x: Mapping[str, Any], y: Floats) -> Floats:
        size, steps = (np.log(x[name]).mean() for name in self._inputs())
        alpha_n, alpha_s, split = (
            a.ravel()
            for a in np.meshgrid(
                (0.03, 0.07, 0.12, 0.25, 0.5, 1.0),
                (0.1, 0.25, 0.5, 0.8, 1.2),
                (0.05, 0.2, 0.5, 0.8, 0.95, 0.99),
                indexing="ij",
            )
        )
        middle = np.log(np.median(y))
        n_c = (np.log(split) + middle) / alpha_n + size
        s_c = (np.log1p(-split) + middle) / alpha_s + steps
        return np.stack([n_c, np.log(alpha_n), s_c, np.log(alpha_s)], axis=1)
