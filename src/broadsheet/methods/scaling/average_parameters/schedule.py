"""When to remove how many weights, so that given shares of the training compute come before and after."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["PruneSchedule", "ScheduleWarning", "continuous_schedule", "prune_schedule"]

Unit = Literal["compute", "steps"]
UNITS = ("compute", "steps")
MOVED = 0.02  # share of the whole training by which snapping may move an end of the window unannounced


class ScheduleWarning(UserWarning):
    """The schedule that runs differs from the one that was asked for."""


@dataclass(frozen=True)
class PruneSchedule:
    """A geometric pruning schedule on whole steps.

    Weights are removed at steps ``start_step``, ``start_step + frequency``, …, ``end_step``, each time before that
    step's forward pass. Every event keeps the same share of what the one before has left, so that after event
    ``i`` (counted from 0) of ``n`` the share ``(1 - sparsity) ** ((i + 1) / n)`` of all prunable weights is live.

    Args:
        total_steps: Optimiser steps of the whole training, >= 1.
        sparsity: Share of the prunable weights that is gone in the end, in [0, 1).
        start_step: Step of the first event, in [0, total_steps).
        end_step: Step of the last event, in [start_step, total_steps).
        frequency: Steps between two events, >= 1; it must divide ``end_step - start_step``.

    Raises:
        ValueError: if an argument is out of range or ``frequency`` does not divide the window.

    Source:
        Section 3 of the paper; the authors' published configurations.

    Example:
        >>> PruneSchedule(total_steps=10, sparsity=0.75, start_step=2, end_step=4, frequency=2).keep
        array([0.5 , 0.25])
    """

    total_steps: int
    sparsity: float
    start_step: int
    end_step: int
    frequency: int = 100

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)
        _check_count("total_steps", self.total_steps)
        _check_count("frequency", self.frequency)
        if not 0 <= self.start_step <= self.end_step < self.total_steps:
            raise ValueError(
                f"0 <= start_step <= end_step < total_steps must hold, got start_step={self.start_step!r}, "
                f"end_step={self.end_step!r}, total_steps={self.total_steps!r}"
            )
        window = self.end_step - self.start_step
        if window % self.frequency:
            raise ValueError(
                f"frequency must divide end_step - start_step = {window}, got frequency={self.frequency!r}: "
                f"take end_step={self.start_step + round(window / self.frequency) * self.frequency}, or "
                f"frequency={math.gcd(window, self.frequency)}"
            )

    @property
    def n_events(self) -> int:
        """Number of steps at which weights are removed."""
        return (self.end_step - self.start_step) // self.frequency + 1

    @property
    def steps(self) -> np.ndarray:
        """Steps of the events, shape (n_events,), integers."""
        return np.arange(self.start_step, self.end_step + 1, self.frequency)

    @property
    def keep(self) -> np.ndarray:
        """Share of all prunable weights that is live after each event, shape (n_events,), in (0, 1]."""
        kept = (1.0 - self.sparsity) ** (np.arange(1, self.n_events + 1) / self.n_events)
        kept[-1] = 1.0 - self.sparsity  # exactly, whatever the power rounds to
        return kept

    def keep_at(self, step: int | np.ndarray) -> np.ndarray:
        """Return the share of live weights during steps.

        Args:
            step: Steps in [0, total_steps), any shape.

        Returns:
            Shares in (0, 1], of the same shape.

        Raises:
            ValueError: if a step is out of range.

        Example:
            >>> PruneSchedule(10, 0.75, 2, 4, frequency=2).keep_at(np.arange(6))
            array([1.  , 1.  , 0.5 , 0.5 , 0.25, 0.25])
        """
        asked = np.asarray(step)
        if asked.size and not (asked.min() >= 0 and asked.max() < self.total_steps):
            raise ValueError(f"step must lie in [0, {self.total_steps}), got {step!r}")
        done = np.clip((asked - self.start_step) // self.frequency + 1, 0, self.n_events)
        kept: np.ndarray = np.concatenate([[1.0], self.keep])
        return np.asarray(kept[done])

    @property
    def average_keep(self) -> float:
        """Mean share of live weights over all steps, in (0, 1]: mean over dense parameter count."""
        return float(self._spent()[-1] / self.total_steps)

    def compute_share(self, step: int) -> float:
        """Return the share of the whole training compute that is spent before a step.

        Args:
            step: A step in [0, total_steps].

        Returns:
            A share in [0, 1], with the compute of a step taken as proportional to its live weights.

        Raises:
            ValueError: if the step is out of range.

        Example:
            >>> PruneSchedule(10, 0.5, 2, 2).compute_share(2)
            0.3333333333333333
        """
        if not 0 <= step <= self.total_steps:
            raise ValueError(f"step must lie in [0, {self.total_steps}], got {step!r}")
        spent = self._spent(step)
        return float(spent[0] / spent[-1])

    def _spent(self, step: int = 0) -> tuple[float, float]:
        """Return compute up to a step and in all, in steps of the dense model."""
        bounds = np.concatenate([[0], self.steps, [self.total_steps]])
        kept = np.concatenate([[1.0], self.keep])
        before = np.diff(np.minimum(bounds, step))
        return float(before @ kept), float(np.diff(bounds) @ kept)


def continuous_schedule(
    sparsity: float, start: float = 0.25, end: float = 0.75, unit: Unit = "compute"
) -> tuple[float, float, float]:
    """Return where pruning begins and ends in steps, for a decay without jumps.

    In compute units, with the mean share of live weights during pruning ``r = s / ln(1 / (1 - s))``, the steps
    before, during and after pruning stand in the proportion ``start : (end - start) / r : (1 - end) / (1 - s)``.

    Args:
        sparsity: Share of the prunable weights that is gone in the end, in [0, 1).
        start: Share of the training before pruning begins, in [0, 1).
        end: Share of the training after which nothing more is removed, in (start, 1].
        unit: What the shares are shares of: training compute or steps.

    Returns:
        The begin and the end of pruning as shares of all steps, and the mean live share of weights over training.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Section 3; the closed form follows from a compute per step proportional to the live weights.

    Example:
        >>> [round(share, 4) for share in continuous_schedule(0.5)]
        [0.1732, 0.6535, 0.6929]
    """
    check_sparsity(sparsity)
    check_window(start, end, unit)
    ramp = sparsity / -math.log1p(-sparsity) if sparsity > 0 else 1.0
    if unit == "steps":
        return start, end, start + (end - start) * ramp + (1.0 - end) * (1.0 - sparsity)
    dense, pruning, sparse = start, (end - start) / ramp, (1.0 - end) / (1.0 - sparsity)
    whole = dense + pruning + sparse
    return dense / whole, (dense + pruning) / whole, 1.0 / whole


def prune_schedule(
    total_steps: int,
    sparsity: float,
    start: float = 0.25,
    end: float = 0.75,
    unit: Unit = "compute",
    frequency: int = 100,
) -> PruneSchedule:
    """Return the steps at which weights are removed, planned by training compute.

    Early steps are dense and cost more, so a window of compute stands earlier in steps. Its two ends are snapped
    to multiples of ``frequency``, as in the authors' configurations.

    Args:
        total_steps: Optimiser steps of the whole training, >= 1.
        sparsity: Share of the prunable weights that is gone in the end, in [0, 1).
        start: Share of the training before pruning begins, in [0, 1).
        end: Share of the training after which nothing more is removed, in (start, 1].
        unit: What the shares are shares of: training compute or steps.
        frequency: Steps between two events, >= 1.

    Returns:
        The schedule on whole steps.

    Raises:
        ValueError: if an argument is out of range, or ``frequency`` leaves fewer than two events.

    Warns:
        ScheduleWarning: if snapping moves an end of the window by more than 2 % of the training, and a smaller
            ``frequency`` would help.

    Source:
        Abstract and Section 3 (25 % to 75 % of the compute); the authors' configurations (frequency).

    Example:
        >>> plan = prune_schedule(total_steps=72_200, sparsity=0.5)
        >>> plan.start_step, plan.end_step
        (12500, 47200)
    """
    _check_count("total_steps", total_steps)
    _check_count("frequency", frequency)
    begin, finish, _ = continuous_schedule(sparsity, start, end, unit)
    first, last = (frequency * round(share * total_steps / frequency) for share in (begin, finish))
    while last >= total_steps:  # an event after the last step would never happen
        last -= frequency
    if first >= last:
        fitting = int((finish - begin) * total_steps / 2)
        raise ValueError(
            f"frequency leaves fewer than two events in the {(finish - begin) * total_steps:.4g} steps between "
            f"start={start!r} and end={end!r}, got frequency={frequency!r}: take "
            + (f"{fitting} or less" if fitting else "more total_steps")
        )
    plan = PruneSchedule(total_steps, sparsity, first, last, frequency)
    got = [plan.compute_share(s) if unit == "compute" else s / total_steps for s in (first, last)]
    if frequency > 1 and max(abs(got[0] - start), abs(got[1] - end)) > MOVED:
        warnings.warn(
            f"with frequency={frequency!r} pruning runs from {got[0]:.1%} to {got[1]:.1%} of the {unit}, not from "
            f"{start:.1%} to {end:.1%}: take a smaller frequency",
            ScheduleWarning,
            stacklevel=2,
        )
    return plan


def check_sparsity(sparsity: float) -> None:
    """Refuse a sparsity outside [0, 1)."""
    if not 0 <= sparsity < 1:
        raise ValueError(
            f"sparsity must lie in [0, 1): it is the share of weights that is gone in the end, got {sparsity!r}"
        )


def check_window(start: float, end: float, unit: str) -> None:
    """Refuse a window that is not one of shares of a training."""
    if unit not in UNITS:
        raise ValueError(f"unit must be 'compute' or 'steps', got {unit!r}")
    if not 0 <= start < end <= 1:
        raise ValueError(
            f"0 <= start < end <= 1 must hold: both are shares of the training, got start={start!r}, end={end!r}"
        )


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or value != int(value) or value < 1:
        raise ValueError(f"{name} must be a whole number >= 1, got {value!r}")
