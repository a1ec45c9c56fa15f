"""Reports of what was measured, for one paper or the whole catalogue, as one HTML file or as Markdown.

The HTML file asks for nothing outside itself: styles and figures stand in it. Figures stand as images, not
as parts of the page, so that nothing in them can run or mix with another.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from broadsheet.claims import Claim, Scale, Verdict
from broadsheet.lab.catalogue import BrokenPaper, Paper, load
from broadsheet.lab.numbers import duration
from broadsheet.lab.standing import standing
from broadsheet.lab.store import Picture, Result, Store, StoreError, reference, write_atomically
from broadsheet.rooms import Problem

__all__ = [
    "VERDICTS",
    "ClaimReport",
    "PaperReport",
    "gather",
    "how_measured",
    "html",
    "markdown",
    "read_csv",
    "write",
]

VERDICTS: dict[Verdict, str] = {
    Verdict.REPRODUCED: "the published number was derived again, or the effect at the scale of the paper",
    Verdict.HOLDS: "the effect shows on a smaller problem than the authors'",
    Verdict.INCONCLUSIVE: "what was measured is compatible both with the claim and without it",
    Verdict.NOT_REPRODUCED: "what was measured contradicts the claim",
    Verdict.NEEDS_DATA: "the data are not here",
    Verdict.NEEDS_HARDWARE: "this machine lacks hardware or software",
    Verdict.FAILED: "the measurement did not come to an end",
}
"""What each verdict means, in the order in which a reader wants to know."""
KINDS = {
    "exact": "the published number itself is derived again",
    "scaled": "the same effect on a smaller problem; the published number is not expected to be met",
    "trend": "a direction or an ordering",
}
_ROWS = 200
"""Rows of a table that are shown; the file holds all."""


@dataclass(frozen=True)
class ClaimReport:
    """A claim with all that was measured of it: here, newest first, and by us."""

    claim: Claim
    here: tuple[Result, ...]
    ours: Result | None

    @property
    def shown(self) -> Result | None:
        """The result to show: see :func:`broadsheet.lab.standing.standing`."""
        return standing(self.here, self.ours)


@dataclass(frozen=True)
class PaperReport:
    """A paper with its claims, or with the problem that hides them."""

    paper: Paper
    claims: tuple[ClaimReport, ...]
    problem: str = ""


def gather(papers: Sequence[Paper], store: Store | None = None) -> list[PaperReport]:
    """Gather what was measured of papers.

    Args:
        papers: The papers.
        store: The results of this machine; default its results folder.

    Returns:
        One report a paper, in the order given.
    """
    store = store or Store()
    made = []
    for paper in papers:
        try:
            ours = reference(paper)
            claims = paper.claims
        except (BrokenPaper, StoreError) as error:
            made.append(PaperReport(paper, (), str(error)))
            continue
        rows = [ClaimReport(c, tuple(store.history(paper.key, c.id)), ours.get(c.id)) for c in claims]
        made.append(PaperReport(paper, tuple(rows)))
    return made


def html(paper: Paper | None = None, store: Store | None = None) -> str:
    """Return the report of a paper, or of the whole catalogue with its problems, as one HTML document."""
    from broadsheet.lab import report_html

    papers, problems = _about(paper)
    return report_html.render(gather(papers, store), problems)


def markdown(paper: Paper | None = None, store: Store | None = None) -> str:
    """Return the same as Markdown, without figures: :func:`write` puts them beside it."""
    from broadsheet.lab import report_markdown

    papers, problems = _about(paper)
    return report_markdown.render(gather(papers, store), problems)


def _about(paper: Paper | None) -> tuple[Sequence[Paper], Sequence[Problem]]:
    if paper is not None:
        return [paper], ()
    catalogue = load()
    return catalogue.papers, catalogue.problems


def write(
    path: Path | str,
    papers: Sequence[Paper],
    store: Store | None = None,
    problems: Sequence[Problem] = (),
) -> Path:
    """Write a report.

    Args:
        path: The file: ``.html`` gives one file that holds everything, ``.md`` one with its figures in a
            folder beside it. An older report there is replaced as a whole.
        papers: The papers it is about.
        store: The results of this machine; default its results folder.
        problems: Papers that cannot be used, to be named in it.

    Returns:
        The file.

    Raises:
        ValueError: if the ending is another.
        StoreError: if it cannot be written.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (".html", ".htm", ".md"):
        raise ValueError(f"a report's name must end with .html or .md, got {path.name!r}")
    from broadsheet.lab import report_html, report_markdown

    gathered = gather(papers, store)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if ending == ".md":
            folder = path.with_name(f"{path.stem}-figures")
            text = report_markdown.render(gathered, problems, folder.name)
            _copy_figures(gathered, folder)
        else:
            text = report_html.render(gathered, problems)
        write_atomically(path, text)
    except OSError as error:
        raise StoreError(f"the report {path} cannot be written: {error.strerror or error}") from error
    return path


def _copy_figures(gathered: Sequence[PaperReport], folder: Path) -> None:
    for report in gathered:
        for row in report.claims:
            for picture in row.shown.figures if row.shown else ():
                assert row.shown is not None
                source = row.shown.path(picture.files["light.png"])
                if source.is_file():
                    folder.mkdir(exist_ok=True)
                    shutil.copyfile(source, folder / figure_name(report.paper, row.claim, picture))


def figure_name(paper: Paper, claim: Claim, picture: Picture) -> str:
    """Return the file name of a figure in a Markdown report's folder."""
    return f"{paper.slug}--{claim.id}--{picture.name}.png"


def how_measured(result: Result) -> list[tuple[str, str]]:
    """Return how a result came about, as pairs of a word and what stands beside it."""
    scales = {
        Scale.SMOKE: "smoke: seconds, does it work at all",
        Scale.LAPTOP: "laptop: minutes on two cores",
        Scale.PAPER: "paper: what the authors used",
    }
    many = "" if len(result.seeds) == 1 else "s"
    seeds = ", ".join(map(str, result.seeds[:10])) + (" …" if len(result.seeds) > 10 else "")
    rows = [("scale", scales[result.scale]), (f"seed{many}", seeds)]
    took = duration(result.seconds)
    if result.cpu_seconds is not None:
        took += f", {duration(result.cpu_seconds)} of processor time"
    if result.memory_gb:
        took += f", {result.memory_gb:.2f} GB of memory"
    rows.append(("took", took))
    machine = result.machine
    if machine:
        parts = [str(machine.get("processor", "")), f"{machine.get('cores')} cores"]
        parts += [f"{machine.get('memory_gb')} GB", str(machine.get("system", ""))]
        rows.append(("machine", ", ".join(part for part in parts if part)))
    if result.versions:
        rows.append(("versions", ", ".join(f"{name} {version}" for name, version in result.versions.items())))
    code = str(result.code.get("fingerprint", ""))
    commit = result.code.get("commit")
    if commit:
        code += f" at commit {str(commit)[:10]}" + (", changed since" if result.code.get("changed") else "")
    if code:
        rows.append(("code", code))
    return rows


def read_csv(path: Path) -> tuple[list[str], list[list[str]], int]:
    """Read a table for showing.

    Returns:
        Its heads, its first rows, and how many rows there are; nothing where the file is gone.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error):
        return [], [], 0
    if not rows:
        return [], [], 0
    return rows[0], rows[1 : _ROWS + 1], len(rows) - 1
