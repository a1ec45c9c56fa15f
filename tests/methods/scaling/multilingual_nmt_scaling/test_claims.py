"""Every claim is measured at smoke scale."""

from __future__ import annotations

import math

import pytest

from broadsheet.claims import Verdict
from broadsheet.lab.judge import judge
from broadsheet.lab.run import local_run
from broadsheet.methods.scaling.multilingual_nmt_scaling import claims as module

CLAIMS = [value for value in vars(module).values() if type(value).__name__ == "Claim"]
FIGURES = {
    "joint-law-is-not-rejected": "lines",
    "out-of-english-is-neutral": "fractions",
    "unseen-weighting-is-predicted": "frontier",
}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_claims_are_measured_at_smoke_scale(claim, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    measured = claim(local_run("smoke", seeds=claim.seeds["smoke"], out=tmp_path))
    assert math.isfinite(measured.value)
    verdict, _ = judge(claim, measured, "smoke")
    assert verdict is not Verdict.FAILED
    if claim.kind == "exact" and claim.id != "totals-with-embeddings":
        assert verdict is Verdict.REPRODUCED
    if claim.id in FIGURES:
        assert (tmp_path / f"{FIGURES[claim.id]}.light.svg").is_file()


def test_one_printed_total_is_another_vocabulary_s():
    measured = module.totals_with_embeddings(local_run("smoke"))
    assert measured.value == 327_680 == 2 * 128 * 1280
    assert "7 of 8 totals agree" in measured.note


def test_claims_that_train_have_three_seeds():
    trained = [claim for claim in CLAIMS if "torch" in claim.needs]
    assert len(trained) == 6
    assert all(claim.seeds["laptop"] == 3 for claim in trained)


def test_no_fitted_value_of_the_paper_is_stated():
    assert {claim.published for claim in CLAIMS} == {None, 0.0, 8.0, 10.0}
