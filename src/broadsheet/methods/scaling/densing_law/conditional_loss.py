"""The loss that the law is about: of reference answers, given their instructions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import torch

__all__ = ["conditional_loss"]


def conditional_loss(
    model: torch.nn.Module,
    tokenizer: Any,
    pairs: Iterable[tuple[str, str]],
    *,
    batch_size: int = 32,
) -> pd.DataFrame:
    """Return ``-log P(answer | instruction)`` of every pair.

    Args:
        model: A causal language model of Hugging Face's kind.
        tokenizer: Its tokenizer.
        pairs: Instructions and reference answers. For a multiple choice the instruction holds question and options, and
            the answer an explanation and the label; for reasoning, the steps and the result.
        batch_size: Pairs worked on at once.

    Returns:
        A row per pair: ``tokens`` of the answer, ``loss_sum`` (nats) and ``loss_mean`` (nats per token). The paper's
        loss of a test set is the mean of ``loss_sum`` over its rows.

    Raises:
        ValueError: if there is no pair, or an instruction or answer has no tokens.

    Source:
        Step 1 of the performance estimation: the conditional loss.
    """
    from broadsheet.methods.scaling.teacher_forcing import answer_log_probabilities, answer_tokens

    tokens = [answer_tokens(tokenizer, prompt, answer) for prompt, answer in pairs]
    if not tokens:
        raise ValueError("pairs must hold at least one instruction with its answer, got none")
    found = answer_log_probabilities(model, tokens, batch_size=batch_size)
    total = np.array([-values.sum() for values in found])
    count = np.array([len(values) for values in found])
    return pd.DataFrame({"tokens": count, "loss_sum": total, "loss_mean": total / count})
