"""What the lab knows, for the pages: each claim with our reference and what was measured on this machine.

Results are files that the command line adds to while the site runs. They are read again when their folders'
times change, so that a page shows a new measurement at the next request, and costs a few ``stat`` calls else.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.urls import reverse

from broadsheet import places
from broadsheet.claims import Claim, Scale, Verdict
from broadsheet.lab import catalogue
from broadsheet.lab.judge import rule_words
from broadsheet.lab.numbers import interval, number, pad_unit
from broadsheet.lab.progress import Running, running
from broadsheet.lab.standing import standing
from broadsheet.lab.store import Result, Store, StoreError, reference

__all__ = [
    "NOT_MEASURED",
    "ClaimView",
    "PaperView",
    "all_papers",
    "at_work",
    "interval_words",
    "lately",
    "mark_of",
    "mark_of_verdict",
    "measured_words",
    "named_files",
    "paper_view",
    "result_name",
    "stamp",
]

NOT_MEASURED = "not measured yet"
_HISTORY = 24
_MARKS = {
    Verdict.REPRODUCED: "reproduced",
    Verdict.HOLDS: "holds",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.NOT_REPRODUCED: "refuted",
    Verdict.NEEDS_DATA: "needs",
    Verdict.NEEDS_HARDWARE: "needs",
    Verdict.FAILED: "failed",
}


@dataclass(frozen=True)
class ClaimView:
    """A claim with what was measured.

    Args:
        paper: The paper that makes it.
        claim: The claim.
        reference: What we measured ourselves, or None.
        history: What was measured on this machine, newest first.
        at_work: How its measurement stands, where it is being measured now.
    """

    paper: catalogue.Paper
    claim: Claim
    reference: Result | None = None
    history: tuple[Result, ...] = ()
    at_work: Running | None = None

    # Templates call what can be called, and a claim can: its fields are handed out one by one.

    @property
    def id(self) -> str:
        """The claim's id."""
        return self.claim.id

    @property
    def title(self) -> str:
        """The claim as a sentence."""
        return self.claim.title

    @property
    def kind(self) -> str:
        """What sort of evidence it is: exact, scaled or trend."""
        return self.claim.kind

    @property
    def where(self) -> str:
        """Where the paper makes it."""
        return self.claim.where

    @property
    def why(self) -> str:
        """What is measured and why this counts."""
        return self.claim.why

    @property
    def demands(self) -> list[str]:
        """What must be there to measure it: data, extras, a GPU."""
        data = [f"the data {name}" for name in self.claim.data]
        return data + ["a GPU" if need == "gpu" else f"the extra {need}" for need in self.claim.needs]

    @property
    def here(self) -> Result | None:
        """The newest result of this machine, or None."""
        return self.history[0] if self.history else None

    @property
    def shown(self) -> Result | None:
        """The result that speaks for the claim: that of the largest scale, here before our reference."""
        return standing(self.history, self.reference)

    @property
    def is_here(self) -> bool:
        """Whether the shown result was measured on this machine."""
        return self.shown is not None and self.shown is not self.reference

    @property
    def beside(self) -> Result | None:
        """The newest result of this machine where another speaks for the claim, or None."""
        return self.here if self.here is not self.shown else None

    @property
    def failure(self) -> Result | None:
        """The result whose last words are shown: what speaks for the claim, or stands beside it, and failed."""
        return next((r for r in (self.shown, self.beside) if r is not None and r.error), None)

    @property
    def address(self) -> str:
        """The address of the claim on its paper's page."""
        return f"{reverse('paper', args=[self.paper.facts.arxiv_id or self.paper.slug])}#{self.id}"

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        return str(self.shown.verdict) if self.shown else NOT_MEASURED

    @property
    def mark(self) -> str:
        """Name of the verdict's shape and colour."""
        return mark_of(self.shown)

    @property
    def published_words(self) -> str:
        """The published value with its unit, or "" where the paper states a direction only."""
        if self.claim.published is None:
            return ""
        return number(self.claim.published) + pad_unit(self.claim.unit)

    @property
    def rule_words(self) -> str:
        """Which values count as the claim holding."""
        return rule_words(self.claim.rule)

    @property
    def extras(self) -> list[str]:
        """The extras that must be installed to measure it."""
        return [need for need in self.claim.needs if need != "gpu"]

    @property
    def command(self) -> str:
        """The command that measures it."""
        scale = Scale.LAPTOP if Scale.LAPTOP in self.claim.scales else self.claim.scales[0]
        return f"broadsheet run {self.paper.slug}:{self.claim.id} --scale {scale}"

    def result(self, name: str) -> Result | None:
        """Return the result of that name: ``reference``, or the name of a folder in the results store."""
        if name == "reference":
            return self.reference
        return next((r for r in self.history if r.folder is not None and r.folder.name == name), None)


@dataclass(frozen=True)
class PaperView:
    """A paper that runs, its claims, and what is wrong with it, if anything."""

    paper: catalogue.Paper
    claims: tuple[ClaimView, ...]
    problem: str = ""

    @property
    def holding(self) -> int:
        """Number of claims that are reproduced or hold at the scale at which they were measured."""
        return sum(view.mark in ("reproduced", "holds") for view in self.claims)

    @property
    def extras(self) -> list[str]:
        """The extras that its claims need."""
        return sorted({extra for view in self.claims for extra in view.extras})


def mark_of(result: Result | None) -> str:
    """Return the name of the shape and colour of a result's verdict."""
    return _MARKS[result.verdict] if result else "none"


def mark_of_verdict(verdict: Verdict) -> str:
    """Return the name of a verdict's shape and colour."""
    return _MARKS[verdict]


def measured_words(result: Result) -> str:
    """Return a result's value with its unit, with the digits that its interval supports; "" without value."""
    if result.value is None:
        return ""
    return number(result.value, result.low, result.high) + pad_unit(result.unit)


def interval_words(result: Result) -> str:
    """Return a result's interval, or ""."""
    if result.value is None:
        return ""
    return interval(result.value, result.low, result.high)


def result_name(result: Result, *, is_here: bool) -> str:
    """Return the name under which :meth:`ClaimView.result` finds a result."""
    return result.folder.name if is_here and result.folder is not None else "reference"


def named_files(result: Result) -> set[str]:
    """Return the names of all files that a result speaks of."""
    names = {name for picture in result.figures for name in picture.files.values()}
    names |= {picture.table for picture in result.figures if picture.table}
    return names | {table.file for table in result.tables}


def paper_view(key: str) -> PaperView | None:
    """Return the paper of that key (``family/slug``) with its claims, or None if there is none."""
    for paper in catalogue.load().papers:
        if paper.key == key:
            return _view(paper, _at_work())
    return None


def all_papers() -> list[PaperView]:
    """Return every paper that runs, with its claims."""
    at_work = _at_work()
    return [_view(paper, at_work) for paper in catalogue.load().papers]


def at_work(views: Iterable[PaperView]) -> list[ClaimView]:
    """Return the claims that are being measured on this machine now."""
    return [view for paper in views for view in paper.claims if view.at_work is not None]


def _at_work() -> dict[tuple[str, str], Running]:
    return {(one.paper, one.claim): one for one in running()}


def lately(views: Iterable[PaperView], limit: int = 5) -> list[ClaimView]:
    """Return the claims that were measured on this machine last, newest first."""
    measured = [view for paper in views for view in paper.claims if view.here is not None]
    return sorted(measured, key=lambda view: view.here.started if view.here else "", reverse=True)[:limit]


def _view(paper: catalogue.Paper, at_work: Mapping[tuple[str, str], Running]) -> PaperView:
    try:
        claims = paper.claims
        ours = _reference(paper, stamp(paper.folder / "results" / "laptop.json"))
        problem = ""
    except catalogue.BrokenPaper as error:
        return PaperView(paper, (), str(error))
    except StoreError as error:
        ours, problem = {}, str(error)
    folder = places.results_folder()
    views = tuple(
        ClaimView(
            paper,
            claim,
            ours.get(claim.id),
            _history(folder, paper.key, claim.id),
            at_work.get((paper.key, claim.id)),
        )
        for claim in claims
    )
    return PaperView(paper, views, problem)


@functools.lru_cache(maxsize=256)
def _reference(paper: catalogue.Paper, stamped: int) -> dict[str, Result]:
    return reference(paper)


def _history(folder: Path, paper: str, claim: str) -> tuple[Result, ...]:
    base = folder / paper / claim
    # A folder's time changes when a measurement is renamed into it. One stat tells that there is none at all.
    stamps = tuple(stamp(base / scale) for scale in Scale) if stamp(base) else ()
    return _read_history(folder, paper, claim, stamps) if any(stamps) else ()


@functools.lru_cache(maxsize=4096)
def _read_history(folder: Path, paper: str, claim: str, stamps: tuple[int, ...]) -> tuple[Result, ...]:
    store = Store(folder)
    # So many of each scale: checks at smoke scale push no measurement at laptop scale out.
    found = [result for scale in Scale for result in store.history(paper, claim, scale)[:_HISTORY]]
    return tuple(sorted(found, key=lambda r: r.folder.name if r.folder else "", reverse=True))


def stamp(path: Path) -> int:
    """Return a file's or folder's time of change, 0 where it is absent."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
