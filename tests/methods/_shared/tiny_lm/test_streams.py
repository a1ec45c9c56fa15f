from __future__ import annotations

import itertools

import numpy as np
import pytest

from broadsheet.methods._shared.tiny_lm import MarkovSource, Stream, generated_documents


def entropy_by_counting(source: MarkovSource, sequences: int) -> float:
    """Conditional entropy of what the source draws, with its true table: -mean log p(next | context)."""
    ids = source.draw(np.random.default_rng(1), sequences, 60)
    context = np.zeros(ids[:, source.order :].shape, dtype=int)
    for k in range(source.order):
        context = context * source.vocab_size + ids[:, k : k - source.order]
    return float(-np.log(source.table[context, ids[:, source.order :]]).mean())


@pytest.mark.parametrize("order", [1, 2, 3])
def test_entropy_rate_is_what_the_draws_show(order: int) -> None:
    source = MarkovSource(symbols=6, order=order, seed=4)
    assert entropy_by_counting(source, 4000) == pytest.approx(source.entropy_rate, abs=0.006)


def test_draws_follow_the_table() -> None:
    source = MarkovSource(symbols=4, order=2, seed=0)
    ids = source.draw(np.random.default_rng(0), 20_000, 20)
    counts = np.zeros((4, 4, 4))
    np.add.at(counts, (ids[:, :-2], ids[:, 1:-1], ids[:, 2:]), 1)
    seen = counts.sum(-1)
    enough = seen.reshape(-1) > 2000
    found = (counts / np.maximum(seen, 1)[..., None]).reshape(16, 4)
    np.testing.assert_allclose(found[enough], source.table[enough], atol=0.03)
    np.testing.assert_allclose(seen.reshape(-1) / seen.sum(), source.stationary, atol=0.004)


def test_stationary_distribution_does_not_move() -> None:
    source = MarkovSource(symbols=5, order=2, concentration=0.3, seed=2)
    moved = np.zeros((5, 5))
    for a, b, c in itertools.product(range(5), repeat=3):
        moved[b, c] += source.stationary[5 * a + b] * source.table[5 * a + b, c]
    np.testing.assert_allclose(moved.reshape(-1), source.stationary, atol=1e-9)


def test_loss_of_a_perfect_model_counts_the_first_symbols() -> None:
    """With an order-2 table that looks at the older symbol only, one symbol of context knows nothing of it."""
    source = MarkovSource(symbols=3, order=2, seed=1)
    ids = source.draw(np.random.default_rng(3), 200_000, 3)
    pairs = np.bincount(ids[:, 0] * 3 + ids[:, 1], minlength=9) / len(ids)
    firsts = pairs.reshape(3, 3).sum(1)
    second_given_first = -(pairs * np.log(pairs / np.repeat(firsts, 3))).sum()
    assert source.expected_loss(1) == pytest.approx(second_given_first, abs=0.005)
    assert source.expected_loss(2) == pytest.approx((second_given_first + source.entropy_rate) / 2, abs=0.005)
    assert source.expected_loss(10_000) == pytest.approx(source.entropy_rate, abs=1e-3)


def test_concentration_makes_rows_alike() -> None:
    spread = [
        MarkovSource(symbols=8, concentration=c, zipf=0, seed=0).entropy_rate for c in (0.1, 1, 10, 1e4)
    ]
    assert spread == sorted(spread)
    assert spread[-1] == pytest.approx(np.log(8), abs=0.01)


def test_sequences_depend_on_seed_and_number_only() -> None:
    source = MarkovSource(symbols=8)
    whole, _ = source.sequences(0, 600, 17, seed=3)
    parts = np.concatenate([source.sequences(at, 30, 17, seed=3)[0] for at in range(0, 600, 30)])
    np.testing.assert_array_equal(whole, parts)
    assert not np.array_equal(whole[:10], source.sequences(0, 10, 17, seed=4)[0])
    assert not np.array_equal(whole[:256], whole[256:512])
    again = MarkovSource(symbols=8).sequences(250, 10, 17, seed=3)[0]
    np.testing.assert_array_equal(whole[250:260], again)


def test_validation_is_not_in_training() -> None:
    source = MarkovSource(symbols=16)
    held, _ = source.validation_sequences(2_000, 33)
    assert held.shape == (63, 33)
    seen = {tuple(row) for row in source.sequences(0, 5_000, 33, seed=0)[0]}
    assert not seen & {tuple(row) for row in held}


def test_a_stream_may_score_some_tokens_only() -> None:
    class Half(Stream):
        def draw(self, rng, count, length):
            return rng.integers(0, 9, (count, length)), np.arange(length) >= 5

    ids, scored = Half(9).sequences(250, 20, 8, seed=0)
    assert ids.shape == scored.shape == (20, 8)
    assert scored.sum() == 60


def test_a_wrong_draw_is_refused() -> None:
    class Wrong(Stream):
        def draw(self, rng, count, length):
            return np.full((count, length), 9)

    with pytest.raises(ValueError, match="ids from 0 to 8, got 9 to 9"):
        Wrong(9).sequences(0, 1, 4, seed=0)

    class Short(Stream):
        def draw(self, rng, count, length):
            return np.zeros((count, length - 1), dtype=int)

    with pytest.raises(ValueError, match="shape \\(256, 4\\), got \\(256, 3\\)"):
        Short(9).sequences(0, 1, 4, seed=0)
    with pytest.raises(ValueError, match="tokens must be given"):
        MarkovSource(symbols=4).validation_sequences(None, 10)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"order": 4}, "order must be 1, 2 or 3, got 4"),
        ({"concentration": 0}, "concentration must be above 0, got 0"),
        ({"symbols": 1}, "at least 2, got 1"),
        ({"symbols": 300, "order": 2}, "27000000 entries"),
    ],
)
def test_impossible_sources_are_refused(given: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        MarkovSource(**given)


def test_the_generated_language_is_always_the_same_and_of_its_size() -> None:
    texts = list(generated_documents())
    assert texts == list(generated_documents())
    assert 150_000 < sum(map(len, texts)) < 300_000
    assert len(set(texts)) == len(texts) == 600
    assert texts != list(generated_documents(seed=1))
