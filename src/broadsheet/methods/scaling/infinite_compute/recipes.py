"""One replicate of the recipes, trained: lone models, members of ensembles, students.

Everything is computed on one thread, so that a replicate does not depend on the machine's number of cores.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from broadsheet.methods._shared.ngram_mlp import DomainMixture, Members, NgramShape, train_members
from broadsheet.methods.scaling.infinite_compute.curve import subset_losses
from broadsheet.methods.scaling.infinite_compute.study import LR, RATES, USUAL_DECAY, Plan, best, pick
from broadsheet.methods.scaling.infinite_compute.text import HeldOutText, help_topics, split_documents

__all__ = ["replicate"]


def replicate(plan: Plan, seed: int) -> dict[str, Any]:
    """Train one replicate: see :func:`broadsheet.methods.scaling.infinite_compute.study.replicate`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _replicate(plan, seed)
    finally:
        torch.set_num_threads(threads)


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
        "students": _students(plan, text, seed, together, pick(single, width=plan.member_width)),
    }


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
