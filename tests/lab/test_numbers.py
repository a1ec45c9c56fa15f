"""Numbers for a person: no digit that the interval does not support, none lost that it does."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.lab.numbers import day, duration, interval, number


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.123456, 0.10, 0.15, "0.123"),
        (123.456, 120, 127, "123.5"),
        (1234567.8, 1200000, 1300000, "1 234 568"),
        (-0.00012, -0.0002, -0.00004, "−0.000120"),
        (0.047, None, None, "0.047"),
        (3, None, None, "3"),
        (0, None, None, "0"),
        (-0.0, None, None, "0"),
        (1 / 3, None, None, "0.3333"),
        (9999, None, None, "9999"),
        (10000, None, None, "10 000"),
        (1.5e-7, None, None, "1.5e−7"),
        (math.nan, None, None, "not a number"),
        (-math.inf, None, None, "−∞"),
        (None, None, None, "–"),
        (5.0, 5.0, 5.0, "5"),
    ],
)
def test_numbers_are_written_with_the_digits_they_support(
    value: float, low: float | None, high: float | None, text: str
) -> None:
    assert number(value, low, high) == text


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e6))
def test_rounding_stays_within_a_tenth_of_the_interval(value: float, half: float) -> None:
    shown = number(value, value - half, value + half).replace("−", "-").replace(" ", "")
    assert abs(float(shown) - value) <= max(half * 0.1, 0.5)


@given(st.floats(-1e300, 1e300))
def test_a_number_without_interval_keeps_four_digits(value: float) -> None:
    shown = float(number(value).replace("−", "-").replace(" ", ""))
    assert shown == pytest.approx(value, rel=6e-4, abs=1e-300)


def test_intervals_durations_and_days() -> None:
    assert interval(0.5, None, None) == ""
    assert interval(0.5, 0.41, 0.59) == "0.410 to 0.590"
    assert [duration(s) for s in (0.04, 59.6, 60, 3599, 3600)] == [
        "0.0 s",
        "1 min",
        "1 min",
        "59 min 59 s",
        "1 h 0 min",
    ]
    assert day("2025-12-08T23:59:59.5Z") == "8 December 2025"
