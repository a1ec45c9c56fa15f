"""Exponents of the regimes: the authors' digits, and another way to the optima."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from broadsheet.methods.scaling import REGIMES, regime_exponents

from ..conftest import registered


@pytest.fixture(scope="module")
def pairs() -> pd.DataFrame:
    return pd.read_csv(registered("porian-optimal-pairs"))


@pytest.mark.parametrize("dataset", ["rw", "owt2"])
def test_weighted_fits_give_the_authors_digits(pairs, dataset):
    table = regime_exponents(pairs, dataset)
    np.testing.assert_allclose(table["exponent"], table["published"], atol=6e-5)
    assert table["budgets"].between(10, 12).all()
    assert (table["std"] < 0.02).all()


def test_weights_matter(pairs):
    flat = regime_exponents(
        pairs.assign(n_opt_log_std=pairs["n_opt_log_std"].where(pairs["n_opt_log_std"].isna(), 1.0))
    )
    assert (flat["exponent"] - flat["published"]).abs().max() > 1e-3


@pytest.mark.parametrize("dataset", ["rw", "owt2"])
def test_parabolas_lead_to_nearly_the_same_exponents(dataset):
    runs = pd.read_csv(registered("porian-isoflop-points"))
    table = regime_exponents(runs, dataset, optima="parabola")
    assert (table["exponent"] - table["published"]).abs().max() < 0.03
    assert (np.diff(table["exponent"]) < 0).all()


def test_regimes_differ_in_one_thing_at_a_time_until_the_last():
    settings = [(r.hparams, r.warmup, r.decay, r.param_count) for r in REGIMES]
    changed = [sum(a != b for a, b in zip(one, other, strict=True)) for one, other in pairwise(settings)]
    assert changed == [1, 1, 1, 2]


def test_bad_input_is_refused(pairs):
    with pytest.raises(ValueError, match="optima must be 'authors' or 'parabola', got 'akima'"):
        regime_exponents(pairs, optima="akima")
    with pytest.raises(ValueError, match="table lacks the column 'warmup'"):
        regime_exponents(pairs.drop(columns="warmup"))
    with pytest.raises(ValueError, match=r"table has no rows of 'c4' in the regime 'as Kaplan et al\.'"):
        regime_exponents(pairs, "c4")
