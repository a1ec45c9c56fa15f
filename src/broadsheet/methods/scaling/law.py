"""The base of every law: fitting, prediction with intervals, validation by scale, and what is kept of it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from broadsheet.methods.scaling import plots, records, report, uncertainty, validation
from broadsheet.methods.scaling.identification import (
    NeedsRuns,
    NotIdentified,
    ScalingWarning,
    open_parameters_fault,
    refuse_constant_inputs,
    refuse_flat_directions,
)
from broadsheet.methods.scaling.objective import (
    LOSSES,
    SPACES,
    Curvature,
    Floats,
    LossName,
    Objective,
    Space,
)
from broadsheet.methods.scaling.reading import Rows, new_inputs, read_rows
from broadsheet.methods.scaling.runs import LossUnit, RunTable
from broadsheet.methods.scaling.searching import search

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Law", "Parameter"]

AnyLaw = TypeVar("AnyLaw", bound="Law")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a law.

    Args:
        name: Its name in ``params_``.
        transform: ``log``: positive, fitted as its logarithm; ``identity``: any number.
        meaning: What it is, for reports.
    """

    name: str
    transform: Literal["log", "identity"] = "log"
    meaning: str = ""


class Law(BaseEstimator):  # type: ignore[misc]
    """A scaling law: predicts a positive quantity from positive inputs. Base class.

    A law of one's own names ``inputs``, ``parameters`` and (for messages) which inputs ``governs`` which
    parameters, and writes ``_log_predict``, ``_log_predict_jacobian`` and ``_starts``; all else is inherited.

    Args:
        loss: Loss of a residual: ``huber``, ``mse``, ``mae``, or ``asymmetric`` (absolute, 10 times heavier
            where the prediction is too high, which fits a lower bound).
        delta: Where Huber's loss turns linear, in the residual's unit, > 0.
        space: Residuals of the logarithm (``log``) or of the quantity itself (``linear``).
        fixed: Parameters held at given values.
        grid: Start values per parameter on its natural scale, ``{"alpha": [0.2, 0.4], ...}``: their product
            replaces the law's own starts.
        random_state: Seed of the bootstrap, >= 0.

    Attributes:
        params_: Parameters on their natural scale, by name.
        theta_: (k,) the same as fitted: logarithms of positive ones.
        objective_: The minimised sum.
        n_agree_: How many of the polished starts ended within 1e-6 (relative) of the best.
        n_polished_: How many were polished.
        converged_: Whether the best met its tolerance.
        runs_: The rows of the fit.
        residuals_: (n,) residuals in the space of the fit.

    Source:
        The robust fit in log space: Hoffmann et al. 2022 (arXiv:2203.15556), section 3.3; the sum in place of
        the mean: Besiroglu et al. 2024 (arXiv:2404.10102).
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    labels: ClassVar[tuple[str, ...]] = ()
    """Columns that are read as they are (groups, tasks)."""
    target: str = "loss"
    """The column that is predicted; a law may make it a setting."""
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    governs: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    domains: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """Closed ranges of inputs that need not be > 0."""

    def __init__(
        self,
        loss: LossName = "huber",
        delta: float = 1e-3,
        space: Space = "log",
        fixed: Mapping[str, float] | None = None,
        grid: Mapping[str, Sequence[float]] | None = None,
        random_state: int = 0,
    ) -> None:
        self.loss = loss
        self.delta = delta
        self.space = space
        self.fixed = fixed
        self.grid = grid
        self.random_state = random_state

    # ---- what a law writes

    def _inputs(self) -> tuple[str, ...]:
        """Return the columns that the law reads; override where settings decide."""
        return self.inputs

    def _parameters(self, x: Mapping[str, Any]) -> tuple[Parameter, ...]:
        """Return the parameters; override where their number depends on the data."""
        return self.parameters

    def _governs(self) -> Mapping[str, tuple[str, ...]]:
        """Return which parameters only a change of an input can tell."""
        return self.governs

    def _log_predict(self, theta: Floats, x: Mapping[str, Any]) -> Floats:
        """Return (m, n) log-predictions for (m, k) transformed parameters."""
        raise NotImplementedError(f"{type(self).__name__} must define _log_predict")

    def _log_predict_jacobian(self, theta: Floats, x: Mapping[str, Any]) -> tuple[Floats, Floats]:
        """Return (m, n) log-predictions and their (m, n, k) derivatives."""
        raise NotImplementedError(f"{type(self).__name__} must define _log_predict_jacobian")

    def _log_predict_curvature(self, theta: Floats, x: Mapping[str, Any], u: Floats) -> Floats:
        """Return (m, k, k): the second derivatives summed over rows with (m, n) weights ``u``.

        The default differs the Jacobian numerically; a closed form is faster.
        """
        m, k = theta.shape
        step = 1e-5
        found = np.empty((m, k, k))
        for j in range(k):
            up, down = theta.copy(), theta.copy()
            up[:, j] += step
            down[:, j] -= step
            change = self._log_predict_jacobian(up, x)[1] - self._log_predict_jacobian(down, x)[1]
            found[:, j, :] = (u[:, None, :] @ change)[:, 0, :] / (2 * step)
        return 0.5 * (found + found.transpose(0, 2, 1))

    def _log_predict_expansion(self, theta: Floats, x: Mapping[str, Any]) -> tuple[Floats, Floats, Curvature]:
        """Return predictions, Jacobian and curvature at once; override where they share work."""
        predicted, jacobian = self._log_predict_jacobian(theta, x)
        return predicted, jacobian, lambda u: self._log_predict_curvature(theta, x, u)

    def _starts(self, x: Mapping[str, Any], y: Floats) -> Floats:
        """Return (m, k) transformed starts, which are screened in one pass."""
        raise NotImplementedError(f"{type(self).__name__} must define _starts")

    # ---- fitting

    def fit(
        self: AnyLaw,
        runs: pd.DataFrame | RunTable,
        y: Any = None,
        *,
        columns: Mapping[str, Hashable] | None = None,
        weights: Any = None,
        loss_unit: LossUnit = "nats",
        spare_rows: int = 2,
        open_parameters: Literal["refuse", "warn"] = "refuse",
    ) -> AnyLaw:
        """Fit the law.

        Args:
            runs: One row per run, with the law's inputs and its target. Of N, D and C two are enough.
            y: (n,) target, if it does not stand in the table.
            columns: Where the law's columns stand: ``{"N": "Model Size"}``.
            weights: Column name, or (n,) weights >= 0; ``1 / std**2`` for ``loss="mse"``.
            loss_unit: Unit of the loss: ``nats``, ``bits`` or ``perplexity``.
            spare_rows: How many more rows than free parameters are asked for, >= 0. With 0 the law may go
                through every point, and nothing is left to judge it by: intervals are refused.
            open_parameters: What to do where the noise leaves a parameter open by more than a factor of 20,000
                either way: ``refuse`` the fit, or ``warn``, where predictions near the table are all that is
                wanted.

        Returns:
            The law itself.

        Raises:
            ValueError: naming argument, or column, row and value, of what is wrong; or if there are fewer rows
                than free parameters + ``spare_rows``.
            NotIdentified: if the table cannot tell some parameters; the message names them and says why.

        Warns:
            ScalingWarning: if only one start reached the optimum, or an exponent came out negative.
        """
        self._check_settings()
        rows = read_rows(self, runs, y, columns=columns, weights=weights, loss_unit=loss_unit)
        self.columns_ = dict(columns or {})
        self._adopt(rows)
        free = self._free()
        if open_parameters not in ("refuse", "warn"):
            raise ValueError(f"open_parameters must be 'refuse' or 'warn', got {open_parameters!r}")
        if not isinstance(spare_rows, int) or spare_rows < 0:
            raise ValueError(f"spare_rows must be a whole number >= 0, got {spare_rows!r}")
        if len(rows.y) < free.sum() + spare_rows:
            raise ValueError(
                f"{type(self).__name__} has {int(free.sum())} free parameters and needs at least "
                f"{int(free.sum()) + spare_rows} rows, got {len(rows.y)}; add runs, or hold parameters with fixed="
            )
        refuse_constant_inputs(rows.x, self._moving_inputs())
        self.open_parameters_ = open_parameters
        self._search(free)
        self.residuals_ = self._objective().residuals(self.theta_[None])[0]
        self._judge(free)
        self.n_features_in_ = len(self._inputs())
        return self

    def _check_settings(self) -> None:
        for argument, given in (("fixed", self.fixed), ("grid", self.grid)):
            if given is not None and not isinstance(given, Mapping):
                raise ValueError(f"{argument} must map names of parameters to values, got {given!r}")
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {self.loss!r}")
        if self.space not in SPACES:
            raise ValueError(f"space must be one of {', '.join(SPACES)}, got {self.space!r}")
        if not (isinstance(self.delta, int | float) and math.isfinite(self.delta) and self.delta > 0):
            raise ValueError(f"delta must be a number > 0, got {self.delta!r}")

    def _adopt(self, rows: Rows) -> None:
        self.__dict__.pop("bootstrap_", None)  # refits of other rows
        self.rows_ = rows
        self.runs_ = rows.frame
        self.parameters_ = tuple(self._parameters(rows.x))
        names = self.names_
        for argument, given in (("fixed", self.fixed), ("grid", self.grid)):
            for name in given or {}:
                if name not in names:
                    raise ValueError(
                        f"{argument} names {name!r}, which is no parameter; there are {', '.join(names)}"
                    )

    @property
    def names_(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(p.name for p in self.parameters_)

    def _free(self) -> np.ndarray:
        return np.array([p.name not in (self.fixed or {}) for p in self.parameters_])

    def _moving_inputs(self) -> dict[str, tuple[str, ...]]:
        held = set(self.fixed or {})
        left = {i: tuple(p for p in names if p not in held) for i, names in self._governs().items()}
        return {i: names for i, names in left.items() if names}

    def _objective(self, weights: Floats | None = None) -> Objective:
        """Return the objective on the fitted rows, optionally with (m, n) counts of resampled rows."""
        rows = self.rows_
        if weights is not None and rows.weights is not None:
            weights = weights * rows.weights
        return Objective(
            self,
            rows.x,
            rows.y,
            self.loss,
            self.delta,
            self.space,
            rows.weights if weights is None else weights,
        )

    def _transformed(self, name: str, values: Any) -> Floats:
        parameter = next(p for p in self.parameters_ if p.name == name)
        given = np.asarray(values, float)
        if parameter.transform == "identity":
            return np.asarray(given)
        if not (given > 0).all():
            raise ValueError(f"parameter {name!r} must be > 0, got {float(given.min()):g}")
        return np.asarray(np.log(given))

    def _natural(self, theta: Floats) -> Floats:
        """Return parameters on their natural scale for (..., k) transformed ones."""
        logs = np.array([p.transform == "log" for p in self.parameters_])
        with np.errstate(over="ignore"):
            natural: Floats = np.where(logs, np.exp(np.where(logs, theta, 0.0)), theta)
        return natural

    def _search(self, free: np.ndarray) -> None:
        """Find the optimum and set it; ``free`` is the (k,) mask of the parameters that may move."""
        search(self, free)

    def _judge(self, free: np.ndarray) -> None:
        """Refuse or caution against what was found; only ``free`` parameters are asked for."""
        jacobian = self._log_predict_jacobian(self.theta_[None], self.rows_.x)[1][0]
        if self.rows_.weights is not None:
            jacobian = jacobian[self.rows_.weights > 0]
        names = [n for n, f in zip(self.names_, free, strict=True) if f]
        may_vanish = self._may_vanish()
        refuse_flat_directions(jacobian[:, free], names, what=type(self).__name__, may_vanish=may_vanish)
        if len(self.rows_.y) > len(names):
            with np.errstate(all="ignore"):
                spread = np.where(free, self._openness(uncertainty.covariance(self)), 0.0)
            fault = open_parameters_fault(spread, jacobian, self.names_, what=type(self).__name__)
            if fault and self.open_parameters_ == "refuse":
                raise NotIdentified(fault)
            if fault:
                warnings.warn(fault, ScalingWarning, stacklevel=3)
        for text in self._cautions():
            warnings.warn(text, ScalingWarning, stacklevel=3)
        if self.n_agree_ == 1 and self.n_polished_ > 1:
            warnings.warn(
                f"only 1 of {self.n_polished_} polished starts reached the best objective {self.objective_:.6g}; "
                "it may not be the lowest: give a finer grid=, or look at polished_",
                ScalingWarning,
                stacklevel=3,
            )
        if not self.converged_:
            warnings.warn(
                f"the search of {type(self).__name__} stopped before it met its tolerance; read the "
                "parameters with care",
                ScalingWarning,
                stacklevel=3,
            )

    def _openness(self, covariance: Floats) -> Floats:
        """Return (k,) standard errors by which parameters are refused as open; 0 where any size will do.

        Override where a parameter is a scale far outside of the table, which only means something beside another.
        """
        logs = np.array([p.transform == "log" for p in self.parameters_])
        found: Floats = np.where(logs, np.sqrt(np.diag(covariance)), 0.0)
        return found

    def _unfitted(self) -> Law:
        """Return a law of the same settings that has seen no runs."""
        made: Law = clone(self)
        return made

    def _may_vanish(self) -> tuple[str, ...]:
        """Return weights of terms that may run to 0 at the optimum, as a caution and not as an error."""
        return ()

    def _cautions(self) -> list[str]:
        """Return sentences without which the fitted parameters must not be read; each becomes a warning."""
        return []

    @classmethod
    def from_params(cls: type[AnyLaw], params: Mapping[str, float], **settings: Any) -> AnyLaw:
        """Make a law of known parameters, for example published ones, without a fit.

        Args:
            params: Every parameter on its natural scale.
            **settings: Those of the law.

        Returns:
            A law that predicts. Intervals need runs, and are refused.

        Raises:
            ValueError: if a parameter is missing, unknown, or not > 0 where it must be.

        Example:
            >>> from broadsheet.methods.scaling import Chinchilla
            >>> hoffmann = Chinchilla.from_params(
            ...     {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
            ... )
            >>> round(float(hoffmann.predict(N=7e10, D=1.4e12)[0]), 3)
            1.937
        """
        law = cls(**settings)
        law.parameters_ = tuple(law._parameters({}))
        wrong = set(params) ^ set(law.names_)
        if wrong:
            raise ValueError(f"params must name {', '.join(law.names_)}; {sorted(wrong)[0]!r} does not fit")
        law.theta_ = np.array([float(law._transformed(name, params[name])) for name in law.names_])
        law.params_ = {name: float(params[name]) for name in law.names_}
        return law

    # ---- prediction

    def predict(
        self,
        new: Any = None,
        *,
        interval: float | None = None,
        n_boot: int = 400,
        group: str | None = None,
        **inputs: Any,
    ) -> Any:
        """Predict the target.

        Args:
            new: Table with the law's inputs; for a law of one input a number or an array will do.
            interval: Level of prediction intervals in (0, 1), for one further run: uncertainty of the
                parameters (bootstrap) and of the residual together. None: no interval.
            n_boot: Refits behind the interval, >= 20.
            group: Column of the fitted table whose values are resampled as a whole.
            **inputs: The inputs by name, instead of ``new``: ``predict(N=1e9, D=2e10)``.

        Returns:
            (n,) predictions; with an interval a frame of the target's name, ``lower`` and ``upper``, under the
            index of ``new``.

        Raises:
            NotFittedError: before ``fit``.
            ValueError: naming column and row of a bad input, or the bad argument.
        """
        check_is_fitted(self, "theta_")
        if interval is not None:
            self._check_has_runs()
        x, index = new_inputs(self, new, inputs)
        with np.errstate(over="ignore"):
            middle = np.exp(self._log_predict(self.theta_[None], x)[0])
        if interval is None:
            return middle
        low, high = uncertainty.prediction_interval(self, x, level=interval, n_boot=n_boot, group=group)
        return pd.DataFrame({self.target: middle, "lower": low, "upper": high}, index=index)

    # ---- uncertainty

    def bootstrap(
        self, n_boot: int = 1000, *, group: str | None = None, n_jobs: int = 1
    ) -> uncertainty.Bootstrap:
        """Refit on resampled rows, or groups of rows; kept until another is asked for.

        The draws of resample i depend on ``random_state`` and i alone, whatever ``n_boot`` and ``n_jobs``.

        Args:
            n_boot: Number of refits, >= 20.
            group: Column whose values are resampled as a whole: checkpoints of one run are not independent.
            n_jobs: Threads.

        Returns:
            The refits, failed ones marked and counted.
        """
        self._check_has_runs()
        return uncertainty.bootstrap(self, n_boot=n_boot, group=group, n_jobs=n_jobs)

    def confint(
        self,
        level: float = 0.95,
        method: Literal["bootstrap", "hessian", "profile"] = "bootstrap",
        *,
        n_boot: int = 1000,
        group: str | None = None,
        kind: Literal["percentile", "basic"] = "percentile",
        n_jobs: int = 1,
    ) -> pd.DataFrame:
        """Return intervals of the parameters.

        Args:
            level: Coverage in (0, 1).
            method: ``bootstrap`` (refits), ``hessian`` (quadratic approximation, on the transformed scale) or
                ``profile`` (all other parameters refitted at each value).
            n_boot: Refits of the bootstrap, >= 20.
            group: Column whose values are resampled as a whole (bootstrap), or whose rows may depend on each
                other (hessian).
            kind: ``percentile`` or ``basic`` bootstrap intervals.
            n_jobs: Threads of the bootstrap.

        Returns:
            A frame with ``estimate``, ``lower`` and ``upper`` by parameter; ``attrs["failed"]`` counts failed
            refits.

        Raises:
            ValueError: naming the argument.
        """
        self._check_has_runs()
        return uncertainty.confint(
            self, level=level, method=method, n_boot=n_boot, group=group, kind=kind, n_jobs=n_jobs
        )

    @property
    def correlations_(self) -> pd.DataFrame:
        """Correlation matrix of the transformed parameters, from the Hessian."""
        self._check_has_runs()
        return uncertainty.correlations(self)

    def _check_has_runs(self) -> None:
        check_is_fitted(self, "theta_")
        if not hasattr(self, "rows_"):
            raise NeedsRuns(
                f"this {type(self).__name__} was made of known parameters or without its runs: intervals, "
                "residuals and reports need runs; call fit"
            )
        if len(self.rows_.y) <= self._free().sum():
            raise NeedsRuns(
                f"{len(self.rows_.y)} rows for {int(self._free().sum())} free parameters leave nothing to judge the "
                "fit by: no interval can be given; add runs"
            )

    # ---- validation, comparison, keeping

    def cross_validate(
        self,
        runs: pd.DataFrame | RunTable | None = None,
        *,
        by: str = "N",
        largest: int = 1,
        above: float | None = None,
        interval: float | None = None,
        **settings: Any,
    ) -> pd.DataFrame:
        """Fit the small runs and predict the large ones: the error of extrapolation.

        Args:
            runs: The runs; by default those of the fit.
            by: The column that measures scale.
            largest: Hold out the rows with the so many largest distinct values of ``by``.
            above: Hold out the rows above this value of ``by`` instead.
            interval: Level of prediction intervals to add.
            **settings: Those of :meth:`fit`.

        Returns:
            The held-out rows with ``observed``, ``predicted`` and ``error`` (predicted over observed - 1);
            ``attrs["mean_absolute_error"]`` and ``attrs["bias"]`` sum it up. The law itself is not refitted.

        Raises:
            ValueError: if a side of the split would be empty or the small side is too small to fit.
        """
        return validation.cross_validate(
            self, runs, by=by, largest=largest, above=above, interval=interval, **settings
        )

    @property
    def aicc_(self) -> float:
        """Akaike's criterion, corrected for small tables, under the density whose logarithm the loss is."""
        self._check_has_runs()
        return validation.aicc(self)

    def to_dict(self, *, runs: bool = True) -> dict[str, Any]:
        """Return the law as JSON types.

        Args:
            runs: Whether to keep the rows of the fit, which intervals need.

        Returns:
            What :meth:`from_dict` reads.
        """
        check_is_fitted(self, "theta_")
        return records.to_dict(self, runs=runs)

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Law:
        """Return the law that :meth:`to_dict` recorded, of whatever class.

        Args:
            record: Its record.

        Returns:
            The law, without another fit.

        Raises:
            ValueError: if the record names no known law, or lacks a key.

        Example:
            >>> from broadsheet.methods.scaling import PowerLaw
            >>> record = PowerLaw.from_params({"A": 0.05, "alpha": 1.02, "E": 3.43}).to_dict()
            >>> Law.from_dict(record).params_
            {'A': 0.05, 'alpha': 1.02, 'E': 3.43}
        """
        return records.from_dict(Law, record)

    def plot(self, x: str | None = None, color: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw the runs and the law through them: see :func:`plots.plot_law`."""
        self._check_has_runs()
        return plots.plot_law(self, x, color, ax)

    def residual_plot(self, x: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw the residuals of the fit: see :func:`plots.plot_residuals`."""
        self._check_has_runs()
        return plots.plot_residuals(self, x, ax)

    def report(self, *, n_boot: int = 200, level: float = 0.95) -> str:
        """Return what there is to say of the fit: parameters, intervals, correlations, residuals.

        ``broadsheet scaling fit`` writes the same with figures, as a page.

        Args:
            n_boot: Refits behind the intervals, >= 20.
            level: Level of the intervals.

        Returns:
            The report, plain text.
        """
        self._check_has_runs()
        return report.report(self, n_boot=n_boot, level=level)
