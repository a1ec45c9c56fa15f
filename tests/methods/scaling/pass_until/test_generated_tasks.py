"""The generated tasks of the family and the decoders that are trained on them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from broadsheet.methods.scaling import generated_tasks as tasks


def test_sums_are_sums_and_all_of_one_length():
    questions, answers = tasks.Addition(3).draw(np.random.default_rng(0), 200)
    for question, answer in zip(questions, answers, strict=True):
        a, b = question.rstrip("=").split("+")
        assert int(a) + int(b) == int(answer)
        assert (len(question), len(answer)) == (8, 4)


def test_a_key_has_one_value_and_a_long_tail():
    questions, answers = tasks.Recall(50, 1.0).draw(np.random.default_rng(0), 20_000)
    book = dict(zip(questions, answers, strict=True))
    assert all(book[q] == a for q, a in zip(questions, answers, strict=True))
    counts = sorted(np.unique(questions, return_counts=True)[1], reverse=True)
    assert counts[0] / counts[1] == pytest.approx(2.0, rel=0.15)  # frequency falls as 1/rank
    assert counts[0] / 20_000 == pytest.approx(1 / (1 / np.arange(1, 51)).sum(), rel=0.05)


def test_the_tokenizer_writes_what_training_read():
    tokenizer = tasks.symbol_tokenizer()
    texts = ["034+571=", "0605"]
    for text in texts:
        assert tokenizer(text)["input_ids"] == tasks._ids([text])[0].tolist()
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.eos_token_id == 13


def test_decoders_learn_are_kept_and_differ_by_seed():
    made = [
        tasks.trained_decoder(
            tasks.Recall(4, 0.0), {"d_model": 16, "heads": 2, "layers": 1}, steps=60, batch=32, seed=s
        )
        for s in (0, 0, 1)
    ]
    assert made[0].key == made[1].key != made[2].key
    weights = [m.model.lm_head.weight for m in made]
    assert bool((weights[0] == weights[1]).all())
    assert not bool((weights[0] == weights[2]).all())
    assert made[0].tokens == 60 * 32 * 9
    assert sum(p.numel() for p in made[0].model.model.layers.parameters()) + 16 == made[0].N
    from broadsheet.methods.scaling.pass_until.ladder import exact_rates

    items = tasks.questions(tasks.Recall(4, 0.0), 20)
    assert exact_rates(made[0], items).mean() > 20 * 1e-3  # chance is 1e-3


def test_nothing_is_trained_for_no_steps():
    with pytest.raises(ValueError, match="steps and batch must be at least 1, got steps=0"):
        tasks.trained_decoder(tasks.Addition(1), tasks.LADDER[0], steps=0)
