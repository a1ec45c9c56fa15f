"""What a law reads of a table: its inputs, its target and weights, checked."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.objective import Floats
from broadsheet.methods.scaling.runs import LossUnit, RunTable, check_column, numbers, renamed, to_nats

if TYPE_CHECKING:
    from broadsheet.methods.scaling.law import Law

__all__ = ["Rows", "new_inputs", "read_rows"]


@dataclass(frozen=True)
class Rows:
    """The rows of a fit.

    Attributes:
        x: Input columns, each (n,).
        y: (n,) target, > 0.
        weights: (n,) or None.
        frame: The whole table under canonical names.
    """

    x: dict[str, Any]
    y: Floats
    weights: Floats | None
    frame: pd.DataFrame


def read_rows(
    law: Law,
    runs: pd.DataFrame | RunTable,
    y: Any,
    *,
    columns: Mapping[str, Hashable] | None,
    weights: Any,
    loss_unit: LossUnit,
) -> Rows:
    """Read the rows of a fit: see :meth:`Law.fit`."""
    frame = _frame(law, runs, columns)
    if y is not None:
        given = np.asarray(y)
        if given.shape != (len(frame),):
            raise ValueError(f"y must have shape ({len(frame)},), one value per row, got {given.shape}")
        frame = frame.assign(**{law.target: given})
    if not len(frame):
        raise ValueError("runs must hold at least one row, got none")
    x = _inputs(law, frame)
    target = numbers(frame, law.target)
    check_column(target > 0, target, law.target, "must be > 0", frame.index)
    if law.target == "loss":
        target = to_nats(target, loss_unit)
        frame["loss"] = target
    return Rows(x, target, _weights(frame, weights), frame)


def _frame(law: Law, runs: Any, columns: Mapping[str, Hashable] | None) -> pd.DataFrame:
    if isinstance(runs, RunTable):
        return renamed(runs.df, columns)
    frame = renamed(runs, columns)
    if {"N", "D"} <= set(law._inputs()) and {"N", "D", "C"} <= set(frame.columns):
        RunTable(frame[["N", "D", "C"]])  # C must agree with N and D, as in a table of runs
    wanted = set(law._inputs()) & {"N", "D", "C"}
    missing = wanted - set(frame.columns)
    if len(missing) == 1 and len({"N", "D", "C"} & set(frame.columns)) == 2:
        return RunTable(frame).df if law.target != "loss" else _derived(frame)
    return frame


def _derived(frame: pd.DataFrame) -> pd.DataFrame:
    # The loss is checked later, when its unit is known.
    table = RunTable(frame.drop(columns=["loss"], errors="ignore")).df
    return table.assign(loss=frame["loss"]) if "loss" in frame.columns else table


def _inputs(law: Law, frame: pd.DataFrame) -> dict[str, Any]:
    x: dict[str, Any] = {}
    for name in law._inputs():
        values = numbers(frame, name)
        if name in law.domains:
            low, high = law.domains[name]
            fine = (values >= low) & (values <= high)
            check_column(fine, values, name, f"must be in [{low:g}, {high:g}]", frame.index)
        else:
            check_column(values > 0, values, name, "must be > 0", frame.index)
        x[name] = values
    for name in law.labels:
        if name not in frame.columns:
            raise ValueError(f"column {name!r} is not in the table; name it with columns={{{name!r}: ...}}")
        if frame[name].isna().any():
            row = frame.index[int(np.argmax(frame[name].isna().to_numpy()))]
            raise ValueError(f"column {name!r}: must not be empty, is so in row {row!r}")
        x[name] = frame[name].to_numpy()
    return x


def _weights(frame: pd.DataFrame, weights: Any) -> Floats | None:
    if weights is None:
        return None
    if isinstance(weights, str):
        values, name = numbers(frame, weights), weights
    else:
        values, name = np.asarray(weights, float), "weights"
        if values.shape != (len(frame),):
            raise ValueError(f"weights must have shape ({len(frame)},), one per row, got {values.shape}")
    check_column(
        np.isfinite(values) & (values >= 0), values, name, "weights must be finite and >= 0", frame.index
    )
    if not values.any():
        raise ValueError(f"{name}: at least one weight must be > 0, all are 0")
    return values


def new_inputs(law: Law, new: Any, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], pd.Index]:
    """Read the inputs of a prediction.

    Args:
        law: A fitted law.
        new: A table, a RunTable, an array for a law of one input, or None.
        inputs: Inputs by name, where ``new`` is None.

    Returns:
        The input columns and the index of the rows.

    Raises:
        ValueError: naming column and row.
    """
    names = (*law._inputs(), *law.labels)
    if (new is None) == (not inputs):
        raise ValueError(f"give a table, or the inputs by name ({', '.join(names)}), one of the two")
    if new is None:
        unknown = sorted(set(inputs) - set(names) - {"N", "D", "C"})
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is no input of {type(law).__name__}; it reads {', '.join(names)}"
            )
        given = {k: np.atleast_1d(v) for k, v in inputs.items()}
        rows = max(len(v) for v in given.values())
        for name, values in given.items():
            if values.ndim != 1 or len(values) not in (1, rows):
                raise ValueError(f"{name} must be one value or {rows}, one per row, got shape {values.shape}")
        new = pd.DataFrame({k: np.broadcast_to(v, rows) for k, v in given.items()})
    elif not isinstance(new, pd.DataFrame | RunTable):
        values = np.atleast_1d(np.asarray(new, float))
        if len(names) != 1 or values.ndim != 1:
            raise ValueError(
                f"new must be a table with the columns {', '.join(names)}, got {type(new).__name__} of shape "
                f"{values.shape}"
            )
        new = pd.DataFrame({names[0]: values})
    columns = getattr(law, "columns_", {})
    if isinstance(new, pd.DataFrame):
        columns = {n: old for n, old in columns.items() if n not in new.columns and old in new.columns}
    else:
        columns = {}
    frame = _frame(law, new.drop(columns=[]) if isinstance(new, pd.DataFrame) else new, columns)
    return _inputs(law, frame), frame.index
