"""The contract: what a declaration refuses, and what a rule accepts."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.claims import (
    Measured,
    Rule,
    Scale,
    above,
    at_least,
    at_most,
    below,
    between,
    claim,
    within,
)

REAL = st.floats(-1e6, 1e6)


def declared(**changed: Any) -> Any:
    told: dict[str, Any] = {
        "published": 0.5,
        "unit": "share",
        "where": "Table 1",
        "kind": "exact",
        "holds": within(absolute=0.1),
    }
    title = changed.pop("title", "Heads come up half the time")
    return claim(title, **told | changed)


def heads(run: Any) -> Measured:
    """Counts heads."""
    return Measured(0.5)


def test_a_declared_claim_knows_its_id_its_reason_and_its_rule() -> None:
    def half_of_throws(run: Any) -> Measured:
        """Counts heads.

        Four standard errors.
        """
        return Measured(0.5)

    made = declared()(half_of_throws)
    assert made.id == "half-of-throws"
    assert made.why == "Counts heads.\n\nFour standard errors."
    assert made.rule.accepts(0.6)
    assert not made.rule.accepts(0.61)
    assert made(None) == Measured(0.5)


def test_limits_and_seeds_have_a_value_at_every_scale() -> None:
    made = declared(seeds={"laptop": 5}, minutes={"smoke": 0.5})(heads)
    assert [made.seeds[s] for s in Scale] == [1, 5, 1]
    assert made.minutes[Scale.SMOKE] == 0.5
    assert made.minutes[Scale.LAPTOP] == 30


def test_claims_can_be_keys() -> None:
    one, two = declared()(heads), declared()(heads)
    assert len({one, two, one}) == 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"title": ""}, "title must be a sentence"),
        ({"title": " x "}, "title must be a sentence"),
        ({"kind": "certain"}, "kind must be exact, scaled or trend, got 'certain'"),
        ({"published": None, "holds": above(0)}, "published= is missing"),
        ({"published": None, "kind": "trend"}, "needs a published value"),
        ({"where": ""}, "where must name a table"),
        ({"memory_gb": 0}, "memory_gb must be > 0, got 0"),
        ({"memory_gb": math.nan}, "memory_gb must be > 0, got nan"),
        ({"scales": []}, "at least one scale"),
        ({"scales": ["huge"]}, "scales must be among smoke, laptop, paper"),
        ({"seeds": {"huge": 1}}, "seeds takes the scales"),
        ({"minutes": {"huge": 1}}, "minutes takes the scales"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        declared(**changed)(heads)


def test_a_function_named_otherwise_is_refused() -> None:
    def Heads(run: Any) -> Measured:
        return Measured(0.5)

    with pytest.raises(ValueError, match="lower_case, got 'Heads'"):
        declared()(Heads)


@given(published=REAL, width=st.floats(0, 2), value=REAL)
def test_a_relative_tolerance_is_a_share_of_the_published_value(
    published: float, width: float, value: float
) -> None:
    accepted = within(relative=width).around(published).accepts(value)
    distance, half = abs(value - published), width * abs(published)
    slack = 1e-9 * max(1.0, abs(published))
    assert accepted or distance > half - slack
    assert not accepted or distance <= half + slack


@given(bound=REAL, value=REAL)
def test_a_direction_refuses_its_bound_and_a_limit_takes_it(bound: float, value: float) -> None:
    assert above(bound).accepts(value) == (value > bound)
    assert below(bound).accepts(value) == (value < bound)
    assert at_least(bound).accepts(value) == (value >= bound)
    assert at_most(bound).accepts(value) == (value <= bound)


def test_an_exact_tolerance_forgives_the_last_bit() -> None:
    assert within(absolute=0).around(0.3).accepts(0.1 + 0.2)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: within(),
        lambda: within(relative=0.1, absolute=0.1),
        lambda: within(relative=-0.1),
        lambda: within(absolute=math.nan),
        lambda: between(2, 1),
        lambda: between(math.nan, 1),
    ],
)
def test_a_rule_without_meaning_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"must|give"):
        wrong()


def test_nan_is_never_accepted() -> None:
    for rule in (Rule(), above(0), at_least(0), between(-1, 1), within(absolute=1).around(0)):
        assert not rule.accepts(math.nan)


@pytest.mark.parametrize(("low", "high"), [(1.0, None), (None, 1.0), (2.0, 1.0)])
def test_an_interval_has_two_ends_in_order(low: float | None, high: float | None) -> None:
    with pytest.raises(ValueError, match="low"):
        Measured(1.0, low, high)


def test_an_interval_over_seeds_is_students() -> None:
    measured = Measured.over_seeds([1.0, 2.0, 3.0], unit="s", parts={"n": 3})
    # With two degrees of freedom the quantile has a closed form; the standard error is 1 / sqrt(3).
    half = 0.95 / math.sqrt(2 * 0.975 * 0.025) / math.sqrt(3)
    assert measured.value == 2.0
    assert measured.high == pytest.approx(2.0 + half, rel=1e-12)
    assert measured.low == pytest.approx(2.0 - half, rel=1e-12)
    assert measured.parts == {"per_seed": [1.0, 2.0, 3.0], "n": 3}


def test_one_seed_has_no_interval_and_none_is_refused() -> None:
    assert Measured.over_seeds([4.0]).low is None
    with pytest.raises(ValueError, match="at least one number"):
        Measured.over_seeds([])


def test_reading_claims_loads_nothing_heavy() -> None:
    code = (
        "import sys, broadsheet.claims;"
        "sys.exit(' '.join({'numpy', 'scipy', 'pandas', 'matplotlib', 'torch', 'django'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
