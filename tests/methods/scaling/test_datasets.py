"""What the registry declares for the family: every table has its source, size and shape."""

from __future__ import annotations

import pandas as pd
import pytest

from broadsheet import data
from broadsheet.methods.scaling import datasets

from .conftest import registered

SHAPES = {
    "load_chinchilla_package_runs": ("chinchilla-pkg-llm-runs", 234),
    "load_chinchilla_points": ("chinchilla-svg-extracted", 245),
    "load_loss_to_loss_extrapolation": ("loss-to-loss-extrapolation", 6),
    "load_loss_to_loss_fits": ("loss-to-loss-fits", 276),
    "load_loss_to_loss_sweep": ("loss-to-loss-sweep", 529),
    "load_observational_emergent": ("obs-base-llm-emergent-capability-eval", 84),
    "load_observational_leaderboard": ("obs-base-llm-leaderboard-v2-eval", 72),
    "load_observational_scores": ("obs-base-llm-benchmark-eval", 148),
    "load_openathena_isoflops": ("openathena-isoflops", 947),
    "load_porian_isoflop_points": ("porian-isoflop-points", 1748),
    "load_porian_optimal_pairs": ("porian-optimal-pairs", 177),
    "load_step_law_runs": ("steplaw-dense-lr-bs-loss", 1911),
}


@pytest.mark.parametrize("loader", SHAPES)
def test_tables_have_the_documented_number_of_rows(loader):
    name, rows = SHAPES[loader]
    assert len(getattr(datasets, loader)(registered(name))) == rows


def test_every_loader_is_tested_or_needs_no_file():
    assert set(datasets.__all__) == {*SHAPES, "load_regmix", "load_release_dates"}


def test_mixtures_and_losses_of_regmix_lie_row_by_row():
    registered("regmix-train-mixture-1m")
    mix, loss = datasets.load_regmix()
    assert (mix.shape, loss.shape) == ((512, 17), (512, 13))
    assert mix.index.equals(loss.index)
    assert set(loss.columns) <= set(mix.columns)
    assert (mix.sum(axis=1) - 1).abs().max() < 0.006
    with pytest.raises(ValueError, match=r"split and scale must be one of .*, got \('train', '60m'\)"):
        datasets.load_regmix("train", "60m")


def test_outliers_are_the_highest_losses_and_the_lowest_ratios():
    registered("chinchilla-svg-extracted")
    points = datasets.load_chinchilla_points().df
    kept = datasets.load_chinchilla_points(outliers=False).df
    out = points.index.difference(kept.index)
    assert len(kept) == 240
    assert (
        set(out)
        == set(points["loss"].nlargest(5).index)
        == set((points["D"] / points["N"]).nsmallest(5).index)
    )


def test_release_dates_belong_to_models_of_the_scores():
    dates = datasets.load_release_dates()
    assert dates["Model"].is_unique
    assert dates["Release Date"].between(pd.Timestamp("2023-02-24"), pd.Timestamp("2024-08-01")).all()
    scores = datasets.load_observational_scores(registered("obs-base-llm-benchmark-eval"))
    assert set(dates["Model"]) <= set(scores["Model"])


def test_declarations_name_commit_licence_and_citation():
    names = {name for name, _ in SHAPES.values()}
    for dataset in data.datasets():
        if dataset.name in names:
            assert len(dataset.url.split("/")) > 5
            assert dataset.licence
            assert dataset.citation
