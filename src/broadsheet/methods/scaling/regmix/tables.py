"""The table of proxy runs: mixtures joined to losses, without the runs that diverged."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.regmix.mixtures import MixtureWarning, as_mixtures

__all__ = ["as_losses", "clean_runs", "target_weights"]


def as_losses(losses: Any, targets: Sequence[str] | None = None) -> pd.DataFrame:
    """Return losses as a frame of floats with one column per target.

    Args:
        losses: A frame, a series, or an array of one or two dimensions.
        targets: Columns that it must have (an array is taken in this order), or None.

    Returns:
        The frame, with the columns in the order of ``targets``.

    Raises:
        ValueError: if there is no column, a column is missing, comes twice or is not a number.
    """
    if isinstance(losses, pd.Series):
        name = losses.name if losses.name is not None else (targets[0] if targets else "loss")
        frame = losses.to_frame(name)
    elif isinstance(losses, pd.DataFrame):
        frame = losses
    else:
        values = np.asarray(losses)
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2:
            raise ValueError(f"losses must have one or two dimensions, got shape {values.shape}")
        names = list(targets) if targets is not None else [f"loss{i}" for i in range(values.shape[1])]
        if targets is None and values.shape[1] == 1:
            names = ["loss"]
        if len(names) != values.shape[1]:
            raise ValueError(f"losses must have {len(names)} columns, got {values.shape[1]}")
        frame = pd.DataFrame(values, columns=names)
    if not frame.shape[1]:
        raise ValueError("losses must have at least one column, got none")
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(f"losses has the column {twice[0]!r} more than once")
    if targets is not None:
        lacking = [name for name in targets if name not in frame.columns]
        if lacking:
            raise ValueError(
                f"losses has no column {lacking[0]!r}; fitted are {', '.join(map(str, targets))}"
            )
        frame = frame[list(targets)]
    for column in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            raise ValueError(f"losses must hold numbers, column {column!r} does not")
    if "index" in frame.columns:
        raise ValueError("losses has a column 'index', which is no loss: set it as the frame's index")
    return frame.astype(float)


def clean_runs(mixtures: Any, losses: Any, *, quiet: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join mixtures and losses run by run and drop the runs without finite losses.

    Args:
        mixtures: See :func:`as_mixtures`.
        losses: See :func:`as_losses`. Two frames are joined by their index, in any order.
        quiet: Do not warn of what makes a fit weak; dropped runs are told of in any case.

    Returns:
        Mixtures and losses with the same rows.

    Raises:
        ValueError: if either is malformed, they do not have the same runs, or no run is left.
    """
    shares, table = as_mixtures(mixtures), as_losses(losses)
    if len(shares) != len(table):
        raise ValueError(
            f"mixtures and losses must have one row per run, got {len(shares)} and {len(table)} rows"
        )
    if isinstance(mixtures, pd.DataFrame) and isinstance(losses, pd.DataFrame | pd.Series):
        table = _joined(shares, table)
    else:
        table = table.set_axis(shares.index)
    finite = np.isfinite(table.to_numpy()).all(axis=1)
    if not finite.any():
        raise ValueError("no run has finite losses in all columns: nothing can be fitted")
    if not finite.all():
        lost = table.index[~finite].tolist()
        warnings.warn(
            f"{len(lost)} of {len(table)} runs are left out because a loss is not finite (row "
            f"{', '.join(map(repr, lost[:5]))}{', …' if len(lost) > 5 else ''})",
            MixtureWarning,
            stacklevel=3,
        )
        shares, table = shares[finite], table[finite]
    if not quiet:
        _warn_of_weakness(shares)
    return shares, table


def _joined(shares: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    if shares.index.equals(table.index):
        return table
    for name, index in (("mixtures", shares.index), ("losses", table.index)):
        if index.has_duplicates:
            raise ValueError(
                f"mixtures and losses are joined by their index, and that of {name} holds "
                f"{index[index.duplicated()].tolist()[0]!r} more than once"
            )
    lacking = shares.index.difference(table.index)
    if len(lacking):
        raise ValueError(
            f"mixtures and losses must have the same index, and losses has no row {lacking.tolist()[0]!r} "
            f"({len(lacking)} missing in all); reset both if their order is the same"
        )
    return table.loc[shares.index]


def _warn_of_weakness(shares: pd.DataFrame) -> None:
    spread = shares.to_numpy().max(axis=0) - shares.to_numpy().min(axis=0)
    flat = shares.columns[spread <= 1e-9]
    if len(flat):
        warnings.warn(
            f"domain {', '.join(map(repr, flat))} has the same share in all runs: they tell nothing about it",
            MixtureWarning,
            stacklevel=4,
        )
    if len(shares) < 2 * shares.shape[1]:
        warnings.warn(
            f"{len(shares)} runs are few for {shares.shape[1]} domains: train at least {2 * shares.shape[1]}, "
            "better ten times as many",
            MixtureWarning,
            stacklevel=4,
        )


def target_weights(target: str | Mapping[str, float] | None, columns: Sequence[str]) -> pd.Series:
    """Return the objective's weight of each column of losses.

    Args:
        target: A column, weights by column, or None for the mean of all.
        columns: The columns.

    Returns:
        One weight per column, as given.

    Raises:
        ValueError: if a column is unknown or no weight differs from 0.
    """
    if target is None:
        return pd.Series(1.0 / len(columns), index=list(columns))
    given = target if isinstance(target, Mapping) else {target: 1.0}
    for name, weight in given.items():
        if name not in columns:
            raise ValueError(
                f"target {name!r} is no column of losses; columns are {', '.join(map(str, columns))}"
            )
        if not np.isfinite(weight):
            raise ValueError(f"target weights must be finite, got {weight!r} for {name!r}")
    weights = pd.Series({name: float(given.get(name, 0.0)) for name in columns})
    if not weights.any():
        raise ValueError("target must give a weight other than 0 to at least one column of losses")
    return weights
