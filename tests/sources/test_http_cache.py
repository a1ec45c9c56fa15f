"""Kept answers: whole, or absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from broadsheet.sources.http_cache import Cache, Reply

URL = "https://example.org/a?b=c"


def entry(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_an_answer_is_found_again_as_it_was(tmp_path: Path) -> None:
    reply = Reply(200, b"line\nbody\x00\xff", '"tag"', "Mon, 08 Dec 2025 00:00:00 GMT", 12.5)
    Cache(tmp_path).store(URL, reply)
    assert Cache(tmp_path).find(URL) == reply
    assert Cache(tmp_path).find(URL + "d") is None
    assert Cache(tmp_path / "absent").find(URL) is None


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"not json", b'{"url": 1}\nx', b"\xff\xfe\n"])
def test_a_damaged_entry_counts_as_absent(tmp_path: Path, damage: bytes) -> None:
    cache = Cache(tmp_path)
    cache.store(URL, Reply(200, b"body"))
    whole = entry(tmp_path).read_bytes()
    for wrong in (
        damage,
        whole[:-1],
        whole.replace(b"body", b"bodY"),
        whole.replace(b'"status"', b'"state"'),
    ):
        entry(tmp_path).write_bytes(wrong)
        assert cache.find(URL) is None


def test_the_oldest_answers_make_room(tmp_path: Path) -> None:
    cache = Cache(tmp_path, largest=3000)
    for number in range(5):
        cache.store(f"{URL}{number}", Reply(200, bytes(1000)))
        os.utime(max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns), (number, number))
    kept = [number for number in range(5) if cache.find(f"{URL}{number}")]
    assert kept == [3, 4]
    assert not list(tmp_path.glob("*.part"))


def test_a_folder_that_cannot_be_written_only_costs_the_cache(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file")
    cache.store(URL, Reply(200, b"body"))
    assert cache.find(URL) is None
    assert "could not be kept" in caplog.text
