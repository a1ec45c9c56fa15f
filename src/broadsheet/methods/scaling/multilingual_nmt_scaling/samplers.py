"""Samplers that draw examples of several tasks by given weights, for torch's ``DataLoader``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MixtureSampler", "TemperatureSampler"]


class MixtureSampler:
    """Draw indices into the concatenation of datasets: each example's dataset at random by its weight.

    Within a dataset no example comes twice before each has come once. A weight is the probability of an *example*:
    where one language's sentences are longer, its share of tokens is larger (:meth:`token_shares`).

    Args:
        datasets: Datasets with a length, or their lengths; index them as ``torch.utils.data.ConcatDataset(datasets)``.
        weights: Probability of each dataset, in [0, 1], of sum 1.
        seed: Seed of all draws.
        num_samples: Indices per epoch; the number of examples of all datasets by default.

    Raises:
        ValueError: if a weight is out of range, weights do not sum to 1, or a dataset with a weight is empty.

    Source:
        Section 2: every example comes from task i with probability p_i.

    Example:
        >>> sampler = MixtureSampler([100, 300], [0.5, 0.5], seed=0, num_samples=1000)
        >>> drawn = list(sampler)
        >>> len(drawn), 450 < sum(i < 100 for i in drawn) < 550
        (1000, True)
    """

    def __init__(
        self,
        datasets: Sequence[Sized | int],
        weights: Sequence[float],
        seed: int = 0,
        num_samples: int | None = None,
    ) -> None:
        sizes = [int(d) if isinstance(d, int | np.integer) else len(d) for d in datasets]
        if not sizes:
            raise ValueError("datasets must hold at least one dataset, got none")
        given = np.asarray(weights, float)
        if given.shape != (len(sizes),):
            raise ValueError(
                f"weights must hold one number for each of the {len(sizes)} datasets, got {weights!r}"
            )
        for number, (weight, size) in enumerate(zip(given, sizes, strict=True)):
            if not 0.0 <= weight <= 1.0:
                raise ValueError(f"weights must be in [0, 1], got {float(weight)!r} for dataset {number}")
            if size < 0 or (weight > 0 and size == 0):
                raise ValueError(
                    f"datasets: number {number} has weight {weight:g} and {size} examples to draw from"
                )
        if abs(given.sum() - 1.0) > 1e-6:
            raise ValueError(f"weights must sum to 1, their sum is {given.sum():g}: divide each by it")
        if num_samples is not None and (isinstance(num_samples, bool) or num_samples < 1):
            raise ValueError(f"num_samples must be at least 1, got {num_samples!r}")
        self.sizes, self.weights, self.seed = sizes, given / given.sum(), seed
        self.num_samples = int(num_samples) if num_samples is not None else sum(sizes)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw differently in each epoch: call it before the epoch begins, as with ``DistributedSampler``.

        Args:
            epoch: Number of the epoch, >= 0.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        starts = np.concatenate([[0], np.cumsum(self.sizes)])
        waiting: list[Iterator[int]] = [iter(()) for _ in self.sizes]
        for task in rng.choice(len(self.sizes), self.num_samples, p=self.weights):
            index = next(waiting[task], None)
            if index is None:
                waiting[task] = iter(rng.permutation(self.sizes[task]).tolist())
                index = next(waiting[task])
            yield int(starts[task] + index)

    def token_shares(self, mean_lengths: Sequence[float]) -> NDArray[np.float64]:
        """Return each task's expected share of tokens.

        Args:
            mean_lengths: Mean tokens of an example of each task, > 0.

        Returns:
            Shares, one per task, of sum 1.

        Raises:
            ValueError: if there is not one positive length per task.

        Example:
            >>> MixtureSampler([10, 10], [0.5, 0.5]).token_shares([10, 30]).tolist()
            [0.25, 0.75]
        """
        lengths = np.asarray(mean_lengths, float)
        if lengths.shape != self.weights.shape or not (lengths > 0).all():
            raise ValueError(
                f"mean_lengths must hold a number > 0 for each of the {len(self.sizes)} tasks, got {mean_lengths!r}"
            )
        tokens = self.weights * lengths
        return np.asarray(tokens / tokens.sum())


class TemperatureSampler(MixtureSampler):
    """Draw with weights proportional to ``size ** (1 / T)``.

    T = 1 follows the sizes; the larger T, the more even the tasks.

    Args:
        sizes: Number of examples of each dataset, at least 1, or the datasets themselves.
        T: Temperature, at least 1 (``inf``: all tasks alike).
        seed: Seed of all draws.
        num_samples: Indices per epoch; the number of examples of all datasets by default.

    Raises:
        ValueError: if T is below 1 or a dataset is empty.

    Source:
        The customary heuristic that the paper's law replaces: Arivazhagan et al. 2019 (arXiv:1907.05019).

    Example:
        >>> TemperatureSampler([100, 10_000], T=2).weights.round(4).tolist()
        [0.0909, 0.9091]
    """

    def __init__(
        self, sizes: Sequence[Any], T: float = 5.0, seed: int = 0, num_samples: int | None = None
    ) -> None:
        if not T >= 1:
            raise ValueError(f"T must be >= 1 (1 follows the sizes, inf makes tasks even), got {T!r}")
        counts = [int(s) if isinstance(s, int | np.integer) else len(s) for s in sizes]
        for number, count in enumerate(counts):
            if count < 1:
                raise ValueError(f"sizes must be at least 1, got {count} for dataset {number}")
        weights = np.exp((np.log(counts) - np.log(max(counts, default=1))) / T)
        super().__init__(counts, list(weights / weights.sum()), seed, num_samples)
        self.T = T
