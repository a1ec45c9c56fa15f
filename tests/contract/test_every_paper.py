"""What every paper's folder must hold and keep, swept over the whole catalogue."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib

import pytest

from broadsheet.lab import catalogue, reference
from broadsheet.sources.ids import parse_arxiv_id

LOADED = catalogue.load()
PAPERS = LOADED.papers
each_paper = pytest.mark.parametrize("paper", PAPERS, ids=lambda p: p.slug)


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_catalogue_has_papers_and_no_problem() -> None:
    assert PAPERS
    assert LOADED.problems == ()


@each_paper
def test_every_room_is_there(paper: catalogue.Paper) -> None:
    for room in ("README.md", "paper.toml", "__init__.py", "claims.py", "results"):
        assert (paper.folder / room).exists(), f"{paper.key} has no {room}"


@each_paper
def test_facts_are_facts(paper: catalogue.Paper) -> None:
    raw = tomllib.loads((paper.folder / "paper.toml").read_text())
    assert isinstance(raw["arxiv_id"], str)
    assert parse_arxiv_id(raw["arxiv_id"]).id == raw["arxiv_id"]
    sentences = re.findall(r"[.!?](?:\s|$)", paper.facts.summary)
    assert len(sentences) == 2, "the summary is two sentences of our own"
    assert paper.facts.tags


@each_paper
def test_public_names_come_from_paper_and_family(paper: catalogue.Paper) -> None:
    family = f"broadsheet.methods.{paper.family}"
    code = (
        f"import importlib; p = importlib.import_module({paper.package!r}); f = importlib.import_module({family!r});"
        f"[getattr(m, n) for m in (p, f) for n in {list(paper.facts.names)!r}];"
        f"assert set({list(paper.facts.names)!r}) <= set(p.__all__), p.__all__"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@each_paper
def test_claims_are_read_without_loading_the_method(paper: catalogue.Paper) -> None:
    code = (
        f"import importlib, sys; importlib.import_module({paper.package + '.claims'!r});"
        "heavy = {'torch', 'scipy', 'sklearn', 'pandas', 'matplotlib', 'transformers', 'django'} & set(sys.modules);"
        "sys.exit(f'claims.py loads {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@each_paper
def test_every_claim_says_where_and_why(paper: catalogue.Paper) -> None:
    assert paper.claims
    for claim in paper.claims:
        assert len(claim.why.split()) >= 8, (
            f"{claim.id}: the docstring says what is measured and why it counts"
        )
        assert claim.where
        assert claim.scales
    ids = [claim.id for claim in paper.claims]
    assert len(set(ids)) == len(ids)


@each_paper
def test_readme_examples_run(paper: catalogue.Paper, tmp_path) -> None:
    blocks = python_blocks(paper.readme)
    assert blocks, "a README has an example"
    script = tmp_path / "example.py"
    script.write_text("\n\n".join(blocks))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


@each_paper
def test_claims_table_in_readme_is_the_generated_one(paper: catalogue.Paper) -> None:
    assert reference.check(paper) == [], "run: broadsheet run PAPER --reference"


@each_paper
def test_reference_results_cover_the_laptop_claims(paper: catalogue.Paper) -> None:
    kept = json.loads((paper.folder / "results" / "laptop.json").read_text())
    assert set(kept["claims"]) == {c.id for c in paper.claims if "laptop" in c.scales}
    for result in reference.results(paper).values():
        assert result.scale == "laptop"
        for figure in result.figures:
            for name in figure.files.values():
                assert (paper.folder / "results" / "figures" / name).is_file()
