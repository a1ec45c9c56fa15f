"""A running training beside its predicted curve, in the Hugging Face Trainer."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from broadsheet.methods.scaling.loss_trajectory.law import LossTrajectory

__all__ = ["TrajectoryMonitor", "TrajectoryWarning"]


class TrajectoryWarning(UserWarning):
    """A training is off its predicted curve."""


class TrajectoryMonitor(TrainerCallback):
    """Adds the predicted loss and the deviation from it to what a ``Trainer`` logs, and warns when it is off.

    Args:
        law: A fitted law.
        N: Non-embedding parameters of the model that is trained.
        B: Tokens per optimiser step.
        sigma: Standard deviation of ln loss about the curve, > 0; by default that of the law's residuals.
        tolerance: Warn from so many standard deviations on.
        warmup: Steps that are not judged: the law begins after the warm-up.
        metric: The logged loss to judge: ``loss`` or ``eval_loss``.

    Raises:
        ValueError: if an argument is out of range, or ``sigma`` is missing for a law without runs.

    Attributes:
        history: One row per judged log: ``step``, ``loss``, ``predicted`` and ``deviation`` (in sigma).

    Example:
        >>> law = LossTrajectory.from_params(
        ...     {"N_c": 6.5e13, "alpha_N": 0.077, "S_c": 2100, "alpha_S": 0.76, "B_star": 2e8, "alpha_B": 0.21}
        ... )
        >>> TrajectoryMonitor(law, N=1e8, B=5e5, sigma=0.01).expected(1000).round(2).item()
        6.1
    """

    def __init__(
        self,
        law: LossTrajectory,
        N: float,
        B: float,
        *,
        sigma: float | None = None,
        tolerance: float = 3.0,
        warmup: int = 0,
        metric: str = "loss",
    ) -> None:
        for name, value in (("N", N), ("B", B), ("tolerance", tolerance)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be > 0, got {value!r}")
        if sigma is None:
            if not hasattr(law, "residuals_"):
                raise ValueError("sigma must be given for a law without runs: its residuals are not known")
            sigma = float(np.std(law.residuals_))
        if not sigma > 0:
            raise ValueError(f"sigma must be > 0, got {sigma!r}")
        self.law, self.N, self.B, self.sigma = law, N, B, sigma
        self.tolerance, self.warmup, self.metric = tolerance, warmup, metric
        self._rows: list[dict[str, float]] = []

    def expected(self, step: int) -> np.ndarray:
        """Return the predicted loss after a number of steps, >= 1."""
        predicted: np.ndarray = self.law.predict(N=self.N, S=float(step), B=self.B)
        return predicted

    @property
    def history(self) -> pd.DataFrame:
        """What has been judged so far."""
        return pd.DataFrame(self._rows, columns=["step", "loss", "predicted", "deviation"])

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Judge a logged loss."""
        if not logs or self.metric not in logs or state.global_step <= self.warmup:
            return
        loss, predicted = float(logs[self.metric]), float(self.expected(state.global_step)[0])
        deviation = math.log(loss / predicted) / self.sigma if loss > 0 else math.inf
        logs["predicted_loss"], logs["deviation"] = predicted, deviation
        self._rows.append(
            {"step": state.global_step, "loss": loss, "predicted": predicted, "deviation": deviation}
        )
        if not abs(deviation) <= self.tolerance:
            warnings.warn(
                f"step {state.global_step}: the loss is {loss:.4g}, predicted were {predicted:.4g}: "
                f"{deviation:+.1f} standard deviations",
                TrajectoryWarning,
                stacklevel=2,
            )
