"""The trainings behind the claims, and what is read off them."""

from __future__ import annotations

import pandas as pd
import pytest

from broadsheet.lab.run import local_run
from broadsheet.methods.scaling.average_parameters import study


@pytest.fixture
def made() -> pd.DataFrame:
    """Runs of one seed that follow 2 + 300 / N**0.6 of the mean count exactly."""
    rows = []
    for name, s, initial, average, final in (
        ("dense", 0.0, 1e5, 1e5, 1e5),
        ("dense", 0.0, 7e4, 7e4, 7e4),
        ("dense", 0.0, 4.6e4, 4.6e4, 4.6e4),
        ("dense", 0.0, 2.5e4, 2.5e4, 2.5e4),
        ("25-75", 0.5, 1e5, 7e4, 5e4),
        ("25-75", 0.75, 1e5, 4.6e4, 2.5e4),
    ):
        rows.append(
            {"name": name, "sparsity": s, "seed": 0, "initial": initial, "average": average, "final": final}
            | {"tokens": 1000, "loss": 2 + 300 / average**0.6}
        )
    return pd.DataFrame(rows)


def test_dense_and_sparse_arms_meet_at_the_mean_count():
    arms = study.arms()
    dense = sorted(study.prunable(a.heads, a.d_ff) for a in arms if a.name == "dense")
    whole = dense[-1]
    assert whole == study.prunable(study.HEADS, study.D_FF)
    assert dense[0] == pytest.approx(0.25 * whole, rel=0.01)
    assert dense[1] == pytest.approx(0.4601 * whole, rel=0.01)
    assert dense[2] == pytest.approx(0.6929 * whole, rel=0.01)


def test_trainings_are_matched_in_compute_and_shared():
    run = local_run("smoke")
    runs = study.trained(run)
    assert len(runs) == len(study.arms())
    for _, arm in runs.iterrows():
        assert arm["compute"] == pytest.approx(6 * arm["average"] * arm["tokens"])
    highest = runs[runs["sparsity"] == 0.75]
    assert set(highest["name"]) == {"25-75", "early", "late"}
    assert (
        highest["compute"].max() / highest["compute"].min() < 1.1
    )  # whole steps, of which there are few here
    assert set(highest["final"]) == {study.prunable(study.HEADS, study.D_FF) // 4}
    dense = runs[runs["name"] == "dense"]
    assert (dense["initial"] == dense["average"]).all()
    assert (dense["initial"] == dense["final"]).all()
    assert runs.equals(study.trained(run))


def test_position_is_zero_on_the_curve_and_one_at_the_final_count(made):
    for s in study.SPARSITIES:
        assert study.position(made, s) == pytest.approx(0.0, abs=1e-9)
    at_final = made.assign(loss=[*made["loss"][:5], made["loss"][3]])
    whole = made["loss"][3] - made["loss"][0]
    assert study.position(at_final, 0.75) == pytest.approx((made["loss"][3] - made["loss"][2]) / whole)


def test_residuals_vanish_for_the_right_count_only(made):
    spread = {count: study.residual_sd(made, count) for count in study.COUNTS}
    assert spread["average"] < 1e-6
    assert min(spread["initial"], spread["final"]) > 0.005


def test_residuals_of_flat_losses_are_what_is_left(made):
    flat = made.assign(loss=[2.0, 2.01, 2.0, 2.01, 2.0, 2.01])
    assert 0.001 < study.residual_sd(flat, "average") < 0.01
