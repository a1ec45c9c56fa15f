"""The Markdown of a report: reads well as plain text, and on any page that shows Markdown."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from urllib.parse import quote

from broadsheet.lab.judge import rule_words
from broadsheet.lab.markup import fenced, plain, sentence
from broadsheet.lab.numbers import day, number, pad_unit
from broadsheet.lab.reference import SHAPES
from broadsheet.lab.report import VERDICTS, ClaimReport, PaperReport, figure_name, how_measured
from broadsheet.rooms import Problem

__all__ = ["render"]


def render(
    reports: Sequence[PaperReport], problems: Sequence[Problem] = (), figures: str | None = None
) -> str:
    """Return the report as Markdown.

    Args:
        reports: What to show.
        problems: Papers that cannot be used.
        figures: Folder of the figures, relative to the report; None leaves them out.
    """
    today = dt.datetime.now(dt.UTC)
    lines = ["# What the papers claim, and what was measured", "", f"{today.day} {today:%B %Y}", ""]
    lines += [f"> {plain(str(problem))}\n" for problem in problems]
    for report in reports:
        lines += _paper(report, figures)
    if not reports:
        lines += ["There is no paper to report on. `broadsheet papers` lists all.", ""]
    lines += ["## What the verdicts mean", ""]
    lines += [f"- {SHAPES[verdict]} **{verdict}**: {text}" for verdict, text in VERDICTS.items()]
    return "\n".join(lines) + "\n"


def _paper(report: PaperReport, figures: str | None) -> list[str]:
    facts = report.paper.facts
    lines = [
        f"## {plain(facts.title)}",
        "",
        f"{plain(facts.authors)}, {facts.year} · [arXiv:{facts.arxiv_id}](https://arxiv.org/abs/{facts.arxiv_id}) "
        f"· `{report.paper.key}`",
        "",
        plain(facts.summary),
        "",
    ]
    if report.problem:
        return [*lines, f"> {plain(report.problem)}", ""]
    lines += ["| Claim | Published | Measured | Verdict |", "|---|---|---|---|"]
    for row in report.claims:
        shown = row.shown
        title = sentence(row.claim.title)
        published = "a direction" if row.claim.published is None else number(row.claim.published)
        published += pad_unit(row.claim.unit) if row.claim.published is not None else ""
        verdict = f"{SHAPES[shown.verdict]} {shown.verdict}" if shown else "not measured yet"
        lines.append(
            f"| {title} | {plain(published)} | {plain(shown.in_words()) if shown else ''} | {verdict} |"
        )
    lines.append("")
    for row in report.claims:
        lines += _claim(report, row, figures)
    return lines


def _claim(report: PaperReport, row: ClaimReport, figures: str | None) -> list[str]:
    claim, shown = row.claim, row.shown
    command = f"broadsheet run {report.paper.slug}:{claim.id}"
    lines = [f"### {sentence(claim.title)}", ""]
    if shown is None:
        return [*lines, f"Not measured yet: `{command}`", ""]
    lines += [f"{SHAPES[shown.verdict]} **{shown.verdict}** ({claim.kind}). {plain(shown.reason)}", ""]
    lines += [plain(shown.note), ""] if shown.note else []
    for picture in shown.figures if figures else ():
        name = quote(f"{figures}/{figure_name(report.paper, claim, picture)}")
        lines += [f"![{plain(picture.caption)}]({name})", "", plain(picture.caption), ""]
    lines += [plain(part) + "\n" for part in re.split(r"\n\s*\n", claim.why) if part.strip()]
    if words := rule_words(claim.rule):
        lines.append(f"- counts as holding: {plain(words)}")
    lines.append(f"- in the paper: {plain(claim.where)}")
    lines += [f"- {name}: {plain(text)}" for name, text in how_measured(shown)]
    lines += [f"- measured: {day(shown.started)}"] if shown.started else []
    lines += [f"- again: `{command} --again`", ""]
    if shown.error:
        lines += [*fenced(shown.error), ""]
    return lines
