"""The authors' published runs and figures, and what is re-measured on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.datasets import load_regmix
from broadsheet.methods.scaling.regmix.regression import spearman
from broadsheet.methods.scaling.regmix.regressors import BoostedTrees, LinearMixture

__all__ = [
    "CONFIG",
    "NOTEBOOK_SPEARMAN",
    "PILE_TOKENS",
    "Tables",
    "bootstrap_spearman",
    "early_stopping",
    "learning_curve",
]

NOTEBOOK_SPEARMAN: Mapping[str, float] = {
    "arxiv": 99.60,
    "freelaw": 99.71,
    "pubmed_central": 99.08,
    "wikipedia_en": 99.45,
    "dm_mathematics": 97.20,
    "github": 99.77,
    "stackexchange": 99.73,
    "gutenberg_pg_19": 99.18,
    "pile_cc": 98.92,
    "ubuntu_irc": 96.87,
    "hackernews": 98.51,
    "pubmed_abstracts": 99.19,
    "uspto_backgrounds": 99.12,
}
"""Spearman times 100 on the 256 unseen mixtures, as the authors' notebook prints it."""

PILE_TOKENS: Mapping[str, float] = {
    "arxiv": 0.113285273,
    "freelaw": 0.079608651,
    "nih_exporter": 0.003913491,
    "pubmed_central": 0.185375901,
    "wikipedia_en": 0.051081359,
    "dm_mathematics": 0.015962925,
    "github": 0.101750772,
    "philpapers": 0.003707518,
    "stackexchange": 0.066529351,
    "enron_emails": 0.001750772,
    "gutenberg_pg_19": 0.027085479,
    "pile_cc": 0.236869207,
    "ubuntu_irc": 0.01184346,
    "europarl": 0.007929969,
    "hackernews": 0.008032956,
    "pubmed_abstracts": 0.038825953,
    "uspto_backgrounds": 0.046446962,
}
"""Share of the Pile's tokens by domain: the authors' prior."""

CONFIG: Mapping[str, float] = {
    "pile_cc": 0.870,
    "ubuntu_irc": 0.064,
    "pubmed_abstracts": 0.024,
    "wikipedia_en": 0.016,
    "hackernews": 0.012,
}
"""The largest shares of the mixture that the authors trained their 1B model on."""

TARGET = "pile_cc"


class Tables:
    """The published runs, read through the registry.

    Args:
        find: Returns the path of registered data by name, such as ``run.data``.
    """

    def __init__(self, find: Callable[[str], Path]) -> None:
        self._find = find

    def __call__(self, split: str, scale: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return mixtures and losses of a split at a scale; see :func:`load_regmix`."""
        name = scale.lower()
        return load_regmix(
            split,  # type: ignore[arg-type]
            scale,  # type: ignore[arg-type]
            mixtures=self._find(f"regmix-{split}-mixture-{name}"),
            losses=self._find(f"regmix-{split}-pile-loss-{name}"),
        )


def bootstrap_spearman(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    statistic: Callable[[list[float]], float],
    count: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile 95 % interval of a function of rank correlations over resampled mixtures.

    Args:
        pairs: Predicted and true losses; pairs of equal length are resampled with the same rows.
        statistic: Takes one correlation per pair, returns a number.
        count: Number of resamples.
        seed: Seed of the resampling.

    Returns:
        Its ends.
    """
    rng = np.random.default_rng(seed)
    sizes = sorted({len(true) for _, true in pairs})
    drawn = []
    for _ in range(count):
        rows = {size: rng.integers(0, size, size) for size in sizes}
        drawn.append(statistic([spearman(p[rows[len(t)]], t[rows[len(t)]]) for p, t in pairs]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def early_stopping(tables: Tables, targets: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """Fit the trees with three ways to stop and rank the 256 unseen mixtures.

    Args:
        tables: The published runs.
        targets: Domains.
        seed: Seed of the split of the 512 runs.

    Returns:
        Spearman times 100 by domain for ``test`` (stopped on the mixtures that are then ranked, as the authors'
        notebook does), ``split`` (stopped on a tenth of the fitted runs) and ``none`` (all 1000 trees).
    """
    mixtures, losses = tables("train", "1m")
    unseen, truth = tables("test", "1m")
    X, Z = (_shares(frame) for frame in (mixtures, unseen))
    order = np.random.default_rng(seed).permutation(len(X))
    held, kept = order[: len(X) // 10], order[len(X) // 10 :]
    rows = {}
    for name in targets:
        y, z = losses[name].to_numpy(), truth[name].to_numpy()
        fitted = {
            "test": BoostedTrees().fit(X, y, validation=(Z, z)),
            "split": BoostedTrees().fit(X[kept], y[kept], validation=(X[held], y[held])),
            "none": BoostedTrees().fit(X, y),
        }
        rows[name] = {how: 100.0 * spearman(trees.predict(Z), z) for how, trees in fitted.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("domain")


def learning_curve(
    tables: Tables, counts: Sequence[int], seeds: Sequence[int], target: str = TARGET
) -> pd.DataFrame:
    """Fit to random parts of the 512 proxy runs and rank the 256 unseen mixtures.

    Args:
        tables: The published runs.
        counts: Numbers of proxy runs.
        seeds: Seeds of the choice; smaller parts lie within larger ones of the same seed.
        target: Domain of the loss.

    Returns:
        Columns ``runs``, ``seed``, ``regressor`` and ``spearman`` (times 100) for three regressors: ``trees``,
        ``trees, leaves of 20`` (LightGBM's own smallest leaf) and ``linear``.
    """
    mixtures, losses = tables("train", "1m")
    unseen, truth = tables("test", "1m")
    X, Z, y, z = _shares(mixtures), _shares(unseen), losses[target].to_numpy(), truth[target].to_numpy()
    rows = []
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(X))
        for count in counts:
            part = order[:count]
            for name, regressor in (
                ("trees", BoostedTrees()),
                ("trees, leaves of 20", BoostedTrees(min_data_in_leaf=20)),
                ("linear", LinearMixture()),
            ):
                predicted = regressor.fit(X[part], y[part]).predict(Z)
                rows.append(
                    {"runs": count, "seed": seed, "regressor": name, "spearman": 100 * spearman(predicted, z)}
                )
    return pd.DataFrame(rows)


def _shares(mixtures: pd.DataFrame) -> np.ndarray:
    from broadsheet.methods.scaling.regmix.mixtures import as_mixtures

    return as_mixtures(mixtures).to_numpy()
