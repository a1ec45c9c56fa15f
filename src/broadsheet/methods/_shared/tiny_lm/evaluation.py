"""The loss of a model on text that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from broadsheet.methods._shared.tiny_lm.linear_cross_entropy import linear_cross_entropy
from broadsheet.methods._shared.tiny_lm.model import TinyLM

__all__ = ["DataSource", "Evaluation", "check_vocabulary", "cross_entropy", "evaluate", "pair"]


class DataSource(Protocol):
    """What training and evaluation read: a corpus, a stream, or the user's own class."""

    name: str

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text per token."""

    def sequences(
        self, start: int, count: int, length: int, *, seed: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return (count, length) training ids and a mask of scored tokens, or None."""

    def validation_sequences(self, tokens: int | None, length: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return (count, length) fixed validation ids and a mask of scored tokens, or None."""


@dataclass(frozen=True)
class Evaluation:
    """A loss.

    Args:
        loss: Mean cross-entropy in nats per scored token.
        bits_per_byte: The same per byte of text, in bits: comparable across tokenizers.
        tokens: How many tokens were scored.
    """

    loss: float
    bits_per_byte: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """Exponential of the loss."""
        return math.exp(self.loss)


def evaluate(
    model: nn.Module, corpus: DataSource, *, tokens: int | None = 50_000, context: int = 128, batch: int = 32
) -> Evaluation:
    """Measure the loss on the validation split, in fixed pieces of one context each.

    Args:
        model: Anything that maps (batch, length) ids to logits, or to an object with ``logits``.
        corpus: The text.
        tokens: About how many tokens are scored (whole pieces); None for the whole split.
        context: Predictions per piece.
        batch: Pieces at once. It changes speed and memory, not which tokens are scored.

    Returns:
        The mean over the scored tokens. The model's mode is left as it was.

    Raises:
        ValueError: if the vocabularies differ, an argument is out of range or the text is too short.

    Example:
        >>> from broadsheet.methods._shared.tiny_lm import MarkovSource, TinyLM
        >>> source = MarkovSource(symbols=8)
        >>> found = evaluate(TinyLM.preset("nano", vocab_size=8), source, tokens=1_000, context=50)
        >>> found.tokens, found.loss > source.entropy_rate
        (1000, True)
    """
    check_vocabulary(model, corpus)
    for name, value in (("context", context), ("batch", batch), ("tokens", tokens)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    ids, scored = corpus.validation_sequences(tokens, context + 1)
    total, count = 0.0, 0
    with _evaluating(model):
        for begin in range(0, len(ids), batch):
            part = None if scored is None else scored[begin : begin + batch]
            inputs, targets = pair(ids[begin : begin + batch], part)
            total += float(cross_entropy(model, inputs, targets, reduction="sum"))
            count += int((targets != -100).sum())
    if count == 0:
        raise ValueError("no token of the validation sequences is scored; check the mask of the stream")
    loss = total / count
    return Evaluation(loss, loss / math.log(2) / corpus.bytes_per_token, count)


def cross_entropy(model: nn.Module, inputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    """Return the cross-entropy in nats of ``targets`` given ``inputs``, both (batch, length).

    Targets are those of the same position (already shifted); -100 is not scored. For :class:`TinyLM` itself the
    logits are never all in memory.
    """
    # The fused loss only where nobody could tell: not for subclasses, nor where hooks wait for the model's output.
    if type(model) is TinyLM and not model._forward_hooks and not model._forward_pre_hooks:
        hidden = model.hidden(inputs).flatten(0, 1)
        return linear_cross_entropy(hidden, model.output_weight, targets.flatten(), reduction)
    output: Any = model(inputs)
    logits = getattr(output, "logits", output)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction=reduction)


def pair(ids: np.ndarray, scored: np.ndarray | None) -> tuple[Tensor, Tensor]:
    """Return inputs and targets, (count, length - 1) each, of (count, length) ids."""
    whole = torch.from_numpy(np.ascontiguousarray(ids))
    targets = whole[:, 1:]
    if scored is not None:
        targets = targets.masked_fill(~torch.from_numpy(np.ascontiguousarray(scored[:, 1:])), -100)
    return whole[:, :-1], targets


def check_vocabulary(model: nn.Module, corpus: DataSource) -> None:
    """Refuse a model whose number of tokens is known and is not the corpus'."""
    size = getattr(getattr(model, "config", None), "vocab_size", None)
    if size is not None and size != corpus.vocab_size:
        raise ValueError(
            f"model has vocab_size={size}, corpus {corpus.name!r} has {corpus.vocab_size}; make the model with "
            "vocab_size=corpus.vocab_size or load the corpus with the model's tokenizer"
        )


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    was = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was)
