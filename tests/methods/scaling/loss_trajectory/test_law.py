"""The trajectory law: its root, its identities, what it recovers, and what it refuses."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from broadsheet.methods.scaling import NotIdentified, ScalingWarning
from broadsheet.methods.scaling.loss_trajectory import LossTrajectory, TrajectoryMonitor, TrajectoryWarning
from broadsheet.methods.scaling.loss_trajectory.root import trajectory_root

TRUTH = {"N_c": 6.5e13, "alpha_N": 0.077, "S_c": 2100, "alpha_S": 0.76, "B_star": 2e8, "alpha_B": 0.21}


def made_up(noise: float = 0.0, seed: int = 0) -> pd.DataFrame:
    grid = np.meshgrid([1e6, 4e6, 1.6e7], np.geomspace(500, 20_000, 12), [5e4, 2e5, 8e5])
    frame = pd.DataFrame({name: values.ravel() for name, values in zip("NSB", grid, strict=True)})
    loss = LossTrajectory.from_params(TRUTH).predict(frame)
    return frame.assign(loss=loss * np.exp(noise * np.random.default_rng(seed).standard_normal(len(frame))))


@given(
    st.floats(3, 12),
    st.floats(0, 7),
    st.floats(2, 8),
    st.floats(0.02, 0.5),
    st.floats(0.1, 2.0),
    st.floats(0.05, 1.0),
)
def test_the_root_is_the_root(log_n, log_s, log_b, alpha_n, alpha_s, alpha_b):
    N, S, B = 10.0**log_n, 10.0**log_s, 10.0**log_b
    p = {**TRUTH, "alpha_N": alpha_n, "alpha_S": alpha_s, "alpha_B": alpha_b}

    def gap(u):  # in the logarithm of the loss; log-space terms, since powers overflow
        batch = np.logaddexp(0.0, np.log(p["B_star"] / B) - u / alpha_b)
        return u - np.logaddexp(alpha_n * np.log(p["N_c"] / N), alpha_s * (np.log(p["S_c"] / S) + batch))

    expected = brentq(gap, -60, 200, xtol=1e-13, rtol=1e-14)
    theta = np.log([[p[n] for n in ("N_c", "alpha_N", "S_c", "alpha_S", "B_star", "alpha_B")]])
    found, jacobian = trajectory_root(theta, *(np.log([v]) for v in (N, S, B)), jacobian=True)
    assert found[0, 0] == pytest.approx(expected, abs=1e-10)
    assert np.isfinite(jacobian).all()


def test_the_derivatives_are_those_of_the_root():
    rng = np.random.default_rng(0)
    theta = np.log([list(TRUTH.values())]) + 0.1 * rng.standard_normal((3, 6))
    at = [
        np.log(v) for v in (np.geomspace(1e6, 1e9, 7), np.geomspace(100, 1e5, 7), np.geomspace(1e4, 1e7, 7))
    ]
    jacobian = trajectory_root(theta, *at, jacobian=True)[1]
    for k in range(6):
        step = np.zeros(6)
        step[k] = 1e-6
        numeric = (trajectory_root(theta + step, *at)[0] - trajectory_root(theta - step, *at)[0]) / 2e-6
        np.testing.assert_allclose(jacobian[..., k], numeric, atol=2e-8)


def test_many_rows_give_what_few_rows_give():
    rng = np.random.default_rng(1)
    at = [rng.uniform(low, high, 20_000) for low, high in ((13, 23), (5, 13), (9, 16))]
    theta = np.log([list(TRUTH.values())])
    whole, parts = trajectory_root(theta, *at)[0], trajectory_root(theta, *(a[9_000:9_010] for a in at))[0]
    np.testing.assert_allclose(whole[:, 9_000:9_010], parts, rtol=1e-12)


def test_more_steps_more_batch_and_more_parameters_never_hurt():
    law = LossTrajectory.from_params(TRUTH)
    for name, values in (
        ("N", np.geomspace(1e5, 1e12, 40)),
        ("S", np.geomspace(1, 1e7, 40)),
        ("B", np.geomspace(1e2, 1e9, 40)),
    ):
        frame = pd.DataFrame({"N": 1e8, "S": 5e3, "B": 1e5}, index=range(40)).assign(**{name: values})
        assert (np.diff(law.predict(frame)) < 0).all(), name


def test_steps_and_loss_are_inverse_and_the_hyperbola_holds():
    law = LossTrajectory.from_params(TRUTH)
    N, B = 1e9, np.geomspace(1e3, 1e9, 13)
    loss = 2.6
    S, E = law.steps_to(loss, N, B), law.tokens_to(loss, N, B)
    np.testing.assert_allclose(law.predict(N=N, S=S, B=B), loss, rtol=1e-10)
    least = law.min_steps(loss, N)
    most = least * law.critical_batch(loss)
    np.testing.assert_allclose((S / least - 1) * (E / most - 1), 1.0, rtol=1e-9)


def test_constants_are_recovered_exactly_and_within_their_intervals():
    found = LossTrajectory().fit(made_up())
    assert found.params_ == pytest.approx(TRUTH, rel=1e-3)
    noisy = LossTrajectory().fit(made_up(0.002))
    table = noisy.confint(0.999, n_boot=100)
    for name in ("alpha_N", "alpha_S", "alpha_B"):
        assert table.loc[name, "lower"] < TRUTH[name] < table.loc[name, "upper"]


def test_the_recipe_of_stages_finds_curves_that_are_trained_to_their_limit():
    grid = np.meshgrid([1e6, 4e6, 1.6e7], np.geomspace(1_000, 1e8, 60), [5e4, 2e5, 8e5])
    frame = pd.DataFrame({name: values.ravel() for name, values in zip("NSB", grid, strict=True)})
    frame["loss"] = LossTrajectory.from_params(TRUTH).predict(frame)
    found = LossTrajectory(stages="sequential").fit(frame)
    for name in ("alpha_N", "alpha_S", "alpha_B"):  # each stage reads points off curves: a few per cent
        assert found.params_[name] == pytest.approx(TRUTH[name], rel=0.1), name
    new = pd.DataFrame({"N": [1e8], "S": [2e4], "B": [3e5]})
    assert found.predict(new) == pytest.approx(LossTrajectory.from_params(TRUTH).predict(new), rel=0.03)


def test_units_of_the_batch_agree():
    tokens = LossTrajectory().fit(made_up())
    in_sequences = made_up().assign(B=lambda t: t["B"] / 1024)
    sequences = LossTrajectory(batch_unit="sequences", context=1024).fit(in_sequences)
    assert sequences.params_ == pytest.approx(tokens.params_, rel=1e-6)


def test_the_best_batch_for_prices_is_the_cheapest():
    law = LossTrajectory.from_params(TRUTH)
    best = float(law.optimal_batch(2.6, time_price=3.0, token_price=1e-6))

    def cost(B):
        return 3.0 * law.steps_to(2.6, 1e9, B) + 1e-6 * law.tokens_to(2.6, 1e9, B)

    assert cost(best) < min(cost(best * 0.99), cost(best * 1.01))
    assert law.optimal_batch(2.6) == law.critical_batch(2.6)
    assert law.optimal_batch(
        2.6, time_price=float(law.critical_batch(2.6)), token_price=1.0
    ) == pytest.approx(float(law.critical_batch(2.6)))
    with pytest.raises(ValueError, match="give both prices"):
        law.optimal_batch(2.6, time_price=1.0)


# ---- bad input


def test_batches_that_look_like_sequences_are_asked_about():
    with pytest.raises(ValueError, match=r"column 'B': its median is 64, which looks like sequences"):
        LossTrajectory().fit(made_up().assign(B=64.0))
    with pytest.raises(ValueError, match="needs context="):
        LossTrajectory(batch_unit="sequences").fit(made_up())


@pytest.mark.parametrize(("column", "names"), [("B", "B_star, alpha_B"), ("N", "N_c, alpha_N")])
def test_one_batch_or_one_size_is_refused_by_name(column, names):
    one = made_up()
    one = one[one[column] == one[column].iloc[0]]
    with pytest.raises(NotIdentified, match=f"column '{column}' has one distinct value.*{names}"):
        LossTrajectory().fit(one)


def test_steps_zero_are_left_out_and_counted():
    table = made_up()
    begun = pd.concat([table, table.head(3).assign(S=0, loss=11.0)])
    with pytest.warns(ScalingWarning, match="3 rows with S = 0 are left out"):
        found = LossTrajectory().fit(begun)
    assert found.params_ == pytest.approx(LossTrajectory().fit(table).params_, rel=1e-6)


def test_rows_of_the_warm_up_are_left_out_on_request():
    table = made_up()
    begun = pd.concat([table, table.head(3).assign(S=[0, 50, 100], loss=[11.0, 10.0, 9.0])])
    with pytest.warns(ScalingWarning, match="3 rows with S <= 100 are left out"):
        found = LossTrajectory().fit(begun, warmup=100)
    assert found.params_ == pytest.approx(LossTrajectory().fit(table).params_, rel=1e-6)
    with pytest.raises(ValueError, match="warmup must be >= 0"):
        LossTrajectory().fit(table, warmup=-1)


def test_the_plot_shows_every_curve_and_the_law_through_it():
    from matplotlib.figure import Figure

    law, new = LossTrajectory().fit(made_up()), made_up().query("N == 4e6 and B == 2e5").assign(N=1e8)
    lines = law.plot_curves(hold_out=new, ax=Figure().add_subplot()).get_lines()
    assert len(lines) == 2 * (9 + 1)  # nine fitted curves and the new one: points and law
    np.testing.assert_allclose(lines[-1].get_ydata(), law.predict(new.sort_values("S")))
    assert lines[-1].get_linewidth() > lines[1].get_linewidth()


def test_a_diverged_run_is_named():
    table = made_up()
    worst = (table["N"] == 4e6) & (table["B"] == 2e5)
    table.loc[worst, "loss"] = np.linspace(5.0, 9.0, worst.sum())
    with pytest.raises(ValueError, match=r"the curve of N=4e\+06, B=200000 rises"):
        LossTrajectory().fit(table)


def test_a_loss_that_is_never_reached_takes_for_ever_and_says_why():
    law = LossTrajectory.from_params(TRUTH)
    with pytest.warns(ScalingWarning, match="never reached with N = 1e"):
        assert np.isinf(law.steps_to(0.5, N=1e6, B=1e6))


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_what_must_be_positive_is_refused_by_name(bad):
    law = LossTrajectory.from_params(TRUTH)
    with pytest.raises(ValueError, match="B must be > 0"):
        law.steps_to(3.0, N=1e9, B=bad)
    with pytest.raises(ValueError, match="loss must be > 0"):
        law.critical_batch(bad)


# ---- the monitor


class _State:
    global_step = 1000


def test_the_monitor_logs_what_was_predicted_and_warns_when_a_run_is_off():
    law = LossTrajectory().fit(made_up(0.002))
    watch = TrajectoryMonitor(law, N=4e6, B=2e5, warmup=100)
    expected = float(law.predict(N=4e6, S=1000, B=2e5)[0])
    logs = {"loss": expected * 1.001}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch.on_log(None, _State(), None, logs)
    assert logs["predicted_loss"] == pytest.approx(expected)
    assert logs["deviation"] == pytest.approx(np.log(1.001) / watch.sigma)
    with pytest.warns(TrajectoryWarning, match="step 1000"):
        watch.on_log(None, _State(), None, {"loss": expected * 1.1})
    assert len(watch.history) == 2
    watch.on_log(None, _State(), None, {"eval_loss": 9.0})
    assert len(watch.history) == 2


def test_a_monitor_of_a_law_without_runs_wants_a_sigma():
    with pytest.raises(ValueError, match="sigma must be given"):
        TrajectoryMonitor(LossTrajectory.from_params(TRUTH), N=1e8, B=1e6)
