"""Reads the single fields that several sources of arXiv metadata write alike."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from broadsheet.sources.text import one_line

__all__ = ["arxiv_categories", "day", "http_url", "is_withdrawn", "mail_day", "person_name", "split_names"]

# arXiv's own, such as cs.LG, hep-th, cond-mat.stat-mech; not ACM (I.2.7) or MSC (62N02) codes beside them.
_CATEGORY = re.compile(r"[a-z]+(?:-[a-z]+)*(?:\.(?:[A-Z]{2}|[a-z]+(?:-[a-z]+)*))?")
_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAIL_DAY = re.compile(r"(?:[A-Z][a-z]{2}, *)?([0-9]{1,2}) ([A-Z][a-z]{2}) ([0-9]{4})\b")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WITHDRAWN = re.compile(
    r"(?:(?:this|the) )?(?:paper|article|submission|manuscript|preprint|version)?(?: (?:has been|was|is))? ?"
    r"withdrawn\b",
    re.IGNORECASE,
)
_PARENTHESES = re.compile(r"\([^()]*\)")
_BETWEEN_NAMES = re.compile(r"\s*[,;]\s*(?:and\s+)?|\s+and\s+|\s*&\s*")
_SUFFIX = re.compile(r"(?:Jr|Sr|II|III|IV|Ph\.?D)\.?")
_LONGEST_URL = 500


def arxiv_categories(terms: Iterable[str]) -> tuple[str, ...]:
    """Keep arXiv's own categories, in order, each once.

    Args:
        terms: Categories and other subject codes.

    Returns:
        The categories.

    Example:
        >>> arxiv_categories(["cs.LG", "I.2.7", "hep-th", "cs.LG", "62N02; 62F10"])
        ('cs.LG', 'hep-th')
    """
    return tuple(dict.fromkeys(term for term in terms if _CATEGORY.fullmatch(term)))


def day(text: str) -> dt.date | None:
    """Return the day, in UTC, of an ISO date or date and time.

    Args:
        text: Such as ``2024-01-31`` or ``2024-01-31T23:30:00-05:00``; without zone, UTC.

    Returns:
        The day, or None if the text is no date.

    Example:
        >>> day("2024-01-31T23:30:00-05:00").isoformat()
        '2024-02-01'
    """
    text = text.strip()
    if not text.isascii():
        return None
    try:
        if _ISO_DAY.fullmatch(text):
            return dt.date.fromisoformat(text)
        moment = dt.datetime.fromisoformat(text)
        return moment.date() if moment.tzinfo is None else moment.astimezone(dt.UTC).date()
    except (ValueError, OverflowError):
        return None


def mail_day(text: str) -> dt.date | None:
    """Return the day of a date as mail and HTTP write it.

    Args:
        text: Such as ``Mon, 2 Apr 2007 19:18:42 GMT``.

    Returns:
        The day as written, or None if the text is no such date.

    Example:
        >>> mail_day("Mon, 2 Apr 2007 19:18:42 GMT").isoformat()
        '2007-04-02'
    """
    found = _MAIL_DAY.match(text.strip())
    if not found or found[2] not in _MONTHS:
        return None
    try:
        return dt.date(int(found[3]), _MONTHS.index(found[2]) + 1, int(found[1]))
    except ValueError:
        return None


def http_url(text: str) -> str:
    """Return an address if a page may link to it.

    Args:
        text: Any text.

    Returns:
        The address without space around; "" unless it is http or https with a host and of ordinary length.

    Example:
        >>> http_url(" https://example.org/a "), http_url("javascript:alert(1)")
        ('https://example.org/a', '')
    """
    text = text.strip()
    if len(text) > _LONGEST_URL or not text.isprintable() or " " in text:
        return ""
    try:
        parts = urlsplit(text)
        return text if parts.scheme in {"http", "https"} and parts.hostname else ""
    except ValueError:
        return ""


def is_withdrawn(comment: str) -> bool:
    """Say whether a comment on arXiv begins by declaring its paper withdrawn.

    Args:
        comment: The authors' comment.

    Returns:
        True for "Withdrawn", "This paper has been withdrawn by the author"; not for a mention further on.

    Example:
        >>> is_withdrawn("This paper has been withdrawn."), is_withdrawn("replaces a withdrawn paper")
        (True, False)
    """
    return "withdrawn" in comment.lower() and _WITHDRAWN.match(comment) is not None


def person_name(family: str, given: str = "", suffix: str = "") -> str:
    """Return a name in the order in which it is spoken.

    Args:
        family: Family name, or the whole of a collaboration's.
        given: Given names or initials.
        suffix: Such as "Jr."

    Returns:
        The parts that are not empty, joined by a space.

    Example:
        >>> person_name("Doe", "J. R.", "Jr.")
        'J. R. Doe Jr.'
    """
    return one_line(f"{given} {family} {suffix}")


def split_names(text: str) -> tuple[str, ...]:
    """Return the names of an author line of arXiv.

    Affiliations in parentheses are dropped; a suffix after a comma stays with its name.

    Args:
        text: Such as ``A. Doe (1), B. Roe, Jr. and C. Poe ((1) Somewhere)``.

    Returns:
        The names in order.

    Example:
        >>> split_names("A. Doe (1), B. Roe, Jr. and C. Poe ((1) Somewhere)")
        ('A. Doe', 'B. Roe Jr.', 'C. Poe')
    """
    for _ in range(5):  # levels of nesting
        shorter = _PARENTHESES.sub(" ", text)
        if shorter == text:
            break
        text = shorter
    names: list[str] = []
    for part in _BETWEEN_NAMES.split(one_line(text)):
        if names and _SUFFIX.fullmatch(part):
            names[-1] = f"{names[-1]} {part}"
        elif part:
            names.append(part)
    return tuple(names)
