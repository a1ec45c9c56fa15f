"""Data for the tests: made up, but for the veterans' trial that scikit-survival carries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from broadsheet import data
from broadsheet.methods.statistics import APGWRegressor, simulate_mpr
from broadsheet.methods.statistics.flexible_survival.data import load_veteran


@pytest.fixture(scope="session")
def made() -> pd.DataFrame:
    """A trial of 400 with an age, treatment on time scale and shape, kappa 0.5, a fifth censored."""
    rng = np.random.default_rng(7)
    covariates = pd.DataFrame(
        {
            "trt": np.arange(400) % 2,
            "age": rng.normal(60.0, 9.0, 400),
            "site": rng.choice(["north", "south", "west"], 400),
        }
    )
    return simulate_mpr(
        covariates,
        phi={"Intercept": -0.5, "trt": 0.7},
        gamma={"Intercept": 0.3, "trt": 0.2},
        kappa=0.5,
        censoring=6.0,
        followup=12.0,
        seed=11,
    )


@pytest.fixture(scope="session")
def fitted(made: pd.DataFrame) -> APGWRegressor:
    return APGWRegressor(phi="trt + age", gamma="trt").fit(made, "time", "event")


@pytest.fixture(scope="session")
def veteran() -> pd.DataFrame:
    """The veterans' lung-cancer trial, 137 rows."""
    return load_veteran(data.fetch("veteran"))
