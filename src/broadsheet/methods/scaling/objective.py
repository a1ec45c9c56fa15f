"""What a fit minimises: a sum over runs of a loss of the residual, for many parameter vectors at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LOSSES",
    "SPACES",
    "Curvature",
    "Derivatives",
    "Floats",
    "LossName",
    "Objective",
    "Predictor",
    "Space",
]

Floats = NDArray[np.float64]
Inputs = Mapping[str, Any]
Curvature = Callable[[Floats], Floats]
LossName = Literal["huber", "mse", "mae", "asymmetric"]
Space = Literal["log", "linear"]
LOSSES: tuple[LossName, ...] = ("huber", "mse", "mae", "asymmetric")
SPACES: tuple[Space, ...] = ("log", "linear")
OVER = 10.0  # how much heavier over-prediction weighs in the asymmetric loss


class Predictor(Protocol):
    """What an objective needs of a law; ``theta`` is (m, k).

    ``_log_predict_expansion`` gives (m, n) log-predictions, their (m, n, k) derivatives, and a function from
    (m, n) weights to the (m, k, k) second derivatives summed over rows with those weights.
    """

    def _log_predict(self, theta: Floats, x: Inputs) -> Floats: ...
    def _log_predict_expansion(self, theta: Floats, x: Inputs) -> tuple[Floats, Floats, Curvature]: ...


@dataclass(frozen=True)
class Derivatives:
    """The objective around m parameter vectors.

    Attributes:
        value: (m,) values.
        gradient: (m, k).
        hessian: (m, k, k), exact but for the kinks of the loss.
        metric: (m, k, k), positive semidefinite: the curvature of the quadratic that touches the loss from
            above at each residual. It measures steps without caring for units.
    """

    value: Floats
    gradient: Floats
    hessian: Floats
    metric: Floats


@dataclass(frozen=True)
class Objective:
    """Sum over rows of ``weight * loss(residual)``, for a batch of parameter vectors.

    Args:
        law: Gives log-predictions and their derivatives.
        x: Input columns, each (n,).
        y: (n,) target, > 0.
        loss: ``huber`` (quadratic up to ``delta``), ``mse`` (half the square), ``mae`` (absolute) or
            ``asymmetric`` (absolute, 10 times heavier where the prediction is too high).
        delta: Where Huber's loss turns linear, in the residual's unit.
        space: Residuals ``ln y - ln prediction`` (``log``) or ``y - prediction`` (``linear``).
        weights: (n,) or (m, n) weights, >= 0.
    """

    law: Predictor
    x: Inputs
    y: Floats
    loss: LossName = "huber"
    delta: float = 1e-3
    space: Space = "log"
    weights: Floats | None = None

    @property
    def floor(self) -> float:
        """What rounding alone leaves of the objective."""
        size = 1e-14 * (1.0 + float(np.abs(self.target).max()))
        rows = len(self.y) if self.weights is None else float(self.weights.sum(axis=-1).max())
        return rows * (size**2 if self.loss in ("huber", "mse") else size)

    @property
    def target(self) -> Floats:
        """(n,) what residuals are taken from."""
        return np.log(self.y) if self.space == "log" else self.y

    def of(self, members: Any) -> Objective:
        """Return the objective of some members of the batch."""
        if self.weights is None or self.weights.ndim == 1:
            return self
        return replace(self, weights=self.weights[members])

    def residuals(self, theta: Floats) -> Floats:
        """Return (m, n) residuals."""
        with np.errstate(over="ignore", invalid="ignore"):
            f = self.law._log_predict(theta, self.x)
            return self.target - (f if self.space == "log" else np.exp(f))

    def value(self, theta: Floats) -> Floats:
        """Return (m,) values of the objective itself, without any smoothing."""
        with np.errstate(over="ignore", invalid="ignore"):
            rho = self._rho(self.residuals(theta))
            return self._sum(rho)

    def derivatives(self, theta: Floats, smooth: float = 0.0) -> Derivatives:
        """Return value, gradient, Hessian and metric.

        Args:
            theta: (m, k).
            smooth: For losses with a kink at 0: half-width within which they are replaced by a parabola.
        """
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            f, jacobian, curvature = self.law._log_predict_expansion(theta, self.x)
            predicted = f if self.space == "log" else np.exp(f)
            r = self.target - predicted
            rho, psi, curved, touching = self._pieces(r, smooth)
            if self.weights is not None:
                psi, curved, touching = (self.weights * a for a in (psi, curved, touching))
            # With residuals on the linear scale, d prediction = prediction * d log-prediction.
            u, newton, metric = psi, curved, touching
            if self.space == "linear":
                u = psi * predicted
                newton = curved * predicted**2 - u
                metric = touching * predicted**2
            turned = jacobian.transpose(0, 2, 1)
            gradient = -(turned @ u[..., None])[..., 0]
            hessian = (turned * newton[:, None, :]) @ jacobian - curvature(u)
            return Derivatives(self._sum(rho), gradient, hessian, (turned * metric[:, None, :]) @ jacobian)

    def _sum(self, rho: Floats) -> Floats:
        total = rho.sum(axis=1) if self.weights is None else (self.weights * rho).sum(axis=1)
        return np.where(np.isfinite(total), total, np.inf)

    def _rho(self, r: Floats) -> Floats:
        return self._pieces(r, 0.0)[0]

    def _pieces(self, r: Floats, smooth: float) -> tuple[Floats, Floats, Floats, Floats]:
        """Return loss, its slope, its curvature, and slope over residual."""
        if self.loss == "mse":
            one = np.ones_like(r)
            return 0.5 * r * r, r, one, one
        delta = self.delta if self.loss == "huber" else smooth
        size = np.abs(r)
        slope = np.clip(r, -delta, delta)
        rho = slope * (r - 0.5 * slope)
        touching = delta / np.maximum(size, delta) if delta else np.zeros_like(r)
        curved = (size <= delta).astype(float)
        if self.loss == "huber":
            return rho, slope, curved, touching
        side = np.where(r < 0, OVER, 1.0) if self.loss == "asymmetric" else 1.0
        if not delta:  # the loss itself, whose slope at 0 is taken as 0
            return side * size, side * np.sign(r), np.zeros_like(r), side / np.maximum(size, 1e-300)
        return side * rho / delta, side * slope / delta, side * curved / delta, side * touching / delta

    def slopes(self, theta: Floats) -> tuple[Floats, Floats]:
        """Return the (m, n) slopes of the loss at the residuals, and the residuals."""
        r = self.residuals(theta)
        return self._pieces(r, 0.0)[1], r
