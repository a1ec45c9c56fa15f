"""`papers`, `show`, `data`: what runs, in JSON and in plain words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from broadsheet.cli import cli

from .conftest import Command


def test_papers_lists_the_built_in_ones(broadsheet: Command) -> None:
    listed = broadsheet("papers", "--json").json()
    assert "statistics/flexible-survival" in [paper["key"] for paper in listed["papers"]]
    assert listed["problems"] == []
    arxiv = next(p["arxiv_id"] for p in listed["papers"] if p["slug"] == "flexible-survival")
    assert arxiv == "1901.03212"


def test_show_tells_published_and_measured(broadsheet: Command) -> None:
    shown = broadsheet("show", "flexible-survival", "--json").json()
    assert shown["claims"]
    for claim in shown["claims"]:
        assert {"id", "published", "unit", "where", "kind", "reference", "here"} <= set(claim)
        assert claim["here"] is None


@pytest.mark.parametrize("name", ["1901.03212", "statistics/flexible-survival", "flexible_survival"])
def test_a_paper_goes_by_its_names(broadsheet: Command, name: str) -> None:
    assert broadsheet("show", name, "--json").json()["slug"] == "flexible-survival"


def test_an_unknown_paper_gets_near_matches(broadsheet: Command) -> None:
    said = broadsheet("show", "flexible-survial")
    assert said.code == 3
    assert "flexible-survival" in said.err


@pytest.mark.parametrize(
    "claims", ["def x(:\n", "import nothing_of_that_name\n", "x = 1\n", "raise SystemExit(3)\n"]
)
def test_a_broken_paper_is_named_and_hides_no_other(broadsheet: Command, outside, claims: str) -> None:
    path = outside(claims)
    listed = broadsheet("papers", PYTHONPATH=path)
    assert listed.code == 0, listed.err
    assert "flexible-survival" in listed.out
    assert "coin/claims.py" in listed.err
    assert "Traceback" not in listed.err
    assert "coin/claims.py" in str(broadsheet("papers", "--json", PYTHONPATH=path).json()["problems"])
    for words in (["show", "coin"], ["run", "coin"], ["run", "coin:fine"], ["report", "coin", "-o", "-"]):
        said = broadsheet(*words, PYTHONPATH=path)
        assert "coin/claims.py" in said.err + said.out, words
        assert "Traceback" not in said.err
        assert said.code == (0 if words[0] == "report" else 4), words


FAIR = """
from broadsheet.claims import Measured, claim, within

@claim("A coin lands **heads** half the time", published=0.5, unit="share", where="Table 1", kind="exact",
       holds=within(absolute=0.1))
def heads(run):
    \"\"\"Counts heads.\"\"\"
    return Measured(0.5)
"""


def test_a_damaged_result_is_named(broadsheet: Command, outside, home: Path) -> None:
    path = outside(FAIR)
    assert broadsheet("run", "coin", PYTHONPATH=path).code == 0
    (file,) = home.glob("results/demo/coin/heads/smoke/*/result.json")
    file.write_text("{")
    shown = broadsheet("show", "coin", PYTHONPATH=path)
    assert shown.code == 0
    assert "not measured yet" in shown.out
    assert str(file) in shown.err


def test_a_full_disk_while_measuring_leaves_with_6_and_no_verdict(
    broadsheet: Command, outside, home: Path
) -> None:
    path = outside(FAIR.replace("return Measured(0.5)", "raise OSError(28, 'No space left on device')"))
    said = broadsheet("run", "coin", PYTHONPATH=path)
    assert said.code == 6
    assert "the disk is full" in said.err
    assert "failed" not in said.out
    assert not list(home.glob("results/demo/coin/heads/*/*/result.json"))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everywhere")
def test_results_that_may_not_be_read_are_said_so(broadsheet: Command, home: Path) -> None:
    (home / "results").mkdir(parents=True)
    (home / "results").chmod(0)
    said = broadsheet("papers")
    (home / "results").chmod(0o700)
    assert said.code == 6
    assert "right to read" in said.err


def test_a_home_that_is_a_file_is_said_so(broadsheet: Command, outside, home: Path) -> None:
    home.write_text("x")
    said = broadsheet("run", "coin", PYTHONPATH=outside(FAIR))
    assert said.code == 6
    assert "is no folder" in said.err


def test_errors_are_json_where_json_was_asked_for(broadsheet: Command) -> None:
    said = broadsheet("show", "nothing-like-it", "--json")
    assert said.code == 3
    assert json.loads(said.err)["exit_code"] == 3


def test_unknown_data_are_named(broadsheet: Command) -> None:
    said = broadsheet("data", "where", "vetran")
    assert said.code == 3
    assert "veteran" in said.err


def test_data_that_are_absent_say_how_to_get_them(broadsheet: Command, tmp_path) -> None:
    # An interpreter without the packages that carry the file, and no network: a proxy that refuses.
    said = broadsheet("data", "list", "--json", BROADSHEET_DATA="")
    veteran = next(d for d in said.json() if d["name"] == "veteran")
    assert len(veteran["sha256"]) == 64
    assert veteran["licence"]


def test_data_of_another_content_are_named(broadsheet: Command, tmp_path: Path) -> None:
    name = next(d["url"] for d in broadsheet("data", "list", "--json").json() if d["name"] == "veteran")
    file = tmp_path / name.rsplit("/", 1)[-1]
    file.write_text("another file\n")
    said = broadsheet("data", "where", "veteran", BROADSHEET_DATA=str(tmp_path))
    if said.code == 0:
        pytest.skip("an installed package carries the data")
    assert said.code == 5
    assert str(file) in said.err
    assert "another content" in said.err


def test_why_a_claim_failed_is_said_once(broadsheet: Command, outside) -> None:
    path = outside(FAIR.replace("return Measured(0.5)", "raise ValueError('bad luck')"))
    said = broadsheet("run", "coin", PYTHONPATH=path)
    assert said.code == 1
    assert (said.out + said.err).count("bad luck") == 1
    assert "1 of 1 claims failed" in said.err


def test_every_command_has_help_with_an_example() -> None:
    import click

    def walk(command: click.Command, path: str) -> None:
        context = click.Context(command, info_name=path)
        text = command.get_help(context)
        assert "Example:" in text, path
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                walk(child, f"{path} {name}")
        elif not path.endswith("broadsheet"):
            assert "--json" in text, f"{path} has no --json"

    walk(cli, "broadsheet")


def test_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m broadsheet data list --json | head -c 1"],
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
