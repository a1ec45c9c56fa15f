"""The scaling commands: what they print, what they write, how they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from broadsheet.cli import scaling
from broadsheet.lab import workbench


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    N, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5)))
    loss = 1.8 + 480 / N**0.35 + 2100 / D**0.37
    pd.DataFrame({"params": N / 1e6, "D": D, "loss": loss}).to_csv("runs.csv", index=False)
    Path("none.csv").write_text("N,D\n")
    return ["runs.csv", "--column", "N=params", "--unit", "N=millions"]


def test_the_names_of_laws_are_one_list():
    from broadsheet.site.pages.views.scaling import _SINGLE, LAWS

    assert scaling._LAWS == tuple(workbench.LAWS) == tuple(dict(LAWS))
    assert workbench._SINGLE == _SINGLE


def test_fit_plan_and_predict_go_hand_in_hand(runs, broadsheet):
    done = broadsheet("scaling", "fit", *runs, "--keep", "law.json", "--resamples", "50", "--json")
    found = json.loads(done.out)
    assert found["parameters"]["alpha"]["estimate"] == pytest.approx(0.35, abs=1e-4)
    assert found["report"].endswith("fit.html")
    plan = broadsheet("scaling", "plan", "--fitted", "law.json", "--flops", "1e21", "-o", "p.html", "--json")
    row = json.loads(plan.out)["plan"][0]
    ahead = broadsheet(
        "scaling", "predict", "--fitted", "law.json", "--at", f"N={row['N']},D={row['D']}", "--json"
    )
    assert json.loads(ahead.out)["predictions"][0]["loss"] == pytest.approx(row["loss"])


def test_a_pipe_gets_plain_lines(runs, broadsheet):
    done = broadsheet("scaling", "fit", *runs, "--resamples", "20")
    assert done.out.splitlines()[0] == "parameter\testimate\tlower\tupper"
    assert "Wrote fit.html" in done.out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["fit", "nowhere.csv"], 2, "does not exist"),
        (["fit", "runs.csv"], 4, "column 'N' is not in the table"),
        (["fit", "runs.csv", "--column", "N"], 2, "must be NAME=VALUE"),
        (["fit", "runs.csv", "--column", "N=params", "-o", "fit.pdf"], 2, "must end in .html"),
        (["fit", "runs.csv", "--column", "N=params", "--column", "N=D"], 2, "N is given twice"),
        (["predict", "runs.csv"], 2, "say what to predict"),
        (["predict", "--at", "N=1"], 2, "give RUNS or --fitted"),
        (["predict", "runs.csv", "--at", "N=big"], 2, "takes numbers"),
        (["prune-schedule", "--steps", "1000", "--sparsity", "1.5"], 4, "sparsity must lie in"),
        (["plan", "--flops=-1"], 4, "C must be FLOPs > 0"),
        (["fit", "runs.csv"], 4, "--column N=HEAD"),
        (["fit", "runs.csv", "--column", "N=params", "--keep", "runs.csv"], 2, "must be different files"),
        (
            ["fit", "runs.csv", "--column", "N=params", "-o", "x.html", "--keep", "x.html"],
            2,
            "must be different files",
        ),
        (["fit", "runs.csv", "--column", "N=params", "-o", "nodir/x.html"], 2, "nodir does not exist"),
        (["predict", "runs.csv", "--column", "N=params", "--new", "none.csv"], 4, "none.csv: holds no runs"),
        (
            ["prune-schedule", "--steps", "999999999", "--frequency", "1", "--sparsity", "0.5"],
            4,
            "raise --frequency",
        ),
    ],
)
def test_bad_input_gets_one_message_and_its_exit_code(runs, broadsheet, words, code, message):
    done = broadsheet("scaling", *words)
    assert done.code == code
    assert message in done.err
    assert "Traceback" not in done.err
