"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib

import pytest

pytest.importorskip("transformers")
PACKAGE = "broadsheet.methods._shared"
MODULES = [
    "corpora",
    "documents",
    "evaluation",
    "huggingface",
    "linear_cross_entropy",
    "model",
    "streams",
    "tokenizers",
    "training",
]


@pytest.mark.parametrize(
    "name", [f"{PACKAGE}.tiny_lm", *(f"{PACKAGE}.tiny_lm.{m}" for m in MODULES), f"{PACKAGE}.training_cache"]
)
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
