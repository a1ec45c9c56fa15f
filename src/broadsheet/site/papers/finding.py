"""Finds papers: what was typed goes to the index, and what is found comes back with its row and an excerpt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import connection

from broadsheet.search import fts5, schema
from broadsheet.search.fts5 import Segment
from broadsheet.search.query import Query, parse
from broadsheet.site.papers.models import Paper

__all__ = ["INDEX", "Finding", "Hit", "find"]

# What migration 0002 made. A change here needs a migration of its own.
INDEX = schema.Index(
    table="papers_search",
    content="papers_paper",
    key="id",
    columns=(
        schema.Column("title", weight=3.0),
        schema.Column("abstract"),
        schema.Column("authors_text", weight=1.5, is_prose=False),
        schema.Column("organisation_text", is_prose=False),
        # Also each category as one word: "cs.LG" as csxlg, which is found faster than a phrase.
        schema.Column(
            "categories",
            sql="{0} || ' ' || replace(replace({0}, '.', 'x'), '-', 'x')",
            weight=0.5,
            is_prose=False,
        ),
        schema.Column("summary"),
        schema.Column("arxiv_id", is_prose=False),
        # Marked, so that the word 2025 does not find all of that year.
        schema.Column("year", sql="'y' || {}", weight=0.0, is_prose=False),
    ),
)
_EXCERPT_WORDS = 40


@dataclass(frozen=True)
class Hit:
    """A paper that was found.

    Args:
        paper: The paper.
        score: Higher is better, among hits with the same ``has_every_word``.
        has_every_word: Whether it has every word that was asked for.
        title: Its title in pieces, the words that were asked for marked. Plain text: templates escape it.
        excerpt: A part of its abstract (or of our summary) in pieces; empty where it has none.
    """

    paper: Paper
    score: float
    has_every_word: bool
    title: list[Segment]
    excerpt: list[Segment]


@dataclass(frozen=True)
class Finding:
    """One page of what a search found.

    Args:
        query: The search, taken apart.
        hits: The papers, best first: those with every word, then those with some.
        total: Papers with every word, counted up to 1,000.
        total_words: The total as it may be said: ``12`` or ``1,000+``.
        offset: Number of papers before this page.
        next_offset: Where the next page begins, or None on the last one.
        is_bounded: Whether so many papers have every word that only some were ranked.
    """

    query: Query
    hits: list[Hit] = field(default_factory=list)
    total: int = 0
    total_words: str = "0"
    offset: int = 0
    next_offset: int | None = None
    is_bounded: bool = False


def find(
    text: str,
    *,
    limit: int = 20,
    offset: int = 0,
    prefix: bool = False,
    where: Sequence[tuple[str, Sequence[object]]] = (),
) -> Finding:
    """Find papers by words, phrases and fields.

    Args:
        text: What was typed; anything is a search.
        limit: Most papers to return, in [1, 200].
        offset: Number of papers to pass over, >= 0.
        prefix: Whether the last word may be the beginning of a longer one.
        where: Further conditions in SQL on the papers' table, which is called ``content``.

    Returns:
        The page; without hits where nothing matches.

    Raises:
        ValueError: if ``limit`` or ``offset`` is out of range.
    """
    if not 1 <= limit <= 200:
        raise ValueError(f"limit must be in [1, 200], got {limit}")
    query = parse(text, prefix=prefix)
    found = fts5.search(connection, INDEX, query, limit=limit, offset=offset, where=where)
    keys = [hit.key for hit in found.hits]
    papers = Paper.objects.select_related("organisation").in_bulk(keys)
    shown = [hit for hit in found.hits if hit.key in papers]
    here = [papers[hit.key] for hit in shown]
    titles = fts5.mark([p.title for p in here], query, column="title")
    # A built-in paper is shown with our own summary.
    excerpts = fts5.mark(
        [p.summary or p.abstract for p in here], query, column="abstract", words=_EXCERPT_WORDS
    )
    hits = [
        Hit(
            paper=papers[hit.key],
            score=round(hit.score, 6),
            has_every_word=hit.has_every_word,
            title=title,
            excerpt=excerpt,
        )
        for hit, title, excerpt in zip(shown, titles, excerpts, strict=True)
    ]
    return Finding(
        query=query,
        hits=hits,
        total=found.total,
        total_words=found.total_words,
        offset=offset,
        next_offset=offset + limit if found.is_more else None,
        is_bounded=found.is_bounded,
    )
