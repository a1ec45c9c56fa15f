"""Benchmark scores and model sizes, checked once: fractions between a floor and a ceiling, counted parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["REASONS", "ExtrapolationWarning", "check_bounds", "fractions", "positive", "reasons", "sizes"]

Floats = NDArray[np.float64]

REASONS = {
    "": "the effective size is defined",
    "missing": "no score is given",
    "at or below the floor": "the score tells no more than guessing, so any small size would do",
    "at or above the ceiling": "the reference never reaches the score, whatever its size",
    "tokens alone cost more": "at D0 tokens the reference's token term exceeds the loss that the score asks for",
    "extrapolated": "the effective size lies beyond 10 times the largest reference model",
}
"""What each reason code says of an effective size; all but ``""`` and ``"extrapolated"`` mean NaN."""


class ExtrapolationWarning(UserWarning):
    """Effective sizes lie far beyond the models that the reference was fitted on."""


def check_bounds(floor: float, ceiling: float) -> None:
    """Refuse a floor and a ceiling that leave no room for scores.

    Raises:
        ValueError: unless 0 <= floor < ceiling <= 1.
    """
    if not 0.0 <= floor < ceiling <= 1.0:
        raise ValueError(
            f"floor and ceiling must keep 0 <= floor < ceiling <= 1 (scores are fractions; a floor of 25 % is "
            f"0.25), got floor={floor!r}, ceiling={ceiling!r}"
        )


def fractions(scores: ArrayLike, name: str) -> Floats:
    """Return scores as fractions; NaN stands for a score that is missing.

    Args:
        scores: (n,); each from 0 to 1.
        name: What they are called in messages.

    Returns:
        (n,).

    Raises:
        ValueError: if a score is negative or above 1, which is how percent are recognised.
    """
    values = np.atleast_1d(np.asarray(scores, float))
    above = values > 1.0
    if above.any():
        first = values[above][0]
        # 1 itself may be a fraction or a percentage, so it says nothing about a mixture
        if (values[np.isfinite(values)] < 1.0).any():
            raise ValueError(
                f"{name}: {above.sum()} of {len(values)} scores exceed 1 (the first is {first:g}) while others do "
                "not: percent seem mixed with fractions; divide those by 100"
            )
        raise ValueError(f"{name}: scores are fractions from 0 to 1, got {first:g}; divide percent by 100")
    if (values < 0.0).any():
        raise ValueError(f"{name}: scores must be >= 0, got {values[values < 0][0]:g}")
    return values


def positive(values: ArrayLike, name: str) -> Floats:
    """Return counts as floats.

    Raises:
        ValueError: naming ``name``, the value and its place, if one is not positive and finite.
    """
    out = np.atleast_1d(np.asarray(values, float))
    bad = np.flatnonzero(~(np.isfinite(out) & (out > 0)))
    if len(bad):
        raise ValueError(f"{name}: values must be positive and finite, got {out[bad[0]]:g} at place {bad[0]}")
    return out


def sizes(frame: pd.DataFrame, N: str, N_kind: str | None) -> Floats:
    """Read the column of sizes; a mixture of experts has two of them, so the user says which is meant.

    Args:
        frame: A row per model.
        N: Column of parameters. Where a column of the same name with ``_active`` holds other values, some
            models run only a part of their parameters for a token.
        N_kind: ``"total"``, ``"active"``, or None where the two do not differ.

    Returns:
        (n,); parameters.

    Raises:
        ValueError: if ``N_kind`` is needed and not given, or a size is not positive.
        KeyError: if a column is not there.
    """
    if N_kind not in (None, "total", "active"):
        raise ValueError(f"N_kind must be 'total', 'active' or None, got {N_kind!r}")
    total = positive(column(frame, N), N)
    name = f"{N}_active"
    if N_kind == "active":
        return positive(column(frame, name), name)
    if N_kind is None and name in frame:
        active = positive(frame[name], name)
        differ = np.flatnonzero(active != total)
        if len(differ):
            row = frame.index[differ[0]]
            raise ValueError(
                f"row {row!r} has {total[differ[0]]:g} parameters of which {active[differ[0]]:g} are active: a "
                "mixture of experts has two sizes and two densities; say which with N_kind='total' or 'active'"
            )
    return total


def column(frame: pd.DataFrame, name: str) -> Any:
    """Return a column, or say which columns there are."""
    if name not in frame:
        raise KeyError(f"there is no column {name!r}; columns are {', '.join(map(str, frame.columns))}")
    return frame[name]


def reasons(
    scores: Floats, floor: float, ceiling: float, effective: Floats, largest: float
) -> NDArray[np.object_]:
    """Name for each score why its effective size is undefined or far-fetched.

    Args:
        scores: (n,); fractions, NaN where missing.
        floor: Score of guessing.
        ceiling: Score that the reference approaches.
        effective: (n,); effective sizes, NaN where the reference gives none.
        largest: Parameters of the largest reference model.

    Returns:
        (n,); keys of :data:`REASONS`.
    """
    return np.select(
        [
            np.isnan(scores),
            scores <= floor,
            scores >= ceiling,
            np.isnan(effective),
            effective > 10.0 * largest,
        ],
        [
            "missing",
            "at or below the floor",
            "at or above the ceiling",
            "tokens alone cost more",
            "extrapolated",
        ],
        "",
    ).astype(object)
