"""Tables of mixtures: what counts as one, and how to draw those that proxy models are trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from broadsheet.methods.scaling.identification import ScalingWarning
from broadsheet.methods.scaling.regmix.simplex import draw_dirichlet

__all__ = ["MixtureWarning", "as_mixtures", "as_prior", "sample_mixtures"]

SUM_TOLERANCE = 0.01
"""How far a row may be from summing to 1: shares rounded to three digits are off by up to half a hundredth."""
STRENGTHS = 15
_ROUNDS = 20  # times 100 n candidates before giving up


class MixtureWarning(ScalingWarning):
    """Something about mixtures or losses makes a fit or an optimum less trustworthy than it looks."""


def as_mixtures(mixtures: Any, domains: Sequence[str] | None = None) -> pd.DataFrame:
    """Check a table of mixtures and normalise its rows.

    Args:
        mixtures: One row per mixture, one column of shares per domain: a frame, or anything that becomes a
            two-dimensional array. Rows may miss 1 by rounding (0.01).
        domains: Names that the columns must have, in any order, or None to take those that are there. An array
            is taken in this order.

    Returns:
        A frame of floats whose rows sum to 1, with the columns in the order of ``domains``.

    Raises:
        ValueError: if a share is negative or not finite, a row does not sum to 1, or columns are missing,
            unknown or not numbers. The message names row and column.

    Example:
        >>> as_mixtures(pd.DataFrame({"code": [0.333], "web": [0.666]})).round(3).to_dict("list")
        {'code': [0.333], 'web': [0.667]}
    """
    frame = _frame(mixtures, domains)
    if not len(frame) or frame.shape[1] < 2:
        raise ValueError(
            f"mixtures must have at least one row and two domains, got {frame.shape[0]} x {frame.shape[1]}"
        )
    try:
        values = frame.to_numpy(float)
    except (TypeError, ValueError):
        column = next(c for c in frame.columns if not pd.api.types.is_numeric_dtype(frame[c]))
        raise ValueError(f"mixtures must hold numbers, column {column!r} does not") from None
    _refuse(~np.isfinite(values), frame, "shares must be finite numbers")
    _refuse(values < 0, frame, "shares must not be negative")
    sums = values.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1.0) > SUM_TOLERANCE)
    if len(wrong):
        row = int(wrong[0])
        hint = " (in per cent? divide by 100)" if abs(sums[row] - 100.0) <= 100 * SUM_TOLERANCE else ""
        hint = hint or (" (set the column 'index' as the frame's index)" if "index" in frame.columns else "")
        raise ValueError(
            f"each mixture must sum to 1 within {SUM_TOLERANCE:g}, row {frame.index.tolist()[row]!r} sums to "
            f"{sums[row]:.6g}{hint}"
        )
    return pd.DataFrame(values / sums[:, None], index=frame.index, columns=frame.columns)


def _frame(mixtures: Any, domains: Sequence[str] | None) -> pd.DataFrame:
    if not isinstance(mixtures, pd.DataFrame):
        values = np.asarray(mixtures)
        if values.ndim != 2:
            raise ValueError(f"mixtures must be a table of two dimensions, got shape {values.shape}")
        names = list(domains) if domains is not None else [f"domain{i}" for i in range(values.shape[1])]
        if len(names) != values.shape[1]:
            raise ValueError(f"mixtures must have {len(names)} columns, got {values.shape[1]}")
        return pd.DataFrame(values, columns=names)
    twice = mixtures.columns[mixtures.columns.duplicated()]
    if len(twice):
        raise ValueError(f"mixtures has the column {twice[0]!r} more than once")
    if domains is None:
        return mixtures
    lacking = [name for name in domains if name not in mixtures.columns]
    unknown = [name for name in mixtures.columns if name not in set(domains)]
    if lacking or unknown:
        what = f"no column {lacking[0]!r}" if lacking else f"an unknown column {unknown[0]!r}"
        raise ValueError(f"mixtures has {what}; it must have the domains {', '.join(map(str, domains))}")
    return mixtures[list(domains)]


def _refuse(wrong: np.ndarray, frame: pd.DataFrame, what: str) -> None:
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"{what}, got {float(frame.to_numpy(float)[row, column]):g} in row {frame.index.tolist()[row]!r}, "
            f"column {frame.columns[column]!r}"
        )


def as_prior(
    prior: Mapping[str, float] | pd.Series | ArrayLike, domains: Sequence[str] | None = None
) -> pd.Series:
    """Return shares by domain from token counts or shares.

    Args:
        prior: Tokens that there are of each domain, in any unit, all > 0; by name, or in the order of
            ``domains``.
        domains: Names that it must have, or None.

    Returns:
        Shares that sum to 1.

    Raises:
        ValueError: if a number is not above 0 or a domain is missing or unknown.

    Example:
        >>> as_prior({"code": 30e9, "web": 90e9}).to_dict()
        {'code': 0.25, 'web': 0.75}
    """
    if isinstance(prior, pd.Series | Mapping):
        shares = pd.Series(prior, dtype=float)
    else:
        values = np.asarray(prior, dtype=float)
        if values.ndim != 1:
            raise ValueError(f"prior must be one number per domain, got shape {values.shape}")
        named = domains is not None and len(domains) == len(values)
        names = list(domains or ()) if named else [f"domain{i}" for i in range(len(values))]
        shares = pd.Series(values, index=names)
    if shares.index.has_duplicates:
        raise ValueError(f"prior names {shares.index[shares.index.duplicated()][0]!r} more than once")
    if domains is not None:
        if set(shares.index) != set(domains):
            raise ValueError(
                f"prior must have the domains {', '.join(map(str, domains))}, got {', '.join(map(str, shares.index))}"
            )
        shares = shares[list(domains)]
    if len(shares) < 2:
        raise ValueError(f"prior must have at least two domains, got {len(shares)}")
    wrong = shares[~(np.isfinite(shares) & (shares > 0))]
    if len(wrong):
        raise ValueError(
            f"prior must be above 0 for every domain, got {wrong.iloc[0]:g} for {wrong.index[0]!r}; leave out a "
            "domain that has no data"
        )
    return shares / shares.sum()


def sample_mixtures(
    prior: Mapping[str, float] | pd.Series | ArrayLike,
    n: int,
    temperature: float = 0.5,
    strengths: tuple[float, float] = (0.1, 5.0),
    max_epochs: float = 15.0,
    minimum: float = 2e-4,
    seed: int | np.random.Generator = 42,
) -> pd.DataFrame:
    """Draw the mixtures that proxy models are to be trained on.

    Each is drawn from a Dirichlet around the flattened prior, of a strength that is itself drawn: weak ones give
    mixtures of one or two domains, strong ones give mixtures near the prior. Mixtures that would read a domain
    more often than allowed are refused, traces are set to 0, and no mixture comes twice.

    Args:
        prior: Tokens that there are of each domain, in any unit, by name or in order.
        n: Number of mixtures, >= 1.
        temperature: Power that flattens the prior, > 0: 1 leaves it, towards 0 it becomes uniform.
        strengths: Smallest and largest total concentration, > 0; one of 15 between them, evenly spaced in
            logarithm, is drawn for each mixture.
        max_epochs: Largest share of a domain as a multiple of its share of the prior, >= 1. It is the number of
            times its data are read if training reads as many tokens as there are; with a budget of T tokens and
            A tokens in all, E epochs are ``max_epochs = E * A / T``.
        minimum: Shares below it are set to 0, and shares are rounded to its multiples before they are
            normalised again; 0 for neither.
        seed: Seed, or a generator.

    Returns:
        One row per mixture and one column per domain; rows sum to 1 and respect ``max_epochs``.

    Raises:
        ValueError: if an argument is out of range, or so few candidates are within the bounds that n distinct
            ones were not found.

    Source:
        Section 3.1 of the paper; the numbers are those of the authors' ``synthesize_mixture.py``.

    Example:
        >>> mixtures = sample_mixtures({"code": 100, "web": 700, "law": 200}, n=64)
        >>> mixtures.shape, bool(np.allclose(mixtures.sum(axis=1), 1.0))
        ((64, 3), True)
    """
    shares = as_prior(prior)
    _check_sampling(n, temperature, strengths, max_epochs, minimum)
    rng = np.random.default_rng(seed)
    upper = np.minimum(max_epochs * shares.to_numpy(), 1.0)
    flat = shares.to_numpy() ** temperature
    flat /= flat.sum()
    ladder = np.geomspace(*strengths, STRENGTHS)
    found, tried, inside = np.empty((0, len(shares))), 0, 0
    for _ in range(_ROUNDS):
        count = 100 * max(n, 10)
        points = draw_dirichlet(flat * rng.choice(ladder, count)[:, None], rng)
        kept = within_bounds(points, upper, minimum)
        tried, inside = tried + count, inside + len(kept)
        found = distinct(np.concatenate([found, kept]), minimum)
        if len(found) >= n:
            break
    else:
        raise ValueError(
            f"n={n} distinct mixtures were not found: of {tried} candidates {inside} respect "
            f"max_epochs={max_epochs:g} and {len(found)} of them differ; raise max_epochs or strengths, or lower "
            "minimum or n"
        )
    chosen = rng.choice(len(found), n, replace=False)
    index = pd.RangeIndex(n, name="mixture")
    return pd.DataFrame(found[chosen], index=index, columns=shares.index.rename("domain"))


def _check_sampling(
    n: int, temperature: float, strengths: tuple[float, float], max_epochs: float, minimum: float
) -> None:
    if not (isinstance(n, int | np.integer) and n >= 1):
        raise ValueError(f"n must be a whole number of at least 1, got {n!r}")
    if not (np.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature must be above 0, got {temperature!r}")
    if len(strengths) != 2 or not 0 < strengths[0] <= strengths[1] < np.inf:
        raise ValueError(f"strengths must be two numbers with 0 < smallest <= largest, got {strengths!r}")
    if not max_epochs >= 1:
        raise ValueError(
            f"max_epochs must be at least 1 (the prior itself reads every domain once), got {max_epochs!r}"
        )
    if not 0 <= minimum < 0.5:
        raise ValueError(f"minimum must be from 0 to below 0.5, got {minimum!r}")


def within_bounds(points: np.ndarray, upper: np.ndarray, minimum: float) -> np.ndarray:
    """Keep the candidates that respect the largest shares, before and after their traces are dropped."""
    rows = points[(points <= upper).all(axis=1)]
    if minimum > 0:
        rows = np.where(rows < minimum, 0.0, rows)
        sums = rows.sum(axis=1, keepdims=True)
        rows = np.round(rows[sums[:, 0] > 0] / sums[sums[:, 0] > 0] / minimum) * minimum
        rows = rows[rows.sum(axis=1) > 0]
        rows /= rows.sum(axis=1, keepdims=True)
        rows = rows[(rows <= upper + 1e-12).all(axis=1)]
    return rows


def distinct(rows: np.ndarray, minimum: float) -> np.ndarray:
    """Return each mixture once, sorted; two are the same if they agree on a grid of 1e-6 or half the minimum."""
    if not len(rows):
        return rows
    grid = max(minimum / 2, 1e-6)
    first = np.unique(np.round(rows / grid).astype(np.int64), axis=0, return_index=True)[1]
    unique: np.ndarray = rows[first]
    return unique
