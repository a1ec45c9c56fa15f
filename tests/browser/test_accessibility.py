"""No page kind may have a serious finding of axe, light or dark, folded or unfolded."""

from __future__ import annotations

from itertools import pairwise

import pytest

PAGES = [
    "/",
    "/day/2025-12-07",
    "/month/2025-12",
    "/papers/1901.99999",
    "/papers/2512.10804",
    "/claims",
    "/search?q=quantity",
    "/search",
    "/authors/zoe-author0",
    "/about",
    "/nowhere",
]


@pytest.mark.parametrize(("scheme", "pages"), [("light", PAGES), ("dark", PAGES[3:7])])
def test_axe_finds_nothing_serious(visit, site, scheme, pages):
    from axe_playwright_python.sync_playwright import Axe

    page = visit("/", color_scheme=scheme)
    serious = []
    for address in pages:
        page.goto(site + address)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        serious += [
            (address, rule["id"], [node["html"][:160] for node in rule["nodes"][:3]])
            for rule in found
            if rule["impact"] in ("serious", "critical")
        ]
    assert serious == []


def test_one_heading_of_the_first_level_and_landmarks(visit, site):
    page = visit("/")
    for address in PAGES:
        page.goto(site + address)
        assert page.locator("h1").count() == 1, address
        for landmark in ("main", "header", "footer", "nav"):
            assert page.locator(landmark).count() >= 1, address
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
        assert levels[0] == 1, address
        assert all(after - before <= 1 for before, after in pairwise(levels)), (address, levels)
