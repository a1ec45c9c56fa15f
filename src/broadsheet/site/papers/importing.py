"""Records from any source into the database: matched, merged, written in batches of one transaction each.

What a record leads to depends on the records before it, never on where one batch ends and the next begins. So an
import that was killed is simply started again: what is there already is unchanged, and the rest follows.
"""

from __future__ import annotations

import datetime as dt
import gc
import queue
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from django.db import transaction
from django.db.models.base import ModelState

from broadsheet.site.papers import names
from broadsheet.site.papers.merging import Day, Row, clean, merge, merge_rows
from broadsheet.site.papers.models import FormerTitle, Listing, Paper
from broadsheet.site.papers.writing import MOST_VALUES, AuthorIds, write
from broadsheet.sources.record import PaperRecord, Problem

__all__ = ["ImportSummary", "Rows", "import_records"]

T = TypeVar("T")
_BATCH = 4_000
_MOST_BATCH = 10_000
_EMPTY = {field.attname: field.get_default() for field in Paper._meta.concrete_fields}
# A batch ends early where its texts are this long: memory stays bounded whatever a file holds.
_BATCH_CHARACTERS = 16_000_000


@dataclass(frozen=True)
class ImportSummary:
    """How an import went; every record is counted once.

    Args:
        added: Papers new to the feed: rows made now, and built-in papers that no source had brought before.
        changed: Papers that were there and of which something changed.
        unchanged: Papers that were there as the record says.
        skipped: Records that could not be taken; ``problems`` says why.
        problems: What was wrong with records, in words; a warning where the paper was taken all the same.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: int = 0
    problems: tuple[Problem, ...] = ()


def import_records(
    records: Iterable[PaperRecord],
    *,
    source: str,
    listed_on: dt.date | None = None,
    progress: Callable[[int], None] | None = None,
    batch: int = _BATCH,
) -> ImportSummary:
    """Import records; importing the same ones twice changes nothing.

    Each batch is one transaction. Where ``records`` raises, what it yielded before is kept and the error goes on
    to the caller.

    Args:
        records: The records, read once and never all held.
        source: Name of the source, such as ``saved-page``: 1 to 20 characters without white space.
        listed_on: Day of the list for records that name none.
        progress: Called after each batch with the number of records taken so far.
        batch: Records a transaction, in [1, 10000].

    Returns:
        The counts and the problems.

    Raises:
        ValueError: if ``source`` or ``batch`` is out of range.
    """
    if not 1 <= len(source) <= 20 or source.split() != [source]:
        raise ValueError(f"source must be 1 to 20 characters without white space, got {source!r}")
    if not 1 <= batch <= _MOST_BATCH:
        raise ValueError(f"batch must be in [1, {_MOST_BATCH}], got {batch}")
    job = _Import(source, listed_on)
    pending: list[_Read] = []
    characters = 0

    def flush() -> None:
        nonlocal characters
        if pending:
            job.take(pending)
            pending.clear()
            characters = 0
            if progress is not None:
                progress(job.done)

    with _ReadAhead(records) as ahead:
        try:
            for read in ahead:
                pending.append(read)
                characters += read.characters
                if len(pending) >= batch or characters >= _BATCH_CHARACTERS:
                    flush()
        except _SourceFailed as failed:
            flush()  # a source that breaks off takes nothing back of what it gave
            raise failed.error from None
        flush()
    return job.summary()


@dataclass(frozen=True, slots=True)
class _Read:
    """A record as it was read, and what is wrong with it; None where it cannot be taken."""

    record: PaperRecord | None
    problems: list[Problem]
    characters: int


class _SourceFailed(Exception):
    """What was being read raised ``error``."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))


class _ReadAhead:
    """Reads records in a thread of its own, a little ahead: the database leaves a processor idle meanwhile."""

    _MOST = 256
    _MOST_CHARACTERS = 1_000_000

    def __init__(self, records: Iterable[PaperRecord]) -> None:
        self._records = records
        self._queue: queue.Queue[list[_Read] | Exception | None] = queue.Queue(maxsize=16)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, name="import-reader", daemon=True)

    def __enter__(self) -> _ReadAhead:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()

    def __iter__(self) -> Iterator[_Read]:
        while (chunk := self._queue.get()) is not None:
            if isinstance(chunk, Exception):
                raise _SourceFailed(chunk)
            yield from chunk

    def _put(self, item: list[_Read] | Exception | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def _read(self) -> None:
        chunk: list[_Read] = []
        characters = 0
        end: Exception | None = None
        try:
            for record in self._records:
                read = _read(record)
                chunk.append(read)
                characters += read.characters
                if len(chunk) >= self._MOST or characters >= self._MOST_CHARACTERS:
                    if not self._put(chunk):
                        return
                    chunk, characters = [], 0
        except Exception as error:
            end = error
        if self._put(chunk):
            self._put(end)


def _read(record: PaperRecord) -> _Read:
    cleaned, problems = clean(record)
    if cleaned is not None:
        # Worked out here, where a processor is idle; the caches of these functions keep it for the writer.
        names.stored_title_key(cleaned.title)
        for name in cleaned.authors:
            names.author_slug(name)
    return _Read(cleaned, problems, len(record.title) + len(record.abstract) + len(record.comment))


class _Import:
    """One import: its counts, and the place of each record on its list."""

    def __init__(self, source: str, listed_on: dt.date | None) -> None:
        self.source = source
        self.listed_on = listed_on
        self.done = 0
        self.counts: Counter[str] = Counter()
        self.problems: list[Problem] = []
        self.places: Counter[dt.date | None] = Counter()
        self.authors = AuthorIds()

    def summary(self) -> ImportSummary:
        return ImportSummary(
            added=self.counts["added"],
            changed=self.counts["changed"],
            unchanged=self.counts["unchanged"],
            skipped=self.counts["skipped"],
            problems=tuple(self.problems),
        )

    def take(self, batch: list[_Read]) -> None:
        """Take one batch in one transaction."""
        for read in batch:
            self.problems.extend(read.problems)
        kept = [read.record for read in batch if read.record is not None]
        # Counted apart and added once the transaction stands.
        counts: Counter[str] = Counter(skipped=len(batch) - len(kept))
        with _uncollected(), transaction.atomic():
            rows = Rows.load(kept)
            for record in kept:
                counts[self._take_one(rows, record)] += 1
            rows.write(self.authors)
        self.counts.update(counts)
        self.done += len(batch)

    def _take_one(self, rows: Rows, record: PaperRecord) -> str:
        day = record.listed_on or self.listed_on
        row = rows.match(record, None if day is None else (day, self.source))
        if row is None:
            if not record.title:
                self.problems.append(
                    Problem("a withdrawn paper that is not here was skipped", line=record.line, warning=True)
                )
                return "skipped"
            row = rows.new(record)
        is_new = not row.paper.sources
        revision = row.revision
        merge(row, record, self.source, day, self.places[day])
        self.places[day] += 1
        rows.note(row)
        if is_new:
            return "added"
        return "changed" if row.revision != revision else "unchanged"


@dataclass
class Rows:
    """The rows that a batch of records may be about, found by id and by title."""

    by_id: dict[str, Row] = field(default_factory=dict)
    by_title: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    slugs: set[str] = field(default_factory=set)
    everything: list[Row] = field(default_factory=list)
    gone: list[Paper] = field(default_factory=list)

    @classmethod
    def load(cls, records: Collection[PaperRecord]) -> Rows:
        """Return all rows that bear an id of the records, or bear or bore a title of theirs."""
        ids = {r.arxiv_id for r in records if r.arxiv_id}
        titles = {names.stored_title_key(r.title) for r in records}
        slugs = {names.paper_slug(r.title) for r in records if not r.arxiv_id}
        papers: dict[int, Paper] = {}
        for column, values in (("arxiv_id", ids), ("title_key", titles), ("slug", slugs)):
            for part in _parts(values):
                papers.update((p.pk, p) for p in Paper.objects.filter(**{f"{column}__in": part}).order_by())
        formerly: set[int] = set()
        for part in _parts(titles):
            known = FormerTitle.objects.filter(title_key__in=part)
            formerly.update(known.order_by().values_list("paper", flat=True))
        for pks in _parts(formerly - papers.keys()):
            papers.update((p.pk, p) for p in Paper.objects.filter(pk__in=pks).order_by())
        rows = cls()
        found = {pk: Row(paper) for pk, paper in sorted(papers.items())}
        for pks in _parts(found):
            for listing in Listing.objects.filter(paper__in=pks).order_by():
                found[listing.paper_id].listings[listing.day, listing.source] = listing.position
            for former in FormerTitle.objects.filter(paper__in=pks).order_by():
                found[former.paper_id].former.add(former.title_key)
        for row in found.values():
            rows.everything.append(row)
            rows.note(row)
        return rows

    def note(self, row: Row) -> None:
        """Let a row be found by its id, its title and the titles that it bore."""
        if row.paper.arxiv_id:
            self.by_id[row.paper.arxiv_id] = row
        self.slugs.add(row.paper.slug)
        for key in (row.paper.title_key, *row.former):
            if row not in self.by_title[key]:
                self.by_title[key].append(row)

    def match(self, record: PaperRecord, listing: Day | None = None) -> Row | None:
        """Return the row that a record is about, or None where there is none or it cannot be told.

        Args:
            record: The record.
            listing: Day and source of the list that it is from.
        """
        alike = self.by_title.get(names.stored_title_key(record.title), [])
        waiting = next((row for row in alike if row.paper.arxiv_id is None), None)
        if record.arxiv_id is None:
            # Of several papers of one title, the one that stands on this very list is the one that it names.
            listed = alike if len(alike) == 1 else [r for r in alike if listing in r.listings]
            if len(listed) > 1:  # a title that a paper bears counts more than one that it once bore
                listed = [r for r in listed if r.paper.title_key == names.stored_title_key(record.title)]
            return waiting or (listed[0] if len(listed) == 1 else None)
        row = self.by_id.get(record.arxiv_id)
        if waiting is None or any(r.paper.arxiv_id not in (None, record.arxiv_id) for r in alike):
            return row
        if row is None:  # the one id that is known for this title
            waiting.put("arxiv_id", record.arxiv_id)
            return waiting
        merge_rows(row, waiting)
        self._forget(waiting)
        return row

    def new(self, record: PaperRecord) -> Row:
        """Return a new row for a record that matched none."""
        slug = record.arxiv_id or names.paper_slug(record.title)
        if slug in self.slugs:  # a paper that once waited for its id under this title
            slug = names.another_slug(
                slug, lambda s: s in self.slugs or Paper.objects.filter(slug=s).exists()
            )
        row = Row(_empty_paper(record.arxiv_id, slug), revision=1)
        self.everything.append(row)
        return row

    def write(self, authors: AuthorIds | None = None) -> None:
        """Write what has changed."""
        write(self.everything, self.gone, authors)

    def _forget(self, row: Row) -> None:
        self.everything.remove(row)
        for rows in self.by_title.values():
            if row in rows:
                rows.remove(row)
        if row.paper.pk is not None:
            self.gone.append(row.paper)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile: a batch makes a hundred thousand objects, and none of it is garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _empty_paper(arxiv_id: str | None, slug: str) -> Paper:
    # What Paper(...) does, without its walk over all columns: that would be a tenth of a bulk import.
    paper = Paper.__new__(Paper)
    paper.__dict__.update(_EMPTY, _state=ModelState(), arxiv_id=arxiv_id, slug=slug)
    return paper


def _parts(values: Iterable[T]) -> Iterator[list[T]]:
    """Split values into as many as one statement takes."""
    given = list(values)
    for start in range(0, len(given), MOST_VALUES):
        yield given[start : start + MOST_VALUES]
