"""The published runs: the figures of the authors' notebook and those measured beside them."""

from __future__ import annotations

import numpy as np
import pytest

from broadsheet.methods.scaling import RegMix
from broadsheet.methods.scaling.regmix.published import (
    CONFIG,
    NOTEBOOK_SPEARMAN,
    PILE_TOKENS,
    bootstrap_spearman,
    early_stopping,
    learning_curve,
)


@pytest.fixture(scope="module")
def pile_cc(tables):
    mixtures, losses = tables("train", "1m")
    return {
        name: RegMix(name, target="pile_cc").fit(mixtures, losses[["pile_cc"]])
        for name in ("lightgbm", "linear")
    }


def test_facts_about_the_pile_are_consistent():
    assert sum(PILE_TOKENS.values()) == pytest.approx(1.0, abs=0.02)
    assert set(NOTEBOOK_SPEARMAN) < set(PILE_TOKENS)
    assert set(CONFIG) < set(PILE_TOKENS)
    assert len(PILE_TOKENS) == 17
    assert len(NOTEBOOK_SPEARMAN) == 13


def test_three_domains_are_ranked_as_the_notebook_prints(tables):
    domains = ["pile_cc", "github", "dm_mathematics"]
    mixtures, losses = tables("train", "1m")
    unseen, truth = tables("test", "1m")
    found = RegMix().fit(mixtures, losses[domains]).evaluate(unseen, truth)["spearman"]
    for name in domains:
        assert 100 * found[name] == pytest.approx(NOTEBOOK_SPEARMAN[name], abs=0.5)


# Spearman x 100 measured once from the published tables by another script: trees, linear.
@pytest.mark.parametrize(
    ("scale", "trees", "linear"), [("1m", 99.0, 90.2), ("60m", 98.57, 89.33), ("1B", 96.15, 87.66)]
)
def test_both_regressors_transfer_as_measured_elsewhere(pile_cc, tables, scale, trees, linear):
    mixtures, losses = tables("test", scale)
    found = {name: 100 * model.score(mixtures, losses) for name, model in pile_cc.items()}
    assert found["lightgbm"] == pytest.approx(trees, abs=0.4)
    assert found["linear"] == pytest.approx(linear, abs=0.4)
    assert found["lightgbm"] - found["linear"] > 5


def test_the_predicted_best_of_64_is_the_best(pile_cc, tables):
    mixtures, losses = tables("test", "1B")
    assert pile_cc["lightgbm"].predict(mixtures).argmin() == losses["pile_cc"].to_numpy().argmin() == 34


def test_the_optimum_is_near_the_configuration(pile_cc):
    best = pile_cc["lightgbm"].optimize(prior=PILE_TOKENS)
    for name, share in CONFIG.items():
        assert best[name] == pytest.approx(share, abs=0.05)
    assert best.nlargest(2).index.tolist() == ["pile_cc", "ubuntu_irc"]


def test_few_runs_need_small_leaves(tables):
    curve = learning_curve(tables, [32], [0]).set_index("regressor")["spearman"]
    assert curve["trees, leaves of 20"] == 0.0
    assert curve["trees"] > 70


def test_early_stopping_changes_little(tables):
    found = early_stopping(tables, ["pile_cc"]).loc["pile_cc"]
    assert np.ptp(found.to_numpy()) < 0.5
    assert found.min() > 98


def test_the_bootstrap_surrounds_the_correlation():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    y = x + rng.normal(size=200)
    low, high = bootstrap_spearman([(x, y)], lambda r: r[0], 200)
    assert 0.5 < low < 0.68 < high < 0.8
