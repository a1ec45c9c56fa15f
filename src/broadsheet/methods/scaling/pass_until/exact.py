"""The true pass probability where the correct answers can be listed: the sum of what the model gives each of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["exact_pass_probability"]


def exact_pass_probability(
    model: torch.nn.Module,
    tokenizer: Any,
    prompt: str,
    answers: Iterable[str],
    *,
    temperature: float = 1.0,
    end_token_id: int | None = None,
    batch_size: int = 256,
) -> float:
    """Return the probability that one sample is one of the answers, the end token included.

    Args:
        model: A causal language model of Hugging Face's kind.
        tokenizer: Its tokenizer.
        prompt: The prompt.
        answers: The correct continuations, all of them, each once.
        temperature: That of the sampler.
        end_token_id: The token that ends an answer; by default the tokenizer's end token.
        batch_size: Answers worked on at once.

    Returns:
        The probability. It counts the one tokenisation of each answer that the tokenizer makes, so it is exact for
        tokenizers with a single tokenisation of each text (characters, words, digits) and a lower bound for others.

    Raises:
        ValueError: if there is no answer, one stands there twice, or there is no end token.

    Source:
        The derivation of the task scaling law: the pass probability as a product of token probabilities.
    """
    from broadsheet.methods.scaling.teacher_forcing import answer_log_probabilities, answer_tokens

    listed = [answers] if isinstance(answers, str) else list(answers)
    if not listed:
        raise ValueError(f"answers to {prompt!r} must hold at least one text, got none")
    if len(set(listed)) < len(listed):
        twice = next(a for a in listed if listed.count(a) > 1)
        raise ValueError(f"the answer {twice!r} to {prompt!r} stands there twice: it would be counted twice")
    end = tokenizer.eos_token_id if end_token_id is None else end_token_id
    if end is None:
        raise ValueError("the tokenizer names no end token; give end_token_id=")
    pairs = []
    for answer in listed:
        before, after = answer_tokens(tokenizer, prompt, answer)
        pairs.append((before, [*after, end]))
    logs = answer_log_probabilities(model, pairs, temperature=temperature, batch_size=batch_size)
    return float(min(1.0, np.exp([values.sum() for values in logs]).sum()))
