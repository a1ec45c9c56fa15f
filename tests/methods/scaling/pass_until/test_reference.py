"""PassUntil against exact sums over the stopping rule, enumerated languages, textbook lines and log-sum-exps."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from sklearn.exceptions import NotFittedError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from broadsheet.methods.scaling import (
    CensoredWarning,
    CheckerError,
    HFSampler,
    InstanceTaskScaling,
    PassUntil,
    TaskScaling,
    TruncatedSamplingWarning,
    circuits_curve,
    classify_emergence,
    dataset_pass_rate,
    exact_pass_probability,
    expected_mle,
    pass_rate,
    pass_rate_interval,
    steps_curve,
)


def stopping_points(p: float, r: int, cap: int):
    """All ends of the sampling with their probabilities: the r-th pass at K <= cap, or the cap with fewer passes."""
    K = np.arange(r, cap + 1)
    reached = stats.nbinom.pmf(K - r, r, p)
    few = np.arange(r)
    capped = stats.binom.pmf(few, cap, p)
    passes = np.r_[np.full(len(K), r), few]
    samples = np.r_[K, np.full(r, cap)]
    return passes, samples, np.r_[np.zeros(len(K), bool), np.ones(r, bool)], np.r_[reached, capped]


def yes(item, text) -> bool:
    return text == "y"


class Coins:
    """Sample i of a seed passes with the item's rate, whatever the batch."""

    temperature = 1.0

    def __init__(self, rate: float = 0.05):
        self.rate, self.drawn = rate, []

    def sample(self, prompt, first, count, seed):
        self.drawn.append((prompt, first, count))
        return [
            "y" if np.random.default_rng((seed % 2**32, i)).random() < self.rate else "n"
            for i in range(first, first + count)
        ]


# --- the estimators -----------------------------------------------------------------------------------------------


@given(st.floats(0.005, 0.9), st.integers(2, 6), st.integers(6, 400))
@settings(max_examples=50)
def test_the_unbiased_estimate_is_unbiased_whatever_the_cap(p, r, cap):
    """The exact sum over all ends of the sampling, 1e-9 for the roundings of some hundred terms. (r-1)/(K-1) where r
    was reached and r'/K at the cap are the shares of paths whose first step passes, hence unbiased together.
    """
    passes, samples, capped, weight = stopping_points(p, r, cap)
    estimate = np.asarray(pass_rate(passes, samples, capped, method="unbiased"))
    assert weight.sum() == pytest.approx(1, abs=1e-9)
    assert (weight * estimate).sum() == pytest.approx(p, rel=1e-9)
    np.testing.assert_allclose(pass_rate(passes, samples, capped), passes / samples, rtol=1e-15)


@given(st.floats(0.02, 0.95), st.integers(1, 8))
@settings(max_examples=40)
def test_the_bias_of_the_maximum_likelihood_estimate_is_a_negative_binomial_sum(p, r):
    K = np.arange(r, r + 4000)  # at p = .02 and r = 8 what is left out is below 1e-25
    exact = (stats.nbinom.pmf(K - r, r, p) * r / K).sum()
    assert expected_mle(p, passes=r) == pytest.approx(exact, rel=1e-9)
    if r == 1:
        assert expected_mle(p) == pytest.approx(-p * np.log(p) / (1 - p), rel=1e-10)


@pytest.mark.parametrize("p", [1e-5, 1e-3, 0.5, 0.999])
def test_the_bias_for_one_pass_to_thirty_digits(p):
    with mpmath.workdps(30):
        exact = float(-mpmath.mpf(p) * mpmath.log(p) / (1 - mpmath.mpf(p)))
    assert expected_mle(p) == pytest.approx(exact, rel=1e-10)
    assert expected_mle(1.0) == pytest.approx(1, rel=1e-12)


@given(st.integers(1, 30), st.integers(1, 5000), st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=60)
def test_intervals_are_the_rates_at_which_a_tail_is_half_the_rest(r, more, level):
    """Tails of scipy's binomial inverted by a bracketed search: K <= k is r or more passes among k."""
    K, a = r + more, 1 - level
    low, high = pass_rate_interval(r, K, level=level)
    assert stats.binom.sf(r - 1, K, low) == pytest.approx(a / 2, rel=1e-6)
    assert stats.binom.cdf(r - 1, K - 1, high) == pytest.approx(a / 2, rel=1e-6)
    assert low == pytest.approx(stats.beta.ppf(a / 2, r, K - r + 1), rel=1e-9)
    assert high == pytest.approx(stats.beta.ppf(1 - a / 2, r, K - r), rel=1e-9)
    root = optimize.brentq(lambda p: stats.binom.sf(r - 1, K, p) - a / 2, 1e-12, 1 - 1e-12, xtol=1e-14)
    assert low == pytest.approx(root, rel=1e-6)


@given(st.integers(0, 30), st.integers(1, 5000))
@settings(max_examples=40)
def test_at_the_cap_intervals_are_clopper_and_pearsons(r, more):
    K = r + more
    low, high = pass_rate_interval(r, K, capped=True)
    peer = stats.binomtest(r, K).proportion_ci(0.95, method="exact")
    assert (low, high) == pytest.approx((peer.low, peer.high), rel=1e-7, abs=1e-14)


def test_no_pass_has_the_rule_of_three_point_seven():
    for K in (20, 1000, 100_000):
        low, high = pass_rate_interval(0, K, capped=True)
        assert low == 0
        assert high == pytest.approx(1 - 0.025 ** (1 / K), rel=1e-9)
    assert high == pytest.approx(3.7 / K, rel=0.01)
    assert pass_rate_interval(1, 1)[1] == 1.0


@pytest.mark.parametrize("p", [1e-3, 0.01, 0.1, 0.5])
@pytest.mark.parametrize(("r", "cap"), [(1, 300), (2, 2000), (5, 400)])
def test_intervals_cover_by_exact_sums(p, r, cap):
    """Ends in order - fewer passes at the cap, then later to earlier r-th passes - have consistent tails, so each tail
    misses at most a / 2: coverage is never below 95 %, and one tail misses no more than 2.5 %.
    """
    passes, samples, capped, weight = stopping_points(p, r, cap)
    low, high = pass_rate_interval(passes, samples, capped)
    assert weight[low > p].sum() <= 0.025 + 1e-9
    assert weight[high < p].sum() <= 0.025 + 1e-9


@pytest.mark.parametrize("p", [1e-2, 1e-3, 1e-4])
def test_coverage_of_rare_passes_is_close_to_nominal(p):
    """For small p the r-th pass has a nearly continuous law: 95 to 97 % by the exact sum (r = 4, no cap in reach)."""
    K = np.arange(4, int(60 / p))
    weight = stats.nbinom.pmf(K - 4, 4, p)
    low, high = pass_rate_interval(np.full(len(K), 4), K)
    held = weight[(low <= p) & (p <= high)].sum()
    assert 0.95 <= held <= 0.97


# --- sampling until a pass ----------------------------------------------------------------------------------------


@given(
    st.lists(st.booleans(), min_size=1, max_size=120),
    st.integers(1, 5),
    st.integers(1, 40),
    st.integers(1, 150),
)
@settings(max_examples=80)
def test_k_is_the_place_of_the_last_pass_and_not_of_the_batch(outcomes, r, batch, cap):
    """Known outcomes, fails for ever after: K by counting along the list."""
    cap = max(cap, r)

    class Script:
        def sample(self, prompt, first, count, seed):
            return ["y" if i < len(outcomes) and outcomes[i] else "n" for i in range(first, first + count)]

    places = [i + 1 for i, passed in enumerate(outcomes) if passed and i < cap]
    row = PassUntil(Script(), yes, r=r, max_samples=cap, batch_size=batch).run([{"prompt": "?"}]).iloc[0]
    reached = len(places) >= r
    assert row["K"] == (places[r - 1] if reached else cap)
    assert row["r"] == min(len(places), r)
    assert bool(row["capped"]) is not reached
    assert row["p_mle"] == pytest.approx(row["r"] / row["K"])
    low, high = pass_rate_interval(int(row["r"]), int(row["K"]), capped=not reached)
    assert (row["lower"], row["upper"]) == pytest.approx((low, high), rel=1e-12)


def test_batches_and_other_items_do_not_change_a_sample():
    items = [{"prompt": "a", "id": "a"}, {"prompt": "b", "id": "b"}, {"prompt": "c", "id": "c"}]
    tables = [PassUntil(Coins(), yes, r=3, batch_size=size, seed=7).run(items) for size in (1, 13, 500)]
    for other in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], other)
    alone = PassUntil(Coins(), yes, r=3, seed=7).run(items[1:2])
    assert alone["K"][0] == tables[0]["K"][1]
    other = PassUntil(Coins(), yes, r=3, seed=8).run(items)
    assert other["K"].tolist() != tables[0]["K"].tolist()
    # The plain callable's samples do not depend on the batch either.
    plain = [
        PassUntil(
            lambda prompt, n, seed: np.where(np.random.default_rng(seed).random(n) < 0.05, "y", "n").tolist(),
            yes, r=3, batch_size=size,
        ).run(items)["K"].tolist()
        for size in (1, 13, 500)
    ]  # fmt: skip
    assert plain[0] == plain[1] == plain[2]


def test_items_are_sampled_apart():
    """One prompt under two ids: with one stream for both they would pass at one place, 1 time in 1000 or so by chance."""
    table = PassUntil(Coins(0.001), yes, r=3, seed=1).run([{"prompt": "a", "id": i} for i in range(4)])
    assert table["K"].nunique() > 1


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    items = [{"prompt": f"{i}", "id": f"i{i}"} for i in range(4)]
    whole = PassUntil(Coins(), yes, r=2).run(items)

    def breaks(item, text):
        if item["id"] == "i2":
            raise OSError("gone")
        return yes(item, text)

    with pytest.raises(CheckerError, match="i2"):
        PassUntil(Coins(), breaks, r=2).run(items, journal=tmp_path / "journal")
    sampler = Coins()
    table = PassUntil(sampler, yes, r=2).run(items, journal=tmp_path / "journal")
    pd.testing.assert_frame_equal(table, whole)
    assert {prompt for prompt, *_ in sampler.drawn} == {"2", "3"}
    with pytest.raises(ValueError, match="journal"):
        PassUntil(Coins(), yes, r=3).run(items, journal=tmp_path / "journal")


def test_items_that_never_pass_stay_in_the_mean():
    table = pd.concat(
        [
            PassUntil(Coins(0.5), yes, r=2).run([{"prompt": "a", "id": "easy"}]),
            PassUntil(Coins(0.0), yes, r=2, max_samples=300).run([{"prompt": "b", "id": "never"}]),
        ]
    )
    row = dataset_pass_rate(table).iloc[0]
    assert (row["items"], row["passed"]) == (2, 1)
    assert row["pu"] == pytest.approx(table["p_mle"].sum() / 2)
    assert row["samples"] == table["K"].sum()
    assert row["lower"] <= row["pu"] <= row["upper"]


@pytest.mark.parametrize(
    ("r", "K", "capped"), [(20, 1000, False), (3, 1000, False), (0, 1000, True), (2, 1000, True)]
)
def test_the_interval_of_one_item_is_that_item_s(r, K, capped):
    """Drawn in place of inverted tails: 20,000 draws know a 2.5 % quantile to 1 to 2 %; 6 % is granted."""
    table = pd.DataFrame({"item": ["a"], "r": [r], "K": [K], "capped": [capped], "p_mle": [r / K]})
    table[["p_unbiased", "lower", "upper"]] = 0.0
    row = dataset_pass_rate(table, n_draws=20_000).iloc[0]
    low, high = pass_rate_interval(r, K, capped=capped)
    assert row["lower"] == pytest.approx(low, rel=0.06)
    assert row["upper"] == pytest.approx(high, rel=0.06)


def test_guessing_is_taken_off_where_that_is_asked_for():
    items = [{"prompt": "a", "chance": 0.25}]
    with pytest.raises(ValueError, match=r"chance.*0.25"):
        PassUntil(Coins(0.5), yes).run(items)
    row = PassUntil(Coins(0.5), yes, r=400, chance="subtract").run(items).iloc[0]
    assert row["p_mle"] == pytest.approx((400 / row["K"] - 0.25) / 0.75, rel=1e-12)
    low, high = pass_rate_interval(400, int(row["K"]))
    assert (row["lower"], row["upper"]) == pytest.approx(
        ((low - 0.25) / 0.75, (high - 0.25) / 0.75), rel=1e-9
    )
    worse = PassUntil(Coins(0.1), yes, r=50, chance="subtract").run(items).iloc[0]
    assert worse["p_mle"] == 0


# --- a language model ---------------------------------------------------------------------------------------------

LETTERS = "<abc"


@pytest.fixture(scope="module")
def speaker():
    raw = Tokenizer(models.WordLevel({letter: i for i, letter in enumerate(LETTERS)}, unk_token="<"))
    raw.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    raw.decoder = decoders.Fuse()  # letters are joined without blanks
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<", pad_token="<")
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=4,
        n_positions=24,
        n_embd=16,
        n_layer=2,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4.0 if weight.ndim == 2 else 1.0)  # sharper than at random, so that samples differ
    return model, tokenizer


def probability(model, prompt: str, answer: str, temperature: float = 1.0) -> float:
    """One token at a time, the end token at the end."""
    ids = [LETTERS.index(c) for c in prompt]
    total = 0.0
    for token in [*(LETTERS.index(c) for c in answer), 0]:
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, -1].double() / temperature
        total += float(torch.log_softmax(logits, 0)[token])
        ids.append(token)
    return float(np.exp(total))


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_exact_probabilities_are_products_of_token_probabilities(speaker, temperature):
    """Float32 against double: 1e-4."""
    model, tokenizer = speaker
    answers = ["a", "ab", "cab", "bbbb"]
    for prompt in ("a", "abc"):
        single = [probability(model, prompt, answer, temperature) for answer in answers]
        for answer, p in zip(answers, single, strict=True):
            found = exact_pass_probability(model, tokenizer, prompt, [answer], temperature=temperature)
            assert found == pytest.approx(p, rel=1e-4)
        together = exact_pass_probability(
            model, tokenizer, prompt, answers, temperature=temperature, batch_size=3
        )
        assert together == pytest.approx(sum(single), rel=1e-4)


def test_all_short_answers_and_all_longer_ones_make_one(speaker):
    """Ends within three tokens, and goes on after them: the second from products without an end."""
    model, tokenizer = speaker
    short = ["".join(s) for n in (1, 2) for s in itertools.product("abc", repeat=n)]
    total = exact_pass_probability(model, tokenizer, "ab", short)
    with torch.no_grad():
        first = float(torch.softmax(model(torch.tensor([[1, 2]])).logits[0, -1], 0)[0])  # ends at once
        longer = 0.0
        for text in itertools.product((1, 2, 3), repeat=3):
            logs = torch.log_softmax(model(torch.tensor([[1, 2, *text]])).logits[0], -1)
            longer += float(np.exp(sum(float(logs[1 + i, token]) for i, token in enumerate(text))))
    assert total + first + longer == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_samples_follow_the_model_s_distribution(speaker, temperature):
    """4000 samples against exact probabilities of the common answers, the rest as one cell: chi-square, fixed seed,
    refused below p = 1e-4.
    """
    model, tokenizer = speaker
    sampler = HFSampler(model, tokenizer, temperature=temperature, max_new_tokens=8)
    texts = sampler.sample("ab", 0, 4000, seed=5)
    answers = ["".join(s) for n in (1, 2, 3) for s in itertools.product("abc", repeat=n)]
    expected = np.array([probability(model, "ab", answer, temperature) for answer in answers]) * 4000
    counts = np.array([texts.count(answer) for answer in answers])
    common = expected > 8
    assert common.sum() >= 5
    observed = np.r_[counts[common], 4000 - counts[common].sum()]
    wanted = np.r_[expected[common], 4000 - expected[common].sum()]
    assert stats.chisquare(observed, wanted).pvalue > 1e-4


def test_a_sample_does_not_depend_on_its_batch(speaker):
    model, tokenizer = speaker
    sampler = HFSampler(model, tokenizer, max_new_tokens=8)
    whole = sampler.sample("ab", 0, 60, seed=3)
    parts = (
        sampler.sample("ab", 0, 7, seed=3)
        + sampler.sample("ab", 7, 40, seed=3)
        + sampler.sample("ab", 47, 13, seed=3)
    )
    assert parts == whole
    assert sampler.sample("ab", 0, 60, seed=4) != whole


def test_sampling_until_passes_agrees_with_the_exact_rate(speaker):
    """15 items at 95 %: 12 or more hold the exact rate but for one set of seeds in 200."""
    model, tokenizer = speaker
    answers = ["a", "ab", "cab", "bb", "ac"]
    items = [{"prompt": p, "answer": a, "id": f"{p}:{a}"} for p in ("a", "bc", "cab") for a in answers]
    until = PassUntil(
        HFSampler(model, tokenizer, max_new_tokens=8),
        lambda item, text: text == item["answer"],
        r=3,
        max_samples=4000,
    )
    table = until.run(items)
    exact = np.array([exact_pass_probability(model, tokenizer, i["prompt"], [i["answer"]]) for i in items])
    held = (table["lower"] <= exact) & (exact <= table["upper"])
    assert held.sum() >= 12
    assert (table["temperature"] == 1.0).all()


def test_truncated_and_greedy_sampling_are_met(speaker):
    model, tokenizer = speaker
    with pytest.warns(TruncatedSamplingWarning):
        HFSampler(model, tokenizer, top_p=0.9)
    with pytest.raises(ValueError, match="temperature"):
        HFSampler(model, tokenizer, temperature=0.0)

    class Greedy(Coins):
        temperature = 0.0

    with pytest.raises(ValueError, match="temperature"):
        PassUntil(Greedy(), yes)


# --- the law ------------------------------------------------------------------------------------------------------


@given(st.floats(0.05, 0.8), st.floats(0.2, 3.0), st.floats(1e-6, 1e6))
@settings(max_examples=40)
def test_exact_rates_give_their_law_back_in_any_unit(alpha, level, unit):
    """F = ln c - alpha ln N: -ln PU is ``level`` at 3e8. 1e-6: at PU = .95 the double logarithm loses two digits."""
    N = np.array([3e7, 1e8, 3e8, 1e9])
    c = level * 3e8**alpha
    law = TaskScaling().fit(pd.DataFrame({"N": N, "pu": np.exp(-c * N**-alpha)}))
    assert law.params_ == pytest.approx({"c": c, "alpha": alpha}, rel=1e-6)
    assert law.predict(2.4e9)[0] == pytest.approx(np.exp(-c * 2.4e9**-alpha), rel=1e-6)
    other = TaskScaling().fit(pd.DataFrame({"N": N * unit, "pu": np.exp(-c * N**-alpha)}))
    assert other.params_["alpha"] == pytest.approx(alpha, rel=1e-6)
    assert other.params_["c"] == pytest.approx(c * unit**alpha, rel=1e-4)


def noisy_points(seed: int = 0, bend: float = 0.0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    N = np.geomspace(1e7, 1e9, 6)
    F = 7 - 0.25 * np.log(N) + bend * (np.log(N) - np.log(1e8)) ** 2 + 0.03 * rng.standard_normal(6)
    sd, z = np.array([0.02, 0.05, 0.1, 0.03, 0.2, 0.08]), stats.norm.ppf(0.975)
    pu, lower, upper = (np.exp(-np.exp(F + shift)) for shift in (0, z * sd, -z * sd))
    return pd.DataFrame({"N": N, "pu": pu, "lower": lower, "upper": upper}), F, sd


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_line_weighs_by_the_width_of_intervals_on_its_own_scale(seed):
    frame, F, sd = noisy_points(seed)
    law = TaskScaling().fit(frame)
    slope, level = np.polyfit(np.log(frame["N"]), F, 1, w=1 / sd)
    assert (law.params_["alpha"], np.log(law.params_["c"])) == pytest.approx((-slope, level), rel=1e-7)
    plain = TaskScaling().fit(frame[["N", "pu"]])
    slope, level = np.polyfit(np.log(frame["N"]), F, 1)
    assert (plain.params_["alpha"], np.log(plain.params_["c"])) == pytest.approx((-slope, level), rel=1e-7)


def test_without_intervals_the_band_is_the_textbook_one_of_a_line():
    """Student's t about a mean of the line, carried through exp(-exp F), which turns it over."""
    frame, F, _ = noisy_points(3)
    x = np.log(frame["N"])
    law = TaskScaling().fit(frame[["N", "pu"]])
    fit = stats.linregress(x, F)
    rest = F - fit.intercept - fit.slope * x
    s2 = (rest**2).sum() / 4
    h = np.log(2.4e9)
    se = np.sqrt(s2 * (1 / 6 + (h - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()))
    middle, t = fit.intercept + fit.slope * h, stats.t.ppf(0.975, 4)
    row = law.predict(2.4e9, interval=0.95).iloc[0]
    assert row["pu"] == pytest.approx(np.exp(-np.exp(middle)), rel=1e-7)
    assert row["lower"] == pytest.approx(np.exp(-np.exp(middle + t * se)), rel=1e-6)
    assert row["upper"] == pytest.approx(np.exp(-np.exp(middle - t * se)), rel=1e-6)
    table = law.confint()
    half = t * fit.stderr
    assert table.loc["alpha", ["lower", "upper"]].tolist() == pytest.approx(
        [-fit.slope - half, -fit.slope + half], rel=1e-6
    )


def test_rates_of_zero_and_one_bound_the_line_and_never_break_it():
    frame, _, _ = noisy_points(4)
    for row, value, ends in ((0, 0.0, (0.0, 1e-5)), (5, 1.0, (0.99, 1.0))):
        spoilt = frame.copy()
        spoilt.loc[row, ["pu", "lower", "upper"]] = [value, *ends]
        with pytest.warns(CensoredWarning, match="1 of 6"):
            law = TaskScaling().fit(spoilt)
        assert law.n_censored_ == 1
        assert np.isfinite([*law.params_.values()]).all()
        predicted = law.predict(frame["N"].to_numpy())
        assert ((predicted > 0) & (predicted < 1)).all()
        with pytest.raises(ValueError, match=rf"pu.*row {row}"):
            TaskScaling().fit(spoilt[["N", "pu"]])


def test_a_bound_that_the_line_respects_costs_nothing():
    """Nothing passed at a small size, where the line through the others predicts less than the bound: it stays."""
    N = np.array([1e6, 3e7, 1e8, 3e8, 1e9])
    pu = np.exp(-800 * N**-0.25)
    frame = pd.DataFrame({"N": N, "pu": pu, "lower": pu * 0.9, "upper": np.minimum(pu * 1.1, 0.999)})
    frame.loc[0, ["pu", "lower", "upper"]] = [0.0, 0.0, 1e-3]  # the law says 1e-11
    with pytest.warns(CensoredWarning):
        law = TaskScaling().fit(frame)
    assert law.params_ == pytest.approx({"c": 800, "alpha": 0.25}, rel=1e-4)


def test_items_have_laws_of_their_own_and_the_rate_is_their_mean():
    """Mean of P and not mean of F: plain lines per item, then the mean."""
    rng = np.random.default_rng(0)
    N = np.geomspace(1e7, 1e9, 4)
    rows, expected = [], []
    for item in range(7):
        F = rng.uniform(5, 6) - rng.uniform(0.2, 0.3) * np.log(N) + 0.05 * rng.standard_normal(4)
        rows += [{"item": item, "N": n, "p_mle": np.exp(-np.exp(f))} for n, f in zip(N, F, strict=True)]
        slope, level = np.polyfit(np.log(N), F, 1)
        expected.append(np.exp(-np.exp(level + slope * np.log(2.4e9))))
    law = InstanceTaskScaling().fit(pd.DataFrame(rows))
    assert law.predict(2.4e9)[0] == pytest.approx(np.mean(expected), rel=1e-6)
    other = InstanceTaskScaling().fit(pd.DataFrame(rows).sample(frac=1, random_state=0))
    assert other.predict(2.4e9)[0] == pytest.approx(np.mean(expected), rel=1e-6)
    band = law.predict(2.4e9, interval=0.95).iloc[0]
    assert min(expected) <= band["lower"] < np.mean(expected) < band["upper"] <= max(expected)


def test_the_loss_of_the_solution_stands_in_where_nothing_passed():
    """-ln P is 1.3 times the loss, so F is ln loss plus a constant and the stand-in is exact."""
    N = np.geomspace(1e7, 1e9, 4)
    rows = []
    for item, c in (("a", 900.0), ("b", 1500.0)):
        rows += [{"item": item, "N": n, "p_mle": np.exp(-c * n**-0.3), "loss": c * n**-0.3 / 1.3} for n in N]
    frame = pd.DataFrame(rows)
    frame.loc[0, "p_mle"] = 0.0
    law = InstanceTaskScaling().fit(frame, loss="loss")
    assert law.n_from_loss_ == 1
    assert law.items_.set_index("item")["alpha"].tolist() == pytest.approx([0.3, 0.3], rel=1e-6)
    assert law.items_.set_index("item")["c"].tolist() == pytest.approx([900, 1500], rel=1e-5)


# --- emergence ----------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(1e-2, 1e5), st.floats(0.01, 1.0)), min_size=1, max_size=6))
@settings(max_examples=60)
def test_many_steps_are_a_convex_log_sum_exp(steps):
    """Second differences are not negative: 1e-10 of rounding. One step is a line; the value is the formula's."""
    c, alpha = zip(*steps, strict=True)
    N = np.geomspace(1e6, 1e11, 21)
    F = steps_curve(N, c, alpha)
    direct = np.log(sum(ci * N**-ai for ci, ai in steps))
    np.testing.assert_allclose(F, direct, rtol=1e-9, atol=1e-9)
    assert (np.diff(F, 2) >= -1e-10).all()
    product = np.exp(-sum(ci * N**-ai for ci, ai in steps))
    use = (product > 1e-300) & (product < 1 - 1e-6)
    np.testing.assert_allclose(F[use], np.log(-np.log(product[use])), rtol=1e-6, atol=1e-6)
    if len(steps) == 1:
        np.testing.assert_allclose(np.diff(F, 2), 0, atol=1e-9)


@given(
    st.lists(st.tuples(st.floats(0.1, 100), st.floats(0.01, 0.5)), min_size=1, max_size=4), st.floats(0, 3)
)
@settings(max_examples=40)
def test_circuits_are_a_softly_weighted_mean(circuits, sharpness):
    c, alpha = (np.array(v) for v in zip(*circuits, strict=True))
    N = np.geomspace(1e6, 1e10, 9)
    logs = -c[:, None] * N ** -alpha[:, None]
    weight = np.exp(sharpness * (logs - logs.max(0)))
    weight /= weight.sum(0)
    P = (weight * np.exp(logs)).sum(0)
    np.testing.assert_allclose(
        circuits_curve(N, c, alpha, sharpness), np.log(-np.log(P)), rtol=1e-6, atol=1e-6
    )


def test_curvature_is_that_of_a_parabola_with_its_interval():
    frame, F, sd = noisy_points(5, bend=0.05)
    x = np.log(frame["N"])
    plain, covariance = np.polyfit(x, F, 2, cov=True)
    found = classify_emergence(frame[["N", "pu"]])
    half = 2 * np.sqrt(covariance[0, 0]) * stats.t.ppf(0.975, 3)
    assert found.curvature == pytest.approx(2 * plain[0], rel=1e-6)
    assert (found.lower, found.upper) == pytest.approx((2 * plain[0] - half, 2 * plain[0] + half), rel=1e-4)
    weighted = np.polyfit(x, F, 2, w=1 / sd)
    assert classify_emergence(frame).curvature == pytest.approx(2 * weighted[0], rel=1e-6)


def test_labels_follow_the_sign_of_a_curvature_that_is_sure():
    N = np.geomspace(1e7, 1e9, 9)
    bend = (np.log(N) - np.log(1e8)) ** 2
    wave = 1e-3 * np.cos(np.arange(9) * 2.5)
    line = 6 - 0.3 * np.log(N) + wave
    for F, label in (
        (line, "scaling law"),
        (line + 0.05 * bend, "sub-scaling"),  # convex
        (line - 0.05 * bend, "accelerated emergence"),  # concave
        (steps_curve(N, [30.0, 4e5], [0.1, 0.7]), "sub-scaling"),
    ):
        frame = pd.DataFrame({"N": N, "pu": np.exp(-np.exp(F))})
        assert classify_emergence(frame).label == label
        assert classify_emergence(frame.sample(frac=1, random_state=0)).label == label
        assert TaskScaling().fit(frame).emergence_.label == label


# --- bad input ----------------------------------------------------------------------------------------------------


def test_a_checker_that_raises_stops_with_the_item_or_counts_as_a_fail():
    def boom(item, text):
        raise KeyError("boom")

    with pytest.raises(CheckerError, match=r"item7.*boom"):
        PassUntil(Coins(), boom).run([{"prompt": "a", "id": "item7"}])
    row = (
        PassUntil(Coins(), boom, on_error="fail", max_samples=50)
        .run([{"prompt": "a", "id": "item7"}])
        .iloc[0]
    )
    assert (row["r"], row["K"], row["capped"]) == (0, 50, True)


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"r": 0}, "r must"),
        ({"r": 5, "max_samples": 4}, "max_samples"),
        ({"batch_size": 0}, "batch_size"),
        ({"level": 95}, "level"),
    ],
)
def test_impossible_settings_are_refused(settings_, words):
    with pytest.raises(ValueError, match=words):
        PassUntil(Coins(), yes, **settings_)


def test_bad_items_and_samplers_are_refused():
    until = PassUntil(Coins(), yes)
    for items, words in (([], "at least one"), ([{"prompt": "a", "id": 1}, {"prompt": "b", "id": 1}], "differ"),
                         ([{"question": "a"}], "prompt")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            until.run(items)
    with pytest.raises(ValueError, match="returned 1"):
        PassUntil(lambda prompt, n, seed: ["n"], yes).run([{"prompt": "a"}])


def test_impossible_counts_and_rates_are_refused():
    for ask in (lambda: pass_rate_interval(0, 10), lambda: pass_rate_interval(5, 3), lambda: pass_rate(5, 3),
                lambda: pass_rate(-1, 3), lambda: pass_rate_interval(1, 10, level=95), lambda: pass_rate(1, 3, method="best"),
                lambda: expected_mle(0.0), lambda: expected_mle(1.1), lambda: expected_mle(0.1, passes=0)):  # fmt: skip
        with pytest.raises(ValueError, match=r"got|capped"):
            ask()
    assert np.isnan(pass_rate(1, 10, method="unbiased"))


def test_tables_that_the_law_cannot_read_are_refused():
    N = np.array([3e7, 1e8, 3e8, 1e9])
    frame = pd.DataFrame({"N": N, "pu": np.exp(-800 * N**-0.25)})
    for spoilt, words in (
        (frame.iloc[:2], "3 distinct sizes"),
        (frame.assign(N=1e8), "3 distinct sizes"),
        (frame.assign(pu=-0.1), "row 0"),
        (frame.assign(pu=1.5), "row 0"),
        (frame.assign(pu=np.nan), "row 0"),
        (frame.assign(N=0.0), "row 0"),
        (frame.assign(pu=[0.0, 0.1, 0.2, 0.3]), r"lower and upper.*row 0"),
        (frame.assign(pu=[0.1, 0.2, 0.3, 1.0]), r"lower and upper.*row 3"),
    ):
        with pytest.raises(ValueError, match=words):
            TaskScaling().fit(spoilt)
    rows = pd.concat([frame.assign(item=i) for i in "ab"]).rename(columns={"pu": "p_mle"})
    with pytest.raises(ValueError, match="sizes"):
        InstanceTaskScaling().fit(rows[rows["N"] < 2e8])
    law = TaskScaling().fit(frame)
    for ask in (
        lambda: law.predict(-1.0),
        lambda: law.predict(0.0),
        lambda: InstanceTaskScaling().fit(rows).predict(0),
    ):
        with pytest.raises(ValueError, match="N"):
            ask()
    for ask in (lambda: TaskScaling().predict(1e9), lambda: InstanceTaskScaling().predict(1e9)):
        with pytest.raises(NotFittedError):
            ask()
    with pytest.warns(UserWarning, match="4 sizes"):
        assert classify_emergence(frame.iloc[:3]).label == "undetermined"
