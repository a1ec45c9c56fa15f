"""The experiment behind the claims: the paper's recipes on a text so small that everything overfits.

One replicate deals the documents anew, tunes both recipes, trains ensembles and distils, all with fresh seeds.
Settings are chosen on one held-out text and every reported loss is measured on another. Results are kept on disk,
so that all claims share the same trainings; reading them takes no torch.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from broadsheet.claims import NeedsHardware, Run, Scale
from broadsheet.methods._shared.fresh_seeds import fresh_seed
from broadsheet.methods._shared.training_cache import kept
from broadsheet.methods.scaling.infinite_compute.asymptote import (
    Asymptote,
    AsymptoteWarning,
    Form,
    fit_asymptote,
)

__all__ = [
    "PLANS",
    "Plan",
    "best",
    "by_epochs",
    "by_width",
    "column",
    "decay_shift",
    "member_fit",
    "over_widths",
    "pick",
    "replicate",
    "replicates",
]

LR = 3e-3
USUAL_DECAY = 0.1
RATES = (1e-3, 3e-3, 1e-2)


@dataclass(frozen=True)
class Plan:
    """Sizes of one replicate.

    Args:
        train: Characters of the training text.
        tune: Characters to choose settings on.
        test: Characters to report on.
        excerpt: Most characters of one document.
        widths: Hidden widths.
        standard_epochs: Epochs tried with the usual decay, each with three learning rates.
        epochs: Epochs tried with strong decay.
        decays: Strong decays tried: as many trainings as the standard recipe gets.
        member_epochs: Epochs tried for members.
        member_decays: Decays tried for members, a factor 2 apart.
        member_width: Width of the members.
        members: Members of an ensemble.
        student_epochs: Lengths of a student's training, in characters over those of the real text.
        real_shares: Shares of real text in a student's batches.
        drawn: Characters drawn from a teacher.
        batch: Characters per step.
    """

    train: int = 6000
    tune: int = 15_000
    test: int = 38_000
    excerpt: int = 1000
    widths: tuple[int, ...] = (16, 32, 64, 128)
    standard_epochs: tuple[int, ...] = (2, 4, 8, 16)
    epochs: tuple[int, ...] = (8, 16, 32)
    decays: tuple[float, ...] = (0.4, 1.6, 3.2, 6.4)
    member_epochs: tuple[int, ...] = (16, 32)
    member_decays: tuple[float, ...] = (0.2, 0.4, 0.8, 1.6, 3.2)
    member_width: int = 32
    members: int = 8
    student_epochs: tuple[int, ...] = (96,)
    real_shares: tuple[float, ...] = (0.1, 0.25, 0.5)
    drawn: int = 400_000
    batch: int = 128


PLANS = {
    Scale.SMOKE: Plan(
        train=1500,
        tune=3000,
        test=3000,
        widths=(8, 16, 32, 64),
        standard_epochs=(2, 4, 8),
        epochs=(8, 16),
        member_epochs=(16,),
        members=4,
        student_epochs=(16,),
        drawn=15_000,
    ),
    Scale.LAPTOP: Plan(),
}


def replicates(run: Run) -> list[dict[str, Any]]:
    """Return one replicate per seed of the run, trained now or found on disk.

    Raises:
        NeedsHardware: at the scale of the paper.
    """
    if run.scale not in PLANS:
        raise NeedsHardware(
            "the paper trains hundreds of models of 150 M to 1.4 B parameters on 200 M tokens of DCLM, "
            "on TPU pods: measure at laptop scale"
        )
    plan = PLANS[run.scale]
    found = []
    for seed in run.progress(run.seeds, label="replicates"):
        run.say(f"training replicate {seed}")
        found.append(replicate(plan, fresh_seed(run, seed)))
    return found


def replicate(plan: Plan, seed: int) -> dict[str, Any]:
    """Return one replicate, made of JSON types, from the cache or trained.

    Args:
        plan: Its sizes.
        seed: Decides documents, initial values and orders.

    Returns:
        ``single`` (one row per training of a lone model), ``members`` (one row per setting of members),
        ``curves``, ``convexity``, ``sources``, ``soup`` and ``students``.
    """
    key = {
        "purpose": "infinite compute",
        "plan": asdict(plan),
        "seed": seed,
        "python": list(sys.version_info[:2]),
    }
    package = __name__.rsplit(".", 1)[0]
    code = [f"{package}.{name}" for name in ("study", "recipes", "text", "curve")]
    code.append("broadsheet.methods._shared.ngram_mlp")

    def compute() -> dict[str, Any]:
        from broadsheet.methods.scaling.infinite_compute import recipes

        return recipes.replicate(plan, seed)

    value: dict[str, Any] = kept(key, compute, code=code, threads=1).value
    return value


def best(rows: Iterable[dict[str, Any]], by: str = "tune") -> dict[str, Any]:
    """Return the row with the least loss on the text for tuning."""
    return min(rows, key=lambda row: float(row[by]))


def pick(rows: Sequence[dict[str, Any]], **where: float | str) -> dict[str, Any]:
    """Return the best of those rows that have the given values."""
    return best(row for row in rows if all(row[name] == value for name, value in where.items()))


# --- What claims read off a replicate ------------------------------------------------------------------------


def by_width(found: dict[str, Any]) -> pd.DataFrame:
    """Return one row per width: its parameters, the test loss of each recipe's best, and the best decay of both."""
    rows = []
    for width in sorted({row["width"] for row in found["single"]}):
        here = [row for row in found["single"] if row["width"] == width and row["recipe"] != "figure"]
        standard, regularised = (pick(here, recipe=name) for name in ("standard", "regularised"))
        rows.append(
            {
                "width": width,
                "parameters": standard["parameters"],
                "standard": standard["test"],
                "regularised": regularised["test"],
                "decay": best(here)["decay"],
            }
        )
    return pd.DataFrame(rows)


def by_epochs(found: dict[str, Any]) -> pd.DataFrame:
    """Return the test loss of the widest model by epochs, for the usual decay and 1.6, at one learning rate."""
    widest = max(row["width"] for row in found["single"])
    rows = [row for row in found["single"] if row["width"] == widest and row["lr"] == LR]
    kept_rows = [row for row in rows if row["decay"] in (USUAL_DECAY, 1.6)]
    table = pd.DataFrame(kept_rows)[["epochs", "decay", "test", "train"]].drop_duplicates(["epochs", "decay"])
    return table.sort_values(["decay", "epochs"], ignore_index=True)


def decay_shift(grid: Sequence[dict[str, Any]]) -> float:
    """Return by how many halvings the best decay for an ensemble's loss lies below that for a member's.

    At each number of epochs a parabola through the best decay and its two neighbours, over the logarithm of decay,
    gives either optimum; the mean over epochs is returned.
    """
    shifts = []
    for epochs in sorted({row["epochs"] for row in grid}):
        rows = sorted((row for row in grid if row["epochs"] == epochs), key=lambda row: float(row["decay"]))
        octaves = np.log2([row["decay"] for row in rows])
        alone, together = (_vertex(octaves, [row[name] for row in rows]) for name in ("alone", "together"))
        shifts.append(alone - together)
    return float(np.mean(shifts))


def _vertex(x: np.ndarray, y: Sequence[float]) -> float:
    i = int(np.argmin(y))
    if i in (0, len(y) - 1):
        return float(x[i])
    a, b, c = y[i - 1], y[i], y[i + 1]
    return float(x[i] + 0.5 * (x[i + 1] - x[i]) * (a - c) / (a - 2 * b + c))


def column(table: pd.DataFrame, name: str) -> dict[str, float]:
    """Return a column of :func:`by_width` by width."""
    return {str(width): float(value) for width, value in zip(table["width"], table[name], strict=True)}


def member_fit(found: dict[str, Any], name: str) -> Asymptote:
    """Return the fit A / K + E of the members whose settings are best ``alone`` or ``together``."""
    losses = found["curves"][name]
    return _quiet_fit(np.arange(1.0, len(losses) + 1), losses, "reciprocal")


def over_widths(whole: pd.DataFrame) -> str:
    """Return the curve through the mean tuned losses over the number of parameters, in thousands."""
    mean = whole.groupby("parameters")["regularised"].mean()
    return str(_quiet_fit(mean.index.to_numpy(dtype=float) / 1e3, mean.to_numpy(), "power"))


def _quiet_fit(x: np.ndarray, losses: Any, form: Form) -> Asymptote:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", AsymptoteWarning
        )  # losses that rise are told by the claims themselves
        return fit_asymptote(x, losses, form)
