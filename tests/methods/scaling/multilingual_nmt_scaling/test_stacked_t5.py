"""Stacked models give what transformers' T5 gives for the same weights, and do not see each other."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from broadsheet.methods.scaling import t5_nonembedding_parameters  # noqa: E402
from broadsheet.methods.scaling.multilingual_nmt_scaling.stacked_t5 import StackedT5  # noqa: E402

V, LAYERS, WIDTH, HEADS = 23, 2, 16, 2


def theirs(stack: StackedT5, model: int):
    """Return transformers' model with the weights of one of ours."""
    config = transformers.T5Config(
        vocab_size=V, num_layers=LAYERS, num_decoder_layers=LAYERS, d_model=WIDTH, num_heads=HEADS,
        d_kv=WIDTH // HEADS, d_ff=4 * WIDTH, feed_forward_proj="gated-gelu", dropout_rate=0.0,
        tie_word_embeddings=False, decoder_start_token_id=0, pad_token_id=0,
    )  # fmt: skip
    made = transformers.T5ForConditionalGeneration(config).eval()
    made.lm_head.weight = torch.nn.Parameter(
        made.lm_head.weight.detach().clone()
    )  # some releases tie all the same
    ours = {name: weight[model].detach() for name, weight in stack.weights.items()}
    with torch.no_grad():
        for embedding in {made.shared, made.encoder.embed_tokens, made.decoder.embed_tokens}:
            embedding.weight.copy_(ours["embedding"])
        made.lm_head.weight.copy_(ours["output"].T)
        for stack_name, part in (("encoder", made.encoder), ("decoder", made.decoder)):
            part.final_layer_norm.weight.copy_(ours[f"{stack_name}_norm"])
            bias = part.block[0].layer[0].SelfAttention.relative_attention_bias
            bias.weight.copy_(ours[f"{stack_name}_positions"])
            for number, block in enumerate(part.block):
                copy_block(block, ours, f"{stack_name}{number}", decoder=stack_name == "decoder")
    return made


def copy_block(block, ours, at, *, decoder):
    attention = block.layer[0].SelfAttention
    for linear, weight in zip(
        (attention.q, attention.k, attention.v), ours[f"{at}_self_qkv"].chunk(3, 1), strict=True
    ):
        linear.weight.copy_(weight.T)
    attention.o.weight.copy_(ours[f"{at}_self_o"].T)
    if decoder:
        cross = block.layer[1].EncDecAttention
        cross.q.weight.copy_(ours[f"{at}_cross_q"].T)
        for linear, weight in zip((cross.k, cross.v), ours[f"{at}_cross_kv"].chunk(2, 1), strict=True):
            linear.weight.copy_(weight.T)
        cross.o.weight.copy_(ours[f"{at}_cross_o"].T)
    for number, layer in enumerate(block.layer):
        layer.layer_norm.weight.copy_(ours[f"{at}_norm{number}"])
    feed = block.layer[-1].DenseReluDense
    for linear, weight in zip((feed.wi_0, feed.wi_1), ours[f"{at}_in"].chunk(2, 1), strict=True):
        linear.weight.copy_(weight.T)
    feed.wo.weight.copy_(ours[f"{at}_out"].T)


@pytest.fixture
def stack():
    made = StackedT5(3, V, LAYERS, WIDTH, HEADS, [5, 6, 5])
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # away from the initial values, at which norms are 1
        for weight in made.weights.values():
            weight[:2] += 0.1 * torch.randn(weight[:2].shape, generator=generator)
    return made


def sentences(models, length=9):
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randint(1, V, (models, 4, n), generator=generator) for n in (length, length + 2))


def test_losses_and_gradients_equal_those_of_transformers(stack):
    source, target = sentences(3)
    loss = stack(source, target)
    loss.mean(dim=(1, 2)).sum().backward()
    for model in range(2):
        peer = theirs(stack, model)
        peer.train()
        logits = peer(input_ids=source[model], labels=target[model]).logits
        expected = torch.nn.functional.cross_entropy(logits.transpose(1, 2), target[model], reduction="none")
        torch.testing.assert_close(loss[model], expected, rtol=2e-5, atol=2e-5)
        expected.mean().backward()
        gradient = peer.decoder.block[1].layer[1].EncDecAttention.q.weight.grad.T
        torch.testing.assert_close(
            stack.weights["decoder1_cross_q"].grad[model], gradient, rtol=1e-3, atol=1e-6
        )
        first = peer.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.grad
        torch.testing.assert_close(
            stack.weights["encoder_positions"].grad[model], first, rtol=1e-3, atol=1e-6
        )


def test_positions_beyond_the_exact_buckets_agree_too(stack):
    source, target = sentences(3, length=150)
    with torch.no_grad():
        logits = theirs(stack, 0)(input_ids=source[0], labels=target[0]).logits
        expected = torch.nn.functional.cross_entropy(logits.transpose(1, 2), target[0], reduction="none")
        torch.testing.assert_close(stack(source, target)[0], expected, rtol=1e-4, atol=1e-4)


def test_models_do_not_see_each_other():
    source, target = sentences(1)
    alone = StackedT5(1, V, LAYERS, WIDTH, HEADS, [7])(source, target)
    beside = StackedT5(2, V, LAYERS, WIDTH, HEADS, [3, 7])
    torch.testing.assert_close(beside(source.expand(2, -1, -1), target.expand(2, -1, -1))[1], alone[0])


def test_the_decoder_does_not_see_what_it_predicts(stack):
    source, target = sentences(3)
    changed = target.clone()
    changed[..., 5] = (changed[..., 5] + 1) % V
    before, after = stack(source, target), stack(source, changed)
    torch.testing.assert_close(before[..., :5], after[..., :5])
    assert not torch.allclose(before[..., 6:], after[..., 6:])


def test_it_counts_its_parameters(stack):
    assert stack.non_embedding_parameters() == t5_nonembedding_parameters(LAYERS, WIDTH, HEADS)


def test_bad_shapes_are_refused():
    with pytest.raises(ValueError, match="d_model must be a multiple of heads \\(3\\), got 16"):
        StackedT5(1, V, 1, 16, 3, [0])
    with pytest.raises(ValueError, match="one seed for each of the 2 models, got 1"):
        StackedT5(2, V, 1, 16, 2, [0])
