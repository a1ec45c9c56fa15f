from __future__ import annotations

import datetime as dt

import pytest

from broadsheet.site.papers.models import Author, FormerTitle, Listing, Mark, Organisation, Paper

from .made_up import check_index

pytestmark = pytest.mark.django_db


def test_saving_a_paper_keeps_what_follows_from_it_up_to_date():
    paper = Paper.objects.create(title="A Law", slug="a-law")
    assert (paper.title_key, paper.year, paper.dated) == ("alaw", None, None)
    paper.arxiv_id = "1901.03212"
    paper.save()
    assert (paper.year, paper.dated) == (2019, dt.date(2019, 1, 1))
    Listing.objects.create(paper=paper, day=dt.date(2025, 12, 8), source="x")
    paper.save()
    assert paper.dated == dt.date(2025, 12, 8)
    paper.published_on = dt.date(2018, 12, 31)
    paper.title = "Another"
    paper.save()
    assert (paper.title_key, paper.year, paper.dated) == ("another", 2018, dt.date(2018, 12, 31))


def test_the_index_follows_whatever_the_tables_are_changed_by():
    papers = Paper.objects.bulk_create(
        [Paper(title=f"T {n}", slug=f"t-{n}", title_key=f"t{n}") for n in range(5)]
    )
    check_index()
    Paper.objects.filter(slug="t-1").update(title="Other", year=2020)
    papers[2].abstract = "C++ words"
    papers[2].save()
    papers[3].delete()
    Paper.objects.filter(slug="t-4").delete()
    check_index()


def test_rows_say_what_they_are():
    paper = Paper(title="A Law", slug="a-law")
    assert (str(paper), paper.key) == ("A Law", "a-law")
    paper.arxiv_id = "1901.03212"
    assert paper.key == "1901.03212"
    assert str(Author(name="Ada Doe")) == "Ada Doe"
    assert str(Organisation(name="Makers")) == "Makers"
    assert str(Mark(name="a", value="b")) == "a: b"
    assert str(FormerTitle(title_key="x")) == "x"
    assert str(Listing(paper_id=1, day=dt.date(2025, 1, 2))) == "1 on 2025-01-02"
