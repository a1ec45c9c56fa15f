"""The task law: lines come back, bounds bound, intervals cover, curvature is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from broadsheet.methods.scaling.pass_until.emergence import (
    UndeterminedWarning,
    circuits_curve,
    classify_emergence,
    steps_curve,
)
from broadsheet.methods.scaling.pass_until.laws import CensoredWarning, InstanceTaskScaling, TaskScaling
from broadsheet.methods.scaling.pass_until.points import curve, inverse_curve

N = np.array([3e7, 1e8, 3e8, 6e8, 1.5e9])


def table(c=900.0, alpha=0.27, sigma=0.0, seed=0, sizes=N) -> pd.DataFrame:
    F = np.log(c) - alpha * np.log(sizes)
    noisy = F + sigma * np.random.default_rng(seed).normal(size=len(sizes))
    frame = pd.DataFrame({"N": sizes, "pu": inverse_curve(noisy)})
    if sigma:
        half = 1.959964 * sigma
        frame["lower"], frame["upper"] = inverse_curve(noisy + half), inverse_curve(noisy - half)
    return frame


@given(st.floats(50, 5000), st.floats(0.25, 0.6))
def test_an_exact_law_comes_back(c, alpha):
    law = TaskScaling().fit(table(c, alpha, sizes=np.geomspace(1e5, 1e7, 4)))
    assert law.params_["c"] == pytest.approx(c, rel=1e-6)
    assert law.params_["alpha"] == pytest.approx(alpha, rel=1e-6)
    assert law.predict(N=3e6)[0] == pytest.approx(np.exp(-c * 3e6**-alpha), rel=1e-6)


def test_points_weigh_by_their_intervals():
    frame = table(sigma=0.05, seed=2)
    frame.loc[4, ["pu", "lower", "upper"]] = [1e-3, 1e-9, 0.5]  # far off, and says so
    law = TaskScaling().fit(frame)
    low, high = (norm.ppf(0.975) for _ in range(2))
    F, top, bottom = (curve(frame[k]) for k in ("pu", "lower", "upper"))
    sigma = ((top - F) / low + (F - bottom) / high) / 2
    by_numpy = np.polyfit(np.log(frame["N"]), F, 1, w=1 / sigma)
    assert law.params_["alpha"] == pytest.approx(-by_numpy[0], rel=1e-6)
    assert law.params_["alpha"] == pytest.approx(0.27, abs=0.05)


def test_units_of_size_do_not_matter():
    frame = table(sigma=0.1)
    one, two = TaskScaling().fit(frame), TaskScaling().fit(frame.assign(N=frame["N"] / 1e6))
    assert two.params_["alpha"] == pytest.approx(one.params_["alpha"])
    assert two.predict(2400.0)[0] == pytest.approx(one.predict(2.4e9)[0])


def test_intervals_cover_the_larger_model():
    truth = np.exp(-900 * 5e9**-0.27)
    hits = alpha = 0
    for seed in range(300):
        law = TaskScaling().fit(table(sigma=0.15, seed=seed))
        row = law.predict(5e9, interval=0.9).iloc[0]
        hits += row["lower"] <= truth <= row["upper"]
        interval = law.confint(0.9).loc["alpha"]
        alpha += interval["lower"] <= 0.27 <= interval["upper"]
    assert 0.86 <= hits / 300 <= 0.98
    assert 0.86 <= alpha / 300 <= 0.98


def test_intervals_widen_with_distance():
    found = TaskScaling().fit(table(sigma=0.1)).predict([5e8, 5e9, 5e10], interval=0.95)
    width = curve(found["lower"]) - curve(found["upper"])
    assert (np.diff(width) > 0).all()


def test_a_size_without_a_pass_bounds_the_line():
    frame = table(sigma=0.05)
    none = {"N": 1e7, "pu": 0.0, "lower": 0.0}
    fitted = TaskScaling().fit(frame)
    loose = pd.concat([pd.DataFrame([{**none, "upper": 1e-2}]), frame], ignore_index=True)
    with pytest.warns(CensoredWarning, match="1 of 6 rows have a pass rate of 0 or 1"):
        law = TaskScaling().fit(loose)
    assert law.params_["alpha"] == pytest.approx(
        fitted.params_["alpha"]
    )  # the line keeps the bound by itself
    tight = pd.concat([pd.DataFrame([{**none, "upper": 1e-7}]), frame], ignore_index=True)
    with pytest.warns(CensoredWarning):
        steep = TaskScaling().fit(tight)
    assert steep.params_["alpha"] > fitted.params_["alpha"]
    assert np.isfinite(list(steep.params_.values())).all()


def test_a_size_that_always_passes_bounds_it_from_the_other_side():
    frame = table(sigma=0.05)
    always = pd.DataFrame([{"N": 3e9, "pu": 1.0, "lower": 0.97, "upper": 1.0}])
    with pytest.warns(CensoredWarning):
        law = TaskScaling().fit(pd.concat([frame, always], ignore_index=True))
    assert law.params_["alpha"] > TaskScaling().fit(frame).params_["alpha"]


def test_what_it_refuses():
    frame = table(sigma=0.05)
    fit = TaskScaling().fit
    with pytest.raises(ValueError, match="at least 3 distinct sizes are needed, got 2"):
        fit(frame.iloc[:2])
    with pytest.raises(
        ValueError, match=r"ln\(-ln PU\) is infinite; give lower and upper .*, got 0 in row 0"
    ):
        fit(frame[["N", "pu"]].assign(pu=[0.0, 0.1, 0.2, 0.3, 0.4]))
    with pytest.raises(ValueError, match=r"ln\(-ln PU\) is infinite.*got 1 in row 4"):
        fit(frame[["N", "pu"]].assign(pu=[0.05, 0.1, 0.2, 0.3, 1.0]))
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got 1\.2 in row 0"):
        fit(frame.assign(pu=1.2))
    with pytest.raises(ValueError, match="lower <= rate <= upper must hold"):
        fit(frame.assign(lower=frame["upper"]))
    with pytest.raises(ValueError, match="parameters must be positive and finite, got -1 in row 0"):
        fit(frame.assign(N=-1.0))
    with pytest.raises(KeyError, match="no column 'pu'"):
        fit(frame.drop(columns="pu"))
    with pytest.raises(ValueError, match="weights= and fixed= are not supported"):
        fit(frame, weights=np.ones(5))
    with pytest.raises(ValueError, match="loss must be 'mse'"):
        TaskScaling(loss="huber").fit(frame)
    with pytest.raises(NotFittedError):
        TaskScaling().predict(1e9)
    with pytest.raises(ValueError, match="method must be 'hessian'"):
        fit(frame).confint(method="bootstrap")
    with pytest.raises(ValueError, match="scale must be one of"):
        fit(frame).plot(Figure().add_subplot(), scale="log")


def test_columns_can_be_named_and_the_law_cloned():
    frame = table(sigma=0.05).rename(columns={"N": "params", "pu": "rate"})
    law = clone(TaskScaling()).fit(frame, columns={"N": "params", "pu": "rate"})
    assert law.params_["alpha"] == pytest.approx(TaskScaling().fit(table(sigma=0.05)).params_["alpha"])


@pytest.mark.parametrize("scale", ["loglog", "semilog", "F"])
def test_plots_show_points_and_law(scale):
    frame = pd.concat([pd.DataFrame([{"N": 1e7, "pu": 0.0, "lower": 0.0, "upper": 1e-4}]), table(sigma=0.1)])
    with pytest.warns(CensoredWarning):
        law = TaskScaling().fit(frame.reset_index(drop=True))
    ax = law.plot(Figure().add_subplot(), scale=scale)
    shown = {len(one.get_xdata()) for one in ax.get_lines()}
    assert {100, 5, 1} <= shown
    line = max(ax.get_lines(), key=lambda one: len(one.get_xdata()))
    wanted = law.predict(line.get_xdata())
    assert line.get_ydata() == pytest.approx(curve(wanted) if scale == "F" else wanted)


# ---- item by item


def by_item(c, alpha, sizes=N) -> pd.DataFrame:
    rows = [
        {"item": s, "N": n, "p_mle": float(np.exp(-cs * n**-a)), "loss": float(cs * n**-a)}
        for s, (cs, a) in enumerate(zip(c, alpha, strict=True))
        for n in sizes
    ]
    return pd.DataFrame(rows)


def test_the_value_is_the_mean_of_rates_not_of_F():
    c, alpha = [300.0, 3000.0], [0.25, 0.3]
    law = InstanceTaskScaling().fit(by_item(c, alpha))
    assert law.items_["alpha"].to_numpy() == pytest.approx(alpha)
    wanted = np.mean([np.exp(-a * 2.4e9**-b) for a, b in zip(c, alpha, strict=True)])
    assert law.predict(2.4e9)[0] == pytest.approx(wanted)
    low, high = law.predict(2.4e9, interval=0.95).iloc[0][["lower", "upper"]]
    assert low <= wanted <= high


def test_the_loss_stands_in_where_nothing_or_everything_passed():
    c, alpha = [300.0, 3000.0], [0.25, 0.3]
    frame = by_item(c, alpha)
    truth = frame["p_mle"].copy()
    frame.loc[5, "p_mle"] = 0.0  # the hardest: the second item at the smallest size
    frame.loc[4, "p_mle"] = 1.0
    frame["lower"], frame["upper"] = 0.9 * frame["p_mle"], np.minimum(1.0, 1.1 * frame["p_mle"] + 1e-3)
    law = InstanceTaskScaling().fit(frame, loss="loss")
    assert law.n_from_loss_ == 2
    assert law.items_["alpha"].to_numpy() == pytest.approx(alpha, rel=1e-6)
    halved = frame.assign(loss=frame["loss"] / 2)  # another solution, twice as likely in logarithms
    assert InstanceTaskScaling().fit(halved, loss="loss").items_["c"].to_numpy() == pytest.approx(c, rel=1e-6)
    assert truth.between(0, 1).all()


def test_items_that_cannot_be_fitted_are_named():
    frame = by_item([300.0], [0.25])
    frame["lower"], frame["upper"] = 0.0, 1e-3
    frame["p_mle"] = 0.0
    with pytest.raises(ValueError, match="item 0: only 0 sizes have a rate strictly between 0 and 1"):
        InstanceTaskScaling().fit(frame)
    with pytest.raises(ValueError, match="at least 3 distinct sizes are needed, got 2"):
        InstanceTaskScaling().fit(by_item([300.0], [0.25], N[:2]))
    with pytest.raises(ValueError, match="losses must be positive and finite, got -1 in row 0"):
        InstanceTaskScaling().fit(by_item([300.0], [0.25]).assign(loss=-1.0), loss="loss")
    with pytest.raises(KeyError, match="no column 'nll'"):
        InstanceTaskScaling().fit(by_item([300.0], [0.25]), loss="nll")


# ---- emergence


@pytest.mark.parametrize(
    ("bend", "label"), [(0.0, "scaling law"), (0.06, "sub-scaling"), (-0.06, "accelerated emergence")]
)
def test_growth_is_named_by_its_curvature(bend, label):
    x = np.log(np.geomspace(1e7, 3e9, 7))
    F = 1.0 - 0.3 * (x - x.mean()) + 0.5 * bend * (x - x.mean()) ** 2
    sigma = 0.02
    F = F + sigma * np.random.default_rng(0).normal(size=7)
    half = 1.96 * sigma
    frame = pd.DataFrame(
        {
            "N": np.exp(x),
            "pu": inverse_curve(F),
            "lower": inverse_curve(F + half),
            "upper": inverse_curve(F - half),
        }
    )
    found = classify_emergence(frame)
    assert found.label == label
    assert found.lower < bend < found.upper
    assert TaskScaling().fit(frame).emergence_.label == label
    assert classify_emergence(frame[["N", "pu"]]).label == label


def test_the_law_is_called_emergent_at_the_rate_of_its_level():
    wrong = sum(classify_emergence(table(sigma=0.1, seed=s)).label != "scaling law" for s in range(300))
    assert wrong / 300 <= 0.09


def test_too_few_sizes_leave_it_open():
    with pytest.warns(UndeterminedWarning, match="at least 4 sizes .* got 3"):
        assert classify_emergence(table(sizes=N[:3])).label == "undetermined"


@given(
    st.lists(st.tuples(st.floats(0.5, 20), st.floats(0.02, 0.6)), min_size=2, max_size=6),
)
def test_many_steps_never_accelerate(steps):
    sizes = np.geomspace(1e5, 1e11, 61)
    alpha = np.array([a for _, a in steps])
    c = np.array([c for c, _ in steps]) * 1e8**alpha
    F = steps_curve(sizes, c, alpha)
    assert (np.diff(F, 2) >= -1e-9).all()
    product = np.exp(-np.outer(sizes**-1.0, np.zeros_like(c)) - c * sizes[:, None] ** -alpha).prod(axis=1)
    seen = (product > 1e-250) & (product < 1 - 1e-9)
    assert F[seen] == pytest.approx(np.log(-np.log(product[seen])), abs=1e-5)


def test_circuits_can_accelerate_and_one_is_a_line():
    sizes = np.geomspace(1e5, 1e11, 61)
    one = circuits_curve(sizes, [900.0], [0.3])
    assert np.diff(one, 2) == pytest.approx(0, abs=1e-9)
    two = circuits_curve(sizes, [5.0, 4000.0], [0.01, 0.4])
    assert np.diff(two, 2).min() < -1e-3
    mean = circuits_curve(sizes, [5.0, 4000.0], [0.01, 0.4], sharpness=0.0)
    nats = np.array([5.0, 4000.0]) * sizes[:, None] ** -np.array([0.01, 0.4])
    assert mean == pytest.approx(curve(np.exp(-nats).mean(axis=1)))
