"""Models of growing size on generated tasks, measured by PassUntil and, exactly, by teacher forcing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.generated_tasks import (
    LADDER,
    Addition,
    Decoder,
    Recall,
    Task,
    symbol_tokenizer,
    trained_decoder,
)
from broadsheet.methods.scaling.pass_until.sampler import HFSampler
from broadsheet.methods.scaling.pass_until.until import PassUntil
from broadsheet.methods.scaling.teacher_forcing import answer_log_probabilities, answer_tokens

if TYPE_CHECKING:
    from broadsheet.claims import Run

__all__ = ["CAP", "HARD", "SMOOTH", "STEEP", "Plan", "exact_rates", "ladder", "questions", "sampled"]

CAP = 20_000
"""Samples of an item at most."""


@dataclass(frozen=True)
class Plan:
    """A task, the shapes trained on it, and how long.

    Args:
        task: The task.
        shapes: Shapes of decoders, from small to large.
        steps: Updates of each, by scale.
        batch: Questions per update.
    """

    task: Task
    shapes: Sequence[dict[str, int]]
    steps: Mapping[str, int]
    batch: int = 192


STEEP = Plan(Addition(2), LADDER, {"smoke": 20, "laptop": 250, "paper": 2000})
"""Addition with answers of 3 digits: models find the carry at different sizes."""
HARD = Plan(Addition(3), LADDER[:2], {"smoke": 20, "laptop": 250, "paper": 2000})
"""Addition with answers of 4 digits, small models only: a pass in some hundred or thousand samples."""
SMOOTH = Plan(Recall(1000, 1.0), LADDER, {"smoke": 20, "laptop": 250, "paper": 2000})
"""Recall of values of keys with a long tail: the larger the model, the further down the tail it reaches."""


def questions(task: Task, count: int) -> list[dict[str, Any]]:
    """Return items for measuring, the same for all models: ``id``, ``prompt``, ``answer``."""
    prompts, answers = task.draw(np.random.default_rng(20_231_005), count)
    return [
        {"id": i, "prompt": p, "answer": a} for i, (p, a) in enumerate(zip(prompts, answers, strict=True))
    ]


def ladder(run: Run, plan: Plan, seed: int) -> list[Decoder]:
    """Return the trained decoders of a plan, trained now or found in the cache."""
    import torch

    torch.set_num_threads(1)
    shapes = plan.shapes if run.scale != "smoke" else plan.shapes[:4]
    steps = plan.steps[run.scale]
    return [
        trained_decoder(plan.task, shape, steps=steps, batch=plan.batch, seed=seed)
        for shape in run.progress(shapes, label="decoders")
    ]


def exact_rates(decoder: Decoder, items: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return the true pass probability of every item: each has one answer with one tokenisation."""
    tokenizer = symbol_tokenizer()
    pairs = []
    for item in items:
        before, after = answer_tokens(tokenizer, item["prompt"], item["answer"])
        pairs.append((before, [*after, tokenizer.eos_token_id]))
    logs = answer_log_probabilities(decoder.model, pairs, batch_size=512)
    return np.array([np.exp(values.sum()) for values in logs])


def sampled(decoder: Decoder, items: Sequence[Mapping[str, Any]], r: int, seed: int) -> pd.DataFrame:
    """Run PassUntil on the items, with the exact rate beside each."""
    sampler = HFSampler(
        decoder.model, symbol_tokenizer(), max_new_tokens=len(items[0]["answer"]) + 1, strip=False
    )
    end = symbol_tokenizer().eos_token
    until = PassUntil(sampler, lambda item, text: text == item["answer"] + end, r, CAP, 4096, seed=seed)
    table = until.run(items)
    return table.assign(N=decoder.N, exact=exact_rates(decoder, items))
