"""Tables of runs: what is derived, what is split, and what is refused with column and row."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pandas as pd
import pytest

from broadsheet.methods.scaling import RunTable, ScalingWarning


def table(**columns):
    base = {"N": [1e8, 2e8, 4e8], "D": [2e9, 2e9, 4e9], "loss": [3.4, 3.2, 3.0]}
    return pd.DataFrame({**base, **columns})


def test_the_third_of_size_tokens_and_compute_is_derived():
    frame = table()
    whole = RunTable(frame)
    assert whole.derived == ("C",)
    np.testing.assert_allclose(whole.df["C"], 6 * frame["N"] * frame["D"])
    for missing in ("N", "D"):
        again = RunTable(whole.df.drop(columns=missing))
        assert again.derived == (missing,)
        np.testing.assert_allclose(again.df[missing], frame[missing])
    assert RunTable(whole.df).derived == ()


def test_the_given_table_is_left_as_it_was():
    frame = table()
    before = frame.copy()
    RunTable(frame, units={"D": 2.0})
    pd.testing.assert_frame_equal(frame, before)


def test_columns_units_and_other_columns():
    frame = pd.DataFrame({"Model Size": [0.1, 0.2], "tok": [2, 4], "eval": [3.4, 3.2], "recipe": ["a", "b"]})
    made = RunTable(
        frame,
        columns={"N": "Model Size", "D": "tok", "loss": "eval"},
        units={"N": "billions", "D": 1e9},
        N_convention="non-embedding",
    )
    assert made.df["N"].tolist() == [1e8, 2e8]
    assert made.df["D"].tolist() == [2e9, 4e9]
    assert made.df["recipe"].tolist() == ["a", "b"]
    assert made.N_convention == "non-embedding"
    assert repr(made) == "<RunTable: 2 runs, columns N, D, C, loss, derived C>"


def test_bits_and_perplexities_become_nats():
    nats = np.array([3.4, 3.2, 3.0])
    for unit, values in (("bits", nats / np.log(2)), ("perplexity", np.exp(nats))):
        np.testing.assert_allclose(RunTable(table(loss=values), loss_unit=unit).df["loss"], nats)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"N": [1e8, -2e8, 4e8]}, r"column 'N': must be > 0, got -2e\+08 in row 1"),
        ({"N": [1e8, 0.0, 0.0]}, r"column 'N': must be > 0, got 0 in row 1 \(and 1 more rows\)"),
        ({"D": [2e9, np.nan, 4e9]}, r"column 'D': must be finite, got nan in row 1"),
        ({"loss": [3.4, np.inf, 3.0]}, r"column 'loss': must be finite, got inf in row 1"),
        ({"loss": [3.4, "many", 3.0]}, r"column 'loss': must hold numbers, got 'many' in row 1"),
        (
            {"loss": [30.0, 25.0, 22.0]},
            r"its median is 25, which looks like perplexity.*loss_unit='perplexity'",
        ),
        ({"loss_std": [0.1, -0.1, 0.1]}, r"column 'loss_std': must be >= 0, got -0.1 in row 1"),
        (
            {"C": [1.2e18, 2.4e18, 9.6e16]},
            r"column 'C': must be within 10 times of 6 N D, is off by, got 0.01 in row 2",
        ),
    ],
)
def test_bad_cells_are_refused_with_column_and_row(columns, message):
    with pytest.raises(ValueError, match=message):
        RunTable(table(**columns))


def test_labels_of_rows_are_those_of_the_index():
    frame = table(N=[1e8, -1.0, 4e8])
    frame.index = ["run-a", "run-b", "run-c"]
    with pytest.raises(ValueError, match="in row 'run-b'"):
        RunTable(frame)


def test_compute_that_is_off_by_more_than_two_is_told():
    frame = table()
    frame["C"] = 6 * frame["N"] * frame["D"] * [1.0, 3.0, 1.0]
    with pytest.warns(
        ScalingWarning, match=r"1 rows are more than 2 times off 6 N D, the first is row 1 .* = 3;"
    ):
        RunTable(frame)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"columns": {"N": "size"}},
            "'N' is said to stand in 'size', which the table has not; it has 'N', 'D'",
        ),
        ({"columns": {"D": "loss", "C": "loss"}}, "'loss' is given for both 'D' and 'C'"),
        ({"columns": {"N": "D"}}, "column 'N' stands twice in the table after renaming"),
        ({"units": {"N": "dozens"}}, r"units\['N'\] must be a factor or one of 'thousands'"),
        ({"units": {"N": -1.0}}, r"units\['N'\] must be > 0, got -1.0"),
        ({"loss_unit": "dits"}, "loss_unit must be 'nats', 'bits' or 'perplexity', got 'dits'"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RunTable(table(), **settings)


def test_no_table_and_an_empty_one():
    with pytest.raises(TypeError, match="must be a pandas DataFrame or a RunTable, got list"):
        RunTable([1, 2])
    with pytest.raises(ValueError, match="at least one run, got none"):
        RunTable(table().iloc[:0])


def test_holdout_keeps_large_runs_apart():
    made = RunTable(table(N=[1e8, 4e8, 4e8]))
    small, large = made.holdout(by="N", largest=1)
    assert small.df["N"].max() < large.df["N"].min()
    assert [len(small), len(large)] == [1, 2]
    small, large = made.holdout(by="C", above=5e18)
    assert large.df.index.tolist() == [2]
    for wrong, message in (
        ({"largest": 2}, "largest=2 holds out everything: column 'N' has 2 distinct values"),
        ({"largest": 0}, "largest must be at least 1, got 0"),
        ({"above": 1e12}, "leaves one side empty: column 'N' runs from 1e[+]08 to 4e[+]08"),
        ({"above": 1e8, "largest": 1}, "give largest= or above=, not both"),
        ({"by": "size"}, "column 'size' is not in the table"),
    ):
        with pytest.raises(ValueError, match=message):
            made.holdout(**wrong)


def test_csv_round_trip(tmp_path):
    path = tmp_path / "runs.csv"
    table().to_csv(path, index=False)
    pd.testing.assert_frame_equal(RunTable.read_csv(path).df, RunTable(table()).df)


def test_wandb_table_of_runs_leaves_out_what_is_not_finished():
    text = (
        "Name,State,params,tokens,eval/loss\n"
        "a,finished,1e8,2e9,3.4\nb,crashed,2e8,2e9,3.9\nc,finished,2e8,2e9,\nd,finished,4e8,4e9,3.0\n"
    )
    columns = {"N": "params", "D": "tokens", "loss": "eval/loss"}
    with pytest.warns(ScalingWarning, match="2 of 4 exported runs are left out"):
        made = RunTable.from_wandb_export(StringIO(text), columns=columns)
    assert made.df["group"].tolist() == ["a", "d"]
    with pytest.raises(ValueError, match="column 'loss' is not in the export; it has 'group'"):
        RunTable.from_wandb_export(StringIO(text))
    with pytest.raises(ValueError, match="none of the 1 exported runs is finished"):
        RunTable.from_wandb_export(StringIO("Name,State,loss\na,crashed,3.0\n"))


def test_wandb_chart_becomes_one_row_per_run_and_step():
    text = '"Step","wide - eval - loss","wide - eval - loss__MIN","slim - eval - loss"\n0,9,9,9\n10,4.1,4,4.4\n20,3.8,3.7,\n'
    made = RunTable.from_wandb_export(StringIO(text))
    assert made.df[["group", "S", "loss"]].to_numpy().tolist() == [
        ["wide - eval", 10.0, 4.1],
        ["wide - eval", 20.0, 3.8],
        ["slim - eval", 10.0, 4.4],
    ]
