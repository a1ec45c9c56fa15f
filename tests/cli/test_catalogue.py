"""`papers`, `show`, `data`: what runs, in JSON and in plain words."""

from __future__ import annotations

import json
import subprocess
import sys

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
