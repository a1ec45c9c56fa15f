"""The five regimes from Kaplan's law to Hoffmann's, and the exponent of the compute-optimal size in each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.identification import ScalingWarning
from broadsheet.methods.scaling.isoflop import fit_power_trend, isoflop_fit

__all__ = ["REGIMES", "Regime", "regime_exponents"]

WITHIN = 4.1  # sizes this near to the best one enter its parabola: five of the study's grid


@dataclass(frozen=True)
class Regime:
    """One way of training and counting.

    Args:
        name: What is repaired in this regime, on top of those before it.
        hparams: ``base``, or ``tuned`` to each size.
        warmup: ``long`` (as long for every size) or ``short`` (in proportion to the size).
        decay: ``kaplan`` (a fixed long cosine), ``chinchilla`` (a cosine as long as the run) or ``const``.
        param_count: ``kaplan`` (without the last layer) or ``standard``.
        published: Published exponents by corpus (``rw``: RefinedWeb, ``owt2``: OpenWebText2).
    """

    name: str
    hparams: str
    warmup: str
    decay: str
    param_count: str
    published: Mapping[str, float]

    def rows(self, table: pd.DataFrame, dataset: str) -> pd.DataFrame:
        """Return the rows of a table of the study that belong to this regime and corpus."""
        settings = {
            "dataset": dataset,
            "hparams": self.hparams,
            "warmup": self.warmup,
            "decay": self.decay,
            "param_count": self.param_count,
        }
        missing = [name for name in settings if name not in table.columns]
        if missing:
            raise ValueError(f"table lacks the column {missing[0]!r}; see datasets.load_porian_optimal_pairs")
        return table[(table[list(settings)] == pd.Series(settings)).all(axis=1)]


def _regime(name: str, settings: str, rw: float, owt2: float) -> Regime:
    hparams, warmup, decay, count = settings.split()
    return Regime(name, hparams, warmup, decay, count, MappingProxyType({"rw": rw, "owt2": owt2}))


# Exponents as the authors' repository holds them (weighted fits, four digits).
REGIMES: tuple[Regime, ...] = (
    _regime("as Kaplan et al.", "base long kaplan kaplan", 0.8353, 0.8635),
    _regime("last layer counted", "base long kaplan standard", 0.7065, 0.6985),
    _regime("short warm-up", "base short kaplan standard", 0.6020, 0.6032),
    _regime("decay as long as the run", "base short chinchilla standard", 0.5715, 0.5743),
    _regime("optimiser tuned, no decay", "tuned short const standard", 0.4969, 0.5185),
)


def regime_exponents(
    table: pd.DataFrame,
    dataset: Literal["rw", "owt2"] = "rw",
    *,
    optima: Literal["authors", "parabola"] = "authors",
) -> pd.DataFrame:
    """Fit the growth of the compute-optimal size with compute in each regime.

    Args:
        table: For ``authors`` the study's optimal sizes (``flops``, ``n_opt``, ``n_opt_log_std``), for
            ``parabola`` its runs (``flops``, ``n``, ``loss``), each with the columns of the regimes.
        dataset: The corpus.
        optima: Whether to take the authors' optima, weighted by ``1 / std**2``, or to find them by a parabola
            in ln N around the best size of each budget, which is another estimator than theirs.

    Returns:
        One row per regime: ``exponent``, ``std``, ``coefficient``, ``budgets``, ``published``.

    Raises:
        ValueError: if a column is missing, or a regime has no rows.

    Source:
        arXiv:2406.19146, figure 1 and section 3.

    Example:
        >>> C = np.array([1e17, 1e18, 1e19])
        >>> parts = [
        ...     pd.DataFrame(
        ...         {
        ...             "dataset": "rw",
        ...             "hparams": r.hparams,
        ...             "warmup": r.warmup,
        ...             "decay": r.decay,
        ...             "param_count": r.param_count,
        ...             "flops": C,
        ...             "n_opt": 0.1 * C ** r.published["rw"],
        ...             "n_opt_log_std": 0.1,
        ...         }
        ...     )
        ...     for r in REGIMES
        ... ]
        >>> regime_exponents(pd.concat(parts))["exponent"].round(3).tolist()
        [0.835, 0.706, 0.602, 0.571, 0.497]
    """
    if optima not in ("authors", "parabola"):
        raise ValueError(f"optima must be 'authors' or 'parabola', got {optima!r}")
    found = {}
    for regime in REGIMES:
        rows = regime.rows(table, dataset)
        if not len(rows):
            raise ValueError(f"table has no rows of {dataset!r} in the regime {regime.name!r}")
        found[regime.name] = {
            **(_from_pairs(rows) if optima == "authors" else _from_runs(rows)),
            "published": regime.published[dataset],
        }
    return pd.DataFrame.from_dict(found, orient="index")


def _from_pairs(rows: pd.DataFrame) -> dict[str, float]:
    # A budget whose optimum lies at the edge of the sizes has no standard error and does not count.
    rows = rows.dropna(subset=["flops", "n_opt", "n_opt_log_std"])
    trend = fit_power_trend(rows["flops"], rows["n_opt"], rows["n_opt_log_std"])
    return {
        "exponent": trend.exponent,
        "std": trend.exponent_std,
        "coefficient": trend.coefficient,
        "budgets": len(rows),
    }


def _from_runs(rows: pd.DataFrame) -> dict[str, float]:
    runs = rows.dropna(subset=["n", "loss"])[["flops", "n", "loss"]]
    with warnings.catch_warnings():
        # Budgets without a lowest point are told by their number.
        warnings.simplefilter("ignore", ScalingWarning)
        fit = isoflop_fit(runs, columns={"C": "flops", "N": "n"}, within=WITHIN)
    return {
        "exponent": fit.N_trend.exponent,
        "std": fit.N_trend.exponent_std,
        "coefficient": fit.N_trend.coefficient,
        "budgets": int(np.sum(fit.optima["inside"])),
    }
