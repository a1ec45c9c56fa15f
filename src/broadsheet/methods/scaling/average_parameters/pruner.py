"""Gradual magnitude pruning of any torch module while it is trained."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from broadsheet.methods.scaling.average_parameters.history import average_parameters
from broadsheet.methods.scaling.average_parameters.masks import (
    Prunable,
    attach_masks,
    detach_masks,
    find_prunable,
    global_threshold,
    joined,
    kept_count,
    kth_smallest,
)
from broadsheet.methods.scaling.average_parameters.schedule import (
    PruneSchedule,
    ScheduleWarning,
    Unit,
    check_sparsity,
    check_window,
    prune_schedule,
)

if TYPE_CHECKING:
    import pandas as pd
    from torch.utils.hooks import RemovableHandle

__all__ = ["GradualMagnitudePruner"]

TIED = 0.01  # share of all weights that may stay too many, because they tie, unannounced


class GradualMagnitudePruner:
    """Removes the smallest weights of a model's linear layers, bit by bit, while it is trained.

    At every event of the schedule the weights of all linear layers are ranked together by magnitude and the smallest
    ones are removed for good. Removed weights count nothing in the forward pass and get no gradient; nothing is
    regrown, and the optimiser is left as it is. Embeddings, norms and biases stay whole, and weights that layers
    share count once.

    Args:
        sparsity: Share of the prunable weights that is gone in the end, in [0, 1).
        start: Share of the training before pruning begins, in [0, 1).
        end: Share of the training after which nothing more is removed, in (start, 1].
        frequency: Steps between two events, >= 1.
        unit: What ``start`` and ``end`` are shares of: training compute or steps.
        scope: Whether all weights are ranked together (``global``) or within each tensor (``layer``).
        exclude: Parts of the names of layers that are left alone.
        score: What is ranked: magnitudes, or (``random``, a control) one fixed random number per weight.
        structure: ``"2:4"`` never removes the two largest of four neighbours along the input dimension.
        random_state: Seed of the random scores.

    Raises:
        ValueError: if an argument is out of range, or two exclude each other.

    Source:
        Section 3 of the paper; the authors' code.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
        >>> optimizer = torch.optim.AdamW(model.parameters())
        >>> pruner = GradualMagnitudePruner(sparsity=0.75, frequency=2).attach(model, total_steps=100)
        >>> for t in range(100):
        ...     pruner.step(t)
        ...     model(torch.ones(4, 8)).mean().backward()
        ...     optimizer.step()
        ...     optimizer.zero_grad()
        >>> model = pruner.finalize()
        >>> pruner.dense_parameters, pruner.live_parameters, round(pruner.average_parameters, 1)
        (144, 36, 66.1)
    """

    def __init__(
        self,
        sparsity: float,
        start: float = 0.25,
        end: float = 0.75,
        frequency: int = 100,
        unit: Unit = "compute",
        scope: Literal["global", "layer"] = "global",
        exclude: Sequence[str] = ("embed", "lm_head"),
        score: Literal["magnitude", "random"] = "magnitude",
        structure: Literal["2:4"] | None = None,
        random_state: int = 0,
    ) -> None:
        check_sparsity(sparsity)
        check_window(start, end, unit)
        _among("scope", scope, ("global", "layer"))
        _among("score", score, ("magnitude", "random"))
        _among("structure", structure, (None, "2:4"))
        if isinstance(exclude, str):
            raise ValueError(f"exclude must be a list of names, got {exclude!r}: write [{exclude!r}]")
        if structure == "2:4" and sparsity > 0.5:
            raise ValueError(
                f"structure='2:4' keeps two of every four weights, so sparsity must be <= 0.5, got {sparsity!r}"
            )
        if structure == "2:4" and score == "random":
            raise ValueError("structure='2:4' ranks magnitudes, got score='random': leave one of the two out")
        self.sparsity = sparsity
        self.start = start
        self.end = end
        self.frequency = frequency
        self.unit: Unit = unit
        self.scope = scope
        self.exclude = tuple(exclude)
        self.score = score
        self.structure = structure
        self.random_state = random_state
        self.schedule: PruneSchedule | None = None
        self._model: nn.Module | None = None
        self._prunable: list[Prunable] = []
        self._handles: list[RemovableHandle] = []
        self._segments: list[dict[str, Any]] = []
        self._next = 0
        self._events = 0
        self._counts = (0, 0)  # dense and, after finalize(), live
        self._attached = False

    def attach(self, model: nn.Module, total_steps: int, step: int = 0) -> GradualMagnitudePruner:
        """Put masks on a model and lay out the schedule.

        While masks are on, a layer's weight comes after its bias in ``model.parameters()``: an optimiser whose saved
        state is to be loaded again is made either always before or always after attaching.

        Args:
            model: The model; it is changed in place, and its parameters stay the same objects.
            total_steps: Optimiser steps of the whole training, >= 1.
            step: The first step that will be run: above 0 when a training is resumed. Weights that are exactly 0
                are then taken for removed, as in a state dict saved while the pruner was attached, and the history
                up to that step is the planned one.

        Returns:
            The pruner itself.

        Raises:
            ValueError: if no layer can be pruned, too few weights would be left, a dimension does not fit the
                structure, or the schedule does not fit ``total_steps``.
            RuntimeError: if the pruner has been attached before.
        """
        if self._model is not None:
            raise RuntimeError("this pruner is or was attached to a model: make a new one for each training")
        schedule = prune_schedule(total_steps, self.sparsity, self.start, self.end, self.unit, self.frequency)
        if not 0 <= step < total_steps:
            raise ValueError(f"step must lie in [0, total_steps={total_steps!r}), got {step!r}")
        prunable = find_prunable(model, self.exclude)
        self._check(prunable)
        self._handles = attach_masks(prunable)
        self._model, self._prunable, self.schedule = model, prunable, schedule
        self._counts = (sum(one.weight.numel() for one in prunable), 0)
        self._attached = True
        self._open(0, self.dense_parameters, 1.0, math.nan)
        self._resume(step)
        return self

    def step(self, t: int, tokens: int | None = None) -> None:
        """Remove what is due. Call it before the forward pass of every step.

        Args:
            t: Number of the optimiser step, counted from 0, each step once and in order.
            tokens: Tokens of this step; give them at every step if their number varies, since the mean
                parameter count is one over tokens.

        Raises:
            RuntimeError: if the pruner is not attached.
            ValueError: if a step is left out, repeated or beyond the schedule, or tokens come at some steps only.
        """
        schedule = self._scheduled()
        if t != self._next:
            raise ValueError(
                f"step() takes the steps in order, each once: the next is {self._next}, got t={t!r}"
            )
        if t >= schedule.total_steps:
            raise ValueError(f"t must lie below total_steps={schedule.total_steps}, got {t!r}")
        if tokens is not None and not tokens > 0:
            raise ValueError(f"tokens must be > 0, got {tokens!r}")
        if t > 0 and (tokens is None) != (self._segments[-1]["tokens"] is None):
            raise ValueError(
                f"tokens must be given at every step or at none, got tokens={tokens!r} at t={t!r}"
            )
        if self._events < schedule.n_events and t == schedule.start_step + self._events * schedule.frequency:
            self._prune(t, float(schedule.keep[self._events]))
            self._events += 1
        segment = self._segments[-1]
        segment["steps"] += 1
        if tokens is not None:
            segment["tokens"] = (segment["tokens"] or 0) + int(tokens)
        self._next += 1

    def finalize(self) -> nn.Module:
        """Write zeros where weights were removed, and take the masks off.

        A training that goes on afterwards may move the zeros again.

        Returns:
            The model, with plain layers as before :meth:`attach`.

        Raises:
            RuntimeError: if the pruner is not attached.

        Warns:
            ScheduleWarning: if events of the schedule have not happened yet.
        """
        schedule = self._scheduled()
        if self._events < schedule.n_events:
            warnings.warn(
                f"finalize() came at step {self._next}, after {self._events} of {schedule.n_events} events: "
                f"{self.live_parameters} of {self.dense_parameters} weights are live",
                ScheduleWarning,
                stacklevel=2,
            )
        self._counts = (self.dense_parameters, self.live_parameters)
        detach_masks(self._prunable, self._handles)
        self._attached, self._handles, self._prunable = False, [], []
        assert self._model is not None
        return self._model

    @property
    def dense_parameters(self) -> int:
        """Number of prunable weights, live or not."""
        return self._counts[0]

    @property
    def live_parameters(self) -> int:
        """Number of prunable weights that have not been removed. In memory the tensors stay as large as they were."""
        if not self._attached:
            return self._counts[1]
        return sum(int(one.mask.live.sum()) for one in self._prunable)

    @property
    def average_parameters(self) -> float:
        """Mean number of live prunable weights over the steps run so far: the ``N`` of the law."""
        return average_parameters(self.history)

    @property
    def history(self) -> pd.DataFrame:
        """What happened: one row for each stretch of steps with the same live weights.

        Columns: ``step`` (the first step), ``steps`` (their number), ``tokens`` (missing if they were not given),
        ``live`` (live prunable weights), ``keep`` (the planned share of them) and ``threshold`` (the score that a
        weight had to reach; missing before the first event).
        """
        import pandas as pd

        return pd.DataFrame(
            [s for s in self._segments if s["steps"]],
            columns=["step", "steps", "tokens", "live", "keep", "threshold"],
        ).astype({"tokens": float})

    def _scheduled(self) -> PruneSchedule:
        if self.schedule is None or not self._attached:
            raise RuntimeError(
                "this pruner is not attached to a model: call attach(model, total_steps) first"
            )
        return self.schedule

    def _check(self, prunable: list[Prunable]) -> None:
        size = sum(one.weight.numel() for one in prunable)
        if kept_count(1.0 - self.sparsity, size) < 1:
            raise ValueError(f"sparsity={self.sparsity!r} leaves none of the {size} prunable weights")
        if self.structure is None:
            return
        for one in prunable:
            inputs = one.weight.shape[0 if one.transposed else 1]
            if inputs % 4:
                raise ValueError(
                    f"structure='2:4' needs an input dimension that 4 divides, got {inputs} at {one.name!r}: "
                    f"add that name to exclude"
                )

    def _open(self, step: int, live: int, keep: float, threshold: float) -> None:
        self._segments.append(
            {"step": step, "steps": 0, "tokens": None, "live": live, "keep": keep, "threshold": threshold}
        )

    def _resume(self, step: int) -> None:
        """Take the masks from the zeros of the weights, and the history from the plan."""
        schedule = self._scheduled()
        self._next = step
        past = schedule.steps[schedule.steps < step]
        self._events = len(past)
        for t, keep in zip(past, schedule.keep, strict=False):
            self._segments[-1]["steps"] = int(t) - self._segments[-1]["step"]
            self._open(int(t), kept_count(keep, self.dense_parameters), float(keep), math.nan)
        self._segments[-1]["steps"] = step - self._segments[-1]["step"]
        if self._events:
            for one in self._prunable:
                one.mask.live.copy_(one.weight.detach() != 0)
                one.mask.refresh()
            live = self.live_parameters
            if live < self.dense_parameters:  # otherwise the weights are still to be loaded
                self._segments[-1]["live"] = live

    @torch.no_grad()
    def _prune(self, t: int, keep: float) -> None:
        groups = [self._prunable] if self.scope == "global" else [[one] for one in self._prunable]
        cut = self._cut_fours if self.structure == "2:4" else self._cut
        scores = list(self._scores())
        thresholds = [cut(group, [scores.pop(0) for _ in group], keep) for group in groups]
        for one in self._prunable:
            one.weight.mul_(one.mask.live)
            one.mask.refresh()
        live, planned = self.live_parameters, keep * self.dense_parameters
        if live - planned > TIED * self.dense_parameters:
            warnings.warn(
                f"at step {t} {live} weights stay, not {planned:.0f}: many are equal to the threshold, as in layers "
                "that start at a constant or in half precision",
                ScheduleWarning,
                stacklevel=3,
            )
        self._open(t, live, keep, thresholds[0] if len(thresholds) == 1 else math.nan)

    def _scores(self) -> Iterator[Tensor]:
        """Yield one tensor of scores per weight, 0 where it is gone."""
        random = torch.Generator().manual_seed(self.random_state)
        for one in self._prunable:
            if self.score == "magnitude":
                score = one.weight.abs()
            else:  # drawn anew from the same seed, so that they are fixed and need no memory in between
                drawn = torch.rand(one.weight.shape, generator=random)
                score = (0.1 + 0.9 * drawn).to(one.weight.device)
            yield score.mul_(one.mask.live)

    @staticmethod
    def _cut(group: list[Prunable], scores: list[Tensor], keep: float) -> float:
        threshold = global_threshold(scores, keep)
        for one, score in zip(group, scores, strict=True):
            one.mask.live &= score >= threshold
        return threshold

    @staticmethod
    def _cut_fours(group: list[Prunable], scores: list[Tensor], keep: float) -> float:
        """Rank the two smaller scores of every four; the two larger ones always stay."""
        size = sum(score.numel() for score in scores)
        removed = size - math.ceil(keep * size * (1.0 - 1e-12))
        if removed == 0:
            return 0.0
        fours = [one.fours(score) for one, score in zip(group, scores, strict=True)]
        smaller = [four.sort(dim=1) for four in fours]
        threshold = kth_smallest(joined([s.values[:, :2] for s in smaller], size // 2), removed - 1)
        for one, four, order in zip(group, fours, smaller, strict=True):
            stays = torch.ones_like(four, dtype=torch.bool)
            stays.scatter_(1, order.indices[:, :2], order.values[:, :2] > threshold)
            one.mask.live &= one.from_fours(stays)
        return threshold


def _among(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
