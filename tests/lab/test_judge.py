"""Verdicts: the whole table of cases, and what must hold for any interval."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.claims import (
    Claim,
    Measured,
    Rule,
    Scale,
    Verdict,
    above,
    at_least,
    below,
    between,
    claim,
    within,
)
from broadsheet.lab.judge import judge

REAL = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))


def a_claim(kind: Any, holds: Rule, published: float | None = None, no_effect: float | None = None) -> Claim:
    @claim("X", published=published, unit="%", where="T1", kind=kind, holds=holds, no_effect=no_effect)
    def x(run: Any) -> Measured:
        return Measured(0.0)

    return x


@pytest.mark.parametrize(
    ("low", "value", "high", "expected"),
    [
        (0.2, 0.5, 0.8, Verdict.HOLDS),  # wholly accepted
        (-0.1, 0.3, 0.7, Verdict.INCONCLUSIVE),  # contains no effect
        (0.0, 0.3, 0.7, Verdict.INCONCLUSIVE),  # touches no effect, which is not above itself
        (-0.7, -0.3, -0.1, Verdict.NOT_REPRODUCED),  # wholly outside
        (-0.7, -0.3, 0.0, Verdict.INCONCLUSIVE),  # outside, but compatible with no effect
    ],
)
def test_a_direction_is_judged_by_its_interval(
    low: float, value: float, high: float, expected: Verdict
) -> None:
    verdict, reason = judge(a_claim("trend", above(0), no_effect=0), Measured(value, low, high), "laptop")
    assert verdict is expected
    assert "95 % interval" in reason


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.0, 2.0, Verdict.HOLDS),
        (0.5, 1.5, Verdict.INCONCLUSIVE),  # across the lower bound
        (0.5, 3.0, Verdict.INCONCLUSIVE),  # contains the accepted values
        (0.1, 0.9, Verdict.NOT_REPRODUCED),
        (2.1, 3.0, Verdict.NOT_REPRODUCED),
        (2.0, 3.0, Verdict.INCONCLUSIVE),  # shares one accepted value
    ],
)
def test_a_band_is_judged_by_its_interval(low: float, high: float, expected: Verdict) -> None:
    middle = (low + high) / 2
    assert judge(a_claim("scaled", between(1, 2)), Measured(middle, low, high), "smoke")[0] is expected


@pytest.mark.parametrize("touching", [(-1.0, 0.0), (-1.0, -1.0)])
def test_an_interval_that_only_touches_an_open_bound_lies_outside(touching: tuple[float, float]) -> None:
    assert judge(a_claim("trend", above(0)), Measured(-1.0, *touching), "laptop")[0] is Verdict.NOT_REPRODUCED
    assert (
        judge(a_claim("trend", at_least(0)), Measured(-0.5, -1.0, 0.0), "laptop")[0] is Verdict.INCONCLUSIVE
    )


def test_an_exact_claim_is_judged_by_its_value_alone() -> None:
    exact = a_claim("exact", within(relative=0.02), published=0.047)
    for scale in Scale:
        assert judge(exact, Measured(0.0475, 0.0, 1.0), scale)[0] is Verdict.REPRODUCED
        assert judge(exact, Measured(0.05), scale)[0] is Verdict.NOT_REPRODUCED
    assert "within 2 % of the published value" in judge(exact, Measured(0.05), "smoke")[1]


def test_what_holds_at_the_papers_scale_is_reproduced() -> None:
    scaled = a_claim("scaled", below(1))
    assert judge(scaled, Measured(0.5), "laptop")[0] is Verdict.HOLDS
    assert judge(scaled, Measured(0.5, 0.4, 0.6), "paper")[0] is Verdict.REPRODUCED
    assert judge(scaled, Measured(1.5), "paper")[0] is Verdict.NOT_REPRODUCED


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_has_failed(value: float) -> None:
    for kind in ("scaled", "trend"):
        verdict, reason = judge(a_claim(kind, at_least(0)), Measured(value), "smoke")
        assert verdict is Verdict.FAILED
        assert "measured value is" in reason


@pytest.mark.parametrize("ends", [(math.nan, 1.0), (0.0, math.nan), (-math.inf, 1.0), (0.0, math.inf)])
def test_an_interval_without_an_end_has_failed(ends: tuple[float, float]) -> None:
    assert judge(a_claim("trend", above(0)), Measured(0.5, *ends), "smoke")[0] is Verdict.FAILED


@given(st.tuples(REAL, REAL, REAL).map(sorted), st.tuples(REAL, REAL).map(sorted), st.none() | REAL)
def test_the_verdict_is_what_the_values_in_the_interval_say(
    measured: list[float], band: list[float], no_effect: float | None
) -> None:
    low, value, high = measured
    rule = between(*band)
    verdict, _ = judge(a_claim("scaled", rule, no_effect=no_effect), Measured(value, low, high), "laptop")
    points = {low, value, high, *(b for b in band if low <= b <= high)}
    all_in = all(rule.accepts(p) for p in points)
    none_in = not any(rule.accepts(p) for p in points)
    silent = no_effect is not None and low <= no_effect <= high
    expected = (
        Verdict.HOLDS if all_in else Verdict.INCONCLUSIVE if silent or not none_in else Verdict.NOT_REPRODUCED
    )
    assert verdict is expected


@pytest.mark.parametrize("rule", [within(absolute=0), within(relative=0)])
def test_an_equality_is_said_to_be_one(rule) -> None:
    @claim("Five", published=5, unit="", where="Table 1", kind="exact", holds=rule)
    def five(run):
        """Counts to five; a count has no tolerance."""

    assert "it must be exactly the published value" in judge(five, Measured(5), "smoke")[1]
