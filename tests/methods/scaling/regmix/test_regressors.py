"""The regressors against closed forms, scikit-learn and LightGBM themselves."""

from __future__ import annotations

import builtins
import pickle

import lightgbm
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge

from broadsheet.methods.scaling.regmix.regressors import (
    BoostedTrees,
    LinearMixture,
    QuadraticMixture,
    make_regressor,
)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.dirichlet([1.0, 2.0, 0.5, 1.0], 150)
    y = 4.0 - 1.5 * np.sqrt(x[:, 0]) + x[:, 1] * x[:, 2] + 0.01 * rng.normal(size=150)
    return x, y


def test_linear_predictions_are_those_of_least_squares_with_intercept(table):
    x, y = table
    ours, theirs = LinearMixture().fit(x, y), LinearRegression().fit(x, y)
    assert np.allclose(ours.predict(x), theirs.predict(x), atol=1e-10)


def test_linear_coefficients_are_contrasts_against_the_mean_mixture(table):
    x, y = table
    line = LinearMixture().fit(x, y)
    assert line.coef_ @ x.mean(axis=0) == pytest.approx(0.0, abs=1e-12)
    assert line.predict(x.mean(axis=0)[None])[0] == pytest.approx(y.mean())
    assert line.predict(np.eye(4)) == pytest.approx(line.intercept_ + line.coef_)


def test_the_quadratic_recovers_a_quadratic_and_its_ridge_is_scikit_learns(table):
    x, y = table
    truth = 3.0 + 2.0 * x[:, 0] * x[:, 1] - x[:, 2] ** 2
    fitted = QuadraticMixture().fit(x, truth)
    assert np.abs(fitted.predict(x) - truth).max() < 1e-5
    assert np.array_equal(fitted.interaction_, fitted.interaction_.T)
    assert not np.diag(fitted.interaction_).any()

    penalty = 1e-3
    ours = QuadraticMixture(penalties=(penalty,)).fit(x, y)
    pairs = np.triu_indices(4, 1)
    columns = np.hstack([x, x[:, pairs[0]] * x[:, pairs[1]]])
    z = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    assert np.allclose(ours.predict(x), Ridge(penalty * len(y)).fit(z, y).predict(z), atol=1e-9)


def test_the_penalty_has_the_smallest_leave_one_out_error(table):
    x, y = table[0][:30], table[1][:30]
    pairs = np.triu_indices(4, 1)
    columns = np.hstack([x, x[:, pairs[0]] * x[:, pairs[1]]])
    # Columns keep the whole table's scale while a run is left out, as the closed form has it.
    z = (columns - columns.mean(axis=0)) / columns.std(axis=0)

    def left_out(penalty):
        errors = []
        for row in range(30):
            rest = np.arange(30) != row
            model = Ridge(penalty * 30).fit(z[rest], y[rest])
            errors.append(y[row] - model.predict(z[[row]])[0])
        return np.square(errors).sum()

    penalties = (1e-6, 1e-4, 1e-2, 1.0)
    assert QuadraticMixture(penalties).fit(x, y).penalty_ == min(penalties, key=left_out)


def test_trees_are_lightgbms_own_with_the_notebooks_settings(table):
    x, y = table
    settings = {"learning_rate": 0.01, "num_iterations": 120, "seed": 42, "verbosity": -1, "num_threads": 1}
    theirs = lightgbm.LGBMRegressor(**settings, min_child_samples=12).fit(x, y)
    ours = BoostedTrees(n_estimators=120).fit(x, y)
    assert ours.min_data_in_leaf_ == 12
    assert np.allclose(ours.predict(x), theirs.predict(x), atol=1e-12)


@pytest.mark.parametrize(("runs", "leaf"), [(16, 3), (64, 5), (128, 10), (512, 20)])
def test_leaves_shrink_with_the_table(runs, leaf):
    rng = np.random.default_rng(1)
    x = rng.dirichlet(np.ones(3), runs)
    trees = BoostedTrees(n_estimators=50).fit(x, x[:, 0])
    assert trees.min_data_in_leaf_ == leaf
    assert np.ptp(trees.predict(x)) > 0  # LightGBM's own 20 would leave 16 runs unsplit


def test_partial_sums_and_ranges_of_leaves_bound_what_is_to_come(table):
    x, y = table
    trees = BoostedTrees(n_estimators=80).fit(x, y)
    first, rest, whole = trees.predict(x, 0, 30), trees.predict(x, 30), trees.predict(x)
    assert np.allclose(first + rest, whole, atol=1e-12)
    assert trees.leaf_range_.shape == (80, 2)
    low, high = trees.leaf_range_[30:].sum(axis=0)
    assert (rest >= low - 1e-12).all()
    assert (rest <= high + 1e-12).all()
    assert not trees.predict(x, 80).any()


def test_early_stopping_keeps_fewer_trees_and_says_so(table):
    x, y = table
    stopped = BoostedTrees(learning_rate=0.3).fit(x[:100], y[:100], validation=(x[100:], y[100:]))
    assert 0 < stopped.n_trees_ < 1000
    assert len(stopped.leaf_range_) == stopped.n_trees_
    assert np.allclose(stopped.predict(x), stopped.booster_.predict(x, num_iteration=stopped.n_trees_))


def test_gains_are_shares_and_a_fitted_model_survives_a_pickle(table):
    x, y = table
    trees = BoostedTrees(n_estimators=60).fit(x, y)
    assert trees.feature_importances_.sum() == pytest.approx(1.0)
    assert trees.feature_importances_.argmax() == 0
    assert np.array_equal(pickle.loads(pickle.dumps(trees)).predict(x), trees.predict(x))


def test_a_constant_loss_is_predicted(table):
    x, _ = table
    for name in ("lightgbm", "linear", "quadratic"):
        assert np.allclose(make_regressor(name).fit(x, np.full(150, 2.5)).predict(x), 2.5)


def test_any_scikit_learn_regressor_is_cloned():
    given = Ridge(alpha=0.5)
    made = make_regressor(given)
    assert made is not given
    assert made.alpha == 0.5
    assert clone(BoostedTrees(n_estimators=7)).n_estimators == 7


@pytest.mark.parametrize("wrong", ["lgbm", Ridge, 3, None])
def test_what_is_no_regressor_is_refused(wrong):
    with pytest.raises(ValueError, match="lightgbm, linear, quadratic or a scikit-learn regressor"):
        make_regressor(wrong)


def test_bad_penalties_are_refused(table):
    with pytest.raises(ValueError, match="penalties must be numbers above 0"):
        QuadraticMixture(penalties=(0.0,)).fit(*table)


def test_a_missing_lightgbm_is_told_with_the_way_out(monkeypatch):
    plain = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "lightgbm":
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install '\.\[scaling\]'"):
        make_regressor("lightgbm")
