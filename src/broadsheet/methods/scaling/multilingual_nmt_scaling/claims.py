"""What the paper claims, and how we measure it.

The fitted exponents, irreducible losses and synergies are published in figures only, so none is stated here. The
training claims use small models and made-up languages (:mod:`toy_languages`), far below the paper's 20 million
parameters; whether size was the bottleneck is measured and said in each note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from broadsheet.claims import Measured, Run, above, at_least, at_most, below, claim, within

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SIZES = "Table of model sizes"
JOINT = "Joint scaling law"
FRACTION = "Effective fraction of parameters"
SHORT = {"smoke": 2.0, "laptop": 5.0}
TRAINING: dict[str, Any] = {
    "seeds": {"smoke": 2, "laptop": 3, "paper": 3},
    "minutes": {"smoke": 2.0, "laptop": 20.0},
    "needs": ("torch",),
}
# layers, width, heads, published parameters without and with embeddings
PUBLISHED_SIZES = (
    (2, 512, 8, 18_881_024, 149_953_024),
    (3, 768, 12, 63_714_816, 260_322_816),
    (6, 768, 12, 127_427_328, 324_035_328),
    (9, 768, 12, 191_139_840, 387_747_840),
    (9, 1024, 16, 339_787_776, 601_931_776),
    (12, 1024, 16, 453_049_344, 715_193_344),
    (12, 1280, 16, 707_869_184, 1_035_876_864),
    (12, 1536, 16, 1_019_312_128, 1_412_528_128),
)


@claim(
    "The eight models have 18,881,024 to 1,019,312,128 parameters without embeddings",
    published=8.0,
    unit="sizes that agree to the last digit",
    where=SIZES,
    kind="exact",
    holds=within(absolute=0.0),
    needs=("llm",),
    minutes=SHORT,
)
def parameter_counts(run: Run) -> Measured:
    """Counts each size twice: by the formula of T5-1.1's blocks, and in a model that transformers builds.

    A row agrees if both counts equal the printed one. Counts are whole numbers, so nothing but 8 counts.
    """
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    from broadsheet.methods.scaling.multilingual_nmt_scaling.parameter_counts import (
        non_embedding_parameters,
        t5_nonembedding_parameters,
    )

    agree, parts = 0, {}
    for layers, width, heads, published, _ in run.progress(PUBLISHED_SIZES, label="sizes"):
        shape: dict[str, Any] = {
            "num_layers": layers,
            "num_decoder_layers": layers,
            "d_model": width,
            "num_heads": heads,
        }
        config = T5Config(
            **shape, d_kv=width // heads, d_ff=4 * width, feed_forward_proj="gated-gelu", vocab_size=64
        )
        with torch.device("meta"):  # shapes only: no memory
            built = non_embedding_parameters(T5ForConditionalGeneration(config))
        counted = t5_nonembedding_parameters(layers, width, heads)
        agree += counted == built == published
        parts[f"{layers} layers of {width}"] = {"formula": counted, "built": built, "published": published}
    return Measured(float(agree), parts=parts)


@claim(
    "With embeddings the eight models have 149,953,024 to 1,412,528,128 parameters",
    published=0.0,
    unit="largest difference from the printed total, parameters",
    where=SIZES,
    kind="exact",
    holds=within(absolute=0.0),
    minutes=SHORT,
)
def totals_with_embeddings(run: Run) -> Measured:
    """Adds two matrices of 128,000 tokens to each count and takes the largest difference from the printed total.

    Counts are whole numbers: any difference is a slip in print, or another vocabulary in that model.
    """
    from broadsheet.methods.scaling.multilingual_nmt_scaling.parameter_counts import t5_parameters

    differences = {
        f"{layers} layers of {width}": total - t5_parameters(layers, width, heads)
        for layers, width, heads, _, total in PUBLISHED_SIZES
    }
    wrong = [name for name, difference in differences.items() if difference]
    note = (
        f"{8 - len(wrong)} of 8 totals agree. The one of {wrong[0]} is printed {differences[wrong[0]]:,} larger, as "
        "with a vocabulary of 128,128."
        if len(wrong) == 1
        else ""
    )
    return Measured(float(max(map(abs, differences.values()))), note=note, parts=differences)


@claim(
    "For eight weights the joint law has 10 parameters per task where separate laws have 24",
    published=10.0,
    unit="parameters per task",
    where=JOINT,
    kind="exact",
    holds=within(absolute=0.0),
    minutes=SHORT,
)
def parameters_of_the_joint_law(run: Run) -> Measured:
    """Counts what MixtureScaling fits to a made-up table of eight weights, jointly and separately.

    Parameters are counted, so nothing but 10 counts; separate laws must have 24, or the measurement fails.
    """
    from broadsheet.methods.scaling.multilingual_nmt_scaling.law import MixtureScaling
    from broadsheet.methods.scaling.multilingual_nmt_scaling.simulation import make_table

    table = make_table(run.rng(), tasks=("de",))
    joint = len(MixtureScaling(f="free", loss="mse").fit(table).params_)
    separate = len(MixtureScaling(f="free", share=(), loss="mse").fit(table).params_)
    if separate != 24:
        raise ArithmeticError(f"separate laws must have 24 parameters, have {separate}")
    return Measured(float(joint), parts={"joint": joint, "separate": separate})


@claim(
    "The effective number of parameters is the size of the single-task model with the same loss",
    published=0.0,
    unit="largest relative difference of losses",
    where=FRACTION,
    kind="exact",
    holds=within(absolute=1e-9),
    minutes=SHORT,
)
def effective_size_round_trip(run: Run) -> Measured:
    """Predicts each task alone at its effective size and compares with the mixture's prediction.

    For fractions from free factors and from the closed form, over all weights and five decades of size. 1e-9 leaves
    room for rounding.
    """
    import numpy as np

    from broadsheet.methods.scaling.multilingual_nmt_scaling.law import MixtureScaling
    from broadsheet.methods.scaling.multilingual_nmt_scaling.simulation import WEIGHTS, make_table

    table = make_table(run.rng())
    sizes = np.geomspace(1e6, 1e11, 11)
    worst = {}
    for form in ("free", "power"):
        law = MixtureScaling(f=form, loss="mse").fit(table)
        gaps = []
        for task in law.tasks_:
            for p in WEIGHTS:
                alone = law.predict(
                    task=[task] * 11, N=law.effective_parameters(task, sizes, p), p=np.ones(11)
                )
                mixed = law.predict(task=[task] * 11, N=sizes, p=np.full(11, p))
                gaps.append(float(np.abs(alone / mixed - 1.0).max()))
        worst[form] = max(gaps)
    return Measured(max(worst.values()), parts=worst)


@claim(
    "A fit to a few noisy runs recovers the fraction of every weight",
    published=None,
    unit="root mean square error of f",
    where=FRACTION,
    kind="scaled",
    holds=at_most(0.05),
    seeds={"smoke": 1, "laptop": 10, "paper": 100},
    minutes=SHORT,
)
def fractions_are_recovered(run: Run) -> Measured:
    """Simulates tables with 0.3 % noise, one neutral task and one with synergy, and compares f with the truth.

    0.05 is a quarter of the synergy at its largest, about 0.2 above p.
    """
    import numpy as np

    from broadsheet.methods.scaling.multilingual_nmt_scaling import study
    from broadsheet.methods.scaling.multilingual_nmt_scaling.simulation import make_table

    errors, exponents = [], []
    for seed in run.seeds:
        table = make_table(run.rng(seed))
        law = study.fitted(table, "power")
        exponents.append(law.params_["alpha[zh]"])
        gaps = [law.effective_fraction(t, g["p"]) - g["f"] for t, g in table.groupby("task")]
        errors.append(float(np.sqrt(np.mean(np.concatenate(gaps) ** 2))))
    return Measured.over_seeds(errors, parts={"alpha_zh": exponents, "alpha_zh_true": 0.25})


@claim(
    "The test of the joint law keeps its level: it rejects a true law about one time in twenty",
    published=None,
    unit="share of tables in which the test rejects",
    where=JOINT,
    kind="scaled",
    holds=at_most(0.10),
    minutes=SHORT,
)
def test_keeps_its_level(run: Run) -> Measured:
    """Simulates tables by the joint law and counts F tests with p below 0.05.

    0.10 is twice the nominal level. Where the exponent does rise with the weight, by a third from 0 to 1, the test
    must reject more often; that share stands in the parts.
    """
    from scipy.stats import beta

    from broadsheet.methods.scaling.multilingual_nmt_scaling import study
    from broadsheet.methods.scaling.multilingual_nmt_scaling.simulation import make_table

    count = run.pick(smoke=4, laptop=300, paper=2000)
    shape: dict[str, Any] = {"weights": (0.1, 0.5, 1.0), "tasks": ("zh",)}

    def rejections(drift: float, tables: int) -> int:
        made = (make_table(run.rng(1000 + i), drift=drift, **shape) for i in range(tables))
        steps = run.progress(made, total=tables, label=f"tables, drift {drift:g}")
        return sum(study.fitted(table).test_shared_exponent().p_value < 0.05 for table in steps)

    hits, power = rejections(0.0, count), max(4, count // 10)
    low = float(beta.ppf(0.025, hits, count - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, count - hits))
    parts = {"tables": count, "rejects_where_exponent_drifts": rejections(0.33, power) / power}
    return Measured(hits / count, low, high, parts=parts)


# --- Training ---------------------------------------------------------------------------------------------------


@claim(
    "Exponent and irreducible loss do not depend on the weight",
    published=None,
    unit="smallest p value of the joint law against separate laws",
    where=JOINT,
    kind="trend",
    holds=above(0.05),
    **TRAINING,
)
def joint_law_is_not_rejected(run: Run) -> Measured:
    """Fits both directions' runs jointly and separately by weight, and tests the additional parameters by bootstrap.

    The smaller of the two directions' p values; above 0.05 the joint law is not rejected. A test that rejects says
    that these small, briefly trained models break the law, not by how much: see the next claim.
    """
    import pandas as pd

    from broadsheet.methods.scaling.multilingual_nmt_scaling import figures, study

    table = study.runs(run)
    parts: dict[str, Any] = {}
    points, lines = [], []
    for direction, group in table.groupby("direction", sort=False):
        law = study.fitted(group)
        method: Any = run.pick(smoke="F", laptop="bootstrap", paper="bootstrap")
        tested = law.test_shared_exponent(method, n_boot=run.pick(smoke=20, laptop=200, paper=1000))
        known = study.languages().irreducible_loss()
        parts[str(direction)] = {
            "p_value": tested.p_value,
            "F": tested.F,
            "aicc_joint_minus_separate": tested.aicc_joint - tested.aicc_separate,
            "rms_residual": tested.rms_joint,
            "irreducible_loss_known": known,
            **{name: value for name, value in law.params_.items() if not name.startswith("beta")},
        }
        seen, curve = _reducible(law, group, f"{direction}: {law.tasks_[0]}")
        points.append(seen)
        lines.append(curve)

    def draw(figure: Figure) -> None:
        figures.draw_lines(figure, pd.concat(points), pd.concat(lines))

    run.figure(
        "lines",
        draw,
        caption="Loss beyond the irreducible one over model size for each weight of the first task: points are "
        "trained models, lines the joint law, parallel by construction.",
        table=table[["direction", "task", "N", "p", "seed", "loss"]],
        size=(7.2, 3.6),
    )
    return Measured(min(p["p_value"] for p in parts.values()), note=_regime(table), parts=parts)


def _reducible(law: Any, group: pd.DataFrame, panel: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return measured and fitted losses of the first task beyond its irreducible loss."""
    import numpy as np
    import pandas as pd

    task = law.tasks_[0]
    floor = law.params_[f"L_inf[{task}]"]
    mine = group[group["task"] == task]
    N, p = (
        a.ravel()
        for a in np.meshgrid(np.geomspace(mine["N"].min(), mine["N"].max(), 20), sorted(set(mine["p"])))
    )
    order = np.lexsort((N, p))
    curve = pd.DataFrame({"panel": panel, "task": task, "N": N[order], "p": p[order]})
    curve["reducible"] = law.predict(curve) - floor
    return mine.assign(panel=panel, reducible=mine["loss"] - floor), curve


def _regime(table: pd.DataFrame) -> str:
    from broadsheet.methods.scaling.multilingual_nmt_scaling import study

    inside, gain = study.in_regime(table)
    word = "In regime" if inside else "Not in regime"
    return f"{word}: the last fifth of training improved the smallest models' loss by {100 * gain:.1f} %."


@claim(
    "The joint law explains almost all variance: its residuals are those of the seeds",
    published=None,
    unit="residual over seed noise",
    where=JOINT,
    kind="trend",
    holds=below(2.0),
    **TRAINING,
)
def residual_is_seed_noise(run: Run) -> Measured:
    """Divides the joint law's root mean square residual of log loss, by seed, by the spread between seeds.

    With a true law the ratio is 1. Below 2, no more than three quarters of the residual variance comes from the law.
    """
    import numpy as np

    from broadsheet.methods.scaling.multilingual_nmt_scaling import study

    table = study.runs(run)
    noise = study.seed_noise(table)
    ratios = []
    for _, one in table.groupby("seed"):
        laws = [study.fitted(group) for _, group in one.groupby("direction")]
        spare = sum(len(law.residuals_) - len(law.params_) for law in laws)
        ratios.append(float(np.sqrt(sum((law.residuals_**2).sum() for law in laws) / spare)) / noise)
    logs = np.log(table["loss"])
    by_direction = logs.groupby(table["direction"])
    parts = {
        "seed_noise": noise,
        "spread_of_log_loss": {str(k): float(v) for k, v in by_direction.std().items()},
    }
    return Measured.over_seeds(ratios, note=_regime(table), parts=parts)


@claim(
    "The larger a task's weight, the larger its effective part of the model",
    published=None,
    unit="rank correlation of f with p",
    where=FRACTION,
    kind="trend",
    holds=above(0.0),
    no_effect=0.0,
    **TRAINING,
)
def fraction_rises_with_weight(run: Run) -> Measured:
    """Takes Kendall's rank correlation of fitted fractions with weights, out of English, within each task and seed.

    Each task alone (f = 1 at p = 1) counts as a point. Above 0 the factor beta falls as the weight rises.
    """
    import numpy as np
    from scipy.stats import kendalltau

    from broadsheet.methods.scaling.multilingual_nmt_scaling import study

    table = study.runs(run, study.DIRECTIONS[:1])
    found = _fractions_by_seed(table)
    values = []
    for _, one in found.groupby("seed"):
        per_task = [kendalltau([*g["p"], 1.0], [*g["f"], 1.0]).statistic for _, g in one.groupby("task")]
        values.append(float(np.mean(per_task)))
    return Measured.over_seeds(values, note=_regime(table), parts=_told(found))


def _fractions_by_seed(table: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    from broadsheet.methods.scaling.multilingual_nmt_scaling import study

    made = []
    for (direction, seed), group in table.groupby(["direction", "seed"], sort=False):
        made.append(study.fractions(group).assign(direction=str(direction), seed=int(str(seed))))
    return pd.concat(made, ignore_index=True)


def _told(found: pd.DataFrame) -> dict[str, Any]:
    """Return median fractions over seeds, and over p, as parts."""
    middle = found.groupby(["direction", "task", "p"], sort=False)["f"].median().reset_index()
    columns = (middle[c].tolist() for c in ("direction", "task", "p", "f"))
    return {f"f, {d}, {task}, p = {p:g}": value for d, task, p, value in zip(*columns, strict=True)}


@claim(
    "Out of English the tasks are neutral: a task of weight p behaves as if it had p N parameters",
    published=None,
    unit="share of fractions between p/2 and 2p + 0.2",
    where=FRACTION,
    kind="trend",
    holds=at_least(1.0),
    **TRAINING,
)
def out_of_english_is_neutral(run: Run) -> Measured:
    """Counts fitted fractions, by task, weight and seed, that lie in a band around f = p.

    The band is wide, since exponents of small models are uncertain and enter by their inverse; all must lie in it.
    """
    from broadsheet.methods.scaling.multilingual_nmt_scaling import figures, study

    table = study.runs(run)
    found = _fractions_by_seed(table)
    out = found[found["direction"] == study.DIRECTIONS[0]]
    inside = (out["f"] >= 0.5 * out["p"]) & (out["f"] <= 2.0 * out["p"] + 0.2)

    def draw(figure: Figure) -> None:
        figures.draw_fractions(figure, found)

    run.figure(
        "fractions",
        draw,
        caption="Effective fraction of the parameters by sampling weight, fitted to each seed's models (points; "
        "lines join medians), with the neutral diagonal.",
        table=found,
        size=(7.2, 3.6),
    )
    shares = [float(group.mean()) for _, group in inside.groupby(out["seed"])]
    return Measured.over_seeds(shares, note=_regime(table), parts=_told(out))


@claim(
    "The law predicts a weighting that it has not seen",
    published=None,
    unit="error over that of the nearest weighting",
    where=FRACTION,
    kind="trend",
    holds=below(1.0),
    no_effect=1.0,
    **TRAINING,
)
def unseen_weighting_is_predicted(run: Run) -> Measured:
    """Leaves the mixture of .3 and .7 out of the fit, out of English, and predicts its losses at every size.

    The mean absolute error of log loss is divided by that of the nearest weighting's measured losses, seed by seed.
    Below 1 the law is worth more than looking at a neighbour; interpolation by a straight line stands in the parts.
    """
    from broadsheet.methods.scaling.multilingual_nmt_scaling import figures, study

    table = study.runs(run, study.DIRECTIONS[:1])
    errors = [study.held_out_errors(one) for _, one in table.groupby("seed")]
    measured, predicted = _frontier(table)

    def draw(figure: Figure) -> None:
        figures.draw_frontier(figure, measured, predicted)

    run.figure(
        "frontier",
        draw,
        caption="Losses of the two tasks out of English as their weights are traded, by model size: curves from the "
        "law, points are trained models, diamonds the weighting that the fit did not see.",
        table=measured,
        size=(6.4, 4.6),
    )
    parts = {name: [e[name] for e in errors] for name in errors[0]}
    return Measured.over_seeds([e["law"] / e["nearest"] for e in errors], note=_regime(table), parts=parts)


def _frontier(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the models' two losses, and the curves of a law fitted without the held-out mixture."""
    import pandas as pd

    from broadsheet.methods.scaling.multilingual_nmt_scaling import study

    wide = table[table["p"] < 1].pivot_table(index=["N", "run"], columns="task", values="loss").reset_index()
    wide["held_out"] = wide["run"].str.contains(f"p={study.HELD_OUT:g},", regex=False)
    unseen = table["run"].isin(wide.loc[wide["held_out"], "run"])
    law = study.fitted(table[~unseen], "power", common_f=True)
    trained = wide["run"].str.extract(r"p=([\d.]+)", expand=False).astype(float)
    curves = [law.frontier(N).assign(N=N) for N in sorted(set(table["N"]))]
    curves = [curve[curve["p_de"].between(trained.min(), trained.max())] for curve in curves]
    return wide, pd.concat(curves, ignore_index=True)


@claim(
    "Into English there is more synergy than out of English",
    published=None,
    unit="share of weights with the larger fraction into English",
    where=FRACTION,
    kind="trend",
    holds=above(0.5),
    no_effect=0.5,
    **TRAINING,
)
def into_english_has_more_synergy(run: Run) -> Measured:
    """Compares fractions of the two directions, weight by weight, task by task, seed by seed.

    A sign test over weights: half would be larger by chance. Its p value for the fractions' medians over seeds stands
    in the parts.
    """
    from scipy.stats import binomtest

    from broadsheet.methods.scaling.multilingual_nmt_scaling import study

    table = study.runs(run)
    found = _fractions_by_seed(table)
    wide = found.pivot_table(index=["seed", "task", "p"], columns="direction", values="f")
    larger = wide[study.DIRECTIONS[1]] > wide[study.DIRECTIONS[0]]
    middle = wide.groupby(["task", "p"]).median()
    signs = int((middle[study.DIRECTIONS[1]] > middle[study.DIRECTIONS[0]]).sum())
    parts = {
        "weights_with_larger_median": signs,
        "of": len(middle),
        "sign_test_p": float(binomtest(signs, len(middle), alternative="greater").pvalue),
        **_told(found),
    }
    values = [float(share) for share in larger.groupby("seed").mean()]
    return Measured.over_seeds(values, note=_regime(table), parts=parts)
