"""Runs claims: finds them, executes them, keeps what was measured, draws reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from broadsheet.lab.catalogue import Catalogue, Paper, find, load, papers
    from broadsheet.lab.run import LabRun, local_run
    from broadsheet.lab.store import Result, Store

__all__ = [
    "Catalogue",
    "LabRun",
    "Paper",
    "Result",
    "Store",
    "find",
    "load",
    "local_run",
    "papers",
]

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "catalogue": ["Catalogue", "Paper", "find", "load", "papers"],
        "run": ["LabRun", "local_run"],
        "store": ["Result", "Store"],
    },
)
