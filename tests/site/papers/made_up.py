"""Made-up records, and what the tables hold in a form that can be compared."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from broadsheet.site.papers.models import Author, Paper
from broadsheet.sources.record import PaperRecord


def record(title: str = "A Made-up Law", **facts: Any) -> PaperRecord:
    return PaperRecord(**{"title": title, "source": "test", **facts})


def day(number: int, month: int = 12) -> dt.date:
    return dt.date(2025, month, number)


@contextmanager
def rolled_back() -> Iterator[None]:
    """Undo all that is done within: each example of a property begins with empty tables."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def check_index() -> None:
    """Compare the full-text index with the papers, word by word: raises where they differ."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO papers_search(papers_search, rank) VALUES ('integrity-check', 1)")
        cursor.execute("SELECT count(*) FROM papers_search_docsize")
        assert cursor.fetchone()[0] == Paper.objects.count()


UNSTABLE = {"id", "slug", "first_seen", "organisation_id"}


def everything(*, without: set[str] | None = None) -> list[dict[str, Any]]:
    """Return all papers with all that hangs on them, in an order of their own."""
    left_out = UNSTABLE | (without or set())
    papers = []
    for paper in Paper.objects.select_related("organisation"):
        facts = {
            f.attname: getattr(paper, f.attname)
            for f in Paper._meta.concrete_fields
            if f.attname not in left_out
        }
        facts["organisation"] = paper.organisation and (paper.organisation.handle, paper.organisation.name)
        facts["names"] = [
            a.author.name for a in paper.authorships.select_related("author").order_by("position")
        ]
        facts["listings"] = sorted(paper.listings.values_list("day", "source"))
        # Under which other titles it is found.
        known = {paper.title_key, *paper.former_titles.values_list("title_key", flat=True)}
        facts["titles"] = sorted(known)
        papers.append(facts)
    bearing = Author.objects.filter(papers__isnull=True)
    assert not bearing.exists(), "an author without papers"
    return sorted(papers, key=repr)
