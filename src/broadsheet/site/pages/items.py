"""A paper in a list, as HTML. Lists are long, so this is plain Python with a memory, not a template.

The memory is keyed by everything that is shown: a paper that changes is set anew.
"""

from __future__ import annotations

import datetime as dt
import functools

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from broadsheet.site.pages import mathematics
from broadsheet.site.pages.editions import day_words
from broadsheet.site.papers.models import Paper

__all__ = ["author_words", "byline", "day_element", "item"]

_KEPT = 8192


def item(paper: Paper, level: int, length: int, more: str = "") -> SafeString:
    """Return a paper's heading, byline and the beginning of its abstract or of our summary.

    Args:
        paper: The paper; its organisation has been read with it.
        level: Level of its heading.
        length: Characters of text.
        more: What stands below the text: safe HTML, as are all parts that are joined here.
    """
    text = mathematics.clip(paper.summary or paper.abstract, length)
    head = _head(paper.key, paper.title, level)
    below = f"{_deck(text) if text else ''}{more}"
    return mark_safe(
        f'<article class="item{" runs" if more else ""}">{head}<p class="by">{byline(paper)}</p>{below}</article>'
    )


def byline(paper: Paper) -> SafeString:
    """Return authors, organisation, date and the number of comments at the source in one line."""
    group = paper.organisation
    return _byline(
        paper.authors_text,
        paper.author_count,
        group.handle if group else "",
        group.name if group else "",
        paper.published_on,
        paper.withdrawn,
        paper.comments_at_save or 0,
    )


@functools.lru_cache(maxsize=_KEPT)
def author_words(authors_text: str, author_count: int | None, most: int = 3) -> str:
    """Return authors in short form: names, or their number where only that is known.

    Example:
        >>> author_words("A. Ng; B. Li; C. Wu; D. Xu", 4), author_words("", 7)
        ('A. Ng, B. Li and 2 others', '7 authors')
    """
    names = [mathematics.plain(name) for name in authors_text.split("; ") if name.strip()]
    if not names:
        return f"{author_count} author{'s' if author_count != 1 else ''}" if author_count else ""
    if len(names) <= most:
        return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} others"


@functools.lru_cache(maxsize=2048)
def day_element(day: dt.date) -> SafeString:
    """Write a date for people and machines."""
    return format_html('<time datetime="{}">{}</time>', day.isoformat(), day_words(day))


@functools.lru_cache(maxsize=_KEPT)
def _head(key: str, title: str, level: int) -> SafeString:
    return format_html(
        '<h{0} class="item-head"><a href="{1}">{2}</a></h{0}>',
        level,
        reverse("paper", args=[key]),
        mathematics.render(title, links=False),
    )


@functools.lru_cache(maxsize=_KEPT)
def _deck(text: str) -> SafeString:
    return format_html('<p class="deck">{}</p>', mathematics.render(text, links=False))


@functools.lru_cache(maxsize=_KEPT)
def _byline(
    authors: str,
    count: int | None,
    handle: str,
    organisation: str,
    day: dt.date | None,
    withdrawn: bool,
    comments: int,
) -> SafeString:
    parts: list[str] = []
    names = author_words(authors, count)
    if names:
        parts.append(format_html("{}", names))
    if organisation:
        parts.append(format_html('<a href="{}">{}</a>', reverse("organisation", args=[handle]), organisation))
    if day:
        parts.append(day_element(day))
    if comments:
        parts.append(f"{comments:,} comment{'s' if comments != 1 else ''}")
    if withdrawn:
        parts.append("withdrawn")
    return mark_safe(" · ".join(parts))
