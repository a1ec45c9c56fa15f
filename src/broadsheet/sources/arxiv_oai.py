"""Harvests arXiv's metadata through OAI-PMH, in full or what changed since the last time."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from broadsheet.sources.fields import arxiv_categories, day, is_withdrawn, mail_day, person_name, split_names
from broadsheet.sources.http import ARXIV, PoliteClient
from broadsheet.sources.ids import parse_arxiv_id
from broadsheet.sources.record import PaperRecord, Problem, SourceError, checked
from broadsheet.sources.safe_xml import elements, local_name, text_of
from broadsheet.sources.text import one_line, shorten

__all__ = ["URL", "Harvest", "harvest"]

SOURCE = "arxiv-oai"
URL = "https://oaipmh.arxiv.org/oai"

_TYPES = ("text/xml", "application/xml")
_FORMATS = ("arXiv", "arXivRaw", "oai_dc")
_SET = re.compile(r"[A-Za-z-]+(?::[A-Za-z.-]+){0,2}")
_IDENTIFIER = re.compile(r"oai:arXiv\.org:(.+)", re.IGNORECASE)
_COMMENT = re.compile(r"comments?: *", re.IGNORECASE)
_MOST_RESTARTS = 3


def harvest(
    *,
    since: dt.date | None = None,
    until: dt.date | None = None,
    set_spec: str = "",
    metadata: str = "arXiv",
    base_url: str = URL,
    client: PoliteClient | None = None,
    on_problem: Callable[[Problem], None] = lambda problem: None,
) -> Harvest:
    """Harvest the records that were modified in a span of days.

    To stay up to date, begin the next harvest with ``since=`` this one's `Harvest.next_since`, and give no ``until``.

    Args:
        since: First day of modification (not of submission); None for the beginning.
        until: Last day of modification.
        set_spec: A set such as ``cs``, ``cs:cs:LG`` or ``physics:hep-th``; "" for all.
        metadata: ``arXiv``; ``arXivRaw``, which tells versions; or ``oai_dc``, which has no categories.
        base_url: Address of the service; ignored if a client is given.
        client: The client to ask with; None makes one.
        on_problem: Called with every record that cannot be read.

    Returns:
        An iterator of the records. A deleted one has no title and is ``withdrawn``.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> harvest(set_spec="cs:cs:LG", since=dt.date(2024, 5, 1)).next_since is None
        True
    """
    if metadata not in _FORMATS:
        raise ValueError(f"metadata must be one of {', '.join(_FORMATS)}, got {shorten(metadata, 30)!r}")
    if set_spec and not _SET.fullmatch(set_spec):
        raise ValueError(f"set_spec must be such as 'cs' or 'cs:cs:LG', got {shorten(set_spec, 30)!r}")
    if since is not None and until is not None and since > until:
        raise ValueError(f"since must not be after until, got {since} and {until}")
    return Harvest(since, until, set_spec, metadata, base_url, client, on_problem)


class Harvest(Iterator[PaperRecord]):
    """A harvest under way: iterate over it once. Made by `harvest`.

    Args:
        since: First day of modification.
        until: Last day of modification.
        set_spec: The set.
        metadata: The format.
        base_url: Address of the service.
        client: The client to ask with.
        on_problem: Called with every record that cannot be read.

    Raises:
        SourceError: While iterating, if arXiv refuses the question or gives no usable answer.
    """

    def __init__(
        self,
        since: dt.date | None,
        until: dt.date | None,
        set_spec: str,
        metadata: str,
        base_url: str,
        client: PoliteClient | None,
        on_problem: Callable[[Problem], None],
    ) -> None:
        self._since = since
        self._conditions = {"metadataPrefix": metadata}
        if set_spec:
            self._conditions["set"] = set_spec
        if until is not None:
            self._conditions["until"] = until.isoformat()
        self._base_url = base_url
        self._client = client
        self._on_problem = on_problem
        self._first_answer: dt.date | None = None
        self._complete = False
        self._latest: dt.date | None = None  # day of modification of the last record
        self._in_order = True  # whether the days of modification have only grown
        self._yielded_on_latest: set[str] = set()
        self._records = self._run()

    @property
    def next_since(self) -> dt.date | None:
        """The day from which the next harvest must begin; None until this one is complete.

        It is arXiv's own date of this harvest's first answer: what changes while it runs is met again, not missed.
        """
        return self._first_answer if self._complete else None

    def __next__(self) -> PaperRecord:
        return next(self._records)

    def _run(self) -> Iterator[PaperRecord]:
        with ExitStack() as stack:
            client = self._client or stack.enter_context(PoliteClient(ARXIV, base_url=self._base_url))
            restarts = 0
            token, tokens = "", set[str]()
            while True:
                page = self._ask(client, token)
                if page.error == "badResumptionToken" and token:
                    restarts += 1
                    if restarts > _MOST_RESTARTS:
                        raise SourceError(
                            f"arXiv let the harvest's place lapse {restarts} times: harvest fewer days at once, "
                            f"beginning with {self._latest or self._since or 'the first'}"
                        )
                    token, tokens = "", set()
                    if self._in_order and self._latest is not None:
                        self._since = self._latest
                    continue
                if page.error not in {"", "noRecordsMatch"}:
                    raise SourceError(
                        f"arXiv refuses the harvest: {page.error}: {shorten(page.message, 300)}"
                    )
                self._first_answer = self._first_answer or page.answered_on
                yield from self._new(page)
                token = page.token
                if not token:
                    self._complete = True
                    return
                if token in tokens:
                    raise SourceError("arXiv sends the harvest in a circle: try again later")
                tokens.add(token)

    def _ask(self, client: PoliteClient, token: str) -> _Page:
        conditions = {"verb": "ListRecords"}
        if token:
            conditions["resumptionToken"] = token
        else:
            conditions |= self._conditions
            if self._since is not None:
                conditions["from"] = self._since.isoformat()
        return client.get(conditions, _read, types=_TYPES, keep=False, read_errors=True)

    def _new(self, page: _Page) -> Iterator[PaperRecord]:
        """Yield the records of a page that were not yielded before a restart."""
        for entry in page.entries:
            if entry.modified_on is not None and entry.modified_on != self._latest:
                if self._latest is not None and entry.modified_on < self._latest:
                    self._in_order = False
                self._latest = entry.modified_on
                self._yielded_on_latest.clear()
            if entry.problem is not None:
                self._on_problem(entry.problem)
            if entry.record is None or entry.identifier in self._yielded_on_latest:
                continue
            self._yielded_on_latest.add(entry.identifier)
            yield entry.record


@dataclass(frozen=True, slots=True)
class _Entry:
    identifier: str
    modified_on: dt.date | None
    record: PaperRecord | None = None
    problem: Problem | None = None


@dataclass(slots=True)
class _Page:
    answered_on: dt.date | None = None
    entries: list[_Entry] = field(default_factory=list)
    token: str = ""
    error: str = ""
    message: str = ""


def _read(body: bytes) -> _Page:
    page = _Page()
    is_answer = False
    for element in elements(
        body, frozenset({"record", "resumptionToken", "error", "responseDate", "OAI-PMH"})
    ):
        match local_name(element):
            case "record":
                page.entries.append(_entry(element))
            case "resumptionToken":
                page.token = "".join(element.itertext()).strip()
            case "error":
                page.error = element.get("code", "unknown")
                page.message = text_of(element)
            case "responseDate":
                page.answered_on = day(text_of(element))
            case _:
                is_answer = True
    if not is_answer:
        raise SourceError("arXiv answers with XML that is no OAI-PMH: check the address of the service")
    return page


def _entry(element: Element) -> _Entry:
    parts = {local_name(part): part for part in element}
    header = parts.get("header")
    facts = {} if header is None else {local_name(part): text_of(part) for part in header}
    identifier = facts.get("identifier", "")
    modified_on = day(facts.get("datestamp", ""))
    try:
        found = _IDENTIFIER.fullmatch(identifier)
        if not found:
            raise ValueError("expected an identifier such as oai:arXiv.org:0804.2273")
        arxiv_id = parse_arxiv_id(found[1]).id
        if header is not None and header.get("status") == "deleted":
            return _Entry(identifier, modified_on, PaperRecord("", SOURCE, arxiv_id=arxiv_id, withdrawn=True))
        metadata = parts.get("metadata")
        if metadata is None or len(metadata) == 0:
            raise ValueError("it has no metadata")
        reader = _READERS.get(local_name(metadata[0]))
        if reader is None:
            raise ValueError(f"its format {local_name(metadata[0])!r} is unknown")
        return _Entry(identifier, modified_on, checked(reader(_Fields(metadata[0]), arxiv_id)))
    except ValueError as error:
        problem = Problem(f"a record of arXiv's answer is left out: {error}", found=shorten(identifier))
        return _Entry(identifier, modified_on, problem=problem)


class _Fields:
    """The parts of a record by name, whatever their order."""

    def __init__(self, element: Element) -> None:
        self._parts: dict[str, list[Element]] = {}
        for part in element:
            self._parts.setdefault(local_name(part), []).append(part)

    def all(self, name: str) -> list[Element]:
        return self._parts.get(name, [])

    def text(self, name: str) -> str:
        parts = self.all(name)
        return text_of(parts[0]) if parts else ""

    def title(self) -> str:
        title = self.text("title")
        if not title:
            raise ValueError("it has no title")
        return title


def _from_arxiv(fields: _Fields, arxiv_id: str) -> PaperRecord:
    names = []
    for authors in fields.all("authors"):
        for author in authors:
            parts = {local_name(part): text_of(part) for part in author}
            name = person_name(parts.get("keyname", ""), parts.get("forenames", ""), parts.get("suffix", ""))
            if name:
                names.append(name)
    comment = fields.text("comments")
    created = day(fields.text("created"))
    return PaperRecord(
        title=fields.title(),
        source=SOURCE,
        abstract=fields.text("abstract"),
        arxiv_id=arxiv_id,
        authors=tuple(names),
        published_on=created,
        updated_on=day(fields.text("updated")) or created,
        categories=arxiv_categories(fields.text("categories").split()),
        comment=comment,
        journal_ref=fields.text("journal-ref"),
        doi=fields.text("doi"),
        withdrawn=is_withdrawn(comment),
    )


def _from_raw(fields: _Fields, arxiv_id: str) -> PaperRecord:
    versions: dict[int, dt.date | None] = {}
    for version in fields.all("version"):
        number = version.get("version", "")
        if re.fullmatch(r"v[1-9][0-9]{0,3}", number):
            dates = [mail_day(text_of(part)) for part in version if local_name(part) == "date"]
            versions[int(number[1:])] = dates[0] if dates else None
    comment = fields.text("comments")
    return PaperRecord(
        title=fields.title(),
        source=SOURCE,
        abstract=fields.text("abstract"),
        arxiv_id=arxiv_id,
        version=max(versions, default=None),
        authors=split_names(fields.text("authors")),
        published_on=versions[min(versions)] if versions else None,
        updated_on=versions[max(versions)] if versions else None,
        categories=arxiv_categories(fields.text("categories").split()),
        comment=comment,
        journal_ref=fields.text("journal-ref"),
        doi=fields.text("doi"),
        withdrawn=is_withdrawn(comment),
    )


def _from_dublin_core(fields: _Fields, arxiv_id: str) -> PaperRecord:
    descriptions = [text_of(part) for part in fields.all("description")]
    comments = [text for text in descriptions if _COMMENT.match(text)]
    comment = _COMMENT.sub("", comments[0], count=1) if comments else ""
    days = sorted(found for part in fields.all("date") if (found := day(text_of(part))))
    dois = [
        text_of(part)[4:] for part in fields.all("identifier") if text_of(part).lower().startswith("doi:")
    ]
    return PaperRecord(
        title=fields.title(),
        source=SOURCE,
        abstract=next((text for text in descriptions if text not in comments), ""),
        arxiv_id=arxiv_id,
        authors=tuple(name for part in fields.all("creator") if (name := _spoken(text_of(part)))),
        published_on=days[0] if days else None,
        updated_on=days[-1] if days else None,
        comment=comment,
        doi=one_line(dois[0]) if dois else "",
        withdrawn=is_withdrawn(comment),
    )


def _spoken(name: str) -> str:
    """Turn "Doe, J. R., Jr." round."""
    family, given, suffix = ([part.strip() for part in name.split(",", 2)] + ["", ""])[:3]
    return person_name(family, given, suffix)


_READERS: dict[str, Callable[[_Fields, str], PaperRecord]] = {
    "arXiv": _from_arxiv,
    "arXivRaw": _from_raw,
    "dc": _from_dublin_core,
}
