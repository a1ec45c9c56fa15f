"""What the paper claims, and how we measure it.

The paper's fitted constants could not be verified and are not stated. The largest models it predicts have 33 billion
parameters; here, published runs of others and small models of our own stand in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from broadsheet.claims import Measured, Run, above, at_least, at_most, claim, within

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

ABSTRACT = "Abstract"
STEP_LAW = ("steplaw-dense-lr-bs-loss",)
SHORT = {"smoke": 2.0, "laptop": 5.0}
LONG = {"smoke": 2.0, "laptop": 15.0}
SEEDS = {"laptop": 3, "paper": 3}


@claim(
    "At the critical batch size a loss costs **twice** the least steps and twice the least tokens",
    published=2.0,
    unit="times the least steps, and tokens",
    where="Section on batch size, after Kaplan et al. 2020, equation 5.3",
    kind="exact",
    holds=within(absolute=1e-9),
    minutes=SHORT,
)
def twice_at_the_critical_batch(run: Run) -> Measured:
    """Divides steps and tokens at the critical batch by those at batches without bound and near nothing.

    Over sizes and losses; the value farthest from 2 is shown. 1e-9 leaves room for the two limits, taken at a batch
    1e12 times larger and smaller.
    """
    import numpy as np

    from broadsheet.methods.scaling.loss_trajectory.law import LossTrajectory

    law = LossTrajectory.from_params(
        {"N_c": 6.5e13, "alpha_N": 0.077, "S_c": 2100, "alpha_S": 0.76, "B_star": 2e8, "alpha_B": 0.21}
    )
    size, over = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e11, 6), np.linspace(1.05, 3.0, 6)))
    loss = law.min_loss(size) * over
    batch = law.critical_batch(loss)
    steps = law.steps_to(loss, size, batch) / law.steps_to(loss, size, batch * 1e12)
    tokens = law.tokens_to(loss, size, batch) / law.tokens_to(loss, size, batch / 1e12)
    # and back through the implicit law: the loss after those steps is the loss that was asked for
    found = law.predict(N=size, S=law.steps_to(loss, size, batch), B=batch)
    parts = {
        "steps": float(steps.max()),
        "tokens": float(tokens.max()),
        "largest_error_of_the_loss": float(np.abs(found / loss - 1).max()),
    }
    both = np.concatenate([steps, tokens])
    return Measured(float(both[np.abs(both - 2.0).argmax()]), parts=parts)


@claim(
    "Constants from small models predict the loss of a larger one",
    published=None,
    unit="% mean absolute error",
    where=ABSTRACT,
    kind="scaled",
    holds=at_most(1.0),
    data=STEP_LAW,
    minutes=SHORT,
)
def small_models_predict_a_larger_one(run: Run) -> Measured:
    """Fits 150 published runs below 1 B parameters and predicts the 20 with 1.07 B, for any batch and length.

    Runs of Li et al. 2025, the best learning rate of each size, length and batch. Each is the end of a cosine run,
    not a point of one trajectory as in the paper. 1 % is about what two runs that differ in their seed alone may
    differ by at this size; the interval is a bootstrap over the held-out runs.
    """
    import numpy as np
    import pandas as pd

    from broadsheet.methods.scaling.loss_trajectory import figures, study
    from broadsheet.methods.scaling.loss_trajectory.law import LossTrajectory

    ends = study.step_law_ends(run.data(*STEP_LAW))
    small, large = study.split(ends)
    law = LossTrajectory().fit(small)
    points = pd.concat([small.assign(held_out=False), large.assign(held_out=True)])
    points["predicted"] = law.predict(points[["N", "S", "B"]])
    error = 100 * np.abs(points["predicted"] / points["loss"] - 1.0)
    held = error[points["held_out"]].to_numpy()

    def draw(figure: Figure) -> None:
        figures.draw_held_out(figure, points)

    run.figure(
        "held-out-sizes",
        draw,
        caption="Predicted over measured loss of published runs (Li et al. 2025), each the end of a cosine run: those "
        "below 1 B parameters were fitted, those of 1.07 B were not.",
        # what we computed; the authors' runs stand in the registry
        table=points[["N", "held_out", "predicted"]].assign(error=error).reset_index(drop=True),
        size=(5.6, 4.6),
    )
    low, high = _bootstrap(lambda rows: float(held[rows].mean()), len(held))
    parts = {
        **law.params_,
        "critical_batch_at_loss_2.3": float(law.critical_batch(2.3)),
        "mean_error_fitted_%": float(error[~points["held_out"]].mean()),
        "worst_error_held_out_%": float(held.max()),
        "runs": [len(small), len(large)],
    }
    note = "B_star and alpha_B are nearly a ridge: read the critical batch at a loss, not B_star alone."
    return Measured(float(held.mean()), low, high, note=note, parts=parts)


@claim(
    "The batch size belongs into the law: without it, predictions are worse",
    published=None,
    unit="error of the better simpler law over ours",
    where=ABSTRACT,
    kind="trend",
    holds=above(1.0),
    no_effect=1.0,
    data=STEP_LAW,
    minutes=SHORT,
)
def batch_size_belongs_into_the_law(run: Run) -> Measured:
    """Divides the held-out error of the better of two simpler laws by that of the trajectory law.

    One leaves the batch out (Kaplan's law of N and S), one knows N and D alone (Chinchilla). All three are fitted to
    the same rows by the same robust loss and multi-start search. The bootstrap is over held-out runs, paired.
    """
    import numpy as np

    from broadsheet.methods.scaling.loss_trajectory import study

    errors = {
        k: np.abs(v) for k, v in study.held_out_errors(study.step_law_ends(run.data(*STEP_LAW))).items()
    }

    def ratio(rows: np.ndarray) -> float:
        rivals = min(errors[name][rows].mean() for name in ("steps", "chinchilla"))
        return float(rivals / errors["trajectory"][rows].mean())

    count = len(errors["trajectory"])
    low, high = _bootstrap(ratio, count)
    parts = {f"mean_error_{name}_%": 100 * float(e.mean()) for name, e in errors.items()}
    return Measured(ratio(np.arange(count)), low, high, parts=parts)


@claim(
    "Steps and tokens to a loss trade off along a hyperbola",
    published=None,
    unit="smallest R² of three losses",
    where="Section on batch size",
    kind="scaled",
    holds=at_least(0.9),
    needs=("torch",),
    seeds=SEEDS,
    minutes=LONG,
)
def steps_and_tokens_trade_off(run: Run) -> Measured:
    """Trains one size at four batch sizes and fits the hyperbola at three losses that all reach.

    R² is that of ln S, with two constants a loss; the smallest of the three counts, the interval is over seeds. 0.9
    is what the two-constant form must explain to be of use for planning.
    """
    import pandas as pd

    from broadsheet.methods.scaling.loss_trajectory import figures, study
    from broadsheet.methods.scaling.loss_trajectory.critical_batch import steps_at_losses

    curves, how = study.own_curves(run), study.setting(run)
    found = {seed: study.hyperbolas(own, how).levels_ for seed, own in curves.groupby("seed")}
    first = curves[curves["seed"] == run.seeds[0]]
    own = first[(first["width"] == how.widths[-1]) & (first["B"] != how.new_batch * study.CONTEXT)]
    levels = found[run.seeds[0]]
    points = steps_at_losses(own, levels["loss"]).assign(E=lambda t: t["S"] * t["B"])
    lines = pd.concat([_hyperbola(level, points) for _, level in levels.iterrows()])

    def draw(figure: Figure) -> None:
        figures.draw_trade_off(figure, points, lines)

    run.figure(
        "trade-off",
        draw,
        caption="Steps and tokens that one small model needs to reach three losses, at four batch sizes, with the "
        "fitted hyperbolas.",
        table=points,
        size=(6.2, 4.2),
    )
    parts = {"by_seed": {str(seed): levels.to_dict("records") for seed, levels in found.items()}}
    return Measured.over_seeds([float(levels["r2"].min()) for levels in found.values()], parts=parts)


@claim(
    "The critical batch size grows as the loss falls",
    published=None,
    unit="log ratio of critical batches, lowest to highest loss",
    where=ABSTRACT,
    kind="scaled",
    holds=above(0.0),
    no_effect=0.0,
    needs=("torch",),
    seeds=SEEDS,
    minutes=LONG,
)
def critical_batch_grows(run: Run) -> Measured:
    """Takes the logarithm of the critical batch at the lowest of three losses over that at the highest.

    0 means that the critical batch does not depend on the loss. The interval is over seeds.
    """
    import numpy as np

    from broadsheet.methods.scaling.loss_trajectory import study

    curves, how = study.own_curves(run), study.setting(run)
    levels = {seed: study.hyperbolas(own, how).levels_ for seed, own in curves.groupby("seed")}
    with np.errstate(divide="ignore", invalid="ignore"):
        values = [float(np.log(t["B_crit"].iloc[-1] / t["B_crit"].iloc[0])) for t in levels.values()]
    parts = {"critical_batches": {str(seed): t["B_crit"].tolist() for seed, t in levels.items()}}
    return Measured.over_seeds(values, parts=parts)


@claim(
    "The whole training curve of an unseen size at an unseen batch is predicted",
    published=None,
    unit="% mean absolute error",
    where=ABSTRACT,
    kind="scaled",
    holds=at_most(3.0),
    needs=("torch",),
    scales=("laptop", "paper"),  # in seconds, the sizes do not part ways: N_c and alpha_N are not identified
    seeds=SEEDS,
    minutes=LONG,
)
def unseen_curve_is_predicted(run: Run) -> Measured:
    """Fits twelve curves of three small widths and four batches, and predicts a width twice as large at a new batch.

    The error is over the second half of the steps, the interval over seeds. 3 % of the loss is less than what
    doubling the width gains here; the next claim compares with what one would do without the law.
    """
    import pandas as pd

    from broadsheet.methods.scaling.loss_trajectory import figures, study

    curves, how = study.own_curves(run), study.setting(run)
    errors = {seed: study.baseline_errors(own, how) for seed, own in curves.groupby("seed")}
    first = curves[curves["seed"] == run.seeds[0]]
    law = study.fitted(first, how)
    new = first["B"] == how.new_batch * study.CONTEXT
    table = pd.concat([first[~new], first[new & (first["width"] == how.held_out)]])
    table = table.assign(
        predicted=law.predict(table[["N", "S", "B"]]), held_out=table["width"] == how.held_out
    )

    def draw(figure: Figure) -> None:
        figures.draw_curves(figure, table)

    run.figure(
        "curves",
        draw,
        caption="Training curves of small models on characters of Python's help texts (points) and the law fitted to "
        "all but the widest (lines); the widest, at a batch size of its own, is predicted.",
        table=table,
        size=(7.2, 4.6),
    )
    parts = {"constants": law.params_, "nearest_curve_%": [100 * e["nearest"] for e in errors.values()]}
    return Measured.over_seeds([100 * e["law"] for e in errors.values()], parts=parts)


@claim(
    "The law predicts an unseen curve better than the nearest trained one does",
    published=None,
    unit="log ratio of errors, nearest curve to law",
    where=ABSTRACT,
    kind="scaled",
    holds=above(0.0),
    no_effect=0.0,
    needs=("torch",),
    scales=("laptop", "paper"),  # in seconds, the sizes do not part ways: N_c and alpha_N are not identified
    seeds=SEEDS,
    minutes=LONG,
)
def law_beats_the_nearest_curve(run: Run) -> Measured:
    """Compares with the measured curve of the largest fitted width at the very same batch, which the law never saw.

    0 means equal errors. The interval is over seeds.
    """
    import math

    from broadsheet.methods.scaling.loss_trajectory import study

    curves, how = study.own_curves(run), study.setting(run)
    errors = [study.baseline_errors(own, how) for _, own in curves.groupby("seed")]
    parts = {"errors": errors}
    return Measured.over_seeds([math.log(e["nearest"] / e["law"]) for e in errors], parts=parts)


# ---- what several claims share


def _bootstrap(statistic: Any, count: int, seed: int = 0) -> tuple[float, float]:
    import numpy as np

    rng = np.random.default_rng(seed)
    drawn = [statistic(rng.integers(0, count, count)) for _ in range(2000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _hyperbola(level: pd.Series, points: pd.DataFrame) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    batch = np.geomspace(points["B"].min() / 2, points["B"].max() * 2, 60)
    steps = level["S_min"] + level["E_min"] / batch
    return pd.DataFrame({"loss": level["loss"], "B": batch, "S": steps, "E": steps * batch})
