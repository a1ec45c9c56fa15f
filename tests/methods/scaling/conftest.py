"""Runs for the tests of the scaling family: made up, but for the points that the registry holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from broadsheet import data
from broadsheet.methods.scaling import Chinchilla

TRUTH = {"A": 482.0, "B": 2085.0, "E": 1.82, "alpha": 0.348, "beta": 0.366}


def simulated(
    seed: int, *, noise: float = 0.005, sizes: int = 7, tokens: int = 7, top: float = 1.0
) -> pd.DataFrame:
    """A full grid of sizes and tokens under TRUTH; ``top`` stretches its upper ends."""
    N, D = (
        a.ravel()
        for a in np.meshgrid(np.geomspace(5e7, 2e9 * top, sizes), np.geomspace(1e9, 1e11 * top, tokens))
    )
    rng = np.random.default_rng(seed)
    loss = (TRUTH["E"] + TRUTH["A"] / N ** TRUTH["alpha"] + TRUTH["B"] / D ** TRUTH["beta"]) * np.exp(
        noise * rng.standard_normal(len(N))
    )
    return pd.DataFrame({"N": N, "D": D, "loss": loss, "recipe": [f"r{i % 12}" for i in range(len(N))]})


@pytest.fixture(scope="session")
def runs() -> pd.DataFrame:
    return simulated(1)


@pytest.fixture(scope="session")
def law(runs: pd.DataFrame) -> Chinchilla:
    return Chinchilla().fit(runs)


def registered(name: str):
    """Return where registered data lie, or skip the test with the reason."""
    path = data.where(name)
    if path is None:
        pytest.skip(f"{name} is not on this machine: name its folder in BROADSHEET_DATA")
    return path
