"""The test of the joint law: nothing to say against the truth, much against a drifting exponent."""

from __future__ import annotations

import numpy as np
import pytest

from broadsheet.methods.scaling import MixtureScaling
from broadsheet.methods.scaling.multilingual_nmt_scaling.simulation import make_table

FEW = (0.1, 0.5, 1.0)


def fitted(table, **settings):
    return MixtureScaling(f="free", loss="mse", **settings).fit(table)


def one_task(seed: int, drift: float = 0.0):
    return make_table(np.random.default_rng(seed), weights=FEW, tasks=("zh",), drift=drift)


def test_parameters_are_counted():
    table = make_table(
        np.random.default_rng(0), weights=(0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0), tasks=("de",)
    )
    tested = fitted(table).test_shared_exponent()
    assert tested.parameters == (10, 24)
    assert tested.df == (14, 64 - 24)


def test_the_statistic_is_that_of_two_least_squares_fits():
    """The separate laws are fitted here one by one, as power laws of one input."""
    from scipy import stats

    from broadsheet.methods.scaling import PowerLaw

    table = one_task(3)
    tested = fitted(table).test_shared_exponent()
    separate = sum(2 * PowerLaw(x="N", loss="mse").fit(g).objective_ for _, g in table.groupby("p"))
    joint = 2 * fitted(table).objective_
    F = (joint - separate) / 4 / (separate / (24 - 9))
    assert pytest.approx(F, rel=1e-4) == tested.F
    assert tested.p_value == pytest.approx(stats.f.sf(F, 4, 15), rel=1e-3)


def test_a_true_law_is_seldom_rejected_and_a_false_one_often():
    true = [fitted(one_task(seed)).test_shared_exponent() for seed in range(12)]
    false = [fitted(one_task(seed, drift=0.5)).test_shared_exponent() for seed in range(6)]
    assert sum(not t.shared for t in true) <= 3  # by chance more in one of 440 such dozens
    assert all(not t.shared for t in false)
    assert all(t.aicc_joint < t.aicc_separate for t in true if t.shared)


def test_the_bootstrap_agrees_with_the_f_distribution():
    law = fitted(one_task(1))
    by_f, by_bootstrap = law.test_shared_exponent(), law.test_shared_exponent("bootstrap", n_boot=60)
    assert by_bootstrap.F == by_f.F
    assert by_bootstrap.p_value == pytest.approx(by_f.p_value, abs=0.2)
    assert by_bootstrap.failed == 0
    assert law.test_shared_exponent("bootstrap", n_boot=60) == by_bootstrap
    assert "is not rejected" in str(by_bootstrap)
    assert fitted(one_task(0, drift=0.4)).test_shared_exponent("bootstrap", n_boot=30).p_value < 0.05


def test_a_table_without_noise_says_nothing_against_the_law(exact):
    assert fitted(exact).test_shared_exponent().p_value == 1.0


def test_every_form_is_tested_with_free_factors(noisy):
    law = MixtureScaling(f="power", loss="huber").fit(noisy)
    assert law.test_shared_exponent() == fitted(noisy).test_shared_exponent()


def test_what_cannot_be_tested_is_refused(exact):
    law = fitted(exact)
    with pytest.raises(ValueError, match="method must be 'F' or 'bootstrap', got 't'"):
        law.test_shared_exponent("t")
    with pytest.raises(ValueError, match="n_boot must be at least 20, got 5"):
        law.test_shared_exponent("bootstrap", n_boot=5)
    with pytest.raises(ValueError, match="every task has one weight only"):
        fitted(exact[exact["p"] == 1]).test_shared_exponent()
    three = make_table(np.random.default_rng(0), weights=FEW, tasks=("zh",), sizes=(1e7, 1e8, 1e9))
    with pytest.raises(ValueError, match="separate laws have 9 parameters and the table 9 rows: at least 10"):
        fitted(three).test_shared_exponent()
