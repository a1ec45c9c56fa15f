"""How many parameters a T5-style encoder-decoder has, with and without its embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["embedding_inclusive", "non_embedding_parameters", "t5_nonembedding_parameters", "t5_parameters"]

_BUCKETS = 32  # relative-position buckets of T5
_VOCABULARIES = (32_000, 32_128, 64_000, 128_000, 128_128, 250_112, 256_000)
_EMBEDDINGS = ("shared", "lm_head", "embed_tokens")


def t5_nonembedding_parameters(layers: int, d_model: int, heads: int, d_ff: int | None = None) -> int:
    """Count the parameters of a T5-1.1 encoder-decoder without token embedding and output matrix.

    Attention without biases (4 d^2, twice in a decoder layer), gated feed-forward (3 d d_ff), norms of a scale only
    (2 in an encoder layer, 3 in a decoder layer, 2 at the ends) and two tables of relative positions (32 per head).
    With d_ff = 4 d the sum is ``36 L d^2 + (5 L + 2) d + 64 h``.

    Args:
        layers: Encoder layers = decoder layers L, at least 1.
        d_model: Width d, a multiple of ``heads``.
        heads: Attention heads h, at least 1.
        d_ff: Feed-forward width; 4 d by default.

    Returns:
        Number of parameters.

    Raises:
        ValueError: naming the argument that is out of range.

    Source:
        Table of model sizes; the formula is derived from T5-1.1's blocks and gives all eight of its rows.

    Example:
        >>> t5_nonembedding_parameters(layers=6, d_model=768, heads=12)
        127427328
    """
    for name, value in (("layers", layers), ("d_model", d_model), ("heads", heads)):
        _whole(name, value)
    if d_model % heads:
        raise ValueError(f"d_model must be a multiple of heads ({heads}), got {d_model!r}")
    wide = 4 * d_model if d_ff is None else _whole("d_ff", d_ff)
    attention, feed = 4 * d_model**2, 3 * d_model * wide
    encoder = attention + feed + 2 * d_model
    decoder = 2 * attention + feed + 3 * d_model
    return layers * (encoder + decoder) + 2 * d_model + 2 * _BUCKETS * heads


def t5_parameters(
    layers: int, d_model: int, heads: int, vocabulary: int = 128_000, d_ff: int | None = None
) -> int:
    """Count all parameters: :func:`t5_nonembedding_parameters` plus two matrices of vocabulary times width.

    Args:
        layers: Encoder layers = decoder layers.
        d_model: Width.
        heads: Attention heads.
        vocabulary: Number of tokens, at least 1.
        d_ff: Feed-forward width; 4 d by default.

    Returns:
        Number of parameters, with the output matrix not tied to the embedding.

    Raises:
        ValueError: naming the argument that is out of range.

    Example:
        >>> t5_parameters(layers=2, d_model=512, heads=8)
        149953024
    """
    counted = t5_nonembedding_parameters(layers, d_model, heads, d_ff)
    return counted + 2 * _whole("vocabulary", vocabulary) * d_model


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a whole number >= 1, got {value!r}")
    return int(value)


def non_embedding_parameters(model: Any) -> int:
    """Count a model's parameters other than token embeddings and output matrix.

    They are left out by name: some releases of transformers tie the two matrices even where the configuration says
    that they are not tied, so that a total minus ``2 V d`` would be wrong.

    Args:
        model: A ``torch.nn.Module`` with T5's names (``shared``, ``embed_tokens``, ``lm_head``).

    Returns:
        Number of parameters.
    """
    named = model.named_parameters()
    return sum(weight.numel() for name, weight in named if not set(name.split(".")) & set(_EMBEDDINGS))


_MOST = 0.75  # share of the sizes that must be explained


def embedding_inclusive(sizes: Any) -> int | None:
    """Tell whether sizes are T5 totals with embeddings, by finding a vocabulary that explains most of them.

    Args:
        sizes: Numbers of parameters.

    Returns:
        The vocabulary's size, or None if the sizes are no such totals.

    Example:
        >>> embedding_inclusive([149953024, 260322816, 324035328])
        128000
        >>> embedding_inclusive([18881024, 63714816, 127427328]) is None
        True
    """
    wanted = np.unique(np.asarray(sizes, float))
    d, L, per_head = np.meshgrid(
        np.arange(64, 8193, 64), np.arange(1, 49), (32, 64, 80, 96, 128), indexing="ij"
    )
    h = np.maximum(1, d // per_head)
    counted = (36 * L * d**2 + (5 * L + 2) * d + 64 * h).astype(float)
    if np.isin(wanted, counted).all():
        return None
    for vocabulary in _VOCABULARIES:
        # The paper's own table has one total that is a slip: most of the sizes are enough.
        if np.isin(wanted, counted + 2.0 * vocabulary * d).mean() >= _MOST:
            return vocabulary
    return None
