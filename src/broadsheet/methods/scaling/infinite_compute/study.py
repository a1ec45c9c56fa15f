"""The experiment behind the claims: the paper's recipes on a text so small that everything overfits.

One replicate deals the documents anew, tunes both recipes, trains ensembles and distils, all with fresh seeds.
Settings are chosen on one held-out text and every reported loss is measured on another. Results are kept on disk,
so that all claims share the same trainings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from broadsheet.claims import NeedsHardware, Run, Scale
from broadsheet.methods._shared.ngram_mlp import DomainMixture, Members, NgramShape, train_members
from broadsheet.methods._shared.training_cache import kept
from broadsheet.methods.scaling.infinite_compute.curve import subset_losses
from broadsheet.methods.scaling.infinite_compute.text import HeldOutText, help_topics, split_documents

__all__ = ["PLANS", "Plan", "best", "decay_shift", "replicate", "replicates"]

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
        train=2000,
        tune=4000,
        test=4000,
        widths=(8, 16, 32, 64),
        standard_epochs=(2, 4, 8),
        epochs=(8, 16),
        member_epochs=(16,),
        members=4,
        student_epochs=(16,),
        drawn=20_000,
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
        found.append(replicate(plan, seed))
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
    import sys

    key = {
        "purpose": "infinite compute",
        "plan": asdict(plan),
        "seed": seed,
        "python": list(sys.version_info[:2]),
    }
    package = __name__.rsplit(".", 1)[0]
    code = [__name__, f"{package}.text", f"{package}.curve", "broadsheet.methods._shared.ngram_mlp"]
    value: dict[str, Any] = kept(key, lambda: _replicate(plan, seed), code=code).value
    return value


def _replicate(plan: Plan, seed: int) -> dict[str, Any]:
    sizes = {name: getattr(plan, name) for name in ("train", "tune", "test", "excerpt")}
    text = split_documents(help_topics(), **sizes, seed=seed)
    single = _single_models(plan, text, seed)
    settings = list(itertools.product(plan.member_epochs, plan.member_decays))
    trained = _members(plan, text, seed, settings)
    grid = [_row(_of(plan, trained, i), text, *setting) for i, setting in enumerate(settings)]
    chosen = {name: grid.index(best(grid, name)) for name in ("alone", "together")}
    together = _of(plan, trained, chosen["together"])
    return {
        "single": single,
        "members": grid,
        "curves": {name: _curve(_of(plan, trained, i), text) for name, i in chosen.items()},
        "convexity": _largest_excess(together, text.test),
        "sources": _sources(plan, text, seed, together, settings[chosen["together"]]),
        "soup": _soup(together, text),
        "students": _students(plan, text, seed, together, _pick(single, width=plan.member_width)),
    }


def best(rows: Iterable[dict[str, Any]], by: str = "tune") -> dict[str, Any]:
    """Return the row with the least loss on the text for tuning."""
    return min(rows, key=lambda row: float(row[by]))


def _pick(rows: Sequence[dict[str, Any]], **where: float) -> dict[str, Any]:
    return best(row for row in rows if all(row[name] == value for name, value in where.items()))


# --- Lone models ---------------------------------------------------------------------------------------------


def _settings(plan: Plan, widest: bool) -> list[tuple[str, float, int, float]]:
    standard = [("standard", lr, e, USUAL_DECAY) for lr, e in itertools.product(RATES, plan.standard_epochs)]
    regularised = [("regularised", LR, e, wd) for e, wd in itertools.product(plan.epochs, plan.decays)]
    more = []
    if widest:  # what the figure of the loss by epochs lacks
        more = [("figure", LR, e, USUAL_DECAY) for e in plan.epochs if e not in plan.standard_epochs]
        more += [("figure", LR, e, 1.6) for e in plan.standard_epochs if e not in plan.epochs]
    return standard + regularised + more


def _single_models(plan: Plan, text: HeldOutText, seed: int) -> list[dict[str, Any]]:
    rows = []
    for width in plan.widths:
        settings = _settings(plan, width == plan.widths[-1])
        _, rates, epochs, decays = (list(column) for column in zip(*settings, strict=True))
        trained = train_members(
            NgramShape(text.vocab_size, width=width),
            text.train,
            epochs=epochs,
            learning_rate=rates,
            weight_decay=decays,
            init_seeds=[1000 * seed] * len(settings),
            batch=plan.batch,
        )
        tune, test = trained.losses(text.tune), trained.losses(text.test)
        parameters = trained.shape.parameters
        for k, (recipe, lr, e, wd) in enumerate(settings):
            row = {
                "recipe": recipe,
                "width": width,
                "parameters": parameters,
                "lr": lr,
                "epochs": e,
                "decay": wd,
            }
            losses = {"train": float(trained.train_loss[k]), "tune": float(tune[k]), "test": float(test[k])}
            rows.append(row | losses)
    return rows


# --- Ensembles -----------------------------------------------------------------------------------------------


def _members(
    plan: Plan,
    text: HeldOutText,
    seed: int,
    settings: Sequence[tuple[float, float]],
    vary: str = "both",
) -> Members:
    """Train the members of ensembles with settings (epochs, decay), one ensemble after the other."""
    fresh = [1000 * seed + 1 + k for k in range(plan.members)]
    inits = fresh if vary != "order" else fresh[:1] * plan.members
    orders = fresh if vary != "init" else fresh[:1] * plan.members
    return train_members(
        NgramShape(text.vocab_size, width=plan.member_width),
        text.train,
        epochs=[e for e, _ in settings for _ in fresh],
        weight_decay=[wd for _, wd in settings for _ in fresh],
        learning_rate=LR,
        init_seeds=inits * len(settings),
        order_seeds=orders * len(settings),
        batch=plan.batch,
    )


def _of(plan: Plan, trained: Members, index: int) -> Members:
    return trained[slice(index * plan.members, (index + 1) * plan.members)]


def _full(members: Members, tokens: torch.Tensor) -> float:
    every = tuple(range(len(members)))
    return subset_losses(members.logits(tokens), [every])[every]


def _row(members: Members, text: HeldOutText, epochs: float, decay: float) -> dict[str, Any]:
    alone = float(members.losses(text.tune).mean())
    return {"epochs": epochs, "decay": decay, "alone": alone, "together": _full(members, text.tune)}


def _gain(members: Members, text: HeldOutText) -> float:
    return float(members.losses(text.test).mean()) - _full(members, text.test)


def _sources(
    plan: Plan, text: HeldOutText, seed: int, together: Members, setting: tuple[float, float]
) -> dict[str, float]:
    """Return the gain of ensembles whose members differ in one thing alone, as a share of the full gain."""
    whole = _gain(together, text)
    return {
        vary: _gain(_members(plan, text, seed, [setting], vary), text) / whole for vary in ("init", "order")
    }


def _soup(members: Members, text: HeldOutText) -> dict[str, float]:
    """Return the loss of the members' mean weights, and the mean of their losses."""
    mean = {name: p.mean(0, keepdim=True) for name, p in members.parameters.items()}
    soup = Members(members.shape, mean, members.train_loss[:1], members.steps[:1])
    return {"loss": float(soup.losses(text.test)[0]), "members": float(members.losses(text.test).mean())}


def _curve(members: Members, text: HeldOutText) -> list[float]:
    """Return the test loss by number of members: the mean over all subsets of each size."""
    n = len(members)
    subsets = [s for k in range(1, n + 1) for s in itertools.combinations(range(n), k)]
    losses = subset_losses(members.logits(text.test), subsets)
    return [float(np.mean([losses[s] for s in subsets if len(s) == k])) for k in range(1, n + 1)]


def _largest_excess(members: Members, tokens: torch.Tensor) -> float:
    """Return the most by which the ensemble's loss on any one token exceeds its members' mean: never above 0."""
    worst = -math.inf
    for logits, targets in members.logits(tokens):
        exact = logits.double()
        at = targets.expand(len(members), -1).unsqueeze(-1)
        alone = (exact.logsumexp(-1) - exact.gather(-1, at)[..., 0]).mean(0)
        mean = exact.mean(0)
        together = mean.logsumexp(-1) - mean.gather(-1, targets[:, None])[:, 0]
        worst = max(worst, float((together - alone).max()))
    return worst


# --- Students ------------------------------------------------------------------------------------------------


def _students(
    plan: Plan, text: HeldOutText, seed: int, ensemble: Members, lone: dict[str, Any]
) -> dict[str, Any]:
    """Distil the best ensemble, and the best lone model into one of its own size."""
    single = train_members(
        ensemble.shape,
        text.train,
        epochs=lone["epochs"],
        learning_rate=lone["lr"],
        weight_decay=lone["decay"],
        init_seeds=[1000 * seed],
        batch=plan.batch,
    )
    found: dict[str, Any] = {
        "teacher": _full(ensemble, text.test),
        "single": float(single.losses(text.test)[0]),
    }
    for name, teacher in (("student", ensemble), ("self", single)):
        drawn = _drawn(teacher, plan, text, seed)
        found[name] = _student(plan, text, drawn, seed, plan.real_shares)
    found["self without real text"] = _student(plan, text, drawn, seed, (0.0,))
    return found


def _drawn(teacher: Members, plan: Plan, text: HeldOutText, seed: int) -> torch.Tensor:
    """Draw text from the mean of the members' logits, streams of 100 characters side by side."""
    generator = torch.Generator().manual_seed(1000 * seed + 999)
    n = teacher.shape.context
    begin = torch.randint(len(text.train) - n, (plan.drawn // 100,), generator=generator)
    streams = text.train.unfold(0, n, 1)[begin]
    for _ in range(100):
        logits = teacher.next_logits(streams[:, -n:]).mean(0)
        streams = torch.cat([streams, torch.multinomial(logits.softmax(-1), 1, generator=generator)], 1)
    return streams[:, n:].flatten()


def _student(plan: Plan, text: HeldOutText, drawn: torch.Tensor, seed: int, shares: Sequence[float]) -> float:
    """Return the test loss of the student whose length and share of real text are best on the text to tune."""
    tried = list(itertools.product(plan.student_epochs, shares))
    trained = train_members(
        NgramShape(text.vocab_size, width=plan.member_width),
        DomainMixture(
            {"real": text.train, "drawn": drawn}, torch.tensor([[share, 1.0 - share] for _, share in tried])
        ),
        steps=[round(e * plan.train / plan.batch) for e, _ in tried],
        learning_rate=LR,
        weight_decay=USUAL_DECAY,
        init_seeds=[1000 * seed + 500] * len(tried),
        batch=plan.batch,
    )
    index = int(trained.losses(text.tune).argmin())
    return float(trained[[index]].losses(text.test)[0])


# --- What claims read off a replicate ------------------------------------------------------------------------


def by_width(found: dict[str, Any]) -> pd.DataFrame:
    """Return the best of each recipe at each width: columns width, parameters, standard, regularised, decay."""
    rows = []
    for width in sorted({row["width"] for row in found["single"]}):
        here = [row for row in found["single"] if row["width"] == width]
        standard = _pick(here, recipe="standard")  # type: ignore[arg-type]
        tuned = best(row for row in here if row["recipe"] != "figure")
        rows.append(
            {
                "width": width,
                "parameters": standard["parameters"],
                "standard": standard["test"],
                "regularised": tuned["test"],
                "decay": tuned["decay"],
                "epochs": tuned["epochs"],
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
