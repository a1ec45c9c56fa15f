"""What was observed of each row: an event, a censored time, an interval; entry and weight. Checked once."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from broadsheet.methods.statistics.flexible_survival.hazard import Floats

__all__ = ["FitWarning", "Observations", "event_and_time"]


class FitWarning(UserWarning):
    """A fit that finished, but whose numbers must not be read without the warning's sentence."""


@dataclass(frozen=True)
class Observations:
    """The outcome of every row, checked.

    Attributes:
        lower: (n,); the time of the event or of censoring, or the last time known to be event-free.
        upper: (n,); equal to ``lower`` for an event seen exactly, ``inf`` for right censoring, else the
            first time at which the event was known to have happened.
        entry: (n,); when the row came under observation, 0 for all where nothing was given.
        weights: (n,); how many subjects the row stands for.
        name: What the time is called in messages and on axes.
    """

    lower: Floats
    upper: Floats
    entry: Floats
    weights: Floats
    name: str = "time"

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.lower)

    @property
    def exact(self) -> Any:
        """Mask of the rows whose event was seen."""
        return self.lower == self.upper

    @property
    def interval(self) -> Any:
        """Mask of the rows whose event lies between two times."""
        return np.isfinite(self.upper) & ~self.exact

    @property
    def happened(self) -> Any:
        """Mask of the rows with an event, seen exactly or not."""
        return np.isfinite(self.upper)

    @property
    def events(self) -> float:
        """Weighted number of events."""
        return float(self.weights[self.happened].sum())

    @property
    def middle(self) -> Floats:
        """(n,); one time per row: the event, the censoring, or the middle of the interval."""
        last = np.where(self.interval, self.upper, self.lower)
        return 0.5 * (self.lower + last)

    def take(self, rows: Any) -> Observations:
        """Return the observations of some rows.

        Args:
            rows: An index array, slice or mask.

        Returns:
            Those rows.
        """
        return Observations(
            self.lower[rows], self.upper[rows], self.entry[rows], self.weights[rows], self.name
        )

    @classmethod
    def of_frame(
        cls,
        frame: pd.DataFrame,
        duration_col: Hashable | None = None,
        event_col: Hashable | None = None,
        *,
        entry_col: Hashable | None = None,
        weights_col: Hashable | None = None,
        lower_bound_col: Hashable | None = None,
        upper_bound_col: Hashable | None = None,
    ) -> Observations:
        """Read the outcome columns of a table.

        Args:
            frame: The table.
            duration_col: Column of times, > 0.
            event_col: Column of 0 (censored) and 1 (event); every row an event where it is None.
            entry_col: Column of entry times, >= 0 and before the duration.
            weights_col: Column of weights, >= 0: how many subjects a row stands for.
            lower_bound_col: With ``upper_bound_col`` instead of ``duration_col``: last time known free of
                the event.
            upper_bound_col: First time known to be after the event; ``inf`` for right censoring, equal to
                the lower bound for an event seen exactly.

        Returns:
            The observations, row by row.

        Raises:
            ValueError: naming column, row and value of what is wrong.
        """
        bounds = (lower_bound_col, upper_bound_col)
        if (duration_col is None) == (lower_bound_col is None) or (None in bounds and any(bounds)):
            raise ValueError(
                "give duration_col=, or both lower_bound_col= and upper_bound_col= for interval censoring, "
                f"got duration_col={duration_col!r}, lower_bound_col={lower_bound_col!r}, "
                f"upper_bound_col={upper_bound_col!r}"
            )
        if not len(frame):
            raise ValueError("the table must hold at least one row, got none")
        entry = numbers(frame, entry_col, "entry_col") if entry_col is not None else np.zeros(len(frame))
        weights = (
            numbers(frame, weights_col, "weights_col") if weights_col is not None else np.ones(len(frame))
        )
        label = frame.index
        if weights_col is not None:
            check(weights >= 0, weights, weights_col, "weights must be >= 0", label)
            if not weights.any():
                raise ValueError(f"column {weights_col!r}: at least one weight must be > 0, all are 0")
        if duration_col is not None:
            lower = numbers(frame, duration_col, "duration_col")
            check(lower > 0, lower, duration_col, "times must be > 0", label)
            happened = np.ones(len(frame), bool)
            if event_col is not None:
                event = numbers(frame, event_col, "event_col")
                check(
                    (event == 0) | (event == 1),
                    event,
                    event_col,
                    "events must be 0 (censored) or 1 (event)",
                    label,
                )
                happened = event == 1
            upper = np.where(happened, lower, np.inf)
        else:
            if event_col is not None:
                raise ValueError(
                    f"event_col must be None where bounds are given (they say what happened), got {event_col!r}"
                )
            lower = numbers(frame, lower_bound_col, "lower_bound_col")
            upper = numbers(frame, upper_bound_col, "upper_bound_col", infinite=True)
            check(lower >= 0, lower, lower_bound_col, "lower bounds must be >= 0", label)
            check(upper >= lower, upper, upper_bound_col, "upper bounds must be >= the lower ones", label)
            check(upper > 0, upper, upper_bound_col, "upper bounds must be > 0", label)
            duration_col = lower_bound_col
        if entry_col is not None:
            check(entry >= 0, entry, entry_col, "entry times must be >= 0", label)
            early = entry <= lower if lower_bound_col is not None else entry < lower
            check(early, entry, entry_col, f"entry must come before {duration_col!r}", label)
        seen = cls(lower, upper, entry, weights, str(duration_col))
        if seen.events == 0:
            what = f"column {event_col!r}" if event_col is not None else f"column {upper_bound_col!r}"
            raise ValueError(f"{what}: at least one event is needed, all {len(frame)} rows are censored")
        return seen


def event_and_time(y: Any) -> pd.DataFrame:
    """Read scikit-survival's structured array into a table of ``time`` and ``event``.

    Args:
        y: (n,) structured array with one boolean field (event) and one numeric field (time), in any order
            and under any names, as ``sksurv.util.Surv`` makes it.

    Returns:
        A table with the columns ``time`` and ``event``.

    Raises:
        ValueError: if ``y`` is anything else.

    Example:
        >>> y = np.array([(True, 2.0), (False, 3.0)], dtype=[("event", bool), ("time", float)])
        >>> event_and_time(y)["time"].tolist()
        [2.0, 3.0]
    """
    fields = getattr(getattr(y, "dtype", None), "fields", None)
    if fields is None or len(fields) != 2:
        raise ValueError(
            "y must be a structured array of two fields, event (bool) and time (float), as "
            f"sksurv.util.Surv.from_arrays makes it, got {type(y).__name__} "
            f"of dtype {getattr(y, 'dtype', None)}; for a table use fit(df, duration_col=..., event_col=...)"
        )
    y = np.asarray(y)
    flags = [name for name in y.dtype.names if y.dtype[name] == np.bool_]
    if len(flags) != 1:
        raise ValueError(f"y must have exactly one boolean field, the event, got fields {y.dtype}")
    (time,) = (name for name in y.dtype.names if name != flags[0])
    if not np.issubdtype(y.dtype[time], np.number):
        raise ValueError(f"y's field {time!r} must hold numbers, the times, got {y.dtype[time]}")
    return pd.DataFrame({"time": y[time].astype(float), "event": y[flags[0]].astype(float)})


def numbers(frame: pd.DataFrame, column: Any, argument: str, *, infinite: bool = False) -> Floats:
    """Return a column as floats without gaps.

    Args:
        frame: The table.
        column: Its column.
        argument: The argument that named it, for the message.
        infinite: Whether ``inf`` is allowed.

    Returns:
        (n,) floats.

    Raises:
        ValueError: if the column is not there, not numeric, or holds NaN or infinity.
    """
    if column not in frame.columns:
        known = ", ".join(map(repr, frame.columns[:12]))
        raise ValueError(f"{argument}={column!r} is not a column of the table; it has {known}")
    try:
        values = np.ascontiguousarray(frame[column].to_numpy(dtype=float, na_value=np.nan))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{argument}={column!r} must hold numbers, got {frame[column].dtype}") from error
    fine = ~np.isnan(values) if infinite else np.isfinite(values)
    check(
        fine, values, column, "values must be numbers" if infinite else "values must be finite", frame.index
    )
    return values


def check(fine: Any, values: Floats, column: Any, rule: str, label: Any) -> None:
    """Raise with the first value that breaks a rule, and how many do."""
    if not np.all(fine):
        bad = np.flatnonzero(~np.asarray(fine))
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise ValueError(f"column {column!r}: {rule}, got {values[bad[0]]:g} in row {label[bad[0]]!r}{more}")
