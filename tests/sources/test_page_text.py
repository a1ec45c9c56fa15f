"""Bytes of a page become blocks of clean lines."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from broadsheet.sources import page_text
from broadsheet.sources.page_text import blocks, clean_lines, openable
from broadsheet.sources.record import Problem, SourceError


def test_blocks_are_runs_of_lines_with_their_numbers() -> None:
    text = "a\nb \u00a0c\n\n\n \u00a0\nd".encode()
    assert [block.lines for block in blocks(clean_lines([text], print))] == [
        [(1, "a"), (2, "b c")],
        [(6, "d")],
    ]


def test_a_block_that_is_too_long_is_cut_and_says_so() -> None:
    (block,) = blocks(clean_lines([b"a\n" + b"x" * 300_000 + b"\nb\n"], print))
    assert block.number == 1
    assert block.too_long is not None
    assert block.too_long.line == 2
    (block,) = blocks(clean_lines([b"some words\n" * 100_000], print))
    assert block.size == 1_000_000
    assert sum(len(text) for _, text in block.lines) < 300_000


def test_all_damage_of_one_line_is_one_problem() -> None:
    problems: list[Problem] = []
    assert [text for _, text, _ in clean_lines([b"a\xffb\x01\n"], problems.append)] == ["a\ufffdb"]
    assert len(problems) == 1
    assert "0xff" in problems[0].message
    assert "control characters" in problems[0].message


def test_a_stream_that_cannot_be_rewound_can_be_read_often() -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b"one ", b"two")

    with openable(chunks(), often=True) as start:
        assert b"".join(start()) == b"".join(start()) == b"one two"
    with openable(io.BytesIO(b"one two"), often=True) as start:
        assert b"".join(start()) == b"".join(start()) == b"one two"


def test_a_page_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_text, "_LARGEST_PAGE", 100)
    for often in (False, True):
        with pytest.raises(SourceError, match="larger than"), openable([b"x" * 60] * 2, often) as start:
            list(clean_lines(start(), print))
