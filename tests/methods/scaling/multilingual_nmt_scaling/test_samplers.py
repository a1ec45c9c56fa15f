"""Samplers: shares, order, refusals, and torch's own loader."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.methods.scaling import MixtureSampler, TemperatureSampler


def test_shares_follow_the_weights_and_not_the_sizes():
    drawn = np.array(list(MixtureSampler([10, 10_000, 500], [0.7, 0.2, 0.1], seed=3, num_samples=20_000)))
    shares = [(drawn < 10).mean(), ((drawn >= 10) & (drawn < 10_010)).mean(), (drawn >= 10_010).mean()]
    np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=0.013)  # four binomial standard errors


def test_every_example_comes_once_before_any_comes_twice():
    drawn = [i for i in MixtureSampler([7, 5], [0.5, 0.5], seed=1, num_samples=200) if i < 7]
    for start in range(0, len(drawn) - 7, 7):
        assert sorted(drawn[start : start + 7]) == list(range(7))


def test_seed_and_epoch_decide_the_order():
    one, other = MixtureSampler([50, 50], [0.4, 0.6], seed=5), MixtureSampler([50, 50], [0.4, 0.6], seed=5)
    assert list(one) == list(one) == list(other)
    other.set_epoch(1)
    assert list(one) != list(other)


def test_torch_loads_by_it():
    data = pytest.importorskip("torch.utils.data")
    sets = [[("de", i) for i in range(8)], [("zh", i) for i in range(8)]]
    loader = data.DataLoader(data.ConcatDataset(sets), batch_size=4, sampler=MixtureSampler(sets, [0.0, 1.0]))
    assert {name for names, _ in loader for name in names} == {"zh"}


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=6), st.floats(1, 100))
def test_temperature_flattens(sizes, T):
    sampler = TemperatureSampler(sizes, T=T)
    expected = np.array(sizes, float) ** (1 / T)
    np.testing.assert_allclose(sampler.weights, expected / expected.sum(), rtol=1e-9)


def test_infinite_temperature_makes_tasks_even():
    np.testing.assert_allclose(TemperatureSampler([1, 10, 1000], T=np.inf).weights, 1 / 3)


def test_longer_sentences_take_a_larger_share_of_tokens():
    np.testing.assert_allclose(MixtureSampler([9, 9], [0.25, 0.75]).token_shares([60, 20]), [0.5, 0.5])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MixtureSampler([], []), "datasets must hold at least one dataset, got none"),
        (lambda: MixtureSampler([1, 2], [1.0]), "weights must hold one number for each of the 2 datasets"),
        (lambda: MixtureSampler([1, 2], [1.5, -0.5]), "weights must be in \\[0, 1\\], got 1.5 for dataset 0"),
        (lambda: MixtureSampler([1, 2], [0.5, 0.4]), "weights must sum to 1, their sum is 0.9"),
        (lambda: MixtureSampler([0, 2], [0.5, 0.5]), "number 0 has weight 0.5 and 0 examples"),
        (lambda: MixtureSampler([1], [1.0], num_samples=0), "num_samples must be at least 1, got 0"),
        (lambda: TemperatureSampler([1, 2], T=0.5), "T must be >= 1"),
        (lambda: TemperatureSampler([1, 0]), "sizes must be at least 1, got 0 for dataset 1"),
        (
            lambda: MixtureSampler([1, 2], [0.5, 0.5]).token_shares([1, 0]),
            "mean_lengths must hold a number > 0",
        ),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
