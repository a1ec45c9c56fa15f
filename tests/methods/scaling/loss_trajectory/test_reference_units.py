"""The unit of the batch is the same in a table, in a prediction and in validation."""

from __future__ import annotations

import numpy as np
import pytest

from broadsheet.methods.scaling import LossTrajectory

from .test_reference import exact_curves


def test_a_law_fitted_in_sequences_reads_sequences_when_it_predicts():
    """Exact curves: the law must give its own training table back in the units it was given in."""
    table = exact_curves()
    table["B"] /= 2048
    law = LossTrajectory(batch_unit="sequences", context=2048).fit(table)
    np.testing.assert_allclose(law.predict(table), table["loss"], rtol=1e-6)


def test_cross_validation_in_sequences_is_that_in_tokens():
    table = exact_curves()
    tokens = LossTrajectory().cross_validate(table, by="N").attrs["mean_absolute_error"]
    table["B"] /= 2048
    law = LossTrajectory(batch_unit="sequences", context=2048)
    assert law.cross_validate(table, by="N").attrs["mean_absolute_error"] == pytest.approx(tokens, abs=1e-6)
