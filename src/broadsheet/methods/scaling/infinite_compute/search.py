"""Tuning when data are fixed: walk over a grid of settings until no single step improves the loss."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

import pandas as pd

__all__ = ["DataConstrainedSearch", "SearchWarning", "double_epochs_half_decay"]

Settings = dict[str, float]
Key = tuple[float, ...]


class SearchWarning(UserWarning):
    """The search ended without a certificate, or at the edge of its grid."""


def double_epochs_half_decay(best: Mapping[str, float], *, least_decay: float = 0.1) -> dict[str, float]:
    """Turn the best settings of one model into settings for members of a large ensemble.

    A member may overfit more than a lone model: what members disagree on averages out.

    Args:
        best: Settings with ``epochs`` and ``weight_decay``; others stay as they are.
        least_decay: Decay below which it is not halved further.

    Returns:
        The settings with twice the epochs and half the decay.

    Raises:
        ValueError: if one of the two is missing or out of range.

    Example:
        >>> double_epochs_half_decay({"lr": 3e-3, "epochs": 16, "weight_decay": 1.6})
        {'lr': 0.003, 'epochs': 32, 'weight_decay': 0.8}

    Source:
        Section on tuning members: the limit of many members.
    """
    for name in ("epochs", "weight_decay"):
        value = best.get(name)
        if value is None or not value >= 0 or (name == "epochs" and value == 0):
            raise ValueError(f"best must give {name} as a positive number, got {value!r}")
    decay = best["weight_decay"]
    halved = max(decay / 2, min(decay, least_decay))
    return {**best, "epochs": best["epochs"] * 2, "weight_decay": halved}


class DataConstrainedSearch:
    """Coordinate search over a grid, with a certificate of local optimality.

    From the current point all neighbours one step away along one axis are trained, and the best of them is taken
    if it is better. The search ends where none is: the point is then certified as locally optimal on the grid
    (with three axes that takes six neighbours). No setting is trained twice, in this run or the next.

    Args:
        train_fn: Called with one keyword per axis; returns the validation loss. With ``batched`` it is called
            with a list of dicts and returns a list of losses, so that all neighbours can be trained at once.
        grid: Ascending values of each axis, at least one value per axis.
        start: Point to begin at; the middle of each axis where it is not given.
        batched: Whether ``train_fn`` takes many settings at once.
        max_runs: Largest number of trainings over the search's life, or None.
        cache: Losses by point (values in the order of the axes), kept across searches; changed in place.

    Attributes:
        best_: The best settings.
        best_loss_: Their loss.
        certified_: Whether every neighbour on the grid was trained and none is better.
        edges_: Axes on which the best value is the first or last of several: the optimum may lie beyond.
        history_: One row per training: settings, ``loss``, ``round`` (number of the step, from 0).
        path_: The points that were taken, from the start.
        n_runs_: Number of trainings.

    Raises:
        ValueError: if an axis is empty, not ascending or not finite.

    Example:
        >>> def loss(lr, weight_decay):
        ...     return (lr - 3) ** 2 + (weight_decay - 1.6) ** 2
        >>> search = DataConstrainedSearch(loss, grid={"lr": [1, 3, 10], "weight_decay": [0.1, 0.4, 1.6, 6.4]})
        >>> search.run(start={"lr": 10, "weight_decay": 0.4}), search.certified_
        ({'lr': 3, 'weight_decay': 1.6}, True)

    Source:
        Section on the regularised recipe: locally optimal settings of rate, epochs and decay for each size.
    """

    def __init__(
        self,
        train_fn: Callable[..., Any],
        grid: Mapping[str, Sequence[float]],
        *,
        start: Mapping[str, float] | None = None,
        batched: bool = False,
        max_runs: int | None = None,
        cache: MutableMapping[Key, float] | None = None,
    ) -> None:
        if not grid:
            raise ValueError("grid must name at least one axis, got none")
        for name, values in grid.items():
            listed = list(values)
            ascending = all(a < b for a, b in itertools.pairwise(listed))
            if not listed or not ascending or not all(math.isfinite(v) for v in listed):
                raise ValueError(f"grid[{name!r}] must hold ascending finite values, got {listed!r}")
        if max_runs is not None and max_runs < 1:
            raise ValueError(f"max_runs must be at least 1 or None, got {max_runs!r}")
        self.train_fn = train_fn
        self.grid = {name: list(values) for name, values in grid.items()}
        self.start = start
        self.batched = batched
        self.max_runs = max_runs
        self.cache: MutableMapping[Key, float] = {} if cache is None else cache
        self._rows: list[dict[str, float]] = []

    def run(self, start: Mapping[str, float] | None = None) -> Settings:
        """Search from a point.

        Args:
            start: One value of the grid per axis; that of the constructor where it is not given.

        Returns:
            The best settings found.

        Raises:
            ValueError: if ``start`` is not a point of the grid, or no setting gave a finite loss.

        Warns:
            SearchWarning: if ``max_runs`` ended the search, or the best point lies at an edge of the grid.
        """
        at = self._point(start if start is not None else self.start)
        self.path_: list[Settings] = []
        self.certified_ = False
        self._train([at], 0)
        for step in range(1, 1 + math.prod(len(values) for values in self.grid.values())):
            self.path_.append(self._settings(at))
            around = self._neighbours(at)
            complete = self._train(around, step)
            known = [point for point in around if point in self.cache]
            best = min(known, key=self._loss, default=at)
            if not self._loss(best) < self._loss(at):
                self.certified_ = complete and math.isfinite(self._loss(at))
                break
            at = best
            if not complete:
                break
        return self._finish(at)

    def _finish(self, at: Key) -> Settings:
        if not math.isfinite(self._loss(at)):
            raise ValueError(
                f"every setting around {self._settings(at)} diverged (loss is not a number): start at a lower rate"
            )
        self.best_, self.best_loss_ = self._settings(at), self._loss(at)
        self.n_runs_ = len(self._rows)
        self.history_ = pd.DataFrame(self._rows, columns=[*self.grid, "loss", "round"])
        self.edges_ = tuple(
            name
            for name, value in self.best_.items()
            if len(self.grid[name]) > 1 and value in (self.grid[name][0], self.grid[name][-1])
        )
        if not self.certified_:
            warnings.warn(
                f"max_runs={self.max_runs} ended the search at {self.best_}: not certified as locally optimal",
                SearchWarning,
                stacklevel=3,
            )
        elif self.edges_:
            warnings.warn(
                f"the best of {', '.join(self.edges_)} lies at the edge of its grid, the optimum may lie beyond: "
                f"widen grid around {self.best_}",
                SearchWarning,
                stacklevel=3,
            )
        return dict(self.best_)

    def _point(self, start: Mapping[str, float] | None) -> Key:
        if start is None:
            return tuple(values[len(values) // 2] for values in self.grid.values())
        if set(start) != set(self.grid):
            raise ValueError(
                f"start must name the axes {', '.join(self.grid)}, got {', '.join(start) or 'none'}"
            )
        for name, value in start.items():
            if value not in self.grid[name]:
                raise ValueError(f"start[{name!r}] must be one of {self.grid[name]}, got {value!r}")
        return tuple(start[name] for name in self.grid)

    def _neighbours(self, at: Key) -> list[Key]:
        around = []
        for axis, (value, values) in enumerate(zip(at, self.grid.values(), strict=True)):
            index = values.index(value)
            around += [
                (*at[:axis], values[other], *at[axis + 1 :])
                for other in (index - 1, index + 1)
                if 0 <= other < len(values)
            ]
        return around

    def _train(self, points: Sequence[Key], step: int) -> bool:
        """Train those that are not known yet, within the budget, and tell whether all are known now."""
        new = [point for point in points if point not in self.cache]
        if self.max_runs is not None:
            new = new[: max(0, self.max_runs - len(self._rows))]
        if self.batched and new:
            losses = [float(loss) for loss in self.train_fn([self._settings(point) for point in new])]
            if len(losses) != len(new):
                raise ValueError(f"train_fn must return one loss per setting ({len(new)}), got {len(losses)}")
        else:
            losses = [float(self.train_fn(**self._settings(point))) for point in new]
        for point, loss in zip(new, losses, strict=True):
            self.cache[point] = loss
            self._rows.append({**self._settings(point), "loss": loss, "round": step})
        return all(point in self.cache for point in points)

    def _loss(self, point: Key) -> float:
        """A run that diverged is no better than any other."""
        loss = self.cache[point]
        return loss if math.isfinite(loss) else math.inf

    def _settings(self, point: Key) -> Settings:
        return dict(zip(self.grid, point, strict=True))
