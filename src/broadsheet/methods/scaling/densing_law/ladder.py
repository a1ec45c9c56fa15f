"""The two steps on models of our own: conditional loss and accuracy of small decoders on generated additions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import torch

from broadsheet.methods.scaling.densing_law.conditional_loss import conditional_loss
from broadsheet.methods.scaling.generated_tasks import (
    STEEP,
    Decoder,
    ladder,
    questions,
    symbol_tokenizer,
)
from broadsheet.methods.scaling.teacher_forcing import answer_tokens

if TYPE_CHECKING:
    from broadsheet.claims import Run

__all__ = ["measure_ladder"]


def measure_ladder(run: Run) -> pd.DataFrame:
    """Train four decoders per seed on additions, or find them in the cache, and measure them.

    Args:
        run: Gives scale, seeds and progress.

    Returns:
        A row per decoder: ``seed``, ``N``, ``D`` (tokens), ``loss`` (mean over questions of the answer's negative
        log-probability, nats) and ``score`` (share of sums that greedy decoding gets right).
    """
    items = questions(STEEP.task, run.pick(smoke=50, laptop=500, paper=5000))
    rows = []
    for seed in run.seeds:
        for decoder in ladder(run, STEEP, seed)[-4:]:
            found = conditional_loss(
                decoder.model, symbol_tokenizer(), [(i["prompt"], i["answer"]) for i in items], batch_size=512
            )
            score = _greedy_accuracy(decoder, items)
            rows.append(
                {
                    "seed": seed,
                    "N": decoder.N,
                    "D": decoder.tokens,
                    "loss": float(found["loss_sum"].mean()),
                    "score": score,
                }
            )
    return pd.DataFrame(rows)


def _greedy_accuracy(decoder: Decoder, items: list[dict[str, str]]) -> float:
    """Return the share of answers that are the likeliest token at every place, as greedy decoding would write them."""
    tokens = [answer_tokens(symbol_tokenizer(), i["prompt"], i["answer"]) for i in items]
    ids = torch.tensor([[*before, *after] for before, after in tokens])
    length = len(tokens[0][1])
    with torch.inference_mode():
        best = decoder.model(input_ids=ids).logits[:, -length - 1 : -1].argmax(-1)
    return float((best == ids[:, -length:]).all(dim=1).double().mean())
