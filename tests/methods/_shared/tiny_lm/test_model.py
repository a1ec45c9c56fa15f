from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from broadsheet.methods._shared.tiny_lm import PRESETS, SwiGLU, TinyLM, TinyLMConfig


def small(**given) -> TinyLM:
    return TinyLM(TinyLMConfig(**{"vocab_size": 40, "d_model": 32, "heads": 4, "layers": 2, **given}))


def ids_of(count: int, length: int, size: int = 40) -> torch.Tensor:
    return torch.randint(size, (count, length), generator=torch.Generator().manual_seed(0))


def loss_by_hand(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean of -log p over all labels but the first, written out."""
    terms = [
        -logits[row, t - 1].log_softmax(0)[labels[row, t]]
        for row in range(labels.shape[0])
        for t in range(1, labels.shape[1])
        if labels[row, t] != -100
    ]
    return torch.stack(terms).mean()


@pytest.mark.parametrize(
    ("preset", "total", "rest"),
    [("nano", 166_208, 100_672), ("mini", 1_094_240, 930_400), ("base", 5_286_720, 4_959_040)],
)
def test_presets_have_the_sizes_they_are_known_by(preset: str, total: int, rest: int) -> None:
    model = TinyLM.preset(preset)
    assert model.num_parameters() == total
    assert model.non_embedding_parameters == rest


@pytest.mark.parametrize("preset", PRESETS)
def test_count_follows_from_the_shape(preset: str) -> None:
    model = TinyLM.preset(preset, vocab_size=300)
    c = model.config
    matrices = c.layers * (4 * c.d_model**2 + 3 * c.d_model * c.d_ff)
    assert model.prunable_parameters == matrices
    assert model.non_embedding_parameters == matrices + (2 * c.layers + 1) * c.d_model
    assert model.num_parameters() - model.non_embedding_parameters == 300 * c.d_model
    assert all(isinstance(module, nn.Linear) for module in model.prunable().values())
    assert set(model.prunable()) <= set(dict(model.named_modules()))


def test_an_untied_output_layer_is_an_embedding_too() -> None:
    tied, untied = small(), small(tied=False)
    assert untied.num_parameters() - tied.num_parameters() == 40 * 32
    assert untied.non_embedding_parameters == tied.non_embedding_parameters


def test_future_tokens_change_nothing() -> None:
    model = small()
    ids = ids_of(2, 20)
    other = ids.clone()
    other[:, 12:] = (other[:, 12:] + 7) % 40
    before, after = model(ids).logits, model(other).logits
    torch.testing.assert_close(before[:, :12], after[:, :12])
    assert not torch.allclose(before[:, 12:], after[:, 12:])


def test_padding_on_the_right_changes_nothing_and_on_the_left_is_refused() -> None:
    model = small()
    ids = ids_of(1, 10)
    padded = torch.cat([ids, torch.zeros(1, 4, dtype=torch.long)], dim=1)
    mask = torch.tensor([[1] * 10 + [0] * 4])
    torch.testing.assert_close(model(padded, attention_mask=mask).logits[:, :10], model(ids).logits)
    with pytest.raises(ValueError, match="padding on the right"):
        model(padded, attention_mask=mask.flip(1))


def test_positions_are_seen() -> None:
    """Without positions, swapping two earlier tokens would leave the last logits as they are."""
    model = small(layers=1)
    a, b = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[2, 1, 3, 4]])
    assert not torch.allclose(model(a).logits[:, -1], model(b).logits[:, -1], atol=1e-6)


def test_attention_depends_on_distance_only() -> None:
    """Scores of rotary positions are the same for a sequence that is shifted as a whole."""
    from broadsheet.methods._shared.tiny_lm.model import _rotate

    mixer = small().blocks[0].mixer
    q, k = torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(1))

    def score(i: int, j: int) -> float:
        at = [mixer.cos[[i]], mixer.sin[[i]]], [mixer.cos[[j]], mixer.sin[[j]]]
        return float((_rotate(q, *at[0]) * _rotate(k, *at[1])).sum())

    assert score(9, 4) == pytest.approx(score(505, 500), abs=1e-4)
    assert score(9, 4) != pytest.approx(score(9, 5), abs=1e-3)


def test_loss_is_that_of_transformers_convention() -> None:
    model = small()
    ids = ids_of(2, 9)
    labels = ids.clone()
    labels[0, 3:5] = -100
    output = model(input_ids=ids, labels=labels)
    torch.testing.assert_close(output.loss, loss_by_hand(output.logits, labels))
    assert model(ids).loss is None


def test_initial_loss_is_that_of_knowing_nothing() -> None:
    ids = ids_of(8, 100)
    loss = small()(ids, labels=ids).loss.item()
    assert loss == pytest.approx(math.log(40), abs=0.05)


def test_initial_weights_have_the_stated_spread() -> None:
    model = TinyLM.preset("small")
    c = model.config
    assert model.embed.weight.std().item() == pytest.approx(0.02, rel=0.02)
    for block in model.blocks:
        assert block.mixer.qkv.weight.std().item() == pytest.approx(c.d_model**-0.5, rel=0.02)
        assert block.ffn.down.weight.std().item() == pytest.approx((2 * c.layers * c.d_ff) ** -0.5, rel=0.02)
        assert block.mixer.out.weight.std().item() == pytest.approx(
            (2 * c.layers * c.d_model) ** -0.5, rel=0.02
        )


def test_initial_weights_agree_where_name_and_shape_agree() -> None:
    plain = TinyLM.preset("nano", seed=3)
    other = TinyLM.preset("nano", seed=3, ffn=lambda c, _: nn.Linear(c.d_model, c.d_model))
    torch.testing.assert_close(plain.embed.weight, other.embed.weight, rtol=0, atol=0)
    torch.testing.assert_close(
        plain.blocks[1].mixer.qkv.weight, other.blocks[1].mixer.qkv.weight, rtol=0, atol=0
    )
    assert not torch.equal(plain.embed.weight, TinyLM.preset("nano", seed=4).embed.weight)


def test_a_factory_draws_from_the_seed_and_leaves_the_random_state_alone() -> None:
    def ffn(config: TinyLMConfig, layer: int) -> nn.Module:
        return nn.Linear(config.d_model, config.d_model)

    torch.manual_seed(5)
    first = torch.rand(3)
    torch.manual_seed(5)
    one = TinyLM.preset("nano", ffn=ffn, seed=1)
    assert torch.equal(first, torch.rand(3))
    two = TinyLM.preset("nano", ffn=ffn, seed=1)
    assert torch.equal(one.blocks[0].ffn.weight, two.blocks[0].ffn.weight)
    assert not torch.equal(one.blocks[0].ffn.weight, one.blocks[1].ffn.weight)


def test_layers_may_differ() -> None:
    class Zero(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(x)

    model = TinyLM(
        TinyLMConfig(vocab_size=40, d_model=32, heads=4, layers=3),
        per_layer=[{"heads": 2, "d_ff": 48}, {}, {"mixer": lambda *_: Zero(), "ffn": SwiGLU}],
    )
    assert model.blocks[0].mixer.qkv.weight.shape == (3 * 2 * 8, 32)
    assert model.blocks[0].ffn.down.in_features == 48
    assert model.blocks[1].ffn.down.in_features == 96
    assert isinstance(model.blocks[2].mixer, Zero)
    assert model(ids_of(1, 5)).logits.shape == (1, 5, 40)


def test_shared_key_heads_equal_repeated_ones() -> None:
    grouped, full = small(kv_heads=2), small()
    full.load_state_dict(
        grouped.state_dict()
        | {f"blocks.{i}.mixer.qkv.weight": repeated(grouped.blocks[i].mixer.qkv.weight) for i in range(2)}
    )
    torch.testing.assert_close(grouped(ids_of(1, 7)).logits, full(ids_of(1, 7)).logits)


def repeated(qkv: torch.Tensor) -> torch.Tensor:
    """Four query heads and two heads of keys and of values, each of the latter written twice."""
    q, k, v = qkv.split([32, 16, 16])
    return torch.cat([q, *(x.reshape(2, 8, 32).repeat_interleave(2, 0).reshape(32, 32) for x in (k, v))])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"heads": 5}, "heads=5 does not divide d_model=32"),
        ({"d_head": 7}, "d_head must be even for rotary positions, got 7"),
        ({"d_model": 12, "heads": 4}, "d_head must be even for rotary positions, got 3"),
        ({"kv_heads": 3}, "kv_heads=3 must divide heads=4"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"d_ff": -1}, "d_ff must be at least 1"),
    ],
)
def test_impossible_shapes_are_refused(given: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        small(**given)


def test_other_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="preset must be one of nano, micro, mini, small, base, got 'huge'"):
        TinyLM.preset("huge")
    with pytest.raises(ValueError, match="one entry per layer \\(2\\), got 1"):
        TinyLM.preset("nano", per_layer=[{}])
    with pytest.raises(ValueError, match=r"per_layer\[1\] may hold .* got d_model"):
        TinyLM.preset("nano", per_layer=[{}, {"d_model": 3}])
    with pytest.raises(ValueError, match="17 positions, the model max_context=16"):
        small(max_context=16)(ids_of(1, 17))
