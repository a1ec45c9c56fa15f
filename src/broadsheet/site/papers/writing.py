"""Many rows at once: the object mapper's own bulk calls are four times too slow for a bulk import."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from django.db import connection, models
from django.utils import timezone

from broadsheet.search import schema
from broadsheet.site.papers import names
from broadsheet.site.papers.finding import INDEX
from broadsheet.site.papers.merging import Row
from broadsheet.site.papers.models import Author, Authorship, FormerTitle, Listing, Organisation, Paper

__all__ = ["MOST_VALUES", "AuthorIds", "write"]

# SQLite as distributions build it takes 32,766 values in a statement.
MOST_VALUES = 30_000
_PAPER_COLUMNS = [field.attname for field in Paper._meta.concrete_fields]


def write(rows: Iterable[Row], gone: Iterable[Paper], authors: AuthorIds | None = None) -> None:
    """Write what is new and what has changed. The caller holds the transaction.

    Args:
        rows: The rows that were touched.
        gone: Rows that were joined into others.
        authors: What is remembered of authors from the batches before.
    """
    authors = AuthorIds() if authors is None else authors
    lost = [paper.pk for paper in gone if paper.pk is not None]
    if lost:
        Paper.objects.filter(pk__in=lost).delete()
    rows = [row for row in rows if row.revision]
    _write_organisations(rows)
    here = [row for row in rows if row.paper.pk is not None]
    _write_papers([row.paper for row in rows if row.paper.pk is None])
    _update_papers([row for row in here if row.changed])
    if _remove_authors([row.paper.pk for row in here if row.authors is not None]):
        authors.forget()
    _write_authors([row for row in rows if row.authors is not None], authors)
    _insert(
        Listing,
        ["paper_id", "day", "source", "position"],
        (
            (row.paper.pk, day, source, row.listings[day, source])
            for row in rows
            for day, source in sorted(row.new_listings)
        ),
    )
    _insert(
        FormerTitle,
        ["paper_id", "title_key"],
        ((row.paper.pk, key) for row in rows for key in sorted(row.new_former)),
    )
    for row in rows:
        row.changed.clear()
        row.new_listings.clear()
        row.new_former.clear()
        row.authors = row.organisation = None
        row.revision = 0


class AuthorIds:
    """The primary keys of authors' names, remembered from batch to batch for as long as nobody else writes."""

    _MOST = 500_000

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._version: int | None = None

    def forget(self) -> None:
        """Forget everything: authors were removed, or the transaction failed."""
        self._known.clear()

    def find(self, slugs: Iterable[str]) -> dict[str, int]:
        """Return the keys of the slugs that have one, asking for those that are not remembered."""
        version = self._data_version()
        if version != self._version or version is None or len(self._known) > self._MOST:
            self._known.clear()
            self._version = version
        unknown = [slug for slug in slugs if slug not in self._known]
        for start in range(0, len(unknown), MOST_VALUES):
            part = Author.objects.filter(slug__in=unknown[start : start + MOST_VALUES])
            self._known.update(part.order_by().values_list("slug", "pk"))
        return self._known

    def _data_version(self) -> int | None:
        """Return a number that changes whenever another connection has written."""
        if connection.vendor != "sqlite":
            return None
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA data_version")
            return int(cursor.fetchone()[0])


def _last_id(model: type[models.Model]) -> int:
    return model._default_manager.aggregate(last=models.Max("pk"))["last"] or 0


def _write_organisations(rows: Sequence[Row]) -> None:
    named = {row.organisation[0]: row.organisation[1] for row in rows if row.organisation is not None}
    if not named:
        return
    known = {o.handle: o for o in Organisation.objects.filter(handle__in=named)}
    for handle, name in named.items():
        if handle not in known:
            known[handle] = Organisation.objects.create(handle=handle, name=name)
    for row in rows:
        if row.organisation is not None and row.paper.organisation_id != known[row.organisation[0]].pk:
            row.paper.organisation_id = known[row.organisation[0]].pk
            row.changed.add("organisation_id")


def _write_papers(papers: Sequence[Paper]) -> None:
    if not papers:
        return
    now = timezone.now()
    for paper in papers:
        paper.first_seen = now
    # Keys are given here and not by the database: reading them back costs as much as writing the rows. The
    # transaction has held the only write lock from its beginning.
    last = _last_id(Paper)
    for key, paper in enumerate(papers, last + 1):
        paper.pk = key
    values = attrgetter(*_PAPER_COLUMNS)
    with _indexed_together(last):
        _insert(Paper, _PAPER_COLUMNS, (values(p) for p in papers))
    for paper in papers:
        paper._state.adding = False


@contextmanager
def _indexed_together(last: int) -> Iterator[None]:
    """Index the papers that are added within, after ``last``, in one go. Part of the caller's transaction."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(schema.pause(INDEX))
        yield
        for statement in schema.add_together(INDEX, last):
            cursor.execute(statement)


def _update_papers(rows: Sequence[Row]) -> None:
    alike: dict[tuple[str, ...], list[Paper]] = defaultdict(list)
    for row in rows:
        alike[tuple(sorted(row.changed))].append(row.paper)
    for changed, papers in alike.items():
        sets = ", ".join(f"{_quoted(_column(Paper, name))} = %s" for name in changed)
        adapt = _adapters(Paper, changed)
        with connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {_quoted(Paper._meta.db_table)} SET {sets} WHERE id = %s",
                [[*_adapted([getattr(p, name) for name in changed], adapt), p.pk] for p in papers],
            )


def _write_authors(rows: Sequence[Row], authors: AuthorIds) -> None:
    slugs = {name: names.author_slug(name) for row in rows for name in row.authors or ()}
    by_slug = {slug: name for name, slug in slugs.items()}
    known = authors.find(by_slug)
    missing = [slug for slug in by_slug if slug not in known]
    if missing:
        new = dict(zip(missing, itertools.count(_last_id(Author) + 1)))
        _insert(Author, ["id", "name", "slug"], ((key, by_slug[slug], slug) for slug, key in new.items()))
        known.update(new)
    _insert(
        Authorship,
        ["paper_id", "author_id", "position"],
        (
            (row.paper.pk, known[slugs[name]], position)
            for row in rows
            for position, name in enumerate(row.authors or ())
        ),
    )


def _remove_authors(papers: list[int]) -> bool:
    if not papers:
        return False
    old = Authorship.objects.filter(paper__in=papers).order_by()
    left = list(old.values_list("author", flat=True))
    old.delete()
    # A name that nobody bears any more has no page.
    bearing = Authorship.objects.filter(author=models.OuterRef("pk"))
    for start in range(0, len(left), MOST_VALUES):
        part = Author.objects.filter(pk__in=left[start : start + MOST_VALUES])
        part.filter(~models.Exists(bearing)).delete()
    return True


def _insert(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    adapt = _adapters(model, columns)
    into = ", ".join(_quoted(_column(model, name)) for name in columns)
    marks = f"({', '.join(['%s'] * len(columns))})"
    statement = f"INSERT INTO {_quoted(model._meta.db_table)} ({into}) VALUES "
    values = [_adapted(row, adapt) for row in rows] if adapt else list(rows)
    # Many rows a statement: half the time of one by one, and another thread may run meanwhile.
    together = MOST_VALUES // len(columns)
    with connection.cursor() as cursor:
        for start in range(0, len(values), together):
            part = values[start : start + together]
            cursor.execute(
                statement + ", ".join([marks] * len(part)), list(itertools.chain.from_iterable(part))
            )


def _adapters(model: type[models.Model], columns: Sequence[str]) -> list[tuple[int, Any]]:
    """Return the columns whose values the database driver does not take as they are, and what makes them fit."""
    found: list[tuple[int, Any]] = []
    for n, name in enumerate(columns):
        field = model._meta.get_field(name.removesuffix("_id") if name.endswith("organisation_id") else name)
        if isinstance(field, models.DateTimeField):
            found.append((n, connection.ops.adapt_datetimefield_value))
        elif isinstance(field, models.DateField):
            found.append((n, connection.ops.adapt_datefield_value))
    return found


def _adapted(row: Sequence[Any], adapters: list[tuple[int, Any]]) -> list[Any]:
    values = list(row)
    for n, adapt in adapters:
        values[n] = adapt(values[n])
    return values


def _column(model: type[models.Model], attname: str) -> str:
    return next(f.column for f in model._meta.concrete_fields if attname in (f.attname, f.name) and f.column)


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
