"""Sizes that count embeddings are noted, also where one of the printed totals is a slip."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from broadsheet.methods.scaling import MixtureScaling, ScalingWarning

# The paper's table, with embeddings.
TOTALS = [
    149_953_024,
    260_322_816,
    324_035_328,
    387_747_840,
    601_931_776,
    715_193_344,
    1_035_876_864,
    1_412_528_128,
]


def neutral(sizes, weights, noise=0.0, seed=0):
    """Two tasks for which a weight of p is a model of p N parameters; no run of one task alone."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"{run}", name, N, share, beta * (share * N) ** -alpha + least)
        for run, (N, p) in enumerate(itertools.product(sizes, weights))
        for name, share, beta, alpha, least in (("de", p, 90.0, 0.3, 1.2), ("zh", 1 - p, 80.0, 0.25, 1.5))
    ]
    frame = pd.DataFrame(rows, columns=["run", "task", "N", "p", "loss"])
    frame["loss"] *= np.exp(noise * rng.standard_normal(len(frame)))
    return frame


def test_the_papers_own_totals_are_noted_as_sizes_with_embeddings():
    """All eight printed rows; that of width 1280 is 327,680 above the count, and hides the other seven."""
    with pytest.warns(ScalingWarning, match="embedding"):
        MixtureScaling(f="free").fit(neutral([float(N) for N in TOTALS], [0.2, 0.5, 0.8]))
