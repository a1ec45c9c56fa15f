"""The four linear predictors: formulas read into standardised design matrices, checked for confounding.

A parameter is either held at a number or has a formula. Its block of coefficients acts on the log scale:
``log lam = X beta``, ``log phi = X tau``, ``log gamma = X alpha``, ``log(kappa + 1) = X nu``.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from broadsheet.methods.statistics.flexible_survival.hazard import Floats

__all__ = ["PARAMETERS", "Block", "Formula", "Predictors", "Rows", "read_settings"]

PARAMETERS = ("lam", "phi", "gamma", "kappa")
Predictors = tuple[Any, Any, Any, Any]  # log lam, log phi, log gamma, nu: each a number or (n,)
_COLLINEAR = 1e-10  # share of a column's variance that the columns before it leave unexplained


def read_settings(settings: Mapping[str, Any]) -> dict[str, str | float]:
    """Check what the user set for the four parameters.

    Args:
        settings: For each parameter a formula, a number at which it is held, or None (held at 1).

    Returns:
        The same with None replaced by 1.0 and numbers as floats.

    Raises:
        ValueError: naming the parameter and the value that is not allowed.
    """
    checked: dict[str, str | float] = {}
    for name, value in settings.items():
        if value is None:
            checked[name] = 1.0
        elif isinstance(value, str):
            if not value.strip():
                raise ValueError(
                    f'{name} must be a formula such as "trt + age", "1", a number or None, got ""'
                )
            if "~" in value and value.split("~", 1)[0].strip():
                raise ValueError(f"{name} takes the right-hand side of a formula only, got {value!r}")
            checked[name] = value
        elif isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
            number = float(value)
            if name == "kappa" and not number > -1:
                raise ValueError(f"kappa must be held above -1 (inf included), got {number:g}")
            if name != "kappa" and not (number > 0 and np.isfinite(number)):
                raise ValueError(f"{name} must be held at a number > 0, got {number:g}")
            checked[name] = number
        else:
            raise ValueError(f"{name} must be a formula, a number or None, got {value!r}")
    if all(not isinstance(value, str) for value in checked.values()):
        raise ValueError(f"at least one parameter must have a formula, got {dict(settings)!r}")
    return checked


class Formula:
    """Turn tables into the design matrix of one parameter, the same way at the fit and at a prediction.

    Args:
        parameter: Which parameter, for messages.
        text: Right-hand side of a formula as ``formulaic`` reads it; ``.`` stands for all columns.

    Raises:
        ValueError: if the formula cannot be read.
    """

    def __init__(self, parameter: str, text: str) -> None:
        self.parameter = parameter
        self.text = text
        self.names: list[str] = []
        self.columns: list[Hashable] = []
        self._spec: Any = None
        self._levels: dict[Hashable, list[Any]] = {}

    def learn(self, frame: pd.DataFrame) -> Floats:
        """Read the formula against the table of the fit.

        Args:
            frame: The covariates, (n, columns).

        Returns:
            (n, p) design matrix on the user's scale, columns named by ``names``.

        Raises:
            ValueError: naming the formula and what it asks for that is not there, or the column with gaps.
        """
        import formulaic
        from formulaic.errors import FormulaicError

        frame = _without_empty_levels(frame)
        try:
            parsed = formulaic.Formula(self.text, _context={"__formulaic_variables_available__": list(frame)})
            # what stands inside transforms is known for certain only once the formula has been evaluated
            self.columns = _mentioned(self.text, parsed.required_variables, frame)
            self._no_gaps(frame)
            matrix = parsed.get_model_matrix(frame, context={}, na_action="ignore", ensure_full_rank=True)
        except FormulaicError as error:
            raise ValueError(
                f"{self.parameter}={self.text!r} cannot be read: {_plain(error)} "
                f"The table has the columns {', '.join(map(repr, list(frame.columns)[:12]))}"
            ) from error
        self._spec = matrix.model_spec
        self.columns = [c for c in frame.columns if c in self._spec.required_variables]
        self.names = [str(name) for name in matrix.columns]
        if not self.names:
            raise ValueError(
                f"{self.parameter}={self.text!r} has no term; to hold {self.parameter} give a number"
            )
        self._levels = {
            c: list(pd.unique(frame[c])) for c in self.columns if not pd.api.types.is_numeric_dtype(frame[c])
        }
        return self._floats(matrix)

    def design(self, frame: pd.DataFrame) -> Floats:
        """Return the design matrix of other rows.

        Args:
            frame: A table that holds the columns the formula uses.

        Returns:
            (n, p) design matrix on the user's scale.

        Raises:
            ValueError: naming a column that is missing or has gaps, or a level not seen at the fit.
        """
        if not self.columns:
            return np.ones((len(frame), len(self.names)))
        for column in self.columns:
            if column not in frame.columns:
                raise ValueError(f"column {column!r} is missing; the formula of {self.parameter} uses it")
        self._no_gaps(frame)
        for column, levels in self._levels.items():
            unseen = [v for v in pd.unique(frame[column]) if v not in levels]
            if unseen:
                raise ValueError(
                    f"column {column!r}: level {unseen[0]!r} was not seen at the fit; "
                    f"the levels are {', '.join(map(repr, levels))}"
                )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return self._floats(self._spec.get_model_matrix(frame, context={}, na_action="ignore"))

    def _no_gaps(self, frame: pd.DataFrame) -> None:
        for column in self.columns:
            values = frame[column]
            bad = values.isna().to_numpy()
            if pd.api.types.is_numeric_dtype(values):
                bad = bad | ~np.isfinite(values.to_numpy(dtype=float, na_value=np.nan))
            if bad.any():
                row = frame.index[int(np.argmax(bad))]
                raise ValueError(
                    f"column {column!r}: covariates must be present and finite, got "
                    f"{values.loc[row] if values.index.is_unique else values.iloc[int(np.argmax(bad))]} "
                    f"in row {row!r} ({int(bad.sum())} such rows)"
                )

    def _floats(self, matrix: Any) -> Floats:
        values = np.asarray(matrix, dtype=float)
        if not np.isfinite(values).all():
            name = self.names[int(np.argmax(~np.isfinite(values).all(axis=0)))]
            raise ValueError(f"{self.parameter}={self.text!r}: term {name!r} is not finite in every row")
        return values


@dataclass
class Block:
    """One parameter's part of the model: held at a number, or a standardised design with coefficients.

    Attributes:
        parameter: ``lam``, ``phi``, ``gamma`` or ``kappa``.
        held: The value on the log scale (``log(kappa + 1)`` for kappa), if it is held; else None.
        formula: The formula, if it is not held.
        matrix: (n, p) standardised columns; (1, 1) for an intercept alone.
        to_user: (p, p); the user's coefficients are ``to_user @ standardised``.
    """

    parameter: str
    held: float | None = None
    formula: Formula | None = None
    matrix: Floats | None = None
    to_user: Floats | None = None

    @classmethod
    def make(cls, parameter: str, setting: str | float, frame: pd.DataFrame, weights: Floats) -> Block:
        """Read one parameter's setting against the table of the fit.

        Args:
            parameter: Which parameter.
            setting: Its formula, or the number at which it is held.
            frame: (n, columns) covariates.
            weights: (n,) weights; rows of weight 0 do not count in the checks.

        Returns:
            The block.

        Raises:
            ValueError: naming a constant or collinear column.
        """
        if not isinstance(setting, str):
            value = float(setting)
            return cls(parameter, held=float(np.log1p(value) if parameter == "kappa" else np.log(value)))
        formula = Formula(parameter, setting)
        raw = formula.learn(frame)
        if formula.names == ["Intercept"]:
            return cls(parameter, None, formula, np.ones((1, 1)), np.eye(1))
        matrix, to_user = _standardise(raw, formula, weights)
        return cls(parameter, None, formula, matrix, to_user)

    @property
    def names(self) -> list[str]:
        """Names of its coefficients; none if it is held."""
        return self.formula.names if self.formula is not None else []

    @functools.cached_property
    def is_constant(self) -> bool:
        """Whether the parameter is the same in every row."""
        return self.names in ([], ["Intercept"])

    @property
    def intercept(self) -> int | None:
        """Position of the intercept among its coefficients, or None."""
        return self.names.index("Intercept") if "Intercept" in self.names else None

    def take(self, rows: Any) -> Block:
        """Return the block restricted to some rows."""
        if self.matrix is None or self.is_constant:
            return self
        return Block(self.parameter, self.held, self.formula, self.matrix[rows], self.to_user)


class Rows:
    """The four blocks on the same rows: coefficients in, linear predictors out.

    Args:
        blocks: The blocks in the order of ``PARAMETERS``.
        n: Number of rows.

    Attributes:
        free: Positions of the parameters that are not held.
        slices: Where each block's coefficients stand among all.
        size: Number of coefficients.
    """

    def __init__(self, blocks: Sequence[Block], n: int) -> None:
        self.blocks = tuple(blocks)
        self.n = n
        self.free = [j for j, block in enumerate(self.blocks) if block.held is None]
        ends = [int(end) for end in np.cumsum([len(block.names) for block in self.blocks])]
        self.slices = [
            slice(end - len(block.names), end) for end, block in zip(ends, self.blocks, strict=True)
        ]
        self.size = ends[-1]

    def names(self) -> list[tuple[str, str]]:
        """Return parameter and covariate of every coefficient."""
        return [(block.parameter, name) for block in self.blocks for name in block.names]

    def predictors(self, theta: Floats, rows: Any = slice(None)) -> Predictors:
        """Return ``(log lam, log phi, log gamma, nu)`` of some rows; numbers where they are constant.

        Args:
            theta: (size,) coefficients.
            rows: Slice or row numbers.

        Returns:
            Four numbers or arrays.
        """
        eta: list[Any] = []
        for block, part in zip(self.blocks, self.slices, strict=True):
            if block.matrix is None:
                eta.append(block.held)
            elif block.is_constant:
                eta.append(theta[part][0])
            else:
                eta.append(block.matrix[rows] @ theta[part])
        return (eta[0], eta[1], eta[2], eta[3])

    def chain(self, slopes: Mapping[int, Any]) -> Floats:
        """Carry derivatives in the linear predictors to the coefficients, row by row.

        Args:
            slopes: For each parameter the derivative in its linear predictor, a number or (n,); parameters
                that are held are passed over.

        Returns:
            (n, size) derivatives in the coefficients.
        """
        out = np.zeros((self.n, self.size))
        for j in self.free:
            matrix = self.blocks[j].matrix
            if j in slopes and matrix is not None:
                out[:, self.slices[j]] = np.broadcast_to(slopes[j], self.n)[:, None] * matrix
        return out

    def take(self, numbers: Any) -> Rows:
        """Return some of the rows.

        Args:
            numbers: Row numbers.

        Returns:
            Those rows.
        """
        return Rows([block.take(numbers) for block in self.blocks], len(numbers))

    def others(self, frame: pd.DataFrame) -> Rows:
        """Return the same blocks on other rows, for coefficients on the user's scale.

        Args:
            frame: A table with the columns that the formulas use.

        Returns:
            The rows of the table.

        Raises:
            ValueError: naming a missing column, a gap, or a level not seen at the fit.
        """
        designs = []
        for block in self.blocks:
            if block.formula is None:
                designs.append(block)
            else:
                matrix = np.ones((1, 1)) if block.is_constant else block.formula.design(frame)
                designs.append(Block(block.parameter, None, block.formula, matrix, np.eye(matrix.shape[1])))
        return Rows(designs, len(frame))

    def to_user(self) -> Floats:
        """Return the (size, size) map from standardised to the user's coefficients."""
        out = np.zeros((self.size, self.size))
        for block, part in zip(self.blocks, self.slices, strict=True):
            if block.to_user is not None:
                out[part, part] = block.to_user
        return out


def _standardise(raw: Floats, formula: Formula, weights: Floats) -> tuple[Floats, Floats]:
    """Return centred, scaled columns and the map of their coefficients back to the user's.

    Columns are centred only where there is an intercept to take up the shift. Newton's method does not care
    about scale, but its step limits and the rounding of its matrix do.
    """
    p = raw.shape[1]
    has_intercept = "Intercept" in formula.names
    where = f"{formula.parameter}={formula.text!r}"
    total = weights.sum()
    centre = (weights @ raw) / total if has_intercept else np.zeros(p)
    to_user = np.eye(p)
    matrix = np.empty(raw.shape)
    first = formula.names.index("Intercept") if has_intercept else -1
    for j, name in enumerate(formula.names):
        if j == first:
            matrix[:, j] = 1.0
            continue
        column = raw[:, j] - centre[j]
        scale = float(np.sqrt(weights @ column**2 / total))
        if not scale > 1e-9 * max(float(np.abs(raw[:, j]).max()), 1e-300):
            what = "is constant beside the intercept" if has_intercept else "is 0 in every row"
            raise ValueError(f"{where}: column {name!r} {what}; drop it from the formula")
        np.divide(column, scale, out=matrix[:, j])
        to_user[j, j] = 1.0 / scale
        if has_intercept:
            to_user[first, j] = -centre[j] / scale
    gram = (matrix * weights[:, None]).T @ matrix / total
    for j in range(1, p):
        inside, cross = gram[:j, :j], gram[:j, j]
        left = gram[j, j] - cross @ np.linalg.solve(inside, cross)
        if left < _COLLINEAR * gram[j, j]:
            others = ", ".join(repr(n) for n in formula.names[:j] if n != "Intercept")
            raise ValueError(
                f"{where}: column {formula.names[j]!r} is a linear combination of {others or 'the intercept'}; "
                "drop one of them"
            )
    return matrix, to_user


def _mentioned(text: str, required: Any, frame: pd.DataFrame) -> list[Hashable]:
    """Return the columns that a formula mentions, those inside transforms included."""
    words = set(re.findall(r"`([^`]+)`", text)) | set(re.findall(r"[A-Za-z_]\w*(?!\w*\s*[(=])", text))
    return [c for c in frame.columns if c in required or c in words]


def _without_empty_levels(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with categorical columns cut down to the levels that some row has."""
    categorical = [c for c in frame.columns if isinstance(frame[c].dtype, pd.CategoricalDtype)]
    if not categorical:
        return frame
    return frame.assign(**{str(c): frame[c].cat.remove_unused_categories() for c in categorical})


def _plain(error: Exception) -> str:
    """Return an error's first line without terminal colours."""
    return re.sub(r"\x1b\[[0-9;]*m|[⧛⧚]|\[\d;\d+m|\[0m", "", str(error)).splitlines()[0]
