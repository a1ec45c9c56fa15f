"""What a causal model thinks of given answers: log-probabilities of their tokens after their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["answer_log_probabilities", "answer_tokens"]


def answer_tokens(tokenizer: Any, prompt: str, answer: str) -> tuple[list[int], list[int]]:
    """Split a prompt and its answer into tokens.

    Args:
        tokenizer: A Hugging Face tokenizer.
        prompt: The prompt, special tokens are added as the tokenizer does.
        answer: What follows it.

    Returns:
        The tokens of the prompt and those of the answer. Where prompt and answer merge into one token at their border,
        the answer is split on its own, so that the prompt's tokens stay what a sampler starts from.
    """
    before = list(tokenizer(prompt)["input_ids"])
    whole = list(tokenizer(prompt + answer)["input_ids"])
    end = tokenizer.eos_token_id
    if before and end is not None and before[-1] == end and len(before) > 1:
        before = before[:-1]  # some tokenizers close every text with the end token
        whole = whole[:-1] if whole[-1] == end else whole
    if whole[: len(before)] == before and len(whole) > len(before):
        return before, whole[len(before) :]
    return before, list(tokenizer(answer, add_special_tokens=False)["input_ids"])


def answer_log_probabilities(
    model: torch.nn.Module,
    tokens: Sequence[tuple[Sequence[int], Sequence[int]]],
    *,
    temperature: float = 1.0,
    batch_size: int = 32,
) -> list[NDArray[np.float64]]:
    """Return the log-probability of every token of every answer, given the prompt and the answer so far.

    Args:
        model: A causal model of Hugging Face's kind: takes ``input_ids`` and ``attention_mask``, returns ``logits``.
        tokens: Pairs of a prompt's tokens, at least one, and an answer's tokens, at least one.
        temperature: Divides the logits, > 0.
        batch_size: Pairs worked on at once; pairs of like length stand together.

    Returns:
        One array per pair, nats, one value per token of the answer.

    Raises:
        ValueError: if a prompt or an answer has no tokens, or an argument is out of range.
    """
    import torch

    if not temperature > 0:
        raise ValueError(f"temperature must be > 0, got {temperature!r}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size!r}")
    for place, (prompt, answer) in enumerate(tokens):
        if not len(prompt) or not len(answer):
            what = "prompt" if not len(prompt) else "answer"
            raise ValueError(f"pair {place}: the {what} has no tokens; both need at least one")
    order = sorted(range(len(tokens)), key=lambda i: len(tokens[i][0]) + len(tokens[i][1]))
    out: list[Any] = [None] * len(tokens)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for begin in range(0, len(order), batch_size):
                rows = order[begin : begin + batch_size]
                for place, values in zip(
                    rows, _batch(model, [tokens[i] for i in rows], temperature, device), strict=True
                ):
                    out[place] = values
    finally:
        model.train(was_training)
    return out


def _batch(
    model: torch.nn.Module,
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
    temperature: float,
    device: Any,
) -> list[NDArray[np.float64]]:
    import torch

    rows = [[*prompt, *answer] for prompt, answer in pairs]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [row[-1]] * (longest - len(row)) for row in rows], device=device)
    # Padding stands on the right, where a causal model's earlier positions cannot see it.
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
    logits = model(input_ids=ids, attention_mask=mask).logits
    found = []
    for number, (prompt, answer) in enumerate(pairs):
        here = logits[number, len(prompt) - 1 : len(prompt) + len(answer) - 1].double() / temperature
        wanted = torch.tensor(list(answer), device=device)
        logs = torch.log_softmax(here, -1).gather(-1, wanted[:, None])[:, 0]
        found.append(logs.cpu().numpy())
    return found
