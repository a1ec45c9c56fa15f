"""Tables of training runs: canonical columns, checked once, with whatever else stands beside them."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.identification import ScalingWarning
from broadsheet.methods.scaling.objective import Floats

__all__ = ["CANONICAL", "LossUnit", "RunTable", "check_column", "numbers"]

LossUnit = Literal["nats", "bits", "perplexity"]
CANONICAL = {
    "N": "parameters",
    "D": "tokens seen",
    "C": "training FLOPs",
    "S": "steps",
    "B": "tokens per batch",
    "loss": "nats per token",
    "loss_std": "nats per token",
}
UNITS = {"": 1.0, "thousands": 1e3, "millions": 1e6, "billions": 1e9, "trillions": 1e12}
_FLOPS_PER_TOKEN_AND_PARAMETER = 6.0


class RunTable:
    """Training runs, one row each (or one row per checkpoint), with checked canonical columns.

    Canonical columns are ``N`` (parameters), ``D`` (tokens seen), ``C`` (training FLOPs), ``S`` (steps), ``B``
    (tokens per batch), ``loss`` (nats per token) and ``loss_std``. All others stay as they are. Where two of
    N, D and C are given the third is derived by ``C = 6 N D``.

    Args:
        df: The runs.
        columns: Where the canonical columns stand: ``{"N": "Model Size"}``.
        units: Unit of a column: ``{"N": "billions"}`` (also thousands, millions, trillions) or a factor.
        loss_unit: ``nats``, ``bits`` or ``perplexity``: the loss is converted to nats.
        N_convention: What N counts (``"total"``, ``"non-embedding"``), kept for reports.

    Attributes:
        df: The canonical table.
        derived: Names of the columns that were derived.
        N_convention: As given.

    Raises:
        ValueError: naming column, row and value: not positive, not finite, not numeric, a name given twice, a
            loss that looks like perplexity, or a C that is more than 10 times off 6 N D.

    Warns:
        ScalingWarning: if C is more than 2 times off 6 N D in some row.

    Source:
        C = 6 N D: Kaplan et al. 2020 (arXiv:2001.08361), section 2.1.

    Example:
        >>> table = RunTable(
        ...     pd.DataFrame({"size": [0.1, 0.4], "flops": [6e17, 9.6e18], "loss": [3.4, 2.9]}),
        ...     columns={"N": "size", "C": "flops"},
        ...     units={"N": "billions"},
        ... )
        >>> table.df["D"].tolist(), table.derived
        ([1000000000.0, 4000000000.0], ('D',))
    """

    def __init__(
        self,
        df: pd.DataFrame,
        columns: Mapping[str, Hashable] | None = None,
        units: Mapping[str, str | float] | None = None,
        *,
        loss_unit: LossUnit = "nats",
        N_convention: str = "",
    ) -> None:
        frame = renamed(df, columns)
        if not len(frame):
            raise ValueError("df must hold at least one run, got none")
        for name, unit in (units or {}).items():
            frame[name] = numbers(frame, name) * _factor(name, unit)
        for name in CANONICAL:
            if name in frame.columns:
                values = numbers(frame, name)
                fine = values >= 0 if name == "loss_std" else values > 0
                rule = "must be >= 0" if name == "loss_std" else "must be > 0"
                check_column(fine, values, name, rule, frame.index)
                frame[name] = values
        if "loss" in frame.columns:
            frame["loss"] = to_nats(frame["loss"].to_numpy(), loss_unit)
        self.derived = _derive(frame)
        self.df = frame
        self.N_convention = N_convention

    def __len__(self) -> int:
        return len(self.df)

    def __repr__(self) -> str:
        kept = [name for name in CANONICAL if name in self.df.columns]
        derived = f", derived {', '.join(self.derived)}" if self.derived else ""
        return f"<RunTable: {len(self)} runs, columns {', '.join(kept)}{derived}>"

    @classmethod
    def read_csv(cls, path: str | os.PathLike[str], **settings: Any) -> RunTable:
        r"""Read a CSV file.

        Args:
            path: The file.
            **settings: Those of :class:`RunTable`.

        Returns:
            The runs.

        Example:
            >>> from io import StringIO
            >>> RunTable.read_csv(StringIO("N,D,loss\n1e8,2e9,3.2\n"))
            <RunTable: 1 runs, columns N, D, C, loss, derived C>
        """
        return cls(pd.read_csv(path), **settings)

    @classmethod
    def from_wandb_export(cls, path: str | os.PathLike[str], **settings: Any) -> RunTable:
        r"""Read a CSV exported from Weights & Biases: the table of runs, or the lines of a chart.

        From the table of runs, those that are not finished and those without a loss are left out, and a
        warning counts them. A chart has one column per run (``NAME - metric`` with its ``__MIN`` and
        ``__MAX``): it becomes one row per run and step, with ``S`` and ``group``.

        Args:
            path: The CSV file.
            **settings: Those of :class:`RunTable`; ``columns={"loss": "eval/loss", ...}`` names the columns
                of a table of runs.

        Returns:
            The runs; the run's name stands in ``group`` unless such a column is there.

        Raises:
            ValueError: if no finished run with a loss is left.

        Warns:
            ScalingWarning: with the number of runs left out.

        Example:
            >>> from io import StringIO
            >>> chart = StringIO('"Step","small - loss","small - loss__MIN"\n10,4.1,4.1\n20,3.8,3.8\n')
            >>> RunTable.from_wandb_export(chart).df[["S", "group", "loss"]].values.tolist()
            [[10.0, 'small', 4.1], [20.0, 'small', 3.8]]
        """
        raw = pd.read_csv(path)
        lines = [c for c in raw.columns if re.search(r" - .*[^_]$", str(c)) and not _is_bound(str(c))]
        if str(raw.columns[0]).lower() in ("step", "_step", "trainer/global_step") and lines:
            return cls(_chart(raw, lines), **settings)
        frame = raw.rename(columns={"Name": "group"}) if "group" not in raw.columns else raw
        loss = (settings.get("columns") or {}).get("loss", "loss")
        if loss not in frame.columns:
            raise ValueError(
                f"column {loss!r} is not in the export; it has {_listed(frame.columns)}. "
                "Name it with columns={'loss': ...}"
            )
        values = pd.to_numeric(frame[loss], errors="coerce")
        kept = np.isfinite(values.to_numpy(dtype=float))
        if "State" in frame.columns:
            kept &= frame["State"].astype(str).str.lower().eq("finished").to_numpy()
        if not kept.any():
            raise ValueError(
                f"none of the {len(frame)} exported runs is finished and has a value in {loss!r}"
            )
        if not kept.all():
            warnings.warn(
                f"{int((~kept).sum())} of {len(frame)} exported runs are left out: not finished, or without "
                f"a number in {loss!r}",
                ScalingWarning,
                stacklevel=2,
            )
        return cls(frame[kept].assign(**{str(loss): values[kept]}), **settings)

    def holdout(
        self, by: str = "N", *, largest: int | None = None, above: float | None = None
    ) -> tuple[RunTable, RunTable]:
        """Split by scale: small runs to fit, large ones to test.

        Args:
            by: The column that measures scale.
            largest: Hold out the rows with the so many largest distinct values, >= 1; 1 by default.
            above: Hold out the rows with more than this, instead.

        Returns:
            The rows to fit and the rows held out.

        Raises:
            ValueError: if a side would be empty, or both or no rule are given.

        Example:
            >>> runs = RunTable(pd.DataFrame({"N": [1e8, 2e8, 4e8], "D": [2e9] * 3, "loss": [3.4, 3.2, 3.0]}))
            >>> [len(side) for side in runs.holdout(by="N", largest=1)]
            [2, 1]
        """
        if largest is not None and above is not None:
            raise ValueError(f"give largest= or above=, not both, got {largest!r} and {above!r}")
        values = numbers(self.df, by)
        if above is None:
            count = 1 if largest is None else largest
            if count < 1:
                raise ValueError(f"largest must be at least 1, got {largest!r}")
            levels = np.unique(values)
            if count >= len(levels):
                raise ValueError(
                    f"largest={count} holds out everything: column {by!r} has {len(levels)} distinct values"
                )
            above = float(levels[-count - 1])
        held = values > above
        if held.all() or not held.any():
            raise ValueError(
                f"above={above:g} leaves one side empty: column {by!r} runs from {values.min():g} to "
                f"{values.max():g}"
            )
        return self._part(~held), self._part(held)

    def _part(self, rows: np.ndarray) -> RunTable:
        part = object.__new__(RunTable)
        part.df, part.derived, part.N_convention = self.df[rows].copy(), self.derived, self.N_convention
        return part


# --- Checks that laws share ----------------------------------------------------------------------------------


def renamed(df: pd.DataFrame, columns: Mapping[str, Hashable] | None) -> pd.DataFrame:
    """Return a copy under canonical names.

    Args:
        df: The table.
        columns: Old names by new ones.

    Returns:
        The renamed copy.

    Raises:
        ValueError: if an old name is not there, or a name would stand twice.
    """
    if not isinstance(df, pd.DataFrame):
        raise TypeError(f"runs must be a pandas DataFrame or a RunTable, got {type(df).__name__}")
    given = {new: old for new, old in (columns or {}).items() if new != old}
    for new, old in given.items():
        if old not in df.columns:
            raise ValueError(
                f"columns: {new!r} is said to stand in {old!r}, which the table has not; "
                f"it has {_listed(df.columns)}"
            )
    sources: dict[Hashable, str] = {}
    for new, old in given.items():
        if old in sources:
            raise ValueError(f"columns: {old!r} is given for both {sources[old]!r} and {new!r}")
        sources[old] = new
    frame = df.rename(columns={old: new for new, old in given.items()})
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        way = f"drop it, or do not rename {given[twice[0]]!r} to it" if twice[0] in given else "rename one"
        raise ValueError(f"column {twice[0]!r} stands twice in the table after renaming: {way}")
    return frame.copy()


def numbers(frame: pd.DataFrame, column: str) -> Floats:
    """Return a column as finite floats.

    Args:
        frame: The table.
        column: Its column.

    Returns:
        (n,) floats.

    Raises:
        ValueError: if it is not there, not numeric or not finite, naming column and row.
    """
    if column not in frame.columns:
        raise ValueError(
            f"column {column!r} is not in the table; it has {_listed(frame.columns)}. "
            f"Name it with columns={{{column!r}: ...}}"
        )
    try:
        values = frame[column].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        bad = pd.to_numeric(frame[column], errors="coerce").isna() & frame[column].notna()
        row = frame.index[int(np.argmax(bad.to_numpy()))]
        raise ValueError(
            f"column {column!r}: must hold numbers, got {frame[column].loc[row]!r} in row {row!r}"
        ) from None
    check_column(np.isfinite(values), values, column, "must be finite", frame.index)
    return np.ascontiguousarray(values)


def check_column(fine: Any, values: Floats, column: str, rule: str, labels: Any) -> None:
    """Raise with the first value of a column that breaks a rule, its row, and how many do."""
    if not np.all(fine):
        bad = np.flatnonzero(~np.asarray(fine))
        more = f" (and {len(bad) - 1} more rows)" if len(bad) > 1 else ""
        raise ValueError(f"column {column!r}: {rule}, got {values[bad[0]]:g} in row {labels[bad[0]]!r}{more}")


def to_nats(loss: Floats, unit: LossUnit) -> Floats:
    """Return losses in nats per token.

    Args:
        loss: (n,) losses.
        unit: Their unit.

    Returns:
        (n,) nats per token.

    Raises:
        ValueError: if the unit is unknown, or a loss said to be in nats looks like perplexity.
    """
    if unit not in ("nats", "bits", "perplexity"):
        raise ValueError(f"loss_unit must be 'nats', 'bits' or 'perplexity', got {unit!r}")
    if unit == "bits":
        return np.asarray(loss * np.log(2.0))
    if unit == "perplexity":
        if (loss <= 1.0).any():
            raise ValueError(f"column 'loss': a perplexity must be > 1, got {loss.min():g}")
        return np.asarray(np.log(loss))
    middle = float(np.median(loss))
    if middle > 20.0:
        raise ValueError(
            f"column 'loss': its median is {middle:.4g}, which looks like perplexity; take its logarithm with "
            "loss_unit='perplexity' (or loss_unit='bits' if it is in bits)"
        )
    return loss


def _factor(name: str, unit: str | float) -> float:
    if isinstance(unit, str):
        if unit not in UNITS:
            raise ValueError(
                f"units[{name!r}] must be a factor or one of {_listed(u for u in UNITS if u)}, got {unit!r}"
            )
        return UNITS[unit]
    if not (np.isfinite(unit) and unit > 0):
        raise ValueError(f"units[{name!r}] must be > 0, got {unit!r}")
    return float(unit)


def _derive(frame: pd.DataFrame) -> tuple[str, ...]:
    there = [name for name in ("N", "D", "C") if name in frame.columns]
    each = _FLOPS_PER_TOKEN_AND_PARAMETER
    if there == ["N", "D"]:
        frame["C"] = each * frame["N"] * frame["D"]
        return ("C",)
    if there == ["N", "C"]:
        frame["D"] = frame["C"] / (each * frame["N"])
        return ("D",)
    if there == ["D", "C"]:
        frame["N"] = frame["C"] / (each * frame["D"])
        return ("N",)
    if len(there) == 3:
        ratio = (frame["C"] / (each * frame["N"] * frame["D"])).to_numpy()
        check_column(
            (ratio >= 0.1) & (ratio <= 10.0),
            ratio,
            "C",
            "must be within 10 times of 6 N D, is off by",
            frame.index,
        )
        off = (ratio < 0.5) | (ratio > 2.0)
        if off.any():
            first = int(np.argmax(off))
            warnings.warn(
                f"column 'C': {int(off.sum())} rows are more than 2 times off 6 N D, the first is row "
                f"{frame.index[first]!r} with C / (6 N D) = {ratio[first]:.3g}; check units and what N counts",
                ScalingWarning,
                stacklevel=3,
            )
    return ()


def _is_bound(column: str) -> bool:
    return column.endswith(("__MIN", "__MAX"))


def _chart(raw: pd.DataFrame, lines: list[str]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"S": raw.iloc[:, 0], "group": line.rsplit(" - ", 1)[0], "loss": raw[line]}).dropna()
        for line in lines
    ]
    frame = pd.concat(parts, ignore_index=True)
    return frame[frame["S"] > 0].reset_index(drop=True)


def _listed(names: Iterable[Any]) -> str:
    shown = [repr(n) for n in names]
    return ", ".join(shown[:12]) + (f" and {len(shown) - 12} more" if len(shown) > 12 else "")
