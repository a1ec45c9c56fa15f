"""Multi-parameter survival regression: :class:`APGWRegressor`.

One class speaks two dialects: that of lifelines, ``fit(df, duration_col=..., event_col=...)``, and that of
scikit-learn and scikit-survival, ``fit(X, y)`` with a structured ``y``.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from broadsheet.methods.statistics.flexible_survival import plots, residuals, summary
from broadsheet.methods.statistics.flexible_survival.design import PARAMETERS, Block, Rows, read_settings
from broadsheet.methods.statistics.flexible_survival.fitting import Fit, maximum_likelihood, refuse_confounded
from broadsheet.methods.statistics.flexible_survival.likelihood import Likelihood
from broadsheet.methods.statistics.flexible_survival.observations import Observations, event_and_time
from broadsheet.methods.statistics.flexible_survival.prediction import Prediction, lifetimes

__all__ = ["APGWRegressor"]


class APGWRegressor(Prediction, BaseEstimator):  # type: ignore[misc]
    """Regress survival times on covariates through up to four parameters of :class:`APGW`.

    Each parameter either has a formula, which acts on its logarithm (on ``log(kappa + 1)`` for kappa), or is
    held at a number. The paper advises covariates on one scale and the power shape:
    ``phi="trt + age", gamma="trt"`` (accelerated failure time with non-proportional effects) or
    ``lam="trt + age", gamma="trt"`` (proportional hazards likewise), and a kappa that all rows share, which
    chooses the baseline: log-logistic at 0, Weibull at 1, Gompertz at infinity, a cure model below 0.

    Args:
        lam: Proportional-hazards scale: formula, number, or None for 1.
        phi: Time scale: formula (``.`` for all covariates), number, or None for 1. **A held phi is a number
            per unit of time**: unless kappa is 1, a model with ``phi=1`` fits days and years differently. To
            carry such a model to another unit, multiply phi by the number of old units in a new one.
        gamma: Power shape: formula, number, or None for 1.
        kappa: Family shape: formula (``"1"``: one value for all, estimated) or a number > -1, ``inf`` included.
        alpha: One minus the level of the intervals.
        tol: Stop where a Newton step promises less than this in log-likelihood.
        max_iter: Largest number of Newton steps from each start.

    Attributes:
        params_: Coefficients, a Series indexed by ``(param, covariate)``.
        standard_errors_: Their standard errors from the observed information; NaN where it is singular.
        variance_matrix_: Their covariance matrix.
        log_likelihood_: Log-likelihood at the maximum (densities of time, not of log time).
        AIC_: ``2 k - 2 log L`` for k coefficients.
        BIC_: ``k log(events) - 2 log L``; the sample size of censored data is its number of events.
        n_events_: Weighted number of events.
        n_features_in_: Number of covariate columns seen at the fit.
        feature_names_in_: Their names.
        converged_: Whether the search met its tolerance.
        is_regular_: Whether it ended at an isolated maximum; if not, a warning said why, and the
            coefficients must not be read.
        n_iter_: Newton steps over all starts.

    Source:
        arXiv:1901.03212; the abstract states the advice.

    Example:
        >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
        >>> df = simulate_mpr(400, phi={"Intercept": -0.5, "trt": 0.7}, kappa=1.0, followup=12, seed=1)
        >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, duration_col="time", event_col="event")
        >>> bool(abs(model.params_["phi", "trt"] - 0.7) < 0.3)
        True
    """

    def __init__(
        self,
        phi: str | float | None = ".",
        gamma: str | float | None = "1",
        lam: str | float | None = None,
        kappa: str | float = "1",
        *,
        alpha: float = 0.05,
        tol: float = 1e-10,
        max_iter: int = 200,
    ) -> None:
        self.phi = phi
        self.gamma = gamma
        self.lam = lam
        self.kappa = kappa
        self.alpha = alpha
        self.tol = tol
        self.max_iter = max_iter

    # ---- fitting

    def fit(
        self,
        X: Any,
        y: Any = None,
        event_col: Hashable | None = None,
        *,
        duration_col: Hashable | None = None,
        entry_col: Hashable | None = None,
        weights_col: Hashable | None = None,
        lower_bound_col: Hashable | None = None,
        upper_bound_col: Hashable | None = None,
        sample_weight: ArrayLike | None = None,
        initial_point: ArrayLike | None = None,
    ) -> APGWRegressor:
        """Fit by maximum likelihood.

        Args:
            X: A table with covariates and outcome (name its columns with the ``_col`` arguments), or
                (n, p) covariates alone if ``y`` is given.
            y: Structured array of event (bool) and time, as ``sksurv.util.Surv`` makes it; or, as in
                lifelines' ``fit(df, "time", "event")``, the name of the duration column.
            event_col: Column of 0 (censored) and 1 (event); None: every row is an event.
            duration_col: Column of times, > 0.
            entry_col: Column of times at which rows came under observation (left truncation).
            weights_col: Column of weights >= 0; a weight of 2 counts a row twice.
            lower_bound_col: Interval censoring: last time known free of the event.
            upper_bound_col: Interval censoring: first time known to be after it, ``inf`` if never seen.
            sample_weight: (n,) weights where ``y`` is given.
            initial_point: (k,) coefficients to start from, in the order of ``params_``, or such a Series;
                by default several starts compete.

        Returns:
            The fitted model itself.

        Raises:
            ValueError: naming the argument, column, row or value of what is wrong: times not above 0, events
                other than 0 and 1, entry at or after the time, no event at all, negative weights, constant or
                collinear columns, fewer events than coefficients, parameters that cannot be told apart.

        Warns:
            FitWarning: if an arm has no event, the information is singular, kappa runs to a boundary, or a
                spike (gamma above 20) has a higher likelihood.

        Example:
            >>> df = pd.DataFrame({"weeks": [6.0, 13, 20, 31, 44, 60], "died": [1, 1, 0, 1, 1, 0]})
            >>> weibull = APGWRegressor(phi="1", gamma="1", kappa=1).fit(df, "weeks", "died")
            >>> len(weibull.params_)
            2
        """
        settings = read_settings({name: getattr(self, name) for name in PARAMETERS})
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be in (0, 1), got {self.alpha!r}")
        if y is None or isinstance(y, str):
            if y is not None and duration_col is not None:
                raise ValueError(f"duration_col is given twice, as {y!r} and {duration_col!r}")
            if sample_weight is not None:
                raise ValueError("sample_weight goes with a structured y; for a table name weights_col=")
            columns = {
                "duration_col": y if y is not None else duration_col,
                "event_col": event_col,
                "entry_col": entry_col,
                "weights_col": weights_col,
                "lower_bound_col": lower_bound_col,
                "upper_bound_col": upper_bound_col,
            }
            if not isinstance(X, pd.DataFrame):
                raise ValueError(
                    f"without a structured y the first argument must be a DataFrame, got {type(X).__name__}"
                )
            seen = Observations.of_frame(X, **columns)
            outcome = {column for column in columns.values() if column is not None}
            frame = X[[column for column in X.columns if column not in outcome]]
            self._speaks_sksurv = False
        else:
            frame, seen = self._structured(X, y, sample_weight)
            self._speaks_sksurv = True
        if not frame.columns.is_unique:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise ValueError(f"column names must be unique, {twice!r} stands there twice")
        self._learn(settings, frame, seen, initial_point)
        return self

    def _structured(self, X: Any, y: Any, sample_weight: Any) -> tuple[pd.DataFrame, Observations]:
        frame = _as_frame(X)
        outcome = event_and_time(y)
        if len(outcome) != len(frame):
            raise ValueError(f"X and y must have the same length, got {len(frame)} and {len(outcome)}")
        if sample_weight is not None:
            weights = np.asarray(sample_weight, float)
            if weights.shape != (len(frame),):
                raise ValueError(f"sample_weight must have shape ({len(frame)},), got {weights.shape}")
            outcome["sample_weight"] = weights
        column = "sample_weight" if sample_weight is not None else None
        return frame, Observations.of_frame(outcome, "time", "event", weights_col=column)

    def _learn(
        self, settings: dict[str, str | float], frame: pd.DataFrame, seen: Observations, initial_point: Any
    ) -> None:
        blocks = [Block.make(name, settings[name], frame, seen.weights) for name in PARAMETERS]
        rows = Rows(blocks, len(frame))
        refuse_confounded(rows)
        likelihood = Likelihood(seen, rows)
        index = pd.MultiIndex.from_tuples(rows.names(), names=["param", "covariate"])
        start = None
        if initial_point is not None:
            if isinstance(initial_point, pd.Series):
                initial_point = initial_point.reindex(index)
            start = np.asarray(initial_point, float)
            if start.shape != (rows.size,) or not np.isfinite(start).all():
                raise ValueError(
                    f"initial_point must hold {rows.size} finite numbers, for {rows.names()}, "
                    f"got {initial_point!r}"
                )
        fit = maximum_likelihood(likelihood, start=start, tolerance=self.tol, max_iterations=self.max_iter)
        self._keep(fit, index)
        self.n_features_in_ = frame.shape[1]
        self.feature_names_in_ = np.asarray([str(c) for c in frame.columns], dtype=object)
        self._typical = _typical_row(frame, blocks)

    def _keep(self, fit: Fit, index: pd.MultiIndex) -> None:
        """Store a fit under the names that lifelines uses."""
        seen, k = fit.likelihood.seen, len(fit.coefficients)
        self.params_ = pd.Series(fit.coefficients, index=index, name="coef")
        self.variance_matrix_ = pd.DataFrame(fit.covariance, index=index, columns=index)
        self.standard_errors_ = pd.Series(np.sqrt(np.diag(fit.covariance)), index=index, name="se(coef)")
        self.log_likelihood_ = fit.value
        self.AIC_ = 2.0 * k - 2.0 * fit.value
        self.BIC_ = k * float(np.log(seen.events)) - 2.0 * fit.value
        self.n_events_ = seen.events
        self.converged_ = fit.converged
        self.is_regular_ = fit.regular
        self.n_iter_ = fit.iterations
        self._likelihood = fit.likelihood
        self._theta = fit.theta
        times = np.sort(seen.middle[seen.happened])
        self._event_times = np.quantile(times, np.linspace(0.01, 0.99, 50))

    # ---- what was fitted

    @property
    def kappa_(self) -> float:
        """The family shape, held or estimated; NaN where it depends on covariates."""
        self._check_fitted()
        nu = self._likelihood.rows.predictors(self._theta)[3]
        return float(np.expm1(nu)) if np.ndim(nu) == 0 else float("nan")

    @property
    def summary(self) -> pd.DataFrame:
        """Coefficients with standard errors, intervals, z and p, as a table."""
        self._check_fitted()
        return summary.coefficient_table(self)

    def print_summary(self, decimals: int = 3) -> None:
        """Print the coefficients, the fit, what each effect means, the hazard's shape and the cure fraction.

        Args:
            decimals: Digits after the point.

        Example:
            >>> df = pd.DataFrame({"weeks": [6.0, 13, 20, 31, 44, 60], "died": [1, 1, 0, 1, 1, 0]})
            >>> APGWRegressor(phi="1", kappa=1).fit(df, "weeks", "died").print_summary()  # doctest: +ELLIPSIS
            APGW regression...
        """
        self._check_fitted()
        print(summary.text(self, decimals))  # noqa: T201 (printing is what this method is for)

    def score(self, X: Any, y: Any = None, event_col: Hashable | None = None, **columns: Any) -> float:
        """Return the average log-likelihood per row of other data; larger is better.

        Args:
            X: As in :meth:`fit`.
            y: As in :meth:`fit`.
            event_col: As in :meth:`fit`.
            columns: The other column arguments of :meth:`fit`, or ``sample_weight``.

        Returns:
            Log-likelihood divided by the sum of weights. For ranking measures hand :meth:`predict` to
            ``sksurv.metrics``.

        Example:
            >>> df = pd.DataFrame({"weeks": [6.0, 13, 20, 31, 44, 60], "died": [1, 1, 0, 1, 1, 0]})
            >>> model = APGWRegressor(phi="1", kappa=1).fit(df, "weeks", "died")
            >>> bool(abs(model.score(df, "weeks", "died") * 6 - model.log_likelihood_) < 1e-9)
            True
        """
        self._check_fitted()
        if y is None or isinstance(y, str):
            given = dict(columns)
            given["duration_col"] = y if y is not None else given.pop("duration_col", None)
            frame, seen = X, Observations.of_frame(X, event_col=event_col, **given)
        else:
            frame, seen = self._structured(X, y, columns.get("sample_weight"))
        likelihood = Likelihood(seen, self._designs(frame))
        return likelihood.value(self.params_.to_numpy()) / float(seen.weights.sum())

    def residuals(self, kind: str = "quantile", seed: int | np.random.Generator | None = 0) -> pd.Series:
        """Return residuals of the rows of the fit.

        Args:
            kind: ``cox-snell`` (a censored unit exponential sample if the model is right), ``martingale``
                (event minus cumulative hazard), or ``quantile`` (standard normal; randomised where censored).
            seed: Seed or generator of the randomisation.

        Returns:
            One residual per row, in the order of the fit.

        Raises:
            ValueError: if ``kind`` is none of the three.

        Example:
            >>> df = pd.DataFrame({"weeks": [6.0, 13, 20, 31, 44, 60], "died": [1, 1, 0, 1, 1, 0]})
            >>> model = APGWRegressor(phi="1", kappa=1).fit(df, "weeks", "died")
            >>> bool(abs(model.residuals("martingale").sum()) < 1e-6)
            True
        """
        self._check_fitted()
        lifetime = lifetimes(self._likelihood.rows, self._theta)
        return residuals.residuals(self._likelihood.seen, lifetime, kind, seed)

    # ---- plots, each returns matplotlib Axes

    plot = plots.plot_coefficients
    plot_survival = plots.plot_survival
    plot_hazard = plots.plot_hazard
    plot_hazard_ratio = plots.plot_hazard_ratio
    plot_residuals = plots.plot_residuals

    # ---- inside

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False  # lifelines' dialect has no y
        tags.input_tags.string = True
        return tags


def _as_frame(X: Any) -> pd.DataFrame:
    """Return covariates as a table; columns of a bare array are named x0, x1, ..."""
    if isinstance(X, pd.DataFrame):
        return X
    array = np.asarray(X)
    if array.ndim != 2:
        raise ValueError(f"X must be a DataFrame or have shape (n, p), got shape {array.shape}")
    return pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])])


def _typical_row(frame: pd.DataFrame, blocks: list[Block]) -> dict[str, Any]:
    """Return the mean of every numeric column the formulas use, and the commonest level of the others."""
    used = {c for block in blocks if block.formula is not None for c in block.formula.columns}
    typical: dict[str, Any] = {}
    for column in frame.columns:
        if column in used:
            values = frame[column]
            numeric = pd.api.types.is_numeric_dtype(values)
            typical[str(column)] = float(values.mean()) if numeric else values.mode().iloc[0]
    return typical
