"""Held-out text shares no document with training text."""

from __future__ import annotations

import pytest

from broadsheet.methods.scaling.infinite_compute.text import ALPHABET, fold, help_topics, split_documents


def marked(count: int, length: int) -> dict[str, str]:
    """Documents that each consist of one letter."""
    return {f"key {i}": ALPHABET[i] * length for i in range(count)}


def test_texts_share_no_document():
    text = split_documents(marked(12, 10), train=35, tune=25, test=30)
    parts = [set(part.tolist()) for part in (text.train, text.tune, text.test)]
    assert [len(part) for part in (text.train, text.tune, text.test)] == [35, 25, 30]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_a_seed_deals_anew_and_excerpts_give_many_a_part():
    documents = marked(20, 50)
    one, other = (split_documents(documents, train=60, tune=20, test=20, seed=seed) for seed in (0, 1))
    assert one.train.tolist() != other.train.tolist()
    assert one.train.tolist() == split_documents(documents, train=60, tune=20, test=20).train.tolist()
    short = split_documents(documents, train=60, tune=20, test=20, excerpt=5)
    assert len(set(short.train.tolist())) == 12


def test_all_characters_are_in_the_alphabet():
    topics = help_topics()
    text = split_documents(topics, train=6000, tune=15_000, test=38_000, excerpt=1000)
    assert int(text.test.max()) < text.vocab_size == len(ALPHABET)
    assert set(text.test.tolist()) <= set(text.train.tolist()) | {ALPHABET.index(c) for c in "qxz[]=;\"'"}
    assert fold("Ünd\tTwo\n\n3!") == ".nd two 0."


def test_bad_lengths_are_refused():
    with pytest.raises(ValueError, match="tune must be at least 1 character, got 0"):
        split_documents(marked(3, 5), train=5, tune=0, test=5)
    with pytest.raises(ValueError, match="documents give 15 characters, too few"):
        split_documents(marked(3, 5), train=5, tune=5, test=6)
    with pytest.raises(ValueError, match="documents give 6 characters"):
        split_documents(marked(3, 5), train=2, tune=2, test=3, excerpt=2)
