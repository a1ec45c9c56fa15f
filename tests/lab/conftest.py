"""A home that is nobody else's, and papers made for a test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broadsheet.lab.catalogue import Paper
from lab.shelf import Shelf


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("BROADSHEET_HOME", str(folder))
    monkeypatch.delenv("BROADSHEET_DATA", raising=False)
    return folder


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    monkeypatch.syspath_prepend(made.folder.parent)
    yield made
    for name in [n for n in sys.modules if n.split(".")[0] == made.name]:
        del sys.modules[name]


@pytest.fixture
def paper_of(shelf: Shelf) -> Callable[..., Paper]:
    """Return a function that makes a paper of the source of its ``claims.py``."""

    def make(claims: str, **where: str) -> Paper:
        folder = shelf.put(claims, **where)
        return next(p for p in shelf.load().papers if p.folder == folder)

    return make
