"""Every claim is measured at smoke scale."""

from __future__ import annotations

import math

import pytest

from broadsheet.claims import Verdict
from broadsheet.lab.judge import judge
from broadsheet.lab.run import local_run
from broadsheet.methods.scaling.pass_until import claims as module

CLAIMS = [value for value in vars(module).values() if type(value).__name__ == "Claim"]
FIGURES = {
    "intervals-cover": "coverage",
    "passes-agree-with-the-truth": "resolution",
    "law-predicts-the-largest": "prediction",
    "addition-accelerates": "emergence",
}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_claims_are_measured_at_smoke_scale(claim, tmp_path):
    measured = claim(local_run("smoke", out=tmp_path))
    assert math.isfinite(measured.value)
    if claim.kind == "exact":
        assert judge(claim, measured, "smoke")[0] is Verdict.REPRODUCED
    if claim.id in FIGURES:
        assert (tmp_path / f"{FIGURES[claim.id]}.light.svg").is_file()
        assert (tmp_path / f"{FIGURES[claim.id]}.dark.svg").is_file()


def test_intervals_of_small_models_hold_the_exact_rate_even_untrained(tmp_path):
    measured = module.passes_agree_with_the_truth(local_run("smoke", seeds=[0], out=tmp_path))
    assert measured.value >= 0.75


def test_published_values_are_the_verified_ones():
    assert {c.published for c in CLAIMS if c.published is not None} == {-8.7, 19.3, 0.0}
