"""Loss trajectories against brute-force roots, Kaplan's identities, textbook regression and other people's runs."""

from __future__ import annotations

from types import SimpleNamespace

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from sklearn.exceptions import NotFittedError

from broadsheet import data
from broadsheet.methods.scaling import (
    Chinchilla,
    CriticalBatchSize,
    KaplanSteps,
    LossTrajectory,
    NotIdentified,
    ScalingWarning,
    TrajectoryMonitor,
    TrajectoryWarning,
    datasets,
    steps_at_losses,
)

KAPLAN = {"N_c": 6.5e13, "alpha_N": 0.077, "S_c": 2100.0, "alpha_S": 0.76, "B_star": 2e8, "alpha_B": 0.21}

constants = st.fixed_dictionaries(
    {
        "N_c": st.floats(1e10, 1e16),
        "alpha_N": st.floats(0.03, 0.3),
        "S_c": st.floats(10, 1e5),
        "alpha_S": st.floats(0.2, 1.5),
        "B_star": st.floats(1e5, 1e11),
        "alpha_B": st.floats(0.08, 0.8),
    }
)
runs = st.tuples(st.floats(1e5, 1e12), st.floats(10, 1e7), st.floats(1e3, 1e9))


def defect(L, N, S, B, p):
    """Left side less right side of the law; it rises in L, so its root is one."""
    size = (p["N_c"] / N) ** p["alpha_N"]
    return L - size - (p["S_c"] / S * (1 + p["B_star"] / (B * L ** (1 / p["alpha_B"])))) ** p["alpha_S"]


def exact_curves(sizes=(1e6, 4e6, 1.6e7), steps=None, batches=(5e4, 2e5, 8e5)) -> pd.DataFrame:
    """Losses by scipy's bracketed root of the law's equation, without the law's own solver."""
    steps = np.geomspace(500, 20_000, 10) if steps is None else steps
    N, S, B = (a.ravel() for a in np.meshgrid(sizes, steps, batches))
    loss = [
        optimize.brentq(defect, 1e-3, 1e6, (n, s, b, KAPLAN), xtol=1e-15, rtol=1e-14)
        for n, s, b in zip(N, S, B, strict=True)
    ]
    return pd.DataFrame({"N": N, "S": S, "B": B, "loss": loss})


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    return exact_curves()


@pytest.fixture(scope="module")
def law() -> LossTrajectory:
    return LossTrajectory.from_params(KAPLAN)


# --- the root -----------------------------------------------------------------------------------------------------


@given(constants, runs)
@settings(max_examples=60)
def test_the_prediction_is_the_only_root_found_by_brute_force(p, run):
    """Signs on 4000 losses over 24 decades: one change, and the prediction lies in its gap; scipy agrees to 1e-10."""
    N, S, B = run
    dense = np.geomspace(1e-12, 1e12, 4000)
    with np.errstate(over="ignore"):
        signs = np.sign(defect(dense, N, S, B, p))
    (place,) = np.nonzero(np.diff(signs) > 0)
    assert len(place) == 1
    predicted = LossTrajectory.from_params(p).predict(N=N, S=S, B=B)[0]
    low, high = dense[place[0]], dense[place[0] + 1]
    assert low <= predicted <= high
    root = optimize.brentq(defect, low, high, (N, S, B, p), xtol=1e-300, rtol=1e-13)
    assert predicted == pytest.approx(root, rel=1e-10)


def test_the_root_to_forty_digits(law):
    N, S, B = 1e9, 2e4, 1e6
    with mpmath.workdps(40):
        p = {name: mpmath.mpf(value) for name, value in KAPLAN.items()}
        root = mpmath.findroot(lambda L: defect(L, N, S, B, p), 2.6)
    assert law.predict(N=N, S=S, B=B)[0] == pytest.approx(float(root), rel=1e-13)


def test_many_rows_at_once_are_the_rows_one_by_one(law):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "N": 10 ** rng.uniform(5, 12, 300),
            "S": 10 ** rng.uniform(1, 7, 300),
            "B": 10 ** rng.uniform(3, 9, 300),
        }
    )
    together = law.predict(frame)
    alone = [law.predict(frame.iloc[[i]])[0] for i in range(300)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


@given(constants, runs)
@settings(max_examples=25)
def test_implicit_gradients_are_the_slopes_of_the_root(p, run):
    """dL/dtheta = F_theta / (1 - F_L) against central differences of a root known to 1e-14: with a step of 1e-4 the
    rounding is 1e-10 and the truncation, third derivatives of some 100 at most, 1e-6; the larger is granted.
    """
    law = LossTrajectory.from_params(p)
    x = {name: np.array([value]) for name, value in zip("NSB", run, strict=True)}
    theta = law.theta_
    _, slope = law._log_predict_jacobian(theta[None], x)
    for k in range(6):
        step = 1e-4 * (np.arange(6) == k)
        numeric = (
            law._log_predict((theta + step)[None], x) - law._log_predict((theta - step)[None], x)
        ) / 2e-4
        assert slope[0, 0, k] == pytest.approx(numeric[0, 0], rel=1e-5, abs=1e-6)


@given(constants, runs)
@settings(max_examples=30)
def test_limits(p, run):
    """No batch term is Kaplan's law of S_min; no step term the loss of the size; more of anything is never worse."""
    N, S, B = run
    law = LossTrajectory.from_params(p)
    steps = KaplanSteps.from_params({name: p[name] for name in ("N_c", "alpha_N", "S_c", "alpha_S")})
    assert law.predict(N=N, S=S, B=1e60)[0] == pytest.approx(steps.predict(N=N, S=S)[0], rel=1e-9)
    limit = (p["N_c"] / N) ** p["alpha_N"]
    assert law.min_loss(N) == pytest.approx(limit, rel=1e-12)
    assert law.predict(N=N, S=1e200, B=B)[0] == pytest.approx(limit, rel=1e-9)
    here = law.predict(N=N, S=S, B=B)[0]
    for more in ({"N": 2 * N, "S": S, "B": B}, {"N": N, "S": 2 * S, "B": B}, {"N": N, "S": S, "B": 2 * B}):
        assert law.predict(**more)[0] <= here * (1 + 1e-12)
    # Twice the tokens in twice the batch are never worth more than in twice the steps.
    assert law.predict(N=N, S=2 * S, B=B)[0] <= law.predict(N=N, S=S, B=2 * B)[0] * (1 + 1e-12)


@given(constants, runs, st.floats(1e-6, 1e6))
@settings(max_examples=30)
def test_units_move_into_the_coefficients(p, run, unit):
    N, S, B = run
    first = LossTrajectory.from_params(p).predict(N=N, S=S, B=B)[0]
    for column, coefficient in (("N", "N_c"), ("S", "S_c"), ("B", "B_star")):
        other = LossTrajectory.from_params(p | {coefficient: p[coefficient] * unit})
        values = {"N": N, "S": S, "B": B}
        values[column] *= unit
        assert other.predict(**values)[0] == pytest.approx(first, rel=1e-10)


# --- steps, tokens, batches ---------------------------------------------------------------------------------------


@given(constants, st.floats(1e5, 1e12), st.floats(1e3, 1e9), st.floats(1.001, 20))
@settings(max_examples=50)
def test_steps_and_tokens_trade_along_the_hyperbola(p, N, B, ratio):
    law = LossTrajectory.from_params(p)
    L = ratio * (p["N_c"] / N) ** p["alpha_N"]
    critical = p["B_star"] / L ** (1 / p["alpha_B"])
    least = p["S_c"] / (L - L / ratio) ** (1 / p["alpha_S"])
    assert law.critical_batch(L) == pytest.approx(critical, rel=1e-11)
    # L less its limit cancels up to 3 digits at ratio 1.001, and 1 / alpha_S multiplies by 5: 1e-9.
    steps, tokens, fewest = law.steps_to(L, N=N, B=B), law.tokens_to(L, N=N, B=B), law.min_steps(L, N=N)
    assert fewest == pytest.approx(least, rel=1e-9)
    assert steps == pytest.approx(least * (1 + critical / B), rel=1e-9)
    assert tokens == pytest.approx(B * steps, rel=1e-12)
    least_tokens = critical * fewest
    assert tokens == pytest.approx(least_tokens * (1 + B / critical), rel=1e-9)
    # (S / S_min - 1)(E / E_min - 1) = 1 with each factor as its own closed form, where the digits do not cancel.
    if 1e-3 < critical / B < 1e3:
        assert (steps / fewest - 1) * (tokens / least_tokens - 1) == pytest.approx(1, rel=1e-8)
    assert law.predict(N=N, S=steps, B=B)[0] == pytest.approx(L, rel=1e-9)


@given(constants, st.floats(1e5, 1e12), st.floats(1.01, 10))
@settings(max_examples=30)
def test_at_the_critical_batch_all_is_twice_the_least(p, N, ratio):
    law = LossTrajectory.from_params(p)
    L = ratio * float(law.min_loss(N))
    B = float(law.critical_batch(L))
    least = float(law.min_steps(L, N=N))
    assert law.steps_to(L, N=N, B=B) == pytest.approx(2 * least, rel=1e-12)
    assert law.tokens_to(L, N=N, B=B) == pytest.approx(2 * least * B, rel=1e-12)


@given(st.floats(2.0, 6.0), st.floats(1e-3, 1e3), st.floats(1e-9, 1e-3))
@settings(max_examples=25)
def test_the_cheapest_batch_is_the_one_a_search_finds(L, time_price, token_price):
    """Cost of steps and tokens over B, searched in ln B; a flat bottom fixes B to the square root of the tolerance."""
    law = LossTrajectory.from_params(KAPLAN)
    N = 1e13  # a size that reaches all these losses

    def cost(ln_B):
        B = np.exp(ln_B)
        return time_price * law.steps_to(L, N=N, B=B) + token_price * law.tokens_to(L, N=N, B=B)

    best = float(law.optimal_batch(L, time_price=time_price, token_price=token_price))
    found = optimize.minimize_scalar(cost, bounds=(np.log(best) - 4, np.log(best) + 4), method="bounded")
    assert cost(np.log(best)) <= found.fun * (1 + 1e-12)
    assert best == pytest.approx(np.exp(found.x), rel=1e-3)
    assert law.optimal_batch(L) == pytest.approx(law.critical_batch(L), rel=1e-12)


def test_a_curve_is_its_predictions(law):
    steps = np.array([10.0, 1000.0, 1e5])
    table = law.curve(N=1e8, B=5e5, steps=steps)
    np.testing.assert_allclose(table["S"], steps)
    np.testing.assert_allclose(table["tokens"], 5e5 * steps)
    np.testing.assert_allclose(
        table["loss"], law.predict(N=np.full(3, 1e8), S=steps, B=np.full(3, 5e5)), rtol=1e-13
    )


# --- fits ---------------------------------------------------------------------------------------------------------


def test_exact_curves_give_their_constants_back(curves):
    """The roots are scipy's, known to 1e-14; along the (B_star, alpha_B) ridge that is 1e-6 at most."""
    assert LossTrajectory().fit(curves).params_ == pytest.approx(KAPLAN, rel=1e-5)


def test_the_recipe_step_by_step_ends_near_the_truth_when_curves_run_to_their_limit():
    """Sizes' limits first: the last point of 1e8 steps lies 1e-4 above its limit, of ln L ~ 1.4 over 2.8 e-folds of
    N: alpha_N and ln N_c are off by < 1 %, alpha_S, alpha_B by < 2 % and B_star by < 5 %.
    """
    long = exact_curves(steps=np.geomspace(500, 1e8, 24))
    found = LossTrajectory(stages="sequential").fit(long).params_
    for name, tolerance in (
        ("alpha_N", 0.01),
        ("alpha_S", 0.02),
        ("alpha_B", 0.02),
        ("S_c", 0.05),
        ("B_star", 0.05),
    ):
        assert found[name] == pytest.approx(KAPLAN[name], rel=tolerance)
    assert np.log(found["N_c"]) == pytest.approx(np.log(KAPLAN["N_c"]), rel=0.01)


@pytest.mark.parametrize("seed", [0, 1])
def test_no_other_optimiser_finds_less(curves, seed):
    noisy = curves.assign(
        loss=curves["loss"] * np.exp(0.003 * np.random.default_rng(seed).standard_normal(len(curves)))
    )
    law = LossTrajectory().fit(noisy)

    def objective(theta):
        p = dict(zip(law.names_, np.exp(theta), strict=True))
        r = np.abs(np.log(noisy["loss"]) - np.log(LossTrajectory.from_params(p).predict(noisy)))
        return float(np.where(r <= 1e-3, r**2 / 2, 1e-3 * (r - 5e-4)).sum())

    assert law.objective_ == pytest.approx(objective(np.log([law.params_[n] for n in law.names_])), rel=1e-7)
    for start in ([KAPLAN[n] for n in law.names_], [law.params_[n] for n in law.names_]):
        other = optimize.minimize(objective, np.log(start), method="Nelder-Mead", options={"maxfev": 300})
        assert law.objective_ <= other.fun + 1e-9


def test_fits_do_not_know_units_order_or_copies(curves):
    noisy = curves.assign(
        loss=curves["loss"] * np.exp(0.003 * np.random.default_rng(0).standard_normal(len(curves)))
    )
    first = LossTrajectory().fit(noisy).params_
    shuffled = LossTrajectory().fit(noisy.sample(frac=1, random_state=0)).params_
    assert shuffled == pytest.approx(first, rel=1e-4)
    twice = LossTrajectory().fit(pd.concat([noisy, noisy], ignore_index=True)).params_
    assert twice == pytest.approx(first, rel=1e-4)
    other = (
        LossTrajectory().fit(noisy.assign(N=noisy["N"] / 1e6, S=noisy["S"] / 10, B=noisy["B"] * 8)).params_
    )
    scaled = first | {"N_c": first["N_c"] / 1e6, "S_c": first["S_c"] / 10, "B_star": first["B_star"] * 8}
    assert other == pytest.approx(scaled, rel=1e-3)
    assert other["alpha_N"] == pytest.approx(first["alpha_N"], rel=1e-5)


def test_sequences_with_their_length_are_tokens(curves):
    law = LossTrajectory(batch_unit="sequences", context=2048).fit(curves.assign(B=curves["B"] / 2048))
    assert law.params_ == pytest.approx(LossTrajectory().fit(curves).params_, rel=1e-6)


def test_critical_batches_are_weighted_lines_in_one_over_b():
    """Least squares of relative errors, (fit - S) / S: numpy's lstsq with rows divided by S."""
    rng = np.random.default_rng(1)
    B = np.array([8e3, 2e4, 5e4, 1.5e5, 6e5])
    table = pd.concat(
        [
            pd.DataFrame(
                {"B": B, "loss": L, "S": 400 * (5 - L) * (1 + Bc / B) * np.exp(0.05 * rng.standard_normal(5))}
            )
            for L, Bc in ((4.0, 3e4), (3.5, 6e4), (3.0, 1.4e5))
        ],
        ignore_index=True,
    )
    found = CriticalBatchSize().fit(table)
    for L, group in table.groupby("loss"):
        X = np.c_[np.ones(5), 1 / group["B"]] / group["S"].to_numpy()[:, None]
        (least, slope), *_ = np.linalg.lstsq(X, np.ones(5), rcond=None)
        row = found.levels_.set_index("loss").loc[L] if "loss" in found.levels_ else found.levels_.loc[L]
        assert row["S_min"] == pytest.approx(least, rel=1e-8)
        assert row["E_min"] == pytest.approx(slope, rel=1e-8)
        assert row["B_crit"] == pytest.approx(slope / least, rel=1e-8)
        assert row["batches"] == 5


@given(st.floats(0.1, 0.6), st.floats(1e6, 1e9), st.floats(1e-3, 1e3))
@settings(max_examples=20)
def test_exact_hyperbolas_give_the_bend_back(alpha, star, unit):
    B = np.geomspace(1e4, 1e7, 6)
    table = pd.concat(
        [
            pd.DataFrame({"B": B, "loss": L, "S": 900 / L * (1 + star * L ** (-1 / alpha) / B)})
            for L in (2.5, 3.0, 4.0)
        ],
        ignore_index=True,
    )
    found = CriticalBatchSize().fit(table)
    assert found.alpha_B_ == pytest.approx(alpha, rel=1e-6)
    assert found.B_star_ == pytest.approx(star, rel=1e-5)
    assert found.predict(2.7) == pytest.approx(star * 2.7 ** (-1 / alpha), rel=1e-6)
    scaled = CriticalBatchSize().fit(table.assign(B=table["B"] * unit))
    assert scaled.predict(2.7) == pytest.approx(unit * found.predict(2.7), rel=1e-6)


def test_steps_are_read_off_straight_lines_in_logarithms():
    """A pure power law is such a line: the reading is exact. A bump on the way must not be read twice."""
    S = np.geomspace(10, 1e5, 30)
    curve = pd.DataFrame({"B": 1e5, "S": S, "loss": (5e4 / S) ** 0.3})
    read = steps_at_losses(curve, [2.0, 1.1])
    np.testing.assert_allclose(
        read.sort_values("S")["S"], 5e4 * np.array([2.0, 1.1]) ** (-1 / 0.3), rtol=1e-9
    )
    assert len(steps_at_losses(curve, [1e-3])) == 0
    bumped = curve.copy()
    bumped.loc[20, "loss"] = bumped.loc[18, "loss"]
    level = float(curve.loc[15, "loss"])
    assert steps_at_losses(bumped, [level])["S"].tolist() == pytest.approx([S[15]], rel=1e-9)


def test_groups_are_resampled_whole(curves):
    """Three copies of every row are no more runs: the group bootstrap of the copies spreads as that of the rows. A
    spread of 60 refits is known to 9 %, a ratio to 13 %; rows alone would give 0.58.
    """
    noisy = curves.assign(
        loss=curves["loss"] * np.exp(0.003 * np.random.default_rng(0).standard_normal(len(curves)))
    )
    noisy["run"] = noisy["N"].astype(str) + "/" + noisy["B"].astype(str)
    single = LossTrajectory(fixed={"B_star": 2e8, "alpha_B": 0.21}).fit(noisy)
    copied = LossTrajectory(fixed={"B_star": 2e8, "alpha_B": 0.21}).fit(
        pd.concat([noisy] * 3, ignore_index=True)
    )
    spread = [one.bootstrap(60, group="run").frame["alpha_S"].std() for one in (single, copied)]
    assert spread[1] / spread[0] == pytest.approx(1, abs=0.35)


# --- a monitor ----------------------------------------------------------------------------------------------------


def test_the_monitor_counts_deviations_in_sigmas_of_the_log(law):
    monitor = TrajectoryMonitor(law, N=1e8, B=5e5, sigma=0.01, warmup=100)
    args, control = SimpleNamespace(), SimpleNamespace()
    predicted = float(law.predict(N=1e8, S=1000, B=5e5)[0])
    logs = {"loss": predicted * np.exp(0.02)}
    monitor.on_log(
        args, SimpleNamespace(global_step=50, is_world_process_zero=True), control, logs={"loss": 99.0}
    )
    monitor.on_log(args, SimpleNamespace(global_step=1000, is_world_process_zero=True), control, logs=logs)
    assert len(monitor.history) == 1
    row = monitor.history.iloc[0]
    assert (row["step"], row["loss"]) == (1000, logs["loss"])
    assert row["predicted"] == pytest.approx(predicted, rel=1e-9)
    assert row["deviation"] == pytest.approx(2.0, rel=1e-6)
    for off in (0.031, -0.031):
        with pytest.warns(TrajectoryWarning):
            monitor.on_log(
                args,
                SimpleNamespace(global_step=1000, is_world_process_zero=True),
                control,
                logs={"loss": predicted * np.exp(off)},
            )


# --- other people's runs ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def step_law() -> tuple[pd.DataFrame, pd.DataFrame]:
    path = data.where("steplaw-dense-lr-bs-loss")
    if path is None:
        pytest.skip("steplaw-dense-lr-bs-loss is not on this machine: name its folder in BROADSHEET_DATA")
    raw = datasets.load_step_law_runs(path)
    best = raw.loc[raw.groupby(["N", "D", "bs"])["smooth loss"].idxmin()]
    table = pd.DataFrame(
        {"N": best["N"], "D": best["D"], "S": best["ti"], "B": best["bs"] * 2048, "loss": best["smooth loss"]}
    )
    table = table.astype(float).reset_index(drop=True)
    assert (len(raw), len(table)) == (1911, 170)
    return table[table["N"] < 1e9], table[table["N"] >= 1e9]


def test_published_runs_of_a_larger_size_are_predicted(step_law):
    """The constants as re-measured, to their printed digits; B_star and alpha_B lie on a ridge and are read at 2.3."""
    small, large = step_law
    assert (len(small), len(large)) == (150, 20)
    law = LossTrajectory().fit(small[["N", "S", "B", "loss"]])
    assert law.params_["alpha_N"] == pytest.approx(0.0990, abs=5e-5)
    assert law.params_["N_c"] == pytest.approx(9.9e11, abs=5e9)
    assert law.params_["alpha_S"] == pytest.approx(0.876, abs=5e-4)
    assert law.params_["S_c"] == pytest.approx(471, abs=0.5)
    assert law.params_["alpha_B"] == pytest.approx(0.108, abs=5e-4)
    assert law.critical_batch(2.3) == pytest.approx(6.8e6, abs=5e4)

    def error(model, frame):
        return np.abs(model.predict(frame) / frame["loss"] - 1)

    assert error(law, small).mean() == pytest.approx(0.0054, abs=5e-5)
    held = error(law, large)
    assert held.mean() < 0.01
    assert held.mean() == pytest.approx(0.0046, abs=1e-4)
    assert held.max() == pytest.approx(0.028, abs=5e-4)
    steps = KaplanSteps().fit(small[["N", "S", "loss"]])
    tokens = Chinchilla().fit(small[["N", "D", "loss"]])
    assert held.mean() < error(steps, large).mean()
    assert held.mean() < error(tokens, large).mean()


# --- bad input ----------------------------------------------------------------------------------------------------


def test_sequences_taken_for_tokens_are_noticed(curves):
    with pytest.raises(ValueError, match="batch_unit"):
        LossTrajectory().fit(curves.assign(B=curves["B"] / 2048))
    with pytest.raises(ValueError, match="context"):
        LossTrajectory(batch_unit="sequences").fit(curves.assign(B=curves["B"] / 2048))


def test_rows_before_the_first_step_are_dropped_and_counted(curves):
    more = pd.concat([curves, curves.iloc[:3].assign(S=0)], ignore_index=True)
    with pytest.warns(ScalingWarning, match="3 rows"):
        law = LossTrajectory().fit(more)
    assert law.params_ == pytest.approx(LossTrajectory().fit(curves).params_, rel=1e-6)


def test_a_diverged_run_is_named(curves):
    rising = curves.assign(run="good")
    place = (rising["N"] == 4e6) & (rising["B"] == 2e5)
    rising.loc[place, "loss"] = rising.loc[place, "loss"].to_numpy()[::-1]
    rising["run"] = rising["N"].astype(str) + "/" + rising["B"].astype(str)
    with pytest.raises(ValueError, match=r"4000000\.0/200000\.0"):
        LossTrajectory().fit(rising)
    with pytest.raises(ValueError, match=r"4e\+06.*200000"):
        LossTrajectory().fit(rising.drop(columns="run"))


@pytest.mark.parametrize(
    ("column", "value", "names"), [("B", 2e5, "B_star, alpha_B"), ("N", 4e6, "N_c, alpha_N")]
)
def test_what_one_batch_or_size_cannot_tell_is_refused_unless_held(curves, column, value, names):
    one = curves[curves[column] == value]
    with pytest.raises(NotIdentified, match=names):
        LossTrajectory().fit(one)
    held = LossTrajectory(fixed={name: KAPLAN[name] for name in names.split(", ")}).fit(one)
    assert held.params_ == pytest.approx(KAPLAN, rel=1e-5)


def test_losses_below_the_limit_of_a_size_take_for_ever_and_it_is_said(law):
    for ask in (lambda L: law.steps_to(L, N=1e6, B=1e6), lambda L: law.tokens_to(L, N=1e6, B=1e6),
                lambda L: law.min_steps(L, N=1e6)):  # fmt: skip
        with pytest.warns(ScalingWarning, match="never reached"):
            assert np.isinf(ask(2.0))
    with pytest.warns(ScalingWarning, match="never reached"):
        mixed = law.steps_to([4.5, 2.0], N=1e6, B=1e6)
    assert np.isfinite(mixed[0])
    assert np.isinf(mixed[1])


def test_impossible_questions_are_refused(law):
    for bad in (0.0, -1.0, np.nan):
        for ask in (
            lambda v: law.steps_to(v, N=1e6, B=1e6),
            lambda v: law.steps_to(4.5, N=v, B=1e6),
            lambda v: law.steps_to(4.5, N=1e6, B=v),
            law.critical_batch,
            law.min_loss,
            lambda v: law.predict(N=1e6, S=v, B=1e6),
            lambda v: law.predict(N=1e6, S=1e3, B=v),
            lambda v: law.curve(1e6, 1e6, [v]),
        ):
            with pytest.raises(ValueError, match=r"> 0|finite"):
                ask(bad)
    with pytest.raises(ValueError, match="price"):
        law.optimal_batch(2.3, time_price=1.0)
    with pytest.raises(ValueError, match="price"):
        law.optimal_batch(2.3, time_price=-1.0, token_price=1.0)
    with pytest.raises(ValueError, match="sigma"):
        TrajectoryMonitor(law, N=1e8, B=5e5)
    with pytest.raises(ValueError, match="B"):
        TrajectoryMonitor(law, N=1e8, B=-1, sigma=0.01)
    with pytest.raises(NotFittedError):
        LossTrajectory().steps_to(2.0, N=1e6, B=1e6)


def test_tables_without_two_batches_or_with_bad_numbers_are_refused():
    with pytest.raises(NotIdentified, match="B"):
        CriticalBatchSize().fit(pd.DataFrame({"B": [1e4, 1e4], "loss": [3.0, 3.0], "S": [500, 510]}))
    with pytest.raises(ValueError, match=r"B.*row 1"):
        CriticalBatchSize().fit(pd.DataFrame({"B": [1e4, -1e4], "loss": [3.0, 3.0], "S": [500, 510]}))
