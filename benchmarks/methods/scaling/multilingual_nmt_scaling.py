"""Compare MixtureScaling with LightGBM on (task, N, p) -> loss: how well do they extrapolate to a larger model?

Run: python benchmarks/methods/scaling/multilingual_nmt_scaling.py [--repeats 7] [--tables 20]

Tables of two tasks are made by the joint law (0.3 % noise; and once with an exponent that drifts with the weight, so
that the law is wrong). Both models fit the smaller sizes and predict the largest ones, all in this process, in turn.
Errors are medians over tables of the mean absolute error of log loss; times are ratios of medians.
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

from broadsheet.methods.scaling import MixtureScaling
from broadsheet.methods.scaling.multilingual_nmt_scaling.simulation import make_table


def columns(table):
    return np.column_stack([np.log(table["N"]), table["p"], table["task"] == "zh"])


def boosted(small, large):
    """LightGBM, its leaves fitted to the size of the table; the rounds are chosen by cross-validation over sizes."""
    data = lightgbm.Dataset(columns(small), np.log(small["loss"]))
    settings = {
        "objective": "l2",
        "learning_rate": 0.1,
        "min_data_in_leaf": 3,
        "num_leaves": 15,
        "verbose": -1,
        "num_threads": 1,
        "seed": 0,
    }
    folds = [
        (np.flatnonzero(small["N"] != n), np.flatnonzero(small["N"] == n)) for n in sorted(set(small["N"]))
    ]
    tried = lightgbm.cv(settings, data, num_boost_round=300, folds=folds)
    rounds = 1 + int(np.argmin(tried["valid l2-mean"]))
    return np.exp(lightgbm.train(settings, data, rounds).predict(columns(large)))


def linear_trees(small, large):
    """LightGBM with a line in each leaf, which can extrapolate."""
    settings = {
        "objective": "l2",
        "linear_tree": True,
        "min_data_in_leaf": 5,
        "num_leaves": 8,
        "linear_lambda": 0.01,
        "verbose": -1,
        "num_threads": 1,
        "seed": 0,
    }
    data = lightgbm.Dataset(
        columns(small), np.log(small["loss"]), params={"linear_tree": True, "verbose": -1}
    )
    return np.exp(lightgbm.train(settings, data, 100).predict(columns(large)))


def law(form):
    def predict(small, large):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return MixtureScaling(f=form, loss="mse").fit(small).predict(large)

    return predict


METHODS = {
    "MixtureScaling, f free": law("free"),
    "MixtureScaling, f power": law("power"),
    "LightGBM": boosted,
    "LightGBM, linear trees": linear_trees,
}


def split(table, largest):
    sizes = sorted(set(table["N"]))
    return table[table["N"] < sizes[-largest]], table[table["N"] >= sizes[-largest]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="times each fit is timed (default 7)")
    parser.add_argument("--tables", type=int, default=20, help="simulated tables (default 20)")
    given = parser.parse_args()
    print(
        f"{'mean |error| of log loss at the 2 largest of 8 sizes':<54}{'the law holds':>16}{'exponent drifts':>18}"
    )
    for name, method in METHODS.items():
        errors = []
        for drift in (0.0, 0.1):
            found = []
            for seed in range(given.tables):
                small, large = split(make_table(np.random.default_rng(seed), drift=drift), 2)
                found.append(float(np.abs(np.log(method(small, large) / large["truth"])).mean()))
            errors.append(statistics.median(found))
        print(f"{name:<54}{errors[0]:>16.5f}{errors[1]:>18.5f}")
    small, large = split(make_table(np.random.default_rng(0)), 2)
    times = {name: [] for name in METHODS}
    for _ in range(given.repeats):
        for name, method in METHODS.items():
            begin = time.perf_counter()
            method(small, large)
            times[name].append(time.perf_counter() - begin)
    middle = {name: statistics.median(t) for name, t in times.items()}
    print(
        f"\nfit and predict, {len(small)} rows: LightGBM / ours, median times; a larger ratio is better for ours"
    )
    for name in list(METHODS)[:2]:
        print(f"{name:<54}{middle['LightGBM'] / middle[name]:7.1f} x   {1e3 * middle[name]:.1f} ms")


if __name__ == "__main__":
    main()
