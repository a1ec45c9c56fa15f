"""The examples in the core's docstrings run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import matplotlib as mpl
import pytest

from broadsheet.methods import scaling

FOLDER = Path(scaling.__file__).parent
CORE = [
    "allocation",
    "chinchilla",
    "comparison",
    "datasets",
    "identification",
    "isoflop",
    "kaplan",
    "law",
    "plots",
    "power",
    "powers",
    "runs",
    "chinchilla_refit.rejection",
    "compute_optimal_discrepancies.regimes",
]


@pytest.mark.parametrize("module", CORE)
def test_examples_run(module):
    with mpl.rc_context():
        assert doctest.testmod(importlib.import_module(f"broadsheet.methods.scaling.{module}")).failed == 0


def test_the_family_exports_its_core_lazily():
    for name in (
        "Chinchilla",
        "KaplanSteps",
        "PowerLaw",
        "Reciprocal",
        "RunTable",
        "compare_laws",
        "isoflop_fit",
    ):
        assert name in scaling.__all__
        assert getattr(scaling, name).__name__ == name
