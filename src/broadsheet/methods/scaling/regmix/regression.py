"""RegMix: regress losses of proxy models on their mixtures, then search for the best mixture."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from broadsheet.methods.scaling.regmix import optimization
from broadsheet.methods.scaling.regmix.mixtures import MixtureWarning, as_mixtures, as_prior
from broadsheet.methods.scaling.regmix.regressors import BoostedTrees, make_regressor
from broadsheet.methods.scaling.regmix.simplex import SimplexBox
from broadsheet.methods.scaling.regmix.tables import as_losses, clean_runs, target_weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RegMix", "spearman"]


class RegMix(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Choose the proportions of a training corpus from many small runs.

    One regressor is fitted for each column of losses. The objective is one of them or a weighted sum. Mixtures
    and losses are frames with one row per proxy run; the same index joins them.

    Args:
        regressor: ``lightgbm`` (the paper's choice; needs the extra ``scaling``), ``linear``, ``quadratic``
            (an extension), or a scikit-learn regressor, of which a clone is fitted for each column.
        target: What to minimise: a column of losses, weights by column, or None for the mean of all columns.
        cv: Number of folds of the cross-validation, >= 2.
        n_jobs: Columns and folds fitted at once, in threads.
        random_state: Seed of trees and folds.

    Attributes:
        domains_: Names of the domains.
        targets_: Names of the columns of losses.
        target_weights_: Weights of the objective by column.
        models_: Fitted regressors by column.
        mixtures_: Mixtures of the runs that were used; rows sum to 1.
        losses_: Losses of the same runs.
        n_dropped_: Number of runs left out because a loss is not finite.

    Source:
        Section 3 of the paper.

    Example:
        >>> from broadsheet.methods.scaling import RegMix, sample_mixtures
        >>> mixtures = sample_mixtures({"code": 1, "web": 5, "law": 2}, n=80)
        >>> losses = (mixtures - [0.2, 0.5, 0.3]).pow(2).sum(axis=1).rename("loss") + 3.0
        >>> model = RegMix("quadratic").fit(mixtures, losses)
        >>> model.optimize().round(2).to_dict()
        {'code': 0.2, 'web': 0.5, 'law': 0.3}
    """

    def __init__(
        self,
        regressor: Any = "lightgbm",
        target: str | Mapping[str, float] | None = None,
        *,
        cv: int = 5,
        n_jobs: int | None = 1,
        random_state: int | None = 42,
    ) -> None:
        self.regressor = regressor
        self.target = target
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    # --- Fitting

    def fit(self, mixtures: Any, losses: Any) -> RegMix:
        """Fit one regressor for each column of losses.

        Args:
            mixtures: Shares, one row per run and one column per domain. Rows may miss 1 by rounding (0.01) and are
                normalised.
            losses: Losses, one row per run and one column per target: a frame, a series or an array. A frame is
                joined to ``mixtures`` by its index; an array by position.

        Returns:
            The fitted estimator.

        Raises:
            ValueError: if a mixture is not one, mixtures and losses do not have the same runs, or the target is
                not among the columns; before anything is fitted.
            ImportError: if LightGBM is asked for and not installed.

        Warns:
            MixtureWarning: if runs are dropped because a loss is not finite, a domain has the same share in all
                runs, or there are fewer runs than twice the domains.
        """
        make_regressor(self.regressor, self.random_state)
        shares, table = clean_runs(mixtures, losses)
        weights = target_weights(self.target, list(table.columns))
        self.n_dropped_ = len(losses) - len(table)
        self.mixtures_, self.losses_ = shares, table
        self.domains_, self.targets_ = list(shares.columns), list(table.columns)
        self.target_weights_ = weights
        self.n_features_in_ = len(self.domains_)
        self.feature_names_in_ = np.asarray(self.domains_, dtype=object)
        self._held_out: dict[Any, np.ndarray] = {}
        fitted = self._fit_all([(shares.to_numpy(), table[name].to_numpy()) for name in self.targets_])
        self.models_ = dict(zip(self.targets_, fitted, strict=True))
        return self

    def _fit_all(self, tables: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[Any]:
        from sklearn.utils.parallel import Parallel, delayed

        def fit_one(X: np.ndarray, y: np.ndarray) -> Any:
            return make_regressor(self.regressor, self.random_state).fit(X, y)

        return list(Parallel(n_jobs=self.n_jobs, prefer="threads")(delayed(fit_one)(X, y) for X, y in tables))

    # --- Predicting

    def predict(self, mixtures: Any) -> np.ndarray:
        """Predict the objective.

        Args:
            mixtures: Shares, (mixtures, domains): a frame with the fitted domains in any order, or an array.

        Returns:
            The weighted sum of predicted losses, (mixtures,).

        Raises:
            ValueError: if a mixture is not one, or domains are missing or unknown.
            sklearn.exceptions.NotFittedError: before ``fit``.
        """
        check_is_fitted(self, "models_")
        return optimization.predict_sum(self._parts(), as_mixtures(mixtures, self.domains_).to_numpy())

    def predict_losses(self, mixtures: Any) -> pd.DataFrame:
        """Predict every column of losses.

        Args:
            mixtures: As in :meth:`predict`.

        Returns:
            One row per mixture and one column per target.

        Raises:
            ValueError: as :meth:`predict`.
        """
        check_is_fitted(self, "models_")
        shares = as_mixtures(mixtures, self.domains_)
        X = shares.to_numpy()
        return pd.DataFrame(
            {name: self.models_[name].predict(X) for name in self.targets_}, index=shares.index
        )

    @property
    def used_targets(self) -> list[str]:
        """Columns of losses whose weight in the objective is not 0."""
        check_is_fitted(self, "models_")
        return [name for name in self.targets_ if self.target_weights_[name] != 0]

    def _parts(self) -> list[tuple[float, Any]]:
        return [(float(self.target_weights_[name]), self.models_[name]) for name in self.used_targets]

    def _objective(self, losses: pd.DataFrame) -> np.ndarray:
        used = self.used_targets
        return np.asarray(losses[used].to_numpy() @ self.target_weights_[used].to_numpy())

    # --- How good is it?

    def score(self, mixtures: Any = None, losses: Any = None) -> float:
        """Return Spearman's rank correlation of predicted and true objective.

        Args:
            mixtures: Mixtures of runs that were not fitted, or None to cross-validate on the fitted runs.
            losses: Their losses, with the columns of the objective.

        Returns:
            A number up to 1; 0 if all predictions are equal.

        Raises:
            ValueError: if only one of the two is given, or as :meth:`fit`.

        Example:
            >>> from broadsheet.methods.scaling import RegMix, sample_mixtures
            >>> mixtures = sample_mixtures([1, 1, 1], n=60)
            >>> RegMix("linear").fit(mixtures, mixtures["domain0"].rename("loss")).score() > 0.99
            True
        """
        check_is_fitted(self, "models_")
        if (mixtures is None) != (losses is None):
            raise ValueError("give mixtures and losses of new runs, or neither for cross-validation")
        if mixtures is None:
            held_out = self.predict_held_out(self.used_targets)
            return spearman(self._objective(held_out), self._objective(self.losses_))
        table = as_losses(losses, self.targets_)
        shares, table = clean_runs(as_mixtures(mixtures, self.domains_), table, quiet=True)
        return spearman(self.predict(shares), self._objective(table))

    def evaluate(self, mixtures: Any, losses: Any) -> pd.DataFrame:
        """Compare predictions with the losses of runs that were not fitted, column by column.

        Args:
            mixtures: Their mixtures.
            losses: Their losses, with the fitted columns.

        Returns:
            One row per target, and one for the objective if it is a sum of several: ``spearman``, ``mse``
            (mean squared error, squared nats) and ``r2``.

        Raises:
            ValueError: as :meth:`fit`.
        """
        check_is_fitted(self, "models_")
        table = as_losses(losses, self.targets_)
        shares, table = clean_runs(as_mixtures(mixtures, self.domains_), table, quiet=True)
        return self._agreement(self.predict_losses(shares), table)

    def cross_validate(self) -> pd.DataFrame:
        """Compare held-out predictions of the fitted runs with their losses, column by column.

        Returns:
            As :meth:`evaluate`, over the predictions of all ``cv`` folds together.
        """
        return self._agreement(self.predict_held_out(), self.losses_)

    def predict_held_out(self, targets: Sequence[str] | None = None) -> pd.DataFrame:
        """Predict each fitted run from regressors that have not seen its fold.

        Args:
            targets: Columns of losses, or None for all. What was computed once is kept until the next ``fit``.

        Returns:
            One row per run and one column per target.

        Raises:
            ValueError: if ``cv`` is below 2 or above the number of runs.
        """
        from sklearn.model_selection import KFold

        check_is_fitted(self, "models_")
        n = len(self.mixtures_)
        if not 2 <= self.cv <= n:
            raise ValueError(f"cv must be from 2 to the number of runs ({n}), got {self.cv!r}")
        names = self.targets_ if targets is None else list(targets)
        state = (self.cv, self.random_state)
        lacking = [name for name in names if (name, state) not in self._held_out]
        folds = list(KFold(self.cv, shuffle=True, random_state=self.random_state).split(np.arange(n)))
        X, jobs = self.mixtures_.to_numpy(), [(name, fold) for name in lacking for fold in folds]
        fitted = self._fit_all([(X[seen], self.losses_[name].to_numpy()[seen]) for name, (seen, _) in jobs])
        for (name, (_, held)), model in zip(jobs, fitted, strict=True):
            self._held_out.setdefault((name, state), np.empty(n))[held] = model.predict(X[held])
        return pd.DataFrame({name: self._held_out[name, state] for name in names}, index=self.mixtures_.index)

    def _agreement(self, predicted: pd.DataFrame, true: pd.DataFrame) -> pd.DataFrame:
        rows = {name: _agree(predicted[name].to_numpy(), true[name].to_numpy()) for name in self.targets_}
        if len(self.used_targets) > 1:
            rows["objective"] = _agree(self._objective(predicted), self._objective(true))
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("target")

    # --- The best mixture

    def optimize(
        self,
        n_samples: int = 100_000,
        top_k: int = 128,
        prior: Any = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        min_share: float | Mapping[str, float] | None = None,
        *,
        max_epochs: float | None = None,
        extrapolate: bool | None = None,
        method: str = "auto",
        seed: int = 42,
    ) -> pd.Series:
        """Search for the mixture with the lowest predicted objective.

        Mixtures are drawn around the prior, and the ``top_k`` with the lowest predictions are averaged: trees
        predict plateaus, on which a single lowest mixture means little. For linear and quadratic regressors the
        minimum is then sought by projected gradients from the average, the best draws and the corners; it is
        never predicted to be worse than any of those.

        Args:
            n_samples: Number of mixtures drawn, >= 1.
            top_k: Number averaged, 1 to ``n_samples``.
            prior: Tokens of each domain, in any unit; by default the mean of the fitted mixtures.
            bounds: Smallest and largest share by domain.
            min_share: Smallest share of every domain, or by domain.
            max_epochs: Largest share of a domain as a multiple of its share of the prior, as in
                :func:`sample_mixtures`; needs ``prior``.
            extrapolate: Whether a domain may get more than its largest or less than its smallest share in the
                fitted runs. By default only boosted trees may: beyond the runs they stay level, while other
                regressors go on falling where nothing was seen. ``bounds`` and ``min_share`` go first.
            method: ``sampling``, ``gradient`` (linear and quadratic only), or ``auto`` for gradient where that
                is possible.
            seed: Seed of the draws.

        Returns:
            Shares by domain, summing to 1 and within all bounds. Its ``attrs`` hold ``predicted`` (objective of
            this mixture), ``best_sampled`` (lowest among those drawn), ``worst_averaged`` (the ``top_k``-th
            lowest) and ``method``.

        Raises:
            ValueError: if an argument is out of range or no mixture is within the bounds.

        Warns:
            MixtureWarning: if the average is predicted to be worse than all mixtures that went into it, by more
                than they differ.

        Source:
            Section 3.3 of the paper; 100,000 draws and the average of 128 are the authors' notebook.
        """
        check_is_fitted(self, "models_")
        _check_search(n_samples, top_k, method)
        if max_epochs is not None and prior is None:
            raise ValueError("max_epochs needs prior=: it is a multiple of a domain's share of the prior")
        if max_epochs is not None and not max_epochs >= 1:
            raise ValueError(f"max_epochs must be at least 1, got {max_epochs!r}")
        shares = as_prior(self.mixtures_.mean().clip(lower=1e-9) if prior is None else prior, self.domains_)
        upper = None if max_epochs is None else np.minimum(max_epochs * shares.to_numpy(), 1.0)
        box = SimplexBox.of(self.domains_, bounds, min_share, upper)
        parts = self._parts()
        trees = all(isinstance(model, BoostedTrees) for _, model in parts)
        if not (trees if extrapolate is None else extrapolate):
            box = box.within(self.mixtures_.to_numpy())
        form = optimization.polynomial(parts, len(self.domains_))
        if method == "gradient" and form is None:
            raise ValueError(
                "method='gradient' needs a linear or quadratic regressor: take method='sampling'"
            )
        drawn = box.draw(shares.to_numpy(), n_samples, np.random.default_rng(seed))
        top, predicted = optimization.lowest(parts, drawn, top_k)
        average = drawn[top].mean(axis=0)
        if form is None or method == "sampling":
            return self._optimum(average, predicted, "sampling")
        starts = np.concatenate([[average], drawn[top[:16]], box.project(np.eye(len(average)))])
        return self._optimum(optimization.minimise_polynomial(*form, box, starts), predicted, "gradient")

    def _optimum(self, mixture: np.ndarray, sampled: np.ndarray, method: str) -> pd.Series:
        value = float(optimization.predict_sum(self._parts(), mixture[None])[0])
        # By more than they differ among themselves: trees are rough, and a hair above the last is no sign.
        if value > sampled[-1] + (sampled[-1] - sampled[0]) + 1e-9 * max(1.0, abs(sampled[-1])):
            warnings.warn(
                f"the average of the top_k={len(sampled)} mixtures is predicted at {value:.6g}, worse than each of "
                f"them (up to {sampled[-1]:.6g}): they lie in separate regions; lower top_k",
                MixtureWarning,
                stacklevel=3,
            )
        weights = pd.Series(
            mixture / mixture.sum(), index=pd.Index(self.domains_, name="domain"), name="weight"
        )
        weights.attrs = {
            "predicted": value,
            "best_sampled": float(sampled[0]),
            "worst_averaged": float(sampled[-1]),
            "method": method,
        }
        return weights

    # --- What matters, and saying so

    def importance(self, kind: str = "effect", step: float = 0.05) -> pd.DataFrame:
        """Tell what each domain does to each loss.

        Args:
            kind: ``effect``: change of the predicted loss per unit of share when ``step`` of it moves into the
                domain (or what the others have, if less) from all others in proportion, averaged over the fitted
                mixtures (negative: the domain helps). It is a contrast, so that the constant that shares leave
                undefined cancels. ``gain``: share of the boosted trees' gain, >= 0, columns sum to 1.
            step: Share that moves, in (0, 1].

        Returns:
            One row per domain and one column per target.

        Raises:
            ValueError: if an argument is out of range, or gains are asked of other regressors than trees.

        Source:
            Cox 1971 (the direction of the effect). An extension: the paper shows coefficients.
        """
        check_is_fitted(self, "models_")
        domains = pd.Index(self.domains_, name="domain")
        if kind == "gain":
            if not all(hasattr(model, "feature_importances_") for model in self.models_.values()):
                raise ValueError(
                    "kind='gain' needs a regressor with feature_importances_: take kind='effect'"
                )
            gains = {name: model.feature_importances_ for name, model in self.models_.items()}
            return pd.DataFrame(gains, index=domains)
        if kind != "effect":
            raise ValueError(f"kind must be effect or gain, got {kind!r}")
        if not 0 < step <= 1:
            raise ValueError(f"step must be above 0 and at most 1, got {step!r}")
        X = self.mixtures_.to_numpy()
        room = 1.0 - X  # what others have to give to each domain
        with np.errstate(divide="ignore"):
            taken = np.minimum(step / np.where(room > 0, room, np.inf), 1.0).T[
                :, :, None
            ]  # (domains, runs, 1)
        moved = (1.0 - taken) * X + taken * np.eye(X.shape[1])[:, None, :]
        gained = taken[..., 0] * room.T
        effects = {}
        for name, model in self.models_.items():
            change = model.predict(moved.reshape(-1, X.shape[1])).reshape(
                len(domains), len(X)
            ) - model.predict(X)
            per_share = np.divide(change, gained, out=np.full_like(change, np.nan), where=gained > 0)
            effects[name] = np.nanmean(
                per_share, axis=1
            )  # a run on one domain alone says nothing of that domain
        return pd.DataFrame(effects, index=domains)

    def report(self) -> str:
        """Return a summary as text: runs, agreement by cross-validation, effects, and the optimum of ``optimize``."""
        from broadsheet.methods.scaling.regmix.report import report

        check_is_fitted(self, "models_")
        return report(self)

    def plot_weights(self, weights: Any = None, reference: Any = None, ax: Axes | None = None) -> Axes:
        """Draw a mixture as bars beside a reference; see ``plots.plot_weights``."""
        from broadsheet.methods.scaling.regmix.plots import plot_weights

        return plot_weights(self, weights, reference, ax)

    def plot_fit(self, target: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw losses against held-out predictions; see ``plots.plot_fit``."""
        from broadsheet.methods.scaling.regmix.plots import plot_fit

        return plot_fit(self, target, ax)


def _check_search(n_samples: int, top_k: int, method: str) -> None:
    if not (isinstance(n_samples, int | np.integer) and n_samples >= 1):
        raise ValueError(f"n_samples must be a whole number of at least 1, got {n_samples!r}")
    if not (isinstance(top_k, int | np.integer) and 1 <= top_k <= n_samples):
        raise ValueError(f"top_k must be a whole number from 1 to n_samples ({n_samples}), got {top_k!r}")
    if method not in ("auto", "sampling", "gradient"):
        raise ValueError(f"method must be auto, sampling or gradient, got {method!r}")


def spearman(predicted: ArrayLike, true: ArrayLike) -> float:
    """Return the rank correlation of two lists of numbers, ties at their mean rank.

    Args:
        predicted: Numbers, (n,).
        true: Numbers, (n,).

    Returns:
        From -1 to 1; 0 where one list is constant.

    Example:
        >>> spearman([1.0, 2.0, 3.0], [10.0, 30.0, 20.0])
        0.5
    """
    from scipy.stats import rankdata

    one, other = rankdata(predicted), rankdata(true)
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size > 0 else 0.0


def _agree(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    mse = float(np.mean((predicted - true) ** 2))
    variance = float(np.var(true))
    return {
        "spearman": spearman(predicted, true),
        "mse": mse,
        "r2": 1.0 - mse / variance if variance > 0 else 0.0,
    }
