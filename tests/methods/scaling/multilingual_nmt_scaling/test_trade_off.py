"""Frontier and best weights against brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from broadsheet.methods.scaling import MixtureScaling

from .conftest import WEIGHTS


def losses(law, N, **weights):
    return {task: float(law.predict(task=task, N=N, p=p)[0]) for task, p in weights.items()}


def test_the_frontier_is_the_law_along_the_weights(power):
    curve = power.frontier(3e8, tasks=("zh", "de"), n=11)
    assert list(curve) == ["p_zh", "p_de", "zh", "de"]
    np.testing.assert_allclose(curve["p_zh"] + curve["p_de"], 1.0)
    assert (np.diff(curve["zh"]) < 0).all()
    assert (np.diff(curve["de"]) > 0).all()
    row = curve.iloc[4]
    assert losses(power, 3e8, zh=row["p_zh"], de=row["p_de"]) == pytest.approx(
        {"zh": row["zh"], "de": row["de"]}
    )


def test_free_factors_give_the_points_that_were_run(free):
    assert free.frontier(1e8)["p_de"].round(6).tolist() == [0.1, 0.3, 0.5, 0.7, 0.9]


def test_two_of_three_tasks_share_what_the_third_leaves(power):
    curve = power.frontier(1e9, total=0.5, n=5)
    np.testing.assert_allclose(curve["p_de"] + curve["p_zh"], 0.5)


@pytest.mark.parametrize("weight", [0.5, 2.0, 10.0])
def test_best_weights_of_a_weighted_sum(power, weight):
    found = power.best_weights(1e9, lambda L: -L["de"] - weight * L["zh"])
    p = np.linspace(1e-3, 1 - 1e-3, 20001)
    total = power.predict(task=["de"] * len(p), N=np.full(len(p), 1e9), p=p)
    total = total + weight * power.predict(task=["zh"] * len(p), N=np.full(len(p), 1e9), p=1 - p)
    assert found["de"] == pytest.approx(p[np.argmin(total)], abs=1e-3)
    assert found.sum() == pytest.approx(1.0)


def test_equal_regret_is_equal(power):
    found = power.best_weights(1e8, "equal regret")
    mixed, alone = losses(power, 1e8, **found), losses(power, 1e8, de=1.0, zh=1.0)
    assert mixed["de"] - alone["de"] == pytest.approx(mixed["zh"] - alone["zh"], rel=1e-4)


def test_equal_tasks_get_equal_weights():
    p, N = (a.ravel() for a in np.meshgrid(WEIGHTS, np.geomspace(1e7, 1e9, 4)))
    table = pd.DataFrame({"p": p, "N": N, "loss": 1.0 + 70 * (p * N) ** -0.3})
    law = MixtureScaling(f="power", loss="mse").fit(
        pd.concat([table.assign(task=t) for t in ("a", "b", "c")])
    )
    np.testing.assert_allclose(law.best_weights(1e8), 1 / 3, atol=1e-3)
    alone = MixtureScaling(f="power", loss="mse").fit(table.assign(task="a"))
    assert alone.best_weights(1e8).tolist() == [1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda law: law.frontier(-1.0), "N must be a finite number > 0, got -1.0"),
        (lambda law: law.frontier(np.inf), "N must be a finite number > 0"),
        (lambda law: law.frontier(1e9, tasks=("de", "fr")), "task must be one of 'de', 'zh', got 'fr'"),
        (lambda law: law.frontier(1e9, tasks=("de", "de")), "tasks must name two different tasks"),
        (lambda law: law.frontier(1e9, n=1), "n must be at least 2, got 1"),
        (lambda law: law.frontier(1e9, total=1.5), "total must be in \\(0, 1\\], got 1.5"),
        (lambda law: law.best_weights(0), "N must be a finite number > 0, got 0"),
        (
            lambda law: law.best_weights(1e9, "best"),
            "utility must be a function of the losses, 'equal regret' or None",
        ),
        (lambda law: law.best_weights(1e9, lambda L: np.nan), "utility must be a finite number, got nan"),
    ],
)
def test_bad_questions_are_refused(power, call, message):
    with pytest.raises(ValueError, match=message):
        call(power)


def test_free_factors_have_no_best_weights(free):
    with pytest.raises(ValueError, match="fit with f='power' or 'linear'"):
        free.best_weights(1e9)
