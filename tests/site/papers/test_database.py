"""Each case is an installation of its own in a process of its own: that is where databases go wrong."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PREPARE = """
    from broadsheet.site.papers import database
    try:
        database.prepare()
    except database.DatabaseProblem as problem:
        print("PROBLEM", problem)
    else:
        print("READY")
"""


def python(home: Path, code: str = PREPARE, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={**os.environ, "BROADSHEET_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database as this version makes it."""
    home = tmp_path_factory.mktemp("made") / "deep" / "home"
    assert python(home) == "READY"
    database = sqlite3.connect(home / "broadsheet.sqlite3")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    papers = database.execute("SELECT count(*) FROM papers_paper WHERE method > ''").fetchone()[0]
    database.close()
    assert papers > 0
    return (home / "broadsheet.sqlite3").read_bytes()


@pytest.fixture
def home(tmp_path: Path, made: bytes) -> Path:
    (tmp_path / "broadsheet.sqlite3").write_bytes(made)
    return tmp_path


def change(home: Path, *statements: str) -> None:
    database = sqlite3.connect(home / "broadsheet.sqlite3")
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


def test_preparing_again_is_quick_and_writes_nothing(home):
    code = """
        import time
        from broadsheet.site.papers import database
        database.prepare()
        from django.db import connection
        from django.test.utils import CaptureQueriesContext
        with CaptureQueriesContext(connection) as seen:
            start = time.process_time()
            database.prepare()
            seconds = time.process_time() - start
        assert all(q["sql"].lstrip().startswith(("SELECT", "PRAGMA")) for q in seen), seen.captured_queries
        assert len(seen) <= 6, len(seen)
        print(seconds < 0.1)
    """
    assert python(home, code) == "True"


def test_an_older_database_is_brought_up_to_date(home):
    change(
        home,
        *[f"DROP TRIGGER papers_search_{t}" for t in ("added", "removed", "changing", "changed")],
        "DROP TABLE papers_search",
        "DROP VIEW papers_search_text",
        "DROP TABLE papers_search_pause",
        "DELETE FROM django_migrations WHERE app = 'papers' AND name = '0002_search'",
    )
    assert python(home) == "READY"
    database = sqlite3.connect(home / "broadsheet.sqlite3")
    database.execute("INSERT INTO papers_search(papers_search, rank) VALUES ('integrity-check', 1)")
    database.close()


@pytest.mark.parametrize("app", ["papers", "discussions"])
def test_a_database_of_a_newer_version_is_refused(home, app):
    change(
        home,
        f"INSERT INTO django_migrations(app, name, applied) VALUES ('{app}', '0999_future', '2030-01-01')",
    )
    before = (home / "broadsheet.sqlite3").read_bytes()
    said = python(home)
    assert said.startswith("PROBLEM")
    for words in (
        str(home / "broadsheet.sqlite3"),
        "newer version",
        f"{app}.0999_future",
        "Upgrade Broadsheet",
        "BROADSHEET_HOME",
    ):
        assert words in said
    assert (home / "broadsheet.sqlite3").read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path):
    path = tmp_path / "broadsheet.sqlite3"
    path.write_text("Dear diary, " * 100)
    said = python(tmp_path)
    assert said.startswith(f"PROBLEM {path}: is no SQLite database")
    assert path.read_text().startswith("Dear diary")


def test_a_damaged_database_is_refused(home, made):
    (home / "broadsheet.sqlite3").write_bytes(made[:100] + b"\xff" * 4096 + made[4196:])
    said = python(home)
    assert said.startswith("PROBLEM")
    assert "is damaged" in said
    assert str(home) in said


def test_an_empty_file_becomes_a_database(tmp_path):
    (tmp_path / "broadsheet.sqlite3").touch()
    assert python(tmp_path) == "READY"


def test_a_home_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "home").write_text("x")
    said = python(tmp_path / "home")
    assert said.startswith(f"PROBLEM {tmp_path / 'home'}: is no folder")
    assert "BROADSHEET_HOME" in said
    assert "right to write" not in said


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_home_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    said = python(tmp_path / "home")
    tmp_path.chmod(0o700)
    assert said.startswith("PROBLEM")
    assert "right to write" in said


FAILING = """
    import sqlite3
    from broadsheet.site.papers import database
    try:
        with database.with_database():
            from django.db import connection
            with connection.cursor() as cursor:
                {how}
    except database.DatabaseProblem as problem:
        print("PROBLEM", problem)
"""


def test_a_full_disk_is_said_so(home):
    how = """cursor.execute("PRAGMA max_page_count = 1"); cursor.execute("CREATE TABLE big (x)"); cursor.execute(
                    "INSERT INTO big VALUES (zeroblob(10000000))")"""
    said = python(home, FAILING.format(how=how))
    assert said.startswith("PROBLEM")
    assert "no space left" in said
    assert "What was finished is safe" in said


@pytest.mark.parametrize(("free", "said"), [(0, "no space left"), (10**9, "the disk's own faults")])
def test_an_error_of_input_and_output_is_told_by_the_room_that_is_left(home, free, said):
    how = f"""
                import collections, shutil
                shutil.disk_usage = lambda path: collections.namedtuple("Usage", "free")({free})
                raise sqlite3.OperationalError("disk I/O error")
    """
    told = python(home, FAILING.format(how=how.strip()))
    assert said in told
    assert "copy" not in told


def test_tables_that_cannot_be_made_for_want_of_room_are_said_so(tmp_path):
    code = """
        from broadsheet.site.papers import database
        import sqlite3
        from django.db import OperationalError
        from django.db.migrations.exceptions import MigrationSchemaMissing

        def full(quiet):
            try:
                try:
                    raise sqlite3.OperationalError("database or disk is full")
                except sqlite3.Error as error:
                    raise OperationalError(str(error)) from error
            except OperationalError as error:
                raise MigrationSchemaMissing(f"Unable to create the django_migrations table ({error})")

        database._bring_up_to_date = full
    """
    said = python(tmp_path, textwrap.dedent(code) + textwrap.dedent(PREPARE))
    assert said.startswith("PROBLEM")
    assert "no space left" in said


def test_a_database_that_may_only_be_read_is_said_so(home):
    said = python(
        home,
        FAILING.format(how='cursor.execute("PRAGMA query_only = 1"); cursor.execute("CREATE TABLE x (y)")'),
    )
    assert said.startswith("PROBLEM")
    assert "cannot be written" in said


def test_a_locked_database_is_said_so(home):
    holder = sqlite3.connect(home / "broadsheet.sqlite3", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        how = 'cursor.execute("PRAGMA busy_timeout = 50"); cursor.execute("CREATE TABLE x (y)")'
        said = python(home, FAILING.format(how=how))
    finally:
        holder.close()
    assert said.startswith("PROBLEM")
    assert "another program has been writing" in said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"debug = maybe\n", "line 1: is not valid TOML"),
        (b"\nhosts = ['caf\xe9']\n", "line 2: is not UTF-8"),
        (b'debug = "false"\n', "line 1: debug must be true or false, without quotes, got 'false'"),
        (b"hosts = [5]\n", "line 1: hosts must be a list of texts, got [5]"),
        (b'hosts = "x"\n', "line 1: hosts must be a list of texts, got 'x'"),
        (b"hosts = []\n", "hosts must hold the names"),
        (b'secret_key = ""\n', "secret_key must have at least 20 characters"),
        (b"secret_key = 5\n", "secret_key must be a text in quotes"),
        (b"debugg = true\n", "debugg is not a known key: did you mean debug?"),
    ],
)
def test_broken_server_settings_are_named(tmp_path, written, said):
    settings = tmp_path / "server.toml"
    settings.write_bytes(written)
    told = python(tmp_path / "home", BROADSHEET_SETTINGS=str(settings))
    assert told.startswith(f"PROBLEM BROADSHEET_SETTINGS: {settings}")
    assert said in told


def test_server_settings_are_taken(tmp_path):
    settings = tmp_path / "server.toml"
    settings.write_text(
        'debug = true\nhosts = ["papers.example.org"]\nsecret_key = "not so secret as it reads"\n'
    )
    code = """
        from broadsheet.site import settings
        print(settings.DEBUG, settings.ALLOWED_HOSTS, settings.SECRET_KEY)
    """
    said = python(tmp_path / "home", code, BROADSHEET_SETTINGS=str(settings))
    assert said == "True ['papers.example.org'] not so secret as it reads"
    assert not (tmp_path / "home" / "secret-key").exists()


def test_missing_server_settings_are_named(tmp_path):
    said = python(tmp_path / "home", BROADSHEET_SETTINGS=str(tmp_path / "none.toml"))
    assert said.startswith("PROBLEM")
    assert str(tmp_path / "none.toml") in said


def test_two_programs_may_start_at_once(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PREPARE)],
            env={**os.environ, "BROADSHEET_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert [process.communicate(timeout=120)[0].strip() for process in processes] == ["READY"] * 3
    keys = {path.name for path in tmp_path.iterdir() if path.name.startswith("secret-key")}
    assert keys == {"secret-key"}
