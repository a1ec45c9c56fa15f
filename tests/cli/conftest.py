"""A command line in a process of its own, with an installation of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PAGE = """new

Get trending papers in your email inbox!

Subscribe

Daily Papers

byAK and the research community

Dec 8

A Made-up Law of Lifetimes: How Long Do Test Pages Live?

We write a page and wait. It lives.

  • 7 authors
·
Jan 21

Densities of Imaginary Things

An organisation stands where the authors stand elsewhere.

makers Makers of Things
·
Dec 5, 2024 3

On the Robustness of Papers Without any Meta Block

This paper has neither authors nor a date.

Counting to Two

The last one has a comment.

  • 1 author
·
Apr 18, 2024 1
"""


@dataclass
class Said:
    """What a command said, and how it left."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def broadsheet(home: Path) -> Command:
    def command(*words: str | Path, **environment: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "broadsheet", *map(str, words)],
            env={**os.environ, "BROADSHEET_HOME": str(home), "MPLBACKEND": "Agg", **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return command


@pytest.fixture
def outside(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that installs a paper ``demo/coin`` with these claims, and gives its PYTHONPATH."""

    def install(claims: str) -> str:
        lib = tmp_path / "lib"
        paper = lib / "coin"
        paper.mkdir(parents=True)
        (paper / "__init__.py").touch()
        (paper / "claims.py").write_text(claims)
        (paper / "paper.toml").write_text(
            'arxiv_id = "2001.00001"\ntitle = "A coin"\nyear = 2020\nauthors = "Doe"\nsummary = "One. Two."\n'
            'family = "demo"\n'
        )
        info = lib / "coin-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: coin\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text("[broadsheet.papers]\ncoin = coin\n")
        return str(lib)

    return install


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.txt"
    file.write_text(PAGE, encoding="utf-8")
    return file
