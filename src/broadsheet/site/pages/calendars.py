"""The calendar beside an edition, as HTML. It differs on every page, so it is plain Python, not a template."""

from __future__ import annotations

from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from broadsheet.site.pages.editions import Cell, Month, day_words

__all__ = ["calendar_table"]

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_HEAD = "".join(f'<th scope="col"><abbr title="{day}">{day[0]}</abbr></th>' for day in _DAYS)


def calendar_table(month: Month, day: str) -> SafeString:
    """Return a month with links to its editions, and a form that leads to any day.

    Args:
        month: The month.
        day: What the form's field holds, as ``2025-12-08``.
    """
    rows = "".join(
        f'<tr><th scope="row"><a href="{address}">{name}</a></th>{"".join(map(_cell, cells))}</tr>'
        for name, address, cells in month.weeks
    )
    name = f"{month.first:%B} {month.first.year}"
    return mark_safe(
        f'<table class="calendar"><caption><a href="{month.address}">{name}</a></caption>'
        f'<thead><tr><th scope="col"><span class="hidden">Week</span></th>{_HEAD}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
        f'<form class="go" action="{reverse("go")}" method="get"><label for="day">Go to a day</label>'
        f'<input id="day" type="date" name="day" value="{escape(day)}" required>'
        '<button type="submit">Go</button></form>'
    )


def _cell(cell: Cell) -> str:
    outside = "" if cell.inside else ' class="out"'
    if not cell.count:
        return f"<td{outside}><span>{cell.day.day}</span></td>"
    label = f"{day_words(cell.day)}, {cell.count} paper{'s' if cell.count > 1 else ''}"
    current = ' aria-current="date"' if cell.shown else ""
    return f'<td{outside}><a href="{cell.address}" aria-label="{label}"{current}>{cell.day.day}</a></td>'
