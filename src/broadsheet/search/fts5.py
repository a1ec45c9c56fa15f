"""Lexical search with SQLite's FTS5, over a connection that is handed in.

A search is one ranked list: first the papers with every word, then those with some. What it costs is bounded
whatever is asked: see :data:`POOL` and :data:`LOOSE_POOL`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from broadsheet.search import schema
from broadsheet.search.query import Query, Term, expression
from broadsheet.search.schema import Index

__all__ = ["COUNTED", "LOOSE_POOL", "POOL", "Connection", "Found", "Hit", "Segment", "mark", "search"]

COUNTED = 1_000
"""Matches are counted up to so many; beyond that there are "1,000+"."""

POOL = 1_000
"""Where more papers than this have every word, those with all words in the first column are ranked first, then
the newest of the others; at most so many of each."""

LOOSE_POOL = 2_000
"""Papers with some of the words are looked for by the rarest words, as many of them as occur in so many papers."""

_FILL_BELOW = 100
"""Papers with some of the words follow where fewer than this have all."""

_TELLING = 15_000
"""A word in more papers than this says too little to be weighed when papers with some of the words are ranked."""

_OPEN, _CLOSE = "\x02", "\x03"


class Connection(Protocol):
    """A DB-API connection to SQLite, or Django's."""

    def cursor(self) -> Any:
        """Return a cursor."""


@dataclass(frozen=True)
class Hit:
    """A paper that was found.

    Args:
        key: Its key in the table that holds the text.
        score: Higher is better; comparable only among hits of one search with the same ``has_every_word``.
        has_every_word: Whether it has every word that was asked for.
    """

    key: int
    score: float
    has_every_word: bool = True


@dataclass(frozen=True)
class Found:
    """What a search found.

    Args:
        hits: The page that was asked for, best first.
        total: Papers with every word, counted up to :data:`COUNTED`.
        is_more: Whether there are further papers after this page.
        is_bounded: Whether so many have every word that only some of them were ranked.
    """

    hits: list[Hit] = field(default_factory=list)
    total: int = 0
    is_more: bool = False
    is_bounded: bool = False

    @property
    def total_words(self) -> str:
        """The total as it may be said: ``12`` or ``1,000+``."""
        return f"{COUNTED:,}+" if self.total > COUNTED else f"{self.total:,}"


@dataclass(frozen=True)
class Segment:
    """A piece of text, plain: whoever shows it escapes it.

    Args:
        text: The piece.
        is_match: Whether it is a word that was searched for.
    """

    text: str
    is_match: bool = False


def search(
    connection: Connection,
    index: Index,
    query: Query,
    *,
    limit: int = 10,
    offset: int = 0,
    where: Sequence[tuple[str, Sequence[object]]] = (),
) -> Found:
    """Return one page of the ranked list of papers that a query finds.

    Args:
        connection: A connection to the database that holds the index.
        index: The index.
        query: What to look for.
        limit: Most hits to return, in [1, 1000].
        offset: Number of hits to pass over, >= 0.
        where: Further conditions in SQL, with ``?`` for each value; the table that holds the text is ``content``.

    Returns:
        The page. Empty for an empty query.

    Raises:
        ValueError: if ``limit`` or ``offset`` is out of range.
    """
    if not 1 <= limit <= 1_000:
        raise ValueError(f"limit must be in [1, 1000], got {limit}")
    if offset < 0:
        raise ValueError(f"offset must be >= 0, got {offset}")
    if query.is_empty:
        return Found()
    return _Search(connection, index, query, where).page(limit, offset)


class _Search:
    """One search: the statements that it is made of."""

    def __init__(
        self,
        connection: Connection,
        index: Index,
        query: Query,
        where: Sequence[tuple[str, Sequence[object]]],
    ) -> None:
        self.connection = connection
        self.index = index
        self.query = query
        table = index.table
        join = f" JOIN {index.content} AS content ON content.{index.key} = {table}.rowid" if where else ""
        conditions = "".join(f" AND ({sql})" for sql, _ in where)
        self._from = f"FROM {table}{join} WHERE {table} MATCH ?{conditions}"
        self._values = [value for _, values in where for value in values]
        weights = ", ".join(str(float(column.weight)) for column in index.columns)
        self._rank = f"bm25({table}, {weights})"

    def page(self, limit: int, offset: int) -> Found:
        every = expression(self.query.wanted, "AND", self.query.unwanted)
        total = self._count(every, COUNTED + 1)
        is_bounded = total > POOL
        end = offset + limit
        hits: list[Hit] = []
        if total:
            hits = self._bounded(every, end) if is_bounded else self._ranked(every, total)
        if len(hits) <= end and total < _FILL_BELOW:
            hits += self._loose({hit.key for hit in hits})
            is_more = len(hits) > end
        else:
            is_more = len(hits) > end or (total < _FILL_BELOW and self._words() != ())
        return Found(hits[offset:end], total, is_more, is_bounded)

    def _ranked(self, match: str, most: int, *, every: bool = True) -> list[Hit]:
        """Rank the newest matches, at most ``most`` of them."""
        rows = self._rows(
            f"SELECT {self.index.table}.rowid, {self._rank} {self._from} "
            f"ORDER BY {self.index.table}.rowid DESC LIMIT {most:d}",
            match,
        )
        # Of equals the newer is first.
        rows.sort(key=lambda row: (row[1], -row[0]))
        return [Hit(key, -score, every) for key, score in rows]

    def _bounded(self, every: str, needed: int) -> list[Hit]:
        """Rank where nearly everything matches: the first column speaks first, then the newest of the rest."""
        first = self.index.columns[0].name
        in_first = [
            Term(
                t.text, t.columns or (first,), t.is_phrase, is_prefix=t.is_prefix, alternatives=t.alternatives
            )
            for t in self.query.wanted
        ]
        best = self._ranked(expression(in_first, "AND", self.query.unwanted), POOL)
        if len(best) > needed:
            return best
        seen = {hit.key for hit in best}
        return best + [hit for hit in self._ranked(every, POOL) if hit.key not in seen]

    def _words(self) -> tuple[Term, ...]:
        """Return the words of which a paper may lack some."""
        plain = tuple(t for t in self.query.wanted if t.is_plain)
        return plain if len(plain) > 1 else ()

    def _loose(self, seen: set[int]) -> list[Hit]:
        words = self._words()
        if not words:
            return []
        counted = sorted((count, n, words[n]) for n, count in enumerate(self._frequencies(words)))
        known = [(count, term) for count, _, term in counted if count]
        seeds: list[Term] = []
        papers = 0
        for count, term in known:
            if seeds and papers + count > LOOSE_POOL:
                break
            seeds.append(term)
            papers += count
        if not seeds:
            return []
        weighed = [term for count, term in known if count <= _TELLING or term in seeds]
        must = [t for t in self.query.wanted if not t.is_plain]
        # Found by the rare words; the others count where they occur beside them.
        parts = [f"({expression(seeds, 'OR')})"]
        if len(weighed) > len(seeds):
            parts.append(f"({expression(weighed, 'OR')})")
        parts += [expression([t]) for t in must]
        match = " AND ".join(parts)
        if self.query.unwanted:
            match = f"({match}) NOT ({expression([_positive(t) for t in self.query.unwanted], 'OR')})"
        return [hit for hit in self._ranked(match, LOOSE_POOL, every=False) if hit.key not in seen]

    def _frequencies(self, words: Sequence[Term]) -> list[int]:
        """Return in how many papers each word occurs, counted as far as it matters."""
        table = self.index.table
        one = f"(SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {table} MATCH ? LIMIT {_TELLING + 1:d}))"
        sql = f"SELECT {', '.join([one] * len(words))}"
        return list(_execute(self.connection, sql, [expression([word]) for word in words])[0])

    def _count(self, match: str, most: int) -> int:
        return int(self._rows(f"SELECT count(*) FROM (SELECT 1 {self._from} LIMIT {most:d})", match)[0][0])

    def _rows(self, sql: str, match: str) -> list[Any]:
        return _execute(self.connection, sql, [match, *self._values])


def _positive(term: Term) -> Term:
    return Term(term.text, term.columns, term.is_phrase, alternatives=term.alternatives)


def _execute(connection: Connection, sql: str, values: Sequence[object]) -> list[Any]:
    # Django's cursors take %s, which the driver below them does not.
    statement = sql.replace("?", "%s") if hasattr(connection, "vendor") else sql
    cursor = connection.cursor()
    try:
        cursor.execute(statement, tuple(values))
        return list(cursor.fetchall())
    finally:
        cursor.close()


def mark(
    texts: Sequence[str], query: Query, *, column: str = "", words: int | None = None
) -> list[list[Segment]]:
    """Return texts in pieces, with the words marked that were searched for.

    Args:
        texts: Plain texts, as many as a page shows.
        query: What was searched for.
        column: The column that the texts come from: words that were asked for in other columns are not marked.
        words: Length of the excerpt around the words that were found, in [1, 64]; None for the whole text.

    Returns:
        For each text its pieces. Joined they give the text again, but for an excerpt, which says "…" where it
        leaves something out, and for C++, which is always written so.

    Raises:
        ValueError: if ``words`` is out of range.

    Example:
        >>> from broadsheet.search.query import parse
        >>> [(s.text, s.is_match) for s in mark(["All models are wrong"], parse("model"))[0]]
        [('All ', False), ('models', True), (' are wrong', False)]
    """
    if words is not None and not 1 <= words <= 64:
        raise ValueError(f"words must be in [1, 64], got {words}")
    # The sentinels mark no text of ours: the importer lets no control characters in, and here none pass either.
    plain = [text.replace(_OPEN, "").replace(_CLOSE, "").replace("\0", "") for text in texts]
    wanted = [
        Term(t.text, (), t.is_phrase, is_prefix=t.is_prefix)
        for t in query.wanted
        if column in t.columns or not t.columns
    ]
    if not wanted or not plain:
        return [[Segment(_shortened(text, words))] if text else [] for text in plain]
    call = (
        f"snippet(marked, 0, '{_OPEN}', '{_CLOSE}', '…', {words:d})"
        if words
        else f"highlight(marked, 0, '{_OPEN}', '{_CLOSE}')"
    )
    # A table of these few texts costs less than asking the large one for each of them.
    database = sqlite3.connect(":memory:")
    try:
        database.execute(f"CREATE VIRTUAL TABLE marked USING fts5(text, tokenize='{schema.TOKENIZER}')")
        database.executemany(
            "INSERT INTO marked(rowid, text) VALUES (?, ?)",
            ((n, schema.spell_out(text)) for n, text in enumerate(plain)),
        )
        rows = database.execute(
            f"SELECT rowid, {call} FROM marked WHERE marked MATCH ?", (expression(wanted, "OR"),)
        )
        marked = dict(rows.fetchall())
    finally:
        database.close()
    return [
        _segments(marked[n]) if n in marked else [Segment(_shortened(text, words))] if text else []
        for n, text in enumerate(plain)
    ]


def _shortened(text: str, words: int | None) -> str:
    parts = text.split(" ")
    return text if words is None or len(parts) <= words else " ".join(parts[:words]) + "…"


def _segments(marked: str) -> list[Segment]:
    segments: list[Segment] = []
    plain, *rest = marked.split(_OPEN)
    if plain:
        segments.append(Segment(schema.restore(plain)))
    for piece in rest:
        match, _, after = piece.partition(_CLOSE)
        # A word that was spelt out ends in a space of its own, which the mark leaves outside.
        if after.startswith(" ") and any(match.endswith(spelt.rstrip()) for _, spelt in schema.SPELT_OUT):
            match, after = f"{match} ", after[1:]
        segments.append(Segment(schema.restore(match), is_match=True))
        if after:
            segments.append(Segment(schema.restore(after)))
    return segments
