"""Reference results: what we measured ourselves, kept in the paper's own folder and shown in its README.

They stand in ``results/laptop.json`` (``{"schema": 1, "claims": {id: result}}``, the fields of
:class:`broadsheet.lab.store.Result`) and ``results/figures``, and are written by the lab only.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from pathlib import Path

from broadsheet.claims import Claim, Measured, Scale, Verdict
from broadsheet.lab.catalogue import Paper
from broadsheet.lab.judge import judge
from broadsheet.lab.markup import plain, sentence
from broadsheet.lab.numbers import day, number, pad_unit
from broadsheet.lab.store import SCHEMA, Picture, Result, StoreError, TableFile, write_atomically
from broadsheet.lab.store import reference as results

__all__ = ["BEGIN", "END", "SHAPES", "check", "claims_table", "results", "update_readme", "write"]

BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"
SHAPES = {
    Verdict.REPRODUCED: "●",
    Verdict.HOLDS: "◐",
    Verdict.INCONCLUSIVE: "○",
    Verdict.NOT_REPRODUCED: "✕",
    Verdict.NEEDS_DATA: "–",
    Verdict.NEEDS_HARDWARE: "–",
    Verdict.FAILED: "▲",
}
"""A character for each verdict, where no drawing can stand. Always with its word."""


def write(paper: Paper, measured: Iterable[Result]) -> list[str]:
    """Take results into the paper's own folder, claim by claim, and write its README's table anew.

    Args:
        paper: The paper; its folder must be writable.
        measured: Results of its claims at scale laptop. A claim that is not among them keeps what it has.

    Returns:
        A sentence for each result that was not taken: a failure is no reference.

    Raises:
        StoreError: if the folder cannot be written.
    """
    refused: list[str] = []
    folder = paper.folder / "results"
    ids = [claim.id for claim in paper.claims]
    # A claim that is no longer made is dropped.
    kept = {name: result for name, result in results(paper).items() if name in ids}
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        for result in measured:
            if result.paper != paper.key or result.claim not in ids:
                refused.append(f"{result.key} is no claim of {paper.key}")
            elif result.scale is not Scale.LAPTOP:
                refused.append(f"{result.key} was measured at scale {result.scale}; a reference is at laptop")
            elif result.verdict is Verdict.FAILED:
                refused.append(f"{result.key} failed: {result.reason}")
            else:
                kept[result.claim] = _take_files(result, folder / "figures")
        ordered = {name: kept[name].as_dict() for name in ids if name in kept}
        text = json.dumps(
            {"schema": SCHEMA, "claims": ordered}, indent=1, ensure_ascii=False, allow_nan=False
        )
        write_atomically(folder / "laptop.json", text + "\n")
        for file in _files(folder / "figures") - _named(kept.values()):
            (folder / "figures" / file).unlink()
        update_readme(paper)
    except OSError as error:
        cause = error.strerror or error
        raise StoreError(
            f"the reference results of {paper.key} cannot be written to {folder}: {cause}"
        ) from error
    return refused


def _take_files(result: Result, folder: Path) -> Result:
    """Copy a result's files under names that begin with its claim's, and name them so in the result."""

    def take(name: str) -> str:
        new = name if name.startswith(f"{result.claim}--") else f"{result.claim}--{name}"
        content = result.path(name).read_bytes()
        half = folder / f".{new}.half"
        half.write_bytes(content)
        half.replace(folder / new)
        return new

    pictures = tuple(
        Picture(
            p.name, p.caption, {k: take(f) for k, f in p.files.items()}, take(p.table) if p.table else None
        )
        for p in result.figures
    )
    tables = tuple(TableFile(t.name, t.caption, take(t.file)) for t in result.tables)
    return dataclasses.replace(result, figures=pictures, tables=tables, folder=folder)


def _named(kept: Iterable[Result]) -> set[str]:
    names: set[str] = set()
    for result in kept:
        for picture in result.figures:
            names |= set(picture.files.values()) | ({picture.table} if picture.table else set())
        names |= {table.file for table in result.tables}
    return names


def _files(folder: Path) -> set[str]:
    return {name for name in os.listdir(folder) if name != ".gitkeep"} if folder.is_dir() else set()


# --- The table in the README -------------------------------------------------------------------------------


def claims_table(paper: Paper) -> str:
    """Return the table of the paper's claims as Markdown: published beside measured, with the verdict.

    Example:
        >>> from broadsheet.lab import catalogue
        >>> all("| Claim |" in claims_table(paper) for paper in catalogue.papers())
        True
    """
    ours = results(paper)
    lines = ["| Claim | Published | Measured | Verdict |", "|---|---|---|---|"]
    for claim in paper.claims:
        result = ours.get(claim.id)
        cells = [sentence(f"{claim.title} ({claim.where})"), plain(_published(claim))]
        if result is None:
            cells += ["", "not measured yet" if Scale.LAPTOP in claim.scales else "not at laptop scale"]
        else:
            cells += [plain(result.in_words()), f"{SHAPES[result.verdict]} {result.verdict}"]
        lines.append(f"| {' | '.join(cells)} |")
    measured = [result for result in ours.values() if result.started]
    if measured:
        last = max(measured, key=lambda result: result.started)
        machine = ", ".join(
            f"{last.machine[name]}{unit}"
            for name, unit in (("processor", ""), ("cores", " cores"))
            if last.machine.get(name)
        )
        lines += [
            "",
            f"Measured at laptop scale on {day(last.started)}" + (f" ({machine})." if machine else "."),
        ]
    return "\n".join(lines)


def _published(claim: Claim) -> str:
    if claim.published is None:
        return "a direction" if claim.kind == "trend" else "–"
    return number(claim.published) + pad_unit(claim.unit)


def _with_table(paper: Paper) -> str | None:
    """Return the README with its table made anew, or None where it has no place for one."""
    readme = paper.readme
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        return None
    return f"{before}{BEGIN}\n{claims_table(paper)}\n{END}{after}"


def update_readme(paper: Paper) -> bool:
    """Write the claims table of the paper's README anew.

    Returns:
        Whether anything changed; False also where the README has no markers for the table.

    Raises:
        OSError: if the file cannot be written.
    """
    text = _with_table(paper)
    if text is None or text == paper.readme:
        return False
    write_atomically(paper.folder / "README.md", text)
    return True


def check(paper: Paper) -> list[str]:
    """Return what is stale or missing in the paper's reference results and README, one sentence each.

    A verdict is judged again from the stored value, so that a tolerance cannot change unseen.
    """
    file = paper.folder / "results" / "laptop.json"
    again = f"run `broadsheet run {paper.slug} --reference`"
    if not file.is_file():
        return [f"{file} is missing: {again}"]
    try:
        kept = results(paper)
    except StoreError as error:
        return [str(error)]
    claims = {claim.id: claim for claim in paper.claims}
    found = [f"{file}: {name} is no claim of this paper: {again}" for name in kept if name not in claims]
    for claim in claims.values():
        if Scale.LAPTOP in claim.scales and claim.id not in kept:
            found.append(f"{file}: {claim.id} has not been measured: {again}")
        elif claim.id in kept:
            found += [f"{file}: {claim.id} {fault}: {again}" for fault in _stale(claim, kept[claim.id])]
    folder = file.parent / "figures"
    here, named = _files(folder), _named(kept.values())
    found += [f"{folder / name} is missing: {again}" for name in sorted(named - here)]
    found += [f"{folder / name} belongs to no result: delete it" for name in sorted(here - named)]
    text = _with_table(paper)
    if text is None:
        found.append(f"{paper.folder / 'README.md'} has no place for the claims table: add {BEGIN} and {END}")
    elif text != paper.readme:
        found.append(f"{paper.folder / 'README.md'}: the claims table is not the generated one: {again}")
    return found


def _stale(claim: Claim, result: Result) -> Iterable[str]:
    if (result.title, result.published, result.kind) != (claim.title, claim.published, claim.kind):
        yield "was declared otherwise when it was measured"
    if result.value is not None:
        verdict, _ = judge(claim, Measured(result.value, result.low, result.high), result.scale)
        if verdict is not result.verdict:
            yield f"is stored as {result.verdict}, but its declared rule now says {verdict}"
