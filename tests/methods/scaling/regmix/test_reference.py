"""RegMix against plain LightGBM, scikit-learn and scipy, closed forms, and the authors' published runs."""

from __future__ import annotations

import itertools
import warnings

import lightgbm
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge

from broadsheet import data
from broadsheet.methods.scaling import MixtureWarning, ProxyRunner, RegMix, interleave, sample_mixtures
from broadsheet.methods.scaling.datasets import load_regmix

# Tokens of the Pile's domains as the authors give them.
PILE = {
    "arxiv": 0.113285273,
    "freelaw": 0.079608651,
    "nih_exporter": 0.003913491,
    "pubmed_central": 0.185375901,
    "wikipedia_en": 0.051081359,
    "dm_mathematics": 0.015962925,
    "github": 0.101750772,
    "philpapers": 0.003707518,
    "stackexchange": 0.066529351,
    "enron_emails": 0.001750772,
    "gutenberg_pg_19": 0.027085479,
    "pile_cc": 0.236869207,
    "ubuntu_irc": 0.01184346,
    "europarl": 0.007929969,
    "hackernews": 0.008032956,
    "pubmed_abstracts": 0.038825953,
    "uspto_backgrounds": 0.046446962,
}
# Spearman x 100 on 256 unseen mixtures, as the authors' notebook prints them; the five hardest and easiest.
NOTEBOOK = {
    "github": 99.77,
    "dm_mathematics": 97.20,
    "pile_cc": 98.92,
    "ubuntu_irc": 96.87,
    "hackernews": 98.51,
}


def published(split="train", scale="1m"):
    if data.where(f"regmix-{split}-mixture-{scale.lower()}") is None:
        pytest.skip(
            "the published runs of RegMix are not on this machine: name their folder in BROADSHEET_DATA"
        )
    return load_regmix(split, scale)


@pytest.fixture(scope="module")
def trees() -> RegMix:
    mixtures, losses = published()
    return RegMix(target="pile_cc").fit(mixtures, losses[list(NOTEBOOK)])


@pytest.fixture(scope="module")
def line() -> RegMix:
    mixtures, losses = published()
    return RegMix("linear", target="pile_cc").fit(mixtures, losses)


def normalised(mixtures):
    return mixtures.div(mixtures.sum(axis=1), axis=0)


def dirichlet(n, domains=4, seed=0, concentration=1.0):
    rng = np.random.default_rng(seed)
    names = [f"d{i}" for i in range(domains)]
    return pd.DataFrame(rng.dirichlet(np.full(domains, concentration), n), columns=names)


def linear_losses(mixtures, slopes, constant=3.0):
    return (mixtures @ np.asarray(slopes) + constant).rename("loss")


# Mixtures


def test_mixtures_have_the_moments_of_their_dirichlets():
    """Without bounds, rounding and traces: mean m, and variance m (1 - m) E[1 / (s + 1)] over 15 strengths.

    Weak strengths are left out: among them are copies of the corners, which are refused as duplicates.
    """
    prior = np.array([0.6, 0.3, 0.1])
    m = prior**0.5 / (prior**0.5).sum()
    n = 6_000
    drawn = sample_mixtures(prior, n, strengths=(1.5, 20.0), max_epochs=1e9, minimum=0).to_numpy()
    spread = (1 / (np.geomspace(1.5, 20.0, 15) + 1)).mean()
    variance = m * (1 - m) * spread
    # Four standard errors of a mean, and of a variance (at most those of a normal distribution of that variance).
    assert np.abs(drawn.mean(axis=0) - m).max() < 4 * np.sqrt(variance.max() / n)
    assert drawn.var(axis=0) == pytest.approx(variance, rel=4 * np.sqrt(2 / n))
    assert np.cov(drawn.T)[0, 1] == pytest.approx(-m[0] * m[1] * spread, rel=0.1)


@pytest.mark.parametrize("strength", [2.0, 8.0])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_at_one_strength_each_share_has_a_beta_distribution(strength, temperature):
    prior = np.array([0.5, 0.3, 0.2])
    m = prior**temperature / (prior**temperature).sum()
    drawn = sample_mixtures(
        prior, 1_500, temperature=temperature, strengths=(strength, strength), max_epochs=1e9, minimum=0
    )
    for i in range(3):
        law = stats.beta(strength * m[i], strength * (1 - m[i]))
        assert stats.kstest(drawn.iloc[:, i], law.cdf).pvalue > 1e-3  # fixed seed, twelve tests in all


def test_bounds_are_taken_from_the_prior_before_it_is_flattened():
    """A domain of 1 % may get 15 %; of its flattened 9 % the bound would be all."""
    drawn = sample_mixtures({"rare": 1, "common": 99}, 400, strengths=(1.0, 5.0))
    assert 0.12 < drawn["rare"].max() <= 0.15 + 1e-9
    once = sample_mixtures({"a": 20, "b": 30, "c": 50}, 60, max_epochs=1.5)
    assert (once <= np.array([0.3, 0.45, 0.75]) + 1e-9).all().all()


@settings(max_examples=25)
@given(
    prior=st.lists(st.floats(0.5, 50), min_size=3, max_size=6),
    seed=st.integers(0, 1000),
    minimum=st.sampled_from([2e-4, 1e-3]),
)
def test_mixtures_lie_on_the_simplex_within_bounds_and_differ(prior, seed, minimum):
    drawn = sample_mixtures(prior, 40, seed=seed, minimum=minimum)
    rows = drawn.to_numpy()
    share = np.array(prior) / sum(prior)
    assert rows.shape == (40, len(prior))
    assert rows.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert (rows <= np.minimum(15 * share, 1) + 1e-9).all()
    # Rounding to multiples of the minimum: after the last normalisation off by the rounding of the sum at most.
    assert (rows[rows > 0] > minimum * (1 - len(prior) * minimum)).all()
    counts = rows / minimum
    assert np.abs(counts - np.round(counts)).max() < len(prior) * 0.5 + 1e-6
    distance = np.abs(rows[:, None] - rows[None]).sum(-1) + 2 * np.eye(40)
    assert distance.min() > 1e-5
    assert np.array_equal(rows, sample_mixtures(prior, 40, seed=seed, minimum=minimum).to_numpy())


def drawn_by_hand(prior, n, rng, *, minimum=2e-4, epochs=15.0, multiple=100):
    """Mixtures by the paper's recipe, step by step: candidates, bounds, traces, rounding, duplicates, choice."""
    prior = prior / prior.sum()
    flat = prior**0.5 / (prior**0.5).sum()
    strengths = rng.choice(np.geomspace(0.1, 5.0, 15), size=multiple * n)
    candidates = np.array([rng.dirichlet(flat * strength) for strength in strengths])
    candidates = candidates[(candidates <= np.minimum(epochs * prior, 1.0)).all(axis=1)]
    candidates[candidates < minimum] = 0.0
    candidates = np.round(candidates / candidates.sum(axis=1, keepdims=True) / minimum) * minimum
    candidates = np.unique(np.round(candidates / minimum).astype(int), axis=0) * minimum
    return candidates[rng.choice(len(candidates), n, replace=False)]


def test_mixtures_are_distributed_as_those_of_the_recipe():
    prior = np.array(list(PILE.values()))
    theirs = drawn_by_hand(prior, 200, np.random.default_rng(0))
    ours = sample_mixtures(PILE, 1_000)
    assert list(ours.columns) == list(PILE)
    ours = ours.to_numpy()
    # The last normalisation moves shares by a rounding of the sum, some 1e-4 of themselves: rounded away.
    for i in range(len(prior)):
        assert (
            stats.ks_2samp(ours[:, i].round(3), theirs[:, i].round(3)).pvalue > 1e-3
        )  # fixed seeds, 20 tests
    for statistic in (lambda m: (m > 0).sum(axis=1), lambda m: m.max(axis=1), lambda m: (m**2).sum(axis=1)):
        assert stats.ks_2samp(statistic(ours), statistic(theirs)).pvalue > 1e-3


# Regressors


def test_trees_are_those_of_plain_lightgbm(trees):
    """The notebook's settings without its stop on the test mixtures, on rows that sum to 1."""
    mixtures, losses = published()
    test, _ = published("test")
    plain = lightgbm.LGBMRegressor(
        boosting_type="gbdt",
        objective="regression",
        n_estimators=1000,
        learning_rate=0.01,
        seed=42,
        verbosity=-1,
        num_threads=1,
        deterministic=True,
    ).fit(normalised(mixtures).to_numpy(), losses["pile_cc"].to_numpy())
    # The same trees: sums over leaves in float64, where the order may differ.
    assert trees.predict(test) == pytest.approx(plain.predict(normalised(test).to_numpy()), abs=1e-9)


@pytest.mark.parametrize("regressor", ["linear", Ridge(alpha=0.3)])
def test_lines_are_those_of_scikit_learn(regressor):
    mixtures, losses = published()
    test, _ = published("test")
    model = RegMix(regressor, target="pile_cc").fit(mixtures, losses)
    peer = LinearRegression() if isinstance(regressor, str) else clone(regressor)
    peer.fit(normalised(mixtures), losses["pile_cc"])
    # Least squares on collinear shares: condition number below 1e4.
    assert model.predict(test) == pytest.approx(peer.predict(normalised(test)), abs=1e-9)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_a_quadratic_of_shares_is_fitted_exactly(seed):
    rng = np.random.default_rng(seed)
    mixtures = dirichlet(80, 4, seed)
    form = rng.normal(size=(4, 4))
    losses = (
        (mixtures.to_numpy() @ form * mixtures.to_numpy()).sum(axis=1) + mixtures @ rng.normal(size=4) + 4
    )
    model = RegMix("quadratic").fit(mixtures, losses.rename("loss"))
    new = dirichlet(30, 4, seed + 1)
    expected = (new.to_numpy() @ form * new.to_numpy()).sum(axis=1)
    slopes = np.random.default_rng(seed)
    slopes.normal(size=(4, 4))
    expected = expected + new.to_numpy() @ slopes.normal(size=4) + 4
    assert model.predict(new) == pytest.approx(expected, abs=1e-6)


# Published figures


def test_every_domain_is_within_half_a_point_of_the_notebook(trees):
    found = trees.evaluate(*published("test"))["spearman"] * 100
    for name, value in NOTEBOOK.items():
        # The gate of half a point: versions of LightGBM move the second decimal, stopping early up to .1.
        assert found[name] == pytest.approx(value, abs=0.5), name


@pytest.mark.parametrize(
    ("scale", "of_trees", "of_line"), [("1m", 99.01, 90.21), ("60m", 98.57, 89.33), ("1B", 96.15, 87.66)]
)
def test_ranks_transfer_to_larger_models_and_trees_beat_a_line(trees, line, scale, of_trees, of_line):
    mixtures, losses = published("test", scale)
    by_trees = trees.score(mixtures, losses) * 100
    by_line = line.score(mixtures, losses) * 100
    assert by_trees == pytest.approx(of_trees, abs=0.5)
    # A line has no randomness; rows that are normalised first move it by .23 at most.
    assert by_line == pytest.approx(of_line, abs=0.3)
    assert by_trees - by_line > 5


def test_the_best_of_64_large_models_is_picked(trees):
    mixtures, losses = published("test", "1B")
    predicted = trees.predict(mixtures)
    true = losses["pile_cc"].to_numpy()
    assert len(true) == 64
    assert int(np.argmin(true)) == 34
    assert int(np.argmin(predicted)) in np.argsort(true)[:3]


def test_without_stopping_early_the_error_is_the_stated_one(trees):
    found = trees.evaluate(*published("test")).loc["pile_cc"]
    assert found["mse"] == pytest.approx(
        0.0027, abs=0.0003
    )  # stated to two digits, versions of LightGBM apart


def test_order_is_the_same_at_1m_and_60m_on_the_same_mixtures():
    small, large = published("test", "1m"), published("test", "60m")
    assert np.allclose(small[0].to_numpy(), large[0].loc[small[0].index].to_numpy(), atol=1e-9)
    found = [stats.spearmanr(small[1][c], large[1].loc[small[1].index, c])[0] * 100 for c in small[1]]
    assert len(found) == 13
    assert min(found) >= 97.95
    assert max(found) <= 99.85


def test_the_published_mixture_is_found_again(trees):
    best = trees.optimize(prior=PILE)
    assert best.sum() == pytest.approx(1.0, abs=1e-9)
    # .870 in the authors' configuration, .891 in their notebook, .892 with a later LightGBM: a plateau.
    assert 0.84 < best["pile_cc"] < 0.92
    assert 0.045 < best["ubuntu_irc"] < 0.08  # .057 to .064
    assert best.drop(["pile_cc", "ubuntu_irc"]).max() < 0.03  # .024 in the configuration
    assert best.attrs["predicted"] == pytest.approx(trees.predict(best.to_frame().T)[0], abs=1e-9)


def test_joining_by_index_makes_the_order_of_rows_irrelevant(line):
    mixtures, losses = published()
    shuffled = losses.sample(frac=1, random_state=0)
    again = RegMix("linear", target="pile_cc").fit(mixtures, shuffled)
    assert again.predict(mixtures) == pytest.approx(line.predict(mixtures), abs=1e-9)
    columns = list(mixtures.columns)[::-1]
    other = RegMix("linear", target="pile_cc").fit(mixtures[columns], losses)
    assert other.predict(mixtures) == pytest.approx(line.predict(mixtures), abs=1e-9)
    assert "index" not in line.domains_
    assert len(line.domains_) == 17
    assert len(line.targets_) == 13


# Objective, scores, effects


def test_a_weighted_objective_is_the_weighted_sum():
    mixtures = dirichlet(60)
    losses = pd.DataFrame(
        {"a": mixtures @ [1, 2, 3, 4.0], "b": mixtures @ [4, 1, 0, 2.0], "c": mixtures["d0"]}
    )
    model = RegMix("linear", target={"a": 0.7, "b": 0.3}).fit(mixtures, losses)
    new = dirichlet(5, seed=3)
    assert model.predict(new) == pytest.approx(new @ [1.9, 1.7, 2.1, 3.4], abs=1e-9)
    assert set(model.used_targets) == {"a", "b"}
    mean = RegMix("linear").fit(mixtures, losses)
    assert mean.predict(new) == pytest.approx(new @ [6 / 3, 3 / 3, 3 / 3, 6 / 3], abs=1e-9)
    assert mean.predict_losses(new)["b"].to_numpy() == pytest.approx(new @ [4, 1, 0, 2.0], abs=1e-9)


def test_scores_are_those_of_scipy_and_textbooks():
    rng = np.random.default_rng(0)
    mixtures, new = dirichlet(80), dirichlet(50, seed=9)

    def noisy(m):
        return pd.Series((m**2).sum(axis=1).to_numpy() + 0.05 * rng.normal(size=len(m)), m.index, name="loss")

    model = RegMix("linear").fit(mixtures, noisy(mixtures))
    true = noisy(new)
    predicted = model.predict(new)
    found = model.evaluate(new, true).loc["loss"]
    assert model.score(new, true) == pytest.approx(stats.spearmanr(predicted, true)[0], abs=1e-12)
    assert found["spearman"] == pytest.approx(model.score(new, true), abs=1e-12)
    assert found["mse"] == pytest.approx(np.mean((predicted - true) ** 2), rel=1e-9)
    assert found["r2"] == pytest.approx(
        1 - ((predicted - true) ** 2).sum() / ((true - true.mean()) ** 2).sum()
    )
    held_out = model.predict_held_out()["loss"]
    assert model.score() == pytest.approx(stats.spearmanr(held_out, model.losses_["loss"])[0], abs=1e-9)


def test_held_out_predictions_have_not_seen_their_row():
    """Noise alone: a regressor that saw a row would agree with it."""
    rng = np.random.default_rng(1)
    mixtures = dirichlet(200, domains=3)
    noise = pd.Series(rng.normal(size=200), name="loss")
    model = RegMix("lightgbm").fit(mixtures, noise)
    assert model.score(mixtures, noise) > 0.7  # trees learn noise by heart
    assert abs(model.score()) < 4 / np.sqrt(200)  # four standard errors of a rank correlation of 0


def test_effects_are_contrasts_that_do_not_see_a_constant_of_the_slopes():
    """A constant of all slopes is a constant of the loss, since shares sum to 1."""
    mixtures = dirichlet(60, concentration=8.0)
    slopes = np.array([1.0, -2.0, 0.5, 3.0])
    one, other = (
        RegMix("linear").fit(mixtures, linear_losses(mixtures, slopes + c)).importance()["loss"]
        for c in (0, 10)
    )
    assert other.to_numpy() == pytest.approx(one.to_numpy(), abs=1e-8)
    assert one.sort_values().index.tolist() == ["d1", "d2", "d0", "d3"]
    assert one["d1"] < 0 < one["d3"]


def test_gains_sum_to_one_and_find_the_only_domain_that_counts():
    mixtures = dirichlet(150)
    model = RegMix().fit(mixtures, linear_losses(mixtures, [0, 0, -2, 0]))
    gain = model.importance(kind="gain")["loss"]
    assert gain.sum() == pytest.approx(1.0, abs=1e-9)
    assert gain.idxmax() == "d2"
    assert gain["d2"] > 0.8
    with pytest.raises(ValueError, match="gain"):
        RegMix("linear").fit(mixtures, mixtures["d0"].rename("loss")).importance(kind="gain")


# The optimum


def test_all_draws_average_to_the_prior_and_have_concentration_one():
    """The k best of n draws by share i alone average to a conditional mean of Beta(p_i, 1 - p_i)."""
    prior = {"d0": 1.0, "d1": 2.0, "d2": 3.0, "d3": 4.0}
    mixtures = dirichlet(60)
    model = RegMix("linear").fit(mixtures, linear_losses(mixtures, [0, -1, 0, 0]))
    options = {"n_samples": 20_000, "prior": prior, "method": "sampling", "extrapolate": True}
    whole = model.optimize(top_k=20_000, **options)
    # Shares have a deviation of at most .35: four standard errors over 20,000 draws are .01.
    assert whole.to_numpy() == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.01)
    law = stats.beta(0.2, 0.8)
    for top in (5_000, 2_000):
        part = model.optimize(top_k=top, **options)
        edge = law.isf(top / 20_000)
        mean = integrate.quad(lambda x: law.sf(x), edge, 1)[0] / law.sf(edge) + edge
        assert part["d1"] == pytest.approx(mean, abs=0.02)
        # Given share 1, the rest is spread as the prior's others.
        rest = (1 - part["d1"]) * np.array([1, 3, 4]) / 8
        assert part.drop("d1").to_numpy() == pytest.approx(rest, abs=0.02)


def test_the_average_of_the_best_draws_is_taken_by_predicted_loss():
    mixtures = dirichlet(120)
    losses = (mixtures**2).sum(axis=1).rename("loss") + 2
    model = RegMix().fit(mixtures, losses)
    best = model.optimize(n_samples=5_000, top_k=50, prior=dict.fromkeys(mixtures, 1.0))
    attrs = best.attrs
    assert attrs["best_sampled"] <= attrs["worst_averaged"]
    assert attrs["predicted"] == pytest.approx(model.predict(best.to_frame().T)[0], abs=1e-9)
    assert best.sum() == pytest.approx(1.0, abs=1e-9)
    assert attrs["predicted"] < np.quantile(model.predict(dirichlet(5_000, seed=7)), 0.1)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), bounded=st.booleans())
def test_the_optimum_of_a_line_is_that_of_a_linear_programme(seed, bounded):
    rng = np.random.default_rng(seed)
    slopes = rng.normal(size=4)
    mixtures = dirichlet(40, seed=seed)
    model = RegMix("linear").fit(mixtures, linear_losses(mixtures, slopes))
    bounds = {"d0": (0.1, 0.4), "d1": (0.0, 0.3), "d3": (0.05, 0.5)} if bounded else None
    best = model.optimize(
        n_samples=500, top_k=20, prior=dict.fromkeys(mixtures, 1.0), bounds=bounds, extrapolate=True
    )
    box = [(bounds or {}).get(name, (0.0, 1.0)) for name in mixtures]
    peer = optimize.linprog(slopes, A_eq=np.ones((1, 4)), b_eq=[1], bounds=box)
    # Never better than the exact optimum, and projected gradients reach it.
    assert best.to_numpy() @ slopes == pytest.approx(peer.fun, abs=1e-6)
    assert all(low - 1e-9 <= value <= high + 1e-9 for value, (low, high) in zip(best, box, strict=True))
    assert best.attrs["predicted"] <= best.attrs["best_sampled"] + 1e-9


@settings(max_examples=15)
@given(seed=st.integers(0, 1000))
def test_the_optimum_of_a_convex_quadratic_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 4))
    form, slopes = root @ root.T, rng.normal(size=4)
    mixtures = dirichlet(80, seed=seed)
    x = mixtures.to_numpy()
    losses = pd.Series((x @ form * x).sum(axis=1) + x @ slopes + 5, name="loss")
    model = RegMix("quadratic").fit(mixtures, losses)
    best = model.optimize(n_samples=500, top_k=20, prior=dict.fromkeys(mixtures, 1.0), extrapolate=True)
    peer = min(
        (
            optimize.minimize(
                lambda w: w @ form @ w + w @ slopes,
                start,
                jac=lambda w: 2 * form @ w + slopes,
                bounds=[(0, 1)] * 4,
                constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(4)},
                method="SLSQP",
                options={"ftol": 1e-13, "maxiter": 300},
            ).fun
            for start in (np.full(4, 0.25), np.eye(4)[0] * 0.7 + 0.075)
        ),
    )
    found = best.to_numpy() @ form @ best.to_numpy() + best.to_numpy() @ slopes
    # First-order steps near a flat optimum: a millionth of a loss of order 1.
    assert found == pytest.approx(peer, abs=1e-5)


def test_a_target_within_the_simplex_is_found_exactly():
    """The squared distance to a mixture: its minimum is that mixture, or the nearest one where it is out of reach."""
    mixtures = dirichlet(80)
    aim = np.array([0.1, 0.2, 0.3, 0.4])
    losses = ((mixtures - aim) ** 2).sum(axis=1).rename("loss")
    model = RegMix("quadratic").fit(mixtures, losses)
    assert model.optimize(n_samples=500, top_k=20).to_numpy() == pytest.approx(aim, abs=1e-4)
    # With d3 at most .1 the surplus of .3 goes to the other three in equal parts (projection).
    capped = model.optimize(n_samples=500, top_k=20, bounds={"d3": (0, 0.1)})
    assert capped.to_numpy() == pytest.approx([0.2, 0.3, 0.4, 0.1], abs=1e-4)
    least = model.optimize(n_samples=500, top_k=20, min_share=0.15)
    # d0 rises by .05, taken from the others in equal parts, of which none falls below .15.
    assert least.to_numpy() == pytest.approx([0.15, 0.2 - 0.05 / 3, 0.3 - 0.05 / 3, 0.4 - 0.05 / 3], abs=1e-4)


def test_shares_stay_within_caps_on_epochs_and_within_what_was_seen():
    mixtures = dirichlet(60, concentration=6.0)
    model = RegMix("linear").fit(mixtures, linear_losses(mixtures, [-5, 0, 0, 0]))
    prior = {"d0": 1, "d1": 3, "d2": 3, "d3": 3}
    capped = model.optimize(n_samples=2_000, top_k=20, prior=prior, max_epochs=3, extrapolate=True)
    assert capped["d0"] == pytest.approx(0.3, abs=1e-6)
    inside = model.optimize(n_samples=2_000, top_k=20, prior=prior)
    assert inside["d0"] == pytest.approx(mixtures["d0"].max(), abs=1e-6)
    assert (inside >= mixtures.min() - 1e-9).all()


# Proxies and reading


def test_proxies_are_run_once_and_in_order(tmp_path):
    log = str(tmp_path / "calls")

    def train(weights):
        with open(log, "a", encoding="utf-8") as file:
            file.write("x")
        return {"a": 2 * weights["d0"], "b": weights["d1"] ** 2}

    def calls():
        with open(log, encoding="utf-8") as file:
            return len(file.read())

    mixtures = dirichlet(6).set_axis([5, 3, 9, 1, 7, 0])
    cache = tmp_path / "cache"
    found = ProxyRunner(train, cache=cache).run(mixtures)
    assert list(found.index) == [5, 3, 9, 1, 7, 0]
    assert found["a"].to_numpy() == pytest.approx(2 * mixtures["d0"].to_numpy())
    assert found["b"].to_numpy() == pytest.approx(mixtures["d1"].to_numpy() ** 2)
    assert calls() == 6
    more = ProxyRunner(train, cache=cache).run(pd.concat([mixtures, dirichlet(2, seed=5).set_axis([20, 21])]))
    assert calls() == 8
    assert more.loc[mixtures.index].equals(found)
    ProxyRunner(train, cache=cache, version="2").run(mixtures)
    assert calls() == 14
    batched = ProxyRunner(lambda m: pd.DataFrame({"a": 2 * m["d0"], "b": m["d1"] ** 2}), batch=4).run(
        mixtures
    )
    assert np.allclose(batched[["a", "b"]], found)


def test_datasets_are_read_in_their_order_by_their_shares():
    streams = {name: [f"{name}{i}" for i in range(5_000)] for name in "abc"}
    weights = {"a": 0.6, "b": 0.3, "c": 0.1}
    mixed = list(interleave(streams, weights, seed=1))
    for name in "abc":
        own = [text for text in mixed if text[0] == name]
        assert own == streams[name][: len(own)]
    counts = [sum(text[0] == name for text in mixed) for name in "abc"]
    assert stats.chisquare(counts, np.array([0.6, 0.3, 0.1]) * len(mixed)).pvalue > 1e-3
    assert max(counts) == 5_000  # the first to end ends all
    assert {text[0] for text in interleave(streams, {"a": 0.5, "b": 0.5, "c": 0.0})} == {"a", "b"}
    short = {"a": ["a0"], "b": ["b0"]}
    again = list(itertools.islice(interleave(short, {"a": 0.5, "b": 0.5}, stop="never"), 40))
    assert len(again) == 40
    assert set(again) == {"a0", "b0"}


# Bad input


def test_rows_may_miss_one_by_a_hundredth_and_are_normalised():
    mixtures = dirichlet(40)
    losses = linear_losses(mixtures, [1, 2, 3, 4])
    exact = RegMix("linear").fit(mixtures, losses)
    off = RegMix("linear").fit(mixtures * 1.0095, losses)
    assert off.predict(mixtures * 0.991) == pytest.approx(exact.predict(mixtures), abs=1e-9)
    assert off.mixtures_.sum(axis=1).to_numpy() == pytest.approx(np.ones(40), abs=1e-12)
    wrong = mixtures.copy()
    wrong.iloc[7] *= 1.02
    for act in (lambda: RegMix("linear").fit(wrong, losses), lambda: exact.predict(wrong)):
        with pytest.raises(ValueError, match=r"row 7\b.*1\.02"):
            act()


def test_negative_shares_are_refused_with_their_row():
    mixtures = dirichlet(40)
    mixtures.iloc[3] = [-0.1, 0.5, 0.3, 0.3]
    with pytest.raises(ValueError, match=r"-0\.1.*row 3"):
        RegMix("linear").fit(mixtures, pd.Series(np.ones(40), name="loss"))


def test_mixtures_and_losses_must_be_of_the_same_runs():
    mixtures = dirichlet(40)
    losses = linear_losses(mixtures, [1, 2, 3, 4])
    with pytest.raises(ValueError, match=r"40.*39"):
        RegMix("linear").fit(mixtures, losses[:-1])
    with pytest.raises(ValueError, match="index"):
        RegMix("linear").fit(mixtures, losses.set_axis(range(1, 41)))
    with pytest.raises(ValueError, match=r"40.*39"):
        RegMix("linear").fit(mixtures, losses.to_numpy()[:-1])


def test_a_constant_domain_is_told():
    share = np.linspace(0.1, 0.6, 40)
    mixtures = pd.DataFrame({"still": 0.3, "a": share, "b": 0.7 - share})
    with pytest.warns(MixtureWarning, match="still"):
        RegMix("linear").fit(mixtures, mixtures["a"].rename("loss"))


def test_diverged_proxies_are_dropped_and_counted():
    mixtures = dirichlet(40)
    losses = linear_losses(mixtures, [1, 2, 3, 4])
    spoilt = losses.copy()
    spoilt.iloc[[2, 5]] = np.nan, np.inf
    with pytest.warns(MixtureWarning, match="2 of 40"):
        model = RegMix("linear").fit(mixtures, spoilt)
    assert model.n_dropped_ == 2
    assert len(model.mixtures_) == 38
    assert model.predict(mixtures) == pytest.approx(losses.to_numpy(), abs=1e-9)


def test_fewer_runs_than_twice_the_domains_are_warned_of():
    mixtures = dirichlet(7)
    losses = linear_losses(mixtures, [1, 2, 3, 4])
    with pytest.warns(MixtureWarning, match="7"):
        RegMix("linear").fit(mixtures, losses)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RegMix("linear").fit(dirichlet(8), linear_losses(dirichlet(8), [1, 2, 3, 4]))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"bounds": {"d0": (0.6, 1), "d1": (0.6, 1)}}, r"1\.2"),
        ({"min_share": 0.3}, r"1\.2"),
        ({"bounds": dict.fromkeys(("d0", "d1", "d2", "d3"), (0, 0.2))}, r"0\.8"),
        ({"bounds": {"nothing": (0, 1)}}, "nothing"),
        ({"bounds": {"d0": (0.5, 0.2)}}, "d0"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 11, "n_samples": 10}, "top_k"),
        ({"method": "guess"}, "method"),
    ],
)
def test_searches_that_cannot_succeed_are_refused(options, named):
    mixtures = dirichlet(40)
    model = RegMix("linear").fit(mixtures, linear_losses(mixtures, [1, 2, 3, 4]))
    with pytest.raises(ValueError, match=named):
        model.optimize(**{"n_samples": 200, "top_k": 5, **options})


def test_targets_and_domains_must_exist_and_models_be_fitted():
    mixtures = dirichlet(40)
    losses = linear_losses(mixtures, [1, 2, 3, 4])
    with pytest.raises(ValueError, match="web"):
        RegMix("linear", target="web").fit(mixtures, losses)
    model = RegMix("linear").fit(mixtures, losses)
    with pytest.raises(ValueError, match="d3"):
        model.predict(mixtures[["d0", "d1", "d2"]])
    with pytest.raises(NotFittedError):
        RegMix("linear").predict(mixtures)
    assert clone(RegMix("quadratic", target="a", cv=7)).get_params()["cv"] == 7


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"prior": [1, -1]}, "-1"),
        ({"n": 0}, "n"),
        ({"temperature": 0}, "temperature"),
        ({"strengths": (5, 0.1)}, "strengths"),
        ({"max_epochs": 0.5}, "max_epochs"),
        ({"prior": [1, 1], "n": 100, "minimum": 0.1}, "100"),
    ],
)
def test_mixtures_that_cannot_be_drawn_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        sample_mixtures(**{"prior": [1, 2, 3], "n": 5, **options})
