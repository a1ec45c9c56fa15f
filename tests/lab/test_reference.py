"""Reference results: taken claim by claim into the paper's folder, and every drift is seen."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from broadsheet.claims import Scale, Verdict
from broadsheet.lab import reference
from broadsheet.lab import store as store_module
from broadsheet.lab.catalogue import Paper
from broadsheet.lab.execute import measure
from broadsheet.lab.store import Result, StoreError
from lab.shelf import one_claim, quick_figure

LINE = quick_figure(table="x\n1\n") + "return Measured(0.52, note='n')\n"


@pytest.fixture
def paper(paper_of: Callable[..., Paper]) -> Paper:
    source = one_claim(LINE) + one_claim("return Measured(0.9)").replace("def heads", "def tails")
    return paper_of(
        source + one_claim("return Measured(0.5)", scales="['paper']").replace("def heads", "def huge")
    )


@pytest.fixture
def measured(paper: Paper) -> list[Result]:
    return measure([paper], "laptop")


def test_results_are_taken_with_their_figures_and_the_table_is_written(
    paper: Paper, measured: list[Result]
) -> None:
    assert reference.check(paper)
    assert reference.write(paper, measured) == []
    assert reference.check(paper) == []
    kept = reference.results(paper)
    assert list(kept) == ["heads", "tails"]
    assert (kept["heads"].value, kept["heads"].started) == (0.52, measured[0].started)
    for name in kept["heads"].figures[0].files.values():
        assert kept["heads"].path(name).is_file()
        assert name.startswith("heads--line")
    rows = [line for line in paper.readme.splitlines() if line.startswith("| A coin")]
    assert rows[0] == (
        "| A coin lands **heads** half the time (Table 1) | 0.5 share | 0.52 share | ● reproduced |"
    )
    assert rows[1].endswith("| ✕ not reproduced |")
    assert rows[2].endswith("| not at laptop scale |")
    assert paper.readme.startswith("# A coin\n\n<!-- claims:begin -->\n| Claim |")
    assert "Measured at laptop scale on " in paper.readme


def test_writing_the_same_again_changes_no_byte(paper: Paper, measured: list[Result]) -> None:
    reference.write(paper, measured)
    before = {p: p.read_bytes() for p in paper.folder.rglob("*") if p.is_file()}
    reference.write(paper, reference.results(paper).values())
    reference.write(paper, [])
    assert {p: p.read_bytes() for p in paper.folder.rglob("*") if p.is_file()} == before


def test_one_claim_is_replaced_and_the_others_stay(paper: Paper, measured: list[Result]) -> None:
    reference.write(paper, measured)
    reference.write(paper, [dataclasses.replace(measured[1], value=0.5, verdict=Verdict.REPRODUCED)])
    kept = reference.results(paper)
    assert [r.value for r in kept.values()] == [0.52, 0.5]
    assert reference.check(paper) == []


def test_figures_of_a_replaced_result_go(paper: Paper, measured: list[Result]) -> None:
    reference.write(paper, measured)
    reference.write(paper, [dataclasses.replace(measured[0], figures=())])
    assert os.listdir(paper.folder / "results" / "figures") == []


def test_what_is_no_reference_is_refused_and_the_rest_is_taken(paper: Paper, measured: list[Result]) -> None:
    bad = [
        dataclasses.replace(measured[0], scale=Scale.SMOKE),
        dataclasses.replace(measured[0], verdict=Verdict.FAILED, reason="bad luck"),
        dataclasses.replace(measured[0], claim="nobodys"),
        measured[1],
    ]
    said = reference.write(paper, bad)
    assert [text.partition(" ")[2] for text in said] == [
        "was measured at scale smoke; a reference is at laptop",
        "failed: bad luck",
        f"is no claim of {paper.key}",
    ]
    assert list(reference.results(paper)) == ["tails"]


def test_a_disk_that_fills_up_keeps_the_old_reference(
    paper: Paper, measured: list[Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference.write(paper, measured)
    before = (paper.folder / "results" / "laptop.json").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module.os, "fsync", full)
    with pytest.raises(StoreError, match=r"reference results of demo/coin cannot be written .*No space left"):
        reference.write(paper, [dataclasses.replace(measured[1], value=0.5)])
    monkeypatch.undo()
    assert (paper.folder / "results" / "laptop.json").read_bytes() == before
    assert reference.check(paper) == []


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


DRIFTS: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: rewrite(f / "README.md", "0.52", "0.53"), "the claims table is not the generated one"),
    (lambda f: rewrite(f / "README.md", "<!-- claims:end -->", ""), "has no place for the claims table"),
    (
        lambda f: rewrite(f / "results/laptop.json", '"value": 0.9', '"value": 0.51'),
        "its declared rule now says reproduced",
    ),
    (
        lambda f: rewrite(f / "results/laptop.json", '"published": 0.5', '"published": 0.6'),
        "was declared otherwise",
    ),
    (lambda f: rewrite(f / "results/laptop.json", '"tails"', '"tales"'), "tails has not been measured"),
    (lambda f: (f / "results/laptop.json").write_text("{"), "is damaged"),
    (lambda f: (f / "results/laptop.json").unlink(), "is missing: run `broadsheet run coin --reference`"),
    (lambda f: (f / "results/figures/heads--line.dark.svg").unlink(), "heads--line.dark.svg is missing"),
    (lambda f: (f / "results/figures/extra.png").touch(), "extra.png belongs to no result"),
]


@pytest.mark.parametrize(("change", "said"), DRIFTS)
def test_every_drift_is_seen(
    paper: Paper, measured: list[Result], change: Callable[[Path], object], said: str
) -> None:
    reference.write(paper, measured)
    change(paper.folder)
    assert any(said in text for text in reference.check(paper)), reference.check(paper)


def test_what_is_lacking_stands_in_the_table_too(paper_of: Callable[..., Paper]) -> None:
    paper = paper_of(one_claim("raise NeedsHardware('needs a telescope')"))
    assert reference.write(paper, measure([paper], "laptop")) == []
    assert "| – needs other hardware |" in paper.readme
    assert json.loads((paper.folder / "results/laptop.json").read_text())["claims"]["heads"]["value"] is None
    assert reference.check(paper) == []
