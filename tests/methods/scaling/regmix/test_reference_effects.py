"""Effects of a line are contrasts of its slopes, derived by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from broadsheet.methods.scaling import RegMix


def dirichlet(n, domains=4, seed=0, concentration=1.0):
    rng = np.random.default_rng(seed)
    names = [f"d{i}" for i in range(domains)]
    return pd.DataFrame(rng.dirichlet(np.full(domains, concentration), n), columns=names)


def linear_losses(mixtures, slopes, constant=3.0):
    return (mixtures @ np.asarray(slopes) + constant).rename("loss")


@pytest.mark.parametrize("step", [0.01, 0.05])
def test_effects_of_a_line_are_contrasts_of_its_slopes(step):
    """Moving a share into domain j from all others in proportion: b_j - sum of b_i x_i / (1 - x_j), averaged."""
    mixtures = dirichlet(60, concentration=8.0)  # no share near 1
    slopes = np.array([1.0, -2.0, 0.5, 3.0])
    model = RegMix("linear").fit(mixtures, linear_losses(mixtures, slopes))
    x = mixtures.to_numpy()
    expected = [np.mean(slopes[j] - (x @ slopes - x[:, j] * slopes[j]) / (1 - x[:, j])) for j in range(4)]
    found = model.importance(step=step)["loss"]
    assert found.to_numpy() == pytest.approx(expected, abs=1e-8)
    # A constant of all slopes is a constant of the loss, since shares sum to 1: contrasts do not see it.
    shifted = RegMix("linear").fit(mixtures, linear_losses(mixtures, slopes + 10))
    assert shifted.importance(step=step)["loss"].to_numpy() == pytest.approx(expected, abs=1e-8)
