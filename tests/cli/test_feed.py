"""Papers in, papers found: `import`, `search`."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest

from .conftest import Command


def everything_in(database: Path) -> list[str]:
    with sqlite3.connect(database) as connection:
        return list(connection.iterdump())


def test_a_page_is_imported_once(broadsheet: Command, page: Path) -> None:
    first = broadsheet("import", page, "--saved", "2025-12-08", "--json")
    assert first.code == 0, first.err
    assert first.json() == {"added": 4, "changed": 0, "unchanged": 0, "skipped": 0, "problems": []}
    second = broadsheet("import", page, "--saved", "2025-12-08", "--json")
    assert second.json() == {"added": 0, "changed": 0, "unchanged": 4, "skipped": 0, "problems": []}


def test_what_was_imported_is_found(broadsheet: Command, page: Path) -> None:
    broadsheet("import", page, "--saved", "2025-12-08")
    found = broadsheet("search", "title:lifetimes", "--json").json()
    assert [paper["title"] for paper in found["papers"]] == [
        "A Made-up Law of Lifetimes: How Long Do Test Pages Live?"
    ]
    assert found["papers"][0]["published_on"] == "2025-01-21"


def test_search_speaks_plainly_to_a_pipe(broadsheet: Command, page: Path) -> None:
    broadsheet("import", page, "--saved", "2025-12-08")
    lines = broadsheet("search", "title:counting-to-two").out.splitlines()
    assert lines[0].split("\t") == ["id", "date", "title", "authors", "words"]
    assert "\x1b" not in "".join(lines)
    assert len(lines) == 2


@pytest.mark.parametrize(
    "query", ['"', "title:", "NEAR(", "a AND OR", "*", "-", "^x", "col:umn", "year:soon", "('"]
)
def test_no_query_is_an_error(broadsheet: Command, query: str) -> None:
    said = broadsheet("search", "--json", "--", query)
    assert said.code == 0, said.err


def test_a_page_of_another_kind_is_refused(broadsheet: Command, tmp_path: Path) -> None:
    file = tmp_path / "other.html"
    file.write_text("<!doctype html><html><body>Not a page</body></html>")
    said = broadsheet("import", file, "--saved", "2025-12-08")
    assert said.code == 4
    assert "other.html" in said.err
    assert "plain text" in said.err
    assert "Traceback" not in said.err


def test_strict_refuses_the_whole_page(broadsheet: Command, page: Path) -> None:
    page.write_text(page.read_text().replace("Apr 18, 2024 1", "Feb 30, 2024 1"))
    loose = broadsheet("import", page, "--saved", "2025-12-08", "--json", "--dry-run")
    assert loose.json()["skipped"] == 1
    strict = broadsheet("import", page, "--saved", "2025-12-08", "--strict")
    assert strict.code == 1
    assert "Feb 30" in strict.err
    assert "line" in strict.err
    assert broadsheet("search", "title:imaginary", "--json").json()["papers"] == []


def test_an_absent_file_is_a_usage_error(broadsheet: Command) -> None:
    said = broadsheet("import", "nowhere.txt")
    assert said.code == 2
    assert "nowhere.txt" in said.err


def test_a_database_of_a_newer_version_is_left_alone(broadsheet: Command, home: Path, page: Path) -> None:
    broadsheet("import", page, "--saved", "2025-12-08")
    database = home / "broadsheet.sqlite3"
    with sqlite3.connect(database) as connection:
        connection.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('papers', '9999_future', '2030-01-01')"
        )
    before = everything_in(database)
    said = broadsheet("search", "lifetimes")
    assert said.code == 6
    assert "newer" in said.err
    assert str(database) in said.err
    assert everything_in(database) == before


def test_a_file_that_is_no_database_is_named(broadsheet: Command, home: Path) -> None:
    home.mkdir()
    (home / "broadsheet.sqlite3").write_text("This is a letter, not a database. " * 50)
    said = broadsheet("search", "x", "--json")
    assert said.code == 6
    assert "broadsheet.sqlite3" in json.loads(said.err)["error"]


def test_the_given_page_has_its_39_papers(broadsheet: Command) -> None:
    found = [
        file
        for folder in os.environ.get("BROADSHEET_DATA", "").split(os.pathsep)
        if folder
        for file in Path(folder).rglob("daily-papers-page.txt")
    ]
    if not found:
        pytest.skip("daily-papers-page.txt is in no folder of BROADSHEET_DATA")
    said = broadsheet("import", found[0], "--saved", "2025-12-08", "--json")
    assert said.json()["added"] == 39, said.out
    again = broadsheet("import", found[0], "--saved", "2025-12-08", "--json").json()
    assert (again["added"], again["changed"], again["unchanged"]) == (0, 0, 39)


def test_an_import_into_a_database_that_may_only_be_read_is_refused(
    broadsheet: Command, home: Path, page: Path
) -> None:
    assert broadsheet("search", "x").code == 0
    with sqlite3.connect(home / "broadsheet.sqlite3") as database:
        database.execute(
            "CREATE TRIGGER closed BEFORE INSERT ON papers_paper BEGIN "
            "SELECT RAISE(ABORT, 'attempt to write a readonly database'); END"
        )
    said = broadsheet("import", page, "--saved", "2025-12-08")
    assert said.code == 6
    assert "cannot be written" in said.err
    assert "Traceback" not in said.err


def test_another_kind_of_file_leaves_with_4_however_short(broadsheet: Command, tmp_path: Path) -> None:
    for name, text in (("x.csv", "id,title\n"), ("empty.jsonl", ""), ("array.jsonl", "[]\n")):
        (tmp_path / name).write_text(text)
        said = broadsheet("import", tmp_path / name, "--format", "jsonl")
        assert (said.code, name in said.err) == (4, True), name


def test_a_day_in_the_future_is_refused(broadsheet: Command, page: Path) -> None:
    said = broadsheet("import", page, "--saved", "2199-12-08")
    assert said.code == 2
    assert "lies in the future" in said.err


def test_a_page_that_contradicts_its_day_changes_nothing(broadsheet: Command, page: Path, home: Path) -> None:
    page.write_text(page.read_text() + "\nA last one\n\nOf another year.\n\n  • 1 author\n·\nApr 1, 2026\n")
    said = broadsheet("import", page, "--saved", "2025-12-08")
    assert said.code == 4
    assert "prints the date 2026-04-01" in said.err
    assert "Nothing was imported" in said.err
    found = broadsheet("search", "title:lifetimes", "--json").json()["papers"]
    assert found == []


def test_a_word_after_a_minus_is_no_option(broadsheet: Command, page: Path) -> None:
    broadsheet("import", page, "--saved", "2025-12-08")
    found = broadsheet("search", "--json", "title:lifetimes", "-vision", "-human").json()
    assert (len(found["papers"]), found["total"], found["is_more"]) == (1, 1, False)
    found = broadsheet("search", "title:lifetimes", "-pages", "--json").json()
    assert (found["papers"], found["total"]) == ([], 0)
    said = broadsheet("search", "x", "--limt", "3")
    assert said.code == 2
    assert "--limt" in said.err


def test_papers_with_some_of_the_words_are_told_apart(broadsheet: Command, page: Path) -> None:
    broadsheet("import", page, "--saved", "2025-12-08")
    rows = [
        line.split("\t") for line in broadsheet("search", "lifetimes", "imaginary", "page").out.splitlines()
    ]
    assert {row[-1] for row in rows[1:]} == {"some"}
    found = broadsheet("search", "densities", "imaginary", "lifetimes", "--json").json()
    assert [paper["has_every_word"] for paper in found["papers"]][:2] == [False, False]


def test_what_is_not_understood_is_said(broadsheet: Command) -> None:
    said = broadsheet("search", "year:abc")
    assert "year:abc names no year" in said.err
    assert broadsheet("search", "foo:bar", "--json").json()["notes"]


def test_a_wrong_option_is_json_where_json_was_asked_for(broadsheet: Command, page: Path) -> None:
    said = broadsheet("import", page, "--saved", "yesterday", "--json")
    assert said.code == 2
    assert json.loads(said.err)["exit_code"] == 2
