from __future__ import annotations

import pytest
import torch
from torch import nn

from broadsheet.methods._shared.tiny_lm import TinyLM, TinyLMConfig

transformers = pytest.importorskip("transformers")

SHAPES = [
    {},
    {"tied": False},
    {"kv_heads": 2},
    {"d_head": 16, "d_ff": 48},
    {"rope_base": 500.0, "norm_eps": 1e-3},
]


def made(given: dict) -> TinyLM:
    model = TinyLM(
        TinyLMConfig(**{"vocab_size": 50, "d_model": 32, "heads": 4, "layers": 2, **given}), seed=1
    )
    with torch.no_grad():  # norms at one would hide an exchange of two of them
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name))) / 5)
    return model.eval()


@pytest.mark.parametrize("given", SHAPES, ids=str)
def test_llama_gives_equal_logits_and_loss(given: dict) -> None:
    model = made(given)
    llama = model.to_hf()
    ids = torch.randint(50, (2, 60), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mine, theirs = model(ids, labels=ids), llama(input_ids=ids, labels=ids)
    torch.testing.assert_close(mine.logits, theirs.logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(mine.loss, theirs.loss, rtol=0, atol=1e-5)
    assert llama.num_parameters() == model.num_parameters()


@pytest.mark.parametrize("given", SHAPES, ids=str)
def test_back_and_forth_keeps_every_weight(given: dict) -> None:
    model = made(given)
    back = TinyLM.from_hf(model.to_hf())
    assert back.config == model.config
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, back.state_dict()[name]), name


def test_llama_survives_its_file(tmp_path) -> None:
    model = made({})
    model.to_hf().save_pretrained(tmp_path)
    again = TinyLM.from_hf(transformers.LlamaForCausalLM.from_pretrained(tmp_path))
    ids = torch.arange(30)[None]
    torch.testing.assert_close(again(ids).logits, model(ids).logits)


def test_the_copy_is_a_copy() -> None:
    model = made({})
    before = model.embed.weight.clone()
    with torch.no_grad():
        model.to_hf().model.embed_tokens.weight.zero_()
    assert torch.equal(model.embed.weight, before)


def test_what_llama_cannot_express_is_refused() -> None:
    with pytest.raises(ValueError, match="layer 0 holds a Identity"):
        TinyLM.preset("nano", ffn=lambda *_: nn.Identity()).to_hf()
    with pytest.raises(ValueError, match="layer 1 has a shape of its own"):
        TinyLM.preset("nano", per_layer=[{}, {"d_ff": 64}]).to_hf()


def test_what_tinylm_cannot_express_is_refused() -> None:
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
        hidden_act="gelu", attention_bias=True,
    )  # fmt: skip
    with pytest.raises(ValueError, match="activation 'gelu', biases"):
        TinyLM.from_hf(transformers.LlamaForCausalLM(config))
