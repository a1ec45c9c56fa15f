"""The mean parameter count of a training, from its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["average_parameters"]


def average_parameters(history: pd.DataFrame) -> float:
    """Return the mean number of live parameters over a training, weighted by tokens.

    Six times this mean times the number of tokens is the training compute in FLOPs, exactly.

    Args:
        history: One row per step or per stretch of steps, with columns ``live`` (live parameters, > 0) and
            ``tokens`` (tokens trained on, > 0) or, where the batch size is constant, ``steps`` (number of steps).
            Tokens are used where no row lacks them; rows with neither column count one step each.

    Returns:
        The mean, in parameters.

    Raises:
        ValueError: if the history is empty, lacks ``live``, has tokens in some rows only, or holds a number that is
            not finite and > 0.

    Source:
        Section 4 of the paper: the mean parameter count.

    Example:
        >>> import pandas as pd
        >>> average_parameters(pd.DataFrame({"live": [100, 50], "steps": [1, 3]}))
        62.5
    """
    if "live" not in history.columns:
        raise ValueError(f"history needs a column 'live', got {list(history.columns)}")
    if not len(history):
        raise ValueError("history is empty: no step has been run")
    live = _positive(history, "live")
    return float(np.average(live, weights=_weights(history)))


def _weights(history: pd.DataFrame) -> np.ndarray:
    if "tokens" in history.columns and history["tokens"].notna().any():
        missing = history.index[history["tokens"].isna()]
        if len(missing):
            raise ValueError(
                f"column 'tokens' is empty in row {missing[0]} but not in all: fill it, or drop it"
            )
        return _positive(history, "tokens")
    return _positive(history, "steps") if "steps" in history.columns else np.ones(len(history))


def _positive(history: pd.DataFrame, column: str) -> np.ndarray:
    values = history[column].to_numpy(dtype=float)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(wrong):
        value, row = float(values[wrong[0]]), history.index[wrong[0]]
        raise ValueError(f"column {column!r} must be finite and > 0, got {value!r} in row {row}")
    return values
