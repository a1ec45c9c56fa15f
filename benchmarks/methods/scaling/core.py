"""Time the scaling-law core against the package chinchilla, its bootstrap alone, and count what its intervals cover.

Run: python benchmarks/methods/scaling/core.py [--starts 243] [--repeats 3] [--boot 1000] [--tables 200] [--only PART]

The fit: the same runs, the same grid of starts, the same objective (Huber losses of log residuals, threshold 0.001,
of which the peer takes the mean), one process each. The peer polishes every start, the core screens all and polishes
16, so that the ratio grows with the grid: its own README uses 3,125 starts, which takes minutes. The peer's
drawing is left out of its time. Objectives stand beside the times and are both evaluated by one function written
here, because a fast wrong minimum is worth nothing. Runs are the 240 points of Besiroglu et al. where the registry
has them, made up otherwise.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import itertools
import statistics
import tempfile
import time
import warnings

import numpy as np
import pandas as pd

from broadsheet import data
from broadsheet.methods.scaling import Chinchilla, datasets

TRUTH = {"A": 482.0, "B": 2085.0, "E": 1.82, "alpha": 0.348, "beta": 0.366}
DELTA = 1e-3
FULL = {
    "e": [-1.0, -0.5, 0.0, 0.5, 1.0],
    "a": [0.0, 6.0, 12.0, 18.0, 24.0],
    "b": [0.0, 6.0, 12.0, 18.0, 24.0],
    "alpha": [0.1, 0.5, 1.0, 1.5, 2.0],
    "beta": [0.1, 0.5, 1.0, 1.5, 2.0],
}


def made_up(rng, sizes, tokens, noise=0.005):
    N, D = (a.ravel() for a in np.meshgrid(np.geomspace(5e7, 2e9, sizes), np.geomspace(1e9, 1e11, tokens)))
    loss = Chinchilla.from_params(TRUTH).predict(N=N, D=D)
    return pd.DataFrame({"N": N, "D": D, "loss": loss * np.exp(noise * rng.standard_normal(len(N)))})


def points():
    if path := data.where("chinchilla-svg-extracted"):
        return datasets.load_chinchilla_points(path, outliers=False).df.reset_index(drop=True)
    return made_up(np.random.default_rng(0), 16, 15)


def huber(params, runs):
    """The objective, written once more for both."""
    predicted = (
        params["E"] + params["A"] * runs["N"] ** -params["alpha"] + params["B"] * runs["D"] ** -params["beta"]
    )
    r = np.abs(np.log(runs["loss"]) - np.log(predicted))
    return float(np.where(r <= DELTA, 0.5 * r**2, DELTA * (r - 0.5 * DELTA)).sum())


def grid_of(count):
    """Return a grid of about so many starts: 2, 3, 4 or 5 values of each parameter."""
    levels = min(5, max(2, round(count ** (1 / 5))))
    pick = np.linspace(0, 4, levels + 2 if levels < 4 else levels).round().astype(int)
    pick = pick[1:-1] if levels < 4 else pick
    return {name: tuple(values[i] for i in pick) for name, values in FULL.items()}


def peer(runs, grid, folder):
    import chinchilla

    cc = chinchilla.Chinchilla(
        folder,
        param_grid=grid,
        loss_fn=lambda y, p: _log_huber(y, p),
        log_level=50,
    )
    cc.visualizer.optim = lambda *args, **kwargs: None
    cc.database.df = runs.assign(C=6 * runs["N"] * runs["D"])[["C", "N", "D", "loss"]]
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cc.fit(parallel=False)
    seconds = time.perf_counter() - begin
    return seconds, {name: float(getattr(cc, name)) for name in TRUTH}


def _log_huber(y, p):
    r = np.abs(np.log(y) - np.log(p))
    return np.where(r <= DELTA, 0.5 * r**2, DELTA * (r - 0.5 * DELTA))


def ours(runs, grid):
    natural = {
        {"e": "E", "a": "A", "b": "B"}.get(k, k): np.exp(v) if k in "eab" else np.array(v)
        for k, v in grid.items()
    }
    begin = time.perf_counter()
    law = Chinchilla(grid=natural).fit(runs)
    return time.perf_counter() - begin, law.params_


def race(starts, repeats):
    runs, grid = points(), grid_of(starts)
    count = len(list(itertools.product(*grid.values())))
    ours(runs, grid)
    mine, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats):
            seconds, params = ours(runs, grid)
            mine.append(seconds)
            seconds, other = peer(runs, grid, os.path.join(folder, "peer"))
            theirs.append(seconds)
    a, b = statistics.median(mine), statistics.median(theirs)
    print(
        f"chinchilla / ours, {count} starts, {len(runs)} runs: {b / a:.0f} x   {a:.3f} s vs {b:.2f} s   "
        f"objective {huber(params, runs):.12g} vs {huber(other, runs):.12g} "
        f"({huber(params, runs) - huber(other, runs):+.1e})"
    )


def boot(count):
    runs = points()
    law = Chinchilla().fit(runs)
    begin = time.perf_counter()
    made = law.bootstrap(count)
    seconds = time.perf_counter() - begin
    print(
        f"{count} bootstrap refits of {len(runs)} runs, 3 starts each, one core: {seconds:.2f} s, {made.failed} failed"
    )


def coverage(tables):
    """Count held-out truths inside 95 % intervals, at four times the largest size, tokens, or both."""
    new = pd.DataFrame({"N": [8e9, 2e9, 8e9], "D": [1e11, 4e11, 4e11]})
    hits = []
    for seed in range(tables):
        rng = np.random.default_rng(seed)
        law = Chinchilla(random_state=seed).fit(made_up(rng, 6, 6))
        truth = Chinchilla.from_params(TRUTH).predict(new) * np.exp(0.005 * rng.standard_normal(len(new)))
        table = law.predict(new, interval=0.95, n_boot=100)
        hits.append(((truth >= table["lower"]) & (truth <= table["upper"])).tolist())
    share = np.mean(hits, axis=0)
    print(
        f"95 % prediction intervals at 4x, {tables} tables of 36 runs: cover {100 * np.mean(hits):.1f} % of held-out "
        f"truth (N {100 * share[0]:.1f}, D {100 * share[1]:.1f}, both {100 * share[2]:.1f})"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=243, help="starts of the grid: 32, 243, 1024 or 3125")
    parser.add_argument("--repeats", type=int, default=3, help="times each fit is run")
    parser.add_argument("--boot", type=int, default=1000, help="bootstrap refits")
    parser.add_argument("--tables", type=int, default=200, help="simulated tables for the coverage")
    parser.add_argument("--only", choices=("race", "boot", "coverage"), help="one part alone")
    given = parser.parse_args()
    if given.only in (None, "race"):
        race(given.starts, given.repeats)
    if given.only in (None, "boot"):
        boot(given.boot)
    if given.only in (None, "coverage"):
        coverage(given.tables)


if __name__ == "__main__":
    main()
