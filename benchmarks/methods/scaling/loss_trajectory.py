"""Time the trajectory law against what one would write instead.

Run on an idle machine: python benchmarks/methods/scaling/loss_trajectory.py [--rows 1000000] [--repeats 5]

Root: our vectorised solver against scipy's Brent in a loop (on a sample; per row). Fit: the same least squares from the
same start, our exact derivatives against finite differences over a fixed-point loop.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from scipy.optimize import brentq, minimize

from broadsheet.methods.scaling.loss_trajectory import LossTrajectory
from broadsheet.methods.scaling.loss_trajectory.root import trajectory_root

TRUTH = {"N_c": 6.5e13, "alpha_N": 0.077, "S_c": 2100, "alpha_S": 0.76, "B_star": 2e8, "alpha_B": 0.21}


def median(work: Callable[[], object], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def root(rows: int, repeats: int) -> None:
    rng = np.random.default_rng(0)
    at = [rng.uniform(low, high, rows) for low, high in ((13, 23), (5, 13), (9, 16))]
    theta = np.log([list(TRUTH.values())])
    ours = median(lambda: trajectory_root(theta, *at), repeats)
    n_c, a_n, s_c, a_s, b, a_b = TRUTH.values()

    def one(i: int) -> float:
        first = a_n * (np.log(n_c) - at[0][i])

        def gap(u: float) -> float:
            inner = np.log(s_c) - at[1][i] + np.logaddexp(0.0, np.log(b) - at[2][i] - u / a_b)
            return u - np.logaddexp(first, a_s * inner)

        return brentq(gap, -60, 200)

    sample = 300
    theirs = median(lambda: [one(i) for i in range(sample)], 3) / sample * rows
    print(
        f"root of {rows:,} rows: {ours:.2f} s; Brent in a loop would need {theirs:.0f} s: {theirs / ours:.0f} x"
    )


def fit(repeats: int) -> None:
    grid = np.meshgrid([1e6, 4e6, 1.6e7], np.geomspace(500, 20_000, 12), [5e4, 2e5, 8e5])
    frame = pd.DataFrame({name: values.ravel() for name, values in zip("NSB", grid, strict=True)})
    rng = np.random.default_rng(0)
    frame["loss"] = LossTrajectory.from_params(TRUTH).predict(frame) * np.exp(
        0.002 * rng.standard_normal(len(frame))
    )
    N, S, B, y = (np.log(frame[c].to_numpy()) for c in ("N", "S", "B", "loss"))
    starts = LossTrajectory()._starts({c: frame[c].to_numpy() for c in "NSB"}, frame["loss"].to_numpy())
    screened = [float(((trajectory_root(s[None], N, S, B)[0] - y) ** 2).sum()) for s in starts]
    chosen = starts[np.argsort(screened)[:8]]

    def by_fixed_point(theta: np.ndarray) -> float:
        n_c, a_n, s_c, a_s, b, a_b = (
            theta[0],
            np.exp(theta[1]),
            theta[2],
            np.exp(theta[3]),
            theta[4],
            np.exp(theta[5]),
        )
        u = y.copy()
        for _ in range(60):
            inner = s_c - S + np.logaddexp(0.0, b - B - u / a_b)
            u = 0.5 * u + 0.5 * np.logaddexp(a_n * (n_c - N), a_s * inner)
        return float(((u - y) ** 2).sum())

    def theirs() -> float:
        return min(float(minimize(by_fixed_point, s, method="L-BFGS-B").fun) for s in chosen)

    def ours() -> float:
        return float((LossTrajectory(loss="mse").fit(frame).residuals_ ** 2).sum())

    t_ours, t_theirs = median(ours, repeats), median(theirs, max(1, repeats // 2))
    print(
        f"fit of {len(frame)} rows: {t_theirs / t_ours:.1f} x ({t_ours:.2f} s for {len(starts)} starts screened and 16 "
        f"polished, against {t_theirs:.2f} s for 8 starts); sum of squares {ours():.6g} against {theirs():.6g}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print("load:", os.getloadavg()[0])
    root(given.rows, given.repeats)
    fit(given.repeats)
