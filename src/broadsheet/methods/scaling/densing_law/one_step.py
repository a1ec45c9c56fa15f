"""A reference curve from scores alone, for the usual case in which no losses of the reference are known."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import t as student_t
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from broadsheet.methods.scaling.densing_law.scores import (
    ExtrapolationWarning,
    Floats,
    check_bounds,
    column,
    fractions,
    positive,
    reasons,
    sizes,
)

__all__ = ["OneStepReference"]

_DRAWS = 4000  # of the coefficients, for an interval of an effective size


class OneStepReference(BaseEstimator):  # type: ignore[misc]
    """How a reference family's score grows with parameters and tokens, fitted in one step.

    The normalised score ``s = (S - floor) / (ceiling - floor)`` has ``logit(s) = w0 + w1 ln N + w2 ln D``,
    fitted by least squares. It takes the place of the two steps of :class:`ReferenceFamily` where losses are not known.

    Args:
        metric: Column of scores, fractions.
        floor: Score of guessing (0.25 for four choices), in [0, 1).
        ceiling: Score that can be reached at most, in (floor, 1].

    Attributes:
        coef_: (3,); ``w0``, ``w1`` (per e-fold of parameters) and ``w2`` (per e-fold of tokens).
        covariance_: (3, 3); of ``coef_``, from the residuals.
        dof_: Residual degrees of freedom.
        r2_: Share of the variance of the logits that the line explains.
        n_models_: Reference models used.
        N_range_: Smallest and largest size among them, parameters.

    Source:
        The paper defines density by a reference with two steps; this one-step form is ours.

    Example:
        >>> frame = pd.DataFrame({"N": [7e9, 13e9, 34e9, 70e9], "D": [1e12, 1e12, 1.4e12, 2e12]})
        >>> frame["MMLU"] = [0.36, 0.46, 0.58, 0.68]
        >>> ref = OneStepReference(metric="MMLU", floor=0.25).fit(frame)
        >>> bool(ref.density(0.46, 3e9)[0] > ref.density(0.46, 13e9)[0])
        True
    """

    def __init__(self, metric: str = "score", floor: float = 0.0, ceiling: float = 1.0) -> None:
        self.metric = metric
        self.floor = floor
        self.ceiling = ceiling

    def fit(
        self, frame: pd.DataFrame, *, N: str = "N", D: str = "D", N_kind: str | None = None
    ) -> OneStepReference:
        """Fit the curve to the reference models.

        Args:
            frame: A row per reference model; rows with a score at or outside floor and ceiling are left out.
            N: Column of parameters.
            D: Column of training tokens.
            N_kind: See :func:`broadsheet.methods.scaling.densing_law.scores.sizes`.

        Returns:
            Itself.

        Raises:
            ValueError: if fewer than 4 models can be used, sizes are all equal, scores are not fractions, or the
                fitted score does not grow with size.
            KeyError: if a column is not there.
        """
        check_bounds(self.floor, self.ceiling)
        parameters, tokens = sizes(frame, N, N_kind), positive(column(frame, D), D)
        scores = fractions(column(frame, self.metric), self.metric)
        used = (scores > self.floor) & (scores < self.ceiling)
        if used.sum() < 4:
            raise ValueError(
                f"{self.metric}: a reference needs at least 4 models that score between floor {self.floor:g} and "
                f"ceiling {self.ceiling:g}, got {used.sum()} of {len(used)}"
            )
        log_n, log_d = np.log(parameters[used]), np.log(tokens[used])
        if np.ptp(log_n) == 0:
            raise ValueError(
                f"{N}: all reference models have {parameters[used][0]:g} parameters; sizes must differ"
            )
        if np.ptp(log_d) == 0:
            raise ValueError(
                f"{D}: all reference models saw {tokens[used][0]:g} tokens; the effect of tokens needs two values"
            )
        # The level is fitted at the middle of the models: at ln N = 0 it would be lost in rounding.
        self._middle = np.array([log_n.mean(), log_d.mean()])
        design = np.column_stack([np.ones(len(log_n)), log_n - self._middle[0], log_d - self._middle[1]])
        self._fit(design, logit((scores[used] - self.floor) / (self.ceiling - self.floor)))
        self.N_range_ = (float(parameters[used].min()), float(parameters[used].max()))
        if self.coef_[1] <= 0:
            raise ValueError(
                f"{self.metric}: the fitted score of the reference does not grow with {N} (w1 = {self.coef_[1]:.3g}): "
                "no size can be read from it; take one family trained alike, over a wider range of sizes"
            )
        return self

    def _fit(self, design: Floats, target: Floats) -> None:
        if np.linalg.matrix_rank(design) < 3:
            raise ValueError(
                "N and D of the reference models are proportional: their effects cannot be told apart; add a model "
                "with another number of tokens per parameter"
            )
        centred, *_ = np.linalg.lstsq(design, target, rcond=None)
        residual = target - design @ centred
        self.n_models_ = len(target)
        self.dof_ = self.n_models_ - 3
        self.r2_ = float(1.0 - residual @ residual / np.square(target - target.mean()).sum())
        spread = residual @ residual / self.dof_
        self._centred = centred
        self._centred_covariance = spread * np.linalg.inv(design.T @ design)
        shift = np.array([[1.0, -self._middle[0], -self._middle[1]], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        self.coef_ = shift @ centred
        self.covariance_ = shift @ self._centred_covariance @ shift.T

    def predict(self, N: ArrayLike, D: ArrayLike) -> Floats:
        """Return the reference's score at a size and a number of tokens.

        Args:
            N: (n,); parameters.
            D: (n,); tokens.

        Returns:
            (n,); fractions.
        """
        check_is_fitted(self, "coef_")
        log_n = np.log(positive(N, "N")) - self._middle[0]
        log_d = np.log(positive(D, "D")) - self._middle[1]
        normal = expit(self._centred[0] + self._centred[1] * log_n + self._centred[2] * log_d)
        return np.asarray(self.floor + (self.ceiling - self.floor) * normal)

    def log_effective(self, scores: Floats, D0: float, coefficients: Floats) -> Floats:
        """Return the logarithm of the effective size for given coefficients, such as :meth:`draws` returns.

        Args:
            scores: (n,); fractions.
            D0: Tokens.
            coefficients: (3,) or (m, 3), with the level at the middle of the reference models.

        Returns:
            (n,) or (m, n); NaN outside floor and ceiling.
        """
        inside = (scores > self.floor) & (scores < self.ceiling)
        normal = np.where(inside, (scores - self.floor) / (self.ceiling - self.floor), np.nan)
        w = np.asarray(coefficients)[..., None, :]
        log_d = np.log(D0) - self._middle[1]
        return np.asarray(self._middle[0] + (logit(normal) - w[..., 0] - w[..., 2] * log_d) / w[..., 1])

    def effective_parameters(
        self, score: ArrayLike, D0: float = 1e12, *, interval: float | None = None, random_state: int = 0
    ) -> pd.DataFrame:
        """Return how many parameters the reference needs for a score, trained on ``D0`` tokens.

        Args:
            score: (n,); fractions.
            D0: Tokens, > 0.
            interval: Level of an interval from the uncertainty of the reference curve, in (0, 1), or None.
            random_state: Seed of the draws behind the interval.

        Returns:
            A frame with ``N_effective``, ``reason`` (a key of
            :data:`~broadsheet.methods.scaling.densing_law.scores.REASONS`, "" where nothing is to be said) and,
            where asked for, ``lower`` and ``upper``. An undefined size is NaN.

        Raises:
            ValueError: if scores are not fractions, or ``D0`` or ``interval`` is out of range.
            NotFittedError: before :meth:`fit`.

        Source:
            The definition of the effective parameter size, here with one step instead of two.
        """
        check_is_fitted(self, "coef_")
        scores = fractions(score, self.metric)
        tokens = float(positive(D0, "D0")[0])
        with np.errstate(over="ignore"):
            effective = np.exp(self.log_effective(scores, tokens, np.asarray(self._centred, float)))
        why = reasons(scores, self.floor, self.ceiling, effective, self.N_range_[1])
        frame = pd.DataFrame({"N_effective": effective, "reason": why})
        if isinstance(score, pd.Series):
            frame.index = score.index
        if interval is not None:
            if not 0.0 < interval < 1.0:
                raise ValueError(f"interval must lie between 0 and 1, got {interval!r}")
            drawn = self.draws(_DRAWS, random_state)
            with np.errstate(over="ignore"):
                logs = self.log_effective(scores, tokens, drawn)
            # A curve that does not grow gives no size: the whole upper side is open then.
            logs = np.where(drawn[:, 1:2] > 0, logs, np.inf)
            logs[:, np.isnan(effective)] = np.nan
            tail = 0.5 * (1.0 - interval)
            lower, upper = np.quantile(logs, [tail, 1.0 - tail], axis=0, method="nearest")
            with np.errstate(over="ignore"):
                frame["lower"], frame["upper"] = np.exp(lower), np.exp(upper)
        return frame

    def draws(self, count: int, random_state: int = 0) -> Floats:
        """Draw coefficients from their sampling distribution (multivariate t), at the centred level.

        Args:
            count: How many.
            random_state: Seed.

        Returns:
            (count, 3).
        """
        check_is_fitted(self, "coef_")
        rng = np.random.default_rng(random_state)
        # By eigenvalues: models that lie on the curve exactly leave nothing for a Cholesky factor.
        spread, axes = np.linalg.eigh(self._centred_covariance)
        normal = rng.standard_normal((count, 3)) * np.sqrt(np.maximum(spread, 0.0)) @ axes.T
        tail = np.sqrt(rng.chisquare(self.dof_, count) / self.dof_)
        return np.asarray(self._centred + normal / tail[:, None])

    def density(self, score: ArrayLike, N: ArrayLike, D0: float = 1e12) -> Any:
        """Return the density: effective parameters over parameters.

        Args:
            score: (n,); fractions.
            N: (n,); parameters that the models have.
            D0: Tokens on which the reference would be trained.

        Returns:
            (n,), a Series where ``score`` is one; NaN where the score is not between floor and ceiling.

        Warns:
            ExtrapolationWarning: if effective sizes exceed 10 times the largest reference model.
        """
        table = self.effective_parameters(score, D0)
        far = int((table["reason"] == "extrapolated").sum())
        if far:
            warnings.warn(
                f"{self.metric}: {far} of {len(table)} effective sizes exceed 10 times the largest reference model "
                f"({self.N_range_[1]:.3g} parameters): they rest on the form of the curve alone",
                ExtrapolationWarning,
                stacklevel=2,
            )
        values = table["N_effective"] / positive(N, "N")
        return values.rename("density") if isinstance(score, pd.Series) else values.to_numpy()

    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Return Student-t intervals of the coefficients.

        Args:
            level: In (0, 1).

        Returns:
            Rows ``w0``, ``w1``, ``w2``; columns ``estimate``, ``lower``, ``upper``.
        """
        check_is_fitted(self, "coef_")
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, got {level!r}")
        half = student_t.ppf(0.5 + 0.5 * level, self.dof_) * np.sqrt(np.diag(self.covariance_))
        names = ["w0", "w1", "w2"]
        return pd.DataFrame(
            {"estimate": self.coef_, "lower": self.coef_ - half, "upper": self.coef_ + half}, index=names
        )
