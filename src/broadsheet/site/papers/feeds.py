"""Lists of papers in a stable order: by day, ISO week and month, by author, by organisation, and those that run.

Every list costs two queries, one for the papers and one for their number, and no query reads more than the
period it is about: ``tests/site/papers/test_feeds.py`` holds the query plans to that.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Case, Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Value, When

from broadsheet.site.papers.models import Author, Listing, Organisation, Paper
from broadsheet.sources.record import FIRST_DAY

__all__ = [
    "LAST_DAY",
    "PAGE",
    "Counts",
    "Day",
    "Feed",
    "Neighbours",
    "by_author",
    "by_organisation",
    "counts",
    "days",
    "in_month",
    "in_week",
    "month_bounds",
    "neighbours",
    "newest",
    "newest_day",
    "on_day",
    "running",
    "week_bounds",
]

PAGE = 50
LAST_DAY = dt.date(2999, 12, 31)
"""Of no later day there is an edition, whatever a database holds."""
_MOST = 500
# Lists that people chose stand before lists of everything that was announced.
_ORDER_OF_SOURCES = ["saved-page", "hf-daily", "arxiv-api", "arxiv-oai", "jsonl"]


@dataclass(frozen=True)
class Day:
    """A day with papers."""

    day: dt.date
    count: int


@dataclass(frozen=True)
class Neighbours:
    """The nearest days with papers before and after a period."""

    previous: dt.date | None
    next: dt.date | None


@dataclass(frozen=True)
class Counts:
    """How much there is."""

    papers: int
    running: int
    newest_day: dt.date | None


@dataclass(frozen=True)
class Feed:
    """One page of a list of papers.

    Args:
        papers: The papers; where the list is one of days, each has ``listed_on``, the day it stands under.
        total: Number of papers in the whole list.
        offset: Number of papers before this page.
        limit: Most papers on a page.
    """

    papers: list[Paper]
    total: int
    offset: int
    limit: int

    def __len__(self) -> int:
        return len(self.papers)

    def __iter__(self) -> Iterator[Paper]:
        return iter(self.papers)

    @property
    def next_offset(self) -> int | None:
        """Where the next page begins, or None on the last one."""
        after = self.offset + self.limit
        return after if after < self.total else None

    @property
    def previous_offset(self) -> int | None:
        """Where the page before begins, or None on the first one."""
        return max(0, self.offset - self.limit) if self.offset > 0 else None


def on_day(day: dt.date, *, offset: int = 0, limit: int = PAGE) -> Feed:
    """Return the papers that were listed on a day: those that run first, then in the order of their list.

    Args:
        day: The day.
        offset: Number of papers to pass over, >= 0.
        limit: Most papers to return, in [1, 500].

    Returns:
        The page; empty where nothing was listed.

    Raises:
        ValueError: if ``offset`` or ``limit`` is out of range.
    """
    _check(offset, limit)
    rows = Listing.objects.filter(day=day).order_by()
    listed = list(rows.values_list("paper_id", "source", "position", "id", "paper__method"))
    # A day is short: sorting it here takes a fifth of the time that the database's and Django's SQL takes.
    listed.sort(key=lambda row: (not row[4], _rank(row[1]), row[2], -row[0], row[3]))
    keys = list(dict.fromkeys(row[0] for row in listed))
    found = Paper.objects.select_related("organisation").in_bulk(keys[offset : offset + limit])
    papers = [found[key] for key in keys[offset : offset + limit] if key in found]
    for paper in papers:
        paper.listed_on = day  # type: ignore[attr-defined]
    return Feed(papers, len(keys), offset, limit)


def in_week(year: int, week: int, *, offset: int = 0, limit: int = PAGE) -> Feed:
    """Return the papers of an ISO week, the newest day first; a paper of several days stands under the last.

    Args:
        year: ISO year, which differs from the calendar's around New Year.
        week: ISO week, in [1, 53].
        offset: Number of papers to pass over, >= 0.
        limit: Most papers to return, in [1, 500].

    Returns:
        The page; empty where nothing was listed.

    Raises:
        ValueError: if there is no such week, or ``offset`` or ``limit`` is out of range.
    """
    return _listed(*week_bounds(year, week), offset, limit)


def in_month(year: int, month: int, *, offset: int = 0, limit: int = PAGE) -> Feed:
    """Return the papers of a month, the newest day first; a paper of several days stands under the last.

    Args:
        year: Calendar year.
        month: Month, in [1, 12].
        offset: Number of papers to pass over, >= 0.
        limit: Most papers to return, in [1, 500].

    Returns:
        The page; empty where nothing was listed.

    Raises:
        ValueError: if there is no such month, or ``offset`` or ``limit`` is out of range.
    """
    return _listed(*month_bounds(year, month), offset, limit)


def week_bounds(year: int, week: int) -> tuple[dt.date, dt.date]:
    """Return Monday and Sunday of an ISO week.

    Raises:
        ValueError: if there is no such week.

    Example:
        >>> [day.isoformat() for day in week_bounds(2026, 1)]
        ['2025-12-29', '2026-01-04']
    """
    try:
        monday = dt.date.fromisocalendar(year, week, 1)
        return monday, monday + dt.timedelta(days=6)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"there is no ISO week {week} of {year}") from error


def month_bounds(year: int, month: int) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of a month.

    Raises:
        ValueError: if there is no such month.

    Example:
        >>> [day.isoformat() for day in month_bounds(2024, 2)]
        ['2024-02-01', '2024-02-29']
    """
    try:
        return dt.date(year, month, 1), dt.date(year, month, calendar.monthrange(year, month)[1])
    except (ValueError, OverflowError) as error:
        raise ValueError(f"there is no month {month} of {year}") from error


def days(since: dt.date | None = None, until: dt.date | None = None, *, limit: int = 400) -> list[Day]:
    """Return the days with papers, newest first, and the number of papers of each.

    Args:
        since: First day, or None for no bound.
        until: Last day, or None for no bound.
        limit: Most days to return.
    """
    rows = Listing.objects.order_by("-day").values_list("day")
    if since is not None:
        rows = rows.filter(day__gte=since)
    if until is not None:
        rows = rows.filter(day__lte=until)
    return [Day(day, count) for day, count in rows.annotate(count=Count("paper", distinct=True))[:limit]]


def newest_day() -> dt.date | None:
    """Return the newest day with papers, or None where no list has been imported yet."""
    newest = Listing.objects.filter(day__lte=LAST_DAY).order_by("-day")
    return newest.values_list("day", flat=True).first()


def neighbours(first: dt.date, last: dt.date | None = None) -> Neighbours:
    """Return the nearest days with papers before and after a period.

    Args:
        first: The day, or the first day of the period.
        last: Last day of the period; None for a single day.
    """
    seen = Listing.objects.filter(day__range=(FIRST_DAY, LAST_DAY)).values_list("day", flat=True)
    return Neighbours(
        previous=seen.filter(day__lt=first).order_by("-day").first(),
        next=seen.filter(day__gt=last or first).order_by("day").first(),
    )


def by_author(author: Author, *, offset: int = 0, limit: int = PAGE) -> Feed:
    """Return an author's papers, newest first.

    Raises:
        ValueError: if ``offset`` or ``limit`` is out of range.
    """
    # A name can stand twice on one paper.
    return _page(Paper.objects.filter(pk__in=author.authorships.order_by().values("paper")), offset, limit)


def by_organisation(organisation: Organisation, *, offset: int = 0, limit: int = PAGE) -> Feed:
    """Return an organisation's papers, newest first.

    Raises:
        ValueError: if ``offset`` or ``limit`` is out of range.
    """
    return _page(Paper.objects.filter(organisation=organisation), offset, limit)


def running(*, family: str = "", offset: int = 0, limit: int = PAGE) -> Feed:
    """Return the papers that run, newest first.

    Args:
        family: Only those of this family; "" for all.
        offset: Number of papers to pass over, >= 0.
        limit: Most papers to return, in [1, 500].

    Raises:
        ValueError: if ``offset`` or ``limit`` is out of range.
    """
    papers = Paper.objects.filter(method__gt="")
    if family:
        papers = papers.filter(method__gte=f"{family}/", method__lt=f"{family}0")  # "0" follows "/"
    return _page(papers, offset, limit)


def newest(*, offset: int = 0, limit: int = PAGE) -> Feed:
    """Return all papers, the newest first, whether or not a list ever named them.

    Raises:
        ValueError: if ``offset`` or ``limit`` is out of range.
    """
    return _page(Paper.objects.all(), offset, limit)


def counts() -> Counts:
    """Return how many papers there are, how many of them run, and the newest day."""
    return Counts(
        papers=Paper.objects.count(),
        running=Paper.objects.filter(method__gt="").count(),
        newest_day=newest_day(),
    )


def _rank(source: str) -> int:
    return _ORDER_OF_SOURCES.index(source) if source in _ORDER_OF_SOURCES else len(_ORDER_OF_SOURCES)


def _check(offset: int, limit: int) -> None:
    if offset < 0:
        raise ValueError(f"offset must be >= 0, got {offset}")
    if not 1 <= limit <= _MOST:
        raise ValueError(f"limit must be in [1, {_MOST}], got {limit}")


def _page(papers: QuerySet[Paper], offset: int, limit: int) -> Feed:
    _check(offset, limit)
    rows = papers.select_related("organisation").order_by("-dated", "-id")
    return Feed(list(rows[offset : offset + limit]), papers.count(), offset, limit)


def _listed(first: dt.date, last: dt.date, offset: int, limit: int) -> Feed:
    _check(offset, limit)
    inside = Listing.objects.filter(day__range=(first, last))
    total = inside.order_by().aggregate(total=Count("paper", distinct=True))["total"]
    rank = Case(
        *(When(source=source, then=Value(n)) for n, source in enumerate(_ORDER_OF_SOURCES)),
        default=Value(len(_ORDER_OF_SOURCES)),
        output_field=IntegerField(),
    )
    # A paper that stands on several lists of the period is shown once: on the last day, in the first source.
    better = Listing.objects.filter(paper=OuterRef("paper"), day__range=(OuterRef("day"), last)).annotate(
        rank=rank
    )
    better = better.filter(
        Q(day__gt=OuterRef("day"))
        | Q(rank__lt=OuterRef("rank"))
        | Q(rank=OuterRef("rank"), id__lt=OuterRef("id"))
    )
    rows = (
        inside.annotate(rank=rank, waits=Case(When(paper__method="", then=Value(1)), default=Value(0)))
        .filter(~Exists(better.order_by()))
        .select_related("paper", "paper__organisation")
        .order_by("-day", "waits", "rank", "position", F("paper_id").desc())
    )
    papers = []
    for listing in rows[offset : offset + limit]:
        listing.paper.listed_on = listing.day  # type: ignore[attr-defined]
        papers.append(listing.paper)
    return Feed(papers, total, offset, limit)
