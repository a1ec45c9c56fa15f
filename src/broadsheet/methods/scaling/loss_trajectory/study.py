"""The measurements behind the claims: published ends of runs, and training curves of our own."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.loss_trajectory.critical_batch import CriticalBatchSize, steps_at_losses
from broadsheet.methods.scaling.loss_trajectory.law import LossTrajectory

if TYPE_CHECKING:
    from pathlib import Path

    from broadsheet.claims import Run
    from broadsheet.methods._shared.tiny_lm import Corpus

__all__ = [
    "Setting",
    "baseline_errors",
    "held_out_errors",
    "hyperbolas",
    "own_curves",
    "setting",
    "split",
    "step_law_ends",
]

LARGE = 1e9  # sizes from here on are held out of the published runs
D_HEAD, LAYERS, CONTEXT = 4, 2, 16
LEARNING_RATE, WARMUP = 5e-3, 10
_CODE = ("broadsheet.methods.scaling.loss_trajectory.study",)


def step_law_ends(path: Path) -> pd.DataFrame:
    """Return the best published run of each size, length and batch: the best learning rate of each.

    Args:
        path: The table of Li et al. 2025 (Step Law).

    Returns:
        Columns ``N``, ``S``, ``B`` (tokens), ``D`` and ``loss`` (nats per token, smoothed by the authors). Each row is
        the end of a cosine run, not a point of one trajectory.
    """
    raw = pd.read_csv(path)
    best = raw.loc[raw.groupby(["N", "D", "bs"])["smooth loss"].idxmin()]
    columns = {
        "N": best["N"],
        "S": best["ti"],
        "B": best["bs"] * 2048.0,
        "D": best["D"],
        "loss": best["smooth loss"],
    }
    return pd.DataFrame(columns).astype(float).reset_index(drop=True)


def split(ends: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the runs to fit and the largest size, held out."""
    return ends[ends["N"] < LARGE], ends[ends["N"] >= LARGE]


def held_out_errors(ends: pd.DataFrame) -> dict[str, np.ndarray]:
    """Fit to the small sizes by three laws and return their relative errors on the largest.

    Returns:
        ``trajectory``, ``steps`` (which ignores the batch) and ``chinchilla`` (N and D alone): predicted over
        observed - 1, one per held-out run. All are fitted by the same robust loss.
    """
    from broadsheet.methods.scaling import Chinchilla, KaplanSteps

    small, large = split(ends)
    laws = {"trajectory": LossTrajectory(), "steps": KaplanSteps(), "chinchilla": Chinchilla()}
    return {
        name: law.fit(small).predict(large) / large["loss"].to_numpy() - 1.0 for name, law in laws.items()
    }


# ---- our own curves


@dataclass(frozen=True)
class Setting:
    """What is trained.

    Args:
        widths: Widths of the models that are fitted.
        held_out: Width of the model whose curve is predicted.
        batches: Sequences per step of the fitted curves.
        new_batch: Sequences per step of the predicted curve.
        steps: Optimiser steps.
        points: Points of each curve, spread evenly in the logarithm of the step.
        eval_tokens: Validation tokens scored at each.
    """

    widths: tuple[int, ...]
    held_out: int
    batches: tuple[int, ...]
    new_batch: int
    steps: int
    points: int
    eval_tokens: int


def setting(run: Run) -> Setting:
    """Return what is trained at the run's scale.

    So small and so long that the sizes part ways before the end, and still below one pass over the text.
    """
    small = Setting((4, 8), 12, (2, 8, 16), 4, 120, 12, 1_600)
    usual = Setting((8, 12, 16), 32, (8, 16, 32, 64), 24, 400, 30, 16_000)
    return run.pick(smoke=small, laptop=usual, paper=usual)


def own_curves(run: Run) -> pd.DataFrame:
    """Return our curves: characters of Python's help texts, no character seen twice, constant learning rate.

    Returns:
        Columns ``seed``, ``width``, ``N`` (non-embedding parameters), ``B`` (tokens), ``S`` and ``loss``, from the end
        of twice the warm-up on. The largest width and the new batch are not for fitting.
    """
    from broadsheet.methods._shared.fresh_seeds import fresh_seed
    from broadsheet.methods._shared.tiny_lm import load_corpus
    from broadsheet.methods._shared.training_cache import kept

    corpus, how = load_corpus("pydoc", tokenizer="characters"), setting(run)
    jobs = [(width, batch) for width in how.widths for batch in how.batches]
    jobs += [(how.widths[-1], how.new_batch), (how.held_out, how.new_batch)]
    parts = []
    for seed, (width, batch) in run.progress(
        [(s, job) for s in run.seeds for job in jobs], label="trainings"
    ):
        drawn = fresh_seed(run, seed)
        key = {
            "purpose": "loss-trajectory",
            "width": width,
            "batch": batch,
            "seed": drawn,
            "corpus": corpus.fingerprint,
        }
        key |= {k: v for k, v in asdict(how).items() if k in ("steps", "points", "eval_tokens")}

        def compute(width: int = width, batch: int = batch, drawn: int = drawn) -> dict[str, Any]:
            return _train(width, batch, drawn, how, corpus)

        found = kept(key, compute, code=_CODE, threads=1).value
        parts.append(pd.DataFrame({"seed": seed, "width": width, **found}))
    return pd.concat(parts, ignore_index=True)


def _train(width: int, batch: int, seed: int, how: Setting, corpus: Corpus) -> dict[str, Any]:
    from broadsheet.methods._shared.tiny_lm import TinyLM, TinyLMConfig, train

    shape = TinyLMConfig(vocab_size=corpus.vocab_size, d_model=width, heads=width // D_HEAD, layers=LAYERS)
    model = TinyLM(shape, seed=seed)
    first = min(2 * WARMUP, how.steps // 2)
    at = np.unique(np.geomspace(first, how.steps, how.points).round().astype(int))
    result = train(
        model, corpus, steps=how.steps, batch=batch, context=CONTEXT, lr=LEARNING_RATE, schedule="constant",
        warmup=WARMUP, eval_at=[int(s) for s in at], eval_tokens=how.eval_tokens, seed=seed,
    )  # fmt: skip
    curve = result.curve[result.curve["step"] >= first]
    return {
        "N": model.non_embedding_parameters,
        "B": batch * CONTEXT,
        "S": curve["step"].astype(int).tolist(),
        "loss": curve["loss"].astype(float).tolist(),
    }


def fitted(curves: pd.DataFrame, how: Setting) -> LossTrajectory:
    """Fit the law to one seed's curves of small widths at the batches that are for fitting."""
    used = curves["width"].isin(how.widths) & curves["B"].isin([b * CONTEXT for b in how.batches])
    law: LossTrajectory = LossTrajectory(context=CONTEXT).fit(curves.loc[used, ["N", "S", "B", "loss"]])
    return law


def baseline_errors(curves: pd.DataFrame, how: Setting) -> dict[str, float]:
    """Predict the held-out curve of one seed; return mean absolute relative errors over the second half of its steps.

    Returns:
        ``law``: of the law, fitted without that size and batch. ``nearest``: of the curve of the largest fitted
        width at the very same batch, which the law has not seen either.
    """
    law = fitted(curves, how)
    at_batch = curves[curves["B"] == how.new_batch * CONTEXT]
    held = at_batch[at_batch["width"] == how.held_out].sort_values("S")
    near = at_batch[at_batch["width"] == how.widths[-1]].sort_values("S")
    late = held[held["S"] >= how.steps / 2]
    truth = late["loss"].to_numpy()
    predicted = law.predict(late[["N", "S", "B"]])
    nearest = np.interp(np.log(late["S"]), np.log(near["S"]), near["loss"])
    return {
        "law": float(np.mean(np.abs(predicted / truth - 1.0))),
        "nearest": float(np.mean(np.abs(nearest / truth - 1.0))),
    }


def hyperbolas(curves: pd.DataFrame, how: Setting, levels: int = 3) -> CriticalBatchSize:
    """Fit the trade-off of steps and tokens of one seed's largest fitted width at several losses that all reach."""
    batches = [b * CONTEXT for b in how.batches]
    own = curves[(curves["width"] == how.widths[-1]) & curves["B"].isin(batches)]
    reached, highest = own.groupby("B")["loss"].min().max(), own.groupby("B")["loss"].max().min()
    losses = np.geomspace(highest, reached, levels + 2)[1:-1] if reached < highest else [reached]
    return CriticalBatchSize().fit(steps_at_losses(own, losses))
