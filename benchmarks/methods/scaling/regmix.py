"""Time RegMix against what a user would write instead: the loop of the authors' notebook over plain LightGBM.

Run: python benchmarks/methods/scaling/regmix.py [--repeats 5] [--samples 100000]

Both fit the same 512 runs of 17 domains to 13 losses with the same trees, and find the 128 best of the same mixtures,
in this process, in turn: on one thread, and once with all threads as each uses them (the notebook's LightGBM within a
tree, ours across losses). The notebook stops early on the runs that it then ranks, and so grows about 600 of 1000
trees. The data are the published runs where the registry has them, and made up otherwise. Times are given as ratios
of medians; the rank correlation stands beside them, because a fast wrong fit is worth nothing.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time
import warnings

import lightgbm
import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from broadsheet.claims import NeedsData
from broadsheet.methods.scaling import RegMix, sample_mixtures
from broadsheet.methods.scaling.datasets import load_regmix
from broadsheet.methods.scaling.regmix.optimization import lowest
from broadsheet.methods.scaling.regmix.published import PILE_TOKENS


def tables():
    """Return mixtures and losses of 512 runs to fit and of 256 to rank."""
    try:
        return *load_regmix("train", "1m"), *load_regmix("test", "1m"), "published runs"
    except NeedsData:
        rng = np.random.default_rng(0)
        names = [f"loss{i}" for i in range(13)]
        slopes = rng.uniform(0.2, 2.0, (17, 13)) * (rng.random((17, 13)) < 0.4)

        def losses(x):
            noise = 0.02 * rng.normal(size=(len(x), 13))
            return pd.DataFrame(6.0 - np.sqrt(x.to_numpy()) @ slopes + noise, index=x.index, columns=names)

        fitted, unseen = sample_mixtures(PILE_TOKENS, 512), sample_mixtures(PILE_TOKENS, 256, seed=7)
        return fitted, losses(fitted), unseen, losses(unseen), "made-up runs"


def notebook_loop(X, Y, Z, T, threads=1):
    """Fit one LGBMRegressor per loss, stopping early on the unseen runs, as the authors' notebook does."""
    models = []
    for column in range(Y.shape[1]):
        trees = lightgbm.LGBMRegressor(
            n_estimators=1000,
            learning_rate=0.01,
            random_state=42,
            metric=["l1", "l2"],
            verbosity=-1,
            n_jobs=threads,
        )
        stop = lightgbm.early_stopping(stopping_rounds=3, verbose=False)
        trees.fit(X, Y[:, column], eval_set=[(Z, T[:, column])], eval_metric="l2", callbacks=[stop])
        models.append(trees)
    return models


def plain_loop(X, Y):
    """The same loop without early stopping: all 1000 trees, as ours."""
    return [
        lightgbm.LGBMRegressor(
            n_estimators=1000, learning_rate=0.01, random_state=42, verbosity=-1, n_jobs=1
        ).fit(X, Y[:, column])
        for column in range(Y.shape[1])
    ]


def race(title, ours, theirs, repeats):
    """Run both in turn and print the ratio of their median times; return what they gave last."""
    ours(), theirs()
    ours_s, theirs_s = [], []
    for _ in range(repeats):
        begin = time.perf_counter()
        mine = ours()
        ours_s.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        other = theirs()
        theirs_s.append(time.perf_counter() - begin)
    a, b = statistics.median(ours_s), statistics.median(theirs_s)
    print(f"{title:<58} {b / a:6.1f} x   {a:7.3f} s vs {b:7.3f} s")
    return mine, other


def main():
    warnings.simplefilter("ignore")  # newer versions of LightGBM rename eval_set
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="times each is run (default 5)")
    parser.add_argument("--samples", type=int, default=100_000, help="mixtures searched (default 100000)")
    given = parser.parse_args()
    mixtures, losses, unseen, truth, source = tables()
    X, Y, Z, T = (np.ascontiguousarray(frame.to_numpy(float)) for frame in (mixtures, losses, unseen, truth))
    print(f"notebook / ours, median times, {source}; a larger ratio is better for ours\n")

    ours, theirs = race(
        "fit of 13 targets: notebook, stopping early",
        lambda: RegMix().fit(mixtures, losses),
        lambda: notebook_loop(X, Y, Z, T),
        given.repeats,
    )
    mine = np.mean(
        [spearmanr(ours.predict_losses(unseen).iloc[:, c], T[:, c]).statistic for c in range(T.shape[1])]
    )
    other = np.mean([spearmanr(m.predict(Z), T[:, c]).statistic for c, m in enumerate(theirs)])
    print(f"{'':<58} mean Spearman {mine:.4f} vs {other:.4f}")
    race(
        "fit of 13 targets: notebook, stopping early, all threads",
        lambda: RegMix(n_jobs=-1).fit(mixtures, losses),
        lambda: notebook_loop(X, Y, Z, T, threads=None),
        given.repeats,
    )
    race(
        "fit of 13 targets: plain loop of 1000 trees",
        lambda: RegMix().fit(mixtures, losses),
        lambda: plain_loop(X, Y),
        given.repeats,
    )

    target = "pile_cc" if "pile_cc" in losses else losses.columns[0]
    model = RegMix(target=target).fit(mixtures, losses[[target]])
    shares = model.mixtures_.to_numpy()  # rows summing to 1, so that both grow the same trees
    trees = plain_loop(shares, losses[[target]].to_numpy(float))[0]
    prior = np.array([PILE_TOKENS.get(name, 1 / 17) for name in mixtures], float)
    drawn = np.random.default_rng(42).dirichlet(prior / prior.sum(), given.samples)

    def best_of_plain():
        predicted = trees.predict(drawn)
        return np.argsort(predicted, kind="stable")[:128], np.sort(predicted)[:128]

    mine, other = race(
        f"128 best of {given.samples} mixtures, one target",
        lambda: lowest(model._parts(), drawn, 128),
        best_of_plain,
        given.repeats,
    )
    print(f"{'':<58} same mixtures: {set(mine[0]) == set(other[0])}")
    seconds = []
    for _ in range(given.repeats):
        begin = time.perf_counter()
        model.optimize(given.samples)
        seconds.append(time.perf_counter() - begin)
    print(f"{'optimize() in all, draws included, one target':<58} {'':8} {statistics.median(seconds):7.3f} s")


if __name__ == "__main__":
    main()
