"""Laws as estimators: what they recover, what leaves them unmoved, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from broadsheet.methods.scaling import (
    Chinchilla,
    KaplanSteps,
    Law,
    NotIdentified,
    PowerLaw,
    Reciprocal,
    RunTable,
    ScalingWarning,
)

from .conftest import TRUTH, simulated


def test_noise_free_tables_give_the_truth_back():
    law = Chinchilla().fit(simulated(0, noise=0.0))
    for name, value in TRUTH.items():
        assert law.params_[name] == pytest.approx(value, rel=1e-6)
    assert law.objective_ < 1e-18
    assert law.converged_


def test_noisy_tables_come_close_and_starts_agree(law):
    assert law.params_["E"] == pytest.approx(TRUTH["E"], abs=0.05)
    assert law.params_["alpha"] == pytest.approx(TRUTH["alpha"], abs=0.04)
    assert law.params_["beta"] == pytest.approx(TRUTH["beta"], abs=0.04)
    assert law.n_polished_ == 16
    assert law.n_agree_ >= 12


# ---- what must not matter


@settings(max_examples=8)
@given(
    size=st.floats(1e-9, 1e6),
    tokens=st.floats(1e-9, 1e6),
    loss=st.sampled_from(["huber", "mse"]),
    space=st.sampled_from(["log", "linear"]),
)
def test_units_of_size_and_tokens_do_not_matter(size, tokens, loss, space):
    runs = simulated(2, sizes=6, tokens=6)
    here = Chinchilla(loss=loss, space=space).fit(runs)
    there = Chinchilla(loss=loss, space=space).fit(runs.assign(N=runs["N"] * size, D=runs["D"] * tokens))
    for name in ("E", "alpha", "beta"):
        assert there.params_[name] == pytest.approx(here.params_[name], rel=1e-6)
    assert there.params_["A"] == pytest.approx(here.params_["A"] * size ** here.params_["alpha"], rel=1e-4)
    np.testing.assert_allclose(
        there.predict(N=1e10 * size, D=1e12 * tokens), here.predict(N=1e10, D=1e12), rtol=1e-6
    )


@settings(max_examples=6)
@given(seed=st.integers(0, 1000), times=st.integers(1, 3))
def test_order_and_repetition_of_rows_do_not_matter(seed, times):
    runs = simulated(3, sizes=6, tokens=6)
    shuffled = pd.concat([runs] * times).sample(frac=1.0, random_state=seed)
    here, there = Chinchilla().fit(runs), Chinchilla().fit(shuffled)
    for name, value in here.params_.items():
        assert there.params_[name] == pytest.approx(value, rel=1e-6)
    assert there.objective_ == pytest.approx(times * here.objective_, rel=1e-9)


def test_weights_count_rows(runs):
    counts = np.random.default_rng(0).integers(0, 3, len(runs))
    repeated = Chinchilla().fit(runs.loc[np.repeat(runs.index, counts)])
    weighted = Chinchilla().fit(runs.assign(w=counts), weights="w")
    by_array = Chinchilla().fit(runs, weights=counts)
    for name, value in repeated.params_.items():
        assert weighted.params_[name] == pytest.approx(value, rel=1e-6)
    assert weighted.params_ == by_array.params_


def test_one_wild_run_hardly_moves_a_robust_fit(runs):
    spoilt = runs.copy()
    spoilt.loc[24, "loss"] *= 1.5
    robust, squares = (
        abs(Chinchilla(loss=name).fit(spoilt).params_["E"] - TRUTH["E"]) for name in ("huber", "mse")
    )
    assert robust < 0.05 < squares


# ---- how a table is read


def test_ways_to_hand_over_runs_are_one(runs, law):
    renamed = runs.rename(columns={"N": "Model Size", "loss": "eval"})
    columns = {"N": "Model Size", "loss": "eval"}
    by_name = Chinchilla().fit(renamed, columns=columns)
    assert by_name.params_ == law.params_
    assert Chinchilla().fit(RunTable(runs)).params_ == law.params_
    assert Chinchilla().fit(runs[["N", "D"]], runs["loss"]).params_ == law.params_
    by_compute = runs.assign(C=6 * runs["N"] * runs["D"]).drop(columns="D")
    assert Chinchilla().fit(by_compute).params_["beta"] == pytest.approx(law.params_["beta"], rel=1e-6)
    # New runs may bear the names of the fitted table, or the law's own.
    np.testing.assert_array_equal(by_name.predict(renamed), law.predict(runs))
    np.testing.assert_array_equal(by_name.predict(runs), law.predict(runs))


def test_losses_in_bits_and_perplexity_are_read_as_nats(runs, law):
    for unit, values in (("bits", runs["loss"] / np.log(2)), ("perplexity", np.exp(runs["loss"]))):
        other = Chinchilla().fit(runs.assign(loss=values), loss_unit=unit)
        assert other.params_["E"] == pytest.approx(law.params_["E"], rel=1e-9)


def test_prediction_takes_a_table_names_or_an_array(law):
    new = pd.DataFrame({"N": [1e9, 2e9], "D": [2e10, 4e10]}, index=["a", "b"])
    values = law.predict(new)
    assert values.shape == (2,)
    np.testing.assert_array_equal(law.predict(N=[1e9, 2e9], D=[2e10, 4e10]), values)
    np.testing.assert_allclose(law.predict(N=1e9, C=1.2e20), values[:1], rtol=1e-12)
    E, A, B, alpha, beta = (law.params_[n] for n in ("E", "A", "B", "alpha", "beta"))
    np.testing.assert_allclose(values, E + A / new["N"] ** alpha + B / new["D"] ** beta, rtol=1e-12)
    framed = law.predict(new, interval=0.9, n_boot=40)
    assert framed.index.tolist() == ["a", "b"]
    assert (framed["lower"] < framed["loss"]).all()
    assert (framed["loss"] < framed["upper"]).all()
    power = PowerLaw.from_params({"A": 2.0, "alpha": 0.5, "E": 1.0})
    np.testing.assert_allclose(power.predict([4.0, 16.0]), [2.0, 1.5])


# ---- settings


def test_held_parameters_stay(runs):
    held = Chinchilla(fixed={"E": 1.7, "alpha": 0.34}).fit(runs)
    assert held.params_["E"] == pytest.approx(1.7, rel=1e-14)
    assert held.params_["alpha"] == 0.34
    interval = held.confint(n_boot=30)
    assert interval.loc["E", "lower"] == pytest.approx(interval.loc["E", "upper"], rel=1e-14)
    assert interval.loc["beta", "lower"] < interval.loc["beta", "upper"]


def test_the_grid_of_hoffmann_leads_to_the_same_optimum(runs, law):
    grid = {
        "A": np.exp(np.arange(0, 30, 5.0)),
        "B": np.exp(np.arange(0, 30, 5.0)),
        "E": np.exp(np.arange(-1, 1.5, 0.5)),
        "alpha": np.arange(0, 2.5, 0.5),
        "beta": np.arange(0, 2.5, 0.5),
    }
    other = Chinchilla(grid=grid).fit(runs)
    assert other.objective_ == pytest.approx(law.objective_, rel=1e-9)


def test_laws_are_estimators_of_scikit_learn(law):
    copy = clone(law)
    assert copy.get_params() == law.get_params()
    assert not hasattr(copy, "theta_")
    assert PowerLaw(offset=False).set_params(x="D").x == "D"
    assert "delta=0.01" in repr(Chinchilla(delta=0.01))


def test_a_law_of_ones_own_needs_four_things():
    from broadsheet.methods.scaling.law import Parameter

    class Saturating(Law):
        inputs = ("x",)
        target = "score"
        parameters = (Parameter("top"), Parameter("half"))

        def _log_predict(self, theta, x):
            return theta[:, 0, None] + np.log(x["x"]) - np.log(x["x"] + np.exp(theta[:, 1, None]))

        def _log_predict_jacobian(self, theta, x):
            half = np.exp(theta[:, 1, None])
            share = np.broadcast_to(-half / (x["x"] + half), (len(theta), len(x["x"])))
            return self._log_predict(theta, x), np.stack([np.ones_like(share), share], axis=-1)

        def _starts(self, x, y):
            return np.array([[np.log(y.max()), np.log(v)] for v in np.quantile(x["x"], [0.2, 0.5, 0.8])])

    x = np.geomspace(1.0, 100.0, 12)
    frame = pd.DataFrame({"x": x, "score": 40.0 * x / (x + 7.0)})
    made = Saturating(loss="mse").fit(frame)
    assert made.params_ == pytest.approx({"top": 40.0, "half": 7.0}, rel=1e-6)
    assert made.predict([7.0]) == pytest.approx([20.0], rel=1e-6)
    record = made.to_dict()
    assert Law.from_dict(record).params_ == made.params_


# ---- what is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"N": -1.0}, r"column 'N': must be > 0, got -1 in row 3"),
        ({"D": np.inf}, r"column 'D': must be finite, got inf in row 3"),
        ({"loss": 0.0}, r"column 'loss': must be > 0, got 0 in row 3"),
        ({"loss": np.nan}, r"column 'loss': must be finite, got nan in row 3"),
    ],
)
def test_bad_cells_are_refused_with_column_and_row(runs, change, message):
    spoilt = runs.copy()
    for column, value in change.items():
        spoilt.loc[3, column] = value
    with pytest.raises(ValueError, match=message):
        Chinchilla().fit(spoilt)


def test_bad_tables_are_refused(runs):
    for frame, kwargs, message in (
        (runs.drop(columns="N"), {}, "column 'N' is not in the table; it has 'D', 'loss', 'recipe'"),
        (runs.iloc[:6], {}, "Chinchilla has 5 free parameters and needs at least 7 rows, got 6"),
        (runs.assign(loss=runs["loss"] * 10), {}, "looks like perplexity.*loss_unit='perplexity'"),
        (runs, {"columns": {"N": "D"}}, "column 'N' stands twice in the table after renaming"),
        (runs, {"weights": "w"}, "column 'w' is not in the table"),
        (runs, {"weights": [1.0]}, r"weights must have shape \(49,\), one per row, got \(1,\)"),
        (runs, {"weights": np.zeros(49)}, "at least one weight must be > 0"),
        (runs, {"weights": np.r_[-1.0, np.ones(48)]}, "weights must be finite and >= 0, got -1 in row 0"),
        (runs, {"y": [1.0]}, r"y must have shape \(49,\)"),
        (runs, {"spare_rows": -1}, "spare_rows must be a whole number >= 0, got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            Chinchilla().fit(frame, **kwargs)
    with pytest.raises(TypeError, match="must be a pandas DataFrame or a RunTable, got dict"):
        Chinchilla().fit({"N": [1.0]})


def test_bad_settings_are_refused(runs):
    for wrong, message in (
        ({"loss": "squares"}, "loss must be one of huber, mse, mae, asymmetric, got 'squares'"),
        ({"space": "logit"}, "space must be one of log, linear, got 'logit'"),
        ({"delta": 0.0}, "delta must be a number > 0, got 0.0"),
        (
            {"fixed": {"gamma": 1.0}},
            "fixed names 'gamma', which is no parameter; there are A, B, E, alpha, beta",
        ),
        ({"fixed": {"E": -1.0}}, "parameter 'E' must be > 0, got -1"),
        ({"grid": {"A": [1.0]}}, "grid must name every free parameter; B, E, alpha, beta are missing"),
    ):
        with pytest.raises(ValueError, match=message):
            Chinchilla(**wrong).fit(runs)


def test_predictions_refuse_bad_input(law):
    for call, message in (
        (
            {"new": pd.DataFrame({"N": [1e9, 0.0], "D": [1e10, 1e10]})},
            "column 'N': must be > 0, got 0 in row 1",
        ),
        ({"new": pd.DataFrame({"D": [1e10]})}, "column 'N' is not in the table"),
        ({"N": 1e9, "D": 1e10, "size": 3}, "'size' is no input of Chinchilla; it reads N, D"),
        ({}, "give a table, or the inputs by name"),
        (
            {"N": [1e9, 1e9, 1e9], "D": [1e10, 1e10]},
            r"D must be one value or 3, one per row, got shape \(2,\)",
        ),
        ({"new": [1e9]}, "must be a table with the columns N, D"),
        ({"N": 1e9, "D": 1e10, "interval": 1.0}, "interval must be a number in"),
        (
            {"N": 1e9, "D": 1e10, "interval": 0.9, "n_boot": 19},
            "n_boot must be a whole number of at least 20, got 19",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            law.predict(**call)


def test_nothing_works_before_a_fit():
    law = Chinchilla()
    for call in (
        lambda: law.predict(N=1e9, D=1e10),
        lambda: law.confint(),
        lambda: law.optimal(C=1e20),
        lambda: law.to_dict(),
        lambda: law.plot(),
        lambda: law.report(),
        lambda: law.solve("D", target=2.0, N=1e9),
    ):
        with pytest.raises(NotFittedError):
            call()


def test_known_parameters_predict_but_give_no_interval():
    law = Chinchilla.from_params(TRUTH)
    assert law.predict(N=1e9, D=1e10)[0] == pytest.approx(TRUTH["E"] + 482 / 1e9**0.348 + 2085 / 1e10**0.366)
    with pytest.raises(ValueError, match="made of known parameters or without its runs"):
        law.predict(N=1e9, D=1e10, interval=0.9)
    with pytest.raises(ValueError, match="params must name A, B, E, alpha, beta; 'E' does not fit"):
        Chinchilla.from_params({k: v for k, v in TRUTH.items() if k != "E"})
    with pytest.raises(ValueError, match="parameter 'A' must be > 0, got -1"):
        Chinchilla.from_params({**TRUTH, "A": -1.0})


# ---- what a table cannot tell


def test_inputs_that_never_change_are_named():
    runs = simulated(0)
    with pytest.raises(
        NotIdentified, match=r"column 'N' has one distinct value, 1e\+09: A, alpha cannot be identified"
    ):
        Chinchilla().fit(runs.assign(N=1e9))
    with pytest.raises(NotIdentified, match=r"column 'D' has one distinct value, .*: B, beta"):
        Chinchilla().fit(runs.assign(D=2e10))
    # With the exponent held the weight still cannot be told; with the whole term held all is well.
    with pytest.raises(NotIdentified, match=": A cannot be identified"):
        Chinchilla(fixed={"alpha": 0.348}).fit(runs.assign(N=1e9))


def test_parameters_that_can_be_traded_are_named():
    N, D = (a.ravel() for a in np.meshgrid([1e8, 1e9], np.geomspace(1e9, 1e11, 12)))
    runs = pd.DataFrame({"N": N, "D": D, "loss": 1.82 + 482 / N**0.348 + 2085 / D**0.366})
    with pytest.raises(NotIdentified, match="A, E, alpha cannot be told apart"):
        Chinchilla().fit(runs)
    x = np.repeat([1e6, 1e7], 4)
    with pytest.raises(NotIdentified, match="A, alpha, E cannot be told apart"):
        PowerLaw().fit(pd.DataFrame({"N": x, "loss": np.r_[3, 3.01, 2.99, 3.02, 2.5, 2.51, 2.52, 2.49]}))


def test_parameters_that_the_noise_leaves_open_are_named():
    N = np.geomspace(5e7, 5e9, 24)
    truth = 1.82 + 482 / N**0.348 + 2085 / (20 * N) ** 0.366
    runs = pd.DataFrame({"N": N, "D": 20 * N, "loss": truth * np.exp(0.005 * np.sin(np.arange(24.0) ** 2))})
    with pytest.raises(
        NotIdentified, match=r"cannot be identified: the noise of this table|cannot be told apart"
    ):
        Chinchilla().fit(runs)


def test_open_parameters_may_be_waved_through_for_predictions():
    N = np.geomspace(5e7, 5e9, 24)
    truth = 1.82 + 482 / N**0.348 + 2085 / (1e20 / 6 / N) ** 0.366
    noise = 0.005 * np.random.default_rng(0).standard_normal(24)
    runs = pd.DataFrame({"N": N, "D": 1e20 / 6 / N, "loss": truth * np.exp(noise)})
    with pytest.raises(NotIdentified, match="E cannot be identified: the noise of this table"):
        Chinchilla().fit(runs)
    with pytest.warns(ScalingWarning) as caught:
        law = Chinchilla().fit(runs, open_parameters="warn")
    assert any("E cannot be identified: the noise of this table" in str(w.message) for w in caught)
    np.testing.assert_allclose(law.predict(runs), truth, rtol=0.01)
    with pytest.raises(ValueError, match="open_parameters must be 'refuse' or 'warn', got 'hope'"):
        Chinchilla().fit(runs, open_parameters="hope")


def test_a_constant_target_identifies_nothing():
    runs = pd.DataFrame({"N": np.geomspace(1e6, 1e9, 12), "loss": np.full(12, 2.0)})
    with pytest.raises(NotIdentified, match="cannot be"):
        PowerLaw().fit(runs)


def test_a_floor_that_runs_to_zero_is_told():
    x = np.geomspace(1e6, 1e9, 12)
    with pytest.warns(ScalingWarning) as caught:
        law = PowerLaw().fit(pd.DataFrame({"N": x, "loss": 20 * x**-0.1}))
    assert any("the irreducible term runs to 0" in str(w.message) for w in caught)
    assert law.params_["E"] > 0  # never negative, never silently 0


def test_a_target_that_rises_is_told():
    x = np.geomspace(1.0, 1e3, 14)
    loss = 2.0 * x**0.05 * np.exp(0.01 * np.cos(np.arange(14.0)))
    with pytest.warns(ScalingWarning, match="the exponent alpha is -0.0.*the target does not fall with N"):
        PowerLaw(offset=False).fit(pd.DataFrame({"N": x, "loss": loss}))


def test_a_lonely_optimum_is_told(runs):
    far = {"A": [1.0, 482.0], "B": [2085.0], "E": [1.82], "alpha": [0.348], "beta": [0.366]}
    law = Chinchilla(grid=far)
    law.fit(runs)
    assert law.n_agree_ == 2
    with pytest.warns(ScalingWarning, match="only 1 of 2 polished starts reached the best objective"):
        _ = Lonely(grid=far).fit(runs)


class Lonely(Chinchilla):
    """A law whose second start goes nowhere."""

    def _log_predict_jacobian(self, theta, x):
        predicted, jacobian = super()._log_predict_jacobian(theta, x)
        lost = np.abs(theta[:, 0]) < 1e-12
        predicted[lost], jacobian[lost] = 0.5, 0.0
        return predicted, jacobian


def test_spare_rows_may_be_waived_but_not_for_intervals():
    frame = pd.DataFrame({"N": [0.15, 0.3, 0.6, 1.4]})
    frame["loss"] = 3.43 + 0.05 / frame["N"] ** 1.02
    law = PowerLaw(loss="mse", space="linear").fit(frame, spare_rows=1)
    assert law.params_["E"] == pytest.approx(3.43, rel=1e-6)
    through = Reciprocal(loss="mse").fit(pd.DataFrame({"K": [1, 2], "loss": [3.0, 2.5]}), spare_rows=0)
    assert through.predict([1, 2]) == pytest.approx([3.0, 2.5])
    with pytest.raises(ValueError, match="2 rows for 2 free parameters leave nothing to judge the fit by"):
        through.confint()


def test_kaplan_steps_come_back():
    N, S = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e3, 1e5, 6)))
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(30))
    runs = pd.DataFrame({"N": N, "S": S, "loss": ((6.5e13 / N) ** 0.077 + (2.1e3 / S) ** 0.76) * noise})
    law = KaplanSteps().fit(runs)
    assert law.params_["alpha_N"] == pytest.approx(0.077, abs=0.005)
    assert law.params_["alpha_S"] == pytest.approx(0.76, abs=0.08)


def test_the_names_of_a_law_of_known_parameters_can_be_listed():
    known = Chinchilla.from_params({"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28})
    assert "predict" in dir(known)  # what tab completion calls
    with pytest.raises(ValueError, match="need runs"):
        known.confint()
