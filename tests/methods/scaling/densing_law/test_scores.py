"""Scores and sizes as they are read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from broadsheet.methods.scaling.densing_law.scores import REASONS, check_bounds, fractions, reasons, sizes


def test_percent_and_mixtures_are_told_apart():
    with pytest.raises(
        ValueError, match=r"MMLU: scores are fractions from 0 to 1, got 43\.8; divide percent"
    ):
        fractions([43.8, 61.0], "MMLU")
    with pytest.raises(ValueError, match=r"1 of 2 scores exceed 1 .* percent seem mixed with fractions"):
        fractions([0.438, 61.0], "MMLU")
    with pytest.raises(ValueError, match=r"scores must be >= 0, got -0\.1"):
        fractions([-0.1], "MMLU")
    assert np.isnan(fractions([np.nan, 0.5], "MMLU")[0])


@pytest.mark.parametrize(("floor", "ceiling"), [(0.5, 0.5), (-0.1, 1.0), (25.0, 100.0)])
def test_bounds_that_leave_no_room(floor, ceiling):
    with pytest.raises(ValueError, match="0 <= floor < ceiling <= 1"):
        check_bounds(floor, ceiling)


def test_a_mixture_of_experts_must_say_which_size():
    frame = pd.DataFrame({"N": [7e9, 47e9], "N_active": [7e9, 13e9]}, index=["dense", "mixture"])
    with pytest.raises(
        ValueError, match=r"row 'mixture' has 4\.7e\+10 parameters of which 1\.3e\+10 are active"
    ):
        sizes(frame, "N", None)
    assert sizes(frame, "N", "active").tolist() == [7e9, 13e9]
    assert sizes(frame, "N", "total").tolist() == [7e9, 47e9]
    assert sizes(frame.iloc[:1], "N", None).tolist() == [7e9]
    with pytest.raises(ValueError, match="N_kind must be"):
        sizes(frame, "N", "both")
    with pytest.raises(KeyError, match="no column 'N_active'; columns are N"):
        sizes(frame[["N"]], "N", "active")


def test_every_reason_is_given_in_its_case():
    scores = np.array([np.nan, 0.25, 0.2, 1.0, 0.9, 0.8, 0.5])
    effective = np.array([np.nan, np.nan, np.nan, np.nan, np.nan, 1e12, 1e10])
    found = reasons(scores, 0.25, 1.0, effective, 7e10).tolist()
    assert found == [
        "missing",
        "at or below the floor",
        "at or below the floor",
        "at or above the ceiling",
        "tokens alone cost more",
        "extrapolated",
        "",
    ]
    assert set(found) <= set(REASONS)
