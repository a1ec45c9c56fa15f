"""Papers made for a test: a package of its own in a temporary folder."""

from __future__ import annotations

import itertools
import textwrap
from pathlib import Path

from broadsheet.lab import catalogue

_NUMBERS = itertools.count(1)
FACTS = """
arxiv_id = "2001.00001"
title = "A paper about a coin"
year = 2020
authors = "Doe, Roe"
summary = "We threw a coin. It was fair."
tags = ["coins"]
"""
HEAD = """
from __future__ import annotations
from broadsheet.claims import *
import time, os, sys
"""


class Shelf:
    """A folder laid out like ``methods``, importable under a name of its own."""

    def __init__(self, folder: Path) -> None:
        self.name = f"shelf{next(_NUMBERS)}"
        self.folder = folder / "lib" / self.name
        self.folder.mkdir(parents=True)
        (self.folder / "__init__.py").write_text("")

    @property
    def roots(self) -> list[tuple[str, Path]]:
        return [(self.name, self.folder)]

    def put(self, claims: str, slug: str = "coin", family: str = "demo", facts: str = FACTS) -> Path:
        folder = self.folder / family / slug
        folder.mkdir(parents=True, exist_ok=True)
        (self.folder / family / "__init__.py").touch()
        (folder / "__init__.py").touch()
        (folder / "paper.toml").write_text(facts)
        (folder / "README.md").write_text("# A coin\n\n<!-- claims:begin -->\n<!-- claims:end -->\n")
        (folder / "claims.py").write_text(HEAD + textwrap.dedent(claims))
        return folder

    def load(self) -> catalogue.Catalogue:
        return catalogue.load(self.roots)


def one_claim(body: str, **declared: str) -> str:
    """Return the source of a claim ``heads`` whose function has this body."""
    told = {
        "published": "0.5",
        "unit": '"share"',
        "where": '"Table 1"',
        "kind": '"exact"',
        "holds": "within(absolute=0.1)",
        **declared,
    }
    arguments = ", ".join(f"{name}={value}" for name, value in told.items())
    lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    why = '    """Counts heads; the tolerance is four standard errors."""'
    return f'@claim("A coin lands **heads** half the time", {arguments})\ndef heads(run):\n{why}\n{lines}\n'


def quick_figure(caption: str = "'A line.'", table: str = "") -> str:
    """Return code of a claim that leaves a figure without drawing one: drawing takes its time."""
    return f"""
from broadsheet.lab.store import Picture
files = {{f"{{way}}": f"line.{{way}}" for way in ("light.svg", "dark.svg", "light.png", "dark.png")}}
for name in files.values():
    (run.out / name).write_bytes(b"<svg/>" if name.endswith("svg") else b"\\x89PNG")
table = {table!r}
if table:
    (run.out / "line.csv").write_text(table)
run.pictures.append(Picture("line", {caption}, files, "line.csv" if table else None))
"""
