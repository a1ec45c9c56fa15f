"""What the paper claims, and how we measure it.

The authors' models are not at hand. The estimator is measured where the truth is known, the theorem on random
constants, and the law on small decoders trained here, whose exact pass rates follow from teacher forcing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from broadsheet.claims import Measured, Run, above, at_least, at_most, below, claim, within

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SHORT = {"smoke": 1.0, "laptop": 5.0}
LONG = {"smoke": 2.0, "laptop": 20.0}
SEEDS = {"smoke": 1, "laptop": 3}
RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
EMOJI = {"real": 0.002608, "dataset": 0.002381, "instance": 0.003112}


@claim(
    "Fitted on the data set, the law predicts the 2.4B model 8.7 % too low on Emoji Movie",
    published=-8.7,
    unit="% deviation",
    where="Table of predictions",
    kind="exact",
    holds=within(absolute=0.05),
    minutes=SHORT,
)
def emoji_by_data_set(run: Run) -> Measured:
    """Divides the printed prediction by the printed real value; percent are given to one decimal."""
    return Measured(100.0 * (EMOJI["dataset"] / EMOJI["real"] - 1.0))


@claim(
    "Fitted item by item, it predicts 19.3 % too high there: instances are not always better",
    published=19.3,
    unit="% deviation",
    where="Table of predictions",
    kind="exact",
    holds=within(absolute=0.05),
    minutes=SHORT,
)
def emoji_by_instance(run: Run) -> Measured:
    """Divides the printed prediction by the printed real value; percent are given to one decimal.

    On HumanEval the instance level is 0.05 % off, as the abstract says; here it is further off than the data set's.
    """
    return Measured(
        100.0 * (EMOJI["instance"] / EMOJI["real"] - 1.0),
        parts={"by_data_set": 100.0 * (EMOJI["dataset"] / EMOJI["real"] - 1.0), "humaneval": 0.05},
    )


@claim(
    "If every step of a reasoning has to be right, F is convex in ln N: growth is never accelerated",
    published=0.0,
    unit="largest concavity found",
    where="Theorem on the multi-step reasoning hypothesis",
    kind="exact",
    holds=within(absolute=1e-9),
    minutes=SHORT,
)
def many_steps_are_convex(run: Run) -> Measured:
    """Looks for a falling slope of F over ten decades of N, for random numbers of steps and random constants.

    F is computed as the logarithm of minus the logarithm of the product, not by the closed form that shows the
    convexity; 1e-9 leaves room for the rounding of second differences.
    """
    import numpy as np

    rng = run.rng()
    N = np.geomspace(1e5, 1e12, 141)
    worst, bent = 0.0, 0
    tries = run.pick(smoke=200, laptop=5000, paper=50_000)
    for _ in range(tries):
        k = int(rng.integers(2, 8))
        alpha = rng.uniform(0.02, 0.6, k)
        logs = np.log(rng.uniform(0.5, 20.0, k)) + alpha * np.log(1e8)  # steps matter at about 1e8 parameters
        rates = np.exp(-np.exp(logs - np.outer(np.log(N), alpha)))  # a column per step
        whole = rates.prod(axis=1)
        seen = whole > 1e-300  # below, nothing of the product is left in double precision
        second = np.diff(np.log(-np.log(whole[seen])), 2)
        worst = max(worst, float(-second.min()))
        bent += bool(second.max() > 1e-6)
    return Measured(max(worst, 0.0), parts={"tries": tries, "visibly_convex": bent})


@claim(
    "Several circuits that solve a task in different ways can make growth accelerate",
    published=None,
    unit="share of pairs of circuits with concave growth",
    where="Multiple circuits hypothesis",
    kind="trend",
    holds=above(0.0),
    minutes=SHORT,
)
def circuits_can_accelerate(run: Run) -> Measured:
    """Counts random pairs of circuits whose soft choice bends F downwards somewhere by more than rounding.

    The claim is one of possibility, so any share above 0 counts. How circuits are weighed, by a softmax of their
    log-rates, is our reading of the paper's form.
    """
    import numpy as np

    from broadsheet.methods.scaling.pass_until.emergence import circuits_curve

    rng = run.rng()
    N = np.geomspace(1e5, 1e12, 141)
    tries = run.pick(smoke=200, laptop=5000, paper=50_000)
    bent = 0
    for _ in range(tries):
        alpha = rng.uniform(0.02, 0.6, 2)
        c = rng.uniform(0.5, 20.0, 2) * 1e8**alpha
        bent += bool(np.diff(circuits_curve(N, c, alpha), 2).min() < -1e-4)
    return Measured(bent / tries)


@claim(
    "Waiting for r passes measures rates down to 1e-5, with honest intervals",
    published=None,
    unit="smallest coverage of 95 % intervals",
    where="Definition of PassUntil",
    kind="trend",
    holds=at_least(0.93),
    minutes=SHORT,
)
def intervals_cover(run: Run) -> Measured:
    """Draws items with known rates from 0.1 to 1e-5, waits for 1, 2 or 5 passes, and counts intervals that hold.

    Exact intervals cover at least 95 % at every rate; the smallest of 15 shares of 2000 lies about two binomial
    standard errors, 0.01, below its expectation by chance, and 0.93 four. The paper's estimate has no interval.
    """
    import numpy as np
    import pandas as pd

    from broadsheet.methods.scaling.pass_until import figures
    from broadsheet.methods.scaling.pass_until.estimator import pass_rate_interval

    count = run.pick(smoke=2000, laptop=2000, paper=20_000)
    rng = run.rng()
    rows = []
    for r in (1, 2, 5):
        for rate in RATES:
            samples = rng.negative_binomial(r, rate, count) + r
            low, high = pass_rate_interval(r, samples)
            rows.append({"r": r, "rate": rate, "coverage": float(np.mean((low <= rate) & (rate <= high)))})
    found = pd.DataFrame(rows)

    def draw(figure: Figure) -> None:
        figures.draw_coverage(figure, found)

    run.figure(
        "coverage",
        draw,
        caption="Share of 95 % intervals that hold the true rate, for 1, 2 and 5 passes waited for.",
        table=found,
    )
    return Measured(float(found["coverage"].min()), parts={"largest": float(found["coverage"].max())})


@claim(
    "The estimate r/K is the likeliest rate, and too high on average by a known factor",
    published=None,
    unit="largest distance from the closed form, in standard errors",
    where="Definition of PassUntil",
    kind="trend",
    holds=at_most(4.0),
    minutes=SHORT,
)
def bias_has_a_closed_form(run: Run) -> Measured:
    """Averages r/K and (r - 1)/(K - 1) over repetitions and compares them with their expectations.

    That of r/K is in closed form, that of the second is the rate itself. The largest of 25 distances exceeds 4 standard
    errors by chance in about 1 of 600 measurements.
    """
    import numpy as np

    from broadsheet.methods.scaling.pass_until.estimator import expected_mle, pass_rate

    rng = run.rng()
    count = run.pick(smoke=20_000, laptop=200_000, paper=2_000_000)
    worst, factors = 0.0, {}
    for r in (1, 2, 5):
        for rate in RATES:
            samples = rng.negative_binomial(r, rate, count) + r
            for method, truth in (("mle", expected_mle(rate, r)), ("unbiased", rate)):
                if method == "unbiased" and r == 1:
                    continue
                values = pass_rate(r, samples, method=method)
                worst = max(worst, abs(values.mean() - truth) / (values.std() / np.sqrt(count)))
            factors[f"r={r}, rate={rate:g}"] = expected_mle(rate, r) / rate
    note = (
        f"With r = 1, r/K is {factors['r=1, rate=0.001']:.1f} times too high on average at a rate of 0.001."
    )
    return Measured(float(worst), note=note, parts={"mle_over_rate": factors})


# ---- on models of our own


@claim(
    "PassUntil agrees with the true pass rate",
    published=None,
    unit="share of items whose 95 % interval holds the exact rate",
    where="Definition of PassUntil",
    kind="scaled",
    holds=at_least(0.9),
    needs=("llm",),
    seeds=SEEDS,
    minutes=LONG,
)
def passes_agree_with_the_truth(run: Run) -> Measured:
    """Samples three-digit additions from two small decoders a seed, up to 20,000 times an item.

    Each sum has one text and one tokenisation, so teacher forcing gives its true probability. Intervals cover at least
    95 % of items; 0.9 leaves room for the chance of a few hundred.
    """
    from broadsheet.methods.scaling.pass_until import figures

    table = _hard(run)
    holds = (table["lower"] <= table["exact"]) & (table["exact"] <= table["upper"])

    def draw(figure: Figure) -> None:
        figures.draw_resolution(figure, table)

    run.figure(
        "resolution",
        draw,
        caption="Items of three-digit addition: the rate by PassUntil with its interval over the exact one; beneath, "
        "the share of 20 samples that pass.",
        table=table[["seed", "N", "item", "exact", "p_mle", "lower", "upper", "r", "K", "of_20"]],
        size=(6.4, 5.2),
    )
    low, high = _binomial(int(holds.sum()), len(holds))
    return Measured(float(holds.mean()), low, high, parts={"samples": int(table["K"].sum())})


@claim(
    "Small models that score 0 with few samples are resolved by sampling on",
    published=None,
    unit="share of items at 0 of 20 that then show a rate",
    where="Introduction, figure 1",
    kind="scaled",
    holds=at_least(0.75),
    needs=("llm",),
    seeds=SEEDS,
    minutes=LONG,
)
def sampling_on_resolves_zeros(run: Run) -> Measured:
    """Takes items of which none of the first 20 samples passed, and counts those that pass until the cap of 20,000.

    The same decoders and samples as above. An item counts if its interval excludes 0. Three of four is a majority that
    no noise makes.
    """
    table = _hard(run)
    zeros = table[table["of_20"] == 0]
    shown = zeros["lower"] > 0
    low, high = _binomial(int(shown.sum()), len(zeros))
    note = f"{len(zeros)} of {len(table)} items score 0 of 20; their mean true rate is {zeros['exact'].mean():.2g}."
    return Measured(float(shown.mean()), low, high, note=note, parts={"zero_of_20": len(zeros) / len(table)})


@claim(
    "The law fitted on smaller models predicts the pass rate of a larger one",
    published=None,
    unit="|log10 of predicted over exact rate|",
    where="Task scaling law",
    kind="scaled",
    holds=at_most(0.5),
    needs=("llm",),
    seeds=SEEDS,
    minutes=LONG,
)
def law_predicts_the_largest(run: Run) -> Measured:
    """Fits the law to PassUntil's rates of all but the largest decoder on recall of values, and predicts that one.

    All sizes see the same questions equally long. Half a decade is a small part of the decades over which rates are
    followed. The instance level, fitted to the same tables, stands in the parts, better or not.
    """
    import numpy as np
    import pandas as pd

    from broadsheet.methods.scaling.pass_until import figures

    found = [_predict(run, seed) for seed in run.seeds]
    errors = [f["error"] for f in found]
    measured = pd.concat([f["measured"] for f in found], ignore_index=True)
    fitted = pd.concat([f["line"] for f in found], ignore_index=True)

    def draw(figure: Figure) -> None:
        figures.draw_prediction(figure, measured, fitted)

    run.figure(
        "prediction",
        draw,
        caption="Recall of values: rates by PassUntil with intervals (dots), the law fitted to them, and the exact "
        "rate of the largest model (squares), for each seed.",
        table=measured,
        size=(7.6, 3.6),
    )
    by_item = [f["by_instance"] for f in found]
    note = f"By instance the mean error is {np.mean(by_item):.2g}."
    return Measured.over_seeds(errors, note=note, parts={"by_instance": by_item})


@claim(
    "Some abilities emerge faster than the law: F bends downwards",
    published=None,
    unit="curvature of F in ln N",
    where="Quantitative study of emergence",
    kind="trend",
    holds=below(0.0),
    no_effect=0.0,
    needs=("llm",),
    seeds=SEEDS,
    minutes=LONG,
)
def addition_accelerates(run: Run) -> Measured:
    """Measures exact rates of two-digit addition for five sizes a seed and fits a parabola to F.

    The interval is Student's over sizes and seeds together. Below 0 is accelerated emergence, 0 the law, above 0 slow
    growth; whichever comes out is stated.
    """
    from broadsheet.methods.scaling.pass_until import figures

    measured, parabola, kind = _emergence(run)

    def draw(figure: Figure) -> None:
        figures.draw_emergence(figure, measured, parabola)

    run.figure(
        "emergence",
        draw,
        caption="Two-digit addition: exact pass rate over size for each seed, and F with the fitted parabola.",
        table=measured,
        size=(7.6, 3.6),
    )
    return Measured(kind.curvature, kind.lower, kind.upper, note=f"Classified as {kind.label}.")


# ---- what several claims share


def _hard(run: Run) -> pd.DataFrame:
    """Sample the hard additions: a row per seed, model and item."""
    import pandas as pd

    from broadsheet.methods.scaling.generated_tasks import HARD, ladder, questions
    from broadsheet.methods.scaling.pass_until.ladder import sampled, share_of_first

    items = questions(HARD.task, run.pick(smoke=4, laptop=60, paper=500))
    tables = []
    for seed in run.seeds:
        for decoder in ladder(run, HARD, seed):
            table = sampled(decoder, items, 2, seed, scale=run.scale)
            tables.append(table.assign(seed=seed, of_20=share_of_first(decoder, items, seed, 20)))
    return pd.concat(tables, ignore_index=True)


def _predict(run: Run, seed: int) -> dict[str, Any]:
    """Fit the law to all but the largest model of a seed, and predict that one."""
    import warnings

    import numpy as np
    import pandas as pd

    from broadsheet.methods.scaling.generated_tasks import SMOOTH, ladder, questions
    from broadsheet.methods.scaling.pass_until.ladder import exact_rates, sampled
    from broadsheet.methods.scaling.pass_until.laws import CensoredWarning, InstanceTaskScaling, TaskScaling
    from broadsheet.methods.scaling.pass_until.until import dataset_pass_rate

    items = questions(SMOOTH.task, run.pick(smoke=6, laptop=80, paper=500))
    decoders = ladder(run, SMOOTH, seed)
    tables = [sampled(decoder, items, 5, seed, scale=run.scale) for decoder in decoders[:-1]]
    small = pd.concat(
        [
            dataset_pass_rate(t, t["N"].iloc[0], estimate="p_unbiased").assign(exact=t["exact"].mean())
            for t in tables
        ]
    )
    truth = float(exact_rates(decoders[-1], items).mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CensoredWarning)
        law = TaskScaling().fit(small)
        by_item = InstanceTaskScaling().fit(pd.concat(tables), loss="loss")
    largest = pd.DataFrame([{"N": decoders[-1].N, "pu": truth, "exact": truth}])
    grid = np.geomspace(small["N"].min(), decoders[-1].N, 60)
    return {
        "error": float(abs(np.log10(law.predict(decoders[-1].N)[0] / truth))),
        "by_instance": float(abs(np.log10(by_item.predict(decoders[-1].N)[0] / truth))),
        "measured": pd.concat([small, largest], ignore_index=True).assign(seed=seed),
        "line": pd.DataFrame({"seed": seed, "N": grid, "pu": law.predict(grid)}),
    }


def _emergence(run: Run) -> tuple[pd.DataFrame, pd.DataFrame, Any]:
    """Return exact rates of two-digit additions, the parabola of F, and its class."""
    import numpy as np
    import pandas as pd

    from broadsheet.methods.scaling.generated_tasks import STEEP, ladder, questions
    from broadsheet.methods.scaling.pass_until.emergence import classify_emergence
    from broadsheet.methods.scaling.pass_until.ladder import exact_rates
    from broadsheet.methods.scaling.pass_until.points import line_fit, read_points

    items = questions(STEEP.task, run.pick(smoke=50, laptop=500, paper=5000))
    rows = [
        {"seed": seed, "N": decoder.N, "pu": float(exact_rates(decoder, items).mean())}
        for seed in run.seeds
        for decoder in ladder(run, STEEP, seed)
    ]
    measured = pd.DataFrame(rows)
    points = read_points(measured)
    coefficients, *_ = line_fit(points, degree=2)
    grid = np.geomspace(measured["N"].min(), measured["N"].max(), 80)
    F = np.vander(np.log(grid) - points.x.mean(), 3, increasing=True) @ coefficients
    return measured, pd.DataFrame({"N": grid, "F": F}), classify_emergence(measured)


def _binomial(hits: int, trials: int) -> tuple[float, float]:
    from scipy.stats import beta

    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, trials - hits + 1))
    return low, 1.0 if hits == trials else float(beta.ppf(0.975, hits + 1, trials - hits))
