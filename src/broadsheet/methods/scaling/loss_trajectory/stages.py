"""The paper's recipe: one pair of constants after the other, each by a straight line in logarithms."""

from __future__ import annotations

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.identification import NotIdentified
from broadsheet.methods.scaling.loss_trajectory.critical_batch import CriticalBatchSize, steps_at_losses
from broadsheet.methods.scaling.objective import Floats

__all__ = ["sequential_constants"]

_LEVELS = 12


def sequential_constants(N: Floats, S: Floats, B: Floats, loss: Floats) -> dict[str, float]:
    """Estimate the six constants one pair after the other.

    First ``N_c, alpha_N`` from the lowest loss of each size (which should be near its limit: train until it is), then
    ``B_star, alpha_B`` from the size with the most batch sizes, then ``S_c, alpha_S`` from what is left over the
    converted steps ``S_min = S / (1 + B_crit / B)``.

    Args:
        N: (n,) non-embedding parameters.
        S: (n,) steps, > 0.
        B: (n,) tokens per step.
        loss: (n,) losses.

    Returns:
        The constants by name.

    Raises:
        NotIdentified: if a stage has too little to go by, naming it.

    Source:
        Su et al. 2024 (arXiv:2403.06563), the order of estimation.
    """
    frame = pd.DataFrame({"N": N, "S": S, "B": B, "loss": loss})
    n_c, alpha_n = _limits(frame)
    b_star, alpha_b = _batches(frame)
    critical = b_star * frame["loss"] ** (-1.0 / alpha_b)
    steps = frame["S"] / (1.0 + critical / frame["B"])
    left = frame["loss"] - (n_c / frame["N"]) ** alpha_n
    used = left > 0.01 * frame["loss"]  # near the limit, what is left is noise
    if used.sum() < 3:
        raise NotIdentified("stage 3 (S_c, alpha_S): fewer than 3 points lie above the limit of their size")
    slope, start = np.polyfit(np.log(steps[used]), np.log(left[used]), 1)
    if slope >= 0:
        raise NotIdentified("stage 3 (S_c, alpha_S): what is above the limit does not fall with the steps")
    return {
        "N_c": n_c, "alpha_N": alpha_n, "S_c": float(np.exp(-start / slope)), "alpha_S": float(-slope),
        "B_star": b_star, "alpha_B": alpha_b,
    }  # fmt: skip


def _limits(frame: pd.DataFrame) -> tuple[float, float]:
    lowest = frame.groupby("N")["loss"].min()
    if len(lowest) < 2:
        raise NotIdentified("stage 1 (N_c, alpha_N): one size alone; add runs with another N")
    slope, start = np.polyfit(np.log(lowest.index.to_numpy(float)), np.log(lowest.to_numpy()), 1)
    if slope >= 0:
        raise NotIdentified(
            "stage 1 (N_c, alpha_N): the lowest loss does not fall with N; train until it is flat"
        )
    return float(np.exp(-start / slope)), float(-slope)


def _batches(frame: pd.DataFrame) -> tuple[float, float]:
    size = frame.groupby("N")["B"].nunique().idxmax()
    curves = frame[frame["N"] == size]
    reached = curves.groupby("B")["loss"].min().max()
    highest = curves.groupby("B")["loss"].max().min()
    if not reached < highest:
        raise NotIdentified("stage 2 (B_star, alpha_B): the curves of different batch sizes share no loss")
    levels = np.geomspace(highest, reached, _LEVELS + 2)[1:-1]
    fitted = CriticalBatchSize().fit(steps_at_losses(curves, levels))
    if not (np.isfinite(fitted.B_star_) and fitted.alpha_B_ > 0 and np.isfinite(fitted.alpha_B_)):
        raise NotIdentified(
            "stage 2 (B_star, alpha_B): the critical batch does not rise as the loss falls; add batch sizes or steps"
        )
    return fitted.B_star_, fitted.alpha_B_
