"""Sampling mixtures: the simplex, the bounds, the authors' procedure; and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from broadsheet.methods.scaling import sample_mixtures
from broadsheet.methods.scaling.regmix.mixtures import as_mixtures, as_prior, distinct, within_bounds

PRIOR = pd.Series({"a": 0.02, "b": 0.18, "c": 0.3, "d": 0.5})


@settings(max_examples=40)
@given(
    st.lists(st.floats(0.01, 1.0), min_size=2, max_size=8),
    st.integers(1, 30),
    st.floats(0.2, 1.5),
    st.floats(3.0, 20.0),
    st.integers(0, 2**32 - 1),
)
def test_rows_lie_on_the_simplex_within_the_bounds_and_differ(tokens, n, temperature, max_epochs, seed):
    found = sample_mixtures(tokens, n, temperature=temperature, max_epochs=max_epochs, seed=seed)
    x, share = found.to_numpy(), np.array(tokens) / sum(tokens)
    assert x.shape == (n, len(tokens))
    assert np.allclose(x.sum(axis=1), 1.0, atol=1e-12)
    assert (x >= 0).all()
    assert (x <= np.minimum(max_epochs * share, 1.0) + 1e-9).all()
    assert len(np.unique(x.round(7), axis=0)) == n
    assert not ((x > 0) & (x < 0.9e-4)).any()  # no traces


def test_the_same_seed_gives_the_same_table_whatever_the_unit_of_the_prior():
    one, other = sample_mixtures(PRIOR, 20, seed=3), sample_mixtures(PRIOR * 1e12, 20, seed=3)
    pd.testing.assert_frame_equal(one, other)
    assert not one.equals(sample_mixtures(PRIOR, 20, seed=4))


def by_the_script(prior, n, seed, temperature=0.5, low=0.1, high=5.0, max_epochs=15.0, minimum=2e-4):
    """The authors' procedure, one candidate at a time, written from its description."""
    rng = np.random.default_rng(seed)
    flat = prior**temperature / (prior**temperature).sum()
    strengths = 10 ** np.linspace(np.log10(low), np.log10(high), 15)
    kept = {}
    for _ in range(100 * n):
        row = rng.dirichlet(flat * strengths[rng.integers(15)])
        if any(w > min(max_epochs * p, 1.0) for w, p in zip(row, prior, strict=True)):
            continue
        row = np.where(row < minimum, 0.0, row)
        row = np.round(row / row.sum() / minimum) * minimum
        kept[tuple(np.round(row, 6))] = row / row.sum()
    rows = np.array(list(kept.values()))
    return rows[rng.choice(len(rows), n, replace=False)]


def test_samples_are_distributed_as_those_of_the_authors_procedure():
    theirs = by_the_script((PRIOR / PRIOR.sum()).to_numpy(), 300, seed=0)
    ours = np.concatenate([sample_mixtures(PRIOR, 300, seed=seed).to_numpy() for seed in range(3)])
    for domain in range(4):
        assert ks_2samp(theirs[:, domain], ours[:, domain]).pvalue > 1e-3
    assert abs((theirs == 0).mean() - (ours == 0).mean()) < 0.05


def test_bounds_are_taken_before_the_temperature():
    # After the temperature the prior of a would be 0.09 and 15 epochs would allow everything.
    found = sample_mixtures(PRIOR, 200, max_epochs=2.0, strengths=(2.0, 20.0))
    assert found["a"].max() <= 0.04 + 1e-9
    assert found["a"].max() > 0.03


def test_traces_vanish_and_shares_are_rounded():
    upper = np.ones(3)
    rows = np.array([[0.0001, 0.4, 0.5999], [0.25004, 0.25, 0.49996]])
    found = within_bounds(rows, upper, 2e-4)
    assert found[0, 0] == 0.0
    assert np.allclose(found[1], [0.25, 0.25, 0.5], atol=1e-4)
    assert np.allclose(found.sum(axis=1), 1.0)


def test_a_row_that_rounding_lifts_over_its_bound_is_refused():
    rows = np.array([[0.10005, 0.89995]])
    assert len(within_bounds(rows, np.array([0.10005, 1.0]), 2e-4)) in (0, 1)
    lifted = np.array([[0.30001, 0.69990, 0.00009]])  # dropping the trace scales the others up
    assert len(within_bounds(lifted, np.array([0.30001, 1.0, 1.0]), 1e-4)) == 1
    assert len(within_bounds(lifted, np.array([0.30001, 0.69992, 1.0]), 1e-5)) == 1
    assert len(within_bounds(np.array([[0.9997, 0.00015, 0.00015]]), np.array([0.9998, 1.0, 1.0]), 2e-4)) == 0


def test_no_mixture_comes_twice():
    rows = np.array([[0.5, 0.5], [0.5, 0.5 + 1e-9], [0.4, 0.6]])
    assert len(distinct(rows, 2e-4)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n must be a whole number"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"strengths": (5.0, 0.1)}, "strengths must be two numbers"),
        ({"strengths": (0.0, 1.0)}, "strengths must be two numbers"),
        ({"max_epochs": 0.5}, "max_epochs must be at least 1"),
        ({"minimum": -1e-4}, "minimum must be from 0"),
        ({"max_epochs": 1.0}, "raise max_epochs or strengths"),
        ({"minimum": 0.4, "n": 500}, "distinct mixtures were not found"),
        ({"prior": {"a": 1.0, "b": 0.0}}, "got 0 for 'b'; leave out"),
        ({"prior": {"a": 1.0}}, "at least two domains"),
        ({"prior": {"a": 1.0, "b": np.nan}}, "above 0 for every domain"),
        ({"prior": [[1.0, 2.0]]}, "one number per domain"),
    ],
)
def test_what_cannot_be_sampled_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        sample_mixtures(**({"prior": PRIOR, "n": 10} | change))


def test_rows_rounded_to_three_digits_are_accepted_and_normalised():
    found = as_mixtures(
        pd.DataFrame({"a": [0.333, 0.5], "b": [0.333, 0.5], "c": [0.330, 0.003]}, index=["x", "y"])
    )
    assert np.allclose(found.sum(axis=1), 1.0, atol=1e-15)
    assert list(found.index) == ["x", "y"]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"a": [0.5, 0.5], "b": [0.5, 0.52]}, r"row 1 sums to 1.02"),
        ({"a": [50.0], "b": [50.0]}, "divide by 100"),
        ({"a": [1.2], "b": [-0.2]}, "negative, got -0.2 in row 0, column 'b'"),
        ({"a": [np.nan], "b": [1.0]}, "finite numbers, got nan in row 0, column 'a'"),
        ({"a": ["x"], "b": [1.0]}, "column 'a' does not"),
        ({"index": [7], "a": [0.5], "b": [0.5]}, "set the column 'index'"),
        ({"a": [1.0]}, "two domains"),
        ({"a": [], "b": []}, "at least one row"),
    ],
)
def test_what_is_no_mixture_is_refused_with_its_row(frame, message):
    with pytest.raises(ValueError, match=message):
        as_mixtures(pd.DataFrame(frame))


def test_columns_are_matched_by_name():
    frame = pd.DataFrame({"b": [0.3], "a": [0.7]})
    assert as_mixtures(frame, ["a", "b"]).to_numpy().tolist() == [[0.7, 0.3]]
    with pytest.raises(ValueError, match="no column 'c'"):
        as_mixtures(frame, ["a", "b", "c"])
    with pytest.raises(ValueError, match="unknown column 'b'"):
        as_mixtures(frame, ["a"])
    with pytest.raises(ValueError, match="more than once"):
        as_mixtures(pd.DataFrame([[0.5, 0.5]], columns=["a", "a"]))
    with pytest.raises(ValueError, match="3 columns, got 2"):
        as_mixtures([[0.5, 0.5]], ["a", "b", "c"])


def test_a_prior_is_matched_by_name():
    assert as_prior({"b": 1, "a": 3}, ["a", "b"]).tolist() == [0.75, 0.25]
    with pytest.raises(ValueError, match="must have the domains a, b"):
        as_prior({"a": 1, "c": 1}, ["a", "b"])
    with pytest.raises(ValueError, match="must have the domains"):
        as_prior([1, 2, 3], ["a", "b"])
