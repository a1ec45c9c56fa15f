"""Every claim is measured at smoke scale."""

from __future__ import annotations

import math

import pytest

from broadsheet import data
from broadsheet.claims import Verdict
from broadsheet.lab.judge import judge
from broadsheet.lab.run import local_run
from broadsheet.methods.scaling.densing_law import claims as module

CLAIMS = [value for value in vars(module).values() if type(value).__name__ == "Claim"]
FIGURES = {
    "doubling-on-mmlu": "density-over-date",
    "growth-depends-on-benchmark": "three-benchmarks",
    "sigmoid-predicts-accuracy": "loss-to-accuracy",
}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_claims_are_measured_at_smoke_scale(claim, tmp_path):
    if any(data.where(name) is None for name in claim.data):
        pytest.skip("the published scores are not on this machine: name their folder in BROADSHEET_DATA")
    seeds = list(range(2 if claim.needs else 1))
    measured = claim(local_run("smoke", seeds=seeds, out=tmp_path))
    assert math.isfinite(measured.value)
    if claim.kind == "exact":
        assert judge(claim, measured, "smoke")[0] is Verdict.REPRODUCED
    if claim.id in FIGURES:
        assert (tmp_path / f"{FIGURES[claim.id]}.light.svg").is_file()
        assert (tmp_path / f"{FIGURES[claim.id]}.dark.svg").is_file()


def test_a_rule_that_a_wrong_arithmetic_would_break():
    assert not module.rate_and_doubling_agree.rule.accepts(math.log10(2) / 0.0073)  # the wrong base
    assert not module.price_halving.rule.accepts(20 / math.log(20 / 0.075))
    assert not module.density_and_chips.rule.accepts(95 + 767)
