"""What a fitted model predicts: survival, hazard, quantiles, means, hazard ratios and cure fractions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm
from sklearn.exceptions import NotFittedError

from broadsheet.methods.statistics.flexible_survival.design import Rows
from broadsheet.methods.statistics.flexible_survival.distribution import APGW
from broadsheet.methods.statistics.flexible_survival.hazard import Floats, baseline_derivatives

if TYPE_CHECKING:
    from broadsheet.methods.statistics.flexible_survival.likelihood import Likelihood

__all__ = ["Prediction", "SurvivalFunction"]


class SurvivalFunction:
    """One row's curve as a function of time, as scikit-survival's metrics want it.

    Args:
        lifetime: The row's distribution.
        method: ``sf`` or ``cumhazard``.
        x: Times at which ``y`` is tabulated; evaluation is exact everywhere.

    Attributes:
        x: Those times.
        y: The curve there.
        domain: Where it can be evaluated.

    Example:
        >>> curve = SurvivalFunction(APGW(), "sf", np.array([1.0, 2.0]))
        >>> float(curve(0.0))
        1.0
    """

    domain = (0.0, np.inf)

    def __init__(self, lifetime: APGW, method: str, x: Floats) -> None:
        self.x = x
        self._curve = getattr(lifetime, method)
        self.y = self._curve(x)

    def __call__(self, t: ArrayLike) -> Floats:
        """Return the curve at times ``t``."""
        return np.asarray(self._curve(t))


class Prediction:
    """The predictions of :class:`APGWRegressor`; tables have times as rows and subjects as columns."""

    alpha: float
    params_: pd.Series
    variance_matrix_: pd.DataFrame
    n_features_in_: int
    feature_names_in_: Any
    _likelihood: Likelihood
    _theta: Floats
    _typical: dict[str, Any]
    _event_times: Floats
    _speaks_sksurv: bool

    # ---- curves

    def predict_distribution(self, X: Any) -> APGW:
        """Return the lifetime distribution of every row.

        Args:
            X: (n, p) covariates under the names of the fit; further columns are ignored.

        Returns:
            An :class:`APGW` of shape (n,).

        Raises:
            ValueError: naming a missing column, a gap, or a level not seen at the fit.

        Example:
            >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
            >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
            >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
            >>> model.predict_distribution(df.head(3)).shape
            (3,)
        """
        return self._distribution(self._designs(self._covariates(X)))

    def predict_survival_function(self, X: Any, times: ArrayLike | None = None) -> Any:
        """Return the survival function of every row.

        Args:
            X: (n, p) covariates.
            times: (m,) times >= 0; by default 100 from 0 to the last observed time.

        Returns:
            (m, n) table, times by rows of ``X``. Without ``times``, and if the model was fitted with a
            structured ``y``, an array of functions of time instead, as scikit-survival's scorers expect.

        Example:
            >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
            >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
            >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
            >>> model.predict_survival_function(df.head(2), times=[0, 1, 2]).shape
            (3, 2)
        """
        return self._curves(X, times, "sf")

    def predict_cumulative_hazard(self, X: Any, times: ArrayLike | None = None) -> Any:
        """Return the cumulative hazard of every row.

        Args:
            X: (n, p) covariates.
            times: (m,) times >= 0; by default 100 from 0 to the last observed time.

        Returns:
            As :meth:`predict_survival_function`.

        Example:
            >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
            >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
            >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
            >>> model.predict_cumulative_hazard(df.head(2), times=[0, 1, 2]).iloc[0].tolist()
            [0.0, 0.0]
        """
        return self._curves(X, times, "cumhazard")

    def predict_cumulative_hazard_function(self, X: Any) -> Any:
        """Return the cumulative hazard of every row under scikit-survival's name for it.

        Args:
            X: (n, p) covariates.

        Returns:
            As :meth:`predict_cumulative_hazard`.

        Example:
            >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
            >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
            >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
            >>> model.predict_cumulative_hazard_function(df.head(2)).shape
            (100, 2)
        """
        return self._curves(X, None, "cumhazard")

    def predict_hazard(self, X: Any, times: ArrayLike | None = None) -> pd.DataFrame:
        """Return the hazard of every row.

        Args:
            X: (n, p) covariates.
            times: (m,) times >= 0; by default 100 up to the last observed time, without 0.

        Returns:
            (m, n) table, events per unit of time.

        Example:
            >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
            >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
            >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
            >>> bool((model.predict_hazard(df.head(2), times=[1, 2]) > 0).all(axis=None))
            True
        """
        frame = self._covariates(X)
        at = self._times(times, from_zero=False)
        hazard = self._distribution(self._designs(frame)).hazard(at[:, None])
        return pd.DataFrame(hazard, index=pd.Index(at, name="time"), columns=frame.index)

    # ---- one number per row

    def predict_percentile(self, X: Any, p: float = 0.5) -> pd.Series:
        """Return the time at which every row's survival function has fallen to ``p``.

        Args:
            X: (n, p) covariates.
            p: Level of the survival function in (0, 1), as in lifelines: ``p=0.9`` is the early decile.

        Returns:
            (n,) times; ``inf`` where the cure fraction exceeds ``p``.

        Raises:
            ValueError: if ``p`` is not in (0, 1).

        Example:
            >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
            >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
            >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
            >>> bool((model.predict_percentile(df, p=0.9) < model.predict_median(df)).all())
            True
        """
        if not 0 < p < 1:
            raise ValueError(f"p must be in (0, 1), got {p!r}")
        frame = self._covariates(X)
        times = self._distribution(self._designs(frame)).isf(p)
        return pd.Series(times, index=frame.index, name=p)

    def predict_median(self, X: Any) -> pd.Series:
        """Return the median of every row.

        Args:
            X: (n, p) covariates.

        Returns:
            (n,) times; ``inf`` where more than half are cured.

        Example:
            >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
            >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
            >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
            >>> model.predict_median(df.head(3)).shape
            (3,)
        """
        return self.predict_percentile(X, 0.5)

    def predict_expectation(self, X: Any) -> pd.Series:
        """Return the mean lifetime of every row, extrapolated beyond the follow-up.

        Args:
            X: (n, p) covariates.

        Returns:
            (n,) times; ``inf`` for cure models and tails too heavy for a mean.

        Example:
            >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
            >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
            >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
            >>> bool((model.predict_expectation(df) > 0).all())
            True
        """
        frame = self._covariates(X)
        return pd.Series(
            self._distribution(self._designs(frame)).mean(), index=frame.index, name="expectation"
        )

    def predict(self, X: Any) -> Floats:
        """Return a risk score, larger for earlier events, for scikit-survival's metrics.

        Args:
            X: (n, p) covariates.

        Returns:
            (n,); the cumulative hazard averaged over 50 quantiles of the observed event times. It ranks rows
            also where hazards cross and where medians are infinite.

        Example:
            >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
            >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
            >>> model = APGWRegressor(phi="trt", kappa=1).fit(df, "time", "event")
            >>> model.predict(df.head(3)).shape
            (3,)
        """
        lifetime = self._distribution(self._designs(self._covariates(X)))
        total = np.zeros(lifetime.shape)
        for t in self._event_times:
            total += lifetime.cumhazard(t)
        return total / len(self._event_times)

    # ---- with intervals

    def cure_fraction(self, X: Any) -> pd.DataFrame:
        """Return the share that never fails, with an interval from the scale of ``log(-log share)``.

        Args:
            X: (n, p) covariates.

        Returns:
            (n, 3) table ``cure_fraction``, ``lower``, ``upper``; 0 without an interval where kappa >= 0.

        Example:
            >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
            >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
            >>> model = APGWRegressor(phi="trt", kappa=-0.2).fit(df, "time", "event")
            >>> list(model.cure_fraction(df).columns)
            ['cure_fraction', 'lower', 'upper']
        """
        frame = self._covariates(X)
        rows = self._designs(frame)
        nu = np.broadcast_to(rows.predictors(self.params_.to_numpy())[3], len(frame))
        cured = nu < 0
        kappa = np.where(cured, np.expm1(np.where(cured, nu, 0.0)), -0.5)
        share = self._distribution(rows).cure_fraction()
        # log(-log share) = log lam + log(kappa + 1) - log(-kappa)
        se = self._delta_se(rows, {0: 1.0, 3: 1.0 - (kappa + 1.0) / kappa})
        z = norm.isf(self.alpha / 2)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            middle = np.log(-np.log(share))
            lower, upper = np.exp(-np.exp(middle + z * se)), np.exp(-np.exp(middle - z * se))
        table = {
            "cure_fraction": share,
            "lower": np.where(cured, lower, np.nan),
            "upper": np.where(cured, upper, np.nan),
        }
        return pd.DataFrame(table, index=frame.index)

    def predict_hazard_ratio(
        self,
        X: Any,
        reference: Any,
        times: ArrayLike | None = None,
        *,
        method: str = "delta",
        draws: int = 1000,
        seed: int | np.random.Generator = 0,
    ) -> pd.DataFrame:
        """Return the hazard ratio of one subject to another as a curve with its band.

        In a model with covariates on several parameters it depends on time, so a single exponentiated
        coefficient does not tell it.

        Args:
            X: The subject: a dict, a Series or a table of one row. Covariates that neither subject gives are
                set to the mean (numbers) or the commonest level of the fit.
            reference: The subject it is compared with.
            times: (m,) times > 0; by default 100 up to the last observed time.
            method: ``delta`` (normal on the log scale) or ``bootstrap`` (parametric: coefficients drawn from
                their asymptotic distribution).
            draws: Number of draws of the bootstrap.
            seed: Seed or generator of the draws.

        Returns:
            (m, 4) table ``hazard_ratio``, ``lower``, ``upper``, ``se_log``, indexed by time.

        Raises:
            ValueError: if a time is not above 0, the method is unknown, or a covariate is not of the model.

        Example:
            >>> from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
            >>> df = simulate_mpr(200, phi={"trt": 0.7}, followup=5, seed=1)
            >>> model = APGWRegressor(phi="trt", kappa=0).fit(df, "time", "event")
            >>> bool(model.predict_hazard_ratio({"trt": 1}, {"trt": 0}, [1])["hazard_ratio"].iloc[0] > 1)
            True
        """
        at = self._times(times, from_zero=False)
        if not (at > 0).all():
            raise ValueError(f"times must be > 0 for a hazard ratio, got {at.min():g}")
        if method not in ("delta", "bootstrap"):
            raise ValueError(f"method must be delta or bootstrap, got {method!r}")
        one, other = (self._designs(self._one_row(row)) for row in (X, reference))
        log_t, theta = np.log(at), self.params_.to_numpy()
        up, gradient_up = self._log_hazard(log_t, one, theta)
        down, gradient_down = self._log_hazard(log_t, other, theta)
        log_ratio, gradient = up - down, gradient_up - gradient_down
        covariance = self.variance_matrix_.to_numpy()
        variance = np.einsum("mi,ij,mj->m", gradient, covariance, gradient)
        se = np.sqrt(np.maximum(variance, 0.0))
        z = norm.isf(self.alpha / 2)
        low, high = log_ratio - z * se, log_ratio + z * se
        if method == "bootstrap":
            drawn = self._drawn_ratios(log_t, one, other, draws, seed)
            low, high = np.quantile(drawn, [self.alpha / 2, 1 - self.alpha / 2], axis=0)
            se = drawn.std(axis=0, ddof=1)
        with np.errstate(over="ignore"):
            columns = {
                "hazard_ratio": np.exp(log_ratio),
                "lower": np.exp(low),
                "upper": np.exp(high),
                "se_log": se,
            }
        return pd.DataFrame(columns, index=pd.Index(at, name="time"))

    # ---- inside

    def _check_fitted(self) -> None:
        if not hasattr(self, "params_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit(...) first")

    def _covariates(self, X: Any) -> pd.DataFrame:
        """Return the covariates as a table with the names of the fit."""
        self._check_fitted()
        if isinstance(X, pd.DataFrame):
            return X
        if isinstance(X, (dict, pd.Series)):
            return pd.DataFrame([dict(X)])
        array = np.asarray(X)
        if array.ndim != 2 or array.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X must be a DataFrame or have shape (n, {self.n_features_in_}), got shape {array.shape}"
            )
        return pd.DataFrame(array, columns=list(self.feature_names_in_))

    def _one_row(self, row: Any) -> pd.DataFrame:
        given = self._covariates(row)
        if len(given) != 1:
            raise ValueError(f"a hazard ratio compares two subjects: give one row each, got {len(given)}")
        if isinstance(row, (dict, pd.Series)):
            unknown = [name for name in given.columns if name not in self._typical]
            if unknown:
                known = ", ".join(map(repr, self._typical)) or "none"
                raise ValueError(f"{unknown[0]!r} is not a covariate of the model; it has {known}")
        absent = {name: value for name, value in self._typical.items() if name not in given.columns}
        return given.assign(**absent)

    def _designs(self, frame: pd.DataFrame) -> Rows:
        return self._likelihood.rows.others(frame)

    def _distribution(self, rows: Rows) -> APGW:
        return lifetimes(rows, self.params_.to_numpy())

    def _curves(self, X: Any, times: ArrayLike | None, method: str) -> Any:
        frame = self._covariates(X)
        lifetime = self._distribution(self._designs(frame))
        if times is None and self._speaks_sksurv:
            at = self._times(None, from_zero=True)
            rows = zip(lifetime.lam, lifetime.phi, lifetime.gamma, lifetime.kappa, strict=True)
            return np.array([SurvivalFunction(APGW(*row), method, at) for row in rows], dtype=object)
        at = self._times(times, from_zero=True)
        values = getattr(lifetime, method)(at[:, None])
        return pd.DataFrame(values, index=pd.Index(at, name="time"), columns=frame.index)

    def _times(self, times: ArrayLike | None, *, from_zero: bool) -> Floats:
        if times is None:
            last = float(self._likelihood.seen.lower.max())
            return np.linspace(0.0, last, 100) if from_zero else np.linspace(0.0, last, 101)[1:]
        at = np.atleast_1d(np.asarray(times, float))
        if at.ndim != 1 or not (at >= 0).all() or not np.isfinite(at).all():
            raise ValueError(f"times must be a list of finite numbers >= 0, got {times!r}")
        return at

    def _log_hazard(self, log_t: Floats, rows: Rows, theta: Floats) -> tuple[Floats, Floats]:
        """Return one subject's log hazard at (m,) log times and its (m, k) gradient in the coefficients."""
        x = rows.chain(dict.fromkeys(range(4), 1.0))[0]  # the subject's covariates, in the places of theta
        s, b, a, nu = (float(np.ravel(value)[0]) for value in rows.predictors(theta))
        gamma = np.exp(a)
        y = gamma * (b + log_t)
        with np.errstate(over="ignore", invalid="ignore"):
            D = baseline_derivatives(y, nu, infinite=bool(np.isposinf(nu)))
        slopes = [np.ones_like(y), gamma * D.M_y, 1.0 + y * D.M_y, D.M_n]
        gradient = np.zeros((len(y), rows.size))
        for j in rows.free:
            slope = slopes[j]
            assert slope is not None  # that of nu is absent only where kappa is held
            gradient[:, rows.slices[j]] = slope[:, None] * x[rows.slices[j]]
        return s + a + D.M - log_t, gradient

    def _drawn_ratios(
        self, log_t: Floats, one: Rows, other: Rows, draws: int, seed: int | np.random.Generator
    ) -> Floats:
        """Return (draws, m) log hazard ratios at coefficients drawn from their asymptotic distribution."""
        mean, covariance = self.params_.to_numpy(), self.variance_matrix_.to_numpy()
        if not np.isfinite(covariance).all():
            raise ValueError(
                "the information is singular: there is no distribution to draw coefficients from"
            )
        rng = np.random.default_rng(seed)
        drawn = rng.multivariate_normal(mean, covariance, size=draws, method="eigh")
        t = np.exp(log_t)
        up, down = (_lifetimes_of_one(rows, drawn).log_hazard(t) for rows in (one, other))
        return np.asarray(up - down)

    def _delta_se(self, rows: Rows, slopes: dict[int, Any]) -> Floats:
        """Return standard errors, row by row, of a function with these slopes in the linear predictors."""
        gradient = rows.chain(slopes)
        variance = np.einsum("ni,ij,nj->n", gradient, self.variance_matrix_.to_numpy(), gradient)
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def lifetimes(rows: Rows, theta: Floats) -> APGW:
    """Return the distribution of every row.

    Args:
        rows: The four blocks.
        theta: (k,) coefficients on the scale of the rows.

    Returns:
        An :class:`APGW` of shape (n,).
    """
    s, b, a, nu = (np.broadcast_to(np.asarray(value, float), rows.n) for value in rows.predictors(theta))
    with np.errstate(over="ignore"):
        return APGW(np.exp(s), np.exp(b), np.exp(a), np.expm1(nu))


def _lifetimes_of_one(rows: Rows, thetas: Floats) -> APGW:
    """Return one subject's distribution under each of (draws, k) coefficients, of shape (draws, 1)."""
    x = rows.chain(dict.fromkeys(range(4), 1.0))[0]
    eta = [
        np.array([[block.held]]) if block.held is not None else (thetas[:, part] @ x[part])[:, None]
        for block, part in zip(rows.blocks, rows.slices, strict=True)
    ]
    return APGW(np.exp(eta[0]), np.exp(eta[1]), np.exp(eta[2]), np.expm1(eta[3]))
