"""The task law, for a data set as a whole and item by item."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm
from scipy.stats import t as student_t
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from broadsheet.methods.scaling.law import Law, Parameter
from broadsheet.methods.scaling.objective import Floats, LossName, Space
from broadsheet.methods.scaling.pass_until.emergence import Emergence, classify_emergence
from broadsheet.methods.scaling.pass_until.points import (
    Points,
    curve,
    inverse_curve,
    line_fit,
    read_points,
)
from broadsheet.methods.scaling.reading import Rows
from broadsheet.methods.scaling.runs import RunTable, renamed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CensoredWarning", "InstanceTaskScaling", "TaskScaling"]


class CensoredWarning(UserWarning):
    """Some sizes gave a bound on the pass rate only."""


class TaskScaling(Law):
    """``PU(N) = exp(-c N^-alpha)``, fitted as the line ``ln(-ln PU) = ln c - alpha ln N``.

    Points weigh by the width of their intervals on that scale. A size at which nothing passed, or everything did,
    bounds the line with the inner end of its interval.

    Args:
        loss: Kept at ``"mse"``: the line is fitted by weighted least squares.
        delta: Unused.
        space: Kept at ``"log"``.
        fixed: Not supported.
        grid: Unused: the optimum is in closed form.
        random_state: Unused: intervals are in closed form.

    Attributes:
        params_: ``c`` and ``alpha``.
        covariance_: (2, 2); of the level and slope of the line at the middle of ``ln N``.
        emergence_: The curvature of the points, see :func:`classify_emergence`.
        n_censored_: Sizes with a bound only.

    Source:
        The task scaling law at the level of the data set.

    Example:
        >>> sizes = np.array([3e7, 1e8, 3e8, 1e9])
        >>> law = TaskScaling().fit(pd.DataFrame({"N": sizes, "pu": np.exp(-800 * sizes**-0.25)}))
        >>> round(law.params_["alpha"], 6), bool(np.isclose(law.predict(2.4e9)[0], np.exp(-800 * 2.4e9**-0.25)))
        (0.25, True)
    """

    inputs = ("N",)
    target = "pu"
    parameters = (
        Parameter("c", "log", "-ln PU at N = 1"),
        Parameter("alpha", "identity", "how fast -ln PU falls with size"),
    )
    governs: ClassVar[Mapping[str, tuple[str, ...]]] = {"N": ("alpha",)}

    def __init__(
        self,
        loss: LossName = "mse",
        delta: float = 1e-3,
        space: Space = "log",
        fixed: Mapping[str, float] | None = None,
        grid: Mapping[str, Sequence[float]] | None = None,
        random_state: int = 0,
    ) -> None:
        super().__init__(
            loss=loss, delta=delta, space=space, fixed=fixed, grid=grid, random_state=random_state
        )

    def _log_predict(self, theta: Floats, x: Mapping[str, Any]) -> Floats:
        return np.asarray(-np.exp(theta[:, 0, None] - theta[:, 1, None] * np.log(x["N"])))

    def _log_predict_jacobian(self, theta: Floats, x: Mapping[str, Any]) -> tuple[Floats, Floats]:
        f = self._log_predict(theta, x)
        return f, np.stack([f, -f * np.log(x["N"])], axis=-1)

    def _starts(self, x: Mapping[str, Any], y: Floats) -> Floats:
        return np.array(self.theta_[None])

    def fit(  # type: ignore[override]
        self,
        runs: pd.DataFrame | RunTable,
        y: Any = None,
        *,
        columns: Mapping[str, Hashable] | None = None,
        weights: Any = None,
        level: float = 0.95,
    ) -> TaskScaling:
        """Fit the line.

        Args:
            runs: A row per model: ``N``, ``pu`` and, where known, ``lower`` and ``upper`` (as
                :func:`dataset_pass_rate` returns them). Models of one size may stand in several rows.
            y: Pass rates, where they do not stand in the table.
            columns: Where ``N``, ``pu``, ``lower`` and ``upper`` stand.
            weights: Not supported: the intervals weigh.
            level: Level of the intervals.

        Returns:
            Itself.

        Raises:
            ValueError: naming column, row and value: fewer than 3 sizes, a rate outside [0, 1], a rate of 0 or 1
                without an interval, or a setting that this law does not support.

        Warns:
            CensoredWarning: if some sizes gave a bound only.
        """
        if weights is not None or self.fixed:
            raise ValueError("TaskScaling weighs by lower and upper: weights= and fixed= are not supported")
        if self.loss != "mse" or self.space != "log":
            raise ValueError(
                f"TaskScaling is a line fitted by least squares: loss must be 'mse' and space 'log', got "
                f"{self.loss!r} and {self.space!r}"
            )
        frame = renamed(runs.df if isinstance(runs, RunTable) else runs, columns)
        if y is not None:
            frame = frame.assign(pu=np.asarray(y))
        points = read_points(frame, level=level)
        self.columns_ = dict(columns or {})
        self.n_censored_ = int((points.side != 0).sum())
        if self.n_censored_:
            warnings.warn(
                f"{self.n_censored_} of {len(points.x)} rows have a pass rate of 0 or 1: they bound the line by the "
                "inner end of their interval and do not place it",
                CensoredWarning,
                stacklevel=2,
            )
        self._line(points)
        self.emergence_: Emergence = classify_emergence(frame, level=level, warn=False)
        return self

    def _line(self, points: Points) -> None:
        (height, slope), covariance, residuals, used = line_fit(points)
        self._points, self._middle = points, float(points.x.mean())
        weight = 1.0 / points.sigma if points.weighted else np.ones(len(points.x))
        chi2 = float(np.square(residuals[used] * weight[used]).sum())
        self.dof_ = int(used.sum()) - 2
        # Known errors are widened where the points scatter more than they allow, never narrowed.
        spread = chi2 / self.dof_ if self.dof_ > 0 else np.nan
        self._known = points.weighted
        self.scale_ = float(np.sqrt(np.nanmax([1.0, spread]) if self._known else spread))
        self.covariance_ = self.scale_**2 * covariance if np.isfinite(self.scale_) else covariance * np.nan
        self._height, self._slope = float(height), float(slope)
        self.theta_ = np.array([height - slope * self._middle, -slope])
        self.parameters_ = self.parameters
        self.params_ = {"c": float(np.exp(self.theta_[0])), "alpha": float(self.theta_[1])}
        self.residuals_, self.objective_ = residuals, 0.5 * chi2
        self.runs_ = points.frame
        rates = points.frame["pu"].to_numpy(float)
        self.rows_ = Rows({"N": np.exp(points.x)}, rates, None, points.frame)
        self.n_agree_ = self.n_polished_ = 1
        self.converged_ = True
        self.n_features_in_ = 1

    def _quantile(self, level: float) -> float:
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, got {level!r}")
        if not np.isfinite(self.scale_):
            raise ValueError(
                "an interval needs a point more than the line has parameters, or lower and upper"
            )
        tail = 0.5 + 0.5 * level
        return float(norm.ppf(tail) if self._known else student_t.ppf(tail, self.dof_))

    def predict(
        self,
        new: Any = None,
        *,
        interval: float | None = None,
        n_boot: int = 0,
        group: str | None = None,
        **inputs: Any,
    ) -> Any:
        """Predict the pass rate at sizes.

        Args:
            new: Sizes, or a table with ``N``.
            interval: Level of the interval of the line, or None.
            n_boot: Unused: the interval is in closed form.
            group: Unused.
            **inputs: ``N=`` instead of ``new``.

        Returns:
            (n,) rates; with an interval a frame of ``pu``, ``lower`` and ``upper``.

        Raises:
            ValueError: if a size is not positive, or no interval can be given.
        """
        rates = super().predict(new, **inputs)
        if interval is None:
            return rates
        from broadsheet.methods.scaling.reading import new_inputs

        x, index = new_inputs(self, new, inputs)
        away = np.log(x["N"]) - self._middle
        design = np.stack([np.ones(len(away)), away], axis=1)
        half = self._quantile(interval) * np.sqrt(np.einsum("ni,ij,nj->n", design, self.covariance_, design))
        F = self._height + self._slope * away
        return pd.DataFrame(
            {"pu": rates, "lower": inverse_curve(F + half), "upper": inverse_curve(F - half)}, index=index
        )

    def confint(self, level: float = 0.95, method: Any = "hessian", **_: Any) -> pd.DataFrame:
        """Return intervals of ``c`` and ``alpha`` from the covariance of the line.

        Args:
            level: In (0, 1).
            method: ``"hessian"``, the only one: a handful of sizes cannot be resampled.

        Returns:
            A frame with ``estimate``, ``lower`` and ``upper`` by parameter.

        Raises:
            ValueError: if no interval can be given or the method is another.
        """
        check_is_fitted(self, "theta_")
        if method != "hessian":
            raise ValueError(
                f"method must be 'hessian', got {method!r}: a handful of sizes cannot be resampled"
            )
        turn = np.array([[1.0, -self._middle], [0.0, -1.0]])
        half = self._quantile(level) * np.sqrt(np.diag(turn @ self.covariance_ @ turn.T))
        low, high = self.theta_ - half, self.theta_ + half
        return pd.DataFrame(
            {
                "estimate": [self.params_["c"], self.params_["alpha"]],
                "lower": [np.exp(low[0]), low[1]],
                "upper": [np.exp(high[0]), high[1]],
            },
            index=pd.Index(["c", "alpha"], name="parameter"),
        )

    def plot(  # type: ignore[override]
        self, ax: Axes | None = None, *, scale: str = "loglog", interval: float | None = 0.95, **_: Any
    ) -> Axes:
        """Plot the measured rates and the law over size.

        Args:
            ax: Where to draw; the current Axes by default.
            scale: ``"loglog"``, ``"semilog"`` (linear rate) or ``"F"`` (the scale on which the law is a line).
            interval: Level of the band, or None.

        Returns:
            The Axes.

        Raises:
            ValueError: if the scale is unknown.
        """
        from broadsheet.methods.scaling.pass_until.plots import plot_task_scaling

        check_is_fitted(self, "theta_")
        return plot_task_scaling(self, ax, scale=scale, interval=interval)


class InstanceTaskScaling(BaseEstimator):  # type: ignore[misc]
    """One law per item, ``P_s(N) = exp(-c_s N^-alpha_s)``; the data set's value is the mean over items.

    Args:
        random_state: Seed of the bootstrap over items.

    Attributes:
        items_: A row per item: ``item``, ``c``, ``alpha``, ``sizes`` (at which it was measured or estimated).
        n_from_loss_: Values that were estimated from the loss of the reference solution.

    Source:
        The instance level of the task scaling law. How the loss steadies the fits is our reading: where an
        item never passed, or always, its F is the logarithm of that loss plus the item's mean difference where both are
        known (that of all items where they never are).

    Example:
        >>> rows = [
        ...     {"item": s, "N": n, "p_mle": np.exp(-c * n**-0.3)}
        ...     for s, c in (("a", 900.0), ("b", 1500.0))
        ...     for n in (1e7, 1e8, 1e9)
        ... ]
        >>> law = InstanceTaskScaling().fit(pd.DataFrame(rows))
        >>> law.items_["alpha"].round(6).tolist()
        [0.3, 0.3]
    """

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(
        self,
        frame: pd.DataFrame,
        *,
        item: str = "item",
        N: str = "N",
        rate: str = "p_mle",
        loss: str | None = None,
        level: float = 0.95,
    ) -> InstanceTaskScaling:
        """Fit a line per item.

        Args:
            frame: A row per item and size: tables of :meth:`PassUntil.run` with a column of sizes, stacked.
            item: Column of items.
            N: Column of parameters.
            rate: Column of pass rates.
            loss: Column of the loss of the reference solution, summed over its tokens, nats; it stands in where nothing
                or everything passed. Without it such a value is a bound.
            level: Level of the intervals ``lower`` and ``upper``, where there are any.

        Returns:
            Itself.

        Raises:
            ValueError: if an item has fewer than 2 usable sizes, all have fewer than 3, or a loss is not positive.
            KeyError: if a column is not there.
        """
        for name in (item, N, rate, *([loss] if loss else [])):
            if name not in frame:
                raise KeyError(
                    f"there is no column {name!r}; columns are {', '.join(map(str, frame.columns))}"
                )
        if frame[N].nunique() < 3:
            raise ValueError(f"column {N!r}: at least 3 distinct sizes are needed, got {frame[N].nunique()}")
        table = frame.reset_index(drop=True)
        self.n_from_loss_ = 0
        if loss is not None:
            table = self._steady(table, item, rate, loss)
        fitted = []
        for label, rows in table.groupby(item, sort=False):
            try:
                points = read_points(rows, N, rate, level=level, sizes=2)
                (height, slope), *_ = line_fit(points)
            except ValueError as error:
                raise ValueError(f"item {label!r}: {error}") from error
            c = np.exp(height - slope * points.x.mean())
            fitted.append({"item": label, "c": c, "alpha": -slope, "sizes": int((points.side == 0).sum())})
        self.items_ = pd.DataFrame(fitted)
        return self

    def _steady(self, table: pd.DataFrame, item: str, rate: str, loss: str) -> pd.DataFrame:
        p, nats = table[rate].to_numpy(float), table[loss].to_numpy(float)
        if not (np.isfinite(nats) & (nats > 0)).all():
            bad = int(np.argmin(np.isfinite(nats) & (nats > 0)))
            raise ValueError(
                f"column {loss!r}: losses must be positive and finite, got {nats[bad]:g} in row {bad}"
            )
        between = (p > 0) & (p < 1)
        # On the F scale, so that the stand-in is a rate whatever the shift.
        gap = pd.Series(np.where(between, curve(p), np.nan) - np.log(nats))
        shift = gap.groupby(table[item]).transform("mean").fillna(gap.mean()).fillna(0.0).to_numpy()
        stand_in = np.clip(inverse_curve(np.log(nats) + shift), 1e-300, 1.0 - 1e-12)
        self.n_from_loss_ = int((~between).sum())
        out = table.assign(**{rate: np.where(between, p, stand_in)})
        if {"lower", "upper"} <= set(out.columns):
            # What never passed, or always, was not resolved by sampling: the interval yields to the stand-in.
            out["lower"] = np.minimum(out["lower"], out[rate])
            out["upper"] = np.maximum(out["upper"], out[rate])
        return out

    def predict(self, N: ArrayLike, *, interval: float | None = None, n_boot: int = 1000) -> Any:
        """Predict the mean pass rate at sizes.

        Args:
            N: (n,); parameters.
            interval: Level of an interval over resampled items, or None.
            n_boot: Resamples.

        Returns:
            (n,) rates; with an interval a frame of ``N``, ``pu``, ``lower`` and ``upper``.

        Raises:
            ValueError: if a size is not positive, or ``interval`` is out of range.
        """
        check_is_fitted(self, "items_")
        sizes = np.atleast_1d(np.asarray(N, float))
        if not (np.isfinite(sizes) & (sizes > 0)).all():
            raise ValueError(f"N must be positive and finite, got {sizes.min():g}")
        F = np.log(self.items_["c"].to_numpy()) - np.outer(np.log(sizes), self.items_["alpha"].to_numpy())
        each = inverse_curve(F)
        # The mean of rates, not the rate of the mean F: a few easy items carry the value.
        rates = each.mean(axis=1)
        if interval is None:
            return rates
        if not 0.0 < interval < 1.0:
            raise ValueError(f"interval must lie between 0 and 1, got {interval!r}")
        rng = np.random.default_rng(self.random_state)
        drawn = each[:, rng.integers(0, each.shape[1], (n_boot, each.shape[1]))].mean(axis=2)
        tail = 0.5 * (1.0 - interval)
        low, high = np.quantile(drawn, [tail, 1.0 - tail], axis=1)
        return pd.DataFrame({"N": sizes, "pu": rates, "lower": low, "upper": high})
