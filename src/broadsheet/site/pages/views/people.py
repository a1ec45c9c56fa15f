"""Pages of authors and organisations."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from broadsheet.site.pages import measurements
from broadsheet.site.pages.paging import Pages, page_number
from broadsheet.site.pages.views.about import NotHere
from broadsheet.site.papers import feeds
from broadsheet.site.papers.models import Author, Organisation

__all__ = ["author", "organisation"]

PAGE = 40


@require_safe
def author(request: HttpRequest, slug: str) -> HttpResponse:
    """Show an author's papers."""
    found = Author.objects.filter(slug=slug[:320]).first() if "\0" not in slug else None
    if found is None:
        raise NotHere("No author goes by this address", "Search finds authors by name.", query="author:")
    number = page_number(request)
    feed = feeds.by_author(found, offset=(number - 1) * PAGE, limit=PAGE)
    return _show(request, feed, name=found.name, kind="author")


@require_safe
def organisation(request: HttpRequest, handle: str) -> HttpResponse:
    """Show an organisation's papers."""
    found = Organisation.objects.filter(handle=handle[:200]).first() if "\0" not in handle else None
    if found is None:
        raise NotHere("No organisation goes by this address", "Search finds them by name.", query="org:")
    number = page_number(request)
    feed = feeds.by_organisation(found, offset=(number - 1) * PAGE, limit=PAGE)
    return _show(request, feed, name=found.name, kind="organisation")


def _show(request: HttpRequest, feed: feeds.Feed, *, name: str, kind: str) -> HttpResponse:
    views = {view.paper.key: view for view in measurements.all_papers()}
    context = {
        "name": name,
        "kind": kind,
        "total": feed.total,
        "rows": [(paper, views.get(paper.method)) for paper in feed],
        "pages": Pages.of(request, feed.total, PAGE),
    }
    return render(request, "pages/people.html", context)
