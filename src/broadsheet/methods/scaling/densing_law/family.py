"""The reference of the paper: two laws, from size and tokens to loss and from loss to score, and their inverse."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from broadsheet.methods.scaling.densing_law.laws import ConditionalLossLaw, LossToMetric
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
from broadsheet.methods.scaling.identification import ScalingWarning

__all__ = ["ReferenceFamily"]

_LEAST = 1e-6  # scores of 0 are taken as this: the laws predict positive quantities


class ReferenceFamily(BaseEstimator):  # type: ignore[misc]
    """Loss from size and tokens, score from loss, and the size at which the reference reaches a score.

    Args:
        metric: What the score is called in messages.
        random_state: Seed of the bootstrap behind intervals.

    Attributes:
        loss_law_: The fitted :class:`ConditionalLossLaw`.
        metric_law_: The fitted :class:`LossToMetric`.
        N_range_: Smallest and largest size that the first was fitted on.

    Source:
        The two-step estimation of performance, and the effective parameter size.

    Example:
        >>> N, D = (m.ravel() for m in np.meshgrid([1e7, 3e7, 1e8, 3e8], [1e9, 4e9, 2e10]))
        >>> runs = pd.DataFrame({"N": N, "D": D, "loss": 50 * N**-0.25 + 300 * D**-0.25})
        >>> runs["score"] = 0.25 + 0.75 / (1 + np.exp(3 * (runs["loss"] - 1.5)))
        >>> ref = ReferenceFamily().fit_loss(runs).fit_metric(runs, floor=0.25, ceiling=1.0)
        >>> score = ref.predict(N=2e8, D=1e12)
        >>> float(ref.effective_parameters(score)["N_effective"][0].round(-4))
        200000000.0
    """

    def __init__(self, metric: str = "score", random_state: int = 0) -> None:
        self.metric = metric
        self.random_state = random_state

    def fit_loss(
        self,
        frame: pd.DataFrame,
        *,
        N: str = "N",
        D: str = "D",
        loss: str = "loss",
        N_kind: str | None = None,
    ) -> ReferenceFamily:
        """Fit step 1.

        Args:
            frame: A row per reference run: parameters, tokens, conditional loss (nats).
            N: Column of parameters.
            D: Column of tokens.
            loss: Column of losses.
            N_kind: See :func:`~broadsheet.methods.scaling.densing_law.scores.sizes`.

        Returns:
            Itself.

        Raises:
            ValueError: as the law's ``fit``; also if sizes do not differ, or the loss does not fall with them.
        """
        runs = pd.DataFrame(
            {"N": sizes(frame, N, N_kind), "D": column(frame, D), "loss": column(frame, loss)},
            index=frame.index,
        )
        law = _quietly(ConditionalLossLaw(random_state=self.random_state), runs)
        if law.params_["alpha"] <= 0:
            raise ValueError(
                f"column {loss!r}: the loss must fall with the parameters, alpha is {law.params_['alpha']:.3g}: "
                "such a reference would ask for a smaller model where the score is better"
            )
        self.loss_law_ = law
        self.N_range_ = (float(runs["N"].min()), float(runs["N"].max()))
        return self

    def fit_metric(
        self,
        frame: pd.DataFrame,
        *,
        floor: float = 0.0,
        ceiling: float | None = 1.0,
        loss: str = "loss",
        score: str = "score",
    ) -> ReferenceFamily:
        """Fit step 2.

        Args:
            frame: A row per trained model or checkpoint: conditional loss and score (a fraction).
            floor: Score of guessing.
            ceiling: Best score, or None to fit it.
            loss: Column of losses.
            score: Column of scores.

        Returns:
            Itself.

        Raises:
            ValueError: if scores are not fractions, or do not fall as the loss grows.
        """
        check_bounds(floor, 1.0 if ceiling is None else ceiling)
        values = fractions(column(frame, score), score)
        losses = positive(column(frame, loss), loss)
        if not np.isfinite(values).all():
            raise ValueError(
                f"column {score!r}: {np.isnan(values).sum()} scores are missing; leave their rows out"
            )
        if len(values) > 2 and np.ptp(losses) > 0 and np.polyfit(losses, values, 1)[0] >= 0:
            raise ValueError(
                f"column {score!r} does not fall as {loss!r} grows: the score does not follow from this loss"
            )
        table = pd.DataFrame({"loss": losses, "score": np.maximum(values, _LEAST)}, index=frame.index)
        self.metric_law_ = _quietly(
            LossToMetric(floor=floor, ceiling=ceiling, random_state=self.random_state), table
        )
        return self

    def _check_fitted(self) -> None:
        for name, method in (("loss_law_", "fit_loss"), ("metric_law_", "fit_metric")):
            if not hasattr(self, name):
                raise NotFittedError(f"call {method} first: both steps are needed")

    def predict(self, N: ArrayLike, D: ArrayLike) -> Floats:
        """Return the score of the reference at sizes and numbers of tokens.

        Args:
            N: (n,); parameters.
            D: (n,); tokens.

        Returns:
            (n,); fractions.
        """
        self._check_fitted()
        n, d = np.broadcast_arrays(positive(N, "N"), positive(D, "D"))
        loss = self.loss_law_.predict(pd.DataFrame({"N": n, "D": d}))
        return np.asarray(self.metric_law_.predict(pd.DataFrame({"loss": loss})))

    def effective_parameters(
        self, score: ArrayLike, D0: float = 1e12, *, interval: float | None = None, n_boot: int = 400
    ) -> pd.DataFrame:
        """Return the size at which the reference, trained on ``D0`` tokens, reaches a score.

        Args:
            score: (n,); fractions.
            D0: Tokens, > 0.
            interval: Level of an interval from refits of both laws on resampled rows, or None.
            n_boot: Refits, >= 20.

        Returns:
            A frame with ``N_effective``, ``loss`` (that the score asks for), ``reason`` and, where asked for, ``lower``
            and ``upper``. Undefined sizes are NaN, and ``reason`` says why.

        Raises:
            ValueError: if scores are not fractions, or an argument is out of range.

        Source:
            The definition of the effective parameter size.
        """
        self._check_fitted()
        scores, tokens = fractions(score, self.metric), float(positive(D0, "D0")[0])
        law = self.metric_law_
        loss = law.inverse(scores)
        p = self.loss_law_.params_
        effective = _size(loss, tokens, *(np.float64(p[k]) for k in ("a", "b", "alpha", "beta")))
        why = reasons(scores, law.floor, law.floor + law.height_, effective, self.N_range_[1])
        frame = pd.DataFrame({"N_effective": effective, "loss": loss, "reason": why})
        if isinstance(score, pd.Series):
            frame.index = score.index
        if interval is not None:
            if not 0.0 < interval < 1.0:
                raise ValueError(f"interval must lie between 0 and 1, got {interval!r}")
            frame["lower"], frame["upper"] = self._interval(scores, tokens, interval, n_boot)
            frame.loc[np.isnan(effective), ["lower", "upper"]] = np.nan
        return frame

    def _interval(self, scores: Floats, D0: float, level: float, n_boot: int) -> tuple[Any, Any]:
        one = self.loss_law_.bootstrap(n_boot).frame
        two = self.metric_law_.bootstrap(n_boot).frame
        m = min(len(one), len(two))
        law = self.metric_law_
        height = two["c"].to_numpy()[:m, None] if "c" in two else law.height_
        steep, middle = (two[k].to_numpy()[:m, None] for k in ("steepness", "l"))
        with np.errstate(invalid="ignore", divide="ignore"):
            loss = middle + np.log(height / (scores - law.floor) - 1.0) / steep
        drawn = _size(loss, D0, *(one[k].to_numpy()[:m, None] for k in ("a", "b", "alpha", "beta")))
        # Where a refit's token term alone exceeds the loss, no size is large enough.
        drawn = np.where(np.isnan(drawn), np.inf, drawn)
        tail = 0.5 * (1.0 - level)
        low, high = np.quantile(drawn, [tail, 1.0 - tail], axis=0, method="nearest")
        return low, high

    def density(self, score: ArrayLike, N: ArrayLike, D0: float = 1e12) -> Any:
        """Return effective over actual parameters.

        Args:
            score: (n,); fractions.
            N: (n,); parameters that the models have.
            D0: Tokens of the reference.

        Returns:
            (n,), a Series where ``score`` is one; NaN where the effective size is undefined.

        Warns:
            ExtrapolationWarning: if effective sizes exceed 10 times the largest reference model.
        """
        table = self.effective_parameters(score, D0)
        far = int((table["reason"] == "extrapolated").sum())
        if far:
            warnings.warn(
                f"{self.metric}: {far} of {len(table)} effective sizes exceed 10 times the largest reference model "
                f"({self.N_range_[1]:.3g} parameters): they rest on the form of the law alone",
                ExtrapolationWarning,
                stacklevel=2,
            )
        values = table["N_effective"] / positive(N, "N")
        return values.rename("density") if isinstance(score, pd.Series) else values.to_numpy()


def _size(loss: Any, D0: float, a: Any, b: Any, alpha: Any, beta: Any) -> Any:
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        left = (loss - b * D0**-beta) / a
        return np.where(left > 0, np.where(left > 0, left, np.nan) ** (-1.0 / alpha), np.nan)


def _quietly(law: Any, table: pd.DataFrame) -> Any:
    with warnings.catch_warnings():
        # Exact tables are met by many starts to the last digit but not to 1e-6 of an objective near 0.
        warnings.simplefilter("ignore", ScalingWarning)
        return law.fit(table)
