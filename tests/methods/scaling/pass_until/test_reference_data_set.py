"""The interval of a data set holds its rate, at the defaults too."""

from __future__ import annotations

import numpy as np
import pandas as pd

from broadsheet.methods.scaling import dataset_pass_rate


def test_the_interval_of_a_data_set_covers_its_rate_at_the_defaults():
    """Defaults: r = 1, r/K, 95 %. 40 items of known rates, measured 200 times: at least 90 % (3 standard errors) of the
    intervals of the mean must hold the mean rate. Each item's own interval is exact; the mean of r/K is biased by
    -p ln p / (1 - p) against p, and the interval is laid about the biased value.
    """
    rng = np.random.default_rng(0)
    rates = 10 ** rng.uniform(-3, -1, 40)
    held = 0
    for _ in range(200):
        K = rng.geometric(rates)
        table = pd.DataFrame({"item": range(40), "r": 1, "K": K, "capped": False, "p_mle": 1 / K})
        table[["p_unbiased", "lower", "upper"]] = np.nan, 0.0, 1.0
        row = dataset_pass_rate(table, n_draws=1000).iloc[0]
        held += bool(row["lower"] <= rates.mean() <= row["upper"])
    assert held >= 180
