"""The intervals that the simulation study reports."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from broadsheet.lab.run import local_run
from broadsheet.methods.statistics.flexible_survival.study import (
    binomial_interval,
    bootstrap_interval,
    replicates,
)


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (3, 50), (50, 50), (5, 5)])
def test_binomial_intervals_are_exact(hits, trials):
    wanted = stats.binomtest(hits, trials).proportion_ci(method="exact")
    assert binomial_interval(hits, trials) == pytest.approx((wanted.low, wanted.high))


def test_bootstrap_of_a_mean_is_about_two_standard_errors():
    values = np.random.default_rng(1).normal(size=400)
    low, high = bootstrap_interval([values], lambda groups: float(np.mean(groups[0])))
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.15)


def test_replicates_are_the_same_whatever_else_is_measured():
    run = local_run("smoke")
    alone = replicates(run, (1.0,), both_scales=False)
    among = replicates(run, (0.0, 1.0), both_scales=True)
    np.testing.assert_allclose(alone["tau"], among.loc[among["kappa"] == 1.0, "tau"])
    assert {"correlation", "lr", "se_ratio"} <= set(among)
