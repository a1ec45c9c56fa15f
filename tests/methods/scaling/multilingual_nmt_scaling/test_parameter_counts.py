"""Parameter counts: the printed sizes, and models that transformers builds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.methods.scaling import t5_nonembedding_parameters, t5_parameters
from broadsheet.methods.scaling.multilingual_nmt_scaling.claims import PUBLISHED_SIZES
from broadsheet.methods.scaling.multilingual_nmt_scaling.parameter_counts import (
    embedding_inclusive,
    non_embedding_parameters,
)


@pytest.mark.parametrize(("layers", "width", "heads", "published", "total"), PUBLISHED_SIZES)
def test_the_formula_gives_the_printed_sizes(layers, width, heads, published, total):
    assert t5_nonembedding_parameters(layers, width, heads) == published
    vocabulary = 128_128 if width == 1280 else 128_000  # the one row that is printed otherwise
    assert t5_parameters(layers, width, heads, vocabulary) == total


@pytest.mark.parametrize(
    ("layers", "width", "heads", "ff"), [(1, 8, 2, None), (3, 24, 3, None), (2, 16, 4, 40)]
)
def test_a_model_of_transformers_has_as_many(layers, width, heads, ff):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.T5Config(
        num_layers=layers, num_decoder_layers=layers, d_model=width, num_heads=heads, d_kv=width // heads,
        d_ff=ff or 4 * width, feed_forward_proj="gated-gelu", vocab_size=11, tie_word_embeddings=False,
    )  # fmt: skip
    with torch.device("meta"):
        model = transformers.T5ForConditionalGeneration(config)
    assert non_embedding_parameters(model) == t5_nonembedding_parameters(layers, width, heads, ff)


@given(layers=st.integers(1, 40), head=st.integers(1, 128), heads=st.integers(1, 32))
def test_the_closed_form(layers, head, heads):
    d = head * heads
    assert (
        t5_nonembedding_parameters(layers, d, heads) == 36 * layers * d**2 + (5 * layers + 2) * d + 64 * heads
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": 0, "d_model": 8, "heads": 1}, "layers must be a whole number >= 1, got 0"),
        ({"layers": 1, "d_model": 8.5, "heads": 1}, "d_model must be a whole number >= 1, got 8.5"),
        ({"layers": 1, "d_model": 9, "heads": 2}, "d_model must be a multiple of heads \\(2\\), got 9"),
        ({"layers": 1, "d_model": 8, "heads": 1, "d_ff": -1}, "d_ff must be a whole number >= 1, got -1"),
    ],
)
def test_bad_shapes_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        t5_nonembedding_parameters(**settings)


def test_totals_with_embeddings_are_recognised():
    totals = [total for _, width, _, _, total in PUBLISHED_SIZES if width != 1280]
    assert embedding_inclusive(totals) == 128_000
    assert embedding_inclusive([row[3] for row in PUBLISHED_SIZES]) is None
    assert embedding_inclusive([1e7, 3e7, 1e8]) is None
