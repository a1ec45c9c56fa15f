"""Which parameters act on which row of a table of tasks and weights, and the law's values and derivatives."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.identification import ScalingWarning
from broadsheet.methods.scaling.law import Parameter
from broadsheet.methods.scaling.objective import Floats
from broadsheet.methods.scaling.runs import RunTable

__all__ = ["LARGEST_SHAPE", "Cells", "FractionForm", "bounded", "fraction", "unbounded", "without_zero_shot"]

FractionForm = Literal["free", "power", "linear"]
Indices = np.ndarray
LARGEST_SHAPE = 3.0
"""Upper bound of c2 and c3: beyond it the synergy would touch a narrow range of weights only."""
_GRID = np.linspace(0.0, 0.99, 34)  # from a task's smallest weight up to 1
_DIGITS = 9  # weights that agree to so many digits are the same
_MEANING = {
    "beta": "factor of the power of N",
    "alpha": "exponent of N",
    "L_inf": "irreducible loss",
    "c1": "size of the synergy",
    "c2": "shape of the synergy at small weights",
    "c3": "shape of the synergy at large weights",
}


# --- What is refused ------------------------------------------------------------------------------------------


def without_zero_shot(
    runs: pd.DataFrame | RunTable, columns: Mapping[str, Hashable] | None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Leave out rows of weight 0, with a warning that counts them.

    Args:
        runs: The table.
        columns: Where its columns stand.

    Returns:
        The other rows, and which rows they are.

    Raises:
        ValueError: if no row is left.
    """
    frame = runs.df if isinstance(runs, RunTable) else runs
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"runs must be a DataFrame or a RunTable, got {type(frame).__name__}")
    name = (columns or {}).get("p", "p")
    if name not in frame.columns:
        return frame, np.ones(len(frame), bool)  # the core says what is missing
    kept = (pd.to_numeric(frame[name], errors="coerce") != 0).to_numpy()
    if kept.all():
        return frame, kept
    if not kept.any():
        raise ValueError(f"column {name!r}: all rows are 0; the law needs rows of tasks that were trained")
    warnings.warn(
        f"{int((~kept).sum())} of {len(frame)} rows have p = 0 and are left out: the law says nothing of a task that "
        "was never sampled",
        ScalingWarning,
        stacklevel=3,
    )
    return frame.loc[kept], kept


def refuse_few_sizes(x: Mapping[str, Any]) -> None:
    """Refuse a task with fewer than three sizes: exponent, factor and irreducible loss are three numbers."""
    for task in pd.unique(np.asarray(x["task"])):
        sizes = np.unique(x["N"][x["task"] == task])
        if len(sizes) < 3:
            raise ValueError(
                f"task {task!r} has {len(sizes)} distinct sizes N; at least 3 are needed to tell factor, exponent "
                "and irreducible loss: add runs of other sizes"
            )


def refuse_few_weights(x: Mapping[str, Any], common_f: bool) -> None:
    """Refuse fewer weights below 1 than f has parameters."""
    task, p = np.asarray(x["task"]), np.round(np.asarray(x["p"], float), _DIGITS)
    for name in [None] if common_f else pd.unique(task):
        seen = np.unique(p[(p < 1) & ((task == name) | (name is None))])
        if len(seen) < 3:
            who = "the table" if name is None else f"task {name!r}"
            way = "add runs" if common_f else "add runs, or use common_f=True, one function for all tasks,"
            raise ValueError(
                f"{who} has {len(seen)} distinct weights p below 1; f='power' needs at least 3 for c1, c2 and c3: "
                f"{way} or f='linear', or 'free'"
            )


def refuse_wrong_sums(frame: pd.DataFrame, x: Mapping[str, Any]) -> None:
    """Refuse weights that do not sum to 1: by run where the table names runs, else by partners of two tasks."""
    p, task, N = np.asarray(x["p"], float), np.asarray(x["task"]), np.asarray(x["N"], float)
    if "run" in frame.columns:
        sums = pd.Series(p).groupby(frame["run"].to_numpy()).sum()
        wrong = sums[(sums - 1.0).abs() > 1e-6]
        if len(wrong):
            raise ValueError(
                f"the weights p of run {wrong.index[0]!r} sum to {wrong.iloc[0]:g}, not to 1: every task that is "
                "trained needs its row"
            )
        return
    names = list(pd.unique(task))
    if len(names) != 2:
        return
    seen = {
        name: {(n, round(w, 6)) for n, w in zip(N[task == name], p[task == name], strict=True)}
        for name in names
    }
    for name, other in (names, names[::-1]):
        for n, w in sorted(seen[name]):
            partner = round(1.0 - w, 6)
            if 0.0 < w < 1.0 and (n, partner) not in seen[other]:
                raise ValueError(
                    f"at N = {n:g} task {name!r} has p = {w:g} but task {other!r} has no row with p = {partner:g}: "
                    "the weights of one model must sum to 1. Add the rows, or a column 'run', or fit one task alone"
                )


def refuse_task(task: Hashable, tasks: Sequence[Hashable]) -> None:
    """Refuse a task that the fit does not know."""
    if task not in tasks:
        raise ValueError(f"task must be one of {', '.join(map(repr, tasks))}, got {task!r}")


# --- Which parameter acts where -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    """What the law needs of n rows: indices of parameters (n,), logarithms and weights."""

    beta: Indices
    alpha: Indices
    floor: Indices
    c: Indices
    log_N: Floats
    p: Floats


@dataclass
class Cells:
    """The parameters of a table, and the law on its rows.

    Args:
        tasks: Names of the tasks, sorted.
        f: Form of the effective fraction.
        parameters: The parameters, in the order of theta.
        index: Position of each parameter by (kind, task, weight); None stands for "all".
        shared: Kinds (alpha, L_inf) that do not depend on the weight.
        common_f: Whether c1, c2 and c3 are the same for all tasks.
        least: Smallest weight in the table that a c1, by its position, acts on.
    """

    tasks: tuple[Hashable, ...]
    f: FractionForm
    parameters: tuple[Parameter, ...]
    index: dict[tuple[str, Hashable, float | None], int]
    shared: frozenset[str]
    common_f: bool
    least: dict[int, float] = field(default_factory=dict)
    _last: tuple[Any, _Row] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, x: Mapping[str, Any], f: FractionForm, share: Sequence[str], common_f: bool) -> Cells:
        """Lay out the parameters for a table's tasks and weights."""
        task, p = np.asarray(x["task"]), np.round(np.asarray(x["p"], float), _DIGITS)
        tasks = tuple(sorted(pd.unique(task).tolist(), key=str))
        shared = frozenset((share,) if isinstance(share, str) else share)
        keys: list[tuple[str, Hashable, float | None]] = []
        for name in tasks:
            weights = sorted(set(p[task == name].tolist()))
            for kind in ("beta", "alpha", "L_inf"):
                apart = f == "free" and kind not in shared
                keys += [(kind, name, w) for w in weights] if apart else [(kind, name, None)]
            if f != "free" and not common_f:
                keys += [(kind, name, None) for kind in _shapes(f)]
        if f != "free" and common_f:
            keys += [(kind, None, None) for kind in _shapes(f)]
        positive = ("beta", "L_inf", "c1") if f == "linear" else ("beta", "L_inf")
        made = tuple(
            Parameter(_name(*key), "log" if key[0] in positive else "identity", _MEANING[key[0]])
            for key in keys
        )
        index = {key: i for i, key in enumerate(keys)}
        least = {
            place: float(p[(task == owner) | (owner is None)].min())
            for (kind, owner, _), place in index.items()
            if kind == "c1"
        }
        return cls(tasks, f, made, index, shared, common_f, least)

    def has(self, task: Hashable, p: float) -> bool:
        """Tell whether a free factor was fitted for this task and weight."""
        return ("beta", task, round(p, _DIGITS)) in self.index

    def fraction_index(self, task: Hashable) -> list[int]:
        """Return where c1 (, c2, c3) of a task stand in theta."""
        owner = None if self.common_f else task
        return [self.index[kind, owner, None] for kind in _shapes(self.f)] if self.f != "free" else []

    def neutral_shapes(self, theta: Floats, x: Mapping[str, Any]) -> list[int]:
        """Return where the c's of tasks stand whose f is p to within 1e-4 of itself in every row."""
        found: list[int] = []
        if self.f == "free":
            return found
        rows = self._rows(x)
        for index in {tuple(c) for c in rows.c.tolist()}:
            p = rows.p[np.all(rows.c == np.array(index), axis=1)]
            f = fraction(self.f, [np.asarray(theta[i]) for i in index], p)
            if (np.abs(f - p) <= 1e-4 * p).all():
                found += index
        return found

    def at_bounds(self, theta: Floats, y: Floats) -> tuple[str, ...]:
        """Return the names of parameters at a bound.

        They are c2 and c3 within 0.1 % of an end, L_inf below 1e-6 of any loss, and a linear f's c1 below 1e-6.
        """
        found = []
        for parameter, value in zip(self.parameters, theta, strict=True):
            shape = parameter.name.startswith(("c2", "c3")) and abs(value) > np.log(999.0)
            floor = parameter.name.startswith("L_inf") and value < np.log(1e-6 * y.min())
            none = self.f == "linear" and parameter.name.startswith("c1") and value < np.log(1e-6)
            if shape or floor or none:
                found.append(parameter.name)
        return tuple(found)

    def fraction(self, theta: Floats, task: Hashable, p: Floats) -> Floats:
        """Return f(p) for one (k,) theta."""
        if self.f != "free":
            c = [np.asarray(v) for v in theta[self.fraction_index(task)]]
            return np.asarray(np.maximum(fraction(self.f, c, p), 1e-3 * p))
        alpha = theta[self.index["alpha", task, None]]
        first = theta[self.index["beta", task, 1.0]]
        other = theta[np.array([self._find("beta", task, w) for w in p.ravel()], dtype=int)].reshape(p.shape)
        return np.asarray(np.exp((first - other) / alpha))

    def _find(self, kind: str, task: Hashable, p: float) -> int:
        for weight in (None, round(float(p), _DIGITS)):
            if (place := self.index.get((kind, task, weight))) is not None:
                return place
        refuse_task(task, self.tasks)
        seen = ", ".join(f"{w:g}" for k, t, w in self.index if k == kind and t == task and w is not None)
        raise ValueError(
            f"with f='free' a weight must be one of the fit's ({seen} for task {task!r}), got {float(p):g}; "
            "use f='power' for others"
        )

    def _rows(self, x: Mapping[str, Any]) -> _Row:
        if self._last is not None and self._last[0] is x:
            return self._last[1]
        p = np.asarray(x["p"], float)
        pairs = list(zip(np.asarray(x["task"]).tolist(), p, strict=True))
        at = {
            kind: np.array([self._find(kind, t, w) for t, w in pairs], int)
            for kind in ("beta", "alpha", "L_inf")
        }
        c = np.array([self.fraction_index(t) for t, _ in pairs], int).reshape(len(p), -1)
        rows = _Row(at["beta"], at["alpha"], at["L_inf"], c, np.log(np.asarray(x["N"], float)), p)
        self._last = (x, rows)
        return rows

    # ---- values and derivatives; theta is (m, k)

    def log_predict(self, theta: Floats, x: Mapping[str, Any]) -> Floats:
        """Return (m, n) log-predictions."""
        rows = self._rows(x)
        power, floor, _ = self._parts(theta, rows)
        with np.errstate(invalid="ignore"):  # NaN where f is no fraction: the search turns away from there
            return np.asarray(np.logaddexp(power, floor))

    def _parts(self, theta: Floats, rows: _Row) -> tuple[Floats, Floats, Floats]:
        """Return log of the power term, log of the floor, and log(f N), each (m, n)."""
        log_size = np.broadcast_to(rows.log_N, (len(theta), len(rows.p)))
        if self.f != "free":
            c = [theta[:, rows.c[:, j]] for j in range(rows.c.shape[1])]
            fine = self._positive(theta, rows)
            # Below the smallest weight of the fit f may fall under 0: the loss is large there, not infinite.
            f = np.maximum(fraction(self.f, c, rows.p), 1e-3 * rows.p)
            log_size = np.where(fine, log_size + np.log(f), np.nan)
        power = theta[:, rows.beta] - theta[:, rows.alpha] * log_size
        return power, theta[:, rows.floor], log_size

    def _positive(self, theta: Floats, rows: _Row) -> np.ndarray:
        """Tell, (m, n), whether a row's f is above 0 from its task's smallest weight to 1: else it is no fraction."""
        fine = np.ones((len(theta), len(rows.p)), bool)
        for index in {tuple(c) for c in rows.c.tolist()}:
            least = self.least[index[0]]
            values = fraction(self.f, [theta[:, [i]] for i in index], least + (1.0 - least) * _GRID)
            mine = np.all(rows.c == np.array(index), axis=1)
            fine[:, mine] = np.all(values > 0, axis=1, keepdims=True)
        return fine

    def blocks(self, x: Mapping[str, Any]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return rows (n,) and parameters (k,) that have nothing to do with the others, as masks."""
        task, p = np.asarray(x["task"]), np.round(np.asarray(x["p"], float), _DIGITS)
        if self.common_f:
            return [(np.ones(len(p), bool), np.ones(len(self.parameters), bool))]
        apart = self.f == "free" and not self.shared
        keys = [(name, w) for name in self.tasks for w in (np.unique(p[task == name]) if apart else [None])]
        return [
            (
                (task == name) & ((p == w) | (w is None)),
                np.array([owner == name and (w is None or at == w) for _, owner, at in self.index]),
            )
            for name, w in keys
        ]

    def jacobian(self, theta: Floats, x: Mapping[str, Any]) -> tuple[Floats, Floats]:
        """Return (m, n) log-predictions and their (m, n, k) derivatives."""
        rows = self._rows(x)
        power, floor, log_size = self._parts(theta, rows)
        with np.errstate(invalid="ignore"):
            total = np.logaddexp(power, floor)
        share = np.exp(power - total)
        out = np.zeros((*total.shape, theta.shape[1]))
        row = np.arange(len(rows.p))
        for index, value in self._slopes(theta, rows, log_size):
            out[:, row, index] = share * value
        out[:, row, rows.floor] = np.exp(floor - total)
        return total, out

    def _slopes(self, theta: Floats, rows: _Row, log_size: Floats) -> list[tuple[Indices, Floats]]:
        """Return the derivatives of the log of the power term: pairs of (n,) indices and (m, n) values."""
        found = [(rows.beta, np.ones_like(log_size)), (rows.alpha, -log_size)]
        if self.f != "free":
            first, _ = _fraction_derivatives(
                self.f, [theta[:, rows.c[:, j]] for j in range(rows.c.shape[1])], rows.p
            )
            found += [(rows.c[:, j], -theta[:, rows.alpha] * first[j]) for j in range(len(first))]
        return found

    def curvature(self, theta: Floats, x: Mapping[str, Any], u: Floats) -> Floats:
        """Return (m, k, k): second derivatives summed over rows with weights u, (m, n)."""
        rows = self._rows(x)
        power, floor, log_size = self._parts(theta, rows)
        share = 1.0 / (1.0 + np.exp(np.clip(floor - power, -700.0, 700.0)))
        m, k = theta.shape
        difference = np.zeros((m, len(rows.p), k))
        row = np.arange(len(rows.p))
        for index, value in self._slopes(theta, rows, log_size):
            difference[:, row, index] = value
        difference[:, row, rows.floor] = -1.0
        out = np.asarray((difference * (u * share * (1 - share))[..., None]).transpose(0, 2, 1) @ difference)
        if self.f != "free":
            self._add_bend(out, theta, rows, u * share)
        return out

    def _add_bend(self, out: Floats, theta: Floats, rows: _Row, weight: Floats) -> None:
        """Add the second derivatives of the log of the power term itself: those that hold f."""
        c = [theta[:, rows.c[:, j]] for j in range(rows.c.shape[1])]
        first, second = _fraction_derivatives(self.f, c, rows.p)
        member = np.arange(len(theta))[:, None]
        for i in range(len(first)):
            cross = -weight * first[i]
            np.add.at(out, (member, rows.alpha, rows.c[:, i]), cross)
            np.add.at(out, (member, rows.c[:, i], rows.alpha), cross)
            for j in range(len(first)):
                bend = -weight * theta[:, rows.alpha] * second[i][j]
                np.add.at(out, (member, rows.c[:, i], rows.c[:, j]), bend)


def _shapes(f: FractionForm) -> tuple[str, ...]:
    return ("c1", "c2", "c3") if f == "power" else ("c1",)


def _name(kind: str, task: Hashable | None, p: float | None) -> str:
    inside = [str(part) for part in (task, None if p is None else f"{p:g}") if part is not None]
    return f"{kind}[{', '.join(inside)}]" if inside else kind


def bounded(theta: Any) -> Floats:
    """Return c2 or c3, in (0, LARGEST_SHAPE), for what is fitted in their place: a log ratio."""
    return np.asarray(LARGEST_SHAPE / (1.0 + np.exp(-np.clip(theta, -700.0, 700.0))))


def unbounded(c: Any) -> Floats:
    """Return the log ratio that stands for c2 or c3."""
    given = np.asarray(c, float)
    if not ((given > 0) & (given < LARGEST_SHAPE)).all():
        raise ValueError(
            f"c2 and c3 must be above 0, so that f(0) = 0, and below {LARGEST_SHAPE:g}, got {c!r}"
        )
    return np.asarray(np.log(given / (LARGEST_SHAPE - given)))


def fraction(f: FractionForm, c: Sequence[Floats], p: Floats) -> Floats:
    """Return f(p); c holds c1 (its logarithm for a linear f) and the log ratios of c2 and c3."""
    return np.asarray(p + _size(f, c) * _bump(f, c, p)[0])


def _size(f: FractionForm, c: Sequence[Floats]) -> Floats:
    """Return c1; a linear f has its logarithm in theta, since f(0) = c1 must not be below 0."""
    return np.exp(c[0]) if f == "linear" else c[0]


def _bump(f: FractionForm, c: Sequence[Floats], p: Floats) -> tuple[Floats, list[Floats]]:
    """Return g = p^c2 (1-p)^c3, and log p and log(1-p) with 0 at p = 1."""
    rest = 1.0 - p
    if f == "linear":
        return np.broadcast_to(rest, np.broadcast_shapes(c[0].shape, p.shape)), []
    alone = rest <= 0.0
    with np.errstate(divide="ignore"):
        logs = [np.log(p), np.log(np.where(alone, 1.0, rest))]
    g = np.exp(bounded(c[1]) * logs[0] + bounded(c[2]) * logs[1])
    return np.where(alone, 0.0, g), logs


def _fraction_derivatives(
    f: FractionForm, c: Sequence[Floats], p: Floats
) -> tuple[list[Floats], list[list[Floats]]]:
    """Return first and second derivatives of log f(p) by the c's as they stand in theta, each (m, n)."""
    g, logs = _bump(f, c, p)
    synergy = _size(f, c) * g
    value = p + synergy
    if f == "linear":
        one = synergy / value
        return [one], [[one - one**2]]
    slope = [g / value]
    first, again = [], []  # derivatives of log g
    for log, theta in zip(logs, c[1:], strict=True):
        size = bounded(theta)
        rate = size * (1.0 - size / LARGEST_SHAPE)
        first.append(rate * log)
        again.append(rate * (1.0 - 2.0 * size / LARGEST_SHAPE) * log)
    slope += [synergy * one / value for one in first]
    bent = {
        (0, 0): np.zeros_like(value),
        (0, 1): g * first[0],
        (0, 2): g * first[1],
        (1, 1): synergy * (first[0] ** 2 + again[0]),
        (1, 2): synergy * first[0] * first[1],
        (2, 2): synergy * (first[1] ** 2 + again[1]),
    }
    second = [[bent[min(i, j), max(i, j)] / value - slope[i] * slope[j] for j in range(3)] for i in range(3)]
    return slope, second
