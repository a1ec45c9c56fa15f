"""Densities and their growth against closed forms, plain loops, textbook regression and published arithmetic."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from sklearn.exceptions import NotFittedError
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from broadsheet import data
from broadsheet.methods.scaling import (
    REFERENCE_MODELS,
    ConditionalLossLaw,
    DensingTrend,
    ExponentialTrend,
    LossToMetric,
    OneStepReference,
    ReferenceFamily,
    combined_doubling,
    conditional_loss,
    datasets,
    doubling_time,
    halving_time,
)
from broadsheet.methods.scaling.densing_law import ExtrapolationWarning


def loss_of(N, D, a=50.0, b=300.0, alpha=0.25, beta=0.3):
    return a * np.asarray(N, float) ** -alpha + b * np.asarray(D, float) ** -beta


def score_of(loss, floor=0.25, top=0.95, gamma=-3.0, middle=1.5):
    return (top - floor) / (1 + np.exp(-gamma * (loss - middle))) + floor


def family_runs() -> pd.DataFrame:
    N, D = (m.ravel() for m in np.meshgrid([1e7, 3e7, 1e8, 3e8], [1e9, 4e9, 2e10, 1e11]))
    runs = pd.DataFrame({"N": N, "D": D, "loss": loss_of(N, D)})
    return runs.assign(score=score_of(runs["loss"]))


@pytest.fixture(scope="module")
def family() -> ReferenceFamily:
    runs = family_runs()
    return ReferenceFamily().fit_loss(runs).fit_metric(runs, floor=0.25, ceiling=0.95)


def plain_envelope(dates, densities) -> list[tuple[pd.Timestamp, float]]:
    """Days in order; a day's best model sets a record if it beats all days before."""
    best, record = {}, []
    for day, value in zip(pd.to_datetime(dates), densities, strict=True):
        if not math.isnan(value):
            best[day] = max(value, best.get(day, 0.0))
    for day in sorted(best):
        if not record or best[day] > record[-1][1]:
            record.append((day, best[day]))
    return record


def releases(seed: int, n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    days = rng.integers(0, 600, n)
    return pd.DataFrame(
        {
            "date": pd.Timestamp("2023-02-24") + pd.to_timedelta(days, unit="D"),
            "density": 0.05 * np.exp(0.007 * days + rng.normal(0, 0.8, n)),
            "family": rng.choice(list("abcd"), n),
        }
    )


# --- two steps ----------------------------------------------------------------------------------------------------


@given(st.floats(0.26, 0.9), st.floats(1e11, 1e13))
@settings(max_examples=40)
def test_the_effective_size_is_the_inverse_in_closed_form(family, score, D0):
    """The fits are of exact data: constants to 1e-8 or so, which the exponent 1 / alpha = 4 and the logarithm of
    1 / (score - floor) enlarge: 1e-5.
    """
    row = family.effective_parameters([score], D0=D0).iloc[0]
    loss = 1.5 + np.log(0.7 / (score - 0.25) - 1) / 3.0
    assert row["loss"] == pytest.approx(loss, rel=1e-6, abs=1e-7)
    left = loss - 300 * D0**-0.3
    if left <= 0:
        assert np.isnan(row["N_effective"])
        assert row["reason"] == "tokens alone cost more"
        return
    assert row["N_effective"] == pytest.approx((left / 50) ** (-1 / 0.25), rel=1e-5)


@given(st.floats(7, 9), st.floats(11, 13))
@settings(max_examples=40)
def test_a_reference_of_the_same_size_has_density_one(family, log_N, log_D):
    N, D0 = 10**log_N, 10**log_D
    score = family.predict(N=[N], D=[D0])
    assert score[0] == pytest.approx(score_of(loss_of(N, D0)), rel=1e-7)
    assert family.density(score, [N], D0=D0)[0] == pytest.approx(1, rel=1e-5)
    assert family.density(score, [N / 3], D0=D0)[0] == pytest.approx(3, rel=1e-5)


def test_units_of_size_are_units_of_effective_size(family):
    """Sizes in millions: the coefficient takes up the unit, effective sizes come out in millions, densities alike."""
    runs = family_runs().assign(N=lambda f: f["N"] / 1e6)
    other = ReferenceFamily().fit_loss(runs).fit_metric(runs, floor=0.25, ceiling=0.95)
    scores = [0.3, 0.5, 0.7]
    first = family.effective_parameters(scores)["N_effective"].to_numpy()
    np.testing.assert_allclose(other.effective_parameters(scores)["N_effective"] * 1e6, first, rtol=1e-5)
    np.testing.assert_allclose(
        other.density(scores, [10.0] * 3), family.density(scores, [1e7] * 3), rtol=1e-5
    )


def test_the_first_step_has_no_offset_and_no_better_optimum():
    rng = np.random.default_rng(0)
    runs = family_runs()
    runs["loss"] *= np.exp(0.01 * rng.standard_normal(len(runs)))
    law = ConditionalLossLaw().fit(runs)
    assert set(law.params_) == {"a", "b", "alpha", "beta"}

    def objective(t):
        r = np.abs(
            np.log(runs["loss"])
            - np.log(np.exp(t[0]) * runs["N"] ** -t[2] + np.exp(t[1]) * runs["D"] ** -t[3])
        )
        return float(np.where(r <= 1e-3, r**2 / 2, 1e-3 * (r - 5e-4)).sum())

    p = law.params_
    here = [np.log(p["a"]), np.log(p["b"]), p["alpha"], p["beta"]]
    assert law.objective_ == pytest.approx(objective(here), rel=1e-8)
    for start in (here, [np.log(50), np.log(300), 0.25, 0.3]):
        other = optimize.minimize(
            objective, start, method="Nelder-Mead", options={"maxfev": 3000, "fatol": 1e-13}
        )
        assert law.objective_ <= other.fun + 1e-9


def test_the_second_step_is_curve_fit_s():
    """scipy's Levenberg-Marquardt on the formula; both stop at relative changes of 1e-8."""
    rng = np.random.default_rng(1)
    loss = np.linspace(0.2, 3, 25)
    frame = pd.DataFrame({"loss": loss, "score": score_of(loss) + 0.01 * rng.standard_normal(25)})
    frame["score"] = frame["score"].clip(0.2, 0.99)
    law = LossToMetric(floor=0.25, ceiling=0.95).fit(frame)
    (gamma, middle), _ = optimize.curve_fit(
        lambda x, g, m: score_of(x, gamma=g, middle=m),
        loss,
        frame["score"],
        [-3.0, 1.5],
        xtol=1e-14,
        ftol=1e-14,
    )
    assert law.gamma_ == pytest.approx(gamma, rel=1e-5)
    assert law.gamma_ < 0
    assert law.params_["l"] == pytest.approx(middle, rel=1e-6)
    assert law.height_ == pytest.approx(0.70, rel=1e-12)
    free = LossToMetric(floor=0.25, ceiling=None).fit(frame)
    (gamma, middle, top), _ = optimize.curve_fit(
        lambda x, g, m, t: score_of(x, top=t, gamma=g, middle=m), loss, frame["score"], [-3.0, 1.5, 0.95],
        xtol=1e-14, ftol=1e-14,
    )  # fmt: skip
    assert (free.gamma_, free.params_["l"], free.height_) == pytest.approx(
        (gamma, middle, top - 0.25), rel=1e-4
    )


@given(st.floats(0.5, 9), st.floats(0.2, 3), st.floats(0.0, 0.4), st.floats(0.01, 0.99))
@settings(max_examples=40)
def test_score_and_loss_invert_each_other(steepness, middle, floor, share):
    law = LossToMetric.from_params({"steepness": steepness, "l": middle}, floor=floor, ceiling=0.9)
    score = floor + share * (0.9 - floor)
    loss = law.inverse([score])[0]
    assert loss == pytest.approx(
        middle + np.log((0.9 - floor) / (score - floor) - 1) / steepness, rel=1e-9, abs=1e-9
    )
    if loss > 0:
        assert law.predict([loss])[0] == pytest.approx(score, rel=1e-9)
    assert np.isnan(law.inverse([floor, 0.9, floor / 2, 0.95])).all()


# --- one step -----------------------------------------------------------------------------------------------------


def reference_models(seed: int = 0, n: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    N, D = 10 ** rng.uniform(9, 11, n), 10 ** rng.uniform(11.5, 12.5, n)
    logit = -20 + 0.5 * np.log(N) + 0.3 * np.log(D) + 0.1 * rng.standard_normal(n)
    return pd.DataFrame({"N": N, "D": D, "acc": 0.25 + 0.75 / (1 + np.exp(-logit))})


@pytest.mark.parametrize("seed", [0, 1])
def test_one_step_is_linear_regression_of_the_logit(seed):
    frame = reference_models(seed)
    ref = OneStepReference(metric="acc", floor=0.25).fit(frame)
    s = (frame["acc"] - 0.25) / 0.75
    y = np.log(s / (1 - s)).to_numpy()
    X = np.c_[np.ones(len(frame)), np.log(frame["N"]), np.log(frame["D"])]
    w, (rss,), *_ = np.linalg.lstsq(X, y, rcond=None)
    np.testing.assert_allclose(ref.coef_, w, rtol=1e-7)
    covariance = rss / (len(y) - 3) * np.linalg.inv(X.T @ X)
    np.testing.assert_allclose(ref.covariance_, covariance, rtol=1e-6)
    assert ref.dof_ == len(y) - 3
    assert ref.r2_ == pytest.approx(1 - rss / ((y - y.mean()) ** 2).sum(), rel=1e-9)
    half = stats.t.ppf(0.95, ref.dof_) * np.sqrt(np.diag(covariance))
    table = ref.confint(level=0.9)
    np.testing.assert_allclose(table["lower"], w - half, rtol=1e-6)
    np.testing.assert_allclose(table["upper"], w + half, rtol=1e-6)
    # The size that reaches a score, solved by hand.
    for score in (0.3, 0.6, 0.9):
        target = np.log((score - 0.25) / (1 - score))
        N = np.exp((target - w[0] - w[2] * np.log(2e12)) / w[1])
        assert ref.effective_parameters([score], D0=2e12)["N_effective"][0] == pytest.approx(N, rel=1e-6)
        assert ref.predict([N], [2e12])[0] == pytest.approx(score, rel=1e-8)
        assert ref.density([score], [N], D0=2e12)[0] == pytest.approx(1, rel=1e-6)


def test_the_interval_of_an_effective_size_is_that_of_drawn_coefficients():
    """100,000 draws of a multivariate t by numpy; its 2.5 % quantile from some thousand draws is known to a few
    hundredths of the width: a tenth is granted.
    """
    ref = OneStepReference(metric="acc", floor=0.25).fit(reference_models(n=20))
    rng = np.random.default_rng(0)
    normal = rng.multivariate_normal(np.zeros(3), ref.covariance_, 100_000)
    draws = ref.coef_ + normal / np.sqrt(rng.chisquare(ref.dof_, 100_000) / ref.dof_)[:, None]
    target = np.log((0.6 - 0.25) / 0.4)
    ln_N = (target - draws[:, 0] - draws[:, 2] * np.log(1e12)) / draws[:, 1]
    low, high = np.quantile(ln_N, [0.025, 0.975])
    row = ref.effective_parameters([0.6], interval=0.95).iloc[0]
    assert np.log(row["lower"]) == pytest.approx(low, abs=0.1 * (high - low))
    assert np.log(row["upper"]) == pytest.approx(high, abs=0.1 * (high - low))


def test_rows_at_the_floor_or_ceiling_say_nothing_and_are_left_out():
    frame = reference_models()
    more = pd.concat([frame, pd.DataFrame({"N": [1e9, 1e9], "D": [1e12, 1e12], "acc": [0.2, 1.0]})])
    first = OneStepReference(metric="acc", floor=0.25).fit(frame)
    other = OneStepReference(metric="acc", floor=0.25).fit(more)
    np.testing.assert_allclose(other.coef_, first.coef_, rtol=1e-12)
    assert other.n_models_ == len(frame)


# --- the trend ----------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_envelope_and_line_are_those_of_a_plain_loop(seed):
    frame = releases(seed)
    record = plain_envelope(frame["date"], frame["density"])
    if len(record) < 2:
        return
    trend = DensingTrend().fit(frame)
    days = [(day - frame["date"].min()).days for day, _ in record]
    line = stats.linregress(days, np.log([value for _, value in record]))
    assert list(zip(trend.envelope_["date"], trend.envelope_["density"], strict=True)) == record
    assert pytest.approx(line.slope, rel=1e-8) == trend.A_
    assert pytest.approx(line.intercept, rel=1e-8, abs=1e-8) == trend.B_
    assert trend.doubling_days_ == pytest.approx(np.log(2) / line.slope, rel=1e-8)
    assert trend.r2_ == pytest.approx(line.rvalue**2, abs=1e-8)


@given(
    st.integers(0, 10_000), st.floats(0.01, 100), st.integers(-400, 300), st.randoms(use_true_random=False)
)
@settings(max_examples=20)
def test_what_the_trend_does_not_know(seed, factor, shift, random):
    """Order, copies, dominated models and missing densities change nothing; a factor of density moves B alone; all
    dates moved together move nothing.
    """
    frame = releases(seed)
    if len(plain_envelope(frame["date"], frame["density"])) < 2:
        return
    first = DensingTrend().fit(frame)
    order = list(range(len(frame)))
    random.shuffle(order)
    weak = frame.assign(density=frame["density"] * 0.01).iloc[5:]
    weak["date"] = frame["date"].max()
    missing = frame.iloc[:3].assign(density=np.nan)
    same = DensingTrend().fit(pd.concat([frame, frame, weak, missing]).iloc[::-1])
    for other in (DensingTrend().fit(frame.iloc[order]), same):
        assert (other.A_, other.B_, other.r2_) == pytest.approx((first.A_, first.B_, first.r2_), rel=1e-9)
    assert same.n_undefined_ == 3
    denser = DensingTrend().fit(frame.assign(density=frame["density"] * factor))
    assert pytest.approx(first.A_, rel=1e-7, abs=1e-12) == denser.A_
    assert pytest.approx(first.B_ + np.log(factor), abs=1e-7) == denser.B_
    moved = DensingTrend().fit(frame.assign(date=frame["date"] + pd.Timedelta(days=shift)))
    assert pytest.approx((first.A_, first.B_), rel=1e-9) == (moved.A_, moved.B_)
    origin = DensingTrend(origin=frame["date"].min() - pd.Timedelta(days=100)).fit(frame)
    assert pytest.approx(first.B_ - 100 * first.A_, abs=1e-7) == origin.B_


def test_the_interval_resamples_models_and_not_the_envelope():
    """2000 resamples by a plain loop, the envelope anew each time. A 2.5 % quantile of 2000 is known to 0.06 sd, the
    difference of two to 0.09: four of those.
    """
    frame = releases(3, n=60)
    rng = np.random.default_rng(1)
    first = frame["date"].min()
    slopes = []
    for _ in range(2000):
        part = frame.iloc[rng.integers(0, len(frame), len(frame))]
        record = plain_envelope(part["date"], part["density"])
        if len(record) > 1:
            days = np.array([(day - first).days for day, _ in record])
            slopes.append(np.polyfit(days, np.log([value for _, value in record]), 1)[0])
    table = DensingTrend().fit(frame).confint(n_boot=2000)
    low, high = np.quantile(slopes, [0.025, 0.975])
    sd = np.std(slopes)
    assert table.loc["A", "lower"] == pytest.approx(low, abs=0.36 * sd)
    assert table.loc["A", "upper"] == pytest.approx(high, abs=0.36 * sd)
    # A doubling time is ln 2 / A, so its ends are those of A the other way round.
    if table.loc["A", "lower"] > 0:
        assert table.loc["doubling_days", "lower"] == pytest.approx(
            np.log(2) / table.loc["A", "upper"], rel=1e-6
        )
        assert table.loc["doubling_days", "upper"] == pytest.approx(
            np.log(2) / table.loc["A", "lower"], rel=1e-6
        )
    again = DensingTrend().fit(frame).confint(n_boot=2000)
    pd.testing.assert_frame_equal(table, again)


def test_leaving_families_out_is_fitting_without_them():
    frame = releases(5, n=60)
    trend = DensingTrend().fit(frame, family="family")
    table = trend.influence().set_index("without")
    assert set(table.index) == set(trend.envelope_["family"])
    for name in table.index:
        rest = DensingTrend(origin=frame["date"].min()).fit(frame[frame["family"] != name])
        excluded = DensingTrend(origin=frame["date"].min()).fit(frame, family="family", exclude=[name])
        assert table.loc[name, "A"] == pytest.approx(rest.A_, rel=1e-9)
        assert pytest.approx(rest.A_, rel=1e-12) == excluded.A_
        assert table.loc[name, "doubling_days"] == pytest.approx(np.log(2) / rest.A_, rel=1e-9)


@given(st.floats(-0.05, 0.05).filter(lambda a: abs(a) > 1e-3), st.floats(-3, 3))
@settings(max_examples=20)
def test_exponential_trends_are_lines_of_logarithms(rate, level):
    t = np.arange(0.0, 300.0, 25.0)
    y = np.exp(level + rate * t + 0.1 * np.sin(t))
    line = stats.linregress(t, np.log(y))
    trend = ExponentialTrend().fit(pd.DataFrame({"t": t, "y": y}))
    assert (trend.params_["A"], trend.params_["B"]) == pytest.approx(
        (line.slope, line.intercept), rel=1e-7, abs=1e-8
    )
    assert trend.doubling_ == pytest.approx(np.log(2) / line.slope, rel=1e-6)


# --- conditional loss ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def speaker():
    letters = {letter: i for i, letter in enumerate("<abcdefgh 0123")}
    raw = Tokenizer(models.WordLevel(letters, unk_token="<"))
    raw.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<", pad_token="<")
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=len(letters), n_positions=32, n_embd=16, n_layer=2, n_head=2)
    ).eval()
    return model, tokenizer, letters


def test_conditional_losses_are_sums_over_answer_tokens(speaker):
    """One pair at a time, one token at a time, without padding; float32 sums of ten terms agree to 1e-5."""
    model, tokenizer, letters = speaker
    pairs = [("abc ", "01"), ("a", "0123 ab"), ("abcdefgh", "3"), ("ha ha ", "a1b2c3")]
    table = conditional_loss(model, tokenizer, pairs, batch_size=3)
    whole = conditional_loss(model, tokenizer, pairs, batch_size=1)
    for (prompt, answer), row in zip(pairs, table.itertuples(), strict=True):
        ids = [letters[c] for c in prompt + answer]
        total = 0.0
        for i in range(len(prompt), len(ids)):
            with torch.no_grad():
                logits = model(torch.tensor([ids[:i]])).logits[0, -1].double()
            total -= float(torch.log_softmax(logits, 0)[ids[i]])
        assert row.tokens == len(answer)
        assert row.loss_sum == pytest.approx(total, rel=1e-5)
        assert row.loss_mean == pytest.approx(total / len(answer), rel=1e-5)
    np.testing.assert_allclose(table["loss_sum"], whole["loss_sum"], rtol=1e-5)


def test_all_answers_of_one_token_share_the_probability_one(speaker):
    model, tokenizer, letters = speaker
    table = conditional_loss(model, tokenizer, [("abc", c) for c in letters if c != "<"])
    with torch.no_grad():
        logits = model(torch.tensor([[letters[c] for c in "abc"]])).logits[0, -1]
    rest = 1 - float(torch.softmax(logits, 0)[0])
    assert np.exp(-table["loss_sum"]).sum() == pytest.approx(rest, rel=1e-5)


# --- published ----------------------------------------------------------------------------------------------------


def test_published_arithmetic():
    """What the text prints, and where its own figures disagree by more than rounding."""
    assert doubling_time(0.0073) == pytest.approx(94.95, abs=0.005)
    assert pytest.approx(266.7, abs=0.05) == 20 / 0.075
    assert halving_time(20, 0.075, 20) == pytest.approx(2.48, abs=0.005)
    assert halving_time(20, 0.075, 21) == pytest.approx(2.6, abs=0.05)  # the printed 2.6 needs 21 months
    assert combined_doubling(95, 767) == pytest.approx(84.5, abs=0.05)
    assert combined_doubling(3.3 * 30.44, 767) == pytest.approx(
        88, abs=1
    )  # the printed 88 comes from 3.3 months
    assert doubling_time(0.0048) / doubling_time(0.0073) == pytest.approx(1.52, abs=0.005)


@given(st.lists(st.floats(0.1, 1e4), min_size=1, max_size=5))
@settings(max_examples=30)
def test_rates_of_a_product_add(times):
    total = combined_doubling(*times)
    t = 3.0
    assert 2 ** (t / total) == pytest.approx(math.prod(2 ** (t / one) for one in times), rel=1e-9)


def test_counts_of_the_reference_shapes():
    """Attention, gated feed-forward part, two norms a layer and one more make the published counts to the last
    weight, without embeddings. With a vocabulary V: V d more, twice if untied.
    """
    for s in REFERENCE_MODELS:
        attention = 2 * s.width * s.heads * s.head_width + 2 * s.width * s.kv_heads * s.head_width
        layer = attention + 3 * s.width * s.hidden + 2 * s.width
        assert s.parameters() == s.layers * layer + s.width == s.published
        assert s.parameters(1000) == s.published + 1000 * s.width
        assert s.parameters(1000, tied=False) == s.published + 2000 * s.width
    assert [s.published for s in REFERENCE_MODELS] == [
        5_247_232, 31_470_080, 106_196_736, 245_416_960, 476_852_480, 828_225_024,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def open_models() -> pd.DataFrame:
    path = data.where("obs-base-llm-benchmark-eval")
    if path is None:
        pytest.skip("obs-base-llm-benchmark-eval is not on this machine: name its folder in BROADSHEET_DATA")
    table = datasets.load_observational_scores(path).merge(datasets.load_release_dates(), on="Model")
    assert len(table) == 65
    return table.assign(N=table["Model Size (B)"] * 1e9, D=table["Pretraining Data Size (T)"] * 1e12)


@pytest.mark.filterwarnings("ignore::broadsheet.methods.scaling.densing_law.ExtrapolationWarning")
def test_growth_among_open_models_depends_on_the_benchmark(open_models):
    """MMLU doubles in 70 to 125 days (published 95); HellaSwag several times slower, GSM8K faster. Each against a
    plain computation from the table to rounding.
    """
    doubling = {}
    llama = open_models[open_models["Model Family"].isin(["Llama", "Llama-2"])]
    assert len(llama) == 7
    for metric, floor in (("MMLU", 0.25), ("HellaSwag", 0.25), ("GSM8K", 0.0)):
        density = (
            OneStepReference(metric=metric, floor=floor)
            .fit(llama)
            .density(open_models[metric], open_models["N"])
        )
        trend = DensingTrend(origin="2023-02-24").fit(
            open_models.assign(density=density), date="Release Date"
        )
        logit = np.log((llama[metric] - floor) / (1 - llama[metric]))
        w = np.linalg.lstsq(np.c_[np.ones(7), np.log(llama["N"]), np.log(llama["D"])], logit, rcond=None)[0]
        with np.errstate(invalid="ignore", divide="ignore"):
            target = np.log((open_models[metric] - floor) / (1 - open_models[metric]))
        rho = np.exp((target - w[0] - w[2] * np.log(1e12)) / w[1]) / open_models["N"]
        record = plain_envelope(open_models["Release Date"], rho)
        days = [(day - pd.Timestamp("2023-02-24")).days for day, _ in record]
        slope = np.polyfit(days, np.log([value for _, value in record]), 1)[0]
        assert pytest.approx(slope, rel=1e-6) == trend.A_
        assert len(trend.envelope_) == len(record)
        doubling[metric] = trend.doubling_days_
    assert 70 < doubling["MMLU"] < 125
    assert doubling["HellaSwag"] > 2 * doubling["MMLU"]
    assert doubling["GSM8K"] < 0.75 * doubling["MMLU"]


# --- bad input ----------------------------------------------------------------------------------------------------


def test_undefined_sizes_are_nan_with_their_reason(family):
    ref = OneStepReference(metric="acc", floor=0.25).fit(reference_models())
    for one in (ref, family):
        table = one.effective_parameters([0.1, 0.25, 0.5, 0.99 if one is family else 1.0, np.nan])
        assert table["N_effective"].isna().tolist() == [True, True, False, True, True]
        assert table["reason"].tolist() == [
            "at or below the floor", "at or below the floor", "", "at or above the ceiling", "missing",
        ]  # fmt: skip
    density = ref.density(pd.Series([0.1, 0.5, 1.0]), [1e9] * 3)
    assert density.isna().tolist() == [True, False, True]


def test_percent_and_fractions_are_told_apart(family):
    frame = reference_models()
    with pytest.raises(ValueError, match="percent"):
        OneStepReference(metric="acc", floor=0.25).fit(frame.assign(acc=frame["acc"] * 100))
    mixed = frame.copy()
    mixed.loc[2, "acc"] *= 100
    with pytest.raises(ValueError, match="mixed"):
        OneStepReference(metric="acc", floor=0.25).fit(mixed)
    ref = OneStepReference(metric="acc", floor=0.25).fit(frame)
    for one in (ref, family):
        with pytest.raises(ValueError, match="percent"):
            one.effective_parameters([50.0, 0.5])
    with pytest.raises(ValueError, match="percent"):
        ReferenceFamily().fit_metric(family_runs().assign(score=lambda f: f["score"] * 100))


def test_experts_have_two_sizes(family):
    frame = reference_models()
    moe = frame.assign(N_active=frame["N"] / 4)
    with pytest.raises(ValueError, match="N_kind"):
        OneStepReference(metric="acc", floor=0.25).fit(moe)
    with pytest.raises(ValueError, match="N_kind"):
        ReferenceFamily().fit_loss(family_runs().assign(N_active=lambda f: f["N"] / 4))
    dense = OneStepReference(metric="acc", floor=0.25).fit(frame).coef_
    total = OneStepReference(metric="acc", floor=0.25).fit(moe, N_kind="total").coef_
    active = OneStepReference(metric="acc", floor=0.25).fit(moe, N_kind="active").coef_
    np.testing.assert_allclose(total, dense, rtol=1e-12)
    np.testing.assert_allclose(active, dense + np.array([dense[1] * np.log(4), 0, 0]), rtol=1e-8)


def test_references_that_do_not_grow_are_refused():
    frame = reference_models().sort_values("N")
    shrinking = frame.assign(acc=np.sort(frame["acc"])[::-1])
    with pytest.raises(ValueError, match="does not grow"):
        OneStepReference(metric="acc", floor=0.25).fit(shrinking)
    with pytest.raises(ValueError, match="at least 4"):
        OneStepReference(metric="acc", floor=0.25).fit(frame.iloc[:3])
    with pytest.raises(ValueError, match="differ"):
        OneStepReference(metric="acc", floor=0.25).fit(frame.assign(N=7e9))
    runs = family_runs()
    with pytest.raises(ValueError, match="does not fall"):
        ReferenceFamily().fit_loss(runs).fit_metric(runs.assign(score=1.2 - runs["score"]), floor=0.2)


def test_sizes_far_beyond_the_reference_are_said():
    ref = OneStepReference(metric="acc", floor=0.25).fit(reference_models())
    far = ref.predict([ref.N_range_[1] * 11], [1e12])
    near = ref.predict([ref.N_range_[1] * 9], [1e12])
    with pytest.warns(ExtrapolationWarning, match="10 times"):
        ref.density(far, [1e9])
    ref.density(near, [1e9])


def test_bad_dates_and_densities_are_refused():
    frame = releases(0)
    for spoilt, words in (
        (frame.assign(date="2023-03-01"), "2023-03-01"),
        (frame.assign(date="soon"), "'soon' in row 0"),
        (frame.assign(density=-1.0), "row 0"),
        (frame.assign(density=0.0), "row 0"),
        (frame.assign(density=np.inf), "row 0"),
        (frame.assign(date=frame["date"] + pd.Timedelta(days=50_000)), "lies after"),
    ):
        with pytest.raises(ValueError, match=words):
            DensingTrend().fit(spoilt)
    with pytest.raises(ValueError, match="lies after"):
        DensingTrend().fit(frame, today=dt.date(2023, 3, 1))
    days = pd.date_range("2023-03-01", periods=4, freq="90D")
    with pytest.raises(ValueError, match="single point"):
        DensingTrend().fit(pd.DataFrame({"date": days, "density": [4.0, 3.0, 2.0, 1.0]}))
    with pytest.raises(ValueError, match="'z'"):
        DensingTrend().fit(frame, family="family", exclude=["z"])


def test_few_envelope_points_have_a_slope_but_no_interval():
    days = pd.date_range("2023-03-01", periods=3, freq="90D")
    trend = DensingTrend().fit(pd.DataFrame({"date": days, "density": [1.0, 2.0, 4.0]}))
    assert trend.doubling_days_ == pytest.approx(90, rel=1e-9)
    for ask in (trend.confint, trend.bootstrap, lambda: trend.predict("2024-01-01", interval=0.95)):
        with pytest.raises(ValueError, match="at least 4"):
            ask()


def test_other_bad_arguments_are_refused(family):
    ref = OneStepReference(metric="acc", floor=0.25).fit(reference_models())
    for one in (ref, family):
        with pytest.raises(ValueError, match="D0"):
            one.effective_parameters([0.5], D0=0)
        with pytest.raises(ValueError, match="N"):
            one.density([0.5], [0.0])
        with pytest.raises(ValueError, match="interval"):
            one.effective_parameters([0.5], interval=95)
    with pytest.raises(ValueError, match="20"):
        DensingTrend().fit(releases(3)).confint(n_boot=19)
    for ask in (lambda: OneStepReference().density(0.5, 1e9), lambda: ReferenceFamily().predict(1e9, 1e12),
                lambda: DensingTrend().confint()):  # fmt: skip
        with pytest.raises(NotFittedError):
            ask()
    for ask in (
        lambda: doubling_time(0),
        lambda: halving_time(1, 2, 3),
        combined_doubling,
        lambda: combined_doubling(3, -1),
    ):
        with pytest.raises(ValueError, match=r"got|give"):
            ask()
