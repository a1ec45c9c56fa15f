"""The store: whole or not at all, never changed, whatever the disk does."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.claims import Scale, Verdict
from broadsheet.lab import store as store_module
from broadsheet.lab.store import Picture, Result, Store, StoreError, TableFile, clean, write_atomically

MADE = Result(
    paper="demo/coin",
    claim="heads",
    scale=Scale.SMOKE,
    seeds=(0, 1),
    verdict=Verdict.HOLDS,
    reason="The value lies among the accepted values.",
    value=0.1 + 0.2,
    low=1e-300,
    high=0.5,
    unit="share",
    parts={"per_seed": [0.1, 0.2]},
    figures=(Picture("ridge", "A ridge.", {"light.svg": "ridge.light.svg"}, "ridge.csv"),),
    tables=(TableFile("all", "All.", "table-all.csv"),),
    code={"fingerprint": "abc"},
    started="2025-12-08T09:30:00.000001Z",
    seconds=1.25,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def names(store: Store) -> list[str]:
    return sorted(p.relative_to(store.folder).as_posix() for p in store.folder.rglob("*") if p.is_file())


def test_a_result_comes_back_to_the_last_bit(store: Store) -> None:
    added = store.add(MADE)
    read = store.latest("demo/coin", "heads")
    assert read == MADE
    assert read is not None
    assert read.value == 0.1 + 0.2
    assert read.folder == added.folder
    assert isinstance(read.verdict, Verdict)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_whatever_a_claim_keeps_is_written_as_json_without_nan(parts: Any) -> None:
    text = json.dumps(dataclasses.replace(MADE, parts={"x": parts}).as_dict(), allow_nan=False)
    again = Result.from_dict(json.loads(text))
    assert json.dumps(again.as_dict(), allow_nan=False) == text


def test_numbers_of_numpy_become_numbers_and_nan_becomes_null() -> None:
    kept = clean(
        {"a": np.float32(0.5), "b": np.array([1.0, math.nan]), "c": np.int64(3), "d": Path("x"), "e": {1}}
    )
    assert kept == {"a": 0.5, "b": [1.0, None], "c": 3, "d": "x", "e": [1]}
    assert clean(np.bool_(True)) is True


def test_the_newest_is_the_latest_and_the_older_stay(store: Store) -> None:
    for value in (1.0, 2.0, 3.0):
        store.add(dataclasses.replace(MADE, value=value))
    store.add(dataclasses.replace(MADE, scale=Scale.LAPTOP, value=9.0))
    latest = store.latest("demo/coin", "heads", "smoke")
    assert latest is not None
    assert latest.value == 3.0
    assert [r.value for r in store.history("demo/coin", "heads")] == [9.0, 3.0, 2.0, 1.0]
    assert store.latest_of("demo/coin")["heads"].value == 9.0
    assert len(list(store.everything())) == 4
    assert store.latest("demo/coin", "tails") is None
    assert store.latest("demo/nothing", "heads") is None


def test_the_same_means_claim_scale_seeds_and_code(store: Store) -> None:
    store.add(MADE)

    def same(**changed: Any) -> Result | None:
        asked = {"scale": "smoke", "seeds": (0, 1), "fingerprint": "abc"} | changed
        return store.find_same("demo/coin", "heads", **asked)

    assert same() == MADE
    assert same(seeds=[0, 1]) == MADE
    assert same(scale="laptop") is None
    assert same(seeds=(0, 1, 2)) is None
    assert same(seeds=(1, 0)) is None
    assert same(fingerprint="abd") is None


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.NEEDS_DATA, Verdict.NEEDS_HARDWARE])
def test_an_attempt_is_no_measurement(store: Store, verdict: Verdict) -> None:
    store.add(MADE)
    store.add(dataclasses.replace(MADE, verdict=verdict, value=None, low=None, high=None))
    assert store.find_same("demo/coin", "heads", "smoke", (0, 1), "abc") == MADE


def test_files_of_a_measurement_come_with_it(store: Store) -> None:
    partial = store.begin("demo/coin", "heads")
    (partial / "ridge.light.svg").write_text("<svg/>")
    assert store.history("demo/coin", "heads") == []
    added = store.add(MADE, partial)
    assert added.path("ridge.light.svg").read_text() == "<svg/>"
    assert not partial.exists()
    with pytest.raises(StoreError, match="demo/coin:heads is not stored"):
        MADE.path("ridge.light.svg")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema": 1}', '{"schema": 99}', '{"schema": 1, "scale": "x"}']
)
def test_a_damaged_or_newer_result_hides_no_other(store: Store, text: str) -> None:
    store.add(MADE)
    damaged = store.add(dataclasses.replace(MADE, value=2.0))
    assert damaged.folder is not None
    (damaged.folder / "result.json").write_text(text)
    assert store.damaged == {}
    assert store.history("demo/coin", "heads") == [MADE]


def test_a_newer_schema_says_so() -> None:
    with pytest.raises(StoreError, match="schema 2, this version knows 1; update Broadsheet"):
        Result.from_dict(MADE.as_dict() | {"schema": 2})


# --- faults of the disk


FAULTS = [
    (errno.ENOSPC, "the disk is full"),
    (errno.EDQUOT, "the disk is full"),
    (errno.EROFS, "read-only file system"),
    (errno.EACCES, "permission denied"),
    (errno.EIO, "repair that"),
]


@pytest.mark.parametrize(("number", "said"), FAULTS)
@pytest.mark.parametrize("where", ["_sync", "rename"])
def test_a_write_that_fails_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, said: str, where: str
) -> None:
    store.add(MADE)
    before = names(store)

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    if where == "_sync":
        monkeypatch.setattr(store_module, "_sync", fail)
    else:
        monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(StoreError, match=said) as caught:
        store.add(dataclasses.replace(MADE, value=2.0))
    assert str(store.folder) in str(caught.value)
    assert "BROADSHEET_HOME" in str(caught.value)
    assert names(store) == before
    assert store.history("demo/coin", "heads") == [MADE]


def test_a_file_beyond_the_allowed_size_loses_nothing(tmp_path: Path) -> None:
    """A real fault of the kernel: no file of this process may exceed 2,000 bytes."""
    code = f"""
import dataclasses, resource, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from lab.test_store import MADE
from broadsheet.lab.store import Store, StoreError
store = Store(Path({str(tmp_path)!r}))
store.add(MADE)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    store.add(dataclasses.replace(MADE, reason="x" * 5000))
except StoreError as error:
    print(error)
print(len(store.history("demo/coin", "heads")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said, count = done.stdout.splitlines()
    assert "exceed the allowed size" in said
    assert count == "1"
    assert not list(tmp_path.rglob(".partial-*"))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 2000


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for blocked in (Store(tmp_path / "file"), Store(tmp_path / "file" / "results")):
        with pytest.raises(StoreError, match="cannot be written"):
            blocked.check()
        with pytest.raises(StoreError, match="cannot be written"):
            blocked.begin("demo/coin", "heads")


def test_replacing_a_file_keeps_the_old_one_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "laptop.json"
    write_atomically(file, "old")

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(file, "new")
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["laptop.json"]


# --- leftovers and locks


def test_leftovers_are_swept_where_nobody_measures(store: Store) -> None:
    left = store.begin("demo/coin", "heads")
    (left / "half.svg").write_text("<sv")
    busy = store.begin("demo/coin", "tails")
    code = f"""
import sys, time
from pathlib import Path
from broadsheet.lab.store import Store
with Store(Path({str(store.folder)!r})).lock("demo/coin", "tails"):
    print("held", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert store.sweep() == 1
        assert busy.exists()
        assert not left.exists()
        other.kill()
    assert store.sweep() == 1
    assert not busy.exists()


def test_a_result_in_words_has_unit_and_interval() -> None:
    assert (
        dataclasses.replace(MADE, value=0.25, low=0.2, high=0.3).in_words() == "0.250 share (0.200 to 0.300)"
    )
    assert dataclasses.replace(MADE, value=2.0, low=None, high=None, unit="").in_words() == "2"
    assert dataclasses.replace(MADE, value=None).in_words() == ""


def test_a_check_on_a_full_disk_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> None:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match="the disk is full"):
        store.check()
    assert list(store.folder.iterdir()) == []


def test_a_results_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("x")
    with pytest.raises(StoreError, match="is no folder; move that away"):
        Store(tmp_path / "home" / "results").check()


def test_what_only_a_terminal_understands_is_no_part_of_a_result(store: Store) -> None:
    kept = store.add(dataclasses.replace(MADE, error="\x1b[31mred\x1b[0m\x00\nline", reason="a\x07b"))
    (read,) = store.history(MADE.paper, MADE.claim)
    assert (read.error, read.reason) == ("red\nline", "ab")
    assert kept.folder == read.folder
