"""What the paper claims, and how we measure it.

The authors' own losses and scores are not published. What can be derived again from the text is derived; the growth
of density is measured anew on scores of public models by one harness, with a reference fitted in one step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from broadsheet.claims import Measured, Run, above, at_most, between, claim, within

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHORT = {"smoke": 1.0, "laptop": 5.0}
SCORES = ("obs-base-llm-benchmark-eval",)
PUBLISHED_RATE = 0.0073  # per day


@claim(
    "A growth of 0.0073 per day means that density doubles about every 95 days",
    published=95.0,
    unit="days",
    where="Densing law, the fit of the maximum density",
    kind="exact",
    holds=within(absolute=0.7),
    minutes=SHORT,
)
def rate_and_doubling_agree(run: Run) -> Measured:
    """Divides ln 2 by the printed rate.

    The rate is printed to two digits, so that the doubling time is known to half a unit of the second: 0.7 days.
    """
    from broadsheet.methods.scaling.densing_law.growth import doubling_time

    return Measured(doubling_time(PUBLISHED_RATE))


@claim(
    "Since ChatGPT density has grown 50 % faster than before",
    published=50.0,
    unit="% faster",
    where="Comparison before and after ChatGPT",
    kind="exact",
    holds=within(absolute=3.0),
    minutes=SHORT,
)
def faster_since_chatgpt(run: Run) -> Measured:
    """Divides the printed rates, 0.0073 after by 0.0048 before.

    Both are rounded in their second digit, which leaves 3 percentage points. Before Llama-1 the public table holds no
    dated models, so the two rates themselves are not measured here.
    """
    return Measured(100.0 * (0.0073 / 0.0048 - 1.0))


@claim(
    "The price of GPT-3.5's level fell 266.7-fold in 20 months",
    published=266.7,
    unit="times cheaper",
    where="Corollary on the cost of inference",
    kind="exact",
    holds=within(absolute=0.05),
    minutes=SHORT,
)
def price_ratio(run: Run) -> Measured:
    """Divides the printed prices of a million tokens, $20 by $0.075; the ratio is printed to one decimal."""
    return Measured(20.0 / 0.075)


@claim(
    "The price of a given ability halves every 2.6 months",
    published=2.6,
    unit="months",
    where="Corollary on the cost of inference",
    kind="exact",
    holds=within(absolute=0.125),
    minutes=SHORT,
)
def price_halving(run: Run) -> Measured:
    """Computes the halving time from the printed prices, December 2022 to August 2024: 20 months.

    Dates are given to the month, so the span is known to one month and the halving time to 0.124 of one. The printed
    value needs a span of 21 months.
    """
    import math

    from broadsheet.methods.scaling.densing_law.growth import halving_time

    needed = 2.6 * math.log2(20.0 / 0.075)
    return Measured(
        halving_time(20.0, 0.075, 20.0),
        note=f"The printed 2.6 needs {needed:.1f} months between the two prices; there are 20.",
        parts={"months_that_2.6_needs": needed},
    )


@claim(
    "Density and chips together double the effective size that a given chip can run every 88 days",
    published=88.0,
    unit="days",
    where="Corollary on density and Moore's law",
    kind="exact",
    holds=within(absolute=1.5),
    minutes=SHORT,
)
def density_and_chips(run: Run) -> Measured:
    """Adds the growth rates of density (3.3 months) and of chips at a constant price (2.1 years).

    3.3 months are known to 0.05 of a month, which is 1.2 days of the result. With the 95 days that the fitted rate
    gives, the product would double faster: both stand in the parts.
    """
    from broadsheet.methods.scaling.densing_law.growth import DAYS_PER_MONTH, combined_doubling

    chips = 2.1 * 365.25
    value = combined_doubling(3.3 * DAYS_PER_MONTH, chips)
    with_rate = combined_doubling(95.0, chips)
    return Measured(
        value,
        note=f"From 3.3 months; from the 95 days of the fitted rate it would be {with_rate:.1f}.",
        parts={"from_3.3_months": value, "from_95_days": with_rate},
    )


@claim(
    "The reference models have 5 million to 0.8 billion parameters",
    published=0.0,
    unit="largest difference in parameters",
    where="Table 1",
    kind="exact",
    holds=within(absolute=0.0),
    minutes=SHORT,
)
def reference_sizes(run: Run) -> Measured:
    """Counts the weights of the six published shapes and compares them with the six published numbers.

    Attention with grouped keys, a gated feed-forward part, two norms a layer and a last one give each number to the
    last digit, without any embedding: the paper's N counts none.
    """
    import pandas as pd

    from broadsheet.methods.scaling.densing_law.configurations import REFERENCE_MODELS

    rows: list[dict[str, Any]] = [
        {"model": shape.name, "published": shape.published, "counted": shape.parameters()}
        for shape in REFERENCE_MODELS
    ]
    run.table("reference-models", pd.DataFrame(rows), caption="Parameters outside the embedding.")
    return Measured(
        float(max(abs(row["published"] - row["counted"]) for row in rows)),
        note="All six published sizes leave the embedding out.",
    )


@claim(
    "The effective size of a reference model is its own size",
    published=0.0,
    unit="largest relative error",
    where="Definition of the effective parameter size",
    kind="exact",
    holds=within(absolute=1e-9),
    minutes=SHORT,
)
def inverse_of_both_steps(run: Run) -> Measured:
    """Sends sizes through both laws to a score, and the score back to a size, for random laws.

    The inverse is closed-form; 1e-9 leaves room for rounding where the score comes near its floor or ceiling.
    """
    import numpy as np
    import pandas as pd

    from broadsheet.methods.scaling.densing_law.family import ReferenceFamily

    rng = run.rng()
    worst = 0.0
    N, D = (m.ravel() for m in np.meshgrid(np.geomspace(5e6, 8e8, 6), np.geomspace(1e8, 5e10, 4)))
    for _ in range(run.pick(smoke=3, laptop=10, paper=10)):
        alpha, beta = rng.uniform(0.15, 0.4, 2)
        loss = np.exp(rng.normal(0.0, 1e-3, len(N))) * ((N / 1e8) ** -alpha + 0.5 * (D / 1e10) ** -beta)
        score = 0.25 + 0.75 / (1.0 + np.exp(rng.uniform(2, 5) * (loss - 1.2)))
        runs = pd.DataFrame({"N": N, "D": D, "loss": loss, "score": score})
        ref = ReferenceFamily().fit_loss(runs).fit_metric(runs, floor=0.25)
        sizes = np.geomspace(5e7, 5e9, 9)
        back = ref.effective_parameters(ref.predict(sizes, 1e12))["N_effective"].to_numpy()
        worst = max(worst, float(np.abs(back / sizes - 1.0).max()))
    return Measured(worst)


# ---- on scores of public models


@claim(
    "The best density of open base models grows exponentially with time",
    published=PUBLISHED_RATE,
    unit="growth of ln density per day",
    where="Densing law, the fit of the maximum density",
    kind="trend",
    holds=above(0.0),
    no_effect=0.0,
    data=SCORES,
    minutes=SHORT,
)
def density_grows(run: Run) -> Measured:
    """Fits the slope of the envelope of MMLU densities since Llama-1 and asks whether it is above 0.

    Models, not envelope points, are resampled, and the envelope is found anew each time. Published R2: 0.912 in the
    text, about 0.93 in the highlights.
    """
    _, trend, _ = _measured(run, "MMLU")
    low, high = trend.confint().loc["A", ["lower", "upper"]]
    return Measured(
        trend.A_,
        float(low),
        float(high),
        note=f"R2 {trend.r2_:.2f} on {len(trend.envelope_)} envelope points; the paper prints 0.912 and about 0.93.",
        parts={"r2": trend.r2_, "envelope_points": len(trend.envelope_), "models": trend.n_models_},
    )


@claim(
    "The best density of open base models doubles about every 95 days",
    published=95.0,
    unit="days, on MMLU",
    where="Densing law, the fit of the maximum density",
    kind="scaled",
    holds=between(70.0, 125.0),
    data=SCORES,
    minutes=SHORT,
)
def doubling_on_mmlu(run: Run) -> Measured:
    """Measures the doubling time on MMLU scores of 65 dated models; Llama and Llama-2 are the reference.

    A quarter to a third around the published value is what another reference, another set of models and one benchmark
    for five leave room for. The interval is over resampled models; the parts give it with the reference's own
    uncertainty, at other D0, and without the families that make the envelope, whose scores may be contaminated.
    """
    import numpy as np

    from broadsheet.methods.scaling.densing_law import figures
    from broadsheet.methods.scaling.densing_law.open_models import ORIGIN, rate_draws
    from broadsheet.methods.scaling.densing_law.trend import DensingTrend

    reference, trend, dated = _measured(run, "MMLU")
    low, high = trend.confint().loc["doubling_days", ["lower", "upper"]]
    both = np.log(2.0) / np.quantile(
        rate_draws(reference, dated, run.pick(smoke=300, laptop=2000, paper=2000)), [0.975, 0.025]
    )
    qwen = [name for name in dated["family"].unique() if name.startswith("Qwen")]
    without = {
        "Phi": ["Phi"],
        "Qwen": qwen,
        "Phi and Qwen": ["Phi", *qwen],
    }
    left = {
        f"days_without_{name}": DensingTrend(ORIGIN).fit(dated, family="family", exclude=names).doubling_days_
        for name, names in without.items()
    }

    def draw(figure: Figure) -> None:
        figures.draw_trend(figure, trend, PUBLISHED_RATE)

    run.figure(
        "density-over-date",
        draw,
        caption="Density on MMLU of 65 open base models over their release date (grey), the models denser than all "
        "before (joined), the fitted line with its 95 % band, and the published slope (dashed).",
        table=dated[["model", "date", "density", "reason"]].sort_values("date"),
        size=(7.6, 4.4),
    )
    run.table("left-out", trend.influence(), caption="The doubling time when one family is left out.")
    parts: dict[str, Any] = {"days_with_reference_error": [float(b) for b in both], **left}
    note = (
        f"Without Phi and Qwen, {left['days_without_Phi and Qwen']:.0f} days; with the reference's own error, "
        f"{both[0]:.0f} to {both[1]:.0f}."
    )
    return Measured(trend.doubling_days_, float(low), float(high), note=note, parts=parts)


@claim(
    "How fast density grows depends on the benchmark that measures it",
    published=None,
    unit="longest over shortest doubling time",
    where="Footnote 1",
    kind="trend",
    holds=above(1.0),
    no_effect=1.0,
    data=SCORES,
    minutes=SHORT,
)
def growth_depends_on_benchmark(run: Run) -> Measured:
    """Measures the doubling time with MMLU, HellaSwag and GSM8K by the same code, and divides longest by shortest.

    The paper warns that its law is tied to its benchmarks. The ratio is that of HellaSwag to GSM8K, the slowest to
    the fastest as measured, so its interval (models resampled, apart for either) is a little too favourable.
    """
    import numpy as np

    from broadsheet.methods.scaling.densing_law import figures
    from broadsheet.methods.scaling.densing_law.open_models import FLOORS

    trends = {name: _measured(run, name)[1] for name in FLOORS}
    days = {name: trend.doubling_days_ for name, trend in trends.items()}
    slow, fast = (
        trends[name].bootstrap(2000, seed)[:, 0] for seed, name in enumerate(("HellaSwag", "GSM8K"))
    )
    low, high = np.nanquantile(fast / slow, [0.025, 0.975])

    def draw(figure: Figure) -> None:
        figures.draw_benchmarks(figure, trends)

    run.figure(
        "three-benchmarks",
        draw,
        caption="The same models and the same code with three benchmarks: the envelope of density and its line.",
        size=(9.6, 3.4),
    )
    said = ", ".join(f"{name} {value:.0f}" for name, value in days.items())
    parts = {"days": days, "r2": {name: trend.r2_ for name, trend in trends.items()}}
    return Measured(
        days["HellaSwag"] / days["GSM8K"], float(low), float(high), note=f"Days: {said}.", parts=parts
    )


@claim(
    "Gemma-2-9B, distilled from a larger teacher, is denser than Gemma-2-27B",
    published=None,
    unit="ratio of densities",
    where="Densities of compressed models",
    kind="trend",
    holds=above(1.0),
    no_effect=1.0,
    data=SCORES,
    minutes=SHORT,
)
def distilled_is_denser(run: Run) -> Measured:
    """Divides the densities on MMLU of the two models; the interval is over the reference's coefficients.

    The paper finds it the only compressed model denser than its parent. The others are not in the public table.
    """
    import numpy as np

    reference, _, dated = _measured(run, "MMLU")
    pair = dated.set_index("model").loc[["google/gemma-2-9b", "google/gemma-2-27b"]]
    drawn = reference.draws(2000)
    logs = reference.log_effective(pair["MMLU"].to_numpy(), 1e12, drawn[drawn[:, 1] > 0]) - np.log(
        pair["N"].to_numpy()
    )
    low, high = np.exp(np.quantile(logs[:, 0] - logs[:, 1], [0.025, 0.975]))
    return Measured(float(pair["density"].iloc[0] / pair["density"].iloc[1]), float(low), float(high))


# ---- on models of our own


@claim(
    "A sigmoid of the conditional loss, fitted on smaller models, predicts the accuracy of a larger one",
    published=None,
    unit="largest error of accuracy",
    where="Two-step estimation, step 2",
    kind="scaled",
    holds=at_most(0.1),
    needs=("llm",),
    seeds={"smoke": 2, "laptop": 3},
    minutes={"smoke": 2.0, "laptop": 10.0},
)
def sigmoid_predicts_accuracy(run: Run) -> Measured:
    """Trains four decoders a seed on two-digit additions, fits step 2 on the three smaller and predicts the largest.

    All sizes see the same questions equally long. The smaller models of all seeds are fitted together, since three
    points cannot place a curve; 0.1 is a tenth of the scale of accuracy.
    """
    import warnings

    import numpy as np
    import pandas as pd

    from broadsheet.methods.scaling.densing_law import figures
    from broadsheet.methods.scaling.densing_law.ladder import measure_ladder
    from broadsheet.methods.scaling.densing_law.laws import LossToMetric
    from broadsheet.methods.scaling.identification import ScalingWarning

    measured = measure_ladder(run)
    last = measured["N"] == measured["N"].max()
    small = measured[~last].assign(score=lambda d: d["score"].clip(lower=1e-6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScalingWarning)  # at smoke scale nothing has been learned yet
        law = LossToMetric(floor=0.0, ceiling=1.0).fit(small)
    errors = np.abs(law.predict(measured.loc[last, ["loss"]]) - measured.loc[last, "score"].to_numpy())
    grid = np.linspace(0.0, 1.05 * measured["loss"].max(), 200)[1:]
    curve = pd.DataFrame({"loss": grid, "score": law.predict(pd.DataFrame({"loss": grid}))})

    def draw(figure: Figure) -> None:
        figures.draw_ladder(figure, measured, curve)

    run.figure(
        "loss-to-accuracy",
        draw,
        caption="Accuracy over the conditional loss of the answer for small decoders on two-digit additions.",
        table=measured,
    )
    return Measured.over_seeds(
        errors.tolist(), parts={"gamma": law.gamma_, "half_height_at": law.params_["l"]}
    )


def _measured(run: Run, metric: str) -> Any:
    from broadsheet.methods.scaling.densing_law.open_models import load_open_models, measure_trend

    return measure_trend(load_open_models(run.data(SCORES[0])), metric)
