"""``broadsheet scaling``: fit laws to training runs, plan, predict, compare, mix and prune."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from broadsheet.cli import voice
from broadsheet.cli.voice import Refusal

if TYPE_CHECKING:
    import pandas as pd

    from broadsheet.lab.workbench import Finding
    from broadsheet.methods.scaling import Law, RunTable

__all__ = ["scaling_command"]

F = TypeVar("F", bound=Callable[..., Any])
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
# The same names as lab.workbench.LAWS, which a test holds: --help must not load the methods.
_LAWS = ("chinchilla", "power", "power-without-offset", "reciprocal", "kaplan-steps", "loss-trajectory")


class _Pairs(click.ParamType):  # type: ignore[type-arg]  # click's stubs make it generic, its class is not
    """``NAME=VALUE``, or several of them separated by commas."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        found = {}
        for part in str(value).split(","):
            key, sign, text = part.partition("=")
            if not sign or not key.strip() or not text.strip():
                self.fail(f"{part!r} must be NAME=VALUE, such as N=1e9", param, ctx)
            found[key.strip()] = text.strip()
        return found


_PAIRS = _Pairs()


def _merged(parts: tuple[dict[str, str], ...]) -> dict[str, str]:
    named = [key for part in parts for key in part]
    twice = next((key for key in named if named.count(key) > 1), None)
    if twice is not None:
        raise click.UsageError(f"{twice} is given twice: say it once")
    return {key: value for part in parts for key, value in part.items()}


def _numbers(pairs: dict[str, str], option: str) -> dict[str, float]:
    try:
        return {key: float(value) for key, value in pairs.items()}
    except ValueError as error:
        raise click.BadParameter(f"{option} takes numbers: {error}") from error


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


_reading = _options(
    click.option("--column", "columns", type=_PAIRS, multiple=True, metavar="NAME=HEAD",
                 help="Where a column stands, such as N=params or loss=eval/loss."),
    click.option("--unit", "units", type=_PAIRS, multiple=True, metavar="NAME=UNIT",
                 help="Unit of a column: thousands, millions, billions, trillions or a factor."),
    click.option("--loss-unit", type=click.Choice(["nats", "bits", "perplexity"]), default="nats", show_default=True),
    click.option("--wandb", is_flag=True, help="The file was exported from Weights & Biases (runs or a chart)."),
)  # fmt: skip
_lawful = _options(
    click.option("--law", "law_name", type=click.Choice(_LAWS), default="chinchilla", show_default=True),
    click.option("--x", help="Column that a law of one input reads."),
    click.option("--loss", "objective", type=click.Choice(["huber", "mse", "mae", "asymmetric"]), default="huber",
                 show_default=True, help="Loss of a residual."),
    click.option("--space", type=click.Choice(["log", "linear"]), default="log", show_default=True,
                 help="Residuals of the logarithm or of the value."),
    click.option("--delta", type=float, default=1e-3, show_default=True, help="Where Huber's loss turns linear."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the bootstrap."),
)  # fmt: skip
_sure = _options(
    click.option("--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.95, show_default=True,
                 help="Level of the intervals."),
    click.option("--resamples", type=click.IntRange(20, 100_000), default=400, show_default=True,
                 help="Bootstrap refits behind the intervals."),
    click.option("--group", help="Column whose rows belong together: checkpoints of one run are not independent."),
)  # fmt: skip
_written = _options(
    click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path),
                 help="Report to write, a .html file that needs nothing else."),
    voice.json_option,
)  # fmt: skip


# What a Python caller writes, as the options of these commands.
_AS_OPTIONS = (
    (r"columns=\{'(\w+)': \.\.\.\}", r"--column \1=HEAD"),
    (r"loss_unit='(\w+)'", r"--loss-unit \1"),
    (r", or hold parameters with fixed=", ""),
    (r"set the column '(\w+)' as the frame's index", r"give --index \1"),
    (r"df must hold", "the table must hold"),
    (r"\bfrequency\b", "--frequency"),
)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what the workbench refuses into the command's own refusal, in the words of its options."""
    try:
        yield
    except ImportError as error:
        raise Refusal(str(error), 5) from error
    except ValueError as error:
        text = str(error)
        for pattern, option in _AS_OPTIONS:
            text = re.sub(pattern, option, text)
        raise Refusal(text, 4) from error


def _target(output: Path | None, default: str, *others: Path | None) -> Path:
    """Return the report's path, refused before any work if it cannot be one."""
    target = output or Path(default)
    if target.suffix != ".html":
        raise click.UsageError(f"--output must end in .html, got {target}")
    written = [target, *(other for other in others[:1] if other is not None)]
    for path in written:
        if not path.absolute().parent.is_dir():
            raise click.UsageError(f"the folder {path.absolute().parent} does not exist: make it first")
    named = [path.resolve() for path in (target, *others) if path is not None]
    if len(set(named)) < len(named):
        raise click.UsageError("input, --keep and --output must be different files")
    return target


def _write(found: Finding, target: Path, as_json: bool) -> None:
    found.sheet.save(target)
    for caution in found.cautions:
        voice.warn(caution)
    if as_json:
        voice.print_json({**found.record, "report": str(target.resolve())})
    else:
        voice.say(f"Wrote {target}", dim=True)


def _read(runs: Path, settings: dict[str, Any]) -> RunTable:
    """Return the table, read as the options of ``_reading`` say."""
    from broadsheet.lab import reading_runs, workbench

    with workbench.cautions_of() as cautions:
        table = reading_runs.read_runs(
            runs,
            columns=_merged(settings["columns"]),
            units=_merged(settings["units"]),
            loss_unit=settings["loss_unit"],
            wandb=settings["wandb"],
        )
    for caution in cautions:
        voice.warn(caution)
    return table


def _make(settings: dict[str, Any]) -> Law:
    """Return the law that the options of ``_lawful`` name."""
    from broadsheet.lab import workbench

    return workbench.make_law(
        settings["law_name"],
        settings["x"],
        loss=settings["objective"],
        space=settings["space"],
        delta=settings["delta"],
        random_state=settings["seed"],
    )


def _law(runs: Path | None, fitted: Path | None, settings: dict[str, Any]) -> Law:
    """Return the law of a kept file, or one fitted to the runs."""
    from broadsheet.lab import reading_runs

    if (runs is None) == (fitted is None):
        raise click.UsageError("give RUNS or --fitted LAW.json, one of the two")
    if fitted is not None:
        return reading_runs.read_law(fitted)
    assert runs is not None
    law = _make(settings)
    law.fit(_read(runs, settings))
    return law


def _cells(row: dict[str, Any], names: list[str]) -> list[str]:
    def cell(value: Any) -> str:
        return f"{value:.4g}" if isinstance(value, float | int) else str(value or "–")

    return [cell(row.get(name)) for name in names]


@click.group("scaling")
def scaling_command() -> None:
    """Scaling laws: know the loss, the cost and the right shape before you train.

    Every command writes a report, one HTML file with figures.

    \b
    Example:
      broadsheet scaling fit runs.csv --law chinchilla --output fit.html
      broadsheet scaling plan runs.csv --flops 1e21
    """


@scaling_command.command("fit")
@click.argument("runs", type=_FILE)
@_reading
@_lawful
@_sure
@click.option(
    "--keep", type=click.Path(dir_okay=False, path_type=Path), help="Keep the law as JSON, for --fitted."
)
@_written
def fit_command(
    runs: Path, level: float, resamples: int, group: str | None, keep: Path | None, output: Path | None, as_json: bool,
    **settings: Any,
) -> None:  # fmt: skip
    """Fit a law to a table of runs; every parameter comes with its interval.

    RUNS is a CSV file with a run a row: N (parameters), D (tokens) or C (FLOPs), and loss. Of N, D and C two are
    enough.

    \b
    Example:
      broadsheet scaling fit runs.csv --column N=params --unit N=millions --keep law.json
    """
    import json

    from broadsheet.lab import workbench

    report = _target(output, "fit.html", keep, runs)
    from broadsheet.lab.store import write_atomically

    with _refusing():
        table, law = _read(runs, settings), _make(settings)
        found = workbench.fit(table, law, level=level, n_boot=resamples, group=group)
    if keep is not None:
        write_atomically(keep, json.dumps(found.law.to_dict()))
    if not as_json:
        names = ["estimate", "lower", "upper"]
        rows = [[name, *_cells(row, names)] for name, row in found.record["parameters"].items()]
        voice.print_table(["parameter", *names], rows, styles=["bold", "number", "number", "number"])
    _write(found, report, as_json)


@scaling_command.command("plan")
@click.argument("runs", type=_FILE, required=False)
@click.option(
    "--flops", type=float, multiple=True, required=True, metavar="FLOPS", help="A budget; may be repeated."
)
@click.option("--fitted", type=_FILE, help="A law that `fit --keep` wrote, instead of RUNS.")
@_reading
@_lawful
@_sure
@_written
def plan_command(
    runs: Path | None, flops: tuple[float, ...], fitted: Path | None, level: float, resamples: int, group: str | None,
    output: Path | None, as_json: bool, **settings: Any,
) -> None:  # fmt: skip
    """Say how many parameters and tokens a budget wants, and what loss to expect.

    Without RUNS and --fitted, the published refit of the Chinchilla law (arXiv:2404.10102) answers.

    \b
    Example:
      broadsheet scaling plan --flops 1e21 --flops 1e22
      broadsheet scaling plan runs.csv --flops 1e21
    """
    from broadsheet.lab import workbench

    report = _target(output, "plan.html", None, runs, fitted)
    with _refusing():
        nothing = runs is None and fitted is None
        law = workbench.published_law() if nothing else _law(runs, fitted, settings)
        found = workbench.plan(law, flops, level=level, n_boot=resamples, group=group)
    if not as_json:
        names = list(found.record["plan"][0])
        voice.print_table(
            names, [_cells(row, names) for row in found.record["plan"]], styles=["number"] * len(names)
        )
    _write(found, report, as_json)


@scaling_command.command("predict")
@click.argument("runs", type=_FILE, required=False)
@click.option(
    "--at", "points", type=_PAIRS, multiple=True, metavar="N=…,D=…", help="A run to predict; may be repeated."
)
@click.option("--new", type=_FILE, help="A CSV file of runs to predict.")
@click.option("--fitted", type=_FILE, help="A law that `fit --keep` wrote, instead of RUNS.")
@_reading
@_lawful
@_sure
@_written
def predict_command(
    runs: Path | None, points: Any, new: Path | None, fitted: Path | None, level: float, resamples: int,
    group: str | None, output: Path | None, as_json: bool, **settings: Any,
) -> None:  # fmt: skip
    """Predict runs that have not been run, with an interval each.

    \b
    Example:
      broadsheet scaling predict runs.csv --at N=7e9,D=1.4e11
      broadsheet scaling predict --fitted law.json --new planned.csv
    """
    from broadsheet.lab import workbench

    report = _target(output, "predictions.html", None, runs, fitted, new)
    if bool(points) == (new is not None):
        raise click.UsageError("say what to predict: --at N=…,D=… or --new FILE, one of the two")
    with _refusing():
        wanted, law = _wanted(points, new), _law(runs, fitted, settings)
        found = workbench.predict(law, wanted, level=level, n_boot=resamples, group=group)
    if not as_json:
        names = list(found.record["predictions"][0])
        rows = [_cells(row, names) for row in found.record["predictions"]]
        voice.print_table(names, rows, styles=["number"] * len(names))
    _write(found, report, as_json)


def _wanted(points: tuple[dict[str, str], ...], new: Path | None) -> pd.DataFrame:
    import pandas as pd

    if new is not None:
        try:
            found = pd.read_csv(new)
        except (ValueError, UnicodeDecodeError) as error:
            raise ValueError(f"{new}: {error}") from error
        if found.empty:
            raise ValueError(f"{new}: holds no runs to predict")
        return found
    return pd.DataFrame([_numbers(point, "--at") for point in points])


@scaling_command.command("compare")
@click.argument("runs", type=_FILE)
@click.option(
    "--law", "law_names", type=click.Choice(_LAWS), multiple=True, help="A law to compare; may be repeated."
)
@click.option("--x", help="Column that laws of one input read.")
@click.option("--by", default="N", show_default=True, help="Column that measures scale.")
@click.option(
    "--largest",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How many of its largest values are held out.",
)
@_reading
@_written
def compare_command(
    runs: Path, law_names: tuple[str, ...], x: str | None, by: str, largest: int, output: Path | None, as_json: bool,
    **settings: Any,
) -> None:  # fmt: skip
    """Set laws against each other by AICc and by extrapolation to the largest runs.

    \b
    Example:
      broadsheet scaling compare runs.csv --law chinchilla --law power --largest 2
    """
    from broadsheet.lab import workbench

    report = _target(output, "compare.html", None, runs)
    chosen = law_names or ("chinchilla", "power", "power-without-offset")
    with _refusing():
        table = _read(runs, settings)
        single = ("power", "power-without-offset", "reciprocal")
        laws = {name: workbench.make_law(name, x if name in single else None) for name in chosen}
        found = workbench.compare(table, laws, by=by, largest=largest)
    if not as_json:
        names = ["parameters", "AICc", "delta", "weight", "extrapolation_error", "problem"]
        rows = [[name, *_cells(row, names)] for name, row in found.record["laws"].items()]
        voice.print_table(["law", *names], rows, styles=["bold", *["number"] * 5])
    _write(found, report, as_json)


@scaling_command.command("mix")
@click.argument("mixtures", type=_FILE)
@click.argument("losses", type=_FILE)
@click.option("--target", help="Column of LOSSES to minimise; default: the mean of all.")
@click.option(
    "--regressor",
    type=click.Choice(["lightgbm", "linear", "quadratic"]),
    default="lightgbm",
    show_default=True,
)
@click.option(
    "--index", help="Column that joins both files, and is no domain; default: the order of the rows."
)
@click.option(
    "--prior", type=_PAIRS, multiple=True, metavar="DOMAIN=SHARE", help="Shares around which to search."
)
@click.option(
    "--at-most", type=_PAIRS, multiple=True, metavar="DOMAIN=SHARE", help="Highest share of a domain."
)
@click.option(
    "--at-least", type=_PAIRS, multiple=True, metavar="DOMAIN=SHARE", help="Lowest share of a domain."
)
@_written
def mix_command(
    mixtures: Path, losses: Path, target: str | None, regressor: str, index: str | None, prior: Any, at_most: Any,
    at_least: Any, output: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Choose the proportions of a training corpus from small proxy runs (RegMix).

    MIXTURES has a run a row and a domain a column, LOSSES the same runs and a validation set a column.

    \b
    Example:
      broadsheet scaling mix mixtures.csv losses.csv --target web --at-most code=0.3
    """
    import pandas as pd

    from broadsheet.lab import workbench

    report = _target(output, "mix.html", None, mixtures, losses)
    low, high = _numbers(_merged(at_least), "--at-least"), _numbers(_merged(at_most), "--at-most")
    shares = _numbers(_merged(prior), "--prior")
    with _refusing():
        tables = []
        for path in (mixtures, losses):
            try:
                frame = pd.read_csv(path)
                tables.append(frame.set_index(index) if index else frame)
            except (ValueError, KeyError) as error:
                raise ValueError(f"{path}: {error}") from error
        found = workbench.mix(
            *tables, target=target, regressor=regressor, prior=shares or None,
            bounds={d: (low.get(d, 0.0), high.get(d, 1.0)) for d in {*low, *high}} or None,
        )  # fmt: skip
    if not as_json:
        rows = sorted(found.record["mixture"].items(), key=lambda pair: -pair[1])
        voice.print_table(
            ["domain", "share"], [[d, f"{share:.4f}"] for d, share in rows], styles=["bold", "number"]
        )
    _write(found, report, as_json)


@scaling_command.command("prune-schedule")
@click.option("--steps", type=click.IntRange(1), required=True, help="Optimiser steps of the whole training.")
@click.option("--sparsity", type=float, required=True, help="Share of the prunable weights gone in the end.")
@click.option(
    "--start", type=float, default=0.25, show_default=True, help="Share of the training before pruning."
)
@click.option(
    "--end", type=float, default=0.75, show_default=True, help="Share after which nothing is removed."
)
@click.option("--of", "unit", type=click.Choice(["compute", "steps"]), default="compute", show_default=True)
@click.option(
    "--frequency", type=click.IntRange(1), default=100, show_default=True, help="Steps between two events."
)
@_written
def prune_command(
    steps: int,
    sparsity: float,
    start: float,
    end: float,
    unit: str,
    frequency: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Plan when a sparse pre-training removes weights, by share of the compute.

    \b
    Example:
      broadsheet scaling prune-schedule --steps 72200 --sparsity 0.5
    """
    from broadsheet.lab import workbench

    report = _target(output, "prune-schedule.html")
    with _refusing():
        found = workbench.prune(steps, sparsity, start=start, end=end, unit=unit, frequency=frequency)
    if not as_json:
        for name in ("start_step", "end_step", "frequency", "events", "average_live_share"):
            voice.say(f"{name.replace('_', ' ')}\t{found.record[name]:g}")
    _write(found, report, as_json)
