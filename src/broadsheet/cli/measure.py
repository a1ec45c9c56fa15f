"""``broadsheet run``, ``report`` and ``new``: measure claims, read what was measured, begin a paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broadsheet.claims import Claim, Scale, Verdict
from broadsheet.cli import voice
from broadsheet.cli.catalogue import find_paper
from broadsheet.cli.voice import Refusal
from broadsheet.lab import catalogue
from broadsheet.lab.numbers import duration, number, pad_unit
from broadsheet.lab.store import Result, StoreError

if TYPE_CHECKING:
    from broadsheet.lab.progress import Event

__all__ = ["new_command", "report_command", "run_command"]

_LACKING = (Verdict.NEEDS_DATA, Verdict.NEEDS_HARDWARE)


def _chosen(names: tuple[str, ...]) -> list[tuple[catalogue.Paper, Claim]]:
    try:
        return catalogue.select(*names)
    except catalogue.Unknown as error:
        raise Refusal(str(error), 3) from error
    except catalogue.BrokenPaper as error:
        raise Refusal(str(error), 4) from error


def measured_words(result: Result) -> str:
    """Return value and unit as a person reads them, or why there is no value."""
    if result.value is None:
        return result.reason
    return number(result.value, result.low, result.high) + pad_unit(result.unit)


class _Watcher:
    """Shows a running measurement: bars to a person, one line a claim to a pipe, nothing beside JSON."""

    def __init__(self, *, as_json: bool) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = voice.stderr_console()
        self.plain = not console.is_terminal
        self.silent = as_json
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[doing]}"),
            TimeRemainingColumn(),
            console=console,
            disable=self.plain or as_json,
            transient=True,
        )
        self.tasks: dict[str, Any] = {}

    def __call__(self, event: Event) -> None:
        name = f"{event.paper}:{event.claim}" if event.claim else event.paper
        if event.kind in ("problem", "cancelled", "waiting"):
            voice.warn(f"{name}: {event.text}")
        elif event.kind == "started":
            self.tasks[name] = self.bar.add_task(
                f"{event.claim} ({event.number}/{event.count})", total=1.0, doing=""
            )
        elif event.kind == "progress" and name in self.tasks:
            self.bar.update(self.tasks[name], completed=event.fraction or 0.0, doing=event.label)
        elif event.kind == "said" and name in self.tasks:
            self.bar.update(self.tasks[name], doing=event.text.splitlines()[0] if event.text else "")
        elif event.kind in ("finished", "reused", "skipped"):
            if name in self.tasks:
                self.bar.remove_task(self.tasks.pop(name))
            if not self.silent:
                self._line(name, event)

    def _line(self, name: str, event: Event) -> None:
        if event.result is None:
            voice.say(f"{name}\t{event.kind}\t{event.text}")
            return
        result = event.result
        took = "kept" if event.kind == "reused" else duration(result.seconds)
        if self.plain:
            voice.say(f"{name}\t{result.verdict}\t{measured_words(result)}\t{took}")
            return
        shape, colour = voice.VERDICT_LOOK[result.verdict]
        self.bar.console.print(
            f"[{colour}]{shape} {result.verdict}[/] [bold]{result.claim}[/]  {measured_words(result)}  [dim]{took}[/]",
            highlight=False,
        )


@click.command("run")
@click.argument("names", nargs=-1, required=True, metavar="PAPER[:CLAIM]...")
@click.option(
    "--scale",
    type=click.Choice([s.value for s in Scale]),
    default="smoke",
    show_default=True,
    help="smoke: seconds; laptop: minutes on two cores; paper: what the authors used.",
)
@click.option(
    "--seeds", type=click.IntRange(1), help="Number of seeds, 0 to N-1; what each claim declares by default."
)
@click.option(
    "--again", is_flag=True, help="Measure anew what was measured with the same scale, seeds and code."
)
@click.option(
    "--executor",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="This machine, or a Ray cluster.",
)
@click.option(
    "--address", help="Address of the Ray cluster, for example ray-head:6379; default: one found or started."
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Claims measured side by side on this machine.",
)
@click.option("--offline", is_flag=True, help="Download no data; claims that lack them say so.")
@click.option(
    "--reference",
    is_flag=True,
    help="For maintainers: write the results into the paper's own folder, where they ship with it.",
)
@voice.json_option
def run_command(
    names: tuple[str, ...], scale: str, seeds: int | None, again: bool, executor: str, address: str | None, jobs: int,
    offline: bool, reference: bool, as_json: bool,
) -> None:  # fmt: skip
    """Measure a paper's claims, each in a process of its own, and keep every result.

    PAPER is a short name, family/name or arXiv id; PAPER:CLAIM measures one claim. What was measured before with
    the same scale, seeds and code is kept. Leaves with 1 if a claim failed, with 5 if data or hardware are missing.

    \b
    Example:
      broadsheet run flexible-survival --scale smoke
      broadsheet run flexible-survival:unification --scale laptop --again
    """
    from broadsheet.lab.execute import measure

    if address and executor != "ray":
        raise click.UsageError("--address goes with --executor ray")
    if reference and scale != "laptop":
        raise click.UsageError(
            "--reference goes with --scale laptop: reference results are measured at that scale"
        )
    chosen = _chosen(names)
    watcher = _Watcher(as_json=as_json)
    try:
        with watcher.bar:
            results = measure(
                chosen, scale, seeds, again=again, executor=executor, address=address, jobs=jobs, on_event=watcher,
                fetch=not offline,
            )  # fmt: skip
    except StoreError as error:
        raise Refusal(str(error), 6) from error
    except ImportError as error:
        raise Refusal(str(error), 5) from error
    if reference:
        _write_reference(chosen, results)
    if as_json:
        voice.print_json([result.as_dict() for result in results])
    failed = sum(result.verdict is Verdict.FAILED for result in results)
    lacking = sum(result.verdict in _LACKING for result in results)
    # Why stands in each claim's own line.
    if failed:
        voice.warn(f"{failed} of {len(results)} claims failed.")
        raise click.exceptions.Exit(1)
    if lacking:
        voice.warn(f"{lacking} of {len(results)} claims lack data, an extra or hardware.")
        raise click.exceptions.Exit(5)


def _write_reference(chosen: list[tuple[catalogue.Paper, Claim]], results: list[Result]) -> None:
    from broadsheet.lab import reference

    for paper in dict.fromkeys(paper for paper, _ in chosen):
        mine = [result for result in results if result.paper == paper.key]
        try:
            for refused in reference.write(paper, mine):
                voice.warn(refused)
        except (StoreError, OSError) as error:
            raise Refusal(f"the reference results of {paper.key} cannot be written: {error}", 6) from error


@click.command("report")
@click.argument("name", required=False, metavar="[PAPER]")
@click.option(
    "--format", "form", type=click.Choice(["html", "md"]), help="Default: by the ending of --output, or html."
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; - is standard output. Default: PAPER-report.html, or broadsheet-report.html, here.",
)
@voice.json_option
def report_command(name: str | None, form: str | None, output: Path | None, as_json: bool) -> None:
    """Write a report of what was measured: one paper's, or the whole catalogue's.

    An HTML report is one file that needs nothing else.

    \b
    Example:
      broadsheet report flexible-survival --output survival.html
      broadsheet report --format md --output -
    """
    from broadsheet.lab import report

    paper = find_paper(name) if name else None
    to_pipe = output is not None and str(output) == "-"
    form = form or ("md" if output is not None and output.suffix == ".md" else "html")
    target = output or Path(f"{paper.slug if paper else 'broadsheet'}-report.{form}")
    if not to_pipe and target.suffix != f".{form}":
        raise click.UsageError(f"--output must end in .{form} for this format, got {target}")
    loaded = catalogue.load()
    try:
        if to_pipe:
            click.echo(report.html(paper) if form == "html" else report.markdown(paper))
            return
        if paper is not None:
            report.write(target, [paper])
        else:
            report.write(target, loaded.papers, problems=loaded.problems)
    except StoreError as error:
        raise Refusal(str(error), 6) from error
    except catalogue.BrokenPaper as error:
        raise Refusal(str(error), 4) from error
    if as_json:
        voice.print_json({"file": str(target.resolve()), "format": form, "bytes": target.stat().st_size})
    else:
        voice.say(f"Wrote {target}")


@click.command("new")
@click.argument("arxiv_id")
@click.argument("place", metavar="FAMILY/SLUG")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of a package of your own; by default this checkout of Broadsheet.",
)
@voice.json_option
def new_command(arxiv_id: str, place: str, into: Path | None, as_json: bool) -> None:
    """Lay out the rooms of a new paper, with a claim and a test that fail until they are written.

    \b
    Example:
      broadsheet new 2106.04647 tuning/compacter
    """
    from broadsheet.lab import new
    from broadsheet.sources.ids import parse_arxiv_id

    try:
        canonical = parse_arxiv_id(arxiv_id).id
    except ValueError as error:
        raise Refusal(f"ARXIV_ID: {error}", 2) from error
    try:
        made = new.lay_out(canonical, place, into=into)
    except new.CannotLayOut as error:
        raise Refusal(str(error), 2) from error
    if as_json:
        voice.print_json({"files": [str(path) for path in made.files], "steps": list(made.steps)})
        return
    for path in made.files:
        voice.say(f"  {path}", dim=True)
    for count, step in enumerate(made.steps, 1):
        voice.say(f"{count}. {step}")
