"""Regressors of a loss on a mixture: boosted trees, a linear and a quadratic polynomial.

All three are scikit-learn estimators of one target. The polynomials are written as contrasts against the mean
mixture of the training runs: since shares sum to 1, coefficients are defined up to a common constant only.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["BoostedTrees", "LinearMixture", "QuadraticMixture", "make_regressor"]

NAMES = ("lightgbm", "linear", "quadratic")
PENALTIES = (1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)


def make_regressor(regressor: Any, random_state: int | None = 42) -> Any:
    """Return a fresh, unfitted regressor.

    Args:
        regressor: ``lightgbm``, ``linear``, ``quadratic``, or a scikit-learn regressor, which is cloned.
        random_state: Seed of the boosted trees.

    Returns:
        The estimator.

    Raises:
        ValueError: if the name is none of these, or the object has no ``fit`` and ``predict``.
        ImportError: if LightGBM is asked for and not installed.
    """
    if isinstance(regressor, str):
        if regressor not in NAMES:
            raise ValueError(
                f"regressor must be {', '.join(NAMES)} or a scikit-learn regressor, got {regressor!r}"
            )
        if regressor == "lightgbm":
            _lightgbm()
            return BoostedTrees(random_state=42 if random_state is None else random_state)
        return LinearMixture() if regressor == "linear" else QuadraticMixture()
    if isinstance(regressor, type) or not all(hasattr(regressor, name) for name in ("fit", "predict")):
        raise ValueError(
            f"regressor must be {', '.join(NAMES)} or a scikit-learn regressor (an object), got {regressor!r}"
        )
    return clone(regressor)


def _lightgbm() -> Any:
    try:
        import lightgbm
    except ImportError as error:
        raise ImportError(
            "regressor='lightgbm' needs LightGBM: run `pip install '.[scaling]'` in a checkout, or take "
            "regressor='quadratic' or any scikit-learn regressor"
        ) from error
    return lightgbm


class BoostedTrees(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Gradient-boosted trees (LightGBM) with the settings of the paper, and leaves that fit small tables.

    LightGBM's own smallest leaf of 20 runs leaves a table of fewer than 40 runs unsplit and serves fewer than 200
    badly. Here it is a twelfth of the runs, from 3 to 20, so that the authors' 512 runs get the authors' 20.

    Args:
        learning_rate: Shrinkage of each tree, > 0.
        n_estimators: Number of trees, >= 1.
        num_leaves: Most leaves of a tree, >= 2.
        min_data_in_leaf: Fewest runs in a leaf, or None for a twelfth of them, from 3 to 20.
        random_state: Seed.
        num_threads: Threads of LightGBM. One is the quickest for a few hundred runs.

    Attributes:
        booster_: The LightGBM booster.
        n_trees_: Number of trees that predict.
        min_data_in_leaf_: Fewest runs in a leaf.

    Source:
        Section 3.2 of the paper; learning rate, trees and seed are those of the authors' notebook.

    Example:
        >>> x = np.random.default_rng(0).dirichlet(np.ones(3), 200)
        >>> trees = BoostedTrees(n_estimators=300).fit(x, x[:, 0] ** 2)
        >>> bool(np.abs(trees.predict(x) - x[:, 0] ** 2).mean() < 0.05)
        True
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        n_estimators: int = 1000,
        num_leaves: int = 31,
        min_data_in_leaf: int | None = None,
        random_state: int = 42,
        num_threads: int = 1,
    ) -> None:
        self.learning_rate = learning_rate
        self.n_estimators = n_estimators
        self.num_leaves = num_leaves
        self.min_data_in_leaf = min_data_in_leaf
        self.random_state = random_state
        self.num_threads = num_threads

    def fit(
        self, X: Any, y: Any, validation: tuple[Any, Any] | None = None, patience: int = 3
    ) -> BoostedTrees:
        """Grow the trees.

        Args:
            X: Shares, (runs, domains).
            y: One loss per run, (runs,).
            validation: Mixtures and losses on which to stop early, or None to grow all trees.
            patience: Trees without progress on them after which to stop.

        Returns:
            The fitted estimator.

        Raises:
            ImportError: if LightGBM is not installed.
        """
        lightgbm = _lightgbm()
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        leaf = self.min_data_in_leaf
        self.min_data_in_leaf_ = min(20, max(3, len(y) // 12)) if leaf is None else leaf
        settings = {
            "objective": "regression",
            "metric": ["l1", "l2"],
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_data_in_leaf_,
            "seed": self.random_state,
            "num_threads": self.num_threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        table = lightgbm.Dataset(X, y)
        watched = (
            None if validation is None else [lightgbm.Dataset(*map(np.asarray, validation), reference=table)]
        )
        stop = [] if validation is None else [lightgbm.early_stopping(patience, verbose=False)]
        # Handing back the training booster spares writing the trees as text and reading them again.
        self.booster_ = lightgbm.train(
            settings,
            table,
            self.n_estimators,
            valid_sets=watched,
            callbacks=stop,
            keep_training_booster=True,
        )
        self.booster_.free_dataset()
        self.n_trees_ = self.booster_.best_iteration if validation is not None else self.booster_.num_trees()
        self.__dict__.pop("leaf_range_", None)
        return self

    def predict(self, X: Any, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Sum the trees' outputs.

        Args:
            X: Shares, (mixtures, domains).
            start: First tree.
            stop: Tree before which to stop; None for all.

        Returns:
            Predictions, (mixtures,).
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        stop = self.n_trees_ if stop is None else min(stop, self.n_trees_)
        if stop <= start:
            return np.zeros(len(X))
        predicted: np.ndarray = self.booster_.predict(
            X, start_iteration=start, num_iteration=stop - start, num_threads=self.num_threads
        )
        return predicted

    @functools.cached_property
    def leaf_range_(self) -> np.ndarray:
        """Smallest and largest output of each tree, (trees, 2)."""
        check_is_fitted(self, "booster_")
        return _leaf_ranges(self.booster_)[: self.n_trees_]

    @property
    def feature_importances_(self) -> np.ndarray:
        """Share of the total gain of the splits by domain; 0 throughout where there is no split."""
        check_is_fitted(self)
        gain = self.booster_.feature_importance("gain", iteration=self.n_trees_)
        return np.asarray(gain / max(gain.sum(), 1e-300))


def _leaf_ranges(booster: Any) -> np.ndarray:
    # LightGBM offers no array of leaves; its text has one line of them per tree, the first holding the mean.
    lines = re.findall(r"^leaf_value=(.*)$", booster.model_to_string(), re.MULTILINE)
    leaves = [np.array(line.split(), float) for line in lines]
    return np.array([[values.min(), values.max()] for values in leaves])


class LinearMixture(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Least squares on the shares.

    The prediction is ``intercept_ + coef_ @ x``. ``intercept_`` is the prediction at the mean mixture and
    ``coef_`` the change from there to a mixture of one domain alone, so that ``coef_`` is zero at the mean mixture.

    Attributes:
        intercept_: Prediction at the mean mixture of the training runs.
        coef_: Contrast of each domain against the mean mixture, (domains,).

    Example:
        >>> x = np.random.default_rng(0).dirichlet(np.ones(3), 50)
        >>> line = LinearMixture().fit(x, x @ [5.0, 4.0, 3.0])
        >>> np.diff(line.coef_).round(6).tolist()
        [-1.0, -1.0]
    """

    def fit(self, X: Any, y: Any) -> LinearMixture:
        """Fit by least squares.

        Args:
            X: Shares, (runs, domains).
            y: One loss per run, (runs,).

        Returns:
            The fitted estimator.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        mean = X.mean(axis=0)
        slopes = np.linalg.lstsq(X - mean, y - y.mean(), rcond=None)[0]
        self.intercept_ = float(y.mean())
        self.coef_ = slopes - slopes @ mean
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return ``intercept_ + coef_ @ x`` by row, (mixtures,)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(self.intercept_ + X @ self.coef_)


class QuadraticMixture(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Scheffé's quadratic polynomial of the shares, with a ridge penalty chosen by leaving one run out.

    The prediction is ``intercept_ + coef_ @ x + x @ interaction_ @ x``: one slope per domain and one product per
    pair of domains. Squares are not needed, since shares sum to 1.

    Args:
        penalties: Ridge penalties to choose from, on standardised columns, as multiples of the number of runs.

    Attributes:
        intercept_: Constant.
        coef_: Linear terms, (domains,).
        interaction_: Symmetric matrix of the products, with a zero diagonal, (domains, domains).
        penalty_: The penalty chosen.

    Source:
        Scheffé 1958, Experiments with mixtures. An extension: the paper has no quadratic regressor.

    Example:
        >>> x = np.random.default_rng(0).dirichlet(np.ones(3), 100)
        >>> bowl = QuadraticMixture().fit(x, (x[:, 0] - 0.5) ** 2)
        >>> bool(np.abs(bowl.predict(x) - (x[:, 0] - 0.5) ** 2).max() < 1e-3)
        True
    """

    def __init__(self, penalties: tuple[float, ...] = PENALTIES) -> None:
        self.penalties = penalties

    def fit(self, X: Any, y: Any) -> QuadraticMixture:
        """Fit by ridge regression, the penalty being chosen by the leave-one-out error.

        Args:
            X: Shares, (runs, domains).
            y: One loss per run, (runs,).

        Returns:
            The fitted estimator.

        Raises:
            ValueError: if a penalty is not above 0.
        """
        if not self.penalties or not all(np.isfinite(p) and p > 0 for p in self.penalties):
            raise ValueError(f"penalties must be numbers above 0, got {self.penalties!r}")
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        k = X.shape[1]
        first, second = np.triu_indices(k, 1)
        columns = np.concatenate([X, X[:, first] * X[:, second]], axis=1)
        mean, spread = columns.mean(axis=0), columns.std(axis=0)
        spread = np.where(spread > 1e-12, spread, np.inf)  # a column without information gets no coefficient
        slopes = self._ridge((columns - mean) / spread, y - y.mean()) / spread
        self.intercept_ = float(y.mean() - slopes @ mean)
        self.coef_ = slopes[:k]
        self.interaction_ = np.zeros((k, k))
        self.interaction_[first, second] = self.interaction_[second, first] = slopes[k:] / 2
        return self

    def _ridge(self, Z: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the coefficients at the penalty with the smallest leave-one-out error."""
        left, values, right = np.linalg.svd(Z, full_matrices=False)
        along, best = left.T @ y, np.inf
        for penalty in self.penalties:
            shrink = values**2 / (values**2 + penalty * len(y))
            leverage = 1.0 / len(y) + (left**2 @ shrink)
            errors = (y - left @ (shrink * along)) / np.maximum(1.0 - leverage, 1e-9)
            error = float(errors @ errors)
            if error < best:
                best, self.penalty_ = error, penalty
        weights = values / (values**2 + self.penalty_ * len(y))
        slopes: np.ndarray = right.T @ (weights * along)
        return slopes

    def predict(self, X: Any) -> np.ndarray:
        """Return the polynomial by row, (mixtures,)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(self.intercept_ + X @ self.coef_ + ((X @ self.interaction_) * X).sum(axis=1))
