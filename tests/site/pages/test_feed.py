from __future__ import annotations

import datetime as dt
import re

import pytest

from broadsheet.claims import Verdict
from broadsheet.site.papers.models import Listing

from . import made_up
from .rows import DAY, make_paper


def test_an_empty_installation_shows_what_runs_and_how_to_import(get, coins):
    make_paper(made_up.TITLE, arxiv_id=made_up.ARXIV_ID, method=made_up.KEY, summary="Coins.")
    html = get("/")
    assert 'href="/papers/1901.99999"' in html
    assert "broadsheet import page.txt --saved" in html
    assert html.count("<h1>") == 1


def test_an_installation_without_anything_still_says_what_to_do(get):
    assert "broadsheet serve" in get("/")


def test_front_page_is_the_newest_edition_and_leads_with_the_paper_that_runs(get, coins_paper):
    make_paper("First of its list", day=DAY)
    make_paper("Older", day=DAY - dt.timedelta(days=3))
    html = get("/")
    assert "Monday, 8 December 2025" in html
    assert "Older" not in html
    lead = html[html.index('class="lead') : html.index("First of its list")]
    assert "Coins That Remember" in lead
    assert "reproduced" in lead
    assert html.count("<h1>") == 1


def test_a_day_leads_to_its_neighbours_and_its_number(get):
    make_paper("One", day=dt.date(2025, 12, 1))
    make_paper("Two", day=DAY)
    make_paper("Three", day=dt.date(2025, 12, 10))
    html = get("/day/2025-12-08")
    assert 'rel="prev" href="/day/2025-12-01"' in html
    assert 'rel="next" href="/day/2025-12-10"' in html
    assert "No. 8" in html
    assert "1 paper in this edition" in html


def test_an_empty_day_says_what_to_do(get):
    make_paper("One", day=DAY)
    html = get("/day/2025-12-10")
    assert "No papers were listed on this day" in html
    assert "broadsheet import page.txt --saved 2025-12-10" in html
    assert 'href="/day/2025-12-08"' in html


def test_week_and_month_group_papers_by_day(get):
    make_paper("On Monday", day=DAY)
    make_paper("On Tuesday", day=DAY + dt.timedelta(days=1))
    make_paper("On Tuesday too", day=DAY + dt.timedelta(days=1))
    for address in ("/week/2025-W50", "/month/2025-12"):
        html = get(address)
        assert html.index("On Tuesday") < html.index("On Monday")
        assert '<h2 class="day-head"><a href="/day/2025-12-08">' in html
    assert "No papers" in get("/week/2025-W40")


def test_a_long_day_is_paged_and_shows_each_paper_once(get):
    for n in range(95):
        make_paper(f"Paper number {n:02d}", day=DAY)
    seen = []
    for page, address in enumerate(["/day/2025-12-08", "/day/2025-12-08?page=2", "/day/2025-12-08?page=3"]):
        html = get(address)
        seen += re.findall(r"Paper number \d\d", html)
        assert f"Page {page + 1} of 3" in html
    assert len(seen) == 95
    assert len(set(seen)) == 95
    get("/day/2025-12-08?page=4", status=404)


@pytest.mark.parametrize("page", ["0", "-1", "x", "1e3", "9" * 40, "²"])
def test_pages_that_cannot_be_are_not_found(get, page):
    make_paper(day=DAY)
    get(f"/day/2025-12-08?page={page}", status=404)


@pytest.mark.parametrize(
    "address", ["/day/2025-02-30", "/week/2025-W60", "/month/2025-13", "/day/0000-01-01", "/go?day=x", "/go"]
)
def test_dates_that_do_not_exist_are_not_found(get, address):
    assert "There is no such date" in get(address, status=404)


def test_the_day_form_leads_to_the_day(client, db):
    assert client.get("/go?day=2025-12-08").headers["Location"] == "/day/2025-12-08"


def test_what_ran_here_appears_without_a_restart(get, coins_paper, results):
    assert "Nothing has been measured on this machine yet" in get("/")
    made_up.measure_here(results, "passes", Verdict.NOT_REPRODUCED, 2.0)
    html = get("/")
    lately = html[html.index("What ran here lately") :]
    assert "not reproduced" in lately
    assert "laptop scale, <time" in lately
    assert "just now" in lately


def test_a_day_of_39_papers_is_under_60_kb(get, coins_paper):
    text = (
        r"A sentence of an abstract with $n^2$ in it that goes on for a while and then for some more. " * 14
    )
    for n in range(38):
        title = f"A title of the usual length number {n}: with a colon and what comes behind it, in $O(n)$"
        make_paper(title, names=tuple(f"Some Author {k}" for k in range(6)), day=DAY, abstract=text)
    assert len(get("/day/2025-12-08").encode()) < 60_000


def test_a_paper_on_two_lists_of_a_day_is_shown_once(get):
    paper = make_paper("Twice listed", day=DAY)
    Listing.objects.create(paper=paper, day=DAY, source="jsonl", position=3)
    assert get("/day/2025-12-08").count("Twice listed") == 1


@pytest.mark.parametrize(
    "address",
    [
        "/day/9999-12-31",
        "/month/9999-12",
        "/week/9999-W52",
        "/day/1899-12-31",
        "/week/0001-W01",
        "/go?day=0001-01-01",
    ],
)
def test_days_that_no_paper_can_be_of_have_no_edition(get, address):
    assert "There is no such date" in get(address, status=404)


def test_a_day_that_got_into_the_database_nonetheless_takes_no_page_down(get):
    make_paper("Of today", day=DAY)
    make_paper("Of the end of time", day=dt.date(9999, 12, 31))
    html = get("/")
    assert "Of today" in html
    assert "/day/9999" not in html
    assert "Newest edition" in html


def test_comments_at_the_source_stand_in_the_list(get):
    make_paper("Talked about", day=DAY, comments_at_save=3)
    make_paper("Alone", day=DAY, comments_at_save=0)
    html = get("/")
    assert html.count("3 comments") == 1
    assert "0 comments" not in html
