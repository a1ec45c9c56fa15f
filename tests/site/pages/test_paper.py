from __future__ import annotations

import datetime as dt
import re

import pytest

from broadsheet.claims import Scale, Verdict
from broadsheet.lab import catalogue
from broadsheet.lab.progress import StateFile

from . import made_up
from .rows import make_paper

PAGE = "/papers/1901.99999"


def test_a_paper_that_runs_tells_its_claims_in_order(get, coins_paper):
    html = get(PAGE)
    order = [
        "<h1>",
        "Jane Doe",
        "A coin that remembers",
        "What it claims",
        "Use the method",
        "Abstract",
        "Figures",
    ]
    places = [html.index(words) for words in order]
    assert places == sorted(places)
    assert html.count('<details class="claim"') == 5
    assert html.count("<h1>") == 1
    assert len(html.encode()) < 60_000


def test_reference_and_measurement_are_told_apart(get, coins_paper, results):
    html = get(PAGE)
    assert "our reference <b>0.902" in html
    assert "measured by us on <time" in html
    assert "3 November 2025" in html
    two_minutes_ago = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=2, seconds=5)
    made_up.measure_here(
        results, "power", Verdict.INCONCLUSIVE, 0.71, when=two_minutes_ago, scale=Scale.SMOKE, unit="power"
    )
    html = get(PAGE)
    claim = html[html.index('id="power"') : html.index('id="beats-runs"')]
    line, body = claim.split("</summary>", 1)
    # A check at smoke scale stands below what was measured at laptop scale, and is seen at once.
    assert "our reference <b>0.902" in line
    below = re.search(
        r"measured here at smoke scale <time[^>]*>2 minutes ago</time>: <b>0.71[^<]*</b>, inconclusive", line
    )
    assert below
    assert line.index("laptop scale") < below.start()
    assert "holds at this scale</span>" in line
    assert "At smoke scale here" in body
    assert "Our reference" in body
    assert "0.902" in body
    made_up.measure_here(results, "power", Verdict.NOT_REPRODUCED, 0.31, unit="power")
    line = get(PAGE).split('id="power"')[1].split("</summary>")[0]
    assert "here <b>0.31" in line
    assert "not reproduced</span>" in line
    assert re.search(r"measured here <time[^>]*>just now</time> on 2 cores, laptop scale", line)
    assert "0.71" not in line


def test_what_is_being_measured_is_shown_with_how_far_and_how_long_still(get, coins_paper):
    assert "data-follow" not in get("/") + get(PAGE) + get("/claims")
    state = StateFile(made_up.KEY, "power", "laptop")
    state.update(now=True, fraction=0.4, label="samples <b>\x1b[0m", elapsed=10.0, eta=75.0)
    for address in ("/", PAGE, "/claims"):
        html = get(address)
        line = html[html.index("data-follow") :][:600]
        assert "Being measured now at laptop scale: samples &lt;b&gt;" in line, address
        assert '<progress max="1" value="0.400"' in line
        assert "40\u00a0%, about 1 min 15 s still" in line
        assert "\x1b" not in html
    state.remove()
    assert "data-follow" not in get(PAGE)


def test_each_claim_says_rule_place_command_and_why(get, coins_paper):
    html = get(PAGE)
    assert "within 0.02 of the published value" in html
    assert "from Table 1" in html
    assert "broadsheet run coin-tosses:share-of-heads --scale laptop" in html
    assert "four binomial standard errors" in html
    assert "<code>10,000</code>" in html
    assert "It needs the data mint-records" in html
    assert 'role="tooltip"' in html


def test_verdicts_have_word_shape_and_colour(get, coins_paper):
    html = get(PAGE)
    for mark, word in (
        ("reproduced", "reproduced"),
        ("holds", "holds at this scale"),
        ("inconclusive", "inconclusive"),
    ):
        assert re.search(rf'class="verdict v-{mark}"><svg[^>]*><use href="#v-{mark}"/></svg>{word}', html)
        assert f'<symbol id="v-{mark}"' in html


def test_the_example_and_the_install_line_come_from_the_paper(get, coins_paper):
    html = get(PAGE)
    assert "pip install coin_tosses" in html
    assert "from coin_tosses import PairTest" in html
    assert "When throws come <strong>in order</strong>" in html
    assert "alert(&quot;readme&quot;)" in html


def test_a_built_in_paper_is_installed_from_a_checkout(get):
    built_in = next(p for p in catalogue.load().papers if p.slug == "flexible-survival")
    make_paper("Built in", arxiv_id=built_in.facts.arxiv_id, method=built_in.key)
    html = get(f"/papers/{built_in.facts.arxiv_id}")
    assert "<code>pip install .</code>" in html
    assert "in a checkout of Broadsheet" in html


def test_figures_have_a_dark_twin_a_size_and_a_table(get, coins_paper):
    html = get(PAGE)
    assert re.search(
        r'<source class="dark-source" srcset="[^"]+power\.dark\.svg[^"]*" '
        r'media="screen and \(prefers-color-scheme: dark\)">',
        html,
    )
    assert re.search(
        r'<img src="[^"]+power\.light\.svg[^"]*" alt="Power of the pair test[^"]*" width="700" height="400"',
        html,
    )
    assert "<td>0.9012</td>" in html


def test_abstract_is_rendered_with_links_and_formulas(get, coins_paper):
    html = get(PAGE)
    assert "<mfrac>" in html
    assert '<a href="https://example.org/coins" rel="nofollow noopener noreferrer">' in html
    assert "Erdős knew 5% of it" in html


def test_links_lead_to_arxiv_doi_and_code(get):
    make_paper(
        "Linked",
        arxiv_id="2401.00001",
        doi="10.1000/x(1)",
        code_url="https://github.com/a/b",
        project_page="http://p.example/",
    )
    html = get("/papers/2401.00001")
    for address in (
        "https://arxiv.org/abs/2401.00001",
        "https://arxiv.org/pdf/2401.00001",
        "https://doi.org/10.1000/x(1)",
        "https://github.com/a/b",
        "http://p.example/",
    ):
        assert f'href="{address}" rel="nofollow noopener noreferrer"' in html


def test_a_paper_without_anything_still_has_a_page(get):
    make_paper("Bare", slug="bare")
    html = get("/papers/bare")
    assert "No source has brought an abstract yet" in html
    assert "broadsheet new ARXIV_ID family/slug" in html


def test_old_identifiers_with_a_slash_have_a_page(get):
    make_paper("Old", arxiv_id="hep-th/9901001")
    assert "<h1>Old</h1>" in get("/papers/hep-th/9901001")
    assert "eprint = {hep-th/9901001}" in get("/papers/hep-th/9901001.bib")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("/papers/some-slug", "/papers/2401.00001"),
        ("/papers/2401.00001v3", "/papers/2401.00001"),
        ("/papers/arXiv:2401.00001", "/papers/2401.00001"),
        ("/papers/some-slug.bib", "/papers/2401.00001.bib"),
    ],
)
def test_other_names_lead_to_the_identifier(client, db, asked, found):
    make_paper("Moved", slug="some-slug", arxiv_id="2401.00001")
    response = client.get(asked)
    assert (response.status_code, response.headers["Location"]) == (302, found)


def test_unknown_papers_lead_to_search_and_to_arxiv(get):
    html = get("/papers/2401.99998", status=404)
    assert "broadsheet sync arxiv --query id:2401.99998" in html
    assert 'action="/search"' in html
    html = get("/papers/no-such-thing", status=404)
    assert 'value="no-such-thing"' in html
    get("/papers/" + "x" * 5000, status=404)
    get("/papers/a%00b", status=404)


def test_bibtex_comes_as_a_file(client, coins_paper):
    response = client.get(PAGE + ".bib")
    assert response.headers["Content-Type"] == "text/x-bibtex; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="doe2019coins.bib"'


def test_a_broken_paper_names_its_fault(get, coins_paper, coins):
    (coins / "claims.py").write_text("claim = 1/0\n")
    html = get(PAGE)
    assert "claims.py, line 1: ZeroDivisionError" in html


def test_a_failed_measurement_shows_what_went_wrong(get, coins_paper, results):
    made_up.measure_here(
        results,
        "mint",
        Verdict.FAILED,
        None,
        reason="It ended with ValueError: no <b>mint</b>.",
        error="Traceback <x>",
    )
    html = get(PAGE)
    assert "no &lt;b&gt;mint&lt;/b&gt;" in html
    assert "Traceback &lt;x&gt;" in html
