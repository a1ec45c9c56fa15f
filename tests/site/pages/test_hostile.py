"""Stored and reflected attacks through every text that comes from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from django.utils.http import urlencode

from broadsheet.claims import Verdict
from broadsheet.site.papers.models import Organisation

from . import made_up
from .rows import DAY, make_paper

ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</title><svg onload=alert(1)>",
    "{{ 7|add:7 }}{% debug %}",
    r"$\text{</math><script>alert(1)</script>}$",
    "**<img src=x onerror=alert(1)>**",
    "\ue000<b>\ue003",
]


class Page(HTMLParser):
    """Notes what could run: scripts without our source, handlers, addresses with a scheme that runs."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "script" and not (given.get("src") or "").startswith("/static/pages/"):
            self.wrong.append("script")
        if tag == "img" and not (given.get("src") or "").startswith("/papers/"):
            self.wrong.append("img")
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.wrong.append(name)
            if name in ("href", "src", "action", "srcset") and re.match(
                r"\s*(javascript|data|vbscript):", value or "", re.I
            ):
                self.wrong.append(value or "")


@pytest.mark.parametrize("attack", ATTACKS)
def test_texts_of_a_paper_cannot_run(get, attack):
    group = Organisation.objects.create(handle="grp", name=attack)
    make_paper(
        attack,
        slug="hostile",
        names=(attack, "B"),
        day=DAY,
        abstract=f"{attack} pruning",
        comment=attack,
        journal_ref=attack,
        categories=attack,
        summary=attack,
        organisation=group,
    )
    for address in ("/", "/papers/hostile", "/organisations/grp", "/week/2025-W50", "/search?q=pruning"):
        html = get(address)
        assert Page(html).wrong == [], address


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        " JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "https://",
        "http://[",
        "vbscript:x",
    ],
)
def test_addresses_that_do_not_lead_to_the_web_are_no_links(get, address):
    make_paper("Linked", slug="linked", code_url=address, project_page=address, doi=f"{address}</a>")
    html = get("/papers/linked")
    assert Page(html).wrong == []
    assert ">Code</a>" not in html
    assert ">Project</a>" not in html


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_asked_cannot_run(get, attack):
    for address in (
        "/search?" + urlencode({"q": attack}),
        "/claims?" + urlencode({"verdict": attack, "kind": attack}),
    ):
        html = get(address)
        assert Page(html).wrong == []
        assert "<script>alert" not in html


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_foreign_package_s_claims_and_results_cannot_run(get, coins_paper, coins, results, attack):
    source = (coins / "claims.py").read_text()
    title = repr(f"Claim {attack}")
    source = source.replace('"The pair test beats the runs test"', title).replace('"Section 4"', repr(attack))
    source = source.replace('unit="passes"', f"unit={attack!r}")
    (coins / "claims.py").write_text(source.replace("It needs throws", attack))
    (coins / "README.md").write_text(
        f"# X\n\n## When to use it\n{attack} [x](javascript:alert(1))\n\n## Limits\n<img src=x>\n"
    )
    made_up.measure_here(
        results,
        "passes",
        Verdict.FAILED,
        None,
        reason=attack,
        note=attack,
        error=attack,
        machine={"processor": attack},
    )
    made_up.measure_here(
        results, "passes", Verdict.NOT_REPRODUCED, 2.0, reason=attack, unit=attack, with_files=True
    )
    for address in ("/", "/papers/1901.99999", "/claims"):
        html = get(address)
        assert "Claim" in html
        assert Page(html).wrong == [], address
