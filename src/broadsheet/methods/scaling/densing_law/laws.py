"""The three laws of the paper: loss from size and tokens, score from loss, density from time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit

from broadsheet.methods.scaling.densing_law.growth import doubling_time
from broadsheet.methods.scaling.law import Law, Parameter
from broadsheet.methods.scaling.objective import Floats, LossName, Space
from broadsheet.methods.scaling.powers import SumOfPowers, Term

__all__ = ["ConditionalLossLaw", "ExponentialTrend", "LossToMetric"]


def _product(*axes: Any) -> Floats:
    return np.stack([a.ravel() for a in np.meshgrid(*map(np.asarray, axes), indexing="ij")], axis=1)


class ConditionalLossLaw(SumOfPowers):
    """``L = a N^-alpha + b D^-beta``: the loss of reference answers, without an irreducible part.

    It is not the Chinchilla law with E at 0: an answer that follows from its instruction can be certain.

    Source:
        Step 1 of the performance estimation.

    Example:
        >>> import pandas as pd
        >>> N, D = (m.ravel() for m in np.meshgrid([1e7, 3e7, 1e8, 3e8], [1e9, 4e9, 2e10]))
        >>> noise = np.exp(1e-3 * np.sin(np.arange(12)))
        >>> runs = pd.DataFrame({"N": N, "D": D, "loss": noise * (50 * N**-0.3 + 300 * D**-0.3)})
        >>> law = ConditionalLossLaw().fit(runs)
        >>> round(law.params_["alpha"], 2), round(law.params_["beta"], 2)
        (0.3, 0.3)
    """

    inputs = ("N", "D")
    parameters = (
        Parameter("a", "log", "loss of the size term at N = 1"),
        Parameter("b", "log", "loss of the token term at D = 1"),
        Parameter("alpha", "identity", "exponent of size"),
        Parameter("beta", "identity", "exponent of tokens"),
    )

    def _terms(self) -> tuple[Term, ...]:
        return (Term("a", "N", "alpha"), Term("b", "D", "beta"))

    def _starts(self, x: Mapping[str, Any], y: Floats) -> Floats:
        level, middle_n, middle_d = np.log(y).mean(), np.log(x["N"]).mean(), np.log(x["D"]).mean()
        share, alpha, beta = _product(
            [0.2, 0.5, 0.8], [0.05, 0.1, 0.2, 0.4, 0.8], [0.05, 0.1, 0.2, 0.4, 0.8]
        ).T
        a = level + np.log(share) + alpha * middle_n
        b = level + np.log1p(-share) + beta * middle_d
        return np.stack([a, b, alpha, beta], axis=1)


class LossToMetric(Law):
    """``S = c / (1 + exp(-gamma (L - l))) + d``: a score that falls from ceiling to floor as the loss grows.

    ``d`` is the floor and ``c + d`` the ceiling; gamma is negative, and ``steepness`` is ``-gamma``.

    Args:
        floor: Score of guessing, d.
        ceiling: Score at loss 0 in the limit, ``c + d``; None: fitted, no lower than the floor.
        loss: See :class:`~broadsheet.methods.scaling.law.Law`.
        delta: See there.
        space: See there.
        fixed: See there.
        grid: See there.
        random_state: See there.

    Source:
        Step 2 of the performance estimation.

    Example:
        >>> import pandas as pd
        >>> loss = np.linspace(0.2, 3, 12)
        >>> score = 0.25 + 0.75 / (1 + np.exp(4 * (loss - 1.2))) + 1e-3 * np.sin(9 * loss)
        >>> law = LossToMetric(floor=0.25).fit(pd.DataFrame({"loss": loss, "score": score}))
        >>> round(law.gamma_, 1), round(law.params_["l"], 2)
        (-4.0, 1.2)
    """

    inputs = ("loss",)
    target = "score"
    governs: ClassVar[Mapping[str, tuple[str, ...]]] = {"loss": ("steepness", "l")}

    def __init__(
        self,
        floor: float = 0.0,
        ceiling: float | None = 1.0,
        loss: LossName = "mse",
        delta: float = 1e-3,
        space: Space = "linear",
        fixed: Mapping[str, float] | None = None,
        grid: Mapping[str, Sequence[float]] | None = None,
        random_state: int = 0,
    ) -> None:
        super().__init__(
            loss=loss, delta=delta, space=space, fixed=fixed, grid=grid, random_state=random_state
        )
        self.floor = floor
        self.ceiling = ceiling

    def _parameters(self, x: Mapping[str, Any]) -> tuple[Parameter, ...]:
        known = (Parameter("steepness", "log", "-gamma"), Parameter("l", "identity", "loss at half height"))
        return known if self.ceiling is not None else (*known, Parameter("c", "log", "height"))

    def _check_settings(self) -> None:
        super()._check_settings()
        if not 0.0 <= self.floor < 1.0 or (self.ceiling is not None and not self.floor < self.ceiling):
            raise ValueError(
                f"floor must lie in [0, 1) and below ceiling, got floor={self.floor!r}, ceiling={self.ceiling!r}"
            )

    @property
    def gamma_(self) -> float:
        """The slope of the exponent in the paper's sign, < 0."""
        return float(-self.params_["steepness"])

    @property
    def height_(self) -> float:
        """``c``: ceiling less floor, given or fitted."""
        return float(self.params_["c"] if self.ceiling is None else self.ceiling - self.floor)

    def _log_predict(self, theta: Floats, x: Mapping[str, Any]) -> Floats:
        return self._log_predict_jacobian(theta, x)[0]

    def _log_predict_jacobian(self, theta: Floats, x: Mapping[str, Any]) -> tuple[Floats, Floats]:
        steep, middle = np.exp(theta[:, 0, None]), theta[:, 1, None]
        height = np.exp(theta[:, 2, None]) if self.ceiling is None else np.float64(self.ceiling - self.floor)
        u = steep * (x["loss"] - middle)
        share = expit(-u)
        score = np.maximum(self.floor + height * share, 1e-300)
        fall = height * share * expit(u) / score
        parts = [-fall * u, fall * steep]
        if self.ceiling is None:
            parts.append(height * share / score)
        return np.log(score), np.stack(parts, axis=-1)

    def _starts(self, x: Mapping[str, Any], y: Floats) -> Floats:
        loss = x["loss"]
        middles = np.quantile(loss, [0.0, 0.25, 0.5, 0.75, 1.0])
        spread = max(float(np.ptp(loss)), 1e-12)
        steep = np.log(np.array([0.5, 2.0, 5.0, 15.0, 50.0]) / spread)
        if self.ceiling is not None:
            return _product(steep, middles)
        tallest = max(float(y.max()) - self.floor, 1e-3)
        return _product(steep, middles, np.log(tallest * np.array([1.0, 1.5, 3.0])))

    def inverse(self, score: Any) -> Floats:
        """Return the loss at which a score is reached.

        Args:
            score: (n,).

        Returns:
            (n,); ``l - ln(c/(S - d) - 1)/gamma``, NaN outside floor and ceiling.

        Source:
            The inverse of step 2, in the definition of the effective parameter size.
        """
        s = np.atleast_1d(np.asarray(score, float)) - self.floor
        inside = (s > 0) & (s < self.height_)
        ratio = np.where(inside, self.height_ / np.where(inside, s, 1.0) - 1.0, np.nan)
        return np.asarray(self.params_["l"] - np.log(ratio) / self.gamma_)


class ExponentialTrend(Law):
    """``ln y = A t + B``: growth at a constant rate.

    Source:
        The densing law.

    Example:
        >>> import pandas as pd
        >>> t = np.arange(0.0, 500.0, 50.0)
        >>> trend = ExponentialTrend().fit(pd.DataFrame({"t": t, "y": 0.1 * 2 ** (t / 95 + 0.01 * np.sin(t))}))
        >>> round(trend.doubling_)
        95
    """

    inputs = ("t",)
    target = "y"
    parameters = (Parameter("A", "identity", "growth rate"), Parameter("B", "identity", "logarithm at t = 0"))
    governs: ClassVar[Mapping[str, tuple[str, ...]]] = {"t": ("A",)}
    domains: ClassVar[Mapping[str, tuple[float, float]]] = {"t": (-np.inf, np.inf)}

    def __init__(
        self,
        loss: LossName = "mse",
        delta: float = 1e-3,
        space: Space = "log",
        fixed: Mapping[str, float] | None = None,
        grid: Mapping[str, Sequence[float]] | None = None,
        random_state: int = 0,
    ) -> None:
        super().__init__(
            loss=loss, delta=delta, space=space, fixed=fixed, grid=grid, random_state=random_state
        )

    @property
    def doubling_(self) -> float:
        """``ln 2 / A``, in the unit of t; negative if y falls."""
        return doubling_time(self.params_["A"])

    def _log_predict(self, theta: Floats, x: Mapping[str, Any]) -> Floats:
        return np.asarray(theta[:, 0, None] * x["t"] + theta[:, 1, None])

    def _log_predict_jacobian(self, theta: Floats, x: Mapping[str, Any]) -> tuple[Floats, Floats]:
        f = self._log_predict(theta, x)
        return f, np.stack([np.broadcast_to(x["t"], f.shape), np.ones(f.shape)], axis=-1)

    def _starts(self, x: Mapping[str, Any], y: Floats) -> Floats:
        rates = np.linspace(-10.0, 10.0, 21) / max(float(np.ptp(x["t"])), 1e-12)
        return np.stack([rates, np.log(y).mean() - rates * x["t"].mean()], axis=1)
