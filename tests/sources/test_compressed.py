"""Compressed files are told by their content, and damage is noticed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zlib

import pytest

from broadsheet.sources.compressed import BROKEN_FILE, open_plain
from broadsheet.sources.record import SourceError

TEXT = b"".join(b"line %d of a made-up file\n" % number for number in range(50_000))
PACKERS = {"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("kind", PACKERS)
def test_every_kind_is_read_without_being_named(kind: str) -> None:
    packed = PACKERS[kind](TEXT)
    assert open_plain(io.BytesIO(packed)).read() == TEXT
    assert list(open_plain(io.BytesIO(packed))) == TEXT.splitlines(keepends=True)
    assert open_plain(io.BytesIO(b"")).read() == b""


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
def test_streams_one_after_the_other_are_one_file(kind: str) -> None:
    packed = PACKERS[kind](TEXT) + PACKERS[kind](b"more") + (b"\0" * 8 if kind == "xz" else b"")
    assert open_plain(io.BytesIO(packed)).read() == TEXT + b"more"


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
def test_a_torn_or_damaged_file_raises(kind: str) -> None:
    noise = random.Random(0).randbytes(50_000)
    packed = PACKERS[kind](noise)
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0xFF
    for wrong in (packed[: len(packed) // 2], bytes(damaged)):
        with pytest.raises(BROKEN_FILE):
            open_plain(io.BytesIO(wrong)).read()


@pytest.mark.parametrize("begin", [b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"%PDF-1.7"])
def test_other_kinds_are_refused_by_name(begin: bytes) -> None:
    with pytest.raises(SourceError, match="unpack it first"):
        open_plain(io.BytesIO(begin + b"rest"))


def test_an_xz_file_that_asks_for_too_much_memory_is_refused() -> None:
    packed = bytearray(lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}]))
    # The size of the dictionary stands in the block header; 34 means 512 MiB. The header's checksum is made anew.
    header = packed[12 : 12 + 4 * (packed[12] + 1)]
    header[header.index(b"\x21\x01") + 2] = 34
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    packed[12 : 12 + len(header)] = header
    with pytest.raises(lzma.LZMAError, match="Memory"):
        open_plain(io.BytesIO(bytes(packed))).read()
