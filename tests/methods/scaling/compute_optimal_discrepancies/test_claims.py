"""Every claim is measured at smoke scale, on the authors' optima and runs."""

from __future__ import annotations

import pytest

from broadsheet.claims import Verdict
from broadsheet.lab.judge import judge
from broadsheet.lab.run import local_run
from broadsheet.methods.scaling.compute_optimal_discrepancies import REGIMES
from broadsheet.methods.scaling.compute_optimal_discrepancies import claims as module

from ..conftest import registered

CLAIMS = [value for value in vars(module).values() if type(value).__name__ == "Claim"]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_claims_are_measured(claim, tmp_path):
    for name in claim.data:
        registered(name)
    measured = claim(local_run("smoke", out=tmp_path))
    verdict, _ = judge(claim, measured, "smoke")
    assert verdict in (Verdict.REPRODUCED, Verdict.HOLDS)
    if claim.id.endswith("-tuned"):
        assert (tmp_path / "optima.light.svg").is_file()


def test_every_published_exponent_is_claimed():
    claimed = {claim.published for claim in CLAIMS if claim.published is not None}
    assert claimed == {value for regime in REGIMES for value in regime.published.values()}
