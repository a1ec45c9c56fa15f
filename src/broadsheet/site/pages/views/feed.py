"""The front page and the editions by day, week and month."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from broadsheet.site.pages import measurements
from broadsheet.site.pages.editions import Edition, Month, day_edition, month_edition, week_edition
from broadsheet.site.pages.paging import Pages, page_number
from broadsheet.site.papers import feeds
from broadsheet.site.papers.models import Paper

__all__ = ["day", "front", "go", "month", "week"]

PAGE = 40
_BLOCK = 10  # papers that are set over two columns together, so that a reader does not scroll back up


@require_safe
def front(request: HttpRequest) -> HttpResponse:
    """Show the newest edition; where there is none yet, the papers that run and how to get more."""
    newest = feeds.newest_day()
    if newest is None:
        return _empty_installation(request)
    return _show(request, day_edition(newest.isoformat()), is_front=True)


@require_safe
def day(request: HttpRequest, text: str) -> HttpResponse:
    """Show a day's edition."""
    return _show(request, _edition(day_edition, text))


@require_safe
def week(request: HttpRequest, text: str) -> HttpResponse:
    """Show an ISO week's edition."""
    return _show(request, _edition(week_edition, text))


@require_safe
def month(request: HttpRequest, text: str) -> HttpResponse:
    """Show a month's edition."""
    return _show(request, _edition(month_edition, text))


@require_safe
def go(request: HttpRequest) -> HttpResponse:
    """Lead from the day picker's form to the day's edition."""
    edition = _edition(day_edition, request.GET.get("day", "").strip())
    return HttpResponseRedirect(edition.address)


def _edition(read: Callable[[str], Edition], text: str) -> Edition:
    try:
        return read(text)
    except ValueError as error:
        raise Http404("There is no such date. A day is written 2025-12-08, a week 2025-W50.") from error


def _empty_installation(request: HttpRequest) -> HttpResponse:
    views = measurements.all_papers()
    stored = {paper.method: paper for paper in feeds.running(limit=100)}
    rows = [(stored[view.paper.key], view) for view in views if view.paper.key in stored]
    context = {
        "rows": rows,
        "at_work": measurements.at_work(views),
        "lately": measurements.lately(views),
        "today": dt.date.today(),
    }
    return render(request, "pages/first_visit.html", context)


def _show(request: HttpRequest, edition: Edition, *, is_front: bool = False) -> HttpResponse:
    number = page_number(request)
    feed = edition.papers(offset=(number - 1) * PAGE, limit=PAGE)
    views = measurements.all_papers()
    by_key = {view.paper.key: view for view in views}
    rows = [(paper, by_key.get(paper.method)) for paper in feed]
    previous, following = edition.around()
    pages = Pages.of(request, feed.total, PAGE)
    lead, rest = (rows[0], rows[1:]) if rows and pages.number == 1 else (None, rows)
    context: dict[str, Any] = {
        "edition": edition,
        "is_front": is_front,
        "number": edition.number(),
        "total": feed.total,
        "lead": lead,
        "groups": _groups(edition, rest),
        "pages": pages,
        "previous": previous,
        "next": following,
        "month": Month.of(edition),
        "at_work": measurements.at_work(views),
        "lately": measurements.lately(views),
        "running": views,
        "week_address": reverse("week", args=["{:04d}-W{:02d}".format(*edition.last.isocalendar()[:2])]),
    }
    return render(request, "pages/feed.html", context)


Row = tuple[Paper, measurements.PaperView | None]


def _groups(edition: Edition, rows: list[Row]) -> list[tuple[dt.date | None, int, list[list[Row]]]]:
    """Group papers by day where the edition has several: day, level of the papers' headings, blocks."""
    if edition.kind == "day":
        return [(None, 2, _blocks(rows))] if rows else []
    by_day = itertools.groupby(rows, key=lambda row: row[0].listed_on)  # type: ignore[attr-defined]
    return [(day, 3, _blocks(list(group))) for day, group in by_day]


def _blocks(rows: list[Row]) -> list[list[Row]]:
    return [rows[n : n + _BLOCK] for n in range(0, len(rows), _BLOCK)]
