"""Compute-optimal sizes, against a numerical minimum, and the law solved for an input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from broadsheet.methods.scaling import Chinchilla, PowerLaw, Reciprocal, ScalingWarning

from .conftest import TRUTH


@given(budget=st.floats(1e17, 1e26), alpha=st.floats(0.1, 1.0), beta=st.floats(0.1, 1.0))
def test_the_optimum_is_the_numerical_minimum(budget, alpha, beta):
    law = Chinchilla.from_params({"A": 482.0, "B": 2085.0, "E": 1.8, "alpha": alpha, "beta": beta})
    row = law.optimal(budget).iloc[0]
    best = optimize.minimize_scalar(
        lambda log_n: law.predict(N=np.exp(log_n), D=budget / 6 / np.exp(log_n))[0],
        bounds=(np.log(row["N"]) - 3, np.log(row["N"]) + 3),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert row["loss"] <= best.fun * (1 + 1e-12)
    assert 6 * row["N"] * row["D"] == pytest.approx(budget, rel=1e-12)
    assert row["tokens_per_parameter"] == pytest.approx(row["D"] / row["N"], rel=1e-12)


def test_intervals_hold_the_truth_and_the_estimate(law):
    truth = Chinchilla.from_params(TRUTH).optimal([1e20, 1e22])
    table = law.optimal(C=[1e20, 1e22], interval=0.95, n_boot=200)
    for name in ("N", "D", "tokens_per_parameter", "loss"):
        assert (table[f"{name}_lower"] < table[name]).all()
        assert (table[name] < table[f"{name}_upper"]).all()
        assert (table[f"{name}_lower"] < truth[name]).all()
        assert (truth[name] < table[f"{name}_upper"]).all()
    width = np.log(table["N_upper"] / table["N_lower"])
    assert width[1] > width[0]


def test_far_budgets_are_told(law):
    assert len(law.optimal(C=1e23)) == 1  # within 100 times 1.2e21
    for far in (1e24, 1e15):
        with pytest.warns(ScalingWarning, match="more than 100 times outside the fitted runs"):
            law.optimal(C=far)


def test_bad_budgets_are_refused(law):
    for wrong in (0.0, -1e20, np.nan, [[1e20]]):
        with pytest.raises(ValueError, match="C must be FLOPs > 0"):
            law.optimal(C=wrong)
    with pytest.raises(ValueError, match="interval must be a number in"):
        law.optimal(C=1e21, interval=95)
    rising = Chinchilla.from_params({**TRUTH, "beta": -0.1})
    with pytest.raises(ValueError, match="there is no compute-optimal size: alpha and beta must be > 0"):
        rising.optimal(C=1e21)


def test_solving_inverts_the_prediction(law):
    N, D = np.array([1e9, 3e9]), np.array([2e10, 9e10])
    loss = law.predict(N=N, D=D)
    np.testing.assert_allclose(law.solve("D", target=loss, N=N), D, rtol=1e-9)
    np.testing.assert_allclose(law.solve("N", target=loss, D=D), N, rtol=1e-9)
    power = PowerLaw.from_params({"A": 2.0, "alpha": 0.5, "E": 1.0})
    np.testing.assert_allclose(power.solve("N", target=[1.5, 1.0, 0.9]), [16.0, np.inf, np.inf])
    assert Reciprocal.from_params({"A": 0.4, "E": 3.35}).solve("K", target=3.45) == pytest.approx([4.0])
    with pytest.raises(ValueError, match="unknown must be an input, one of N, D, got 'C'"):
        law.solve("C", target=2.0, N=1e9)
    with pytest.raises(ValueError, match="column 'N' is not in the table"):
        law.solve("D", target=2.0)
