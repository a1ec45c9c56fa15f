"""Search: words, phrases and fields."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from broadsheet.site.pages import measurements
from broadsheet.site.pages.paging import Pages, page_number
from broadsheet.site.papers import finding

__all__ = ["results"]

PAGE = 20
_LONGEST = 300


@require_safe
def results(request: HttpRequest) -> HttpResponse:
    """Show the papers that match a query, the best first; without a query, how to search."""
    query = request.GET.get("q", "").replace("\0", " ").strip()[:_LONGEST]
    context: dict[str, Any] = {"query": query}
    if query:
        number = page_number(request)
        found = finding.find(query, limit=PAGE, offset=(number - 1) * PAGE)
        if number > 1 and not found.hits:
            raise Http404(f"The papers for this search end before page {number}.")
        views = {view.paper.key: view for view in measurements.all_papers()}
        context |= {
            "total_words": found.total_words,
            "notes": found.query.notes,
            "rows": [(hit, views.get(hit.paper.method)) for hit in found.hits],
            # Before the first paper that lacks a word, where others stood before it, on this page or another.
            "divided_at": next(
                (h.paper.pk for n, h in enumerate(found.hits) if not h.has_every_word and (n or number > 1)),
                None,
            ),
            "pages": Pages.open(request, has_next=found.next_offset is not None),
        }
    return render(request, "pages/search.html", context)
