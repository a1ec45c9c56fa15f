"""Cuts a stream of bytes into lines without ever holding more than one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["Line", "split_lines"]

_PIECE = 1 << 16  # bytes looked at at once, whatever the size of the chunks that come in


class Line(NamedTuple):
    """One line of a stream.

    Args:
        number: Its number, counted from 1.
        data: Its bytes without the line feed; None if it was too long to be held.
        size: Its length in bytes.
    """

    number: int
    data: bytes | None
    size: int


def split_lines(chunks: Iterable[bytes], longest: int) -> Iterator[Line]:
    r"""Yield the lines of a stream; of a run of empty lines at least the first.

    Lines end with LF. A line over the limit is counted but not held, so that memory stays bounded by the limit and
    the largest chunk, whatever comes in.

    Args:
        chunks: The stream in pieces of any size.
        longest: Longest line that is held, in bytes, >= 1.

    Yields:
        The lines in order.

    Raises:
        TypeError: If a chunk is not bytes.

    Example:
        >>> [line.data for line in split_lines([b"one\ntw", b"o\nendless"], 5)]
        [b'one', b'two', None]
    """
    number, held, dropped = 1, bytearray(), 0
    for piece in _pieces(chunks):
        if not held and not dropped and not piece.strip(b"\n"):
            yield Line(number, b"", 0)
            number += len(piece)
            continue
        *ended, rest = piece.split(b"\n")
        for part in ended:
            if held or dropped:
                size = len(held) + dropped + len(part)
                yield Line(number, None if size > longest else bytes(held) + part, size)
                held.clear()
                dropped = 0
            else:
                yield Line(number, None if len(part) > longest else part, len(part))
            number += 1
        if dropped or len(held) + len(rest) > longest:
            dropped += len(held) + len(rest)
            held.clear()
        else:
            held += rest
    if held or dropped:
        yield Line(number, None if dropped else bytes(held), len(held) + dropped)


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise TypeError(
                f"expected chunks of bytes, got {type(chunk).__name__}: open the file in binary mode"
            )
        for start in range(0, len(chunk), _PIECE):
            yield bytes(chunk[start : start + _PIECE])
