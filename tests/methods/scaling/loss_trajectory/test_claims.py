"""The claims: the exact ones hold at every scale, the others are measured where a few seconds can tell something."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from broadsheet.claims import Claim, NeedsData, Verdict
from broadsheet.lab import local_run
from broadsheet.lab.judge import judge
from broadsheet.methods.scaling.loss_trajectory import LossTrajectory, claims, study

CLAIMS = [value for value in vars(claims).values() if isinstance(value, Claim)]


@pytest.mark.parametrize("claim", [c for c in CLAIMS if "smoke" in c.scales], ids=lambda claim: claim.id)
def test_claims_are_measured_at_smoke_scale(claim, tmp_path):
    try:
        measured = claim(local_run("smoke", out=tmp_path))
    except NeedsData as absent:
        pytest.skip(str(absent))
    assert math.isfinite(measured.value)
    verdict, _ = judge(claim, measured, "smoke")
    assert verdict is not Verdict.FAILED
    if claim.kind == "exact":
        assert verdict is Verdict.REPRODUCED


HOW = study.Setting((8, 12, 16), 32, (8, 16, 32), 24, 400, 30, 0)
TRUTH = {"N_c": 2e6, "alpha_N": 0.12, "S_c": 60, "alpha_S": 0.6, "B_star": 5e3, "alpha_B": 0.4}


def made_up(noise: float = 0.0) -> pd.DataFrame:
    law, rng = LossTrajectory.from_params(TRUTH), np.random.default_rng(0)
    steps = np.unique(np.geomspace(20, HOW.steps, HOW.points).round())
    jobs = [(w, b) for w in HOW.widths for b in HOW.batches] + [(HOW.widths[-1], 24), (HOW.held_out, 24)]
    parts = [
        pd.DataFrame({"seed": 0, "width": w, "N": float(w**3), "B": b * study.CONTEXT * 1.0, "S": steps})
        for w, b in jobs
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["loss"] = law.predict(frame[["N", "S", "B"]]) * np.exp(noise * rng.standard_normal(len(frame)))
    return frame


def test_curves_that_follow_the_law_are_predicted_better_than_by_the_nearest():
    errors = study.baseline_errors(made_up(0.003), HOW)
    assert errors["law"] < 0.005
    assert errors["nearest"] > 5 * errors["law"]


def test_what_is_held_out_is_never_fitted():
    spoilt = made_up()
    new = spoilt["B"] == HOW.new_batch * study.CONTEXT
    spoilt.loc[new, "loss"] *= 7.0
    assert study.fitted(spoilt, HOW).params_ == pytest.approx(study.fitted(made_up(), HOW).params_)


def test_hyperbolas_of_curves_that_follow_the_law_give_its_critical_batch():
    found = study.hyperbolas(made_up(), HOW)
    law = LossTrajectory.from_params(TRUTH)
    # Interpolation between thirty points in logarithms is good to a per cent or two.
    assert found.levels_["B_crit"].to_numpy() == pytest.approx(
        law.critical_batch(found.levels_["loss"]), rel=0.03
    )
    assert (found.levels_["r2"] > 0.999).all()


def test_the_best_learning_rate_of_each_run_is_taken_and_the_largest_size_held_out(tmp_path):
    path = tmp_path / "runs.csv"
    rows = [(5e8, 1e10, 64, lr, 1000, 3.0 + lr) for lr in (0.2, 0.1, 0.3)] + [(2e9, 1e10, 64, 0.1, 1000, 2.5)]
    pd.DataFrame(rows, columns=["N", "D", "bs", "lr", "ti", "smooth loss"]).to_csv(path, index=False)
    ends = study.step_law_ends(path)
    assert ends["loss"].tolist() == [3.1, 2.5]
    assert ends["B"].tolist() == [64 * 2048.0] * 2
    small, large = study.split(ends)
    assert (len(small), len(large)) == (1, 1)
