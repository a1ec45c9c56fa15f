"""The published sizes follow from the published shapes."""

from __future__ import annotations

import pytest

from broadsheet.methods.scaling.densing_law.configurations import REFERENCE_MODELS


@pytest.mark.parametrize("shape", REFERENCE_MODELS, ids=lambda s: s.name)
def test_published_sizes_are_counted_without_embeddings(shape):
    assert shape.parameters() == shape.published
    assert shape.heads * shape.head_width == shape.width
    assert shape.parameters(1000) == shape.published + 1000 * shape.width
    assert shape.parameters(1000, tied=False) == shape.published + 2000 * shape.width


def test_a_shape_counts_as_transformers_does():
    transformers = pytest.importorskip("transformers")
    shape = REFERENCE_MODELS[0]
    config = transformers.LlamaConfig(
        vocab_size=11,
        hidden_size=shape.width,
        intermediate_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_width,
        tie_word_embeddings=True,
    )
    model = transformers.LlamaForCausalLM(config)
    assert sum(p.numel() for p in model.parameters()) == shape.parameters(11)


def test_a_negative_vocabulary_is_refused():
    with pytest.raises(ValueError, match="vocabulary must be >= 0, got -1"):
        REFERENCE_MODELS[0].parameters(-1)
