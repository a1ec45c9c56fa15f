"""Time APGWRegressor against what a user would write instead: APGW hosted by lifelines' custom fitter.

Run: python benchmarks/methods/statistics/flexible_survival.py [--rows 1000000] [--repeats 7]

Both fit the same model to the same rows from the same start, in this process, in turn. Times are given as
ratios of medians; the log-likelihoods stand beside them, because a fast wrong maximum is worth nothing.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time
import warnings

import autograd.numpy as anp
import numpy as np
from lifelines import LogLogisticAFTFitter, WeibullAFTFitter
from lifelines.datasets import load_lung
from lifelines.fitters import ParametricRegressionFitter

from broadsheet.methods.statistics import APGWRegressor, simulate_mpr


class LifelinesAPGW(ParametricRegressionFitter):
    """The accelerated-failure APGW model as lifelines hosts it: automatic derivatives, BFGS."""

    _fitted_parameter_names = ["phi_", "gamma_", "nu_"]  # noqa: RUF012 (lifelines' own convention)

    def _cumulative_hazard(self, params, T, Xs):
        log_phi = anp.dot(Xs["phi_"], params["phi_"])
        gamma = anp.exp(anp.dot(Xs["gamma_"], params["gamma_"]))
        k1 = anp.exp(anp.dot(Xs["nu_"], params["nu_"]))
        x = anp.exp(gamma * (log_phi + anp.log(T)))
        kappa = k1 - 1.0
        return k1 / kappa * anp.expm1(kappa * anp.log1p(x / k1))


def timed(fit):
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = fit()
    return time.perf_counter() - begin, model.log_likelihood_


def race(title, ours, theirs, repeats):
    """Run both in turn and print the ratio of their median times."""
    timed(ours)
    timed(theirs)
    ours_s, theirs_s, ours_ll, theirs_ll = [], [], 0.0, 0.0
    for _ in range(repeats):
        seconds, ours_ll = timed(ours)
        ours_s.append(seconds)
        seconds, theirs_ll = timed(theirs)
        theirs_s.append(seconds)
    mine, other = statistics.median(ours_s), statistics.median(theirs_s)
    print(
        f"{title:<58} {other / mine:7.1f} x   {1e3 * mine:8.1f} ms vs {1e3 * other:9.1f} ms   "
        f"log L {ours_ll:.4f} vs {theirs_ll:.4f} ({ours_ll - theirs_ll:+.1e})"
    )


def custom_races(df, duration, event, formula, title, repeats):
    data = df[[duration, event, *formula.split(" + ")]]
    slopes = [0.0] * len(formula.split(" + "))
    level = -float(np.log(df.loc[df[event] == 1, duration].mean()))
    blocks = {"phi_": np.array([level, *slopes]), "gamma_": np.array([0.0, *slopes]), "nu_": np.array([0.7])}
    start = np.concatenate(list(blocks.values()))
    regressors = {"phi_": formula, "gamma_": formula, "nu_": "1"}

    def lifelines():
        return LifelinesAPGW().fit(data, duration, event, regressors=regressors, initial_point=blocks)

    def same_start():
        return APGWRegressor(phi=formula, gamma=formula).fit(data, duration, event, initial_point=start)

    def all_starts():
        return APGWRegressor(phi=formula, gamma=formula).fit(data, duration, event)

    race(f"{title}, same start", same_start, lifelines, repeats)
    race(f"{title}, our four starts", all_starts, lifelines, repeats)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="times each fit is run (default 7)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the large fit (0: none)")
    given = parser.parse_args()
    lung = load_lung().assign(event=lambda d: d["status"])[["time", "event", "age", "sex"]]
    lung["event"] = (lung["event"] == lung["event"].max()).astype(int)
    made = simulate_mpr(
        2000, phi={"Intercept": -0.5, "trt": 0.7}, gamma={"Intercept": 0.3, "trt": 0.2}, kappa=0.5, followup=8
    )
    print("lifelines / ours, median times; a larger ratio is better for ours\n")
    custom_races(lung, "time", "event", "age + sex", "lifelines custom APGW, lung, n = 228", given.repeats)
    custom_races(made, "time", "event", "trt", "lifelines custom APGW, simulated, n = 2000", given.repeats)
    for name, fitter, kappa in (
        ("WeibullAFTFitter", WeibullAFTFitter, 1),
        ("LogLogisticAFTFitter", LogLogisticAFTFitter, 0),
    ):
        race(
            f"lifelines {name}, lung, n = 228",
            lambda kappa=kappa: APGWRegressor(kappa=kappa).fit(lung, "time", "event"),
            lambda fitter=fitter: fitter().fit(lung, "time", "event"),
            given.repeats,
        )
    if given.rows:
        large(given.rows)


def large(rows):
    """Fit many rows once, and print seconds and memory."""
    import resource

    import pandas as pd

    rng = np.random.default_rng(0)
    covariates = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["a", "b", "c"])
    phi = {"Intercept": -1.0, "a": 0.3, "b": -0.2, "c": 0.1}
    df = simulate_mpr(
        covariates, phi=phi, gamma={"Intercept": 0.3, "a": 0.1}, kappa=0.5, censoring=5.0, seed=rng
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, value = timed(lambda: APGWRegressor(phi="a + b + c", gamma="a + b + c").fit(df, "time", "event"))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"\n{rows:,} rows, 3 covariates on phi and gamma: {seconds:.1f} s, log L {value:.1f}, "
        f"{(after - before) / 1e3:.0f} MB beyond the data"
    )


if __name__ == "__main__":
    main()
