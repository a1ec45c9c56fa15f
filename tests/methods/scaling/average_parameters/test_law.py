"""The law: the joint fit of sparse and dense runs, and what equal compute buys."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from broadsheet.methods.scaling.average_parameters import AverageParameters, continuous_schedule
from broadsheet.methods.scaling.chinchilla import Chinchilla
from broadsheet.methods.scaling.identification import NotIdentified


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    grid = np.meshgrid([1e7, 3e7, 1e8, 1e9], [1e9, 4e9, 2e10], [0.0, 0.5, 0.8])
    initial, tokens, sparsity = (a.ravel() for a in grid)
    mean = initial * np.array([continuous_schedule(s)[2] for s in sparsity])
    loss = 1.8 + 480 / mean**0.35 + 2100 / tokens**0.37
    return pd.DataFrame(
        {
            "N": mean,
            "D": tokens,
            "loss": loss,
            "sparsity": sparsity,
            "initial": initial,
            "final": initial * (1 - sparsity),
        }
    )


def test_constants_come_back_from_dense_and_sparse_runs_together(runs):
    law = AverageParameters().fit(runs)
    assert law.params_ == pytest.approx(
        {"A": 480, "B": 2100, "E": 1.8, "alpha": 0.35, "beta": 0.37}, rel=1e-4
    )


def test_other_counts_do_not_fit(runs):
    by_mean = AverageParameters(loss="mse").fit(runs)
    for count in ("initial", "final"):
        other = AverageParameters(loss="mse").fit(runs.drop(columns="N"), columns={"N": count})
        assert np.std(other.residuals_) > 100 * np.std(by_mean.residuals_)


def test_a_table_of_equal_tokens_holds_the_token_term(runs):
    table = runs[runs["D"] == 1e9]
    with pytest.raises(NotIdentified, match="D"):
        AverageParameters().fit(table)
    law = AverageParameters(fixed={"B": 2100, "beta": 0.37}).fit(table)
    assert law.params_ == pytest.approx(
        {"A": 480, "B": 2100, "E": 1.8, "alpha": 0.35, "beta": 0.37}, rel=1e-3
    )


def test_equal_compute(runs):
    law = AverageParameters().fit(runs)
    trade = law.equal_compute(N=1e8, D=2e9, sparsity=[0.0, 0.5, 0.8])
    assert np.allclose(trade["compute"], 6 * 1e8 * 2e9)
    assert np.allclose(trade["loss"], 1.8 + 480 / 1e8**0.35 + 2100 / 2e9**0.37, rtol=1e-4)
    assert list(trade["final"] / trade["initial"]) == pytest.approx([1.0, 0.5, 0.2])
    assert trade["initial"][1] == pytest.approx(1e8 / 0.69293, rel=1e-4)
    assert trade["final"].is_monotonic_decreasing
    in_steps = law.equal_compute(N=1e8, D=2e9, sparsity=[0.5], unit="steps")
    assert in_steps["initial"][0] < trade["initial"][1]  # later in steps, so dense for longer


def test_it_is_the_chinchilla_law_and_an_estimator(runs):
    law = AverageParameters(delta=1e-2)
    assert clone(law).get_params() == law.get_params()
    ours, theirs = AverageParameters().fit(runs), Chinchilla().fit(runs)
    assert ours.params_ == pytest.approx(theirs.params_, rel=1e-9)


def test_bad_input_is_refused(runs):
    with pytest.raises(NotFittedError):
        AverageParameters().equal_compute(N=1e8, D=1e9, sparsity=[0.5])
    law = AverageParameters().fit(runs)
    with pytest.raises(ValueError, match="N must be a finite number > 0, got -1"):
        law.equal_compute(N=-1, D=1e9, sparsity=[0.5])
    with pytest.raises(ValueError, match="D must be a finite number > 0, got inf"):
        law.equal_compute(N=1e8, D=float("inf"), sparsity=[0.5])
    with pytest.raises(ValueError, match=r"sparsity must lie in \[0, 1\).*got 1\.5"):
        law.equal_compute(N=1e8, D=1e9, sparsity=[1.5])
