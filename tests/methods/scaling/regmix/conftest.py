"""Runs for the tests of RegMix: made up, but for the authors' published tables where they are at hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.methods.scaling.conftest import registered

from broadsheet.methods.scaling import sample_mixtures
from broadsheet.methods.scaling.regmix.published import Tables

PRIOR = {"code": 30.0, "law": 10.0, "web": 50.0, "wiki": 10.0}
BEST = np.array([0.3, 0.1, 0.5, 0.1])


def losses_of(mixtures: pd.DataFrame) -> pd.DataFrame:
    """Two losses: a bowl with its lowest point at BEST, and a straight line."""
    x = mixtures.to_numpy()
    return pd.DataFrame(
        {"bowl": 3.0 + ((x - BEST) ** 2).sum(axis=1), "line": x @ [1.0, 2.0, 3.0, 4.0]}, index=mixtures.index
    )


@pytest.fixture(scope="session")
def mixtures() -> pd.DataFrame:
    return sample_mixtures(PRIOR, 120, seed=1)


@pytest.fixture(scope="session")
def losses(mixtures: pd.DataFrame) -> pd.DataFrame:
    return losses_of(mixtures)


@pytest.fixture(scope="session")
def tables() -> Tables:
    return Tables(registered)
