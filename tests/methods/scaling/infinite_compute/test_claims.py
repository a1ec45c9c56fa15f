"""Every claim is measured at smoke scale; what replicates say is read off right."""

from __future__ import annotations

import math

import pytest

from broadsheet.claims import NeedsHardware, Verdict
from broadsheet.lab.judge import judge
from broadsheet.lab.run import local_run
from broadsheet.methods.scaling.infinite_compute import claims as module
from broadsheet.methods.scaling.infinite_compute import study

CLAIMS = [value for value in vars(module).values() if type(value).__name__ == "Claim"]
FIGURES = {
    "joint-limit": "published-limits",
    "more-epochs-overfit": "loss-by-epochs",
    "larger-is-better-again": "loss-by-width",
    "ensembles-go-below": "loss-by-members",
}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_claims_are_measured_at_smoke_scale(claim, tmp_path):
    measured = claim(local_run("smoke", out=tmp_path))
    assert math.isfinite(measured.value)
    verdict, _ = judge(claim, measured, "smoke")
    assert verdict is not Verdict.FAILED
    if claim.kind == "exact":
        assert verdict is Verdict.REPRODUCED
    if claim.id in FIGURES:
        assert (tmp_path / f"{FIGURES[claim.id]}.light.svg").is_file()


def test_a_theorem_and_the_main_effects_hold_at_smoke_scale():
    run = local_run("smoke")
    assert module.averaging_never_loses(run).value < 0
    assert module.regularised_beats_standard(run).value > 0
    assert module.ensembles_go_below(run).value > 0
    assert module.soup_fails(run).value > 0


def test_replicates_are_trained_once_and_differ_by_seed():
    plan = study.PLANS["smoke"]
    first = study.replicate(plan, 0)
    assert study.replicate(plan, 0) == first
    assert {"single", "members", "curves", "convexity", "sources", "soup", "students"} == set(first)
    # Both recipes get the same number of trainings at each width, but for the smoke scale's shorter grid.
    laptop = study.PLANS["laptop"]
    standard = len(study.RATES) * len(laptop.standard_epochs)
    assert standard == len(laptop.epochs) * len(laptop.decays) == 12


def test_the_scale_of_the_paper_needs_its_hardware():
    with pytest.raises(NeedsHardware, match="measure at laptop scale"):
        module.soup_fails(local_run("paper"))


def test_shifts_of_the_best_decay_are_halvings():
    def rows(alone, together):
        decays = (0.2, 0.4, 0.8, 1.6, 3.2)
        return [
            {
                "epochs": 16,
                "decay": decay,
                "alone": (math.log2(decay) - math.log2(alone)) ** 2,
                "together": 3 * (math.log2(decay) - math.log2(together)) ** 2 + 1,
            }
            for decay in decays
        ]

    assert study.decay_shift(rows(1.6, 0.8)) == pytest.approx(1.0)
    assert study.decay_shift(rows(1.3, 0.7)) == pytest.approx(math.log2(1.3 / 0.7))
    assert study.decay_shift(rows(0.4, 0.8)) == pytest.approx(-1.0)
    # An optimum beyond the grid counts as its edge.
    assert study.decay_shift(rows(20.0, 3.2)) == pytest.approx(0.0)


def test_settings_are_chosen_on_one_text_and_reported_on_another():
    def row(recipe, tune, test, decay):
        return {"recipe": recipe, "width": 8, "parameters": 9, "tune": tune, "test": test, "decay": decay}

    found = {
        "single": [
            row("standard", 3.0, 3.5, 0.1),
            row("standard", 3.1, 3.0, 0.1),
            row("regularised", 2.5, 2.9, 1.6),
            row("regularised", 2.6, 2.1, 3.2),
            row("figure", 1.0, 1.0, 0.1),
        ]
    }
    table = study.by_width(found)
    assert table.loc[0, ["standard", "regularised", "decay"]].tolist() == [3.5, 2.9, 1.6]


def test_only_verified_figures_are_published():
    stated = {claim.id: claim.published for claim in CLAIMS if claim.published is not None}
    assert set(stated.values()) <= {3.17, 2.29, 5.17, 83.0, 30.0, 0.09, 16.0}
