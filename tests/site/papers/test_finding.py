from __future__ import annotations

import pytest
from django.db import connection

from broadsheet.search.fts5 import Segment
from broadsheet.site.papers.finding import INDEX, find
from broadsheet.site.papers.importing import import_records
from broadsheet.site.papers.models import Paper
from broadsheet.sources.record import Organisation as Maker

from .made_up import day, record

pytestmark = pytest.mark.django_db


@pytest.fixture
def papers():
    import_records(
        [
            record("Scaling Laws", arxiv_id="2503.00001", abstract="How loss falls. " * 40,
                   categories=("cs.LG", "stat.ML"), authors=("Ada Doe", "José Roe"),
                   organisation=Maker("makers", "Makers of Things"), listed_on=day(8)),
            record("A compiler for C++", arxiv_id="2401.00002", abstract="Loss of nothing.", categories=("cs.PL",),
                   authors=("Roe Ada",), listed_on=day(8)),
            record("Old laws", arxiv_id="math/0611800", categories=("math.ST",), listed_on=day(8)),
        ],
        source="jsonl",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("laws", {"Scaling Laws", "Old laws"}),
        ("title:scaling", {"Scaling Laws"}),
        ('author:"ada doe"', {"Scaling Laws"}),
        ("author:jose", {"Scaling Laws"}),
        ("org:makers", {"Scaling Laws"}),
        ("cat:cs", {"Scaling Laws", "A compiler for C++"}),
        ("cat:cs.LG", {"Scaling Laws"}),
        ("cat:stat.ML", {"Scaling Laws"}),
        ("cat:math.ST", {"Old laws"}),
        ("id:2401.00002v3", {"A compiler for C++"}),
        ("https://arxiv.org/abs/2401.00002", {"A compiler for C++"}),
        ("id:math/0611800", {"Old laws"}),
        ("year:2025", {"Scaling Laws"}),
        ("year:2006..2024", {"Old laws", "A compiler for C++"}),
        ("laws -year:2006", {"Scaling Laws"}),
        ("c++", {"A compiler for C++"}),
        ("2025", set()),
    ],
)
def test_fields_find_what_they_name(papers, text, titles):
    assert {hit.paper.title for hit in find(text).hits} == titles


def test_a_hit_shows_why_it_was_found(papers):
    (hit,) = find("scaling loss").hits[:1]
    assert hit.title == [Segment("Scaling", True), Segment(" Laws")]
    assert Segment("loss", True) in hit.excerpt
    assert len("".join(s.text for s in hit.excerpt).split()) <= 45


def test_a_built_in_paper_is_found_and_shown_by_our_summary(papers):
    Paper.objects.filter(title="Old laws").update(method="a/b", summary="We wrote this ourselves.")
    (hit,) = find("ourselves").hits
    assert [s.text for s in hit.excerpt if s.is_match] == ["ourselves"]


def test_pages_follow_one_another(papers):
    first = find("cat:cs", limit=1)
    assert (first.total, first.total_words, first.next_offset) == (2, "2", 1)
    second = find("cat:cs", limit=1, offset=1)
    assert second.next_offset is None
    assert first.hits[0].paper != second.hits[0].paper


def test_further_conditions_narrow_it(papers):
    Paper.objects.filter(title="Old laws").update(method="a/b")
    assert [h.paper.title for h in find("laws", where=[("content.method > ?", [""])]).hits] == ["Old laws"]


def test_the_last_word_may_be_a_beginning(papers):
    assert find("scal").hits == []
    assert [h.paper.title for h in find("scal", prefix=True).hits] == ["Scaling Laws"]


@pytest.mark.parametrize("text", ["", '"', "-x", "AND OR NOT (", "\x00"])
def test_anything_may_be_typed(papers, text):
    find(text)


def test_pages_are_bounded():
    with pytest.raises(ValueError, match=r"limit must be in \[1, 200\], got 201"):
        find("x", limit=201)


def test_the_index_is_the_one_that_the_migration_made():
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'papers_search'")
        (sql,) = cursor.fetchone()
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'papers_search_text'")
        (view,) = cursor.fetchone()
    assert f"fts5({', '.join(INDEX.names)}, content='{INDEX.view}', content_rowid='{INDEX.key}'" in sql
    for column in INDEX.columns:
        assert f" AS {column.name}" in view


def test_a_search_costs_few_queries(papers, django_assert_max_num_queries):
    with django_assert_max_num_queries(5):
        [
            hit.paper.organisation
            for hit in find("loss laws compiler and eight more words of a long question").hits
        ]
