"""The trainings behind the claims: one tiny model at several widths, dense and pruned, shared by all claims."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from broadsheet.claims import Run
    from broadsheet.methods._shared.tiny_lm import Corpus

__all__ = ["COUNTS", "Arm", "Setting", "arms", "dense_loss", "position", "residual_sd", "setting", "trained"]

COUNTS = ("initial", "average", "final")

D_MODEL, D_HEAD, LAYERS = 64, 16, 2
HEADS, D_FF = 4, 176  # of the widest model, the parent of all sparse ones
LEARNING_RATE = 3e-3
SPARSITIES = (0.5, 0.75)
QUARTERS = (0.25, 0.75)
OTHERS = {"early": (0.0, 0.3), "late": (0.7, 0.95)}
_BASE = "broadsheet.methods.scaling.average_parameters."
_CODE = tuple(_BASE + name for name in ("schedule", "masks", "pruner", "history", "study"))


@dataclass(frozen=True)
class Setting:
    """How long is trained: the same for all arms, but for those that are matched by compute.

    Args:
        steps: Optimiser steps.
        batch: Sequences per step.
        frequency: Steps between two pruning events.
        context: Tokens per sequence.
        eval_tokens: Validation tokens scored; None for all.
    """

    steps: int
    batch: int
    frequency: int
    context: int = 64
    eval_tokens: int | None = None


@dataclass(frozen=True)
class Arm:
    """One training.

    Args:
        name: ``dense``, ``25-75``, ``early`` or ``late``.
        heads: Attention heads of every layer.
        d_ff: Width of the feed-forward.
        sparsity: Final sparsity.
        start: Share of the compute before pruning begins.
        end: Share of the compute after which nothing more is removed.
        length: Steps as a multiple of the setting's.
    """

    name: str
    heads: int
    d_ff: int
    sparsity: float = 0.0
    start: float = QUARTERS[0]
    end: float = QUARTERS[1]
    length: float = 1.0


def setting(run: Run) -> Setting:
    """Return how long is trained at the run's scale."""
    small = Setting(steps=24, batch=8, frequency=1, eval_tokens=3_200)
    usual = Setting(steps=400, batch=16, frequency=4)
    return run.pick(smoke=small, laptop=usual, paper=usual)


def prunable(heads: int, d_ff: int) -> int:
    """Return the prunable weights of a model: four attention projections and three of the feed-forward."""
    return LAYERS * (4 * D_MODEL * D_HEAD * heads + 3 * D_MODEL * d_ff)


def _dense(size: float) -> Arm:
    """Return the dense arm of about a size, with heads and feed-forward in the parent's proportion."""
    heads = max(1, round(HEADS * size / prunable(HEADS, D_FF)))
    d_ff = round((size / LAYERS - 4 * D_MODEL * D_HEAD * heads) / (3 * D_MODEL))
    return Arm("dense", heads, d_ff)


def arms() -> list[Arm]:
    """Return all trainings of one seed.

    Dense ones at the parent's size, at both mean counts and at the smallest final one; sparse ones at both
    sparsities, and at the higher one with two other schedules of the same compute.
    """
    from broadsheet.methods.scaling.average_parameters.schedule import continuous_schedule

    whole = prunable(HEADS, D_FF)
    means = [continuous_schedule(s)[2] for s in SPARSITIES]
    found = [_dense(whole * share) for share in (1.0, *means, 1.0 - SPARSITIES[-1])]
    found += [Arm("25-75", HEADS, D_FF, s) for s in SPARSITIES]
    for name, (start, end) in OTHERS.items():
        length = means[-1] / continuous_schedule(SPARSITIES[-1], start, end)[2]
        found.append(Arm(name, HEADS, D_FF, SPARSITIES[-1], start, end, length))
    return found


def trained(run: Run) -> pd.DataFrame:
    """Return one row per arm and seed, trained now or taken from the disk.

    Returns:
        Columns ``name``, ``sparsity``, ``seed``, ``initial``, ``average`` and ``final`` (prunable weights),
        ``tokens``, ``compute`` (FLOPs) and ``loss`` (nats per character on the validation text).
    """
    import pandas as pd

    from broadsheet.methods._shared.fresh_seeds import fresh_seed
    from broadsheet.methods._shared.tiny_lm import load_corpus
    from broadsheet.methods._shared.training_cache import kept

    corpus = load_corpus("pydoc", tokenizer="characters")
    how = setting(run)
    rows = []
    todo = [(arm, seed) for seed in run.seeds for arm in arms()]
    for arm, seed in run.progress(todo, label="trainings"):
        drawn = fresh_seed(run, seed)
        key = {"arm": asdict(arm), "setting": asdict(how), "seed": drawn, "corpus": corpus.fingerprint}

        def compute(arm: Arm = arm, drawn: int = drawn) -> dict[str, Any]:
            return _train(arm, how, drawn, corpus)

        found = kept({"purpose": "average-parameters", **key}, compute, code=_CODE, threads=1)
        rows.append({"name": arm.name, "sparsity": arm.sparsity, "seed": seed, **found.value})
    return pd.DataFrame(rows)


def _train(arm: Arm, how: Setting, seed: int, corpus: Corpus) -> dict[str, Any]:
    from broadsheet.methods._shared.tiny_lm import TinyLM, TinyLMConfig, evaluate, train
    from broadsheet.methods.scaling.average_parameters.pruner import GradualMagnitudePruner

    shape = TinyLMConfig(
        vocab_size=corpus.vocab_size,
        d_model=D_MODEL,
        heads=arm.heads,
        d_head=D_HEAD,
        d_ff=arm.d_ff,
        layers=LAYERS,
    )
    model = TinyLM(shape, seed=seed)
    steps = round(how.steps * arm.length)
    pruner = GradualMagnitudePruner(arm.sparsity, arm.start, arm.end, how.frequency).attach(model, steps)
    result = train(
        model,
        corpus,
        steps=steps,
        batch=how.batch,
        context=how.context,
        lr=LEARNING_RATE,
        callback=lambda step, *_: pruner.step(step),
        eval_tokens=1,
        seed=seed,
    )
    pruner.finalize()
    return {
        "initial": pruner.dense_parameters,
        "average": pruner.average_parameters,
        "final": pruner.live_parameters,
        "tokens": result.tokens,
        "compute": 6.0 * pruner.average_parameters * result.tokens,
        "loss": evaluate(model, corpus, tokens=how.eval_tokens, context=how.context).loss,
    }


def dense_loss(runs: pd.DataFrame, size: float) -> float:
    """Return the dense loss at a size, between two widths by a straight line in the logarithm of the size.

    Args:
        runs: Rows of :func:`trained`, of one seed.
        size: Prunable weights.
    """
    dense = runs[runs["name"] == "dense"].sort_values("initial")
    return float(np.interp(np.log(size), np.log(dense["initial"]), dense["loss"]))


def position(runs: pd.DataFrame, sparsity: float) -> float:
    """Return how far above the dense curve, read at its mean count, a sparse run lies.

    Args:
        runs: Rows of :func:`trained`, of one seed.
        sparsity: Which sparse run.

    Returns:
        0 on the curve, negative below it; the unit is what lies between the dense losses at the sparse run's
        final and initial counts.
    """
    run = runs[(runs["name"] == "25-75") & (runs["sparsity"] == sparsity)].iloc[0]
    whole = dense_loss(runs, run["final"]) - dense_loss(runs, run["initial"])
    return float((run["loss"] - dense_loss(runs, run["average"])) / whole)


def residual_sd(runs: pd.DataFrame, count: str) -> float:
    """Return how far the losses of dense and sparse runs lie from one power law of a count.

    The runs saw the same number of tokens, so the law's token term is one with E, and three constants are fitted, by
    least squares on the logarithm. Where the runs do not show E, two are.

    Args:
        runs: Rows of :func:`trained`, of one seed.
        count: What N means: one of :data:`COUNTS`.

    Returns:
        The standard deviation of the residuals of the logarithm of the loss.
    """
    from broadsheet.methods.scaling.identification import NotIdentified, ScalingWarning
    from broadsheet.methods.scaling.power import PowerLaw

    table = runs[runs["name"].isin(["dense", "25-75"])]
    table = table.assign(N=table[count])[["N", "loss"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScalingWarning)  # about constants, of which none is reported
        try:
            law = PowerLaw(loss="mse").fit(table)
        except NotIdentified:
            law = PowerLaw(offset=False, loss="mse").fit(table)
    return float(np.sqrt(np.sum(law.residuals_**2) / (len(table) - 3)))
