"""The training part: it learns, it is repeatable, and its measurements are right on made-up runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

from broadsheet.methods.scaling import t5_nonembedding_parameters
from broadsheet.methods.scaling.multilingual_nmt_scaling import study


def made_up(noise: float = 0.0, seeds=(0, 1), synergy: float = 0.0) -> pd.DataFrame:
    """Runs as the study makes them, by the law."""
    rng = np.random.default_rng(0)
    rows = []
    for p in study.MIXTURES:
        for N in (668, 1402, 2424, 5332):
            for seed in seeds:
                for task, w in (("de", p), ("zh", 1 - p)):
                    if w > 0:
                        f = w + synergy * w * (1 - w)
                        loss = (0.17 + 30 * (f * N) ** -0.7) * np.exp(noise * rng.normal())
                        rows.append(
                            ("out of English", f"N={N}, p={p:g}, seed={seed}", task, N, w, seed, loss)
                        )
    return pd.DataFrame(rows, columns=["direction", "run", "task", "N", "p", "seed", "loss"])


@pytest.mark.parametrize("direction", study.DIRECTIONS)
def test_models_learn_to_translate(direction):
    table = pd.DataFrame(study.train(direction, 8, 400, [0], mixtures=(1.0,), unseen=200))
    assert table["loss"].item() < 0.5 * study.languages().source_entropy()
    assert table["loss"].item() > study.languages().irreducible_loss()
    assert table["N"].item() == t5_nonembedding_parameters(1, 8, 1)


def test_training_is_repeatable_and_models_are_independent():
    settings = {"direction": "out of English", "d_model": 4, "steps": 10, "unseen": 50}
    one = study.train(**settings, seeds=[3], mixtures=(0.5,))
    assert study.train(**settings, seeds=[3], mixtures=(0.5,)) == one
    beside = pd.DataFrame(study.train(**settings, seeds=[1, 3], mixtures=(1.0, 0.5)))
    mine = beside[(beside["p"] == 0.5) & (beside["seed"] == 3)]
    np.testing.assert_allclose(mine["loss"], [row["loss"] for row in one], rtol=1e-3)


def test_tasks_that_were_not_trained_have_no_row():
    table = pd.DataFrame(study.train("into English", 4, 2, [0], unseen=20))
    assert len(table) == 8
    assert sorted(table.loc[table["task"] == "de", "p"]) == [0.15, 0.3, 0.5, 1.0]
    assert table.groupby("run")["p"].sum().round(9).eq(1).all()


def test_fractions_are_those_of_the_law():
    found = study.fractions(made_up(synergy=0.4))
    np.testing.assert_allclose(found["f"], found["p"] + 0.4 * found["p"] * (1 - found["p"]), rtol=1e-4)


def test_a_true_law_predicts_what_was_held_out():
    errors = study.held_out_errors(made_up(synergy=0.4, seeds=(0,)))
    assert errors["law"] < 1e-3 < errors["line"] < errors["nearest"]


def test_seed_noise_is_the_spread_between_seeds():
    assert study.seed_noise(made_up(noise=0.05, seeds=range(20))) == pytest.approx(0.05, rel=0.06)


@pytest.mark.parametrize(
    ("loss", "before", "inside"), [(0.5, 0.505, True), (0.5, 0.6, False), (2.4, 2.41, False)]
)
def test_regime_needs_translation_and_a_flat_end(loss, before, inside):
    table = made_up().assign(loss=loss, loss_before=before)
    told, gain = study.in_regime(table)
    assert told is inside
    assert gain == pytest.approx(1 - loss / before)


def test_runs_that_tell_nothing_still_give_figures():
    table = made_up().assign(loss=lambda d: 2.0 + 0.01 * np.sin(np.arange(len(d))))
    assert np.isfinite(study.fractions(table)["f"]).all()
