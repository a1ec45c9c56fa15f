"""Opens a file that may be compressed, by what it begins with and not by its name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from typing import Any, BinaryIO, cast

from broadsheet.sources.record import SourceError

__all__ = ["BROKEN_FILE", "open_plain"]

# What reading a damaged or torn file can raise.
BROKEN_FILE = (OSError, EOFError, zlib.error, lzma.LZMAError)

_BUFFER = 1 << 20
_XZ_MEMORY = 1 << 28  # bytes; xz -9 asks for 65 MiB, a hostile header for 4 GiB
_OTHER = {
    b"PK\x03\x04": "a ZIP archive",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard",
    b"7z\xbc\xaf": "a 7z archive",
    b"%PDF": "a PDF",
}


def open_plain(file: BinaryIO) -> io.BufferedReader:
    """Return a reader of the plain bytes of a file that may be compressed with gzip, xz or bzip2.

    Args:
        file: The file, read from where it stands; it need not be able to seek.

    Returns:
        A buffered reader. It holds at most 1 MiB, and for xz what the file's dictionary needs, up to 256 MiB.

    Raises:
        SourceError: If the file is compressed in another way.

    Example:
        >>> open_plain(io.BytesIO(gzip.compress(b"a line"))).read()
        b'a line'
    """
    begin = file.read(6)
    for magic, what in _OTHER.items():
        if begin.startswith(magic):
            raise SourceError(f"the file is {what}: unpack it first, or compress it with gzip, xz or bzip2")
    whole = cast(BinaryIO, io.BufferedReader(_Joined(begin, file), _BUFFER))
    if begin.startswith(b"\x1f\x8b"):
        return io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=whole)), _BUFFER)
    if begin.startswith(b"BZh"):
        return io.BufferedReader(cast(io.RawIOBase, bz2.BZ2File(whole)), _BUFFER)
    if begin.startswith(b"\xfd7zXZ\x00"):
        return io.BufferedReader(_Unxz(whole), _BUFFER)
    return cast(io.BufferedReader, whole)


class _Joined(io.RawIOBase):
    """A file whose first bytes have already been read."""

    def __init__(self, begin: bytes, file: BinaryIO) -> None:
        self._begin = begin
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data, self._begin = self._begin, b""
        data = data or self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Unxz(io.RawIOBase):
    """The plain bytes of an xz file; unlike lzma.LZMAFile with a limit to its memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._open_stream = True
        self._decompressor = self._new()

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            raw = b""
            if self._decompressor.eof:  # a file may hold several streams, with zeros between
                raw = self._decompressor.unused_data.lstrip(b"\0")
                while not raw:
                    more = self._file.read(_BUFFER)
                    if not more:
                        return 0
                    raw = more.lstrip(b"\0")
                self._decompressor = self._new()
            elif self._decompressor.needs_input:
                raw = self._file.read(_BUFFER)
                if not raw:
                    raise EOFError("the file ends before its end marker")
            data = self._decompressor.decompress(raw, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
