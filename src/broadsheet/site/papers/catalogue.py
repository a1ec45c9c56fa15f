"""The papers that run, entered into the database beside those that sources bring."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from broadsheet.lab import catalogue
from broadsheet.lab.catalogue import Facts
from broadsheet.site.papers.models import Mark, Paper

if TYPE_CHECKING:
    from broadsheet.site.papers.merging import Row

__all__ = ["Synced", "fingerprint", "is_current", "sync"]

_MARK = "catalogue"
_RULES = 1  # grows when this module enters the same facts otherwise
# Where a paper's text is from one of these, the title of our own file stands.
_OURS_IS_BETTER = ("", "saved-page")


@dataclass(frozen=True)
class Synced:
    """What entering the catalogue changed.

    Args:
        added: Papers that were not there.
        changed: Papers that were there.
        removed: Papers that run no more; they stay as papers.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0


def fingerprint(papers: Sequence[catalogue.Paper]) -> str:
    """Return a hash of everything that is entered of the given papers."""
    facts = sorted((paper.key, asdict(paper.facts)) for paper in papers)
    return hashlib.sha256(json.dumps([_RULES, facts], default=str).encode()).hexdigest()


def is_current(papers: Sequence[catalogue.Paper]) -> bool:
    """Return whether the database holds these papers as they are."""
    mark = Mark.objects.filter(name=_MARK).values_list("value", flat=True).first()
    return mark == fingerprint(papers)


def sync(papers: Sequence[catalogue.Paper] | None = None) -> Synced:
    """Enter the papers that run, in one transaction. Doing it twice changes nothing.

    A paper that a source brought before keeps what the source says; it gains its method and our summary.

    Args:
        papers: The papers; None for all that are installed.

    Returns:
        What changed.
    """
    # Here and not above: a program that starts need not load what it does not use.
    from broadsheet.site.papers.importing import Rows
    from broadsheet.sources.record import PaperRecord

    if papers is None:
        papers = catalogue.load().papers
    ordered = sorted(papers, key=lambda paper: paper.key)
    records = {
        paper.key: PaperRecord(
            title=" ".join(paper.facts.title.split()), source="", arxiv_id=paper.facts.arxiv_id
        )
        for paper in ordered
    }
    added = changed = 0
    with transaction.atomic():
        kept: set[str] = set()
        rows = Rows.load(list(records.values()))
        for paper in ordered:
            row = rows.match(records[paper.key])
            is_new = row is None
            if row is None:
                row = rows.new(records[paper.key])
            if row.paper.method in kept and row.paper.method:
                continue  # two packages describe one paper: the first in order runs
            revision = row.revision
            _enter(row, records[paper.key].title, paper.key, paper.facts)
            rows.note(row)
            kept.add(paper.key)
            added += is_new
            changed += not is_new and row.revision != revision
        rows.write()
        gone = Paper.objects.filter(method__gt="").exclude(method__in=kept)
        removed = gone.update(method="", summary="")
        Mark.objects.update_or_create(name=_MARK, defaults={"value": fingerprint(ordered)})
    return Synced(added, changed, removed)


def _enter(row: Row, title: str, key: str, facts: Facts) -> None:
    paper = row.paper
    if paper.text_source in _OURS_IS_BETTER:
        row.put("title", title)
        row.put("text_source", "")
        if not paper.author_count or paper.text_source == "":
            row.put("authors_text", "; ".join(re.split(r", and |, | and ", facts.authors)))
    if facts.published_on is not None and (paper.published_on is None or not paper.sources):
        row.put("published_on", facts.published_on)
    if facts.code_url and (not paper.code_url or "hf-daily" not in paper.sources.split()):
        row.put("code_url", facts.code_url)
    row.put("method", key)
    row.put("summary", " ".join(facts.summary.split()))
    row.settle()
