"""The workbench finds the constants that made-up runs were made with, and names what is wrong with others."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from broadsheet.lab import reading_runs, workbench
from broadsheet.methods.scaling import RunTable

TRUTH = {"A": 480.0, "B": 2100.0, "E": 1.8, "alpha": 0.35, "beta": 0.37}


def made_up(noise: float = 0.002) -> pd.DataFrame:
    N, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(1e9, 1e11, 6)))
    loss = TRUTH["E"] + TRUTH["A"] / N ** TRUTH["alpha"] + TRUTH["B"] / D ** TRUTH["beta"]
    return pd.DataFrame(
        {"N": N, "D": D, "loss": loss * np.exp(noise * np.random.default_rng(0).standard_normal(len(N)))}
    )


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "runs.csv"
    made_up().to_csv(path, index=False)
    return path


def test_a_fit_covers_the_truth_and_is_kept_as_it_was(csv, tmp_path):
    found = workbench.fit(
        reading_runs.read_runs(csv), workbench.make_law("chinchilla"), level=0.999, n_boot=400
    )
    for name, row in found.record["parameters"].items():
        assert row["lower"] <= TRUTH[name] <= row["upper"], name
    assert found.record["derived"] == ["C"]
    json.dumps(found.record, allow_nan=False)
    kept = tmp_path / "law.json"
    kept.write_text(json.dumps(found.law.to_dict()))
    again = reading_runs.read_law(kept)
    new = pd.DataFrame({"N": [5e9], "D": [1e12]})
    first, second = (
        workbench.predict(law, new, n_boot=50).record["predictions"][0] for law in (found.law, again)
    )
    assert first == pytest.approx(second)
    truth = TRUTH["E"] + TRUTH["A"] / 5e9 ** TRUTH["alpha"] + TRUTH["B"] / 1e12 ** TRUTH["beta"]
    assert first["lower"] < truth < first["upper"]


def test_a_plan_spends_the_budget_and_lies_at_the_lowest_loss():
    law = workbench.published_law()
    found = workbench.plan(law, [1e21])
    row = found.record["plan"][0]
    assert 6 * row["N"] * row["D"] == pytest.approx(1e21)
    assert not found.record["from_runs"]
    assert "published" in found.sheet.html()
    for factor in (0.9, 1.1):
        off = law.predict(N=row["N"] * factor, D=row["D"] / factor)[0]
        assert off > row["loss"]


def test_a_law_of_one_input_makes_no_plan():
    law = workbench.make_law("power").fit(made_up())
    with pytest.raises(ValueError, match="a plan needs a law of N and D"):
        workbench.plan(law, [1e21])


def test_laws_are_set_against_each_other(csv):
    found = workbench.compare(
        reading_runs.read_runs(csv), {name: workbench.make_law(name) for name in ("chinchilla", "power")}
    )
    assert next(iter(found.record["laws"])) == "chinchilla"  # it made the runs
    assert (
        found.record["laws"]["chinchilla"]["extrapolation_error"]
        < found.record["laws"]["power"]["extrapolation_error"]
    )


def test_a_mixture_is_found_within_its_bounds():
    rng = np.random.default_rng(0)
    mixtures = pd.DataFrame(rng.dirichlet([1, 1, 1], 80), columns=["code", "web", "law"])
    losses = (mixtures - [0.6, 0.3, 0.1]).pow(2).sum(axis=1).rename("web_loss").to_frame() + 3.0
    free = workbench.mix(mixtures, losses, regressor="quadratic").record["mixture"]
    assert free == pytest.approx({"code": 0.6, "web": 0.3, "law": 0.1}, abs=0.02)
    bound = workbench.mix(mixtures, losses, regressor="quadratic", bounds={"code": (0.0, 0.3)}).record[
        "mixture"
    ]
    assert bound["code"] <= 0.3 + 1e-9
    assert sum(bound.values()) == pytest.approx(1.0)


def test_a_pruning_schedule_is_the_authors_own():
    record = workbench.prune(72_200, 0.5).record
    assert (record["start_step"], record["end_step"]) == (12_500, 47_200)  # their 1B configuration
    assert record["compute_share_at_start"] == pytest.approx(0.25, abs=0.003)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("N,D,loss\n1e8,2e9\n1,2,3,4,5\n", "is not a CSV table: expected 3 fields in line 3, saw 5"),
        ("N,D,loss\n1e8,2e9,nan\n", r"column 'loss': must be finite, got nan in row 0"),
        ("N,D,loss\n1e8,many,3\n", r"column 'D': must hold numbers, got 'many' in row 0"),
        ("N,D,loss\n1e8,-2,3\n", r"column 'D': must be > 0, got -2 in row 0"),
        ("N;D;loss\n1e8;2e9;3\n", "separated by semicolons: export it with commas"),
        ("N\tD\tloss\n1e8\t2e9\t3\n", "separated by tabs"),
        ("N,D,loss,loss\n1e8,2e9,3,3\n", "column 'loss' stands twice"),
        ("N,D,loss\n1e8,2e9,\x00\n", "holds NUL bytes"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_is_named_with_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        reading_runs.read_runs(path)
    assert str(caught.value).startswith(str(path))


def test_a_law_that_was_tampered_with_is_refused(tmp_path):
    good = workbench.fit(RunTable(made_up()), workbench.make_law("chinchilla"), n_boot=20).law.to_dict()
    path = tmp_path / "law.json"
    tampered = {
        "format": {"format": 2},
        "parameters": {"law": "PowerLaw", "settings": {}},
        "contradicts": {"params": {**good["params"], "A": 1e308}},
        "loss must be one of": {"settings": {**good["settings"], "loss": "<b>"}},
        "delta must be": {"settings": {**good["settings"], "delta": "x"}},
        "fixed": {"settings": {**good["settings"], "fixed": 1e308}},
        "damaged": {"runs": {**good["runs"], "x": "<b>"}},
        "inputs": {"inputs": {}},
    }
    for message, change in tampered.items():
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(ValueError, match=message):
            workbench.plan(reading_runs.read_law(path), [1e21])
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"nested too deeply|is not JSON"):
        reading_runs.read_law(path)


def test_a_schedule_of_endless_events_is_refused_at_once():
    with pytest.raises(ValueError, match="raise frequency to 1000000000 or more"):
        workbench.prune(10**14, 0.5)


def test_another_file_is_no_law(tmp_path):
    path = tmp_path / "law.json"
    for text, message in (("{", "line 1: is not JSON"), ("[]", "is not a law"), ("{}", "lacks 'law'"), ('{"law": "X", "settings": {}, "theta": [], "params": {}}', "not known")):  # fmt: skip
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            reading_runs.read_law(path)


def test_an_unknown_law_and_a_stray_input_are_refused():
    with pytest.raises(ValueError, match="law must be one of chinchilla"):
        workbench.make_law("chinchila")
    with pytest.raises(ValueError, match="x belongs to the laws of one input"):
        workbench.make_law("chinchilla", "N")


def test_a_trajectory_is_fitted_kept_and_read_again(tmp_path):
    grid = np.meshgrid([1e6, 4e6, 1.6e7], np.geomspace(500, 20_000, 8), [5e4, 2e5, 8e5])
    frame = pd.DataFrame({name: values.ravel() for name, values in zip("NSB", grid, strict=True)})
    truth = {"N_c": 6.5e13, "alpha_N": 0.077, "S_c": 2100, "alpha_S": 0.76, "B_star": 2e8, "alpha_B": 0.21}
    from broadsheet.methods.scaling import LossTrajectory

    frame["loss"] = LossTrajectory.from_params(truth).predict(frame)
    path, kept = tmp_path / "runs.csv", tmp_path / "law.json"
    frame.to_csv(path, index=False)
    found = workbench.fit(reading_runs.read_runs(path), workbench.make_law("loss-trajectory"), n_boot=20)
    assert found.law.params_ == pytest.approx(truth, rel=1e-2)
    kept.write_text(json.dumps(found.law.to_dict()))
    row = workbench.predict(reading_runs.read_law(kept), frame.head(1)[["N", "S", "B"]], n_boot=20).record[
        "predictions"
    ][0]
    assert row["loss"] == pytest.approx(frame["loss"][0], rel=1e-3)
