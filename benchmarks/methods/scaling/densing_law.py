"""Time the bootstrap of a density trend against the loop over samples that a user would write with pandas.

Run: python benchmarks/methods/scaling/densing_law.py [--models 148] [--draws 2000] [--repeats 7]

Both resample the same models, find the envelope of every sample anew and fit its line, in this process, in turn.
Times are ratios of medians. The goal is 2000 draws within 5 seconds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time

import numpy as np
import pandas as pd

from broadsheet.methods.scaling import DensingTrend


def made(count):
    rng = np.random.default_rng(0)
    days = rng.integers(0, 540, count)
    density = np.exp(0.0073 * days + rng.normal(-1.5, 1.0, count))
    return pd.DataFrame(
        {"date": pd.Timestamp("2023-02-24") + pd.to_timedelta(days, unit="D"), "density": density}
    )


def by_pandas(frame, draws, seed):
    rng = np.random.default_rng(seed)
    rates = np.full(draws, np.nan)
    for number in range(draws):
        sample = frame.iloc[rng.integers(0, len(frame), len(frame))]
        best = sample.groupby("date")["density"].max().sort_index()
        records = best[best > best.cummax().shift(fill_value=0.0)]
        if len(records) > 1:
            days = (records.index - frame["date"].min()).days
            rates[number] = np.polyfit(days, np.log(records), 1)[0]
    return rates


def timed(call):
    begin = time.perf_counter()
    found = call()
    return time.perf_counter() - begin, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=148)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    frame = made(given.models)
    trend = DensingTrend().fit(frame)
    loop_draws = max(20, given.draws // 20)  # the loop is timed on a twentieth, and its time multiplied
    trend.bootstrap(given.draws)
    ours, theirs = [], []
    for repeat in range(given.repeats):
        seconds, fast = timed(lambda seed=repeat: trend.bootstrap(given.draws, seed)[:, 0])
        ours.append(seconds)
        seconds, slow = timed(lambda seed=repeat: by_pandas(frame, loop_draws, seed))
        theirs.append(seconds * given.draws / loop_draws)
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"{given.draws} draws of {given.models} models, envelope found anew in each")
    print(f"pandas loop / ours: {other / mine:.0f} x   {mine:.3f} s vs {other:.1f} s (goal: ours below 5 s)")
    print(
        "median rate per day and its spread: "
        f"ours {np.nanmedian(fast):.5f} ({np.nanstd(fast):.5f}), loop {np.nanmedian(slow):.5f} ({np.nanstd(slow):.5f})"
    )


if __name__ == "__main__":
    main()
