"""What the paper claims, and how we measure it.

Two sources: the authors' published runs, on which their regression is done again, and runs of our own. Published
values come from the abstract, from the output of the authors' notebook and from their configuration file. Values of
the paper's tables that could not be checked are called recalled; they are named in docstrings and judge nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from broadsheet.claims import Measured, Run, above, at_least, at_most, between, claim, within

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    from broadsheet.methods.scaling.regmix.regression import RegMix
    from broadsheet.methods.scaling.regmix.study import Study

TRAIN = ("regmix-train-mixture-1m", "regmix-train-pile-loss-1m")
TEST = ("regmix-test-mixture-1m", "regmix-test-pile-loss-1m")
MIDDLE = ("regmix-test-mixture-60m", "regmix-test-pile-loss-60m")
LARGE = ("regmix-test-mixture-1b", "regmix-test-pile-loss-1b")
SHORT = {"smoke": 1.0, "laptop": 5.0}
LONG = {"smoke": 2.0, "laptop": 10.0}
SEEDS = {"smoke": 1, "laptop": 3, "paper": 5}
SLOW = ("laptop", "paper")  # the smoke test of the method is made by four claims, in seconds
SMOKE_DOMAINS = ("pile_cc", "github", "arxiv", "dm_mathematics", "wikipedia_en")
METHOD = "Section 3"
REGRESSION = "Section on the regression model; authors' notebook"


@claim(
    "Boosted trees rank 256 unseen mixtures almost perfectly, whichever of 13 domains is predicted",
    published=0.0,
    unit="largest gap to the notebook's Spearman x 100",
    where="Authors' notebook (regression_fitting), output of the fit",
    kind="exact",
    holds=within(absolute=0.5),
    data=(*TRAIN, *TEST),
    needs=("scaling",),
    minutes=SHORT,
)
def rank_correlation_by_domain(run: Run) -> Measured:
    """Fits the 512 published runs and ranks the 256 others, for each domain; no tree stops early.

    The notebook prints 96.87 to 99.77. Versions of LightGBM move the second decimal and its early stopping on the
    test mixtures moves the first: half a point leaves room for both, and is a tenth of what separates trees
    from a linear model.
    """
    import pandas as pd

    from broadsheet.methods.scaling.regmix import figures
    from broadsheet.methods.scaling.regmix.published import NOTEBOOK_SPEARMAN, Tables
    from broadsheet.methods.scaling.regmix.regression import RegMix

    tables = Tables(run.data)
    mixtures, losses = tables("train", "1m")
    every = [str(name) for name in losses]
    domains = run.pick(smoke=list(SMOKE_DOMAINS), laptop=every, paper=every)
    run.say(f"fitting {len(domains)} domains")
    found = (
        RegMix().fit(mixtures, losses[domains]).evaluate(*_only(tables("test", "1m"), domains)).loc[domains]
    )
    table = pd.DataFrame(
        {
            "published": pd.Series({n: NOTEBOOK_SPEARMAN[n] for n in domains}),
            "measured": 100 * found["spearman"],
        }
    )
    table["mse"] = found["mse"]
    gap = (table["measured"] - table["published"]).abs()

    def draw(figure: Figure) -> None:
        figures.draw_domains(figure, table)

    run.figure(
        "by-domain",
        draw,
        caption="Rank correlation of predicted and true loss on 256 unseen mixtures, for each validation domain: "
        "what the authors' notebook prints and what is measured here.",
        table=table.rename_axis("domain").reset_index(),
        size=(7.0, 4.6),
    )
    note = f"Spearman x 100 from {table['measured'].min():.2f} to {table['measured'].max():.2f}."
    return Measured(float(gap.max()), note=note, parts={k: float(table["measured"][k]) for k in domains})


@claim(
    "A regressor fitted to models of 1M parameters ranks mixtures for models of 1B parameters",
    published=None,
    unit="Spearman x 100 on Pile-CC",
    where=REGRESSION,
    kind="trend",
    holds=at_least(90.0),
    no_effect=0.0,
    data=(*TRAIN, *MIDDLE, *LARGE),
    needs=("scaling",),
    scales=SLOW,
    minutes=SHORT,
)
def proxies_rank_large_models(run: Run) -> Measured:
    """Predicts 64 mixtures trained at 1B (25 B tokens) from 512 trained at 1M (1 B tokens).

    90 is what a linear regressor reaches where it is at home, at 1M: the transfer of trees to another scale
    must not cost more than that. The interval resamples the 64 mixtures. Recalled from the paper's table: 97.12
    at 1B and 98.64 at 60M.
    """
    import pandas as pd

    from broadsheet.methods.scaling.regmix import figures
    from broadsheet.methods.scaling.regmix.published import Tables, bootstrap_spearman
    from broadsheet.methods.scaling.regmix.regression import spearman

    tables = Tables(run.data)
    model = _fitted(tables)
    points = []
    for scale in ("60m", "1B"):
        mixtures, losses = tables("test", scale)
        predicted = model.predict(mixtures)
        points.append(
            pd.DataFrame(
                {"scale": scale.upper(), "predicted": predicted, "loss": losses["pile_cc"].to_numpy()}
            )
        )
    shown = pd.concat(points)
    found = {name: 100 * spearman(p["predicted"], p["loss"]) for name, p in shown.groupby("scale")}

    def draw(figure: Figure) -> None:
        figures.draw_fits(figure, shown)

    run.figure(
        "transfer",
        draw,
        caption="Loss on Pile-CC of models of 60M and 1B parameters against the loss that a regressor fitted to "
        "models of 1M predicts: levels differ, the order stays.",
        # what we computed; the authors' losses stand in the registry
        table=shown.assign(rank=shown.groupby("scale")["loss"].rank()).drop(columns="loss"),
        size=(7.2, 3.4),
    )
    at_1b = points[1]
    pair = (at_1b["predicted"].to_numpy(), at_1b["loss"].to_numpy())
    low, high = bootstrap_spearman([pair], lambda r: 100 * r[0])
    note = f"{found['60M']:.2f} at 60M on 256 mixtures. Recalled from the paper: 97.12 at 1B, 98.64 at 60M."
    return Measured(found["1B"], low, high, note=note, parts={str(k): float(v) for k, v in found.items()})


@claim(
    "Boosted trees rank mixtures better than a linear regressor at 1M, 60M and 1B",
    published=None,
    unit="smallest lead in Spearman x 100",
    where=REGRESSION,
    kind="trend",
    holds=above(5.0),
    no_effect=0.0,
    data=(*TRAIN, *TEST, *MIDDLE, *LARGE),
    needs=("scaling",),
    scales=SLOW,
    minutes=SHORT,
)
def trees_beat_a_linear_model(run: Run) -> Measured:
    """Fits both to the same 512 runs at their default settings and takes the smallest lead over three scales.

    Five points are half of what the paper's table is recalled to show (leads of 8.4, 9.4 and 9.1) and more than
    versions of LightGBM differ by. The interval resamples the mixtures of each scale, of which there are 64 at 1B. A
    quadratic regressor, which the paper does not have, stands in the parts.
    """
    from broadsheet.methods.scaling.regmix.published import Tables, bootstrap_spearman
    from broadsheet.methods.scaling.regmix.regression import spearman

    tables = Tables(run.data)
    models = {name: _fitted(tables, name) for name in ("lightgbm", "linear", "quadratic")}
    parts: dict[str, dict[str, float]] = {name: {} for name in models}
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for scale in ("1m", "60m", "1B"):
        mixtures, losses = tables("test", scale)
        truth = losses["pile_cc"].to_numpy()
        for name, model in models.items():
            predicted = model.predict(mixtures)
            parts[name][scale] = 100 * spearman(predicted, truth)
            if name != "quadratic":
                pairs.append((predicted, truth))

    def smallest_lead(found: list[float]) -> float:
        return 100 * min(tree - line for tree, line in zip(found[::2], found[1::2], strict=True))

    low, high = bootstrap_spearman(pairs, smallest_lead, run.pick(smoke=100, laptop=1000, paper=1000))
    return Measured(smallest_lead([spearman(*pair) for pair in pairs]), low, high, parts=parts)


@claim(
    "Of 64 models of 1B parameters on 64 mixtures, the one that RegMix predicts to be best is the best",
    published=1.0,
    unit="rank of its true loss among 64",
    where="Abstract",
    kind="exact",
    holds=between(1.0, 3.0),
    data=(*TRAIN, *LARGE),
    needs=("scaling",),
    minutes=SHORT,
)
def best_of_64(run: Run) -> Measured:
    """Picks the lowest prediction for Pile-CC among the 64 mixtures trained at 1B and looks up its true rank.

    The top three of 64 are accepted: their losses differ by less than the regressor's error at 1M.
    """
    from scipy.stats import rankdata

    from broadsheet.methods.scaling.regmix.published import Tables

    tables = Tables(run.data)
    mixtures, losses = tables("test", "1B")
    predicted, truth = _fitted(tables).predict(mixtures), losses["pile_cc"].to_numpy()
    chosen = int(predicted.argmin())
    parts = {
        "row": chosen,
        "loss": float(truth[chosen]),
        "lowest loss": float(truth.min()),
        "median loss": float(sorted(truth)[len(truth) // 2]),
        "share of Pile-CC": float(mixtures["pile_cc"].iloc[chosen]),
    }
    return Measured(float(rankdata(truth, method="min")[chosen]), parts=parts)


@claim(
    "The predicted best mixture for Pile-CC takes 87 % of its tokens from Pile-CC, and little from Wikipedia",
    published=0.870,
    unit="share of Pile-CC",
    where="Authors' configuration of the 1B model (mixture_config/config_1b/regmix.yaml)",
    kind="exact",
    holds=within(absolute=0.05),
    data=TRAIN,
    needs=("scaling",),
    scales=SLOW,
    minutes=SHORT,
)
def optimal_mixture(run: Run) -> Measured:
    """Averages the 128 best of 100,000 mixtures drawn around the Pile's token shares.

    The authors' own two figures, 0.870 in the configuration and 0.891 in the notebook, differ by 0.02 from the draw
    alone. 0.05 is two and a half times that. The share over other draws stands in the parts.
    """
    import pandas as pd

    from broadsheet.methods.scaling.regmix import figures
    from broadsheet.methods.scaling.regmix.published import CONFIG, PILE_TOKENS, Tables

    model = _fitted(Tables(run.data))
    size = run.pick(smoke=20_000, laptop=100_000, paper=100_000)
    draws = {
        seed: model.optimize(size, prior=PILE_TOKENS, seed=seed)
        for seed in range(42, 42 + run.pick(smoke=1, laptop=5, paper=20))
    }
    best = draws[42]
    prior = pd.Series(PILE_TOKENS)
    table = pd.DataFrame({"prior": prior / prior.sum(), "measured": best, "published": pd.Series(CONFIG)})
    table = table.sort_values("measured", ascending=False)

    def draw(figure: Figure) -> None:
        figures.draw_optimum(figure, table)

    run.figure(
        "weights",
        draw,
        caption="Shares of 17 domains in the Pile and in the mixture that is predicted to be best for Pile-CC; open "
        "circles are the five largest shares of the authors' configuration.",
        table=table.rename_axis("domain").reset_index(),
        size=(7.0, 5.2),
    )
    shares = {f"seed {seed}": float(found["pile_cc"]) for seed, found in draws.items()}
    parts = {"shares": {k: float(v) for k, v in best.items()}, "pile_cc by draw": shares}
    note = "The authors' notebook prints 0.891 for another draw."
    return Measured(float(best["pile_cc"]), note=note, parts=parts)


@claim(
    "The order of mixtures hardly changes from 1M to 60M parameters",
    published=None,
    unit="smallest Spearman x 100 over 13 domains",
    where=METHOD,
    kind="trend",
    holds=at_least(95.0),
    no_effect=0.0,
    data=(*TEST, *MIDDLE),
    scales=SLOW,
    minutes=SHORT,
)
def rank_invariance(run: Run) -> Measured:
    """Compares losses of models trained on the same 256 mixtures at two sizes; no regressor is involved.

    At 95 the disorder of sizes is no larger than the regressor's own on its worst domain (96.9). The interval
    resamples the mixtures.
    """
    from broadsheet.methods.scaling.regmix.published import Tables, bootstrap_spearman
    from broadsheet.methods.scaling.regmix.regression import spearman

    tables = Tables(run.data)
    (small_mix, small), (large_mix, large) = tables("test", "1m"), tables("test", "60m")
    if not small_mix.equals(large_mix):
        raise ValueError("the published tables of 1M and 60M no longer have the same mixtures")
    pairs = [(small[name].to_numpy(), large[name].to_numpy()) for name in small]
    low, high = bootstrap_spearman(
        pairs, lambda r: 100 * min(r), run.pick(smoke=100, laptop=1000, paper=1000)
    )
    parts = {str(name): 100 * spearman(*pair) for name, pair in zip(small, pairs, strict=True)}
    return Measured(min(parts.values()), low, high, parts=parts)


@claim(
    "More proxy runs make a better ranking: the step from 64 to 512 runs still pays",
    published=None,
    unit="gain in Spearman x 100 on Pile-CC",
    where="README of the authors' repository, tip on the number of configurations",
    kind="trend",
    holds=above(0.0),
    no_effect=0.0,
    data=(*TRAIN, *TEST),
    needs=("scaling",),
    seeds={"smoke": 2, "laptop": 5, "paper": 20},
    scales=SLOW,
    minutes=SHORT,
)
def more_proxies_rank_better(run: Run) -> Measured:
    """Fits to random parts of the 512 runs, one part per seed, and ranks the 256 unseen mixtures.

    Zero is no gain. The curve tells how many runs to buy. It also shows that LightGBM's own smallest leaf of 20
    runs leaves a table below 40 runs unsplit, which is why leaves are smaller here where runs are few.
    """
    from broadsheet.methods.scaling.regmix import figures
    from broadsheet.methods.scaling.regmix.published import Tables, learning_curve

    counts = run.pick(smoke=(64, 512), laptop=(16, 32, 64, 128, 256, 512), paper=(16, 32, 64, 128, 256, 512))
    curve = learning_curve(Tables(run.data), counts, run.seeds)
    means = curve.groupby(["regressor", "runs"])["spearman"].mean()

    def draw(figure: Figure) -> None:
        figures.draw_learning_curve(figure, curve)

    run.figure(
        "learning-curve",
        draw,
        caption="Rank correlation on 256 unseen mixtures against the number of proxy runs, mean and range over random "
        "parts of the 512 published runs; 0 where the trees predict a constant.",
        table=curve,
        size=(7.0, 4.2),
    )
    trees = curve[curve["regressor"] == "trees"].pivot(index="seed", columns="runs", values="spearman")
    names = list(dict.fromkeys(curve["regressor"]))
    parts = {name: {str(n): float(v) for n, v in means[name].items()} for name in names}
    return Measured.over_seeds(trees[512] - trees[64], parts=parts)


@claim(
    "Stopping the trees early on the test mixtures, as the authors' notebook does, is not what makes them good",
    published=None,
    unit="largest change of Spearman x 100",
    where="Authors' notebook (regression_fitting)",
    kind="trend",
    holds=at_most(0.5),
    data=(*TRAIN, *TEST),
    needs=("scaling",),
    scales=SLOW,
    minutes=SHORT,
)
def early_stopping_is_harmless(run: Run) -> Measured:
    """Compares stopping on the test mixtures with stopping on a tenth of the fitted runs and with not stopping.

    Choosing the number of trees on the mixtures that are then ranked could flatter the figure. Half a point is
    the tolerance of the claim that it would flatter.
    """
    from broadsheet.methods.scaling.regmix.published import Tables, early_stopping

    tables = Tables(run.data)
    every = [str(name) for name in tables("train", "1m")[1]]
    domains = run.pick(smoke=every[8:9], laptop=every, paper=every)
    found = early_stopping(tables, domains)
    run.table("stopping", found.round(3).reset_index(), caption="Spearman x 100 by domain and way to stop.")
    change = found[["split", "none"]].sub(found["test"], axis=0)
    parts = {"largest gain by stopping on the test mixtures": float(-change.min().min())}
    parts |= {f"mean, {how}": float(found[how].mean()) for how in found}
    return Measured(float(change.abs().max().max()), parts=parts)


@claim(
    "All proxies together cost about 2 % of the compute of the final run",
    published=2.0,
    unit="% of the final run's FLOPs",
    where="Section on the cost; verified in a secondary source",
    kind="exact",
    holds=within(absolute=0.5),
    minutes=SHORT,
)
def proxies_cost_two_percent(run: Run) -> Measured:
    """Counts 6 N D for 512 models of 1M parameters on 1 B tokens and for one of 1B on 25 B tokens.

    The published figure is a whole per cent: half a per cent is its rounding. Embeddings, which are not in N, would
    weigh more in the small models.
    """
    proxies, final = 512 * 6 * 1e6 * 1e9, 6 * 1e9 * 25e9
    return Measured(100 * proxies / final, parts={"proxy FLOPs": proxies, "final FLOPs": final})


@claim(
    "In runs of our own, the regressor ranks mixtures that it has not seen",
    published=None,
    unit="held-out Spearman",
    where=METHOD,
    kind="scaled",
    holds=at_least(0.8),
    no_effect=0.0,
    needs=("torch", "scaling"),
    seeds=SEEDS,
    scales=SLOW,
    minutes=LONG,
)
def own_proxies_are_predictable(run: Run) -> Measured:
    """Trains tiny models on random mixtures of five domains and cross-validates the regressor of one loss.

    A rank correlation of 0.8 puts four of five pairs of mixtures in the right order (Kendall's tau of 0.6, for
    normal scores). There are a fifth of the paper's runs.
    """
    from broadsheet.methods.scaling.regmix.study import studies

    found = studies(run)
    scores = [study.regression().score() for study in found]
    parts = {name: [study.regression(name).score() for study in found] for name in ("linear", "quadratic")}
    return Measured.over_seeds(scores, parts=parts)


@claim(
    "In runs of our own, the RegMix mixture makes one of the two best of 14 large models",
    published=None,
    unit="rank among 14",
    where="Abstract",
    kind="scaled",
    holds=at_most(2.0),
    needs=("torch", "scaling"),
    seeds=SEEDS,
    scales=SLOW,
    minutes=LONG,
)
def own_mixture_is_among_the_best(run: Run) -> Measured:
    """Trains models ten times as large on RegMix's mixture, uniform, prior, target only and ten random mixtures.

    The target domain is small, and no mixture of RegMix or at random may read it more than four times. The best
    of 64 in the paper corresponds to the best of 14; second place leaves room for the noise of one seed.
    """
    import pandas as pd

    from broadsheet.methods.scaling.regmix import figures
    from broadsheet.methods.scaling.regmix.study import TARGET, studies

    found = studies(run)
    ranks = [float(study.large[TARGET].rank()["regmix"]) for study in found]
    rows = [
        {"seed": seed, "arm": str(arm), "loss": float(study.large[TARGET].to_numpy()[place])}
        for seed, study in zip(run.seeds, found, strict=True)
        for place, arm in enumerate(study.large.index)
    ]
    table = pd.DataFrame(rows)

    def draw(figure: Figure) -> None:
        figures.draw_arms(figure, table)

    run.figure(
        "arms",
        draw,
        caption="Loss on the target domain of large models trained on 14 mixtures, one point per model and seed: "
        "RegMix's, uniform, in proportion to the text there is, the target alone, and ten at random.",
        table=table,
        size=(7.0, 3.4),
    )
    run.table("mixtures", _mixtures(found), caption="RegMix's mixture by seed.")
    parts = {"loss by arm": {k: float(v) for k, v in table.groupby("arm")["loss"].mean().items()}}
    return Measured.over_seeds(ranks, parts=parts)


@claim(
    "In runs of our own, tiny models order mixtures as models ten times as large do",
    published=None,
    unit="Spearman",
    where=METHOD,
    kind="scaled",
    holds=at_least(0.8),
    no_effect=0.0,
    needs=("torch", "scaling"),
    seeds=SEEDS,
    minutes=LONG,
)
def own_ranks_are_invariant(run: Run) -> Measured:
    """Correlates target losses of tiny and large models on all fourteen mixtures.

    One of them, target only, reads its text many times over, which no mixture of the paper does: large models overfit
    on it and tiny ones less. The correlation without it stands in the note.
    """
    from broadsheet.methods.scaling.regmix.regression import spearman
    from broadsheet.methods.scaling.regmix.study import TARGET, studies

    found = studies(run)
    allowed = [study.large.index != "target only" for study in found]
    bounded = [
        spearman(study.small[TARGET][rows], study.large[TARGET][rows])
        for study, rows in zip(found, allowed, strict=True)
    ]
    whole = [spearman(study.small[TARGET], study.large[TARGET]) for study in found]
    note = f"Without target only, {sum(bounded) / len(bounded):.2f}."
    return Measured.over_seeds(whole, note=note, parts={"without target only": bounded})


# ---- what several claims share


def _only(tables: tuple[pd.DataFrame, pd.DataFrame], targets: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    return tables[0], tables[1][targets]


def _fitted(tables: Any, regressor: str = "lightgbm") -> RegMix:
    """Fit the loss on Pile-CC to the 512 published runs."""
    from broadsheet.methods.scaling.regmix.regression import RegMix

    mixtures, losses = tables("train", "1m")
    return RegMix(regressor, target="pile_cc").fit(mixtures, losses[["pile_cc"]])


def _mixtures(found: list[Study]) -> pd.DataFrame:
    import pandas as pd

    chosen = [study.arms.loc["regmix"].round(4) for study in found]
    return pd.DataFrame(chosen).reset_index(drop=True).rename_axis("seed").reset_index()
