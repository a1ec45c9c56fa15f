from __future__ import annotations

import re

import pytest

from broadsheet.claims import Verdict

from . import made_up


def shown(html: str) -> list[str]:
    return re.findall(r'class="claim-title" href="/papers/1901\.99999#([^"]+)"', html)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["share-of-heads", "power", "beats-runs", "passes", "mint"]),
        ("?verdict=reproduced", ["share-of-heads"]),
        ("?verdict=not+measured+yet", ["passes", "mint"]),
        ("?kind=scaled", ["power", "mint"]),
        ("?kind=exact&verdict=reproduced&family=statistics", ["share-of-heads"]),
        ("?kind=trend&verdict=reproduced", []),
        ("?verdict=nonsense&kind=%3Cscript%3E", ["share-of-heads", "power", "beats-runs", "passes", "mint"]),
    ],
)
def test_filters_work_by_address_alone(get, coins_paper, query, ids):
    html = get("/claims" + query)
    assert shown(html) == ids
    assert "<script>" not in html


def test_choices_say_how_many_claims_they_leave(get, coins_paper):
    html = get("/claims?kind=exact")
    assert re.search(r'<option value="exact" selected>Exact \(\d+\)</option>', html)
    assert re.search(r'<option value="reproduced">Reproduced \(\d+\)</option>', html)


def test_nothing_left_says_how_to_go_on(get, coins_paper):
    html = get("/claims?kind=trend&verdict=reproduced")
    assert "No claim is like that" in html
    assert 'href="/claims"' in html


def test_a_measurement_moves_a_claim_to_its_new_verdict(get, coins_paper, results):
    made_up.measure_here(results, "passes", Verdict.NOT_REPRODUCED, 2.0)
    assert shown(get("/claims?verdict=not+reproduced")) == ["passes"]


def test_a_broken_paper_is_named(get, coins_paper, coins):
    (coins / "claims.py").write_text("")
    assert "declares no claim" in get("/claims")


def test_a_filter_that_is_not_known_is_said(get, coins_paper):
    html = get("/claims?verdict=nope&family=statistics")
    assert "There is no verdict “nope”" in html
    assert "There is no" not in get("/claims?family=statistics")
