"""The HTML of a report: one file, nothing asked for from outside, everything escaped."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from broadsheet.claims import Claim, Scale, Verdict
from broadsheet.lab.judge import rule_words
from broadsheet.lab.numbers import day, interval, number, pad_unit
from broadsheet.lab.report import KINDS, VERDICTS, ClaimReport, PaperReport, how_measured, read_csv
from broadsheet.lab.store import Result
from broadsheet.lab.strip import strip
from broadsheet.rooms import Problem

__all__ = ["badge", "document", "figure", "folded_table", "inline", "render", "svg_uri", "table"]

_TEN = "\u00a0×\u00a010"  # how a cell writes a power of ten
_CLASSES = {
    Verdict.REPRODUCED: "v-reproduced",
    Verdict.HOLDS: "v-holds",
    Verdict.INCONCLUSIVE: "v-grey",
    Verdict.NOT_REPRODUCED: "v-not",
    Verdict.NEEDS_DATA: "v-grey",
    Verdict.NEEDS_HARDWARE: "v-grey",
    Verdict.FAILED: "v-failed",
}
_RING = '<circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" stroke-width="2"/>'
_DASH = '<path d="M2 8h12" stroke="currentColor" stroke-width="2.5"/>'
_SHAPES = {
    Verdict.REPRODUCED: '<circle cx="8" cy="8" r="7.5" fill="currentColor"/>',
    Verdict.HOLDS: f'{_RING}<path d="M8 1.5a6.5 6.5 0 0 0 0 13z" fill="currentColor"/>',
    Verdict.INCONCLUSIVE: _RING,
    Verdict.NOT_REPRODUCED: '<path d="M2.5 2.5l11 11m0-11l-11 11" stroke="currentColor" stroke-width="2.5"/>',
    Verdict.NEEDS_DATA: _DASH,
    Verdict.NEEDS_HARDWARE: _DASH,
    Verdict.FAILED: '<path d="M8 1.5l7 13H1z" fill="currentColor"/>',
}


def render(reports: Sequence[PaperReport], problems: Sequence[Problem] = ()) -> str:
    """Return the page.

    Args:
        reports: What to show.
        problems: Papers that cannot be used.

    Returns:
        A whole HTML document.
    """
    single = len(reports) == 1
    title = reports[0].paper.facts.title if single else "What the papers claim, and what was measured"
    count = sum(len(report.claims) for report in reports)
    today = dt.datetime.now(dt.UTC)
    head = (
        f"{_many(len(reports), 'paper')}, {_many(count, 'claim')} · "
        f'<time datetime="{today:%Y-%m-%d}">{today.day} {today:%B %Y}</time>'
    )
    body = [
        f'<header class="masthead"><h1>{"Broadsheet" if single else escape(title)}</h1><p>{head}</p></header>',
        *(f'<p class="problem">{escape(str(problem))}</p>' for problem in problems),
        "" if single else _contents(reports),
        "<main>",
        *(_paper(report) for report in reports),
        "" if reports else "<p>There is no paper to report on. <code>broadsheet papers</code> lists all.</p>",
        "</main>",
        _legend(),
    ]
    return document(title, body)


def document(title: str, body: Sequence[str]) -> str:
    """Return a whole HTML document in the house style, in one file.

    Args:
        title: Its title, as text.
        body: Its parts, as HTML; empty ones are left out.

    Returns:
        The document.
    """
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    # The policy holds even if something escaped wrongly: no script, no request.
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} – Broadsheet</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body>\n</html>\n"
    )


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _contents(reports: Sequence[PaperReport]) -> str:
    rows = "".join(
        f'<li><a href="#{_id(report.paper.key)}">{escape(report.paper.facts.title)}</a></li>'
        for report in reports
    )
    return f'<nav aria-label="Papers"><ol>{rows}</ol></nav>' if rows else ""


def _id(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _paper(report: PaperReport) -> str:
    facts = report.paper.facts
    arxiv = f"https://arxiv.org/abs/{facts.arxiv_id}"
    meta = f'{escape(facts.authors)}, {facts.year} · <a href="{escape(arxiv)}">arXiv:{escape(facts.arxiv_id)}</a>'
    parts = [
        f'<section class="paper" id="{_id(report.paper.key)}"><h2>{escape(facts.title)}</h2>',
        f'<p class="meta">{meta} · <code>{escape(report.paper.key)}</code></p><p>{escape(facts.summary)}</p>',
    ]
    if report.problem:
        parts.append(f'<p class="problem">{escape(report.problem)}</p>')
    parts += [_claim(report, row) for row in report.claims]
    return "".join(parts) + "</section>"


def _claim(report: PaperReport, row: ClaimReport) -> str:
    claim, shown = row.claim, row.shown
    values = [("published", _published(claim))]
    newest = {result.scale: result for result in reversed(row.here) if result.is_measurement}
    here = [newest[scale] for scale in reversed(Scale) if scale in newest]
    values += [(f"measured here, {result.scale} scale", _value(result)) for result in here]
    if row.ours and row.ours.value is not None:
        values.append(("measured by us" if here else "measured (our reference)", _value(row.ours)))
    listed = "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in values)
    verdict = (
        badge(shown.verdict) + f' <span class="meta">({claim.kind})</span>' if shown else "not measured yet"
    )
    parts = [
        f'<article class="claim" id="{_id(report.paper.key + " " + claim.id)}"><h3>{inline(claim.title)}</h3>',
        f'<dl class="values">{listed}<div class="verdict">{verdict}</div></dl>',
        strip(claim, shown, [r for r in row.here if r is not shown]),
    ]
    failed = row.here[0] if row.here and row.here[0].verdict is Verdict.FAILED else None
    if failed and failed is not shown:
        parts.append(f'<p class="problem">The last attempt here failed: {escape(failed.reason)}</p>')
    command = f"broadsheet run {report.paper.slug}:{claim.id}"
    if shown is None:
        parts.append(f'<p class="reason">Measure it: <code>{escape(command)}</code></p>')
    else:
        parts += [f'<p class="reason">{escape(shown.reason)}</p>', *_seen(shown)]
    parts.append(_why(claim, shown, command))
    return "".join(parts) + "</article>"


def _published(claim: Claim) -> str:
    if claim.published is None:
        return "a direction"
    return escape(number(claim.published) + pad_unit(claim.unit))


def _value(result: Result) -> str:
    ends = interval(result.value, result.low, result.high) if result.value is not None else ""
    text = escape(number(result.value, result.low, result.high) + pad_unit(result.unit))
    note = f' <small class="meta">{escape(ends)}</small>' if ends else ""
    return f"<strong>{text}</strong>{note}"


def _seen(result: Result) -> list[str]:
    """Return what a result lets one see: its note, its figures, its tables, the end of a failure's output."""
    parts = [f'<p class="reason">{escape(result.note)}</p>'] if result.note else []
    for picture in result.figures:
        light, dark = (_data_uri(result, picture.files.get(f"{style}.svg")) for style in ("light", "dark"))
        if not light:
            continue
        below = _table(result, picture.table, "The same data as a table") if picture.table else ""
        parts.append(figure(light, dark, picture.caption, below))
    parts += [_table(result, table.file, table.caption) for table in result.tables]
    if result.error:
        parts.append(
            f"<details><summary>The end of its output</summary><pre>{escape(result.error)}</pre></details>"
        )
    return parts


def figure(light: str, dark: str, caption: str, below: str = "") -> str:
    """Return a figure with its dark twin.

    Args:
        light: Address of the picture.
        dark: Address of its twin on a dark ground, or "".
        caption: What it shows; also read by screen readers.
        below: HTML that stands below the caption.

    Returns:
        HTML.
    """
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">' if dark else ""
    words = escape(caption)
    return (
        f'<figure><picture>{source}<img src="{light}" alt="{words}"></picture>'
        f"<figcaption>{words}</figcaption>{below}</figure>"
    )


def _data_uri(result: Result, file: str | None) -> str:
    path = result.path(file) if file and result.folder else None
    return svg_uri(path) if path is not None and path.is_file() else ""


def svg_uri(path: Path) -> str:
    """Return an SVG file as an address that holds the whole file."""
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _table(result: Result, file: str, caption: str) -> str:
    heads, rows, count = read_csv(result.path(file)) if result.folder else ([], [], 0)
    return folded_table(heads, rows, caption, count)


def folded_table(heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str, count: int) -> str:
    """Return a table behind its caption, or "" without heads.

    Args:
        heads: Heads of the columns.
        rows: Cells as text; columns of numbers are aligned and rounded.
        caption: What it shows.
        count: How many rows there are in all.

    Returns:
        HTML.
    """
    if not heads:
        return ""
    more = f" (the first {len(rows)} of {count} rows)" if count > len(rows) else ""
    return (
        f"<details><summary>{escape(caption)}{more}</summary>{table(heads, rows, caption + more)}</details>"
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """Return a table: see :func:`folded_table`."""
    numeric = [all(_is_number(row[i]) for row in rows if i < len(row)) for i in range(len(heads))]
    mark = [' class="n"' if n else "" for n in numeric]
    head = "".join(f'<th scope="col"{m}>{escape(h)}</th>' for h, m in zip(heads, mark, strict=True))
    lines = "".join(
        "<tr>"
        + "".join(f"<td{m}>{escape(_short(c) if m else c)}</td>" for c, m in zip(row, mark, strict=False))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return not text or _TEN in text  # an empty cell is a number that is missing
    return True


def _short(text: str) -> str:
    return text if _TEN in text else number(float(text)) if text else "–"


def _why(claim: Claim, shown: Result | None, command: str) -> str:
    paragraphs = "".join(f"<p>{inline(part)}</p>" for part in re.split(r"\n\s*\n", claim.why) if part.strip())
    rows = [("kind", f"{claim.kind}: {KINDS[claim.kind]}"), ("in the paper", claim.where)]
    if words := rule_words(claim.rule):
        rows.append(("counts as holding", words))
    if shown:
        rows += how_measured(shown)
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows)
    if shown and shown.started:
        when = f'<time datetime="{escape(shown.started)}">{escape(day(shown.started))}</time>'
        listed += f"<dt>measured</dt><dd>{when}</dd>"
    listed += f"<dt>again</dt><dd><code>{escape(command)} --again</code></dd>"
    summary = "<summary>How it was measured, and why it counts</summary>"
    return f'<details>{summary}{paragraphs}<dl class="facts">{listed}</dl></details>'


def _legend() -> str:
    rows = "".join(f"<dt>{badge(verdict)}</dt><dd>{escape(text)}</dd>" for verdict, text in VERDICTS.items())
    return f'<footer><p class="meta">What the verdicts mean</p><dl class="facts">{rows}</dl></footer>'


def badge(verdict: Verdict) -> str:
    """Return a verdict's shape and word.

    Example:
        >>> "reproduced" in badge(Verdict.REPRODUCED)
        True
    """
    svg = f'<svg viewBox="0 0 16 16" aria-hidden="true">{_SHAPES[verdict]}</svg>'
    return f'<span class="verdict {_CLASSES[verdict]}">{svg}{escape(verdict)}</span>'


@functools.cache
def _markdown() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("zero").enable(["emphasis", "backticks"])


def inline(text: str) -> str:
    """Turn ``**strong**``, ``*emphasis*`` and code into HTML; all else is escaped.

    Example:
        >>> inline("trains **0.047 %** of <all>")
        'trains <strong>0.047 %</strong> of &lt;all&gt;'
    """
    rendered: str = _markdown().renderInline(text)
    return rendered
