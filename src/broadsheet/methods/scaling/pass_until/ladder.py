"""Models of growing size on generated tasks, measured by PassUntil and, exactly, by teacher forcing."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from broadsheet.methods._shared.training_cache import kept
from broadsheet.methods.scaling.generated_tasks import Decoder, symbol_tokenizer
from broadsheet.methods.scaling.pass_until.sampler import HFSampler
from broadsheet.methods.scaling.pass_until.until import PassUntil
from broadsheet.methods.scaling.teacher_forcing import answer_log_probabilities, answer_tokens

__all__ = ["CAP", "exact_rates", "sampled", "share_of_first"]

CAP = 20_000
"""Samples of an item at most."""


def exact_rates(decoder: Decoder, items: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return the true pass probability of every item: each has one answer with one tokenisation."""
    tokenizer = symbol_tokenizer()
    pairs = []
    for item in items:
        before, after = answer_tokens(tokenizer, item["prompt"], item["answer"])
        pairs.append((before, [*after, tokenizer.eos_token_id]))
    logs = answer_log_probabilities(decoder.model, pairs, batch_size=512)
    return np.array([np.exp(values.sum()) for values in logs])


def sampled(
    decoder: Decoder, items: Sequence[Mapping[str, Any]], r: int, seed: int, *, scale: str = "laptop"
) -> pd.DataFrame:
    """Run PassUntil on the items, or read their counts from the cache.

    Args:
        decoder: The model.
        items: What :func:`~broadsheet.methods.scaling.generated_tasks.questions` returned.
        r: Passes waited for.
        seed: Seed of the samples.
        scale: At smoke scale the cap is a tenth.

    Returns:
        The table of PassUntil with ``N``, ``exact`` (the true rate) and ``loss`` (``-ln`` of it, that of the answer).
    """
    until = PassUntil(
        _sampler(decoder, items),
        _passes,
        r,
        CAP if scale != "smoke" else CAP // 10,
        4096,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder, "journal.jsonl")
        # A journal is all that the table needs, so that is what the cache holds.
        key = {"decoder": decoder.key, "items": [i["prompt"] for i in items], **until.settings}
        found = kept(key, lambda: _journal(until, items, journal), code=[__package__])
        journal.write_text(found.value, encoding="utf-8")
        table = until.run(items, journal=journal)
    exact = exact_rates(decoder, items)
    return table.assign(N=decoder.N, exact=exact, loss=-np.log(exact))


def _journal(until: PassUntil, items: Sequence[Mapping[str, Any]], file: Path) -> str:
    until.run(items, journal=file)
    return file.read_text(encoding="utf-8")


def share_of_first(decoder: Decoder, items: Sequence[Mapping[str, Any]], seed: int, count: int) -> np.ndarray:
    """Return the share of the first ``count`` samples that pass: those that PassUntil draws first, too."""
    until = PassUntil(_sampler(decoder, items), _passes, count, count, count, seed=seed)
    return until.run(items)["r"].to_numpy() / count


def _sampler(decoder: Decoder, items: Sequence[Mapping[str, Any]]) -> HFSampler:
    # The end token takes part in the check: a longer number that begins like the answer is wrong.
    length = len(items[0]["answer"]) + 1
    return HFSampler(decoder.model, symbol_tokenizer(), max_new_tokens=length, strip=False)


def _passes(item: Mapping[str, Any], text: str) -> bool:
    return bool(text == item["answer"] + symbol_tokenizer().eos_token)
