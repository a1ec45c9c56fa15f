"""Tables of two tasks made by the law."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from broadsheet.methods.scaling import MixtureScaling
from broadsheet.methods.scaling.multilingual_nmt_scaling.simulation import make_table

WEIGHTS = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


@pytest.fixture(scope="session")
def exact() -> pd.DataFrame:
    """Two tasks without noise: de neutral, zh with synergy, six weights, five sizes."""
    return make_table(np.random.default_rng(0), noise=0.0, weights=WEIGHTS, sizes=np.geomspace(2e7, 1e9, 5))


@pytest.fixture(scope="session")
def noisy() -> pd.DataFrame:
    """The same with 0.3 % noise and eight sizes."""
    return make_table(np.random.default_rng(1), weights=WEIGHTS)


@pytest.fixture(scope="session")
def power(exact: pd.DataFrame) -> MixtureScaling:
    return MixtureScaling(f="power", loss="mse").fit(exact)


@pytest.fixture(scope="session")
def free(exact: pd.DataFrame) -> MixtureScaling:
    return MixtureScaling(f="free", loss="mse").fit(exact)
