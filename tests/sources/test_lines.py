"""Lines of a stream, however it is cut into chunks."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.sources.lines import split_lines

BYTES = st.lists(st.sampled_from([b"\n", b"a", b"bc", b"\n\n", b"d" * 9]), max_size=30).map(b"".join)


@given(BYTES, st.integers(1, 7), st.integers(1, 12))
def test_lines_do_not_depend_on_the_chunks(data: bytes, width: int, longest: int) -> None:
    chunks = [data[start : start + width] for start in range(0, len(data), width)]
    found = {line.number: line for line in split_lines(chunks, longest)}
    expected = data.split(b"\n")
    for number, text in enumerate(expected, 1):
        if text:
            assert found[number].data == (text if len(text) <= longest else None)
            assert found[number].size == len(text)
        elif number in found:
            assert found[number].data == b""
    assert max(found, default=0) <= len(expected)


@given(BYTES)
def test_between_two_lines_with_text_an_empty_one_is_always_seen(data: bytes) -> None:
    seen = [bool(line.data) for line in split_lines([data[i : i + 1] for i in range(len(data))], 100)]
    blocks = sum(now and not before for before, now in zip([False, *seen], seen, strict=False))
    assert blocks == len([block for block in re.split(rb"\n\n+", data.strip(b"\n")) if block])


def test_text_chunks_are_refused() -> None:
    with pytest.raises(TypeError, match="binary mode"):
        list(split_lines(["text"], 10))  # type: ignore[list-item]


def test_a_huge_chunk_and_a_huge_line_are_not_held() -> None:
    lines = list(split_lines([b"a\n" + b"x" * 5_000_000 + b"\nb"], 1000))
    assert [(line.number, line.data, line.size) for line in lines] == [
        (1, b"a", 1),
        (2, None, 5_000_000),
        (3, b"b", 1),
    ]
