"""Train a proxy model for each mixture, once: finished runs are kept on disk."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import math
import os
import types
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.regmix.mixtures import MixtureWarning, as_mixtures

__all__ = ["ProxyFailed", "ProxyRunner"]

_DIGITS = 10


class ProxyFailed(RuntimeError):
    """A proxy run raised an error; the message names its row. Runs that ended well have been kept."""


class ProxyRunner:
    """Run a training function over mixtures and collect the losses.

    A run is known by the mixture, the function's code with the plain values that it captures, and ``version``: change
    ``version`` whenever anything else that decides the losses changes (data, objects, other functions).

    Args:
        train_fn: Called as ``train_fn(weights)`` with a series of shares by domain; returns losses by name, or
            one number. With ``batch`` it is called with a frame of mixtures and returns a frame of losses with
            one row per mixture, in the same order. It must not depend on the order of calls.
        n_jobs: Runs at once, each in a process of its own (joblib); -1 for all processors.
        cache: Folder in which finished runs are kept, or None to keep nothing.
        version: Anything with a ``str`` that tells versions of the experiment apart.
        batch: Most mixtures per call, for functions that train many models at once, or None.
        on_error: ``raise`` after all other runs have ended, or ``nan`` to go on with missing losses.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> from broadsheet.methods.scaling import sample_mixtures
        >>> runner = ProxyRunner(lambda weights: {"web": 3.0 - weights["web"]})
        >>> runner.run(sample_mixtures({"code": 1, "web": 2}, n=5)).shape
        (5, 1)
    """

    def __init__(
        self,
        train_fn: Callable[..., Any],
        n_jobs: int = 1,
        *,
        cache: str | os.PathLike[str] | None = None,
        version: object = "",
        batch: int | None = None,
        on_error: str = "raise",
    ) -> None:
        if not callable(train_fn):
            raise ValueError(f"train_fn must be callable, got {train_fn!r}")
        if n_jobs == 0:
            raise ValueError("n_jobs must not be 0; take 1 for one run at a time, -1 for all processors")
        if batch is not None and batch < 1:
            raise ValueError(f"batch must be at least 1, got {batch!r}")
        if on_error not in ("raise", "nan"):
            raise ValueError(f"on_error must be raise or nan, got {on_error!r}")
        self.train_fn, self.n_jobs, self.batch, self.on_error = train_fn, n_jobs, batch, on_error
        self.cache = None if cache is None else Path(cache)
        self.version = version

    def run(self, mixtures: Any) -> pd.DataFrame:
        """Train a proxy on every mixture that has not been trained on before.

        Args:
            mixtures: One row per mixture, e.g. from :func:`sample_mixtures`.

        Returns:
            Losses: one row per mixture, with the same index, and one column per name that ``train_fn`` gives. A
            diverged or failed run has missing values, which :meth:`RegMix.fit` drops.

        Raises:
            ValueError: if a mixture is not one, before any training.
            ProxyFailed: if a run raised an error and ``on_error`` is ``raise``.

        Warns:
            MixtureWarning: if runs failed and ``on_error`` is ``nan``.
        """
        shares = as_mixtures(mixtures)
        keys = [self._key(row) for _, row in shares.iterrows()]
        known = {key: found for key in set(keys) if (found := self._load(key)) is not None}
        # The same mixture twice in the table is one run.
        todo = [row for row, key in enumerate(keys) if key not in known and keys.index(key) == row]
        size = self.batch or 1
        groups = [todo[start : start + size] for start in range(0, len(todo), size)]
        errors: dict[int, str] = {}
        for group, (losses, error) in zip(groups, self._train(shares, keys, groups), strict=True):
            errors |= dict.fromkeys(group, error) if error else {}
            known |= {keys[row]: found for row, found in zip(group, losses, strict=True)}
        self._tell(errors, shares)
        table = pd.DataFrame.from_records([known[key] for key in keys], index=shares.index)
        return table.astype(float)

    def _train(
        self, shares: pd.DataFrame, keys: list[str], groups: list[list[int]]
    ) -> list[tuple[list[dict[str, float]], str]]:
        from sklearn.utils.parallel import Parallel, delayed

        jobs = [(shares.iloc[group], [keys[row] for row in group]) for group in groups]
        if self.n_jobs == 1 or len(jobs) < 2:
            return [self._one(rows, names) for rows, names in jobs]
        return list(Parallel(n_jobs=self.n_jobs)(delayed(self._one)(rows, names) for rows, names in jobs))

    def _one(self, rows: pd.DataFrame, keys: list[str]) -> tuple[list[dict[str, float]], str]:
        """Train on some mixtures and keep each result at once, so that an interrupted table goes on."""
        try:
            given = self.train_fn(rows if self.batch else rows.iloc[0])
            losses = _as_rows(given, len(rows)) if self.batch else [_as_losses(given)]
        except Exception as error:  # whatever the user's training raises
            return [{} for _ in keys], f"{type(error).__name__}: {error}"
        for key, found in zip(keys, losses, strict=True):
            self._save(key, found)
        return losses, ""

    def _tell(self, errors: Mapping[int, str], shares: pd.DataFrame) -> None:
        if not errors:
            return
        row, error = next(iter(errors.items()))
        first = shares.index.tolist()[row]
        text = f"{len(errors)} of {len(shares)} proxy runs failed, the first in row {first!r}: {error}"
        if self.on_error == "raise" or len(errors) == len(shares):
            raise ProxyFailed(
                f"{text}. Runs that ended well {'are kept' if self.cache else 'are lost: give cache='}"
            )
        warnings.warn(text, MixtureWarning, stacklevel=3)

    # --- What is kept

    def _key(self, weights: pd.Series) -> str:
        what = [
            _identity(self.train_fn),
            str(self.version),
            sorted((str(name), round(float(share), _DIGITS)) for name, share in weights.items()),
        ]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]

    def _load(self, key: str) -> dict[str, float] | None:
        if self.cache is None:
            return None
        try:
            kept = json.loads((self.cache / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # absent, or broken by a full disk: trained again
            return None
        return {name: math.nan if value is None else float(value) for name, value in kept.items()}

    def _save(self, key: str, losses: Mapping[str, float]) -> None:
        if self.cache is None:
            return
        self.cache.mkdir(parents=True, exist_ok=True)
        half = self.cache / f".{key}.{os.getpid()}"
        finite = {name: value if math.isfinite(value) else None for name, value in losses.items()}
        try:
            half.write_text(json.dumps(finite), encoding="utf-8")
            half.replace(self.cache / f"{key}.json")
        finally:
            half.unlink(missing_ok=True)


def _identity(function: Any) -> Any:
    """Describe a function so that another one differs: its code, defaults and captured plain values."""
    if isinstance(function, functools.partial):
        return ["partial", _identity(function.func), _plain([function.args, function.keywords])]
    inner = getattr(function, "__func__", function)
    if not hasattr(inner, "__code__"):  # an object that is called, or made in C
        inner = getattr(type(function).__call__, "__func__", type(function).__call__)
    where = [getattr(inner, "__module__", ""), getattr(inner, "__qualname__", repr(type(function)))]
    if not hasattr(inner, "__code__"):
        return where
    cells = [_plain(value) for value in inspect.getclosurevars(inner).nonlocals.items()]
    return [*where, _code(inner.__code__), _plain(inner.__defaults__), _plain(inner.__kwdefaults__), cells]


def _code(code: types.CodeType) -> list[Any]:
    constants = [_code(c) if isinstance(c, types.CodeType) else _plain(c) for c in code.co_consts]
    return [code.co_code.hex(), constants, list(code.co_names), list(code.co_freevars)]


def _plain(value: Any) -> str:
    """Return a value's own text where it has one; an object, whose text would hold its address, is its type."""
    if isinstance(value, tuple | list):
        return "[" + ",".join(_plain(part) for part in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_plain(k)}:{_plain(v)}" for k, v in value.items()) + "}"
    if isinstance(value, frozenset | set):
        return "set" + _plain(sorted(map(_plain, value)))
    plain = value is None or isinstance(value, str | bytes | int | float | complex | os.PathLike)
    return repr(value) if plain else str(type(value))


def _as_losses(given: Any) -> dict[str, float]:
    if isinstance(given, Mapping | pd.Series):
        losses = {str(name): float(value) for name, value in given.items()}
    elif np.ndim(given) == 0:
        losses = {"loss": float(given)}
    else:
        raise ValueError(f"train_fn must return losses by name or one number, got {type(given).__name__}")
    if not losses:
        raise ValueError("train_fn must return at least one loss, got none")
    return losses


def _as_rows(given: Any, count: int) -> list[dict[str, float]]:
    frame = pd.DataFrame(given)
    if len(frame) != count:
        raise ValueError(f"train_fn must return one row of losses per mixture ({count}), got {len(frame)}")
    return [_as_losses(row) for _, row in frame.iterrows()]
