"""Reads Hugging Face's Daily Papers as JSON: by day, ISO week or month."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from broadsheet.sources.fields import day, http_url
from broadsheet.sources.http import HUGGING_FACE, PoliteClient, TryAgain
from broadsheet.sources.ids import parse_arxiv_id
from broadsheet.sources.record import Organisation, PaperRecord, Problem, SourceError, checked
from broadsheet.sources.text import one_line, shorten

__all__ = ["URL", "daily"]

SOURCE = "hf-daily"
URL = "https://huggingface.co"

_TYPES = ("application/json",)
_SORTS = ("publishedAt", "trending")
_WEEK = re.compile(r"([0-9]{4})-W([0-9]{2})")
_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")
_MOST_AT_ONCE = 100
_MOST_PAGES = 200  # far above a month of papers
_LARGEST_COUNT = 10**9
_LONGEST_HANDLE = 200
_LONGEST_NAME = 300


def daily(
    *,
    date: dt.date | None = None,
    week: str = "",
    month: str = "",
    submitter: str = "",
    sort: str = "",
    limit: int = 100,
    base_url: str = URL,
    client: PoliteClient | None = None,
    on_problem: Callable[[Problem], None] = lambda problem: None,
) -> Iterator[PaperRecord]:
    """Read the Daily Papers of one day, week or month.

    Args:
        date: The day.
        week: An ISO week such as ``2025-W49``.
        month: A month such as ``2025-12``.
        submitter: Only papers that this user submitted.
        sort: ``publishedAt`` or ``trending``; "" for the service's own order.
        limit: Papers asked for at once, in [1, 100].
        base_url: Address of the service; ignored if a client is given.
        client: The client to ask with; None makes one.
        on_problem: Called with every paper that cannot be read, and every part of one.

    Yields:
        The papers, each once; none where the day has none. ``listed_on`` is the day asked for, else the day on which
        the paper was submitted to the list; ``published_on`` is arXiv's.

    Raises:
        ValueError: If not exactly one of date, week and month is given, or an argument is malformed.
        SourceError: If the service gives no usable answer.

    Example:
        >>> daily(week="2025-50")
        Traceback (most recent call last):
        ...
        ValueError: week must be such as '2025-W49', got '2025-50'
    """
    if (date is not None) + bool(week) + bool(month) != 1:
        raise ValueError("exactly one of date, week and month must be given")
    if week and not _is_week(week):
        raise ValueError(f"week must be such as '2025-W49', got {shorten(week, 30)!r}")
    if month and not _MONTH.fullmatch(month):
        raise ValueError(f"month must be such as '2025-12', got {shorten(month, 30)!r}")
    if sort and sort not in _SORTS:
        raise ValueError(f"sort must be one of {', '.join(_SORTS)}, got {shorten(sort, 30)!r}")
    if not 1 <= limit <= _MOST_AT_ONCE:
        raise ValueError(f"limit must be in [1, {_MOST_AT_ONCE}], got {limit}")
    conditions = {"limit": str(limit)}
    chosen = {"date": date.isoformat() if date else "", "week": week, "month": month}
    conditions |= {
        key: text for key, text in {**chosen, "submitter": submitter, "sort": sort}.items() if text
    }
    return _daily(conditions, date, base_url, client, on_problem)


def _is_week(text: str) -> bool:
    found = _WEEK.fullmatch(text)
    try:
        return found is not None and bool(dt.date.fromisocalendar(int(found[1]), int(found[2]), 1))
    except ValueError:
        return False


def _daily(
    conditions: dict[str, str],
    date: dt.date | None,
    base_url: str,
    client: PoliteClient | None,
    on_problem: Callable[[Problem], None],
) -> Iterator[PaperRecord]:
    seen = set[str]()
    with ExitStack() as stack:
        asked = client or stack.enter_context(PoliteClient(HUGGING_FACE, base_url=base_url))
        for page in range(_MOST_PAGES):
            items = asked.get(conditions | {"p": str(page)}, _array, path="/api/daily_papers", types=_TYPES)
            before = len(seen)
            for item in items:
                try:
                    record = checked(_Item(item, on_problem).record(date))
                except ValueError as error:
                    on_problem(Problem(f"a paper of the list is left out: {error}", found=_excerpt(item)))
                    continue
                assert record.arxiv_id is not None
                if record.arxiv_id not in seen:
                    seen.add(record.arxiv_id)
                    yield record
            if len(seen) == before:  # an empty page, or one that brings nothing new
                return


def _array(body: bytes) -> list[Any]:
    try:
        items = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise TryAgain(f"the answer is no JSON ({shorten(str(error))})") from error
    if isinstance(items, dict) and isinstance(items.get("error"), str):
        raise SourceError(f"Hugging Face refuses the question: {shorten(items['error'], 300)}")
    if not isinstance(items, list):
        raise SourceError(f"Hugging Face answers with a JSON {type(items).__name__}, not an array of papers")
    return items


def _excerpt(item: Any) -> str:
    paper = item.get("paper") if isinstance(item, dict) else None
    named = paper.get("id") or paper.get("title") if isinstance(paper, dict) else item
    return shorten(str(named)[:400])


class _Item:
    """One paper of the list; keys that are not known are passed over."""

    def __init__(self, item: Any, on_problem: Callable[[Problem], None]) -> None:
        if not isinstance(item, dict) or not isinstance(item.get("paper"), dict):
            raise ValueError("expected an object with the key paper")
        self._outer: dict[str, Any] = item
        self._inner: dict[str, Any] = item["paper"]
        self._on_problem = on_problem
        self._id = ""

    def record(self, date: dt.date | None) -> PaperRecord:
        if self._inner.get("id") is None:
            raise ValueError("expected the key paper.id")
        found = parse_arxiv_id(self._inner["id"])
        self._id = found.id
        title = self._text("title")
        if not title:
            raise ValueError("expected a title under paper.title")
        return PaperRecord(
            title=title,
            source=SOURCE,
            abstract=self._text("summary"),
            arxiv_id=found.id,
            version=found.version,
            authors=self._authors(),
            organisation=self._organisation(),
            published_on=self._published(),
            listed_on=date or self._day(self._inner, "submittedOnDailyAt"),
            project_page=self._url("projectPage"),
            code_url=self._url("githubRepo"),
            comments_at_save=self._count(self._outer, "numComments"),
            upvotes=self._count(self._inner, "upvotes"),
            withdrawn=bool(self._inner.get("withdrawnAt")),
        )

    def _warn(self, message: str, value: Any) -> None:
        self._on_problem(Problem(f"{self._id}: {message}", found=shorten(str(value)[:400]), warning=True))

    def _text(self, key: str) -> str:
        for holder in (self._inner, self._outer):
            value = holder.get(key)
            if isinstance(value, str) and value.strip():
                return one_line(value)
            if value is not None and not isinstance(value, str):
                self._warn(f"expected a string under {key}", value)
        return ""

    def _day(self, holder: dict[str, Any], key: str) -> dt.date | None:
        value = holder.get(key)
        if value is None:
            return None
        found = day(value) if isinstance(value, str) else None
        if found is None:
            self._warn(f"expected a time such as 2025-12-08T00:00:00.000Z under {key}", value)
        return found

    def _published(self) -> dt.date | None:
        inner = self._day(self._inner, "publishedAt")
        if inner is not None:
            return inner
        outer = self._day(self._outer, "publishedAt")
        if outer is not None:
            self._warn("no paper.publishedAt; the outer one, in an unknown time zone, is taken", outer)
        return outer

    def _count(self, holder: dict[str, Any], key: str) -> int | None:
        value = holder.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST_COUNT:
            self._warn(f"expected a count under {key}", value)
            return None
        return value

    def _url(self, key: str) -> str:
        value = self._inner.get(key)
        if value is None or value == "":
            return ""
        found = http_url(value) if isinstance(value, str) else ""
        if not found:
            self._warn(f"expected an http or https address under {key}", value)
        return found

    def _authors(self) -> tuple[str, ...]:
        value = self._inner.get("authors")
        if value is None:
            return ()
        if not isinstance(value, list):
            self._warn("expected a list under authors", value)
            return ()
        names = []
        for author in value:
            name = _person(author)
            if not name:
                self._warn("expected an author with a name", author)
            elif author.get("hidden") is not True:  # the service does not show these either
                names.append(name)
        return tuple(names)

    def _organisation(self) -> Organisation | None:
        value = self._inner.get("organization") or self._outer.get("organization")
        if value is None:
            return None
        handle = value.get("name") if isinstance(value, dict) else None
        if (
            not isinstance(handle, str)
            or not re.fullmatch(r"[^\s/?#]+", handle)
            or len(handle) > _LONGEST_HANDLE
        ):
            self._warn("expected an organisation with a name", value)
            return None
        fullname = value.get("fullname")
        name = one_line(fullname) if isinstance(fullname, str) else ""
        return Organisation(one_line(handle), name[:_LONGEST_NAME] or one_line(handle))


def _person(author: Any) -> str:
    """Return an author's name, from the account (whose keys vary) where the entry has none."""
    if not isinstance(author, dict):
        return ""
    user = author.get("user")
    account = user if isinstance(user, dict) else {}
    for value in (author.get("name"), account.get("fullname"), account.get("user"), account.get("name")):
        if isinstance(value, str) and one_line(value):
            return one_line(value)
    return ""
