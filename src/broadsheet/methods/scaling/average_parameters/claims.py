"""What the paper claims, and how we measure it.

The fitted constants of the law are not public. Published values below are those of the authors' configurations, and
what the abstract states.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from broadsheet.claims import Measured, Run, above, at_most, below, between, claim, within

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEDULE = "Abstract; authors' configuration llama2-{}.yml"
QUICK = {"smoke": 1.0, "laptop": 1.0}
TRAINING: dict[str, Any] = {
    "needs": ("torch",),
    "scales": (
        "smoke",
        "laptop",
    ),  # at the authors' scale these are 80 trainings of up to 1 billion parameters
    "seeds": {"laptop": 4},  # one training differs from another by some 0.03 nats
    "minutes": {"smoke": 2.0, "laptop": 15.0},
}


@claim(
    "Pruning from 25 % to 75 % of the compute means steps 12,500 to 47,200 of the authors' 1B training",
    published=0.0,
    unit="steps from the authors' configuration",
    where=SCHEDULE.format("1b"),
    kind="exact",
    holds=within(absolute=100.0),
    minutes=QUICK,
)
def one_billion_schedule(run: Run) -> Measured:
    """Computes where half of the weights go between 25 % and 75 % of the compute of 72,200 steps.

    The value is the larger distance of the closed form from the two configured steps. Weights are removed every 100
    steps there, so one interval is the resolution of a configuration.
    """
    return _distance(72_200, 0.5, (12_500, 47_200))


@claim(
    "Pruning from 25 % to 75 % of the compute means steps 4,100 to 16,600 of the authors' 70M training",
    published=0.0,
    unit="steps from the authors' configuration",
    where=SCHEDULE.format("70m"),
    kind="exact",
    holds=within(absolute=100.0),
    minutes=QUICK,
)
def seventy_million_schedule(run: Run) -> Measured:
    """Computes the same for 60 % sparsity and 26,800 steps, a number that stands there in a comment.

    One interval of 100 steps is the resolution of a configuration here, too.
    """
    return _distance(26_800, 0.6, (4_100, 16_600))


@claim(
    "The authors' 1B training stops pruning when 75 % of its compute is spent",
    published=0.75,
    unit="share of the training compute",
    where=SCHEDULE.format("1b"),
    kind="exact",
    holds=within(absolute=0.002),
    minutes=QUICK,
)
def compute_at_the_end_of_pruning(run: Run) -> Measured:
    """Adds up the live weights of all 72,200 steps of the configured schedule, event by event.

    Ends are rounded to 100 steps there: half of that is 0.05 % of the compute at each end, and events in jumps move
    the sum by as much again; 0.002 covers both.
    """
    import numpy as np
    import pandas as pd

    from broadsheet.methods.scaling.average_parameters import figures
    from broadsheet.methods.scaling.average_parameters.schedule import PruneSchedule, continuous_schedule

    plan = PruneSchedule(72_200, 0.5, 12_500, 47_200, 100)
    begin, end = plan.compute_share(plan.start_step), plan.compute_share(plan.end_step)
    steps = np.arange(0, plan.total_steps, 100)
    live = pd.DataFrame({"step": steps, "keep": plan.keep_at(steps)})
    authors = pd.DataFrame(
        {
            "step": [plan.start_step, plan.end_step],
            "keep": [1.0, 0.5],
            "name": [f"begins: {begin:.1%} of the compute spent", f"ends: {end:.1%}"],
        }
    )

    def draw(figure: Figure) -> None:
        figures.draw_schedule(figure, live, authors)

    run.figure(
        "schedule",
        draw,
        caption="Share of live weights over the authors' 1B training at 50 % sparsity; the area is the compute, and "
        "the open points are the configured begin and end of pruning.",
        table=live.iloc[::10],
        size=(7.0, 3.4),
    )
    parts = {
        "share_before_pruning": begin,
        "average_over_initial_parameters": plan.average_keep,
        "closed_form_of_that": continuous_schedule(0.5)[2],
    }
    return Measured(end, parts=parts)


@claim(
    "A sparse run's loss is that of a dense model of its **mean** parameter count",
    published=None,
    unit="of the way between the dense losses at its initial and final count",
    where="Abstract",
    kind="scaled",
    holds=between(-0.25, 0.25),
    **TRAINING,
)
def mean_count_decides(run: Run) -> Measured:
    """Trains a tiny character model dense at four widths, and sparse at 50 % and 75 % from the widest.

    The value is how far a sparse loss lies above the dense curve, read at the mean count, in units of the dense losses'
    difference between the sparse run's final and initial count; of the two sparsities the one further off counts.
    Were it the final count that decides, the value would be near 0.45, were it the initial one, near -0.55; a quarter
    is half of the way. Dense models differ in heads and feed-forward only: the embedding is the same in all.
    """
    from broadsheet.methods.scaling.average_parameters import figures, study

    runs = study.trained(run)
    by_seed = {s: [study.position(group, s) for _, group in runs.groupby("seed")] for s in study.SPARSITIES}
    means = {s: sum(values) / len(values) for s, values in by_seed.items()}
    furthest = max(means, key=lambda s: abs(means[s]))
    shown = runs.groupby(["name", "sparsity", "initial"], as_index=False)[["average", "final", "loss"]].mean()
    dense, sparse = shown[shown["name"] == "dense"], shown[shown["name"] == "25-75"]

    def draw(figure: Figure) -> None:
        figures.draw_counts(figure, dense, sparse)

    run.figure(
        "loss-by-count",
        draw,
        caption="Validation loss against prunable weights: the dense curve, and each sparse run drawn at its initial, "
        "its mean (filled) and its final count.",
        table=shown.round(4),
    )
    run.table("trainings", runs.round(4), caption="All trainings, by seed.")
    note = "Remaining bias (above the dense curve is positive): " + ", ".join(
        f"{mean:+.2f} at {s:.0%} sparsity" for s, mean in means.items()
    )
    parts = {f"signed_at_{s:g}": values for s, values in by_seed.items()}
    return Measured.over_seeds(by_seed[furthest], note=f"{note}.", parts=parts)


@claim(
    "One power law of the **mean** parameter count fits sparse and dense models together",
    published=None,
    unit="residual SD, over that of the better of initial and final count",
    where="Abstract",
    kind="scaled",
    holds=below(0.7),
    no_effect=1.0,
    **TRAINING,
)
def one_law_for_both(run: Run) -> Measured:
    """Fits E + A / N**alpha to the dense and sparse losses of a seed, with three meanings of N.

    All runs saw the same number of tokens, so the law's token term is one with E. Below 0.7 the residual variance is
    less than half of that with the best other meaning of N; 1 means that the mean count is no better.
    """
    from broadsheet.methods.scaling.average_parameters import study

    runs = study.trained(run)
    spread: dict[str, list[float]] = {count: [] for count in study.COUNTS}
    for _, group in runs.groupby("seed"):
        for count in study.COUNTS:
            spread[count].append(study.residual_sd(group, count))
    ratios = [
        mean / min(initial, final)
        for mean, initial, final in zip(spread["average"], spread["initial"], spread["final"], strict=True)
    ]
    return Measured.over_seeds(ratios, parts={f"residual_sd_of_{c}": v for c, v in spread.items()})


@claim(
    "Pruning between 25 % and 75 % of the compute is about the best schedule",
    published=None,
    unit="nats per character by which the better other schedule is worse",
    where="Abstract",
    kind="scaled",
    holds=above(-0.01),
    **TRAINING,
)
def a_quarter_to_three_quarters(run: Run) -> Measured:
    """Compares it at 75 % sparsity with an early (0 to 30 %) and a late (70 to 95 %) schedule of the same compute.

    The value is the smaller of the two mean advantages. The paper claims near-optimality, so a loss within seed
    noise, 0.01 in a trial, counts as holding. Early pruning makes steps cheaper, so that run gets more of them.
    """
    from broadsheet.methods.scaling.average_parameters import figures, study

    runs = study.trained(run)
    highest = runs[runs["sparsity"] == max(study.SPARSITIES)]
    losses = highest.pivot(index="seed", columns="name", values="loss")
    advantage = {name: losses[name] - losses["25-75"] for name in study.OTHERS}
    closest = min(advantage, key=lambda name: float(advantage[name].mean()))
    words = {"early": "early: 0 to 30 %", "25-75": "25 to 75 %", "late": "late: 70 to 95 %"}
    shown = highest.assign(schedule=highest["name"].map(words))
    shown = shown.set_index("name").loc[list(words)].reset_index()

    def draw(figure: Figure) -> None:
        figures.draw_schedules(figure, shown)

    run.figure(
        "schedules",
        draw,
        caption="Validation loss at 75 % sparsity under three schedules of the same compute: seeds as points, their "
        "mean as a line.",
        table=shown[["schedule", "seed", "average", "tokens", "compute", "loss"]].round(4),
        size=(7.0, 2.4),
    )
    parts = {f"advantage_over_{name}": values.tolist() for name, values in advantage.items()}
    tokens = highest.groupby("name")["tokens"].mean()
    note = (
        f"The better other one is {closest}; it saw {tokens[closest] / tokens['25-75']:.2f} times the tokens."
    )
    return Measured.over_seeds(advantage[closest], note=note, parts=parts)


@claim(
    "At equal training compute a sparse run ends with a smaller model of the same quality",
    published=None,
    unit="% by which its loss is higher",
    where="Abstract",
    kind="scaled",
    holds=at_most(1.0),
    **TRAINING,
)
def smaller_at_equal_compute(run: Run) -> Measured:
    """Compares the 75 % sparse run with the dense model of its mean count, which costs the same to train.

    The sparse model ends with 54 % of the dense one's weights. 1 % of the loss is about twice the seed noise.
    """
    from broadsheet.methods.scaling.average_parameters import study

    runs = study.trained(run)
    excess, smaller = [], []
    for _, group in runs.groupby("seed"):
        sparse = group[(group["name"] == "25-75") & (group["sparsity"] == max(study.SPARSITIES))].iloc[0]
        dense = study.dense_loss(group, sparse["average"])
        excess.append(100.0 * float(sparse["loss"] / dense - 1.0))
        smaller.append(float(sparse["final"] / sparse["average"]))
    return Measured.over_seeds(excess, parts={"final_over_dense_parameters": smaller})


# ---- what several claims share


def _distance(total: int, sparsity: float, published: tuple[int, int]) -> Measured:
    from broadsheet.methods.scaling.average_parameters.schedule import continuous_schedule, prune_schedule

    begin, end, mean = continuous_schedule(sparsity)
    plan = prune_schedule(total, sparsity)
    parts = {
        "begin": begin * total,
        "end": end * total,
        "begin_snapped": plan.start_step,
        "end_snapped": plan.end_step,
        "average_over_initial_parameters": mean,
    }
    far = max(abs(begin * total - published[0]), abs(end * total - published[1]))
    note = f"Snapped to 100 steps: {plan.start_step:,} to {plan.end_step:,}."
    return Measured(far, note=note, parts=parts)
