"""What was observed: every kind of row is read, every kind of fault is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from broadsheet.methods.statistics.flexible_survival.observations import Observations, event_and_time

GOOD = pd.DataFrame({"t": [1.0, 2.0, 3.0], "d": [1, 0, 1], "in": [0.0, 1.0, 0.5], "w": [1.0, 2.0, 0.5]})


def test_kinds_of_rows():
    bounds = pd.DataFrame({"l": [1.0, 2.0, 3.0, 0.0], "u": [1.0, np.inf, 5.0, 2.0]})
    seen = Observations.of_frame(bounds, lower_bound_col="l", upper_bound_col="u")
    assert seen.exact.tolist() == [True, False, False, False]
    assert seen.interval.tolist() == [False, False, True, True]
    assert seen.happened.tolist() == [True, False, True, True]
    assert seen.middle.tolist() == [1.0, 2.0, 4.0, 1.0]
    assert seen.events == 3.0


def test_columns_are_read_by_name():
    seen = Observations.of_frame(GOOD, "t", "d", entry_col="in", weights_col="w")
    assert seen.events == 1.5
    assert seen.entry.tolist() == [0.0, 1.0, 0.5]
    assert Observations.of_frame(GOOD, "t").happened.all()
    assert Observations.of_frame(GOOD.assign(d=[True, False, True]), "t", "d").events == 2.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": [1.0, 0.0, 3.0]}, "column 't': times must be > 0, got 0 in row 1"),
        ({"t": [1.0, -2.0, -3.0]}, r"column 't': times must be > 0, got -2 in row 1 \(and 1 more\)"),
        ({"t": [1.0, np.nan, 3.0]}, "column 't': values must be finite, got nan in row 1"),
        ({"t": [1.0, np.inf, 3.0]}, "column 't': values must be finite, got inf in row 1"),
        ({"t": ["a", "b", "c"]}, "duration_col='t' must hold numbers"),
        ({"d": [1, 2, 0]}, r"column 'd': events must be 0 \(censored\) or 1 \(event\), got 2 in row 1"),
        ({"d": [1, np.nan, 0]}, "column 'd': values must be finite, got nan in row 1"),
        ({"d": [0, 0, 0]}, "column 'd': at least one event is needed, all 3 rows are censored"),
        ({"in": [0.0, 2.0, 0.5]}, "column 'in': entry must come before 't', got 2 in row 1"),
        ({"in": [0.0, -1.0, 0.5]}, "column 'in': entry times must be >= 0, got -1 in row 1"),
        ({"w": [1.0, -1.0, 1.0]}, "column 'w': weights must be >= 0, got -1 in row 1"),
        ({"w": [0.0, 0.0, 0.0]}, "column 'w': at least one weight must be > 0"),
        ({"w": [0.0, 1.0, 0.0]}, "at least one event is needed"),
    ],
)
def test_faults_name_column_value_and_row(change, message):
    with pytest.raises(ValueError, match=message):
        Observations.of_frame(GOOD.assign(**change), "t", "d", entry_col="in", weights_col="w")


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        ([1.0, 2.0], [0.5, 3.0], "column 'u': upper bounds must be >= the lower ones, got 0.5 in row 0"),
        ([-1.0, 2.0], [0.5, 3.0], "column 'l': lower bounds must be >= 0, got -1 in row 0"),
        ([0.0, 2.0], [0.0, 3.0], "column 'u': upper bounds must be > 0, got 0 in row 0"),
        ([1.0, 2.0], [np.nan, 3.0], "column 'u': values must be numbers, got nan in row 0"),
        ([1.0, 2.0], [np.inf, np.inf], "column 'u': at least one event is needed"),
    ],
)
def test_faults_of_bounds(lower, upper, message):
    with pytest.raises(ValueError, match=message):
        Observations.of_frame(
            pd.DataFrame({"l": lower, "u": upper}), lower_bound_col="l", upper_bound_col="u"
        )


def test_arguments_that_contradict_each_other():
    with pytest.raises(ValueError, match="give duration_col=, or both"):
        Observations.of_frame(GOOD)
    with pytest.raises(ValueError, match="give duration_col=, or both"):
        Observations.of_frame(GOOD, "t", lower_bound_col="t", upper_bound_col="t")
    with pytest.raises(ValueError, match="give duration_col=, or both"):
        Observations.of_frame(GOOD, lower_bound_col="t")
    with pytest.raises(ValueError, match="event_col must be None where bounds are given"):
        Observations.of_frame(GOOD, event_col="d", lower_bound_col="t", upper_bound_col="t")
    with pytest.raises(ValueError, match="duration_col='time' is not a column of the table; it has 't', 'd'"):
        Observations.of_frame(GOOD, "time", "d")
    with pytest.raises(ValueError, match="at least one row"):
        Observations.of_frame(GOOD.iloc[:0], "t", "d")


def test_structured_arrays_are_read_in_any_order():
    y = np.array([(2.0, True), (3.0, False)], dtype=[("days", "f4"), ("died", "?")])
    assert event_and_time(y).to_dict("list") == {"time": [2.0, 3.0], "event": [1.0, 0.0]}


@pytest.mark.parametrize(
    "y",
    [
        np.array([1.0, 2.0]),
        [1, 2],
        np.array([(1, 2.0)], dtype=[("event", int), ("time", float)]),
        np.array([(True, True)], dtype=[("event", bool), ("time", bool)]),
        np.array([(True, "a")], dtype=[("event", bool), ("time", "U1")]),
        np.array([(True, 1.0, 2.0)], dtype=[("event", bool), ("time", float), ("more", float)]),
    ],
)
def test_other_outcomes_are_refused(y):
    with pytest.raises(ValueError, match="y"):
        event_and_time(y)
