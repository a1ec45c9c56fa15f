"""What a source says about a paper, joined with what is known of it. No database in here.

The order in which sources come does not matter: which of two texts stands follows from their versions and, where
these do not tell, from how near the source is to the authors.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from broadsheet.site.papers import names
from broadsheet.site.papers.models import Paper
from broadsheet.sources.record import PaperRecord, Problem, checked

__all__ = ["Row", "clean", "merge", "merge_rows"]

# From the farthest from the authors' words to the nearest; "" are the facts of a built-in paper.
_NEARNESS = {"saved-page": 0, "": 1, "jsonl": 2, "hf-daily": 3, "arxiv-oai": 4, "arxiv-api": 5}
_FILLS_ONLY = "saved-page"
# These know organisations, project pages, code and votes at first hand.
_COMMUNITY = "hf-daily"
_COUNTING_COMMENTS = frozenset(["saved-page", "hf-daily"])
_ARXIV = frozenset(["arxiv-api", "arxiv-oai"])
_WRONG = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1b\x7f\ud800-\udfff]")
_ARXIV_ID = re.compile(r"\d{4}\.\d{4,5}|[a-z-]+/\d{7}")
_URL = re.compile(r"https?://[^\s<>\"\\^`{|}]+", re.IGNORECASE)
_TEXTS = ("abstract", "comment", "journal_ref", "doi")
_LONGEST = {"doi": 300, "project_page": 500, "code_url": 500}
_LARGEST = {"version": 32_767, "author_count": 2**31 - 1, "comments_at_save": 2**31 - 1}
Day = tuple[dt.date, str]


@dataclass(slots=True, eq=False)
class Row:
    """A paper's row while records are taken in, and what must be written of it.

    Args:
        paper: The row, with or without a primary key.
        listings: Position on each list (day and source) that it stands on.
        former: Keys of the titles that it once bore.
        revision: Grows with everything that changes.
    """

    paper: Paper
    listings: dict[Day, int] = field(default_factory=dict)
    former: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    new_listings: set[Day] = field(default_factory=set)
    new_former: set[str] = field(default_factory=set)
    organisation: tuple[str, str] | None = None
    authors: tuple[str, ...] | None = None
    revision: int = 0

    def put(self, name: str, value: Any) -> None:
        """Set a column, and note it where that changes anything."""
        if getattr(self.paper, name) != value:
            setattr(self.paper, name, value)
            self.changed.add(name)
            self.revision += 1

    def put_authors(self, names_: tuple[str, ...]) -> None:
        """Set the authors, their text and their number."""
        text = "; ".join(names_)
        if self.paper.authors_text != text:
            self.authors = names_
        self.put("authors_text", text)
        self.put("author_count", len(names_))

    def put_organisation(self, handle: str, name: str) -> None:
        """Set the organisation; its row is found or made when this one is written."""
        text = f"{handle} {name}"
        if self.paper.organisation_text != text:
            self.organisation = (handle, name)
            self.put("organisation_text", text)

    def list_on(self, day: dt.date, source: str, position: int) -> None:
        """Note that the paper stands on a day's list; where it already does, its first place stays."""
        if (day, source) not in self.listings:
            self.listings[day, source] = position
            self.new_listings.add((day, source))
            self.revision += 1

    def remember_title(self, key: str) -> None:
        """Note a title that the paper bears or bore."""
        if key != self.paper.title_key and key not in self.former:
            self.former.add(key)
            self.new_former.add(key)
            self.revision += 1

    def settle(self) -> None:
        """Bring the columns that follow from others up to date."""
        before = (self.paper.title_key, self.paper.year, self.paper.dated)
        self.paper.settle(day for day, _ in self.listings)
        after = (self.paper.title_key, self.paper.year, self.paper.dated)
        for name, old, new in zip(("title_key", "year", "dated"), before, after, strict=True):
            if old != new:
                self.changed.add(name)
                self.revision += 1
        if before[0] and before[0] != self.paper.title_key:
            self.remember_title(before[0])


def clean(record: PaperRecord) -> tuple[PaperRecord | None, list[Problem]]:
    """Return a record that the tables can hold, and what had to be removed for that.

    Args:
        record: A record as a reader yields it.

    Returns:
        The record, or None where it cannot be taken at all, and the problems in words.
    """
    problems: list[Problem] = []

    def warn(message: str, found: object = "") -> None:
        problems.append(Problem(message, line=record.line, found=str(found)[:80], warning=True))

    if record.arxiv_id is not None and (
        not isinstance(record.arxiv_id, str)
        or not _ARXIV_ID.fullmatch(record.arxiv_id)
        or names.arxiv_month(record.arxiv_id) is None
    ):
        message = "expected an arXiv id without version such as 2503.02130; the paper was skipped"
        return None, [Problem(message, line=record.line, found=repr(record.arxiv_id)[:80])]
    try:
        checked(record)
    except ValueError as error:
        message = f"{error}; the paper was skipped"
        return None, [Problem(message, line=record.line, found=record.title[:80])]
    changes: dict[str, Any] = {}
    for name in ("title", *_TEXTS):
        given = getattr(record, name)
        kept = given if _is_plain(given) else _cleaned(given)
        if kept is not given:
            changes[name] = kept
            if _WRONG.search(given):
                warn(f"control characters were removed from the {name.replace('_', ' ')}", kept)
    if not changes.get("title", record.title) and not (record.arxiv_id and record.withdrawn):
        return None, [Problem("expected a title; the paper was skipped", line=record.line)]
    if record.authors:
        joined = "".join(record.authors)
        if (
            not _is_plain(joined)
            or ";" in joined
            or any(not 0 < len(n) <= 300 or n != n.strip() for n in record.authors)
        ):
            changes["authors"] = tuple(filter(None, map(_name, record.authors)))
            if _WRONG.search(joined):
                warn("control characters were removed from the authors' names")
            if any(len(n) > 300 for n in record.authors):
                warn("an author's name of more than 300 characters was shortened")
    categories = " ".join(record.categories)
    if len(categories) > 500 or not _is_plain(categories):
        changes["categories"] = tuple(_cleaned(categories)[:500].rpartition(" ")[0].split())
        warn("the categories were shortened to 500 characters", categories)
    for name in ("project_page", "code_url"):
        url = getattr(record, name)
        if url and (len(url) > _LONGEST[name] or not _URL.fullmatch(url)):
            changes[name] = ""
            warn(f"expected a web address in {name}; it was left out", url)
    if len(changes.get("doi", record.doi)) > _LONGEST["doi"]:
        changes["doi"] = ""
        warn("expected a DOI of at most 300 characters; it was left out", record.doi)
    for name, most in _LARGEST.items():
        number = getattr(record, name)
        if number is not None and not int(name == "version") <= number <= most:
            changes[name] = None
            warn(f"expected {name} within [{int(name == 'version')}, {most:,}]; it was left out", number)
    if record.upvotes is not None and abs(record.upvotes) >= 2**31:
        changes["upvotes"] = None
        warn("expected a number of votes; it was left out", record.upvotes)
    for name in ("published_on", "updated_on", "listed_on"):
        day = getattr(record, name)
        if isinstance(day, dt.datetime):  # a date to Python, but not equal to one
            changes[name] = day.date()
    return (dataclasses.replace(record, **changes) if changes else record), problems


def _is_plain(text: str) -> bool:
    return (
        text.isprintable()
        and (text.isascii() or unicodedata.is_normalized("NFC", text))
        and not text.startswith(" ")
        and not text.endswith(" ")
    )


def _cleaned(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(_WRONG.sub("", text).split()))


def _name(name: str) -> str:
    # The semicolon separates names in the stored text.
    return _cleaned(name).replace(";", ",")[:300].strip()


def merge(row: Row, record: PaperRecord, source: str, day: dt.date | None, position: int) -> None:
    """Join what a record says with what is known.

    Args:
        row: The paper; a new one has no source yet.
        record: A record that passed :func:`clean`.
        source: Name of the source.
        day: Day of its list, or None.
        position: Place on that list.
    """
    paper = row.paper
    newer, older = _compare(record, paper)
    is_first = not paper.title
    replaces = is_first or (
        source != _FILLS_ONLY and not older and (newer or _nearness(source) >= _nearness(paper.text_source))
    )
    if record.title:
        _merge_text(row, record, replaces, older)
        if replaces:
            row.put("text_source", source)
    _merge_links(row, record, overrides=source == _COMMUNITY)
    _merge_comments(row, record, source, day)
    if record.withdrawn:
        row.put("withdrawn", True)
    elif newer and replaces:
        row.put("withdrawn", False)
    row.put("sources", " ".join(sorted({*paper.sources.split(), source})))
    if day is None and source in _ARXIV:
        day = record.published_on  # arXiv's own list is that of the day
    if day is not None:
        row.list_on(day, source, position)
    row.settle()
    if record.title:
        row.remember_title(names.stored_title_key(record.title))


def _nearness(source: str) -> int:
    return _NEARNESS.get(source, _NEARNESS["jsonl"])


def _compare(record: PaperRecord, paper: Paper) -> tuple[bool, bool]:
    """Return whether the record is certainly newer and whether it is certainly older than what is stored."""
    if record.version is not None and paper.version is not None:
        return record.version > paper.version, record.version < paper.version
    if record.updated_on is not None and paper.updated_on is not None:
        return record.updated_on > paper.updated_on, record.updated_on < paper.updated_on
    return False, False


def _merge_text(row: Row, record: PaperRecord, replaces: bool, older: bool) -> None:
    paper = row.paper
    if replaces:
        row.put("title", record.title)
    values: dict[str, Any] = {
        "abstract": record.abstract,
        "categories": " ".join(record.categories),
        "comment": record.comment,
        "journal_ref": record.journal_ref,
        "doi": record.doi,
        "published_on": record.published_on,
        "updated_on": record.updated_on,
        "version": record.version,
    }
    for name, value in values.items():
        about_text = name in ("version", "updated_on")
        if value and (replaces or not (getattr(paper, name) or (about_text and older))):
            row.put(name, value)
    if record.authors and (replaces or not paper.authors_text):
        row.put_authors(record.authors)
    elif record.author_count and not paper.author_count:
        row.put("author_count", record.author_count)


def _merge_links(row: Row, record: PaperRecord, *, overrides: bool) -> None:
    paper = row.paper
    for name, value in (
        ("project_page", record.project_page),
        ("code_url", record.code_url),
        ("upvotes_at_source", record.upvotes),
    ):
        if value not in ("", None) and (overrides or getattr(paper, name) in ("", None)):
            row.put(name, value)
    organisation = record.organisation
    if organisation is not None and (overrides or not paper.organisation_text):
        handle = re.sub(r"[\s/?#]+", "-", _cleaned(organisation.handle))[:190]
        if handle:
            row.put_organisation(handle, _cleaned(organisation.name)[:300] or handle)


def _merge_comments(row: Row, record: PaperRecord, source: str, day: dt.date | None) -> None:
    if record.comments_at_save is None:
        return
    # An older save that is imported later must not set the count back.
    last = _last_count(row)
    known = row.paper.comments_at_save is not None and last != _NEVER
    if not known or (day is not None and (day, source == _COMMUNITY) >= last):
        row.put("comments_at_save", record.comments_at_save)


_NEVER = (dt.date.min, False)


def _last_count(row: Row) -> tuple[dt.date, bool]:
    """Return when comments were counted last; of one day's counts that of the list itself is the later."""
    return max(
        ((day, source == _COMMUNITY) for day, source in row.listings if source in _COUNTING_COMMENTS),
        default=_NEVER,
    )


def merge_rows(row: Row, other: Row) -> None:
    """Join a row without id into the one whose id it turned out to have.

    Args:
        row: The row that stays.
        other: The row that goes.
    """
    paper, gone = row.paper, other.paper
    for name in (
        "abstract", "categories", "comment", "journal_ref", "doi", "published_on", "updated_on", "version",
        "project_page", "code_url", "upvotes_at_source", "summary", "method",
    ):  # fmt: skip
        if getattr(paper, name) in ("", None) and getattr(gone, name) not in ("", None):
            row.put(name, getattr(gone, name))
    if not paper.authors_text and gone.authors_text:
        row.put_authors(tuple(gone.authors_text.split("; ")))
    elif not paper.author_count and gone.author_count:
        row.put("author_count", gone.author_count)
    if not paper.organisation_text and gone.organisation_text:
        row.organisation = other.organisation
        row.put("organisation_text", gone.organisation_text)
        if gone.organisation_id:
            row.put("organisation_id", gone.organisation_id)
    if paper.slug == paper.arxiv_id:
        row.put("slug", gone.slug)  # its address has been seen; this one's never was
    row.put("sources", " ".join(sorted({*paper.sources.split(), *gone.sources.split()})))
    row.put("withdrawn", paper.withdrawn or gone.withdrawn)
    if gone.comments_at_save is not None and (
        paper.comments_at_save is None or _last_count(other) > _last_count(row)
    ):
        row.put("comments_at_save", gone.comments_at_save)
    for (day, source), position in other.listings.items():
        row.list_on(day, source, position)
    for key in (gone.title_key, *other.former):
        row.remember_title(key)
    row.settle()
