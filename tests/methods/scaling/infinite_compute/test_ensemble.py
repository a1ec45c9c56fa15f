"""An ensemble is one model: its logits, its loss, its text; and the theorem about its loss."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.methods.scaling.infinite_compute.conftest import TinyCausal, made
from torch import nn
from torch.nn import functional as F

from broadsheet.methods.scaling.infinite_compute import LogitEnsemble
from broadsheet.methods.scaling.infinite_compute.ensemble import combine, logits_of


def nll(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none")


def test_logits_are_the_mean_of_the_members(models, tokens):
    ensemble = LogitEnsemble(models)
    expected = sum(model.eval()(tokens) for model in models) / 4
    torch.testing.assert_close(ensemble(tokens).logits, expected)
    assert len(ensemble) == 4


def test_probabilities_are_averaged_in_the_other_mode(models, tokens):
    ensemble = LogitEnsemble(models, mode="prob")
    expected = sum(model.eval()(tokens).softmax(-1) for model in models) / 4
    torch.testing.assert_close(ensemble(tokens).logits.exp(), expected)


def test_the_two_modes_differ_and_logits_give_the_geometric_mean(models, tokens):
    each = torch.stack([model.eval()(tokens) for model in models])
    geometric = F.log_softmax(each, -1).mean(0).softmax(-1)
    torch.testing.assert_close(combine(each, "logit").softmax(-1), geometric)
    assert (combine(each, "prob").exp() - geometric).abs().max() > 1e-3
    with pytest.raises(ValueError, match="mode must be"):
        combine(each, "mean")


@given(st.integers(2, 6), st.integers(2, 9), st.floats(0.01, 100), st.integers(0, 10**6))
def test_averaging_logits_never_loses_on_any_token(members, vocabulary, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(members, 20, vocabulary, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, vocabulary, (20,), generator=generator)
    together = nll(combine(logits), targets)
    alone = torch.stack([nll(one, targets) for one in logits]).mean(0)
    assert bool((together <= alone + 1e-9 * scale).all())


def test_averaging_never_loses_on_every_batch_of_real_members(models, tokens):
    ensemble = LogitEnsemble(models)
    for row in tokens:
        whole = nll(ensemble(row[None, :-1]).logits, row[1:]).mean()
        parts = torch.stack([nll(model(row[None, :-1]), row[1:]).mean() for model in models]).mean()
        assert whole.item() <= parts.item()


def test_equal_members_gain_nothing(tokens):
    (model,) = made(1)
    import copy

    ensemble = LogitEnsemble([model, copy.deepcopy(model)])
    torch.testing.assert_close(ensemble(tokens).logits, model(tokens))


def test_labels_give_the_shifted_loss(models, tokens):
    ensemble = LogitEnsemble(models)
    output = ensemble(tokens, labels=tokens)
    expected = F.cross_entropy(output.logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    torch.testing.assert_close(output.loss, expected)
    hidden = tokens.clone()
    hidden[:, 6:] = -100
    assert ensemble(tokens, labels=hidden).loss != output.loss
    assert ensemble(tokens).loss is None


def test_members_stay_in_evaluation_mode(models, tokens):
    ensemble = LogitEnsemble(models).train()
    assert ensemble.training
    assert not any(model.training for model in models)
    torch.testing.assert_close(ensemble(tokens).logits, ensemble(tokens).logits)


@pytest.mark.parametrize("mode", ["logit", "prob"])
def test_stacked_members_say_the_same(models, tokens, mode):
    plain = LogitEnsemble(models, mode)(tokens).logits
    stacked = LogitEnsemble(models, mode).stack()
    torch.testing.assert_close(stacked(tokens).logits, plain)
    assert stacked.member_logits(tokens).shape == (4, 5, 11, 7)


def test_other_architectures_cannot_be_stacked(models):
    wider = TinyCausal(width=20)
    ensemble = LogitEnsemble([models[0], wider])
    with pytest.raises(ValueError, match="one architecture"):
        ensemble.stack()


def test_greedy_text_takes_the_likeliest_token(models, tokens):
    ensemble = LogitEnsemble(models)
    text = ensemble.generate(tokens[:2, :3], max_new_tokens=4)
    assert text.shape == (2, 7)
    assert torch.equal(text[:, :3], tokens[:2, :3])
    for at in range(3, 7):
        assert torch.equal(text[:, at], ensemble(text[:, :at]).logits[:, -1].argmax(-1))


def test_drawn_text_follows_the_ensemble(models):
    ensemble = LogitEnsemble(models)
    begin = torch.zeros(4000, 1, dtype=torch.long)
    generator = torch.Generator().manual_seed(0)
    text = ensemble.generate(begin, 1, do_sample=True, generator=generator)
    share = torch.bincount(text[:, 1], minlength=7) / 4000
    expected = ensemble(begin[:1]).logits[0, -1].softmax(-1)
    assert (share - expected).abs().max() < 0.04
    cold = ensemble.generate(begin, 1, do_sample=True, temperature=1e-4, generator=generator)
    assert bool((cold[:, 1] == expected.argmax()).all())
    few = ensemble.generate(begin, 1, do_sample=True, top_k=2, generator=generator)
    assert set(few[:, 1].tolist()) == set(expected.topk(2).indices.tolist())


def test_text_ends_at_its_end(models, tokens):
    ensemble = LogitEnsemble(models)
    first = int(ensemble.generate(tokens[:1, :3], 1)[0, -1])
    text = ensemble.generate(tokens[:1, :3], 5, eos_token_id=first)
    assert text.tolist()[0][3:] == [first]


def test_context_limits_what_is_read(models, tokens):
    ensemble = LogitEnsemble(models)
    text = ensemble.generate(tokens[:1], 1, context=2)
    assert int(text[0, -1]) == int(ensemble(tokens[:1, -2:]).logits[0, -1].argmax())


def test_hugging_face_models_are_members():
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        attn_implementation="eager",
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        llamas = [LlamaForCausalLM(config).eval() for _ in range(3)]
    ensemble = LogitEnsemble(llamas)
    ids = torch.randint(0, 32, (2, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, :2] = 0
    expected = torch.stack([llama(ids, attention_mask=mask).logits for llama in llamas]).mean(0)
    torch.testing.assert_close(ensemble(ids, attention_mask=mask).logits, expected)
    assert ensemble.config is config
    assert ensemble.generate(ids, 3).shape == (2, 9)
    copies = LogitEnsemble([llamas[0], LlamaForCausalLM(config).eval()])
    copies.models[1].load_state_dict(llamas[0].state_dict())
    greedy = llamas[0].generate(ids, max_new_tokens=4, do_sample=False, pad_token_id=0, eos_token_id=None)
    assert torch.equal(copies.generate(ids, 4), greedy)
    other = LlamaForCausalLM(LlamaConfig(**{**config.to_dict(), "vocab_size": 33}))
    with pytest.raises(ValueError, match=r"one vocabulary, got sizes \[32, 33\]"):
        LogitEnsemble([llamas[0], other])


def test_bad_members_are_refused(models, tokens):
    with pytest.raises(ValueError, match="at least 2 members, got 1"):
        LogitEnsemble(models[:1])
    with pytest.raises(ValueError, match="stands there twice"):
        LogitEnsemble([models[0], models[0]])
    with pytest.raises(ValueError, match="mode must be 'logit' or 'prob', got 'mean'"):
        LogitEnsemble(models, mode="mean")
    with pytest.raises(ValueError, match="one vocabulary, got sizes"):
        LogitEnsemble([models[0], TinyCausal(9)])(tokens)
    with pytest.raises(TypeError, match="must return logits"):
        logits_of("text")
    assert logits_of({"logits": tokens}) is tokens
    with pytest.raises(TypeError, match="must return logits"):
        LogitEnsemble([nn.Sequential(nn.Identity(), _Tuple()), nn.Sequential(nn.Identity(), _Tuple())])(
            tokens
        )


class _Tuple(nn.Module):
    def forward(self, x):
        return (x,)


@pytest.mark.parametrize(
    "wrong", [{"max_new_tokens": 0}, {"temperature": 0.0}, {"top_k": 0}], ids=lambda w: next(iter(w))
)
def test_bad_settings_of_text_are_refused(models, tokens, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be positive"):
        LogitEnsemble(models).generate(tokens, **wrong)
    with pytest.raises(ValueError, match="input_ids must be"):
        LogitEnsemble(models).generate(tokens[0])
