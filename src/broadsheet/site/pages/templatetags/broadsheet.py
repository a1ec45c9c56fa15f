"""How the pages write titles, names, dates, verdicts and addresses."""

from __future__ import annotations

import csv
import datetime as dt
import functools
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from django import template
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

from broadsheet.lab.markup import printable
from broadsheet.lab.numbers import duration, number
from broadsheet.lab.progress import Running
from broadsheet.lab.store import Result
from broadsheet.search.fts5 import Segment
from broadsheet.site.pages import items, mathematics, measurements
from broadsheet.site.pages.calendars import calendar_table
from broadsheet.site.pages.editions import day_words
from broadsheet.site.pages.plot import claim_plot
from broadsheet.site.papers.models import Paper
from broadsheet.sources.text import shorten

register = template.Library()
register.simple_tag(claim_plot)
register.simple_tag(calendar_table)
register.filter("plain", mathematics.plain)
register.filter("byline", items.byline)
register.filter("clip", mathematics.clip)
register.filter("duration", duration)
register.filter("measured", measurements.measured_words)
register.filter("spread", measurements.interval_words)
register.filter("mark", measurements.mark_of)

_MOST_ROWS, _MOST_COLUMNS = 5, 12
_BOLD = re.compile(r"\*\*(.+?)\*\*")
# Raw HTML in Markdown stays text, and links go to the web or nowhere.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


@register.filter
def tex(text: str) -> SafeString:
    """Render a text of a source, without links: for titles and inside links."""
    return mathematics.render(text, links=False)


@register.filter
def tex_links(text: str) -> SafeString:
    """Render a text of a source, addresses as links."""
    return mathematics.render(text, links=True)


@register.filter
def sentence(text: str) -> SafeString:
    """Render a claim: TeX, and what stands between two pairs of stars set strong."""
    return mark_safe(_BOLD.sub(r"<strong>\1</strong>", tex(text)))


@register.filter
@functools.lru_cache(maxsize=1024)
def prose(text: str) -> SafeString:
    """Render Markdown of a paper's folder; raw HTML in it stays text."""
    # Docstrings write code between two backticks; Markdown reads those alike.
    return mark_safe(str(_MARKDOWN.render(text)))


@register.filter
def day(value: dt.date | None) -> SafeString:
    """Write a date for people and machines."""
    if value is None:
        return mark_safe("")
    if isinstance(value, dt.datetime):
        value = value.date()
    return items.day_element(value)


@register.filter
def moment(iso: str) -> SafeString:
    """Write the day of an ISO time for people and machines."""
    try:
        when = dt.datetime.fromisoformat(iso)
    except ValueError:
        return mark_safe("")
    return _time(when, day_words(when.date()))


def _time(when: dt.datetime, words: str) -> SafeString:
    # To the second: a page says many times when something was measured.
    machine = when.isoformat(timespec="seconds").replace("+00:00", "Z")
    return format_html('<time datetime="{}">{}</time>', machine, words)


@register.filter
def ago(iso: str) -> SafeString:
    """Write how long ago an ISO time was; from a week on, its day."""
    try:
        when = dt.datetime.fromisoformat(iso)
    except ValueError:
        return mark_safe("")
    when = when if when.tzinfo else when.replace(tzinfo=dt.UTC)
    words = _ago((timezone.now() - when).total_seconds()) or f"on {day_words(when.date())}"
    return _time(when, words)


def _ago(seconds: float) -> str:
    if seconds < 60:
        return "just now"
    for size, limit, word in ((60, 3600, "minute"), (3600, 86400, "hour"), (86400, 7 * 86400, "day")):
        if seconds < limit:
            count = int(seconds // size)
            return f"{count} {word}{'s' if count > 1 else ''} ago"
    return ""


@register.filter
def doing(work: Running) -> str:
    """Return what a running measurement is doing, in one short line."""
    return shorten(printable(work.label or work.said), 120)


@register.filter
def share(work: Running) -> str:
    """Return how far a running measurement is, as a number in [0, 1] for machines."""
    return f"{min(max(work.fraction or 0.0, 0.0), 1.0):.3f}"


@register.filter
def percent(work: Running) -> str:
    """Return how far a running measurement is, in words."""
    return f"{100 * float(share(work)):.0f}\u00a0%"


@register.filter
def web(address: str) -> str:
    """Return an address if it leads to the web, else "": a foreign ``javascript:`` never becomes a link."""
    try:
        parts = urlsplit(address.strip())
        return address.strip() if parts.scheme.lower() in ("http", "https") and parts.hostname else ""
    except ValueError:
        return ""


@register.filter
def host(address: str) -> str:
    """Return the host of an address, as a short name for it."""
    return (urlsplit(address).hostname or "").removeprefix("www.")


@register.simple_tag
def item(paper: Paper, view: measurements.PaperView | None, level: int, length: int) -> SafeString:
    """Set a paper in a list."""
    more = render_to_string("pages/runs.html", {"view": view}) if view else ""
    return items.item(paper, level, length, mark_safe(more))


@register.filter
def authors(paper: Paper) -> str:
    """Return a paper's authors in short form."""
    return items.author_words(paper.authors_text, paper.author_count)


@register.simple_tag
def verdict(view: measurements.ClaimView) -> SafeString:
    """Draw a claim's verdict: shape, word, colour."""
    return badge(view.mark, view.verdict)


@register.simple_tag
def badge(name: str, word: str) -> SafeString:
    """Draw a verdict: shape, word, colour."""
    return format_html(
        '<span class="verdict v-{0}"><svg class="mark" aria-hidden="true">'
        '<use href="#v-{0}"/></svg>{1}</span>',
        name,
        word,
    )


@register.simple_tag
def asset(path: str) -> str:
    """Return the address of a static file, with the hash of its content so that browsers may keep it for ever."""
    return f"{static(path)}?v={_content_hash(path)}"


@functools.lru_cache(maxsize=64)
def _content_hash(path: str) -> str:
    found = finders.find(path)
    if not isinstance(found, str):
        return "0"
    with open(found, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


@register.simple_tag
def term(name: object, word: str, explanation: str) -> SafeString:
    """Write a word whose explanation opens by pointer and by keyboard."""
    return format_html(
        '<button type="button" class="term" aria-describedby="tip-{0}">{1}</button>'
        '<span role="tooltip" class="tip" id="tip-{0}">{2}</span>',
        name,
        word,
        explanation,
    )


@register.filter
def file(files: Mapping[str, str], name: str) -> str:
    """Return a figure's file name of that kind, or "": template names cannot hold a dot."""
    return files.get(name, "")


@register.simple_tag
def data_table(
    paper: Paper, claim: measurements.ClaimView, result: Result, name: str, caption: str
) -> SafeString:
    """Show the beginning of a result's table, with a link to all of it; a file that cannot be read shows nothing."""
    if result.folder is None or name not in measurements.named_files(result):
        return mark_safe("")
    path = result.path(name)
    return _table(path, measurements.stamp(path), caption, file_address(paper, claim, result, name))


@functools.lru_cache(maxsize=512)
def _table(path: Path, stamp: int, caption: str, address: str) -> SafeString:
    try:
        with path.open(encoding="utf-8", newline="") as text:
            rows = [row[:_MOST_COLUMNS] for row in csv.reader(text)]
    except (OSError, ValueError, csv.Error):
        return mark_safe("")
    if len(rows) < 2:
        return mark_safe("")
    more = len(rows) - 1 - _MOST_ROWS
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_cell(c))}</td>' for c in row)}</tr>" for row in rows[1 : _MOST_ROWS + 1]
    )
    return format_html(
        '<details class="fold"><summary>The same as a table</summary><div class="scroll" tabindex="0" role="region" '
        'aria-label="{}"><table class="data"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
        '<p class="small"><a href="{}">{}</a></p></details>',
        shorten(mathematics.plain(caption), 60),
        mark_safe(head),
        mark_safe(body),
        address,
        f"{more} more rows in the CSV file" if more > 0 else "As a CSV file",
    )


def _cell(text: str) -> str:
    """Write a number with the digits that a reader can use; the file holds all of them."""
    try:
        value = float(text)
    except ValueError:
        return text[:200]
    return number(value) if "." in text or "e" in text.lower() else text


@register.filter
def passage(pieces: Iterable[Segment]) -> SafeString:
    """Render a passage of a search result, the words that were asked for marked."""
    return mark_safe("".join(f"<mark>{escape(p.text)}</mark>" if p.is_match else tex(p.text) for p in pieces))


_VIEW_BOX = re.compile(rb'viewBox="0 0 ([0-9.]+) ([0-9.]+)"')


@register.simple_tag
def picture_size(result: Result, name: str) -> SafeString:
    """Write width and height of a drawing, so that the page does not move when it comes."""
    width, height = (700, 400)
    if result.folder is not None and name in measurements.named_files(result):
        width, height = _size(result.path(name), measurements.stamp(result.path(name)))
    return format_html('width="{}" height="{}"', width, height)


@functools.lru_cache(maxsize=512)
def _size(path: Path, stamp: int) -> tuple[int, int]:
    try:
        with path.open("rb") as file:
            found = _VIEW_BOX.search(file.read(2000))
        return (700, round(700 * float(found[2]) / float(found[1]))) if found else (700, 400)
    except (OSError, ValueError, ZeroDivisionError):
        return 700, 400


@register.simple_tag
def file_address(paper: Paper, view: measurements.ClaimView, result: Result, name: str) -> str:
    """Return the address of a file of a result."""
    label = measurements.result_name(result, is_here=result is not view.reference)
    address = reverse("file", args=[paper.key, view.claim.id, label, name])
    # Our references keep their names when they are measured anew.
    return f"{address}?v={re.sub('[^0-9]', '', result.started)[:14]}" if label == "reference" else address
