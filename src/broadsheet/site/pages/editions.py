"""Editions: a day's, a week's or a month's papers, their neighbours, their number, and the calendar beside them."""

from __future__ import annotations

import calendar
import datetime as dt
import functools
from collections.abc import Iterable
from dataclasses import dataclass

from django.urls import reverse

from broadsheet.site.papers import feeds
from broadsheet.site.papers.models import Listing
from broadsheet.sources.record import FIRST_DAY

__all__ = ["Cell", "Edition", "Month", "day_edition", "day_words", "month_edition", "week_edition"]


@dataclass(frozen=True)
class Edition:
    """A period whose papers make a page.

    Args:
        kind: ``day``, ``week`` or ``month``.
        first: Its first day.
        last: Its last day.
        name: Its name as a reader says it.
    """

    kind: str
    first: dt.date
    last: dt.date
    name: str

    def papers(self, *, offset: int, limit: int) -> feeds.Feed:
        """Return one page of its papers."""
        if self.kind == "day":
            return feeds.on_day(self.first, offset=offset, limit=limit)
        if self.kind == "week":
            year, week, _ = self.first.isocalendar()
            return feeds.in_week(year, week, offset=offset, limit=limit)
        return feeds.in_month(self.first.year, self.first.month, offset=offset, limit=limit)

    @property
    def address(self) -> str:
        """The address of its page."""
        return _address(self.kind, self.first)

    def around(self) -> tuple[str, str]:
        """Return the addresses of the nearest earlier and later edition with papers; "" where there is none."""
        near = feeds.neighbours(self.first, self.last)
        return (
            _address(self.kind, near.previous) if near.previous else "",
            _address(self.kind, near.next) if near.next else "",
        )

    def number(self) -> int | None:
        """Return how many days after the first edition this day's stands, counted from 1; None for others."""
        if self.kind != "day":
            return None
        first = Listing.objects.order_by("day").values_list("day", flat=True).first()
        return (self.first - first).days + 1 if first and self.first >= first else None


@dataclass(frozen=True)
class Cell:
    """A day in the calendar: its number of papers, and whether it is of the month and of the edition shown."""

    day: dt.date
    count: int
    inside: bool
    shown: bool

    @property
    def address(self) -> str:
        """The address of its edition."""
        return _address("day", self.day)


@dataclass(frozen=True)
class Month:
    """A month of the calendar."""

    first: dt.date
    weeks: tuple[tuple[str, str, tuple[Cell, ...]], ...]

    @classmethod
    def of(cls, edition: Edition) -> Month:
        """Return the month in which an edition ends, with the number of papers of each day."""
        first, last = feeds.month_bounds(edition.last.year, edition.last.month)
        rows = calendar.Calendar().monthdatescalendar(first.year, first.month)
        counts = {day.day: day.count for day in feeds.days(rows[0][0], rows[-1][-1])}
        return cls(first, tuple(_row(row, counts, first, last, edition) for row in rows))

    @property
    def address(self) -> str:
        """The address of the month's edition."""
        return _address("month", self.first)


def _row(
    row: Iterable[dt.date], counts: dict[dt.date, int], first: dt.date, last: dt.date, edition: Edition
) -> tuple[str, str, tuple[Cell, ...]]:
    cells = tuple(
        Cell(
            day,
            counts.get(day, 0),
            first <= day <= last,
            edition.kind != "month" and edition.first <= day <= edition.last,
        )
        for day in row
    )
    monday = cells[0].day
    return f"W{monday.isocalendar().week:02d}", _address("week", monday), cells


@functools.lru_cache(maxsize=4096)
def _address(kind: str, day: dt.date) -> str:
    if kind == "day":
        return reverse("day", args=[day.isoformat()])
    if kind == "week":
        year, week, _ = day.isocalendar()
        return reverse("week", args=[f"{year:04d}-W{week:02d}"])
    return reverse("month", args=[f"{day.year:04d}-{day.month:02d}"])


def day_words(day: dt.date) -> str:
    """Write a day as a person does.

    Example:
        >>> day_words(dt.date(2025, 12, 8))
        '8 December 2025'
    """
    return f"{day.day} {day:%B} {day.year}"


def day_edition(text: str) -> Edition:
    """Return the edition of a day written as ``2025-12-08``.

    Raises:
        ValueError: if there is no such day, or it lies outside the years that have editions.
    """
    day = dt.date.fromisoformat(text)
    return _printed(Edition("day", day, day, f"{day:%A}, {day_words(day)}"))


def week_edition(text: str) -> Edition:
    """Return the edition of an ISO week written as ``2025-W50``.

    Raises:
        ValueError: if there is no such week, or it lies outside the years that have editions.
    """
    year, week = int(text[:4]), int(text[6:])
    first, last = feeds.week_bounds(year, week)
    return _printed(Edition("week", first, last, f"Week {week} of {year}"))


def month_edition(text: str) -> Edition:
    """Return the edition of a month written as ``2025-12``.

    Raises:
        ValueError: if there is no such month, or it lies outside the years that have editions.
    """
    first, last = feeds.month_bounds(int(text[:4]), int(text[5:]))
    return _printed(Edition("month", first, last, f"{first:%B} {first.year}"))


def _printed(edition: Edition) -> Edition:
    """Return the edition if it lies in the years that have any, or raise ValueError."""
    if edition.last < FIRST_DAY or edition.first > feeds.LAST_DAY:
        raise ValueError(f"there are editions from {FIRST_DAY} to {feeds.LAST_DAY}")
    return edition
