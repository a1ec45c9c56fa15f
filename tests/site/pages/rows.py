"""Rows for tests."""

from __future__ import annotations

import datetime as dt

from broadsheet.site.papers.models import Author, Authorship, Listing, Paper

DAY = dt.date(2025, 12, 8)


def make_paper(
    title: str = "A title", *, names: tuple[str, ...] = (), day: dt.date | None = None, **more: object
) -> Paper:
    """Store a paper with authors, on a day's list if one is given."""
    number = Paper.objects.count()
    fields = {
        "slug": f"paper-{number}",
        "authors_text": "; ".join(names),
        "author_count": len(names) or None,
    } | more
    paper = Paper.objects.create(title=title, **fields)
    for position, name in enumerate(names):
        slug = "-".join(name.lower().split())
        author, _ = Author.objects.get_or_create(slug=slug, defaults={"name": name})
        Authorship.objects.create(paper=paper, author=author, position=position)
    if day is not None:
        Listing.objects.create(paper=paper, day=day, source="saved-page", position=number)
    return paper
