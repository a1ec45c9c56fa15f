"""``broadsheet papers`` and ``broadsheet show``: what runs, what it claims, what was measured."""

from __future__ import annotations

from typing import Any

import click

from broadsheet.claims import Claim
from broadsheet.cli import voice
from broadsheet.cli.voice import Refusal
from broadsheet.lab import catalogue
from broadsheet.lab.numbers import number, pad_unit
from broadsheet.lab.store import Result, Store, reference

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


def _newest(paper: catalogue.Paper) -> dict[str, dict[str, Result | None]]:
    """Return, claim by claim, our reference result and the newest one of this machine."""
    store = Store()
    ours = reference(paper)
    return {c.id: {"reference": ours.get(c.id), "here": store.latest(paper.key, c.id)} for c in paper.claims}


def _shown(results: dict[str, Result | None]) -> Result | None:
    return results["here"] or results["reference"]


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


def _claim_json(claim: Claim, results: dict[str, Result | None]) -> dict[str, Any]:
    return {
        "id": claim.id,
        "title": claim.title,
        "published": claim.published,
        "unit": claim.unit,
        "where": claim.where,
        "kind": claim.kind,
        "holds": claim.rule.words,
        "reference": None if results["reference"] is None else results["reference"].as_dict(),
        "here": None if results["here"] is None else results["here"].as_dict(),
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
    if as_json:
        voice.print_json(
            {"papers": [_paper_json(p) for p in papers], "problems": [str(p) for p in loaded.problems]}
        )
    else:
        rows = []
        for paper in papers:
            verdicts = [
                r.verdict for results in _newest(paper).values() if (r := _shown(results)) is not None
            ]
            good = sum(v in ("reproduced", "holds at this scale") for v in verdicts)
            rows.append(
                [paper.key, paper.facts.arxiv_id or "", str(len(paper.claims)), str(good), paper.facts.title]
            )
        voice.print_table(
            ["paper", "arXiv", "claims", "hold", "title"], rows, styles=["bold", "", "number", "number"]
        )
    for problem in loaded.problems:
        voice.warn(str(problem))


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
    newest = _newest(found)
    if as_json:
        voice.print_json(
            {**_paper_json(found), "claims": [_claim_json(c, newest[c.id]) for c in found.claims]}
        )
        return
    facts = found.facts
    voice.say(facts.title, bold=True)
    voice.say(f"{facts.authors}, {facts.year}" + (f" · arXiv:{facts.arxiv_id}" if facts.arxiv_id else ""))
    voice.say()
    voice.say(facts.summary)
    voice.say()
    rows = []
    for claim in found.claims:
        result = _shown(newest[claim.id])
        origin = "" if result is None else ("here" if newest[claim.id]["here"] is not None else "reference")
        rows.append(
            [
                claim.id,
                "" if claim.published is None else number(claim.published) + pad_unit(claim.unit),
                ""
                if result is None
                else number(result.value, result.low, result.high) + pad_unit(result.unit),
                "not measured yet" if result is None else str(result.verdict),
                origin,
                claim.title.replace("**", ""),
            ]
        )
    voice.print_table(["claim", "published", "measured", "verdict", "by", "in words"], rows, styles=["bold"])
    voice.say(f"Measure: broadsheet run {found.slug}")
    if facts.names:
        voice.say(f"Import:  from {found.package.rpartition('.')[0]} import {', '.join(facts.names)}")
