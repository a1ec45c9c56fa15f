"""The loss of answers, against the model's own logits one position at a time."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from broadsheet.methods._shared.tiny_lm import TinyLM, TinyLMConfig  # noqa: E402
from broadsheet.methods.scaling.densing_law.conditional_loss import conditional_loss  # noqa: E402
from broadsheet.methods.scaling.generated_tasks import symbol_tokenizer  # noqa: E402
from broadsheet.methods.scaling.teacher_forcing import answer_log_probabilities, answer_tokens  # noqa: E402


@pytest.fixture(scope="module")
def model():
    return TinyLM(TinyLMConfig(vocab_size=14, d_model=16, heads=2, layers=1, max_context=32), seed=1).to_hf()


def by_hand(model, prompt, answer):
    ids = symbol_tokenizer()(prompt + answer)["input_ids"]
    total = 0.0
    for place in range(len(prompt), len(ids)):
        with torch.no_grad():
            logits = model(torch.tensor([ids[:place]])).logits[0, -1].double()
        total -= float(torch.log_softmax(logits, -1)[ids[place]])
    return total


def test_loss_is_that_of_the_answer_alone_whatever_the_batch(model):
    pairs = [("12+34=", "046"), ("7>", "1"), ("123456789+1=", "0123456790"), ("0+0=", "000")]
    whole = conditional_loss(model, symbol_tokenizer(), pairs)
    assert whole["tokens"].tolist() == [3, 1, 10, 3]
    assert whole["loss_sum"].to_numpy() == pytest.approx([by_hand(model, *p) for p in pairs], abs=1e-5)
    assert whole["loss_mean"].to_numpy() == pytest.approx(whole["loss_sum"] / whole["tokens"])
    single = conditional_loss(model, symbol_tokenizer(), pairs, batch_size=1)
    assert single["loss_sum"].to_numpy() == pytest.approx(whole["loss_sum"].to_numpy(), abs=1e-5)


def test_the_models_mode_is_left_alone(model):
    model.train()
    conditional_loss(model, symbol_tokenizer(), [("1+1=", "2")])
    assert model.training
    model.eval()


def test_a_token_across_the_border_is_not_given_to_the_answer():
    class Merging:
        eos_token_id = None

        def __call__(self, text, add_special_tokens=True):
            table = {"ab": [1], "a": [2], "b": [3]}
            return {"input_ids": table[text]}

    assert answer_tokens(Merging(), "a", "b") == ([2], [3])


def test_temperature_and_bad_input(model):
    tokens = [([1, 2], [3])]
    hot = answer_log_probabilities(model, tokens, temperature=1e6)[0]
    assert hot[0] == pytest.approx(-np.log(14), abs=1e-4)
    with pytest.raises(ValueError, match="temperature must be > 0, got 0"):
        answer_log_probabilities(model, tokens, temperature=0)
    with pytest.raises(ValueError, match="pair 0: the answer has no tokens"):
        answer_log_probabilities(model, [([1], [])])
    with pytest.raises(ValueError, match="got none"):
        conditional_loss(model, symbol_tokenizer(), [])
