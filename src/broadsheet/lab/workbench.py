"""The scaling workbench: a table of training runs in, a law with its intervals and a report out.

Each function returns what was found twice: as JSON types, and as a :class:`~broadsheet.lab.sheet.Sheet` for people.
The command line and the site stand on these.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from broadsheet.lab.sheet import Sheet, in_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from broadsheet.methods.scaling import Law, RunTable

__all__ = [
    "LAWS",
    "Finding",
    "cautions_of",
    "compare",
    "fit",
    "make_law",
    "mix",
    "plan",
    "predict",
    "prune",
    "published_law",
]

LAWS = {
    "chinchilla": ("Chinchilla", "E + A N^-alpha + B D^-beta: loss by parameters and tokens"),
    "power": ("PowerLaw", "E + A x^-alpha: one input"),
    "power-without-offset": ("PowerLaw", "A x^-alpha: one input, no irreducible term"),
    "reciprocal": ("Reciprocal", "E + A / x: one input, as with the members of an ensemble"),
    "kaplan-steps": ("KaplanSteps", "(Nc/N)^aN + (Sc/S)^aS: loss by parameters and steps"),
    "loss-trajectory": (
        "LossTrajectory",
        "Kaplan's law at any batch size: loss by parameters N, steps S and batch B",
    ),
}
"""Laws of the command line: the class and what it is, by name."""
_MOST_EVENTS = 100_000  # of a pruning schedule
_SINGLE = ("power", "power-without-offset", "reciprocal")


@dataclass
class Finding:
    """What a command found.

    Args:
        record: JSON types.
        sheet: The report.
        law: The fitted law, where there is one.
    """

    record: dict[str, Any]
    sheet: Sheet
    law: Any = None
    cautions: list[str] = field(default_factory=list)


def make_law(name: str, x: str | None = None, **settings: Any) -> Law:
    """Return a law by its name on the command line.

    Args:
        name: One of :data:`LAWS`.
        x: The column that a law of one input reads.
        **settings: Those of the law.

    Returns:
        The law, not fitted.

    Raises:
        ValueError: if the name is unknown, or ``x`` does not belong to the law.
    """
    from broadsheet.methods import scaling

    if name not in LAWS:
        raise ValueError(f"law must be one of {', '.join(LAWS)}, got {name!r}")
    if x is not None and name not in _SINGLE:
        raise ValueError(f"x belongs to the laws of one input ({', '.join(_SINGLE)}), not to {name}")
    if name == "power-without-offset":
        settings["offset"] = False
    if name in _SINGLE and x is not None:
        settings["x"] = x
    made: Law = getattr(scaling, LAWS[name][0])(**settings)
    return made


def published_law() -> Law:
    """Return the Chinchilla law as refitted by Besiroglu et al. 2024 (arXiv:2404.10102), without runs."""
    from broadsheet.methods.scaling import Chinchilla

    return Chinchilla.from_params({"A": 482.01, "B": 2085.43, "E": 1.82, "alpha": 0.3478, "beta": 0.3658})


def fit(
    runs: RunTable, law: Law, *, level: float = 0.95, n_boot: int = 400, group: str | None = None
) -> Finding:
    """Fit a law and say how sure its parameters are.

    Args:
        runs: The runs.
        law: The law.
        level: Level of the intervals.
        n_boot: Bootstrap refits.
        group: Column whose values are resampled as a whole.

    Returns:
        Parameters with intervals, the fit's quality, and figures.

    Raises:
        ValueError: naming column and row of what is wrong, or the parameters that the table cannot tell.
    """
    with cautions_of() as cautions:
        law.fit(runs)
        parameters = law.confint(level, n_boot=n_boot, group=group)
    name = type(law).__name__
    sheet = Sheet(f"{name} law on {len(runs)} runs", _formula(law))
    sheet.warn(cautions)
    shown = parameters.copy()
    shown["meaning"] = [p.meaning for p in law.parameters_]
    sheet.heading("Parameters")
    failed = int(parameters.attrs.get("failed", 0))
    sheet.table(shown, f"Parameters with {100 * level:g} % intervals from {n_boot} bootstrap refits")
    relative = law.space == "log"
    spread = math.sqrt(float((law.residuals_**2).mean()))
    sheet.facts(
        {
            "loss of the fit": f"{law.loss}, residuals of the {'logarithm' if relative else 'value'}",
            "objective": f"{law.objective_:.6g}; {law.n_agree_} of {law.n_polished_} searches agree",
            "typical residual": f"{100 * spread:.2f} %" if relative else f"{spread:.4g}",
            "AICc": f"{law.aicc_:.2f}",
            "failed refits": str(failed),
            **_ranges(law),
        }
    )
    _draw_law(sheet, law)
    sheet.heading("Which parameters stand for each other")
    sheet.table(law.correlations_.round(3), "Correlation of the fitted (transformed) parameters")
    record = {
        "law": name,
        "runs": len(runs),
        "derived": list(runs.derived),
        "parameters": _rows(parameters),
        "level": level,
        "objective": law.objective_,
        "agreeing_searches": [law.n_agree_, law.n_polished_],
        "rms_residual": spread,
        "aicc": law.aicc_,
        "failed_refits": failed,
        "cautions": cautions,
    }
    return Finding(record, sheet, law, cautions)


def plan(
    law: Law,
    flops: Sequence[float],
    *,
    level: float | None = 0.95,
    n_boot: int = 400,
    group: str | None = None,
) -> Finding:
    """Say how to spend budgets: size, tokens, and the loss to expect.

    Args:
        law: A fitted Chinchilla law; without runs (published parameters) there are no intervals.
        flops: Budgets, > 0.
        level: Level of the intervals, or None.
        n_boot: Bootstrap refits.
        group: Column whose values are resampled as a whole.

    Returns:
        One row per budget.

    Raises:
        ValueError: if the law has no optimum, or a budget is not > 0.
    """
    if not hasattr(law, "optimal"):
        raise ValueError(
            f"a plan needs a law of N and D (chinchilla), got {type(law).__name__}: it says nothing of the other input"
        )
    has_runs = hasattr(law, "rows_")
    with cautions_of() as cautions:
        frame = law.optimal(
            list(flops), interval=level if has_runs else None, n_boot=n_boot, **_grouped(group, has_runs)
        )
    source = "your runs" if has_runs else "published parameters (Besiroglu et al. 2024), not your runs"
    sheet = Sheet("Where to put the compute", f"{type(law).__name__} law from {source}.")
    if not has_runs:
        cautions = [
            *cautions,
            "The parameters are published ones for another set-up. Give your own runs for a plan of yours.",
        ]
    sheet.warn(cautions)
    words = f", with {100 * (level or 0):g} % intervals" if has_runs else ""
    sheet.table(_plan_rows(frame), "Compute-optimal size and tokens" + words)
    _draw_plan(sheet, law, frame)
    return Finding(
        {"law": type(law).__name__, "from_runs": has_runs, "plan": _rows(frame), "cautions": cautions},
        sheet,
        law,
        cautions,
    )


def predict(
    law: Law, new: pd.DataFrame, *, level: float | None = 0.95, n_boot: int = 400, group: str | None = None
) -> Finding:
    """Predict further runs.

    Args:
        law: A fitted law.
        new: One row per run to come, with the law's inputs.
        level: Level of prediction intervals, or None.
        n_boot: Bootstrap refits.
        group: Column whose values are resampled as a whole.

    Returns:
        The rows with prediction and interval.

    Raises:
        ValueError: naming column and row of what is wrong.
    """
    import pandas as pd

    if new.empty:
        raise ValueError("there are no runs to predict: give at least one row")
    has_runs = hasattr(law, "rows_")
    with cautions_of() as cautions:
        found = law.predict(
            new, interval=level if has_runs else None, n_boot=n_boot, **_grouped(group, has_runs)
        )
    if not isinstance(found, pd.DataFrame):
        found = pd.DataFrame({law.target: found}, index=new.index)
    inputs = [c for c in new.columns if c not in found.columns]
    frame = pd.concat([new[inputs], found], axis=1)
    sheet = Sheet(f"What {len(frame)} further runs will give", _formula(law))
    sheet.warn(cautions)
    with_interval = (
        f", with {100 * (level or 0):g} % intervals for one further run each" if has_runs and level else ""
    )
    sheet.table(frame, f"Predictions{with_interval}")
    sheet.facts(_ranges(law) if has_runs else {})
    if has_runs:
        _draw_law(sheet, law)
    return Finding(
        {"law": type(law).__name__, "predictions": _rows(frame), "cautions": cautions}, sheet, law, cautions
    )


def compare(runs: RunTable, laws: Mapping[str, Law], *, by: str = "N", largest: int = 1) -> Finding:
    """Set laws against each other: by information criterion, and by extrapolation to the largest runs.

    Args:
        runs: The runs.
        laws: Laws by name, at least two.
        by: The column that measures scale.
        largest: How many of its largest values are held out.

    Returns:
        One row per law, the best first.

    Raises:
        ValueError: naming what is wrong.
    """
    from broadsheet.methods.scaling import compare_laws

    with cautions_of() as cautions:
        table = compare_laws(laws, runs, by=by, largest=largest)
    sheet = Sheet(
        f"{len(table)} laws on {len(runs)} runs", "The lowest AICc stands first; its weight says by how much."
    )
    sheet.warn(cautions)
    sheet.table(table, f"Criteria, and the mean relative error at the {largest} largest {by} held out")
    record = {"runs": len(runs), "by": by, "largest": largest, "laws": _rows(table), "cautions": cautions}
    return Finding(record, sheet, None, cautions)


def mix(
    mixtures: pd.DataFrame,
    losses: pd.DataFrame,
    *,
    target: str | None = None,
    regressor: str = "lightgbm",
    prior: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    samples: int = 100_000,
    top: int = 128,
) -> Finding:
    """Choose the proportions of a corpus from proxy runs (RegMix).

    Args:
        mixtures: One row per proxy run, one column per domain, rows summing to 1.
        losses: Its losses, one column per validation set, joined by the index.
        target: The column to minimise; by default the mean of all.
        regressor: ``lightgbm``, ``linear`` or ``quadratic``.
        prior: Share of each domain, for the search.
        bounds: Lowest and highest share of domains.
        samples: Mixtures to try.
        top: How many of the best are averaged.

    Returns:
        The mixture, its predicted loss, and how well the regressors predict held-out runs.

    Raises:
        ValueError: naming row and column of what is wrong.
        ImportError: if LightGBM is not installed; the message says how to get it.
    """
    from broadsheet.methods.scaling.regmix import RegMix

    model = RegMix(regressor, target)
    with cautions_of() as cautions:
        model.fit(mixtures, losses)
        agreement = model.cross_validate()
        best = model.optimize(samples, top, prior=prior, bounds=bounds)
    predicted = model.predict_losses(best.to_frame().T)
    sheet = Sheet(
        f"A mixture of {len(best)} domains from {len(model.mixtures_)} proxy runs",
        f"Chosen for the least {target or 'mean loss'} by {regressor} regression.",
    )
    sheet.warn(cautions)
    mean = model.mixtures_.mean()
    shares = best.rename("share").to_frame().assign(mean_of_runs=mean).sort_values("share", ascending=False)
    sheet.table(shares, "The mixture, beside the mean of the proxy runs")
    sheet.figure(
        lambda figure: _one(figure, lambda ax: model.plot_weights(best, ax=ax)),
        "Share of each domain in the chosen mixture.", frame=shares.reset_index(names="domain"),
        size=(7.0, max(3.0, 0.32 * len(best))),
    )  # fmt: skip
    sheet.heading("How far to trust it")
    sheet.table(agreement, "Agreement of predicted and measured losses on runs held out by cross-validation")
    sheet.figure(
        lambda figure: _one(figure, lambda ax: model.plot_fit(ax=ax)),
        "Losses predicted for held-out proxy runs, over their true losses.",
    )
    record = {
        "runs": len(model.mixtures_),
        "dropped": int(model.n_dropped_),
        "regressor": regressor,
        "target": target,
        "mixture": {str(k): float(v) for k, v in best.items()},
        "predicted": {str(k): float(v) for k, v in predicted.iloc[0].items()},
        "agreement": _rows(agreement),
        "cautions": cautions,
    }
    return Finding(record, sheet, None, cautions)


def prune(
    steps: int,
    sparsity: float,
    *,
    start: float = 0.25,
    end: float = 0.75,
    unit: str = "compute",
    frequency: int = 100,
) -> Finding:
    """Plan when to remove weights during a training.

    Args:
        steps: Optimiser steps of the whole training.
        sparsity: Share of the prunable weights that is gone in the end, in [0, 1).
        start: Share of the training before pruning begins.
        end: Share after which nothing more is removed.
        unit: What the shares are of: ``compute`` or ``steps``.
        frequency: Steps between two events.

    Returns:
        The schedule on whole steps.

    Raises:
        ValueError: if an argument is out of range.
    """
    import numpy as np
    import pandas as pd

    from broadsheet.methods.scaling.average_parameters import prune_schedule

    if steps // max(frequency, 1) > _MOST_EVENTS:
        raise ValueError(
            f"{steps} steps with an event every {frequency} make more than {_MOST_EVENTS:,} events: "
            f"raise frequency to {math.ceil(steps / _MOST_EVENTS)} or more"
        )
    with cautions_of() as cautions:
        schedule = prune_schedule(steps, sparsity, start, end, unit, frequency)  # type: ignore[arg-type]
    first, last = schedule.start_step, schedule.end_step
    facts = {
        "first event": f"step {first}, after {100 * schedule.compute_share(first):.1f} % of the compute",
        "last event": f"step {last}, after {100 * schedule.compute_share(last):.1f} % of the compute",
        "events": f"{schedule.n_events}, every {schedule.frequency} steps",
        "average live share": f"{schedule.average_keep:.4f} of the prunable weights",
    }
    sheet = Sheet(
        f"Sparse pre-training: {100 * sparsity:g} % gone in {steps} steps",
        "Weights go by magnitude, an equal share of what is left at each event.",
    )
    sheet.warn(cautions)
    sheet.facts(facts)
    events = pd.DataFrame({"step": schedule.steps, "live share": schedule.keep})
    at = np.unique(np.linspace(0, steps - 1, 400).round().astype(int))

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.step(at, schedule.keep_at(at), where="post")
        ax.axhline(schedule.average_keep, color="C1", linewidth=1)
        ax.annotate(
            "average over training",
            (steps * 0.99, schedule.average_keep),
            ha="right",
            va="bottom",
            color="C1",
        )
        ax.set(xlabel="step", ylabel="live share of prunable weights", ylim=(0, 1.04), xlim=(0, steps))

    sheet.figure(draw, "Share of live weights over training.", frame=events)
    record = {
        "start_step": first, "end_step": last, "frequency": schedule.frequency, "events": schedule.n_events,
        "sparsity": sparsity, "average_live_share": schedule.average_keep,
        "compute_share_at_start": schedule.compute_share(first), "compute_share_at_end": schedule.compute_share(last),
        "steps": [int(s) for s in schedule.steps], "live_share": [float(k) for k in schedule.keep],
        "cautions": cautions,
    }  # fmt: skip
    return Finding(record, sheet, None, cautions)


# ---- what several of them share


@contextmanager
def cautions_of() -> Iterator[list[str]]:
    """Collect our own warnings as sentences; others go their way."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
    for warning in caught:
        if warning.category.__module__.startswith("broadsheet."):
            found.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    found[:] = dict.fromkeys(found)


def _grouped(group: str | None, has_runs: bool) -> dict[str, Any]:
    return {"group": group} if group and has_runs else {}


def _formula(law: Law) -> str:
    words = dict(reversed(LAWS.values()))  # of two entries of a class the first is its default
    name = type(law).__name__
    if name == "PowerLaw" and not law.offset:
        return LAWS["power-without-offset"][1]
    return words.get(name, name)


def _ranges(law: Law) -> dict[str, str]:
    import numpy as np

    return {
        f"range of {name}": f"{in_words(float(np.min(values)))} to {in_words(float(np.max(values)))}"
        for name, values in law.rows_.x.items()
        if np.issubdtype(np.asarray(values).dtype, np.number)
    }


def _one(figure: Figure, draw: Callable[[Any], object]) -> None:
    draw(figure.add_subplot())


def _draw_law(sheet: Sheet, law: Law) -> None:
    columns = [*law._inputs(), law.target]
    frame = law.runs_[[c for c in columns if c in law.runs_.columns]]
    sheet.figure(
        lambda figure: _one(figure, lambda ax: law.plot(ax=ax)),
        "The runs and the law through them.",
        frame=frame,
    )
    sheet.figure(
        lambda figure: _one(figure, lambda ax: law.residual_plot(ax=ax)),
        "Residuals over the prediction: a pattern here means that the law does not fit.",
    )


def _draw_plan(sheet: Sheet, law: Law, frame: pd.DataFrame) -> None:
    import numpy as np

    budgets = np.geomspace(frame["C"].min() / 10, frame["C"].max() * 10, 60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        line = law.optimal(budgets)

    def draw(figure: Figure) -> None:
        for ax, name, label in zip(
            figure.subplots(1, 2), ("N", "loss"), ("parameters N", "loss (nats per token)"), strict=True
        ):
            ax.plot(line["C"], line[name], color="C0")
            if f"{name}_lower" in frame:
                at, below, above = (frame[c].to_numpy() for c in (name, f"{name}_lower", f"{name}_upper"))
                low, high = at - below, above - at
                ax.errorbar(
                    frame["C"].to_numpy(),
                    at,
                    yerr=[low.clip(min=0), high.clip(min=0)],
                    fmt="o",
                    color="C0",
                    capsize=3,
                )
            else:
                ax.plot(frame["C"], frame[name], "o", color="C0")
            ax.set(
                xscale="log",
                yscale="log" if name == "N" else "linear",
                xlabel="training FLOPs C",
                ylabel=label,
            )

    sheet.figure(
        draw, "Compute-optimal size and expected loss over the budget.", frame=frame, size=(8.0, 3.6)
    )


def _plan_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per budget and quantity: with its intervals a wide table would not be read."""
    import pandas as pd

    names = {"N": "parameters", "D": "tokens", "tokens_per_parameter": "tokens per parameter", "loss": "loss"}
    rows = []
    for row in frame.to_dict("records"):
        for name, words in names.items():
            ends = {end: row[f"{name}_{end}"] for end in ("lower", "upper") if f"{name}_{end}" in row}
            rows.append({"FLOPs": row["C"], "quantity": words, "estimate": row[name], **ends})
    return pd.DataFrame(rows)


def _rows(frame: pd.DataFrame) -> Any:
    """Return a frame as JSON types: by its index where that has names, else as a list."""
    import pandas as pd

    plain = json.loads(frame.to_json(orient="records", double_precision=15))
    if isinstance(frame.index, pd.RangeIndex):
        return plain
    return {str(key): row for key, row in zip(frame.index, plain, strict=True)}
