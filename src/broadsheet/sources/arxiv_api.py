"""Searches arXiv through its Atom API."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from broadsheet.sources.fields import arxiv_categories, day, is_withdrawn
from broadsheet.sources.http import ARXIV, PoliteClient, TryAgain
from broadsheet.sources.ids import parse_arxiv_id
from broadsheet.sources.record import PaperRecord, Problem, SourceError, checked
from broadsheet.sources.safe_xml import elements, text_of
from broadsheet.sources.text import one_line, shorten

__all__ = ["URL", "search"]

SOURCE = "arxiv-api"
URL = "https://export.arxiv.org/api/query"

# arXiv API user manual, 3.1.1.2
_MOST_AT_ONCE = 2000
_MOST_IN_ALL = 30_000
_IDS_AT_ONCE = 200  # keeps the address short
_PATIENCE_WITH_IDS = 3  # an announced but absent paper is asked for so often, then taken as unknown
_TYPES = ("application/atom+xml", "application/xml", "text/xml")
_ATOM = "{http://www.w3.org/2005/Atom}"
_ARXIV = "{http://arxiv.org/schemas/atom}"
_CATEGORY = re.compile(r"[a-z]+(?:-[a-z]+)*(?:\.(?:[A-Za-z-]+|\*))?")
_SORTS = ("relevance", "lastUpdatedDate", "submittedDate")
_ADVICE = "narrow the question with since and until and ask several times, or harvest with broadsheet.sources.arxiv_oai"


def search(
    query: str = "",
    *,
    ids: Sequence[str] = (),
    title: str = "",
    author: str = "",
    abstract: str = "",
    category: str = "",
    since: dt.date | None = None,
    until: dt.date | None = None,
    max_results: int | None = 100,
    page_size: int = 1000,
    sort: str = "submittedDate",
    ascending: bool = False,
    base_url: str = URL,
    client: PoliteClient | None = None,
    on_problem: Callable[[Problem], None] = lambda problem: None,
) -> Iterator[PaperRecord]:
    """Search arXiv, page by page, at the pace that arXiv asks for.

    All conditions must hold together. Answers are kept for a day.

    Args:
        query: A question in arXiv's own language, such as ``ti:"scaling law" ANDNOT cat:cs.CV``.
        ids: arXiv ids, with or without version, in any form that `parse_arxiv_id` reads.
        title: Words that stand together in the title.
        author: Name of an author.
        abstract: Words that stand together in the abstract.
        category: A category such as ``cs.LG``, or ``cs.*``.
        since: First day of submission.
        until: Last day of submission.
        max_results: Most papers, in [1, 30000]; None for all there are.
        page_size: Papers asked for at once, in [1, 2000].
        sort: ``relevance``, ``lastUpdatedDate`` or ``submittedDate``.
        ascending: Oldest or least relevant first.
        base_url: Address of the API; ignored if a client is given.
        client: The client to ask with; None makes one.
        on_problem: Called with every entry that cannot be read and every id that arXiv does not know.

    Yields:
        The papers, each once.

    Raises:
        ValueError: If there is no condition, or an argument is out of range.
        SourceError: If arXiv refuses the question, gives no usable answer, or has more papers than it hands out.

    Example:
        >>> search("ti:law", max_results=40_000)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ValueError: max_results must be in [1, 30000], got 40000: narrow the question with since and until and ask ...
    """
    if max_results is not None and not 1 <= max_results <= _MOST_IN_ALL:
        raise ValueError(f"max_results must be in [1, {_MOST_IN_ALL}], got {max_results}: {_ADVICE}")
    if not 1 <= page_size <= _MOST_AT_ONCE:
        raise ValueError(f"page_size must be in [1, {_MOST_AT_ONCE}], got {page_size}")
    if sort not in _SORTS:
        raise ValueError(f"sort must be one of {', '.join(_SORTS)}, got {shorten(sort, 30)!r}")
    if since is not None and until is not None and since > until:
        raise ValueError(f"since must not be after until, got {since} and {until}")
    wanted = list(dict.fromkeys(str(parse_arxiv_id(text)) for text in ids))
    question = _question(query, title, author, abstract, category, since, until)
    if not question and not wanted:
        raise ValueError("nothing is asked for: give a query, ids or another condition")
    return _search(question, wanted, max_results, page_size, (sort, ascending), base_url, client, on_problem)


def _question(
    query: str,
    title: str,
    author: str,
    abstract: str,
    category: str,
    since: dt.date | None,
    until: dt.date | None,
) -> str:
    parts = [f"({query.strip()})"] if query.strip() else []
    for prefix, words in (("ti", title), ("au", author), ("abs", abstract)):
        plain = one_line(words.replace('"', " "))
        if plain:
            parts.append(f'{prefix}:"{plain}"')
    if category:
        if not _CATEGORY.fullmatch(category):
            raise ValueError(f"category must be such as 'cs.LG' or 'cs.*', got {shorten(category, 30)!r}")
        parts.append(f"cat:{category}")
    if since is not None or until is not None:
        first = (since or dt.date(1991, 1, 1)).strftime("%Y%m%d")
        last = (until or dt.date(2100, 1, 1)).strftime("%Y%m%d")
        parts.append(f"submittedDate:[{first}0000 TO {last}2359]")
    if len(parts) == 1 and query.strip():
        return query.strip()
    return " AND ".join(parts)


def _search(
    question: str,
    ids: list[str],
    max_results: int | None,
    page_size: int,
    order: tuple[str, bool],
    base_url: str,
    client: PoliteClient | None,
    on_problem: Callable[[Problem], None],
) -> Iterator[PaperRecord]:
    left = _MOST_IN_ALL if max_results is None else max_results
    with ExitStack() as stack:
        asked = client or stack.enter_context(PoliteClient(ARXIV, base_url=base_url))
        slices = [ids[start : start + _IDS_AT_ONCE] for start in range(0, len(ids), _IDS_AT_ONCE)] or [[]]
        for part in slices:
            conditions = {"search_query": question} if question else {}
            if part:
                conditions["id_list"] = ",".join(part)
            else:
                conditions |= {"sortBy": order[0], "sortOrder": "ascending" if order[1] else "descending"}
            if left > 0:
                missing = {str(parse_arxiv_id(text).id) for text in part} if not question else set()
                limit = left if part or max_results is not None else None
                for record in _pages(asked, conditions, limit, page_size, on_problem):
                    missing.discard(record.arxiv_id or "")
                    left -= 1
                    yield record
                for unknown in sorted(missing) if left > 0 else ():
                    on_problem(Problem("arXiv knows no paper of this id", found=unknown))


def _pages(
    client: PoliteClient,
    conditions: dict[str, str],
    limit: int | None,
    page_size: int,
    on_problem: Callable[[Problem], None],
) -> Iterator[PaperRecord]:
    """Yield the papers of one question, page after page. A page shorter than asked for is not the end."""
    start, seen = 0, set[str]()
    while limit is None or len(seen) < limit:
        size = page_size if limit is None else min(page_size, limit - len(seen))
        reader = _Reader(start, with_ids="id_list" in conditions)
        page = client.get(
            conditions | {"start": str(start), "max_results": str(min(size, _MOST_IN_ALL - start))},
            reader.read,
            types=_TYPES,
            read_errors=True,
        )
        if limit is None and page.total is not None and page.total > _MOST_IN_ALL:
            raise SourceError(
                f"arXiv has {page.total:,} such papers and hands out {_MOST_IN_ALL:,}: {_ADVICE}"
            )
        for problem in page.problems:
            on_problem(problem)
        news = [record for record in page.records if record.arxiv_id not in seen]
        for record in news if limit is None else news[: limit - len(seen)]:
            assert record.arxiv_id is not None
            seen.add(record.arxiv_id)
            yield record
        start += page.entries
        at_end = start >= page.total if page.total is not None else not news
        if at_end or page.entries == 0 or start >= _MOST_IN_ALL:
            return


@dataclass(slots=True)
class _PageOfEntries:
    total: int | None = None
    entries: int = 0  # read or not
    records: list[PaperRecord] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class _Reader:
    """Reads one page; remembers how often it was empty though papers are announced."""

    def __init__(self, start: int, with_ids: bool) -> None:
        self._start = start
        self._with_ids = with_ids
        self._empty = 0

    def read(self, body: bytes) -> _PageOfEntries:
        page = _PageOfEntries()
        is_feed = False
        for element in elements(body, frozenset({"entry", "totalResults", "feed"})):
            name = str(element.tag)
            if name == f"{_ATOM}feed":
                is_feed = True
            elif name == f"{_ATOM}entry":
                page.entries += 1
                _refuse_error(element)
                try:
                    page.records.append(checked(_record(element)))
                except ValueError as error:
                    found = text_of(element.find(f"{_ATOM}title")) or text_of(element.find(f"{_ATOM}id"))
                    page.problems.append(
                        Problem(f"an entry of arXiv's answer is left out: {error}", found=shorten(found))
                    )
            elif name.endswith("}totalResults") and text_of(element).isdecimal():
                page.total = int(text_of(element)[:9])
        if not is_feed:
            raise SourceError("arXiv answers with XML that is no Atom feed: check the address of its API")
        if page.entries == 0 and page.total is not None and page.total > self._start:
            self._empty += 1
            if not (self._with_ids and self._empty >= _PATIENCE_WITH_IDS):
                raise TryAgain(f"an empty page after {self._start:,} of {page.total:,} papers")
        return page


def _refuse_error(entry: Element) -> None:
    if "/api/errors" in text_of(entry.find(f"{_ATOM}id")):
        message = text_of(entry.find(f"{_ATOM}summary")) or "it does not say why"
        raise SourceError(f"arXiv refuses the question: {shorten(message, 300)}")


def _record(entry: Element) -> PaperRecord:
    """Return the paper of an entry, its parts found by name, or raise ValueError."""
    found = parse_arxiv_id(text_of(entry.find(f"{_ATOM}id")))
    title = text_of(entry.find(f"{_ATOM}title"))
    if not title:
        raise ValueError("it has no title")
    primary = entry.find(f"{_ARXIV}primary_category")
    terms = [] if primary is None else [primary.get("term", "")]
    terms += [category.get("term", "") for category in entry.findall(f"{_ATOM}category")]
    comment = text_of(entry.find(f"{_ARXIV}comment"))
    names = (text_of(author.find(f"{_ATOM}name")) for author in entry.findall(f"{_ATOM}author"))
    return PaperRecord(
        title=title,
        source=SOURCE,
        abstract=text_of(entry.find(f"{_ATOM}summary")),
        arxiv_id=found.id,
        version=found.version,
        authors=tuple(name for name in names if name),
        published_on=day(text_of(entry.find(f"{_ATOM}published"))),
        updated_on=day(text_of(entry.find(f"{_ATOM}updated"))),
        categories=arxiv_categories(terms),
        comment=comment,
        journal_ref=text_of(entry.find(f"{_ARXIV}journal_ref")),
        doi=text_of(entry.find(f"{_ARXIV}doi")),
        withdrawn=is_withdrawn(comment),
    )
