"""Loss of an ensemble by its number of members, with errors over members."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from broadsheet.methods.scaling.infinite_compute.asymptote import Asymptote, Form, fit_asymptote
from broadsheet.methods.scaling.infinite_compute.ensemble import LogitEnsemble, Mode

__all__ = ["EnsembleCurve", "ensemble_curve", "subset_losses"]

Subset = tuple[int, ...]
Subsets = Literal["nested", "all"]
MOST = 12
"""Largest number of members of which all subsets are taken."""


@dataclass(frozen=True)
class EnsembleCurve:
    """Losses by number of members.

    Args:
        table: Columns ``K``, ``loss`` (mean over the subsets of that size), ``se`` (jackknife over members) and
            ``subsets`` (how many).
        left_out: (members, K) the curve without each member in turn: NaN at the last K.
    """

    table: pd.DataFrame
    left_out: np.ndarray = field(repr=False)

    def asymptote(self, form: Form = "reciprocal", *, level: float = 0.95) -> Asymptote:
        """Fit the curve; the interval is the jackknife's over members, not the fit's.

        The points of one curve share members: they scatter together, and their small residuals say little about
        where the next set of members would lead.

        Args:
            form: ``reciprocal`` or ``power``.
            level: Level of the interval.

        Returns:
            The fit, with the interval over members.
        """
        from scipy import stats

        fit = fit_asymptote(self.table["K"], self.table["loss"], form, level=level)
        n = len(self.left_out)
        least = 2 if form == "reciprocal" else 3
        if n - 1 < least:
            return fit
        sizes = np.arange(1, n)
        each = np.array([_linear_or_power(sizes, row[:-1], form) for row in self.left_out])
        half = stats.t.ppf(0.5 + level / 2, n - 1) * _jackknife(each)
        kept = {
            name: getattr(fit, name) for name in ("A", "alpha", "E", "freedom", "r2", "reason", "x", "loss")
        }
        return Asymptote(**kept, form=form, level=level, low=fit.E - float(half), high=fit.E + float(half))


def _linear_or_power(sizes: np.ndarray, losses: np.ndarray, form: Form) -> float:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a curve without one member may well rise somewhere
        return fit_asymptote(sizes, losses, form).E


def ensemble_curve(
    models: Sequence[nn.Module] | LogitEnsemble,
    validation: Tensor | Callable[[list[nn.Module]], float],
    *,
    subsets: Subsets = "nested",
    mode: Mode = "logit",
    batch: int = 8,
) -> EnsembleCurve:
    """Measure an ensemble's loss for every number of members.

    Nested subsets (the first K members) share members, so that their points move together; the mean over all
    subsets of a size is steadier. Errors come from leaving out one member at a time. Drawing members with
    replacement would put the same member twice into an ensemble, which then is a smaller one.

    Args:
        models: At least two members, or an ensemble of them.
        validation: Token ids, (sequences, time), of which each token but the first is predicted; or a function
            that returns the loss of a list of members (one member included).
        subsets: ``nested``, or ``all`` (up to 12 members).
        mode: How members are combined; for token ids only.
        batch: Sequences evaluated at a time.

    Returns:
        The curve.

    Raises:
        ValueError: if there are fewer than two members, or too many for all subsets.

    Source:
        Section on the ensembling recipe: loss against the number of members.
    """
    if isinstance(models, LogitEnsemble):
        members, mode = list(models.models), models.mode
    else:
        members = list(models)
    wanted = _wanted(len(members), subsets)
    if isinstance(validation, Tensor):
        ensemble = models if isinstance(models, LogitEnsemble) else LogitEnsemble(members, mode)
        found = subset_losses(_batches(ensemble, validation, batch), wanted, mode)
    else:
        found = {subset: float(validation([members[k] for k in subset])) for subset in wanted}
    return curve_of(found, len(members), subsets)


def _batches(ensemble: LogitEnsemble, tokens: Tensor, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    if tokens.ndim != 2 or tokens.shape[1] < 2:
        raise ValueError(f"validation must be (sequences, time >= 2), got shape {tuple(tokens.shape)}")
    for part in torch.split(tokens, batch):
        with torch.no_grad():
            yield ensemble.member_logits(part)[:, :, :-1].flatten(1, 2), part[:, 1:].flatten()


def _wanted(members: int, subsets: Subsets) -> list[Subset]:
    """Return the subsets whose losses the curve and its jackknife need."""
    if members < 2:
        raise ValueError(f"models must hold at least 2 members, got {members}")
    if subsets == "all":
        if members > MOST:
            raise ValueError(
                f"all subsets of {members} members are {2**members - 1}: take subsets='nested', "
                f"or at most {MOST} members"
            )
        sizes = range(1, members + 1)
        return [subset for k in sizes for subset in itertools.combinations(range(members), k)]
    if subsets != "nested":
        raise ValueError(f"subsets must be 'nested' or 'all', got {subsets!r}")
    orders = [_without(members, left) for left in (None, *range(members))]
    return sorted({order[:k] for order in orders for k in range(1, len(order) + 1)})


def _without(members: int, left: int | None) -> Subset:
    return tuple(k for k in range(members) if k != left)


def subset_losses(
    batches: Iterator[tuple[Tensor, Tensor]], subsets: Sequence[Subset], mode: Mode = "logit"
) -> dict[Subset, float]:
    """Return the loss of ensembles of some members each, from the logits of all.

    Args:
        batches: Logits (members, positions, vocabulary) and targets (positions,).
        subsets: The members of each ensemble.
        mode: How they are combined.

    Returns:
        Nats per token by subset.
    """
    wanted = sorted(subsets)  # neighbours share all but their last members, and with them their sums
    totals, count = dict.fromkeys(subsets, 0.0), 0
    for logits, targets in batches:
        values = logits if mode == "logit" else logits.softmax(-1)
        sums: list[Tensor] = []
        last: Subset = ()
        for subset in wanted:
            shared = 0
            while shared < min(len(last), len(subset)) and last[shared] == subset[shared]:
                shared += 1
            del sums[shared:]
            for member in subset[shared:]:
                sums.append(sums[-1] + values[member] if sums else values[member])
            last = subset
            mean = sums[-1] / len(subset)
            combined = mean if mode == "logit" else mean.log()
            picked = combined.gather(-1, targets[:, None])[:, 0]
            totals[subset] += float((combined.logsumexp(-1) - picked).sum(dtype=torch.float64))
        count += len(targets)
    return {subset: total / count for subset, total in totals.items()}


def curve_of(losses: dict[Subset, float], members: int, subsets: Subsets) -> EnsembleCurve:
    """Return the curve and its jackknife from losses by subset."""

    def at(order: Subset, size: int) -> tuple[float, int]:
        if subsets == "nested":
            return losses[order[:size]], 1
        each = [losses[subset] for subset in itertools.combinations(order, size)]
        return math.fsum(each) / len(each), len(each)

    sizes = range(1, members + 1)
    whole = [at(_without(members, None), k) for k in sizes]
    left_out = np.full((members, members), np.nan)
    for left in range(members):
        order = _without(members, left)
        left_out[left, : members - 1] = [at(order, k)[0] for k in sizes[:-1]]
    # Of all members together, the losses with one left out are the jackknife's values.
    error = [_jackknife(left_out[:, min(k, members - 1) - 1]) for k in sizes]
    table = pd.DataFrame(
        {"K": list(sizes), "loss": [w[0] for w in whole], "se": error, "subsets": [w[1] for w in whole]}
    )
    return EnsembleCurve(table, left_out)


def _jackknife(values: np.ndarray) -> float:
    n = len(values)
    return math.sqrt((n - 1) / n * float(((values - values.mean()) ** 2).sum()))
