"""The joint law: recovery, algebra, what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from broadsheet.methods.scaling import Law, MixtureScaling, NotIdentified, RunTable, ScalingWarning
from broadsheet.methods.scaling.multilingual_nmt_scaling.simulation import TRUTH, make_table

from .conftest import WEIGHTS

P = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 1.0])


@pytest.mark.parametrize("form", ["free", "power"])
def test_the_truth_is_recovered(form, free, power):
    law = {"free": free, "power": power}[form]
    for task, (beta, alpha, floor, c1) in TRUTH.items():
        first = law.params_[f"beta[{task}, 1]" if form == "free" else f"beta[{task}]"]
        found = [first, law.params_[f"alpha[{task}]"], law.params_[f"L_inf[{task}]"]]
        np.testing.assert_allclose(found, [beta, alpha, floor], rtol=1e-5)
        np.testing.assert_allclose(law.effective_fraction(task, P), P + c1 * P**0.5 * (1 - P), rtol=1e-5)
    if form == "power":
        shape = [law.params_[f"c{i}[zh]"] for i in (1, 2, 3)]
        np.testing.assert_allclose(shape, [0.6, 0.5, 1.0], rtol=1e-4)


def test_the_linear_form_is_recovered():
    p, N = (a.ravel() for a in np.meshgrid(WEIGHTS, np.geomspace(1e7, 1e9, 4)))
    table = pd.DataFrame({"task": "de", "p": p, "N": N, "loss": 1.3 + 70 * ((p + 0.2 * (1 - p)) * N) ** -0.3})
    law = MixtureScaling(f="linear", loss="mse").fit(table)
    assert law.params_["c1[de]"] == pytest.approx(0.2, abs=1e-6)
    assert law.effective_fraction("de", 1e-9) == pytest.approx(0.2, abs=1e-6)


def test_beta_gives_the_fraction(free):
    """N_eff / N = (beta_1 / beta_p)^(1 / alpha)."""
    for task in free.tasks_:
        beta = np.array([free.params_[f"beta[{task}, {p:g}]"] for p in WEIGHTS])
        expected = (beta[-1] / beta) ** (1 / free.params_[f"alpha[{task}]"])
        np.testing.assert_allclose(free.effective_fraction(task, WEIGHTS), expected, rtol=1e-12)


@given(N=st.floats(1e6, 1e12), p=st.floats(0.01, 1.0))
def test_the_effective_size_has_the_same_loss_alone(power, N, p):
    for task in power.tasks_:
        size = float(power.effective_parameters(task, N, p))
        alone, mixed = power.predict(task=task, N=size, p=1.0), power.predict(task=task, N=N, p=p)
        np.testing.assert_allclose(alone, mixed, rtol=1e-12)


@pytest.mark.parametrize("form", ["power", "linear", "free"])
def test_f_is_one_alone_and_nothing_without_weight(form, noisy):
    law = MixtureScaling(f=form, loss="mse").fit(noisy)
    assert [float(law.effective_fraction(task, 1.0)) for task in law.tasks_] == [1.0, 1.0]
    if form == "power":
        assert all(float(law.effective_fraction(task, 1e-9)) < 1e-2 for task in law.tasks_)
        assert all(law.params_[f"{c}[{task}]"] > 0 for task in law.tasks_ for c in ("c2", "c3"))


def test_derivatives_are_those_of_the_prediction(noisy):
    rng = np.random.default_rng(0)
    for form, shared, common in (
        ("power", True, False),
        ("power", True, True),
        ("linear", True, False),
        ("free", False, False),
    ):
        share = ("alpha", "L_inf") if shared else ("L_inf",)
        law = MixtureScaling(f=form, share=share, common_f=common, loss="mse").fit(noisy)
        theta = law.theta_ + 0.02 * rng.normal(size=(3, len(law.theta_)))
        x = law.rows_.x
        value, slope = law._log_predict_jacobian(theta, x)
        np.testing.assert_allclose(value, law._log_predict(theta, x), rtol=1e-12)
        step = 1e-6 * np.eye(theta.shape[1])
        up, down = ([law._log_predict(theta + sign * s, x) for s in step] for sign in (1, -1))
        np.testing.assert_allclose(slope, (np.stack(up, -1) - np.stack(down, -1)) / 2e-6, atol=1e-7)
        u = rng.normal(size=value.shape)
        numeric = Law._log_predict_curvature(law, theta, x, u)
        np.testing.assert_allclose(law._log_predict_curvature(theta, x, u), numeric, rtol=1e-5, atol=1e-4)


@settings(max_examples=5)
@given(unit=st.floats(1e-6, 1e3))
def test_units_of_size_change_nothing_but_beta(exact, power, unit):
    law = MixtureScaling(f="power", loss="mse").fit(exact.assign(N=exact["N"] * unit))
    np.testing.assert_allclose(law.effective_fraction("zh", P), power.effective_fraction("zh", P), rtol=1e-6)
    assert law.params_["alpha[zh]"] == pytest.approx(power.params_["alpha[zh]"], rel=1e-6)


def test_three_tasks_are_fitted_like_three_alone(noisy):
    third = noisy[noisy["task"] == "zh"].assign(task="fr", loss=lambda d: d["loss"] + 0.5)
    # Three tasks: weights cannot be checked in pairs, so that any three tables may stand together.
    law = MixtureScaling(f="power", loss="mse").fit(pd.concat([noisy, third]))
    alone = MixtureScaling(f="power", loss="mse").fit(third)
    assert law.tasks_ == ("de", "fr", "zh")
    np.testing.assert_allclose(law.effective_fraction("fr", P), alone.effective_fraction("fr", P), rtol=1e-5)


def test_one_function_for_all_tasks_needs_fewer_weights():
    few = make_table(np.random.default_rng(0), noise=0.0, weights=(0.3, 0.7, 1.0))
    few = few[(few["task"] == "de") | (few["p"] != 0.5)]
    with pytest.raises(
        ValueError, match="task 'de' has 2 distinct weights p below 1; f='power' needs at least 3"
    ):
        MixtureScaling().fit(few)
    p, N = (a.ravel() for a in np.meshgrid(WEIGHTS, np.geomspace(1e7, 1e9, 4)))
    f = p + 0.4 * p * (1 - p)
    both = [
        pd.DataFrame({"task": t, "p": p, "N": N, "loss": floor + 70 * (f * N) ** -a})
        for t, floor, a in (("a", 1.0, 0.3), ("b", 2.0, 0.2))
    ]
    kept = pd.concat(both).query(
        "not (task == 'a' and p in (.7, .9)) and not (task == 'b' and p in (.1, .3))"
    )
    law = MixtureScaling(common_f=True, loss="mse").fit(kept)
    assert "c1" in law.params_
    np.testing.assert_allclose(law.effective_fraction("a", P), P + 0.4 * P * (1 - P), rtol=1e-4)


def test_a_task_without_irreducible_loss_is_fitted():
    p, N = (a.ravel() for a in np.meshgrid(WEIGHTS, np.geomspace(1e7, 1e9, 4)))
    law = MixtureScaling(f="power", loss="mse").fit(
        pd.DataFrame({"task": "de", "p": p, "N": N, "loss": 70 * (p * N) ** -0.3})
    )
    assert law.params_["L_inf[de]"] < 1e-4
    np.testing.assert_allclose(law.effective_fraction("de", P), P, rtol=1e-4)


def test_it_is_an_estimator_and_keeps_its_record(power, exact):
    assert clone(power).get_params() == power.get_params()
    back = Law.from_dict(json.loads(json.dumps(power.to_dict())))
    np.testing.assert_allclose(back.predict(exact), power.predict(exact))
    np.testing.assert_allclose(back.effective_fraction("zh", P), power.effective_fraction("zh", P))
    with pytest.raises(
        ValueError, match="a MixtureScaling has the parameters of the tasks and weights of its runs"
    ):
        Law.from_dict(power.to_dict(runs=False))


def test_run_tables_and_other_column_names_are_read(exact, power):
    renamed = exact.rename(columns={"p": "weight", "task": "pair", "N": "size"})
    law = MixtureScaling(loss="mse").fit(renamed, columns={"p": "weight", "task": "pair", "N": "size"})
    assert law.params_ == power.params_
    assert MixtureScaling(loss="mse").fit(RunTable(exact)).params_ == power.params_


# --- What it refuses ------------------------------------------------------------------------------------------


def test_zero_shot_rows_are_left_out_and_counted(exact, power):
    zero = exact.head(5).assign(p=0.0, loss=9.0)
    with pytest.warns(ScalingWarning, match="5 of 65 rows have p = 0 and are left out"):
        law = MixtureScaling(loss="mse").fit(
            pd.concat([zero, exact], ignore_index=True), weights=np.r_[np.full(5, 7.0), np.ones(60)]
        )
    assert law.n_excluded_ == 5
    np.testing.assert_allclose(law.theta_, power.theta_, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="column 'p': all rows are 0"):
        MixtureScaling().fit(zero)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.assign(p=d["p"].where(d.index != 3, 1.2)), "column 'p': must be in \\[0, 1\\].*1.2.*3"),
        (lambda d: d.assign(p=d["p"].where(d.index != 3, -0.1)), "column 'p': must be in \\[0, 1\\]"),
        (lambda d: d[d["N"] < 1e8], "task 'de' has 2 distinct sizes N; at least 3 are needed"),
        (
            lambda d: d[~((d["task"] == "zh") & (d["p"] == 0.3))],
            "task 'de' has p = 0.7 but task 'zh' has no row with p = 0.3",
        ),
        (
            lambda d: d.assign(run=d["N"].astype(str) + d["p"].astype(str)),
            "the weights p of run .* sum to .*, not to 1",
        ),
        (lambda d: d.drop(columns="task"), "column 'task' is not in the table"),
        (lambda d: d.drop(columns="p"), "'p'"),
        (lambda d: d.assign(N=-d["N"]), "column 'N'"),
        (lambda d: d.assign(loss=50.0 * d["loss"]), "perplexity"),
        (lambda d: d.to_numpy(), "runs must be a DataFrame or a RunTable, got ndarray"),
    ],
)
def test_bad_tables_are_refused(exact, change, message):
    with pytest.raises(ValueError, match=message):
        MixtureScaling().fit(change(exact))


def test_runs_whose_weights_sum_to_one_are_taken(exact):
    key = exact["N"].astype(str) + exact["p"].where(exact["task"] == "de", 1 - exact["p"]).round(3).astype(
        str
    )
    law = MixtureScaling(loss="mse").fit(exact.assign(run=key))
    assert law.n_excluded_ == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"f": "cubic"}, "f must be 'free', 'power' or 'linear', got 'cubic'"),
        ({"share": ("beta",)}, "share may hold 'alpha' and 'L_inf', got 'beta'"),
        ({"share": ("alpha",)}, "share must be .* with f='power'"),
        ({"f": "free", "common_f": True}, "common_f=True needs f='power' or 'linear'"),
        ({"fixed": {"c2[de]": 0.0}}, "c2 and c3 must be above 0, so that f\\(0\\) = 0"),
        ({"fixed": {"gamma": 1.0}}, "fixed names 'gamma'"),
    ],
)
def test_bad_settings_are_refused(exact, given, message):
    with pytest.raises(ValueError, match=message):
        MixtureScaling(**given).fit(exact)


def test_without_a_run_alone_free_fractions_are_refused_and_the_form_gives_them(exact):
    without = exact[exact["p"] < 1]
    law = MixtureScaling(f="free", loss="mse").fit(without)
    with pytest.raises(NotIdentified, match="task 'de' has no run alone \\(p = 1\\)"):
        law.effective_fraction("de", 0.5)
    law = MixtureScaling(f="power", loss="mse").fit(without)
    assert float(law.effective_fraction("zh", 0.5)) == pytest.approx(0.5 + 0.3 * 0.5**0.5, rel=1e-3)


def test_free_factors_know_their_weights_only(free):
    with pytest.raises(ValueError, match=r"with f='free' a weight must be one of the fit's .* got 0.42"):
        free.effective_fraction("de", 0.42)
    with pytest.raises(ValueError, match=r"got 0\.42"):
        free.predict(task="de", N=1e9, p=0.42)


def test_fractions_of_separate_laws_are_refused(exact):
    law = MixtureScaling(f="free", share=("L_inf",), loss="mse").fit(exact)
    with pytest.raises(NotIdentified, match="exponent and irreducible loss that do not depend on p"):
        law.effective_fraction("de", 0.5)


@pytest.mark.parametrize("p", [0.0, -0.1, 1.1, np.nan])
def test_weights_out_of_range_are_refused(power, p):
    with pytest.raises(ValueError, match="p must be in \\(0, 1\\]"):
        power.effective_fraction("de", [0.5, p])


def test_unknown_tasks_and_sizes_are_refused(power):
    with pytest.raises(ValueError, match="task must be one of 'de', 'zh', got 'fr'"):
        power.effective_fraction("fr", 0.5)
    with pytest.raises(ValueError, match="task must be one of 'de', 'zh', got 'fr'"):
        power.predict(task="fr", N=1e9, p=0.5)
    with pytest.raises(ValueError, match="N must be finite and > 0"):
        power.effective_parameters("de", 0.0, 0.5)


def test_totals_with_embeddings_are_noted(exact):
    totals = (149953024, 260322816, 324035328, 387747840, 601931776)
    table = exact.assign(N=exact["N"].map(dict(zip(sorted(set(exact["N"])), totals, strict=True))))
    with pytest.warns(ScalingWarning, match="two embedding matrices of 128,000 tokens"):
        MixtureScaling(loss="mse", f="free").fit(table)


@pytest.mark.parametrize(
    "call",
    [
        lambda law: law.effective_fraction("de", 0.5),
        lambda law: law.frontier(1e9),
        lambda law: law.best_weights(1e9),
        lambda law: law.test_shared_exponent(),
    ],
)
def test_nothing_is_told_before_the_fit(call):
    with pytest.raises(NotFittedError):
        call(MixtureScaling())
