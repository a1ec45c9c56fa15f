from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broadsheet.site.papers import feeds
from broadsheet.site.papers.importing import import_records
from broadsheet.site.papers.models import Author, Organisation, Paper
from broadsheet.sources.record import Organisation as Maker

from .made_up import day, record

pytestmark = pytest.mark.django_db


def titles(feed):
    return [paper.title for paper in feed]


def bring(source, *records):
    import_records(records, source=source)


@pytest.fixture
def december():
    bring("jsonl", *[record(f"J{n}", arxiv_id=f"2512.0000{n}", listed_on=day(1 + n)) for n in range(9)])
    bring(
        "saved-page",
        record("P0", listed_on=day(8)),
        record("J1", listed_on=day(8)),
        record("P2", listed_on=day(8)),
    )
    Paper.objects.filter(title="J7").update(method="statistics/made-up")


def test_a_day_has_what_runs_first_then_what_people_chose(december):
    feed = feeds.on_day(day(8))
    assert titles(feed) == ["J7", "P0", "J1", "P2"]
    assert (feed.total, feed.next_offset, feed.previous_offset) == (4, None, None)
    assert {paper.listed_on for paper in feed} == {day(8)}


def test_a_paper_on_two_lists_of_a_day_stands_there_once():
    bring("jsonl", record("A", arxiv_id="2512.00001", listed_on=day(8)), record("B", listed_on=day(8)))
    bring("hf-daily", record("A", arxiv_id="2512.00001", listed_on=day(8)))
    assert titles(feeds.on_day(day(8))) == ["A", "B"]
    assert feeds.on_day(day(8)).total == 2
    assert feeds.days() == [feeds.Day(day(8), 2)]


def test_a_period_shows_a_paper_once_on_its_last_day(december):
    feed = feeds.in_month(2025, 12)
    assert Counter(titles(feed)).most_common(1)[0][1] == 1
    assert (len(feed), feed.total) == (11, 11)
    assert next(p for p in feed if p.title == "J1").listed_on == day(8)
    listed = [p.listed_on for p in feed]
    assert listed == sorted(listed, reverse=True)


def test_a_week_is_an_iso_week(december):
    feed = feeds.in_week(2025, 50)  # 8 to 14 December
    assert set(titles(feed)) == {"J7", "J8", "P0", "J1", "P2"}
    bring("jsonl", record("New Year", listed_on=dt.date(2026, 1, 1)))
    assert titles(feeds.in_week(2026, 1)) == ["New Year"]


def test_pages_are_pieces_of_one_list(december):
    whole = titles(feeds.in_month(2025, 12))
    pieces = [
        title for offset in range(0, 12, 4) for title in feeds.in_month(2025, 12, offset=offset, limit=4)
    ]
    assert [p.title for p in pieces] == whole
    first = feeds.in_month(2025, 12, limit=4)
    assert (first.previous_offset, first.next_offset) == (None, 4)
    last = feeds.in_month(2025, 12, offset=8, limit=4)
    assert (last.previous_offset, last.next_offset) == (4, None)


def test_days_and_their_neighbours(december):
    assert feeds.newest_day() == day(9)
    assert [d.day for d in feeds.days()] == [day(n) for n in range(9, 0, -1)]
    assert feeds.days(day(8), day(8)) == [feeds.Day(day(8), 4)]
    assert feeds.neighbours(day(8)) == feeds.Neighbours(day(7), day(9))
    assert feeds.neighbours(day(1)) == feeds.Neighbours(None, day(2))
    assert feeds.neighbours(day(2), day(8)) == feeds.Neighbours(day(1), day(9))
    assert feeds.neighbours(day(28)) == feeds.Neighbours(day(9), None)


def test_nothing_imported_is_no_error():
    assert feeds.newest_day() is None
    assert feeds.days() == []
    assert feeds.neighbours(day(8)) == feeds.Neighbours(None, None)
    assert len(feeds.on_day(day(8))) == 0
    assert feeds.counts() == feeds.Counts(0, 0, None)


def test_an_author_and_an_organisation_have_their_papers_newest_first():
    maker = Maker("makers", "Makers")
    bring(
        "jsonl",
        record("old", authors=("Ada Doe", "Ada Doe"), organisation=maker, published_on=day(1)),
        record("new", authors=("Ada Doe",), organisation=maker, published_on=day(2)),
        record("other", authors=("B. Roe",), published_on=day(3)),
    )
    assert titles(feeds.by_author(Author.objects.get(name="Ada Doe"))) == ["new", "old"]
    assert feeds.by_author(Author.objects.get(name="Ada Doe")).total == 2
    assert titles(feeds.by_organisation(Organisation.objects.get())) == ["new", "old"]
    assert titles(feeds.newest()) == ["other", "new", "old"]


def test_what_runs_can_be_asked_by_family():
    bring("jsonl", *[record(t, published_on=day(n)) for n, t in enumerate(["a", "b", "c", "d"], 1)])
    for title, method in (("a", "tuning/x"), ("b", "tuning-more/y"), ("c", "statistics/z")):
        Paper.objects.filter(title=title).update(method=method)
    assert titles(feeds.running()) == ["c", "b", "a"]
    assert titles(feeds.running(family="tuning")) == ["a"]
    assert feeds.counts().running == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: feeds.in_week(2025, 53), "there is no ISO week 53 of 2025"),
        (lambda: feeds.in_week(10**9, 1), "there is no ISO week"),
        (lambda: feeds.in_month(2025, 13), "there is no month 13 of 2025"),
        (lambda: feeds.in_month(0, 1), "there is no month 1 of 0"),
        (lambda: feeds.on_day(day(1), offset=-1), "offset must be >= 0, got -1"),
        (lambda: feeds.newest(limit=0), r"limit must be in \[1, 500\], got 0"),
    ],
)
def test_what_is_out_of_range_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def plans(call) -> list[str]:
    """Return how SQLite goes about the queries that ``call`` makes."""
    with CaptureQueriesContext(connection) as seen:
        call()
    steps = []
    with connection.cursor() as cursor:
        for query in seen:
            cursor.execute("EXPLAIN QUERY PLAN " + query["sql"].replace("%", "%%"), ())
            steps += [row[3] for row in cursor.fetchall()]
    return steps


@pytest.mark.parametrize(
    "call",
    [
        lambda: feeds.on_day(day(8)),
        lambda: feeds.in_week(2025, 50),
        lambda: feeds.in_month(2025, 12),
        lambda: feeds.neighbours(day(8)),
        lambda: feeds.newest_day(),
        lambda: feeds.days(day(1), day(28)),
        lambda: feeds.by_author(Author(pk=1)),
        lambda: feeds.by_organisation(Organisation(pk=1)),
        lambda: feeds.running(),
        lambda: feeds.running(family="tuning"),
    ],
)
def test_no_list_reads_a_whole_table(december, call):
    for step in plans(call):
        # A scan is allowed only in the order of an index, where the query stops after its first rows.
        assert not step.startswith("SCAN papers_") or "INDEX" in step, step
        assert step != "SCAN papers_paper", step


@pytest.mark.parametrize(
    "call", [lambda: feeds.on_day(day(8)), lambda: feeds.in_month(2025, 12), feeds.newest]
)
def test_a_list_costs_two_queries_however_long_it_is(december, call, django_assert_num_queries):
    with django_assert_num_queries(2):
        [paper.organisation for paper in call()]
