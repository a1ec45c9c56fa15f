"""The IsoFLOP way to the optimum: a parabola for each budget, and a power law through their lowest points."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.identification import NotIdentified, ScalingWarning
from broadsheet.methods.scaling.objective import Floats
from broadsheet.methods.scaling.runs import RunTable

__all__ = ["IsoFLOP", "PowerTrend", "fit_power_trend", "isoflop_fit"]


@dataclass(frozen=True)
class PowerTrend:
    """``y = coefficient * x**exponent``, by weighted least squares of the logarithms.

    Attributes:
        exponent: The slope.
        exponent_std: Its standard error from the scatter about the line; NaN with two points.
        coefficient: y at x = 1.
        r2: Weighted share of the variance of ln y that the line explains.
    """

    exponent: float
    exponent_std: float
    coefficient: float
    r2: float

    def predict(self, x: Any) -> Floats:
        """Return y at x."""
        values: Floats = self.coefficient * np.asarray(x, float) ** self.exponent
        return values


def fit_power_trend(x: Any, y: Any, std: Any = None) -> PowerTrend:
    """Fit a straight line to logarithms.

    Args:
        x: (n,) > 0.
        y: (n,) > 0.
        std: (n,) standard errors of ln y, > 0; points weigh ``1 / std**2``. All alike by default.

    Returns:
        The line.

    Raises:
        ValueError: if shapes differ or a value is not > 0, with its place.
        NotIdentified: with fewer than two distinct x.

    Example:
        >>> round(fit_power_trend([1e17, 1e18, 1e19], [1e7, 3e7, 9e7]).exponent, 3)
        0.477
    """
    given = {"x": x, "y": y, **({"std": std} if std is not None else {})}
    arrays = {name: np.asarray(values, float) for name, values in given.items()}
    for name, values in arrays.items():
        if values.ndim != 1 or values.shape != arrays["x"].shape:
            raise ValueError(f"{name} must have one value per point, {arrays['x'].shape}, got {values.shape}")
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            at = int(np.argmax(bad))
            raise ValueError(f"{name} must be finite and > 0, got {values[at]:g} at position {at}")
    log_x, log_y = np.log(arrays["x"]), np.log(arrays["y"])
    if len(np.unique(log_x)) < 2:
        raise NotIdentified(f"x has {len(np.unique(log_x))} distinct values: an exponent needs at least 2")
    w = np.ones(len(log_x)) if std is None else arrays["std"] ** -2.0
    w = w / w.sum()
    mx, my = w @ log_x, w @ log_y
    sxx, syy = w @ (log_x - mx) ** 2, w @ (log_y - my) ** 2
    slope = w @ ((log_x - mx) * (log_y - my)) / sxx
    left = w @ (log_y - my - slope * (log_x - mx)) ** 2
    n = len(log_x)
    error = float(np.sqrt(left / sxx / (n - 2))) if n > 2 else float("nan")
    return PowerTrend(
        float(slope), error, float(np.exp(my - slope * mx)), float(1.0 - left / syy) if syy else 1.0
    )


@dataclass(frozen=True)
class IsoFLOP:
    """What the parabolas say.

    Attributes:
        optima: One row per budget: ``C``, ``N``, ``D``, ``loss`` at the lowest point, ``log_N_std`` (standard
            error of ln N), ``curvature``, ``runs``, and ``inside`` (whether the lowest point lies within the
            sizes that were run; the trends rest on those alone).
        N_trend: N over C.
        D_trend: D over C.
    """

    optima: pd.DataFrame
    N_trend: PowerTrend
    D_trend: PowerTrend


def isoflop_fit(
    runs: pd.DataFrame | RunTable,
    *,
    level: str = "C",
    columns: Mapping[str, Hashable] | None = None,
    within: float | None = None,
    weighted: bool = True,
) -> IsoFLOP:
    """Find the compute-optimal size of each budget by a parabola in ln N, and how it grows.

    Args:
        runs: Runs with N, loss, and C or D, at least 3 sizes for each budget and two budgets.
        level: The column whose distinct values are the budgets. Budgets that differ by rounding need a column
            of their own, with the nominal ones.
        columns: Where columns stand, by canonical name.
        within: Use only sizes within this factor (> 1) of the best one of their budget: far from the lowest
            point no parabola holds. None: all sizes.
        weighted: Whether budgets weigh by the inverse variance of their ln N (where all have one).

    Returns:
        The optima and their trends.

    Raises:
        ValueError: naming column and row of what is wrong.
        NotIdentified: if fewer than two budgets have a lowest point within their sizes.

    Warns:
        ScalingWarning: naming budgets that have fewer than 3 sizes, or no lowest point among them.

    Source:
        Hoffmann et al. 2022 (arXiv:2203.15556), section 3.2.

    Example:
        >>> share, C = (a.ravel() for a in np.meshgrid(np.geomspace(0.3, 3.0, 7), [1e18, 1e19, 1e20]))
        >>> N = share * 0.1 * (C / 6) ** 0.5
        >>> D = C / (6 * N)
        >>> frame = pd.DataFrame({"N": N, "C": C, "loss": 1.8 + 480 / N**0.35 + 2100 / D**0.37})
        >>> round(isoflop_fit(frame).N_trend.exponent, 2)
        0.51
    """
    table = runs if isinstance(runs, RunTable) and not columns else RunTable(_frame(runs), columns)
    frame = table.df
    for name in ("N", "D", "loss"):
        if name not in frame.columns:
            raise ValueError(
                f"column {name!r} is needed (two of N, D and C, and the loss); name it with columns="
            )
    if level not in frame.columns:
        raise ValueError(f"level={level!r} is no column of the table")
    if within is not None and not within > 1:
        raise ValueError(f"within must be a factor > 1, got {within!r}")
    found, left_out = [], []
    for budget, near in frame.groupby(level):
        best = float(near.iloc[int(near["loss"].to_numpy().argmin())]["N"])
        rows = near if within is None else near[np.abs(np.log(near["N"] / best)) <= np.log(within)]
        if rows["N"].nunique() < 3:
            left_out.append(budget)
            continue
        found.append({"C": float(rows["C"].median()), **_parabola(rows)})
    optima = pd.DataFrame(found)
    good = optima[optima["inside"]] if len(optima) else optima
    left_out += list(optima.loc[~optima["inside"], "C"]) if len(optima) else []
    if left_out:
        shown = ", ".join(f"{b:.3g}" for b in left_out[:5])
        warnings.warn(
            f"{len(left_out)} budgets have fewer than 3 sizes or no lowest point among them and are left out of "
            f"the trends: {shown}",
            ScalingWarning,
            stacklevel=2,
        )
    if len(good) < 2:
        raise NotIdentified(f"{len(good)} budgets have a lowest point among their sizes: a trend needs 2")
    std = good["log_N_std"] if weighted and (good["log_N_std"] > 0).all() else None
    return IsoFLOP(
        optima, fit_power_trend(good["C"], good["N"], std), fit_power_trend(good["C"], good["D"], std)
    )


def _frame(runs: pd.DataFrame | RunTable) -> pd.DataFrame:
    return runs.df if isinstance(runs, RunTable) else runs


def _parabola(rows: pd.DataFrame) -> dict[str, Any]:
    """Fit ``loss = c0 + c1 z + c2 z**2`` in centred z = ln N, and find its lowest point."""
    log_n = np.log(rows["N"].to_numpy())
    middle = log_n.mean()
    z, loss = log_n - middle, rows["loss"].to_numpy()
    design = np.stack([np.ones_like(z), z, z**2], axis=1)
    (c0, c1, c2), *_ = np.linalg.lstsq(design, loss, rcond=None)
    n = len(rows)
    lowest = -c1 / (2 * c2) if c2 else np.inf
    std = float("nan")
    if n > 3 and c2 > 0:
        left = float(((loss - design @ np.array([c0, c1, c2])) ** 2).sum()) / (n - 3)
        cov = left * np.linalg.inv(design.T @ design)
        slope = np.array([0.0, -1.0 / (2 * c2), c1 / (2 * c2**2)])
        std = float(np.sqrt(slope @ cov @ slope))
    size = float(np.exp(middle + lowest)) if abs(lowest) < 700 else float("inf")
    budget = float(rows["C"].median())
    return {
        "N": size,
        "D": budget / (6.0 * size),
        "loss": float(c0 + c1 * lowest + c2 * lowest**2) if np.isfinite(lowest) else float("nan"),
        "log_N_std": std,
        "curvature": float(2 * c2),
        "runs": n,
        "inside": bool(c2 > 0 and z.min() <= lowest <= z.max()),
    }
