"""The claims, at the scale of seconds."""

from __future__ import annotations

import pytest

from broadsheet.claims import Claim
from broadsheet.lab import local_run
from broadsheet.methods.scaling.densing_law import claims

CLAIMS = [value for value in vars(claims).values() if isinstance(value, Claim)]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_is_measured_at_smoke_scale(claim: Claim) -> None:
    measured = claim(local_run("smoke"))
    assert claim.rule.accepts(measured.value), f"{claim.id}: {measured.value} is not {claim.rule.words}"
