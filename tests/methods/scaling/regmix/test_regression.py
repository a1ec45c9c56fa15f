"""RegMix as an estimator: tables, targets, scores, the optimum, and what is refused or warned of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.model_selection import KFold, cross_val_score
from tests.methods.scaling.regmix.conftest import BEST, PRIOR, losses_of

from broadsheet.methods.scaling import MixtureWarning, RegMix, sample_mixtures
from broadsheet.methods.scaling.regmix.regression import spearman
from broadsheet.methods.scaling.regmix.regressors import BoostedTrees


@pytest.fixture(scope="module")
def bowl(mixtures, losses):
    return RegMix("quadratic", target="bowl").fit(mixtures, losses)


@pytest.fixture(scope="module")
def trees(mixtures, losses):
    return RegMix(BoostedTrees(n_estimators=300, learning_rate=0.03), target="bowl").fit(mixtures, losses)


# --- Fitting and predicting


def test_parameters_are_scikit_learns(mixtures, losses):
    model = RegMix("linear", target={"bowl": 1.0}, cv=3, n_jobs=2, random_state=7)
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(cv=4).cv == 4
    assert model.fit(mixtures, losses) is model
    assert model.n_features_in_ == 4
    assert list(model.feature_names_in_) == list(PRIOR)


def test_every_column_is_predicted_and_the_objective_is_their_weighted_sum(mixtures, losses):
    model = RegMix("quadratic", target={"bowl": 2.0, "line": -0.5}).fit(mixtures, losses)
    each = model.predict_losses(mixtures)
    assert np.abs(each - losses).to_numpy().max() < 1e-5
    assert np.allclose(model.predict(mixtures), 2.0 * each["bowl"] - 0.5 * each["line"])
    mean = RegMix("quadratic").fit(mixtures, losses)
    assert np.allclose(mean.predict(mixtures), each.mean(axis=1))


def test_frames_are_joined_by_their_index(mixtures, losses, bowl):
    shuffled = losses.sample(frac=1.0, random_state=0)
    other = RegMix("quadratic", target="bowl").fit(mixtures, shuffled)
    assert np.allclose(other.predict(mixtures), bowl.predict(mixtures))


def test_columns_are_matched_by_name_when_predicting(mixtures, bowl):
    assert np.array_equal(bowl.predict(mixtures[["wiki", "web", "law", "code"]]), bowl.predict(mixtures))
    assert np.array_equal(bowl.predict(mixtures.to_numpy()), bowl.predict(mixtures))
    with pytest.raises(ValueError, match="no column 'wiki'"):
        bowl.predict(mixtures.drop(columns="wiki"))


def test_arrays_and_series_are_losses_too(mixtures, losses, bowl):
    one = RegMix("quadratic").fit(mixtures.to_numpy(), losses["bowl"].to_numpy())
    assert one.targets_ == ["loss"]
    assert np.allclose(one.predict(mixtures.to_numpy()), bowl.predict(mixtures))
    assert RegMix("quadratic").fit(mixtures, losses["bowl"]).targets_ == ["bowl"]


def test_any_scikit_learn_regressor_serves(mixtures, losses):
    model = RegMix(GaussianProcessRegressor(RBF(1.0), alpha=1e-6, optimizer=None), target="line").fit(
        mixtures, losses
    )
    assert model.score() > 0.99
    assert model.optimize(2000, 16)["code"] > 0.5


def test_threads_change_nothing(mixtures, losses, trees):
    other = clone(trees).set_params(n_jobs=2).fit(mixtures, losses)
    assert np.array_equal(other.predict_losses(mixtures), trees.predict_losses(mixtures))


def test_nothing_is_told_before_fit(mixtures, losses):
    model = RegMix("linear")
    for call in (
        lambda: model.predict(mixtures),
        model.optimize,
        model.score,
        model.cross_validate,
        model.importance,
        model.report,
        lambda: model.evaluate(mixtures, losses),
    ):
        with pytest.raises(NotFittedError):
            call()


# --- Bad tables


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x.iloc[:50], y), "one row per run, got 50 and 120 rows"),
        (lambda x, y: (x, y.set_axis(range(1, 121))), "losses has no row 0"),
        (lambda x, y: (x.set_axis([0] * 120), y), "that of mixtures holds 0 more than once"),
        (lambda x, y: (x * 1.02, y), "row 0 sums to 1.02"),
        (lambda x, y: (x.assign(index=0.5), y), "set the column 'index'"),
        (lambda x, y: (x, y.assign(index=1)), "losses has a column 'index'"),
        (lambda x, y: (x, y.assign(bowl="high")), "column 'bowl' does not"),
        (lambda x, y: (x, y * np.nan), "no run has finite losses"),
        (lambda x, y: (x, y[[]]), "at least one column"),
        (lambda x, y: (x, y[["line"]]), "target 'bowl' is no column of losses; columns are line"),
        (lambda x, y: (x, y.to_numpy()[:, :, None]), "one or two dimensions"),
        (lambda x, y: (x.to_numpy()[0], y), "two dimensions"),
    ],
)
def test_bad_tables_are_refused(mixtures, losses, change, message):
    with pytest.raises(ValueError, match=message):
        RegMix("linear", target="bowl").fit(*change(mixtures, losses))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"bowl": 0.0}, "weight other than 0"),
        ({"x": 1.0}, "target 'x'"),
        ({"bowl": np.inf}, "must be finite"),
    ],
)
def test_bad_targets_are_refused(mixtures, losses, target, message):
    with pytest.raises(ValueError, match=message):
        RegMix("linear", target=target).fit(mixtures, losses)


def test_diverged_runs_are_dropped_with_their_count(mixtures, losses, bowl):
    broken = losses.copy()
    broken.iloc[[3, 9], 0] = np.nan
    broken.iloc[20, 1] = np.inf
    with pytest.warns(
        MixtureWarning, match="3 of 120 runs are left out because a loss is not finite .row 3, 9, 20"
    ):
        model = RegMix("quadratic", target="bowl").fit(mixtures, broken)
    assert model.n_dropped_ == 3
    assert len(model.mixtures_) == 117
    assert np.allclose(model.predict(mixtures), bowl.predict(mixtures), atol=1e-4)


def test_a_domain_without_information_is_told(losses):
    flat = pd.DataFrame({"a": np.linspace(0.1, 0.8, 40), "b": 0.1})
    flat["c"] = 1 - flat["a"] - flat["b"]
    with pytest.warns(MixtureWarning, match="domain 'b' has the same share in all runs"):
        RegMix("linear").fit(flat, flat["a"].rename("loss"))


def test_few_runs_are_told(mixtures, losses):
    with pytest.warns(MixtureWarning, match="7 runs are few for 4 domains"):
        RegMix("linear").fit(mixtures[:7], losses[:7])


# --- Scores


def test_held_out_predictions_come_from_models_that_have_not_seen_the_fold(mixtures, losses):
    model = RegMix("linear", target="bowl", cv=4, random_state=3).fit(mixtures, losses)
    found = model.predict_held_out()["bowl"].to_numpy()
    for seen, held in KFold(4, shuffle=True, random_state=3).split(np.arange(120)):
        part = RegMix("linear", target="bowl").fit(mixtures.iloc[seen], losses.iloc[seen])
        assert np.allclose(found[held], part.predict(mixtures.iloc[held]))
    table = model.cross_validate()
    true = losses["bowl"].to_numpy()
    assert table.loc["bowl", "spearman"] == pytest.approx(spearmanr(found, true).statistic)
    assert table.loc["bowl", "mse"] == pytest.approx(np.mean((found - true) ** 2))
    assert model.score() == pytest.approx(table.loc["bowl", "spearman"])


def test_a_new_fit_forgets_held_out_predictions(mixtures, losses):
    model = RegMix("linear", target="line").fit(mixtures, losses)
    first = model.predict_held_out()
    model.fit(mixtures, -losses)
    assert not np.allclose(first["line"], model.predict_held_out()["line"])


def test_new_runs_are_scored(bowl):
    fresh = sample_mixtures(PRIOR, 50, seed=9)
    table = bowl.evaluate(fresh, losses_of(fresh))
    assert table["spearman"].min() > 0.999
    assert table["r2"].min() > 0.999
    assert bowl.score(fresh, losses_of(fresh)) == pytest.approx(table.loc["bowl", "spearman"])
    with pytest.raises(ValueError, match="or neither"):
        bowl.score(fresh)
    with pytest.raises(ValueError, match="losses has no column 'line'"):
        bowl.evaluate(fresh, losses_of(fresh)[["bowl"]])


def test_a_sum_of_columns_has_a_row_of_its_own(mixtures, losses):
    model = RegMix("linear", target={"bowl": 1.0, "line": 1.0}).fit(mixtures, losses)
    assert list(model.cross_validate().index) == ["bowl", "line", "objective"]


def test_scikit_learns_cross_validation_takes_it(mixtures, losses):
    assert cross_val_score(RegMix("linear", target="line"), mixtures, losses, cv=3).min() > 0.999


def test_the_rank_correlation_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 60), rng.integers(0, 9, 60)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert spearman(np.ones(5), np.arange(5)) == 0.0


@pytest.mark.parametrize("cv", [1, 121])
def test_impossible_folds_are_refused(bowl, cv):
    model = clone(bowl).set_params(cv=cv).fit(bowl.mixtures_, bowl.losses_)
    with pytest.raises(ValueError, match="cv must be from 2 to the number of runs"):
        model.score()


# --- The optimum


def test_the_optimum_is_found_and_told(bowl):
    best = bowl.optimize(20_000)
    assert np.allclose(best.to_numpy(), BEST, atol=0.01)
    assert best.sum() == pytest.approx(1.0, abs=1e-12)
    assert best.attrs["method"] == "gradient"
    assert best.attrs["predicted"] <= best.attrs["best_sampled"] <= best.attrs["worst_averaged"]


def test_trees_find_the_neighbourhood_by_averaging(trees):
    best = trees.optimize(20_000, 128, prior=PRIOR)
    assert np.abs(best.to_numpy() - BEST).max() < 0.15
    assert best.attrs["method"] == "sampling"


def test_the_average_is_that_of_the_lowest_draws(trees):
    from broadsheet.methods.scaling.regmix.simplex import SimplexBox

    prior = np.array(list(PRIOR.values())) / 100
    drawn = SimplexBox.of(list(PRIOR)).draw(prior, 5000, np.random.default_rng(8))
    expected = drawn[np.argsort(trees.predict(drawn), kind="stable")[:40]].mean(axis=0)
    found = trees.optimize(5000, 40, prior=PRIOR, seed=8)
    assert np.allclose(found.to_numpy(), expected, atol=5e-3)  # ties at the 40th may differ
    assert found.equals(trees.optimize(5000, 40, prior=PRIOR, seed=8))


@pytest.mark.parametrize("method", ["sampling", "gradient"])
def test_bounds_are_kept(bowl, method):
    best = bowl.optimize(
        5000, bounds={"web": (0.0, 0.2), "law": (0.3, 1.0)}, min_share={"wiki": 0.15}, method=method
    )
    assert best["web"] <= 0.2 + 1e-9
    assert best["law"] >= 0.3 - 1e-9
    assert best["wiki"] >= 0.15 - 1e-9
    assert best.sum() == pytest.approx(1.0)


def test_epochs_bound_the_shares(trees):
    best = trees.optimize(5000, prior=PRIOR, max_epochs=1.05)
    assert (best <= 1.05 * pd.Series(PRIOR) / 100 + 1e-9).all()


def test_polynomials_stay_within_what_was_seen_unless_told_otherwise(mixtures):
    seen = mixtures[mixtures["law"] < 0.2]
    model = RegMix("linear").fit(seen, (1.0 - seen["law"]).rename("loss"))
    assert model.optimize(1000)["law"] == pytest.approx(seen["law"].max())
    assert model.optimize(1000, extrapolate=True)["law"] == pytest.approx(1.0)
    # what the user asks for goes first
    assert model.optimize(1000, bounds={"law": (0.5, 0.6)})["law"] >= 0.5


def test_an_average_of_separate_regions_is_warned_of(mixtures):
    two = RegMix("quadratic").fit(mixtures, (-((mixtures["code"] - mixtures["web"]) ** 2)).rename("loss"))
    with pytest.warns(MixtureWarning, match="they lie in separate regions; lower top_k"):
        two.optimize(4000, 32, prior={"code": 1, "law": 0.01, "web": 1, "wiki": 0.01}, method="sampling")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_samples": 0}, "n_samples must be a whole number"),
        ({"top_k": 0}, "top_k must be a whole number from 1 to n_samples"),
        ({"n_samples": 10, "top_k": 11}, r"n_samples \(10\), got 11"),
        ({"method": "newton"}, "auto, sampling or gradient"),
        ({"max_epochs": 2.0}, "max_epochs needs prior="),
        ({"max_epochs": 0.5, "prior": PRIOR}, "at least 1"),
        ({"prior": {"code": 1.0}}, "must have the domains"),
        ({"bounds": {"code": (0.9, 1.0)}, "min_share": 0.1}, "smallest shares sum to 1.2"),
        ({"method": "gradient"}, "needs a linear or quadratic regressor"),
    ],
)
def test_impossible_searches_are_refused(trees, change, message):
    with pytest.raises(ValueError, match=message):
        trees.optimize(**change)


# --- What matters


def test_effects_of_a_line_are_its_contrasts(mixtures, losses):
    model = RegMix("linear", target="line").fit(mixtures, losses)
    slopes = np.array([1.0, 2.0, 3.0, 4.0])
    x = mixtures.to_numpy()
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # a run on one domain alone has nothing to move into it
        contrast = slopes - np.where(x < 1.0, (x @ slopes)[:, None] - x * slopes, np.nan) / (1.0 - x)
    expected = np.nanmean(contrast, axis=0)
    assert np.allclose(model.importance()["line"], expected, atol=1e-9)
    assert np.allclose(model.importance(step=0.5)["line"], expected, atol=1e-9)


def test_gains_are_those_of_trees_alone(trees, bowl):
    gains = trees.importance("gain")
    assert np.allclose(gains.sum(), 1.0)
    assert list(gains.index) == list(PRIOR)
    with pytest.raises(ValueError, match="kind='gain' needs"):
        bowl.importance("gain")
    with pytest.raises(ValueError, match="effect or gain"):
        bowl.importance("shap")
    with pytest.raises(ValueError, match="step must be above 0"):
        bowl.importance(step=0.0)


def test_the_report_tells_runs_agreement_and_the_optimum(bowl):
    text = bowl.report()
    assert "120 runs, 4 domains, 2 targets, regressor quadratic" in text
    assert "objective: 1 bowl" in text
    assert f"{bowl.score():.4f}" in text
    web = next(line for line in text.splitlines() if line.startswith("web")).split()
    assert float(web[2]) == pytest.approx(bowl.optimize()["web"], abs=6e-4)


def test_plots_show_the_numbers(bowl):
    ax = bowl.plot_weights(
        weights=dict(zip(PRIOR, BEST, strict=True)), reference=PRIOR, ax=Figure().add_subplot()
    )
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([*BEST, 0.3, 0.1, 0.5, 0.1])
    assert [label.get_text() for label in ax.get_yticklabels()] == list(PRIOR)
    for target in (None, "line"):
        ax = bowl.plot_fit(target, ax=Figure().add_subplot())
        x, y = ax.lines[-1].get_data()
        assert np.array_equal(y, bowl.losses_[target or "bowl"])
        assert np.array_equal(x, bowl.predict_held_out([target or "bowl"])[target or "bowl"])
    with pytest.raises(ValueError, match="target 'x' is none of"):
        bowl.plot_fit("x")
