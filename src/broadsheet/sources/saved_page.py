"""Reads a saved Daily Papers page: the plain text that "select all, copy" gives in a browser.

A page is a preamble, the date of the page, and papers::

    page  = preamble pagedate 1*( blank paper )
    paper = title blank abstract [ blank meta ]
    meta  = ( authors / org / org LF authors ) LF "·" LF date
    date  = MON SP DAY [ ", " YEAR ] [ SP comments ]

A year is printed exactly when it differs from the page's own. Memory is bounded: held are one line, at most four
blocks of text and nothing of the papers already yielded. Where the whole page must be seen before the first paper
(``strict``, or the year must be inferred), the page is read twice instead of being kept.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from broadsheet.sources.page_text import WAY_OUT, Block, blocks, clean_lines, openable
from broadsheet.sources.record import (
    LONGEST_TITLE,
    Organisation,
    PaperRecord,
    Problem,
    SourceError,
    checked,
)
from broadsheet.sources.text import shorten

__all__ = ["read"]

SOURCE = "saved-page"

# Far above what a page of papers holds, far below what hurts.
_LONGEST_NAME = 300
_LONGEST_HANDLE = 200
_LONGEST_PREAMBLE = 10_000  # lines
_MOST_PAPERS = 100_000
_MOST_FAULTS = 1000  # beyond that, and more than papers: it is another kind of file
_MOST_DIGITS = 6  # of a count of authors or comments
_ONE_DAY = dt.timedelta(days=1)  # somewhere it already is tomorrow

_MONTHS = {
    name: i
    for i, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}
_DOT = "·"
_AUTHORS = re.compile(r"• ([0-9]+) authors?")
_ORGANISATION = re.compile(r"([^\s•·/?#\\<>\"']+) (.+)")
_DATE = re.compile(rf"({'|'.join(_MONTHS)}) ([1-9][0-9]?)(?:, ([0-9]{{4}}))?(?: ([0-9]+))?")


def read(
    source: Path | BinaryIO | Iterable[bytes],
    *,
    saved: dt.date | None,
    on_problem: Callable[[Problem], None],
    strict: bool = False,
    today: dt.date | None = None,
) -> Iterator[PaperRecord]:
    r"""Read the papers of a saved Daily Papers page, one after the other.

    A paper that does not follow the layout is left out and reported; the others are read all the same.

    Args:
        source: A file, an open binary file (read from where it stands), or the bytes in chunks.
        saved: Day on which the page was saved; its year is the year of every date that prints none. None: the year
            is inferred where exactly one is possible (later than every year the page prints, page not in the
            future), and the page is refused otherwise.
        on_problem: Called with every fault. A fault with ``warning`` set did not cost a paper.
        strict: Refuse the page at its first fault that is not a warning, before any paper is yielded.
        today: Latest day that the page may be of, when its year is inferred; the current day if None.

    Yields:
        The papers in the order of the page. ``listed_on`` is the page's day, ``published_on`` the paper's own;
        ``author_count`` is None where the page shows an organisation instead; ``comments_at_save`` is 0 where a
        date stands without a number, and None where no date stands.

    Raises:
        SourceError: If the source cannot be read, is no Daily Papers page, has no knowable year, prints a date that
            it cannot have printed on the day ``saved``, or has a fault and ``strict`` is set.
        TypeError: If the source is none of the three kinds.
        ValueError: If ``saved`` lies in the future.

    Example:
        >>> import io
        >>> page = io.BytesIO("Dec 8\n\nA title\n\nAn abstract.\n\n • 2 authors\n·\nJan 21 3\n".encode())
        >>> paper, = read(page, saved=dt.date(2025, 12, 8), on_problem=print)
        >>> paper.title, paper.published_on.isoformat(), paper.comments_at_save
        ('A title', '2025-01-21', 3)
    """
    if isinstance(source, str | bytes | bytearray):
        raise TypeError(
            f"source must be a Path, a binary file or chunks of bytes, got {type(source).__name__}"
        )
    today = today or dt.date.today()
    if saved is not None and saved > today + _ONE_DAY:
        raise ValueError(f"saved must not lie in the future, got {saved}")
    return _read(source, saved, on_problem, strict, today)


def _read(
    source: Path | BinaryIO | Iterable[bytes],
    saved: dt.date | None,
    on_problem: Callable[[Problem], None],
    strict: bool,
    today: dt.date,
) -> Iterator[PaperRecord]:
    with openable(source, often=strict or saved is None) as start:
        year = saved.year if saved is not None else _infer_year(start(), today, on_problem)
        if strict:
            for _ in _Page(year, saved, _refuse).papers(start()):
                pass
        yield from _Page(year, saved, on_problem).papers(start())


def _refuse(problem: Problem) -> None:
    if not problem.warning:
        raise SourceError(problem)


# --- dates -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Date:
    """A date as printed."""

    month: int
    day: int
    year: int | None
    comments: int | None
    line: int
    text: str

    def in_year(self, year: int) -> dt.date | None:
        """Return the day, a missing year filled in; None if the calendar has no such day."""
        try:
            return dt.date(self.year if self.year is not None else year, self.month, self.day)
        except ValueError:
            return None


class _Fault(Exception):
    """A paper cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _parse_date(number: int, text: str) -> _Date | None:
    found = _DATE.fullmatch(text)
    if not found:
        return None
    month, day, year, comments = found.groups()
    if comments is not None and len(comments) > _MOST_DIGITS:
        raise _Fault(
            Problem(f"a number of comments has at most {_MOST_DIGITS} digits", number, shorten(text))
        )
    return _Date(
        _MONTHS[month],
        int(day),
        int(year) if year else None,
        int(comments) if comments else None,
        number,
        text,
    )


def _infer_year(chunks: Iterable[bytes], today: dt.date, on_problem: Callable[[Problem], None]) -> int:
    """Return the only year that the page can be of, or refuse the page."""
    page = _Page(today.year, None, lambda problem: None)
    day = page.begin(chunks)
    latest = day.year - 1 if day.year is not None else None  # the page's own year may be this one
    for draft in page.drafts():
        if draft.date is not None and draft.date.year is not None and draft.date.in_year(0) is not None:
            latest = max(latest or 0, draft.date.year)
    if day.year is not None and latest == day.year - 1:
        return day.year
    say = (
        f"pass the day on which the page was saved (saved=, on the command line --saved YYYY-MM-{day.day:02})"
    )
    if latest is None:
        raise SourceError(
            Problem(
                f"the page prints no year at all, so that of its date is unknown: {say}", day.line, day.text
            )
        )
    tomorrow = today + _ONE_DAY
    fitting = [
        year for year in range(latest + 1, tomorrow.year + 1) if (d := day.in_year(year)) and d <= tomorrow
    ]
    if len(fitting) != 1:
        which = ", ".join(map(str, fitting[:5])) if fitting else "none"
        raise SourceError(
            Problem(
                f"the year of the page is not printed and cannot be told from the years up to {latest} that are "
                f"(possible: {which}): {say}",
                day.line,
                day.text,
            )
        )
    on_problem(
        Problem(
            f"the year of the page is not printed; taken as {fitting[0]}, the only one after {latest}, the latest "
            "that is printed, and not in the future",
            day.line,
            day.text,
            warning=True,
        )
    )
    return fitting[0]


# --- papers ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Draft:
    """A paper as printed, its year not yet filled in."""

    line: int
    title: str
    abstract: str
    author_count: int | None = None
    organisation: Organisation | None = None
    date: _Date | None = None


class _Page:
    """One reading of a page.

    Args:
        year: Year of dates that print none.
        saved: Day on which the page was saved, if known.
        report: Called with every fault.
    """

    def __init__(self, year: int, saved: dt.date | None, report: Callable[[Problem], None]) -> None:
        self._year = year
        self._saved = saved
        self._report = report
        self._faults = 0
        self._papers = 0
        self._saw_meta = False
        self._saw_odd_year = False
        self._lines: Iterator[tuple[int, str | None, int]] = iter(())

    def papers(self, chunks: Iterable[bytes]) -> Iterator[PaperRecord]:
        """Yield the papers of the page."""
        day = self.begin(chunks)
        listed = day.in_year(self._year)
        if listed is None:
            raise SourceError(
                Problem(f"there is no such day in {day.year or self._year}", day.line, day.text)
            )
        self._refuse_later(day, listed, "the page is of")
        for draft in self.drafts():
            try:
                yield self._record(draft, listed)
            except _Fault as fault:
                self._fault(fault.problem)
        if not self._saw_meta and not self._papers:
            raise SourceError(
                Problem(f"no paper stands after the date of the page; {WAY_OUT}", day.line, day.text)
            )
        if not self._saw_meta:
            self._warn(
                "no paper on this page shows authors and date: is it a Daily Papers page?", day.line, day.text
            )

    def _refuse_later(self, date: _Date, day: dt.date, what: str) -> None:
        """Refuse the page where it prints a day that had not come when it was saved."""
        if self._saved is not None and day > self._saved + _ONE_DAY:
            message = (
                f"{what} {day}, so it was not saved on {self._saved}: give the day on which it was (saved=)"
            )
            raise SourceError(Problem(message, date.line, date.text))

    def begin(self, chunks: Iterable[bytes]) -> _Date:
        """Read up to the date of the page and return it."""
        in_preamble = True  # of which nothing is kept, so that its faults are nobody's concern
        self._lines = clean_lines(chunks, lambda problem: None if in_preamble else self._report(problem))
        before = ""
        number = 0
        for number, text, _ in self._lines:
            if number > _LONGEST_PREAMBLE:
                break
            if not text:
                continue
            found = _DATE.fullmatch(text)
            if found and before == _DOT:
                raise SourceError(
                    Problem(
                        "this date belongs to a paper, and the date of the page, such as 'Dec 8' alone on a line, "
                        f"is missing before it; {WAY_OUT}",
                        number,
                        text,
                    )
                )
            if found and found[4] is None:
                day = _parse_date(number, text)
                assert day is not None
                if day.in_year(2000) is None:  # a leap year: every day there is
                    raise SourceError(Problem("the date of the page is no day of the calendar", number, text))
                in_preamble = False
                return day
            before = text
        where = f"in the first {number:,} lines" if number > _LONGEST_PREAMBLE else f"in its {number:,} lines"
        raise SourceError(
            f"this is no Daily Papers page: the date of the page, such as 'Dec 8' alone on a line, does not stand "
            f"{where}; {WAY_OUT}"
        )

    def drafts(self) -> Iterator[_Draft]:
        """Yield the papers after the date of the page, as printed."""
        pending: list[Block] = []  # title, abstract, and what may be more of it or the next paper
        torn = False  # the last block of authors and date was faulty: what follows may be the rest of it
        for block in blocks(self._lines):
            first = block.lines[0][1]
            if _is_meta(block):
                self._saw_meta = True
                faults = self._faults
                yield from self._close(pending, block)
                pending = []
                torn = self._faults > faults
            elif not pending and (
                first == _DOT or (torn and len(block.lines) == 1 and _DATE.fullmatch(first))
            ):
                if not torn:
                    self._fault(Problem("expected a title", block.number, shorten(first)))
            else:
                torn = False
                pending.append(block)
                if len(pending) == 4:  # an abstract in two blocks is one only where authors and date follow
                    yield from self._close(pending[:2], None)
                    del pending[:2]
        yield from self._close(pending[:2], None)
        yield from self._close(pending[2:], None)

    def _close(self, text: list[Block], meta: Block | None) -> Iterator[_Draft]:
        """Yield the paper that the blocks make up, or report why they make up none."""
        if text or meta:
            try:
                yield _draft(text, meta)
            except _Fault as fault:
                self._fault(fault.problem)
            else:
                if len(text) > 2:
                    self._warn(
                        "the abstract has two parts with an empty line between; if the second is a title, its "
                        "abstract is missing",
                        text[2].number,
                        text[2].lines[0][1],
                    )

    def _record(self, draft: _Draft, listed: dt.date) -> PaperRecord:
        published = None
        if draft.date is not None:
            published = draft.date.in_year(self._year)
            if published is None:
                year = draft.date.year if draft.date.year is not None else self._year
                raise _Fault(Problem(f"there is no such day in {year}", draft.date.line, draft.date.text))
            if draft.date.year is not None:  # without one it may be a day of the year before
                self._refuse_later(draft.date, published, "the page prints the date")
            self._doubt(draft.date, published, listed)
        self._papers += 1
        if self._papers > _MOST_PAPERS:
            raise SourceError(Problem(f"a page holds at most {_MOST_PAPERS:,} papers; {WAY_OUT}", draft.line))
        record = PaperRecord(
            title=draft.title,
            source=SOURCE,
            abstract=draft.abstract,
            author_count=draft.author_count,
            organisation=draft.organisation,
            published_on=published,
            listed_on=listed,
            comments_at_save=None if draft.date is None else draft.date.comments or 0,
            line=draft.line,
        )
        try:
            return checked(record)
        except ValueError as error:
            raise _Fault(Problem(str(error), draft.line, shorten(draft.title))) from error

    def _doubt(self, date: _Date, published: dt.date, listed: dt.date) -> None:
        """Warn of a date that can be read but hardly be right."""
        if published > listed:
            what = "" if date.year is not None else f" without year, taken as {self._year},"
            self._warn(f"this date{what} is after the page's own day, {listed}", date.line, date.text)
        if date.year == self._year and not self._saw_odd_year:
            self._saw_odd_year = True
            message = f"the year {self._year} is printed, so the page was saved in another year: check the day given"
            self._warn(message, date.line, date.text)
        if date.comments is not None and date.year is None and 1990 <= date.comments <= 2100:
            message = f"{date.comments} is read as a number of comments, since a year stands after a comma"
            self._warn(message, date.line, date.text)

    def _warn(self, message: str, line: int, found: str) -> None:
        self._report(Problem(message, line, shorten(found), warning=True))

    def _fault(self, problem: Problem) -> None:
        self._faults += 1
        self._report(problem)
        if self._faults > max(_MOST_FAULTS, self._papers):
            raise SourceError(
                Problem(
                    f"more than {self._faults - 1:,} papers do not follow the layout; {WAY_OUT}", problem.line
                )
            )


def _is_meta(block: Block) -> bool:
    texts = [text for _, text in block.lines[:3]]
    if _AUTHORS.fullmatch(texts[0]) or texts[1:2] == [_DOT]:
        return True
    return texts[2:] == [_DOT] and bool(_AUTHORS.fullmatch(texts[1]))


def _draft(text: list[Block], meta: Block | None) -> _Draft:
    """Return the paper of a title, one or two blocks of abstract and a block of authors and date."""
    if meta is not None and len(text) < 2:
        block = text[0] if text else meta
        expected = "an abstract between this title and its authors" if text else "a title above these authors"
        raise _Fault(Problem(f"expected {expected}", block.number, shorten(block.lines[0][1])))
    title, *abstract = text
    for block in text:
        if block.too_long is not None:
            raise _Fault(block.too_long)
    if len(title.lines) > 1:
        number, found = title.lines[1]
        raise _Fault(Problem("expected an empty line after the title", number, shorten(found)))
    line, name = title.lines[0]
    if len(name) > LONGEST_TITLE:
        raise _Fault(Problem(f"a title has at most {LONGEST_TITLE:,} characters", line, shorten(name)))
    if not abstract:
        raise _Fault(Problem("expected an abstract after this title", line, shorten(name)))
    lines = [entry for block in abstract for entry in block.lines]
    if meta is None:
        if len(lines) > 1:
            what = "expected an empty line after the abstract: without authors and date it has one line"
            raise _Fault(Problem(what, lines[1][0], shorten(lines[1][1])))
        return _Draft(line, name, lines[0][1])
    organisation, count, date = _parse_meta(meta)
    return _Draft(line, name, " ".join(words for _, words in lines), count, organisation, date)


def _parse_meta(block: Block) -> tuple[Organisation | None, int | None, _Date]:
    """Return organisation, number of authors and date of a block that `_is_meta`."""
    if block.too_long is not None:
        raise _Fault(block.too_long)
    lines = list(block.lines)
    last = lines[-1]
    organisation = count = None

    def take(expected: str) -> tuple[int, str]:
        if not lines:
            raise _Fault(Problem(f"expected {expected} on the next line", last[0], shorten(last[1])))
        return lines.pop(0)

    if not _AUTHORS.fullmatch(lines[0][1]):
        organisation = _parse_organisation(*lines.pop(0))
        if lines[0][1] == _DOT and len(lines) > 1 and _AUTHORS.fullmatch(lines[1][1]):
            del lines[0]
    if lines and (found := _AUTHORS.fullmatch(lines[0][1])):
        count = _parse_count(found[1], *lines.pop(0))
    number, text = take("'·' alone")
    if text != _DOT:
        raise _Fault(Problem("expected '·' alone on this line", number, shorten(text)))
    number, text = take("a date")
    date = _parse_date(number, text)
    if date is None:
        expected = (
            "expected a date such as 'Jan 21' or 'Apr 18, 2024', and at most a number of comments after it"
        )
        raise _Fault(Problem(expected, number, shorten(text)))
    if lines:
        raise _Fault(Problem("expected an empty line after the date", lines[0][0], shorten(lines[0][1])))
    return organisation, count, date


def _parse_count(digits: str, number: int, text: str) -> int:
    if len(digits) > _MOST_DIGITS or int(digits) == 0:
        raise _Fault(
            Problem(f"expected 1 author or more, in at most {_MOST_DIGITS} digits", number, shorten(text))
        )
    return int(digits)


def _parse_organisation(number: int, text: str) -> Organisation:
    found = _ORGANISATION.fullmatch(text)
    if not found or len(found[1]) > _LONGEST_HANDLE or len(found[2]) > _LONGEST_NAME:
        expected = "expected '• 5 authors', or an organisation's handle and name such as 'openbmb OpenBMB'"
        raise _Fault(Problem(expected, number, shorten(text)))
    return Organisation(found[1], found[2])
