"""Read several datasets as one stream in which each has its share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.regmix.mixtures import as_mixtures

__all__ = ["Interleaved", "interleave"]

STOPS = ("first_exhausted", "all_exhausted", "never")
_BLOCK = 4096  # choices drawn at a time


def interleave(
    datasets: Mapping[str, Any] | Sequence[Any],
    weights: Mapping[str, float] | pd.Series | Sequence[float],
    seed: int = 0,
    stop: str = "first_exhausted",
) -> Any:
    """Mix datasets by weights: each example comes from a dataset drawn by its share.

    Datasets of Hugging Face's ``datasets`` are handed to ``datasets.interleave_datasets``, so that the result
    has its methods (``map``, ``with_format``, …). Anything else that can be read from its beginning again gives
    an :class:`Interleaved`, which is a torch ``IterableDataset`` if one of the inputs is a torch dataset.

    Args:
        datasets: By domain, or in the order of ``weights``.
        weights: Shares, which may miss 1 by rounding (0.01), e.g. from :meth:`RegMix.optimize`. A domain of share
            0 is left out.
        seed: Seed of the draws.
        stop: ``first_exhausted``: end when the first dataset ends, so that nothing is read twice;
            ``all_exhausted``: begin a dataset again when it ends, until each has ended once; ``never``.

    Returns:
        An iterable of examples, the same at each reading.

    Raises:
        ValueError: if names or numbers of datasets and weights differ, or ``stop`` is unknown. ``never`` is not
            offered for Hugging Face datasets: repeat them first.
        TypeError: if a dataset can be read only once.

    Example:
        >>> mixed = interleave({"code": "cccc", "web": "wwww"}, {"code": 0.5, "web": 0.5}, stop="all_exhausted")
        >>> set(mixed) == {"c", "w"}, list(mixed) == list(mixed)
        (True, True)
    """
    if stop not in STOPS:
        raise ValueError(f"stop must be {', '.join(STOPS)}, got {stop!r}")
    names, parts = _named(datasets)
    if isinstance(weights, Mapping | pd.Series):
        given = pd.DataFrame([pd.Series(weights, dtype=float)])
        shares = as_mixtures(given, names if isinstance(datasets, Mapping) else None).iloc[0].to_numpy()
    else:
        shares = as_mixtures(np.asarray([list(weights)], float), names).iloc[0].to_numpy()
    if len(shares) != len(parts):
        raise ValueError(f"give one weight per dataset, got {len(shares)} weights and {len(parts)} datasets")
    used = [(part, share) for part, share in zip(parts, shares, strict=True) if share > 0]
    parts, shares = [part for part, _ in used], np.array([share for _, share in used])
    if all(type(part).__module__.split(".")[0] == "datasets" for part in parts):
        return _hugging_face(parts, shares, seed, stop)
    for part in parts:
        if isinstance(part, Iterator):
            raise TypeError(
                f"a dataset must be readable from its beginning again, {part!r} is not: pass a list or a class"
            )
    torch_data = getattr(sys.modules.get("torch"), "utils", None)
    torch_data = getattr(torch_data, "data", None)
    if torch_data is not None and any(isinstance(part, torch_data.Dataset) for part in parts):
        return type("InterleavedDataset", (Interleaved, torch_data.IterableDataset), {})(
            parts, shares, seed, stop
        )
    return Interleaved(parts, shares, seed, stop)


def _named(datasets: Mapping[str, Any] | Sequence[Any]) -> tuple[list[str], list[Any]]:
    if isinstance(datasets, Mapping):
        names, parts = list(datasets), list(datasets.values())
    else:
        parts = list(datasets)
        names = [f"domain{i}" for i in range(len(parts))]
    if len(parts) < 2:
        raise ValueError(f"datasets must be at least two, got {len(parts)}")
    return names, parts


def _hugging_face(parts: list[Any], shares: np.ndarray, seed: int, stop: str) -> Any:
    if stop == "never":
        raise ValueError("stop='never' is not offered for Hugging Face datasets: call repeat() on them first")
    if len(parts) == 1:
        return parts[0]
    import importlib

    mix = importlib.import_module("datasets").interleave_datasets
    return mix(parts, probabilities=shares.tolist(), seed=seed, stopping_strategy=stop)


class Interleaved:
    """Several datasets as one iterable; made by :func:`interleave`.

    In a worker of a torch ``DataLoader`` each dataset is read with a stride, so that workers share its examples,
    and draws of their own.

    Args:
        parts: Datasets: iterables, or sequences with a length and an index.
        shares: Their shares, > 0, summing to 1.
        seed: Seed of the draws.
        stop: When to end; see :func:`interleave`.
    """

    def __init__(self, parts: Sequence[Any], shares: np.ndarray, seed: int, stop: str) -> None:
        self.parts, self.shares, self.seed, self.stop = list(parts), shares, seed, stop

    def __iter__(self) -> Iterator[Any]:
        worker, workers = _worker()
        rng = np.random.default_rng([self.seed, worker])
        readers = [_read(part, worker, workers) for part in self.parts]
        ended, fresh = [False] * len(readers), [True] * len(readers)
        while True:
            for chosen in rng.choice(len(readers), _BLOCK, p=self.shares):
                try:
                    example = next(readers[chosen])
                except StopIteration:
                    if fresh[chosen]:
                        if self.stop == "first_exhausted":
                            return
                        raise ValueError(
                            f"dataset {chosen} is empty for worker {worker} of {workers}"
                        ) from None
                    ended[chosen] = True
                    if self.stop == "first_exhausted" or (self.stop == "all_exhausted" and all(ended)):
                        return
                    readers[chosen] = _read(self.parts[chosen], worker, workers)
                    example = next(readers[chosen])
                fresh[chosen] = False
                yield example


def _worker() -> tuple[int, int]:
    torch = sys.modules.get("torch")
    data = getattr(getattr(torch, "utils", None), "data", None)
    info = data.get_worker_info() if data is not None else None
    return (0, 1) if info is None else (int(info.id), int(info.num_workers))


def _read(part: Any, worker: int, workers: int) -> Iterator[Any]:
    if not isinstance(part, Iterable):  # a torch dataset with an index: its end is its length
        return (part[i] for i in range(worker, len(part), workers))
    return islice(iter(part), worker, None, workers)
