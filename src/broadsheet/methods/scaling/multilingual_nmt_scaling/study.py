"""The training part: small translation models of several sizes and weightings, and what their losses say."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from broadsheet.methods._shared.fresh_seeds import fresh_seed
from broadsheet.methods._shared.training_cache import kept
from broadsheet.methods.scaling.identification import ScalingWarning
from broadsheet.methods.scaling.multilingual_nmt_scaling.cells import FractionForm
from broadsheet.methods.scaling.multilingual_nmt_scaling.law import MixtureScaling
from broadsheet.methods.scaling.multilingual_nmt_scaling.toy_languages import ToyLanguages

if TYPE_CHECKING:
    from broadsheet.claims import Run

__all__ = [
    "DIRECTIONS",
    "HELD_OUT",
    "MIXTURES",
    "fitted",
    "fractions",
    "held_out_errors",
    "in_regime",
    "languages",
    "runs",
    "seed_noise",
    "train",
]

DIRECTIONS = ("out of English", "into English")
MIXTURES = (1.0, 0.0, 0.5, 0.3, 0.15)
"""Probability of the first task in each model. By symmetry the second task sees the weights that the first does not:
five models cover .15, .3, .5, .7, .85 and 1."""
HELD_OUT = 0.3
"""Mixture that the prediction of an unseen weighting leaves out."""
_CHUNK = 50  # steps whose sentences are drawn at once
_CODE = [
    f"broadsheet.methods.scaling.multilingual_nmt_scaling.{m}"
    for m in ("stacked_t5", "study", "toy_languages")
]


def languages() -> ToyLanguages:
    """Return the languages of the study."""
    return ToyLanguages(words=16, genders=2, length=3, synonym=0.2)


def train(
    direction: str,
    d_model: int,
    steps: int,
    seeds: Sequence[int],
    mixtures: Sequence[float] = MIXTURES,
    batch: int = 32,
    unseen: int = 2000,
) -> list[dict[str, Any]]:
    """Train one model per mixture and seed, all of one size at once, and evaluate them on both tasks.

    Adam with a peak learning rate of 0.12 / width (equal for all mixtures), 5 % warm-up, then linear decay to 0. No
    sentence is seen twice.

    Args:
        direction: See :data:`DIRECTIONS`.
        d_model: Width; one layer each, one head per 8 dimensions.
        steps: Optimiser steps.
        seeds: Seeds of initial weights and sentences.
        mixtures: Probabilities of the first task.
        batch: Sentences per step and model.
        unseen: Sentences per task that losses are measured on.

    Returns:
        One row per model and task that it was trained on: ``run``, ``task``, ``N``, ``p``, ``seed``, ``loss`` (nats
        per token on unseen sentences) and ``loss_before`` (the same after 80 % of the steps).
    """
    import torch

    from broadsheet.methods.scaling.multilingual_nmt_scaling.stacked_t5 import StackedT5

    toy = languages()
    models = [(p, seed) for p in mixtures for seed in seeds]
    net = StackedT5(
        len(models), toy.vocabulary, 1, d_model, max(1, d_model // 8), [seed for _, seed in models]
    )
    optimiser = torch.optim.Adam(net.parameters(), lr=0.12 / d_model, betas=(0.9, 0.98), fused=True)
    streams = [
        np.random.default_rng([seed, int(1000 * p), DIRECTIONS.index(direction)]) for p, seed in models
    ]
    before: np.ndarray | None = None
    sentences: Any = None
    for step in range(steps):
        if step % _CHUNK == 0:
            sentences = _draw(toy, direction, [p for p, _ in models], streams, (_CHUNK, batch))
        if step == int(0.8 * steps):
            before = _evaluate(net, toy, direction, unseen)
        for group in optimiser.param_groups:
            group["lr"] = 0.12 / d_model * min(1.0, (step + 1) / (0.05 * steps)) * (1.0 - step / steps)
        source, target = (part[:, step % _CHUNK] for part in sentences)
        loss = net(source, target).mean(dim=(1, 2)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after, size = _evaluate(net, toy, direction, unseen), net.non_embedding_parameters()
    return [
        {
            "run": f"{direction}, N={size}, p={p:g}, seed={seed}",
            "task": task,
            "N": size,
            "p": p if number == 0 else 1.0 - p,
            "seed": seed,
            "loss": float(after[number, model]),
            "loss_before": float(before[number, model]) if before is not None else float("nan"),
        }
        for number, task in enumerate(toy.tasks)
        for model, (p, seed) in enumerate(models)
        if (p if number == 0 else 1.0 - p) > 0
    ]


def _draw(
    toy: ToyLanguages, direction: str, mixtures: list[float], streams: list[Any], shape: tuple[int, int]
) -> tuple[Any, Any]:
    """Draw sentences for some steps of every model; each has a stream of its own, whoever stands beside it."""
    import torch

    drawn = []
    for p, rng in zip(mixtures, streams, strict=True):
        task = (rng.random(shape) >= p).astype(np.int64)
        drawn.append(toy.pairs(shape, task, rng, direction))
    source, target = zip(*drawn, strict=True)
    return torch.from_numpy(np.stack(source)), torch.from_numpy(np.stack(target))


def _evaluate(net: Any, toy: ToyLanguages, direction: str, count: int) -> np.ndarray:
    """Return mean losses, (tasks, models), on the same unseen sentences for all."""
    import torch

    losses = []
    with torch.no_grad():
        for task in toy.tasks:
            pairs = toy.pairs((1, count), task, np.random.default_rng(987_654), direction)
            source, target = (torch.from_numpy(part).expand(net.models, -1, -1) for part in pairs)
            losses.append(net(source, target).mean(dim=(1, 2)).numpy())
    return np.array(losses)


def runs(run: Run, directions: Sequence[str] = DIRECTIONS) -> pd.DataFrame:
    """Train, or fetch from disk, the runs of the study at a scale.

    Args:
        run: Gives scale, seeds and progress.
        directions: Those that are wanted.

    Returns:
        The rows of :func:`train` with ``direction``.
    """
    widths = run.pick(smoke=(4, 6, 8), laptop=(4, 6, 8, 12), paper=(8, 12, 16, 24, 32, 48, 64))
    steps = run.pick(smoke=15, laptop=1500, paper=100_000)
    unseen = run.pick(smoke=100, laptop=2000, paper=20_000)
    seeds = [fresh_seed(run, seed) for seed in run.seeds]
    parts = []
    for direction, width in run.progress([(d, w) for d in directions for w in widths], label="widths"):
        run.say(f"training {direction}, width {width}")
        key = {
            "direction": direction,
            "d_model": width,
            "steps": steps,
            "seeds": seeds,
            "unseen": unseen,
        }
        made = kept(
            {"study": "multilingual", **key},
            lambda d=direction, w=width: train(d, w, steps, seeds, unseen=unseen),  # type: ignore[misc]
            code=_CODE,
        )
        parts.append(pd.DataFrame(made.value).assign(direction=direction))
    return pd.concat(parts, ignore_index=True)


class _Unjudged(MixtureScaling):
    """The joint law, fitted whether or not the runs can tell each parameter: a claim reports what they give."""

    def _judge(self, free: np.ndarray, *settings: Any) -> None:
        self._settle(free)
        self.residuals_ = self._objective().residuals(self.theta_[None])[0]
        self.at_bounds_ = self.cells_.at_bounds(self.theta_, self.rows_.y)


def fitted(table: pd.DataFrame, f: FractionForm = "free", **settings: Any) -> MixtureScaling:
    """Fit the joint law to one direction's runs, by least squares in log space.

    Args:
        table: Rows of :func:`runs` of one direction.
        f: Form of the fraction.
        **settings: Those of :class:`MixtureScaling`.

    Returns:
        The law. What the table cannot tell is not refused here: bad runs must give bad figures, not none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScalingWarning)
        return _Unjudged(f=f, loss="mse", **settings).fit(table)


def fractions(table: pd.DataFrame) -> pd.DataFrame:
    """Return the effective fractions of one direction.

    Args:
        table: Rows of one direction.

    Returns:
        ``task``, ``p`` and ``f`` of every weight below 1; f is held between 1e-4 and 1e4.
    """
    law = fitted(table)
    rows = []
    for task in law.tasks_:
        weights = np.array(sorted(set(table.loc[(table["task"] == task) & (table["p"] < 1), "p"])))
        values = np.clip(law.effective_fraction(task, weights), 1e-4, 1e4)
        rows += [{"task": task, "p": float(p), "f": float(f)} for p, f in zip(weights, values, strict=True)]
    return pd.DataFrame(rows)


def held_out_errors(table: pd.DataFrame) -> dict[str, float]:
    """Predict the losses of a weighting that was left out of the fit.

    Args:
        table: Rows of one direction and one seed.

    Returns:
        Mean absolute errors of log loss: of the ``law``, of the ``nearest`` weight's loss at the same size, and of
        the ``line`` between the losses of the two neighbouring weights.
    """
    out = (table["p"] - table["task"].map({"de": HELD_OUT, "zh": 1.0 - HELD_OUT})).abs() < 1e-9
    kept, wanted = table[~out], table[out]
    law = fitted(kept, "power", common_f=True)
    errors: dict[str, list[float]] = {"law": [], "nearest": [], "line": []}
    columns = (wanted[c].tolist() for c in ("task", "N", "p", "loss"))
    for task, N, weight, true, predicted in zip(*columns, law.predict(wanted).tolist(), strict=True):
        near = kept[(kept["task"] == task) & (kept["N"] == N)].sort_values("p")
        p, loss = near["p"].to_numpy(float), near["loss"].to_numpy(float)
        guesses = {
            "law": predicted,
            "nearest": loss[np.argmin(np.abs(p - weight))],
            "line": np.interp(weight, p, loss),
        }
        for name, guess in guesses.items():
            errors[name].append(abs(float(np.log(guess / true))))
    return {name: float(np.mean(values)) for name, values in errors.items()}


def seed_noise(table: pd.DataFrame) -> float:
    """Return the standard deviation of log loss between seeds, pooled over tasks, sizes and weights."""
    logs = np.log(table["loss"]).groupby([table["direction"], table["task"], table["N"], table["p"]])
    spare = len(table) - logs.ngroups
    return float(np.sqrt(((logs.transform("mean") - np.log(table["loss"])) ** 2).sum() / spare))


def in_regime(table: pd.DataFrame) -> tuple[bool, float]:
    """Tell whether training was long enough for size to be the bottleneck.

    Args:
        table: Rows of :func:`runs`.

    Returns:
        Whether the smallest models have learnt to translate (median loss below half the entropy of English) and the
        last fifth of training improved their loss by less than 2 %; and that improvement (median over runs).
    """
    smallest = table[table["N"] == table["N"].min()]
    gain = float((1.0 - smallest["loss"] / smallest["loss_before"]).median())
    learnt = float(smallest["loss"].median()) < 0.5 * languages().source_entropy()
    return learnt and gain < 0.02, gain
