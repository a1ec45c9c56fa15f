"""``broadsheet papers`` and ``broadsheet show``: what runs, what it claims, what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from broadsheet.claims import Claim, Verdict
from broadsheet.cli import voice
from broadsheet.cli.voice import Refusal
from broadsheet.lab import catalogue
from broadsheet.lab.judge import rule_words
from broadsheet.lab.numbers import number, pad_unit
from broadsheet.lab.standing import standing
from broadsheet.lab.store import Result, Store, StoreError, reference

__all__ = ["find_claim", "find_paper", "papers_command", "show_command"]


def find_paper(text: str) -> catalogue.Paper:
    """Return the paper named by ``text``, or refuse with near matches."""
    try:
        return catalogue.find(text)
    except catalogue.Unknown as error:
        raise Refusal(str(error), 3) from error


def find_claim(paper: catalogue.Paper, claim_id: str) -> Claim:
    """Return a claim of a paper, or refuse with the list of those it has."""
    try:
        return paper.claim(claim_id)
    except catalogue.Unknown as error:
        raise Refusal(str(error), 3) from error


@dataclass(frozen=True)
class _Measured:
    """What was measured of a claim: here, newest first, and by us."""

    here: tuple[Result, ...]
    ours: Result | None

    @property
    def shown(self) -> Result | None:
        """The result that speaks for the claim."""
        return standing(self.here, self.ours)

    @property
    def newest(self) -> Result | None:
        """What this machine measured last, or None."""
        return self.here[0] if self.here else None


def _measured(paper: catalogue.Paper) -> dict[str, _Measured]:
    """Return, claim by claim, what was measured; damaged results are told and left out.

    Raises:
        BrokenPaper: if the paper's claims cannot be read.
    """
    store, claims = Store(), paper.claims
    try:
        ours = reference(paper)
    except StoreError as error:
        voice.warn(str(error))
        ours = {}
    measured = {c.id: _Measured(tuple(store.history(paper.key, c.id)), ours.get(c.id)) for c in claims}
    for message in store.damaged.values():
        voice.warn(message)
    return measured


def _paper_json(paper: catalogue.Paper) -> dict[str, Any]:
    facts = paper.facts
    return {
        "key": paper.key,
        "slug": paper.slug,
        "family": paper.family,
        "arxiv_id": facts.arxiv_id,
        "title": facts.title,
        "year": facts.year,
        "authors": facts.authors,
        "summary": facts.summary,
        "tags": list(facts.tags),
        "names": list(facts.names),
    }


def _claim_json(claim: Claim, measured: _Measured) -> dict[str, Any]:
    ours, newest = measured.ours, measured.newest
    return {
        "id": claim.id,
        "title": claim.title,
        "published": claim.published,
        "unit": claim.unit,
        "where": claim.where,
        "kind": claim.kind,
        "holds": rule_words(claim.rule),
        "reference": None if ours is None else ours.as_dict(),
        "here": None if newest is None else newest.as_dict(),
    }


@click.command("papers")
@click.option("--family", help="Only papers of this family, for example statistics.")
@voice.json_option
def papers_command(family: str | None, as_json: bool) -> None:
    """List the papers that run.

    \b
    Example:
      broadsheet papers --family statistics
    """
    loaded = catalogue.load()
    papers = [p for p in loaded.papers if family is None or p.family == family]
    if family is not None and not papers:
        families = sorted({p.family for p in loaded.papers})
        raise Refusal(f"no family is called {family!r}; there are: {', '.join(families)}", 3)
    problems = loaded.all_problems()
    if as_json:
        voice.print_json({"papers": [_paper_json(p) for p in papers], "problems": [str(p) for p in problems]})
    else:
        rows = [[p.key, p.facts.arxiv_id or "", *_counts(p), p.facts.title] for p in papers]
        voice.print_table(
            ["paper", "arXiv", "claims", "hold", "title"],
            rows,
            styles=["bold", "", "number", "number"],
        )
    for problem in problems:
        voice.warn(str(problem))


def _counts(paper: catalogue.Paper) -> tuple[str, str]:
    """Return how many claims a paper makes and how many hold; dashes where its claims cannot be read."""
    try:
        measured = _measured(paper)
    except catalogue.BrokenPaper:
        return "–", "–"
    verdicts = [shown.verdict for one in measured.values() if (shown := one.shown) is not None]
    return str(len(measured)), str(sum(v in (Verdict.REPRODUCED, Verdict.HOLDS) for v in verdicts))


@click.command("show")
@click.argument("paper")
@voice.json_option
def show_command(paper: str, as_json: bool) -> None:
    """Show a paper: what it is, what it claims, what was published and what was measured.

    PAPER is its short name, family/name or arXiv id.

    \b
    Example:
      broadsheet show flexible-survival
    """
    found = find_paper(paper)
    try:
        measured = _measured(found)
    except catalogue.BrokenPaper as error:
        raise Refusal(str(error), 4) from error
    if as_json:
        voice.print_json(
            {**_paper_json(found), "claims": [_claim_json(c, measured[c.id]) for c in found.claims]}
        )
        return
    facts = found.facts
    voice.say(facts.title, bold=True)
    voice.say(f"{facts.authors}, {facts.year}" + (f" · arXiv:{facts.arxiv_id}" if facts.arxiv_id else ""))
    voice.say()
    voice.say(facts.summary)
    voice.say()
    rows = [row for claim in found.claims for row in _rows(claim, measured[claim.id])]
    columns = ["claim", "published", "measured", "verdict", "scale", "by", "in words"]
    voice.print_table(columns, rows, styles=["bold"])
    voice.say(f"Measure: broadsheet run {found.slug}")
    if facts.names:
        voice.say(f"Import:  from {found.package.rpartition('.')[0]} import {', '.join(facts.names)}")


def _rows(claim: Claim, measured: _Measured) -> list[list[str]]:
    """Return a claim's row, and one more for the newest result of this machine where another speaks for it."""
    published = "" if claim.published is None else number(claim.published) + pad_unit(claim.unit)
    words = claim.title.replace("**", "")
    shown, newest = measured.shown, measured.newest
    if shown is None:
        return [[claim.id, published, "", "not measured yet", "", "", words]]
    by = "reference" if shown is measured.ours else "here"
    rows = [[claim.id, published, *_result_cells(shown), by, words]]
    if newest is not None and newest is not shown:
        rows.append(["", "", *_result_cells(newest), "here", ""])
    return rows


def _result_cells(result: Result) -> list[str]:
    value = number(result.value, result.low, result.high) + pad_unit(result.unit)
    return [value, str(result.verdict), str(result.scale)]
