"""The toy languages: what is known of them is true of what they say."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from broadsheet.methods.scaling.multilingual_nmt_scaling.toy_languages import ToyLanguages

TOY = ToyLanguages(words=8, genders=2, length=3, synonym=0.3, seed=4)


def entropy(items) -> float:
    counts = np.array(list(Counter(items).values()), float)
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum() + (len(counts) - 1) / (2 * counts.sum()))  # Miller and Madow


def whole(tokens) -> list[tuple[int, ...]]:
    return [tuple(row) for row in tokens.tolist()]


@pytest.mark.parametrize("task", ToyLanguages.tasks)
@pytest.mark.parametrize("direction", ["out of English", "into English"])
def test_conditional_entropy_is_the_irreducible_loss(task, direction):
    toy = ToyLanguages(
        words=4, genders=2, length=2, synonym=0.3, seed=4
    )  # small, so that entropies can be counted
    source, target = toy.pairs(100_000, task, np.random.default_rng(0), direction)
    joint, alone = entropy(whole(np.concatenate([source, target], axis=1))), entropy(whole(source))
    assert (joint - alone) / toy.length == pytest.approx(toy.irreducible_loss(), abs=4e-3)


def test_entropy_of_english_is_what_is_said():
    toy = ToyLanguages(words=4, genders=2, length=2, synonym=0.3, seed=4)
    _, english = toy.pairs(100_000, "de", np.random.default_rng(0), "into English")
    assert entropy(whole(english)) / toy.length == pytest.approx(toy.source_entropy(), abs=4e-3)


def test_without_synonyms_translation_is_one_to_one():
    toy = ToyLanguages(words=8, genders=2, length=3, synonym=0.0)
    assert toy.irreducible_loss() == 0.0
    for task in toy.tasks:
        source, target = toy.pairs(3000, task, np.random.default_rng(1))
        pairs = set(zip(whole(source), whole(target), strict=True))
        assert len(pairs) == len({s for s, _ in pairs}) == len({t for _, t in pairs})


def test_forms_depend_on_the_word_before():
    source, target = ToyLanguages(words=8, genders=2, length=3, synonym=0.0).pairs(
        3000, "zh", np.random.default_rng(1)
    )
    forms: dict[int, set[int]] = {}
    for english, form in zip(source[:, 2], target[:, 1], strict=True):  # zh runs backwards: the middle stays
        forms.setdefault(int(english), set()).add(int(form))
    assert max(map(len, forms.values())) == 2


def test_languages_share_no_token_and_differ_in_order():
    rng = np.random.default_rng(0)
    (source, de), (other, zh) = TOY.pairs(500, "de", rng), TOY.pairs(500, "zh", rng)
    assert not set(de.ravel()) & set(zh.ravel())
    assert not (set(de.ravel()) | set(zh.ravel())) & set(source[:, 1:].ravel())
    assert max(de.max(), zh.max()) < TOY.vocabulary
    assert set(source[:, 0]) == {TOY.tag("de")} != {TOY.tag("zh")} == set(other[:, 0])


def test_genders_keep_their_shares():
    english = TOY.english((50_000,), np.random.default_rng(2)) % TOY.genders
    for place in range(TOY.length):  # the chain starts in its stationary distribution
        assert (english[:, place] == 0).mean() == pytest.approx(TOY.gender_shares[0], abs=0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"genders": 1}, "genders must be >= 2, got 1"),
        ({"words": 10, "genders": 4}, "words must be a multiple of genders \\(4\\)"),
        ({"length": 1}, "length must be >= 2 slots, got 1"),
        ({"synonym": 0.6}, "synonym is the probability of a second form, between 0 and 0.5, got 0.6"),
        ({"zipf": -1.0}, "zipf must be >= 0, got -1.0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ToyLanguages(**settings)


def test_unknown_task_and_direction_are_refused():
    with pytest.raises(ValueError, match="task must be one of de, zh, got 'fr'"):
        TOY.pairs(1, "fr", np.random.default_rng(0))
    with pytest.raises(
        ValueError, match="direction must be 'out of English' or 'into English', got 'sideways'"
    ):
        TOY.pairs(1, "de", np.random.default_rng(0), "sideways")
