"""Turns the bytes of a saved page into blocks of clean lines, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from broadsheet.sources.lines import split_lines
from broadsheet.sources.record import Problem, SourceError
from broadsheet.sources.text import one_line, shorten, unsafe_characters

__all__ = ["WAY_OUT", "Block", "blocks", "clean_lines", "openable"]

WAY_OUT = "open the page in a browser, select all, copy, and save that as plain text in UTF-8"

# Far above what a page of papers holds, far below what hurts.
_LONGEST_LINE = 1 << 18  # bytes
_LONGEST_BLOCK = 1 << 18  # bytes
_LARGEST_PAGE = 1 << 30  # bytes
_MOST_LINES = 2_000_000
_MOST_DAMAGED = 5000  # lines with bytes or characters that have no place in text
_CHUNK = 1 << 16
_IN_MEMORY = 1 << 23  # bytes of a stream that are kept in memory before they go to a temporary file

_OTHER_KINDS = (
    (re.compile(rb"\xff\xfe|\xfe\xff|\x00\x00\xfe\xff"), "UTF-16 text: save it as UTF-8"),
    (re.compile(rb"%PDF-"), "a PDF"),
    (re.compile(rb"\x1f\x8b|PK\x03\x04|BZh|\xfd7zXZ|7z\xbc\xaf"), "a compressed file: unpack it first"),
    (re.compile(rb"\s*<(?:!doctype|html|head|body|!--|\?xml|rss|feed)", re.IGNORECASE), "HTML or XML"),
    (re.compile(rb"\s*[\[{]\s*[\"{\[]"), "JSON"),
)
# In UTF-8 no character beyond ASCII has one byte only; the dot between authors and date has a line of its own.
_OTHER_ENCODING = (
    "this page is not in UTF-8: the byte 0x{:02x} is a whole line, as where '·' is written in Latin-1 or Windows-1252; "
    "save it again as UTF-8"
)


@contextmanager
def openable(
    source: Path | BinaryIO | Iterable[bytes], often: bool
) -> Iterator[Callable[[], Iterator[bytes]]]:
    """Hand out a function that begins to read from the start, as often as it is called if ``often`` is set."""
    try:
        if isinstance(source, Path):
            with source.open("rb") as opened:
                yield lambda: _from_file(opened, 0)
        elif not often:
            chunks = _from_file(cast(BinaryIO, source), None) if hasattr(source, "read") else iter(source)
            yield lambda: chunks
        elif hasattr(source, "seek") and cast(BinaryIO, source).seekable():
            file = cast(BinaryIO, source)
            begin = file.tell()
            yield lambda: _from_file(file, begin)
        else:
            with SpooledTemporaryFile(max_size=_IN_MEMORY) as kept:
                stream = _from_file(cast(BinaryIO, source), None) if hasattr(source, "read") else source
                for chunk in _limited(stream):
                    kept.write(chunk)
                yield lambda: _from_file(cast(BinaryIO, kept), 0)
    except OSError as error:
        name = f"{source}" if isinstance(source, Path) else "the page"
        raise SourceError(f"{name} cannot be read: {error.strerror or error}") from error


def _from_file(file: BinaryIO, begin: int | None) -> Iterator[bytes]:
    if begin is not None:
        file.seek(begin)
    while chunk := file.read(_CHUNK):
        yield chunk


def _limited(chunks: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise TypeError(
                f"expected chunks of bytes, got {type(chunk).__name__}: open the file in binary mode"
            )
        size += len(chunk)
        if size > _LARGEST_PAGE:
            raise SourceError(
                f"this is no Daily Papers page: it is larger than {_LARGEST_PAGE >> 20} MiB; {WAY_OUT}"
            )
        yield bytes(chunk)


def _known_kind(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass the stream on, without byte order mark, if it does not begin as another kind of file."""
    stream = iter(chunks)
    begin = b""
    for chunk in stream:
        begin += chunk
        if len(begin) >= 1024:
            break
    begin = begin.removeprefix(b"\xef\xbb\xbf")
    for pattern, kind in _OTHER_KINDS:
        if pattern.match(begin):
            raise SourceError(Problem(f"this is no Daily Papers page but {kind}; {WAY_OUT}", line=1))
    if b"\r" in begin and b"\n" not in begin:
        what = "its lines end with CR alone, as on old Macs: save it with LF or CR LF at their ends"
        raise SourceError(Problem(f"this page cannot be read: {what}", line=1))
    if begin[:1024].count(0) > 100:
        raise SourceError(
            Problem(f"this is no Daily Papers page but a binary file or UTF-16 text; {WAY_OUT}", line=1)
        )
    yield begin
    yield from stream


@dataclass(slots=True)
class Block:
    """Lines without an empty one between them."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    size: int = 0
    too_long: Problem | None = None

    @property
    def number(self) -> int:
        """The number of the first line."""
        return self.lines[0][0]

    def add(self, number: int, text: str | None, size: int) -> None:
        """Take a line in, or only note that it is too long."""
        self.size += size
        if text is None or self.size > _LONGEST_BLOCK:
            if self.too_long is None:
                limit = f"{_LONGEST_LINE:,} bytes"
                what = (
                    f"this line has {size:,} bytes"
                    if text is None
                    else "the lines up to here are too long together"
                )
                self.too_long = Problem(
                    f"{what}; a paper's title or abstract has at most {limit}", line=number
                )
            if not self.lines:
                self.lines.append((number, ""))
        else:
            self.lines.append((number, text))


def clean_lines(
    chunks: Iterable[bytes], report: Callable[[Problem], None]
) -> Iterator[tuple[int, str | None, int]]:
    """Yield number, text on one line ("" if empty, None if too long) and size of the lines."""
    damaged = 0
    for number, data, size in split_lines(_known_kind(_limited(chunks)), _LONGEST_LINE):
        if number > _MOST_LINES:
            raise SourceError(
                f"this is no Daily Papers page: it has more than {_MOST_LINES:,} lines; {WAY_OUT}"
            )
        if not data:
            yield number, None if data is None else "", size
            continue
        if len(sign := data.strip()) == 1 and sign[0] >= 0x80:
            raise SourceError(Problem(_OTHER_ENCODING.format(sign[0]), number))
        text, damage = _decode(data)
        if damage:
            damaged += 1
            if damaged > _MOST_DAMAGED:
                what = f"more than {_MOST_DAMAGED:,} lines hold bytes that are no text"
                raise SourceError(Problem(f"this is no Daily Papers page: {what}; {WAY_OUT}", number))
            report(Problem(damage, line=number, found=shorten(text), warning=True))
        yield number, one_line(text), size


def _decode(data: bytes) -> tuple[str, str]:
    """Return the text of a line, and in words what had to be replaced or taken out."""
    damage = ""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", errors="replace")
        damage = f"byte 0x{data[error.start]:02x} at place {error.start + 1} is not UTF-8 and was replaced"
    unsafe = unsafe_characters(text)
    if unsafe:
        damage += f"{' and ' if damage else ''}{unsafe} were taken out"
    return text, damage


def blocks(lines: Iterable[tuple[int, str | None, int]]) -> Iterator[Block]:
    """Yield the blocks of lines between empty lines."""
    block = Block()
    for number, text, size in lines:
        if text == "":
            if block.lines:
                yield block
                block = Block()
        else:
            block.add(number, text, size)
    if block.lines:
        yield block
