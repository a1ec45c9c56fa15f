"""Which result speaks for a claim: that of the largest scale, whoever measured it."""

from __future__ import annotations

import pytest

from broadsheet.claims import Scale, Verdict
from broadsheet.lab.standing import standing
from broadsheet.lab.store import Result


def result(scale: str, verdict: Verdict = Verdict.HOLDS, value: float | None = 0.5) -> Result:
    return Result("demo/coin", "heads", Scale(scale), (0,), verdict, "", value)


FAILED = result("laptop", Verdict.FAILED, None)


@pytest.mark.parametrize("scale", ["smoke", "laptop", "paper"])
def test_at_one_scale_this_machine_speaks_before_the_reference_and_the_newest_first(scale: str) -> None:
    here, older, ours = (result(scale, value=v) for v in (0.1, 0.2, 0.3))
    assert standing([here, older], ours) is here
    assert standing([], ours) is ours
    assert standing([here]) is here


def test_the_larger_scale_speaks_whoever_measured_it_and_whenever() -> None:
    smoke, laptop, paper = (result(s) for s in ("smoke", "laptop", "paper"))
    assert standing([smoke], laptop) is laptop
    assert standing([smoke, paper, laptop], laptop) is paper
    assert standing([paper], laptop) is paper


def test_an_attempt_hides_no_measurement_but_stands_where_there_is_none() -> None:
    smoke = result("smoke", Verdict.INCONCLUSIVE)
    assert standing([FAILED, smoke]) is smoke
    assert standing([FAILED], smoke) is smoke
    assert standing([FAILED, result("smoke", Verdict.FAILED, None)]) is FAILED
    assert standing([]) is None
