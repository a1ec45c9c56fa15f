from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import pytest

from broadsheet.lab.catalogue import Facts
from broadsheet.site.papers import catalogue
from broadsheet.site.papers.importing import import_records
from broadsheet.site.papers.models import Paper

from .made_up import check_index, day, everything, record

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class MadeUp:
    key: str
    facts: Facts


LAW = MadeUp(
    "statistics/made-up",
    Facts(
        "2503.00001", "A Made-up Law", 2025, "Doe, Roe, and Li", "We summarise. Twice.", dt.date(2025, 3, 2)
    ),
)


def test_a_paper_that_runs_stands_in_the_database():
    assert catalogue.sync([LAW]) == catalogue.Synced(added=1)
    paper = Paper.objects.get()
    assert (paper.method, paper.summary, paper.title) == (LAW.key, LAW.facts.summary, "A Made-up Law")
    assert (paper.arxiv_id, paper.authors_text, paper.author_count) == ("2503.00001", "Doe; Roe; Li", None)
    assert (paper.published_on, paper.dated, paper.year) == (
        LAW.facts.published_on,
        LAW.facts.published_on,
        2025,
    )
    assert (paper.sources, paper.abstract, paper.listings.count()) == ("", "", 0)
    check_index()


def test_entering_twice_changes_nothing():
    catalogue.sync([LAW])
    assert not catalogue.is_current([])
    assert catalogue.is_current([LAW])
    assert catalogue.sync([LAW]) == catalogue.Synced()


def test_a_changed_summary_is_entered():
    catalogue.sync([LAW])
    changed = replace(LAW, facts=replace(LAW.facts, summary="Otherwise."))
    assert not catalogue.is_current([changed])
    assert catalogue.sync([changed]) == catalogue.Synced(changed=1)
    assert Paper.objects.get().summary == "Otherwise."


def test_a_paper_that_runs_no_more_stays_as_a_paper():
    catalogue.sync([LAW])
    assert catalogue.sync([]) == catalogue.Synced(removed=1)
    assert (Paper.objects.get().method, Paper.objects.get().summary) == ("", "")


def test_a_page_that_names_it_joins_it_and_it_is_new_to_the_feed():
    catalogue.sync([LAW])
    summary = import_records([record("a made-up law", author_count=3, listed_on=day(8))], source="saved-page")
    assert summary.added == 1
    paper = Paper.objects.get()
    assert (paper.method, paper.title, paper.authors_text) == (LAW.key, "A Made-up Law", "Doe; Roe; Li")
    assert catalogue.sync([LAW]) == catalogue.Synced()


BRINGERS = {
    "saved-page": record(
        "a made-up law!", abstract="Page.", author_count=3, published_on=day(2, 3), listed_on=day(8)
    ),
    "jsonl": record(
        "A Made-Up Law", arxiv_id="2503.00001", abstract="Bulk.", authors=("Ada Doe",), listed_on=day(9)
    ),
    "hf-daily": record(
        "A made up law",
        arxiv_id="2503.00001",
        abstract="HF.",
        authors=("Ada Doe",),
        code_url="https://example.org/",
    ),
}


@pytest.mark.parametrize("source", BRINGERS)
def test_it_does_not_matter_whether_the_catalogue_or_a_source_came_first(source):
    catalogue.sync([LAW])
    import_records([BRINGERS[source]], source=source)
    before = everything()
    Paper.objects.all().delete()
    import_records([BRINGERS[source]], source=source)
    catalogue.sync([LAW])
    assert everything() == before
    assert Paper.objects.get().method == LAW.key


def test_two_packages_of_one_paper_are_one_paper():
    other = replace(LAW, key="zoo/other")
    catalogue.sync([other, LAW])
    assert Paper.objects.get().method == LAW.key
    assert catalogue.sync([other, LAW]) == catalogue.Synced()


def test_what_is_installed_can_be_entered():
    catalogue.sync()
    assert Paper.objects.filter(method__gt="").exists()
