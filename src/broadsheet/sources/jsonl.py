"""Reads arXiv metadata in bulk: JSON Lines, plain or compressed.

Two layouts are known, told apart field by field, so that one file may hold both:

- ours: ``id``, ``title``, ``abstract``, ``authors`` (list), ``categories`` (list), ``first_seen``, ``comment``;
- arXiv's dump on Kaggle: ``authors`` (one string) and ``authors_parsed``, ``categories`` (one string), ``versions``,
  ``update_date``, ``comments``, ``journal-ref``, ``doi``.
"""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from broadsheet.sources.compressed import BROKEN_FILE, open_plain
from broadsheet.sources.fields import arxiv_categories, day, is_withdrawn, mail_day, person_name, split_names
from broadsheet.sources.ids import ArxivId, parse_arxiv_id
from broadsheet.sources.record import PaperRecord, Problem, SourceError, checked
from broadsheet.sources.text import one_line, shorten

__all__ = ["read"]

SOURCE = "jsonl"

_LONGEST_LINE = 1 << 23  # bytes after decompression; a paper with 5,000 authors has under 1 MiB
_MOST_SKIPPED = 1 << 28  # bytes of one over-long line that are passed over before the file is refused
_MOST_FAULTS = 1000  # beyond that, and more than records: it is another kind of file
_FIRST_FAULTS = 10  # so many lines without one record: likewise


def read(
    source: Path | BinaryIO,
    *,
    on_problem: Callable[[Problem], None],
    strict: bool = False,
) -> Iterator[PaperRecord]:
    r"""Read bulk metadata of arXiv, one record a line, in constant memory.

    A line that is no record is left out and reported; unknown keys are passed over.

    Args:
        source: A file, or an open binary file (read from where it stands); plain, or compressed with gzip, xz or
            bzip2, which is seen by its content.
        on_problem: Called with every fault, which names its line.
        strict: Raise at the first fault that is not a warning. Records before it have been yielded by then.

    Yields:
        The records in the order of the file. ``first_seen`` becomes ``listed_on``; the first and last of ``versions``
        give ``published_on`` and ``updated_on``.

    Raises:
        SourceError: If the file cannot be read, is damaged or torn, is no JSON Lines of arXiv metadata, or has a fault
            and ``strict`` is set.

    Example:
        >>> line = b'{"id": "2401.00001", "title": "A title", "authors": ["A. Doe"], "categories": ["cs.LG"]}\n'
        >>> [paper.arxiv_id for paper in read(io.BytesIO(line), on_problem=print)]
        ['2401.00001']
    """
    if not isinstance(source, Path) and not hasattr(source, "read"):
        raise TypeError(f"source must be a Path or a binary file, got {type(source).__name__}")
    return _read(source, _Faults(on_problem, strict))


def _read(source: Path | BinaryIO, faults: _Faults) -> Iterator[PaperRecord]:
    with ExitStack() as stack:
        try:
            file = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
            plain = open_plain(file)
        except OSError as error:
            raise SourceError(f"{source} cannot be read: {error.strerror or error}") from error
        for number, line in _lines(plain):
            if line is None:
                faults.add(Problem(f"a line has at most {_LONGEST_LINE >> 20} MiB", number))
                continue
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                text = line.decode("utf-8", errors="replace")
                what = (
                    f"byte 0x{line[error.start]:02x} at place {error.start + 1} is not UTF-8 and was replaced"
                )
                faults.add(Problem(what, number, shorten(text), warning=True))
            if text.isspace():
                continue
            if number == 1:
                text = text.removeprefix("\ufeff")
            try:
                record = checked(_record(_object(text), number))
            except ValueError as error:
                faults.add(Problem(str(error), number, shorten(text)))
            else:
                faults.passed()
                yield record
        faults.end()


class _Faults:
    """Reports faults, and gives up on a file that holds hardly anything else."""

    def __init__(self, report: Callable[[Problem], None], strict: bool) -> None:
        self._report = report
        self._strict = strict
        self._held: list[Problem] = []  # until the first record shows that it is the right kind of file
        self._faults = 0
        self._records = 0

    def add(self, problem: Problem) -> None:
        if not problem.warning:
            if self._strict:
                raise SourceError(problem)
            self._faults += 1
        if self._records:
            self._report(problem)
        else:
            self._held.append(problem)
        if self._faults >= _FIRST_FAULTS and not self._records:
            raise self._another_kind(f"none of the first {self._faults} lines is a record")
        if self._faults > max(_MOST_FAULTS, self._records):
            raise SourceError(
                Problem(
                    f"given up: {self._faults:,} lines are no records, {self._records:,} are", problem.line
                )
            )

    def _another_kind(self, why: str) -> SourceError:
        first = next((held for held in self._held if not held.warning), Problem("it has no line with text"))
        return SourceError(
            Problem(
                f"this is no JSON Lines file of arXiv metadata, since {why}: {first.message}; expected one JSON object "
                "with id and title on each line",
                first.line,
                first.found,
            )
        )

    def passed(self) -> None:
        self._records += 1
        if self._held:
            self._let_go()

    def end(self) -> None:
        """Report what is held back; refuse a file without a record.

        Raises:
            SourceError: If there was none.
        """
        if not self._records:
            raise self._another_kind("none of its lines is a record")
        self._let_go()

    def _let_go(self) -> None:
        for problem in self._held:
            self._report(problem)
        self._held.clear()


def _lines(file: io.BufferedReader) -> Iterator[tuple[int, bytes | None]]:
    """Yield number and bytes of each line; None for a line that is too long to be held."""
    number = 0
    while True:
        try:
            line = file.readline(_LONGEST_LINE)
            number += 1
            if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
                line, too_long = _skip(file, number), True
            else:
                too_long = False
        except BROKEN_FILE as error:
            what = f"the file is damaged or breaks off here ({error}): fetch it again"
            raise SourceError(Problem(what, number + 1)) from error
        if too_long:
            yield number, None
        elif line:
            yield number, line
        if not line:
            return


def _skip(file: io.BufferedReader, number: int) -> bytes:
    """Pass over the rest of a line and return its last piece; b"" at the end of the file."""
    skipped = 0
    while True:
        rest = file.readline(_LONGEST_LINE)
        skipped += len(rest)
        if not rest or rest.endswith(b"\n"):
            return rest
        if skipped > _MOST_SKIPPED:
            what = f"this is no JSON Lines file: a line has more than {_MOST_SKIPPED >> 20} MiB"
            raise SourceError(Problem(what, number))


def _object(text: str) -> dict[str, Any]:
    try:
        item = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"expected a JSON object: {error.msg} at place {error.pos + 1}") from error
    except ValueError as error:  # Python's word for it names a function of its own
        raise ValueError("expected a JSON object, got a number of too many digits") from error
    except RecursionError:
        raise ValueError("expected a JSON object, got one nested too deeply") from None
    if not isinstance(item, dict):
        hint = " (one object a line, not all in an array)" if isinstance(item, list) else ""
        raise ValueError(f"expected a JSON object, got {type(item).__name__}{hint}")
    return item


def _record(item: dict[str, Any], number: int) -> PaperRecord:
    """Return the record of one line, or raise ValueError with the reason."""
    if item.get("id") is None:
        raise ValueError("expected the key id")
    arxiv_id = parse_arxiv_id(item["id"])
    title = _text(item, "title")
    if not title:
        raise ValueError("expected a title")
    comment = _text(item, "comment") or _text(item, "comments")
    version, first, last = _versions(item, arxiv_id)
    return PaperRecord(
        title=title,
        source=SOURCE,
        abstract=_text(item, "abstract"),
        arxiv_id=arxiv_id.id,
        version=version,
        authors=_authors(item),
        published_on=first,
        updated_on=last,
        listed_on=_day(item, "first_seen"),
        categories=_categories(item),
        comment=comment,
        journal_ref=_text(item, "journal-ref"),
        doi=_text(item, "doi"),
        withdrawn=is_withdrawn(comment),
        line=number,
    )


def _text(item: dict[str, Any], key: str) -> str:
    value = item.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"expected a string under {key}, got {type(value).__name__}")
    return one_line(value)


def _strings(values: Any, key: str) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"expected a list of strings under {key}")
    return values


def _day(item: dict[str, Any], key: str) -> dt.date | None:
    text = _text(item, key)
    if not text:
        return None
    found = day(text)
    if found is None:
        raise ValueError(f"expected a day such as 2024-01-31 under {key}, got {shorten(text, 30)!r}")
    return found


def _authors(item: dict[str, Any]) -> tuple[str, ...]:
    parsed = item.get("authors_parsed")
    if parsed is not None:
        if not isinstance(parsed, list):
            raise ValueError("expected a list of [family, given, suffix] under authors_parsed")
        named = (person_name(*_strings(parts, "authors_parsed")[:3]) for parts in parsed if parts)
        names = tuple(name for name in named if name)
        if names:
            return names
    value = item.get("authors")
    if value is None:
        return ()
    if isinstance(value, str):
        return split_names(value)
    return tuple(name for name in map(one_line, _strings(value, "authors")) if name)


def _categories(item: dict[str, Any]) -> tuple[str, ...]:
    value = item.get("categories")
    if value is None:
        return ()
    return arxiv_categories(value.split() if isinstance(value, str) else _strings(value, "categories"))


def _versions(item: dict[str, Any], arxiv_id: ArxivId) -> tuple[int | None, dt.date | None, dt.date | None]:
    """Return the last version's number, and the days of the first version and the last."""
    versions = item.get("versions")
    if not versions:
        return arxiv_id.version, None, _day(item, "update_date")
    if not isinstance(versions, list) or not all(isinstance(version, dict) for version in versions):
        raise ValueError("expected a list of objects under versions")
    named = _text(versions[-1], "version")
    if not (named[:1] == "v" and named[1:].isascii() and named[1:].isdigit() and 0 < len(named[1:]) <= 4):
        raise ValueError(f"expected a version such as 'v2' under versions, got {shorten(named, 20)!r}")
    days = [mail_day(_text(version, "created")) for version in (versions[0], versions[-1])]
    return int(named[1:]) or None, days[0], days[1] or _day(item, "update_date")
