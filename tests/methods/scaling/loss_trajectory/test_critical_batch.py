"""The trade-off of steps and tokens: exact on exact hyperbolas, and honest where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.methods.scaling import NotIdentified
from broadsheet.methods.scaling.loss_trajectory import CriticalBatchSize, steps_at_losses


@given(st.floats(1e2, 1e6), st.floats(1e3, 1e8), st.floats(0.1, 0.9))
def test_an_exact_hyperbola_is_found_and_so_is_its_bend(least, b_star, alpha_b):
    batch, losses = np.geomspace(b_star / 1e3, b_star * 1e3, 6), np.array([1.0, 1.5, 2.5])
    rows = [(B, L, least * (1 + b_star * L ** (-1 / alpha_b) / B)) for L in losses for B in batch]
    found = CriticalBatchSize().fit(pd.DataFrame(rows, columns=["B", "loss", "S"]))
    assert found.B_star_ == pytest.approx(b_star, rel=1e-4)
    assert found.alpha_B_ == pytest.approx(alpha_b, rel=1e-4)
    np.testing.assert_allclose(found.levels_["S_min"], least, rtol=1e-5)
    np.testing.assert_allclose(
        found.levels_["E_min"] / found.levels_["S_min"], found.levels_["B_crit"], rtol=1e-9
    )
    np.testing.assert_allclose(found.predict(losses), b_star * losses ** (-1 / alpha_b), rtol=1e-3)


def test_where_batch_saves_no_steps_the_critical_batch_is_nothing_and_where_it_saves_all_infinite():
    batch = np.array([1e3, 1e4, 1e5])
    none = CriticalBatchSize().fit(pd.DataFrame({"B": batch, "loss": 3.0, "S": 100.0})).levels_
    assert none["B_crit"][0] == pytest.approx(0.0, abs=1e-6)
    whole = CriticalBatchSize().fit(pd.DataFrame({"B": batch, "loss": 3.0, "S": 1e7 / batch})).levels_
    assert whole["B_crit"][0] > 1e9


def test_steps_are_read_off_the_lowest_loss_so_far():
    curve = pd.DataFrame({"B": 1e5, "S": [10, 20, 40, 80], "loss": [4.0, 3.0, 3.5, 2.0]})
    assert steps_at_losses(curve, [3.0, 2.0])["S"].tolist() == pytest.approx([20.0, 80.0])
    assert steps_at_losses(curve, [5.0, 1.0]).empty  # above its start, below its end


def test_one_batch_and_bad_values_are_refused_by_name():
    with pytest.raises(NotIdentified, match="column 'B' has one distinct value"):
        CriticalBatchSize().fit(pd.DataFrame({"B": [1e3, 1e3], "loss": 3.0, "S": [5, 6]}))
    with pytest.raises(ValueError, match="column 'S': must be > 0, got -1 in row 1"):
        CriticalBatchSize().fit(pd.DataFrame({"B": [1e3, 2e3], "loss": 3.0, "S": [5, -1]}))
    with pytest.raises(ValueError, match="column 'S' is not in the table"):
        CriticalBatchSize().fit(pd.DataFrame({"B": [1e3], "loss": [3.0]}))
