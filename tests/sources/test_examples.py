"""The examples in the docstrings of the sources run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import broadsheet.sources

MODULES = [module.name for module in pkgutil.iter_modules(broadsheet.sources.__path__, "broadsheet.sources.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
