"""The database, made ready before anything uses it: found, brought up to date, filled with the papers that run.

Whatever is wrong with it is one sentence: what, where, and the way out.
"""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broadsheet import places

__all__ = ["DatabaseProblem", "prepare", "with_database"]

_LOCK_SECONDS = 60.0
_HEADER = b"SQLite format 3\0"
_LEAST_ROOM = 1_000_000  # bytes: the files beside a database grow by hundreds of kilobytes
_FULL = (
    "there is no space left on its disk. What was finished is safe; free some space and do it again, or set "
    "BROADSHEET_HOME to another disk."
)


class DatabaseProblem(Exception):
    """The database cannot be used; the message says what is wrong, where, and the way out."""


def prepare(*, quiet: bool = True) -> None:
    """Make the database ready: its folder, its tables, the papers that run.

    Where all is as it should be this costs some milliseconds beyond Django's own start.

    Args:
        quiet: Say nothing while tables are made or changed.

    Raises:
        DatabaseProblem: if it was made by a newer version, is damaged or no database, or cannot be written.
    """
    with _problems():
        _configure()
        _check_file()
        if not _has_log():
            _open_alone()
        if _is_behind():
            _bring_up_to_date(quiet)
        from broadsheet.lab import catalogue as lab
        from broadsheet.site.papers import catalogue

        papers = lab.load().papers
        if not catalogue.is_current(papers):
            catalogue.sync(papers)


@contextmanager
def with_database() -> Iterator[None]:
    """Make the database ready and say in words what goes wrong with it meanwhile.

    Raises:
        DatabaseProblem: as :func:`prepare`, and for what happens within, such as a disk that runs full.
    """
    prepare()
    with _problems():
        yield


def _configure() -> None:
    places.home().mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broadsheet.site.settings")
    import django
    from django.apps import apps

    if not apps.ready:
        django.setup()


def _file() -> Path | None:
    """Return the database's file, or None where it has none of its own."""
    from django.db import connection

    name = str(connection.settings_dict["NAME"])
    return (
        None if connection.vendor != "sqlite" or ":memory:" in name or "mode=memory" in name else Path(name)
    )


def _check_file() -> None:
    path = _file()
    if path is None or not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        if file.read(len(_HEADER)) != _HEADER:
            raise DatabaseProblem(
                f"{path}: is no SQLite database. Move it away, or set BROADSHEET_HOME to another folder."
            )


def _known() -> dict[str, set[str]]:
    """Return the names of the migrations that this version has, by app."""
    from django.apps import apps

    known: dict[str, set[str]] = {}
    for config in apps.get_app_configs():
        try:
            package = importlib.import_module(f"{config.name}.migrations")
        except ModuleNotFoundError:
            continue
        known[config.label] = {
            m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] not in "_~"
        }
    return known


def _applied() -> set[tuple[str, str]]:
    from django.db import connection
    from django.db.migrations.recorder import MigrationRecorder

    return set(MigrationRecorder(connection).applied_migrations())


def _is_behind() -> bool:
    """Return whether the database lacks migrations; refuse one that has more than this version knows."""
    from django.db import connection

    known, applied = _known(), _applied()
    unknown = sorted(f"{app}.{name}" for app, name in applied if name not in known.get(app, ()))
    if unknown:
        raise DatabaseProblem(
            f"{_file() or connection.settings_dict['NAME']}: was made by a newer version of Broadsheet "
            f"(it has {unknown[-1]}, which this version does not know). Upgrade Broadsheet, or set BROADSHEET_HOME to "
            "another folder. Nothing was changed."
        )
    return any((app, name) not in applied for app, names in known.items() for name in names)


def _has_log() -> bool:
    """Return whether the file already keeps a write-ahead log (bytes 18 and 19 of its header), or has no file."""
    path = _file()
    if path is None:
        return True
    try:
        with path.open("rb") as file:
            return file.read(20)[18:] == b"\x02\x02"
    except FileNotFoundError:
        return False


def _open_alone() -> None:
    """Open a new file for the first time: taking up the log fails at once where another program does the same."""
    from django.db import connection

    with _alone():
        connection.ensure_connection()


def _bring_up_to_date(quiet: bool) -> None:
    from django.core.management import call_command

    with _alone():  # two programs that start at once must not both make the tables
        if _is_behind():
            call_command("migrate", interactive=False, verbosity=0 if quiet else 1)


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock of those who prepare the database."""
    import filelock

    lock = places.home() / "prepare.lock"
    try:
        with filelock.FileLock(lock, timeout=_LOCK_SECONDS):
            yield
    except filelock.Timeout as error:
        raise DatabaseProblem(
            f"{lock}: another program has been preparing the database for {_LOCK_SECONDS:.0f} s. "
            "Wait for it or stop it."
        ) from error


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except DatabaseProblem:
        raise
    except OSError as error:
        raise DatabaseProblem(_words_of_system(error)) from error
    except sqlite3.Error as error:
        raise DatabaseProblem(_words(error)) from error
    except Exception as error:
        from django.core.exceptions import ImproperlyConfigured

        if isinstance(error, ImproperlyConfigured):
            raise DatabaseProblem(str(error)) from error
        beneath = _beneath(error)
        if beneath is None:
            raise
        raise DatabaseProblem(_words(beneath)) from error


def _beneath(error: BaseException) -> sqlite3.Error | None:
    """Return what the database said, where that is why Django raised ``error``; else None."""
    from django.db import Error
    from django.db.migrations.exceptions import MigrationSchemaMissing

    if isinstance(error, MigrationSchemaMissing):  # raised while Django handled the database's error
        error = error.__context__ or error
    cause = error.__cause__
    return cause if isinstance(error, Error) and isinstance(cause, sqlite3.Error) else None


def _words_of_system(error: OSError) -> str:
    where = error.filename or places.home()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}: {_FULL}"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"{where}: is no folder. Move it away, or set BROADSHEET_HOME to a folder."
    return (
        f"{where}: {_lower(error.strerror or str(error))}. Give this user the right to write there, or set "
        "BROADSHEET_HOME to a folder that can be written."
    )


def _words(error: sqlite3.Error) -> str:
    where = _file() or places.database_file()
    said = str(error)
    if "not a database" in said or "malformed" in said:
        return f"{where}: is damaged or no database ({said}). Put a copy back, or move the file away and import again."
    if "readonly" in said or "unable to open" in said:
        return (
            f"{where}: cannot be written ({said}). Give this user the right to write there, or set BROADSHEET_HOME to "
            "a folder that can be written."
        )
    # Where the file beside the database finds no room, SQLite calls that an error of input and output.
    if "full" in said or ("disk I/O error" in said and _is_full(Path(where).parent)):
        return f"{where}: {_FULL}"
    if "disk I/O error" in said:
        return (
            f"{where}: its disk does not read or write as it should ({said}). Look for the disk's own faults, or set "
            "BROADSHEET_HOME to another disk."
        )
    if "locked" in said or "busy" in said:
        return (
            f"{where}: another program has been writing to it for more than 20 s. Wait until it is done, or stop it, "
            "and try again."
        )
    return f"{where}: the database says {said!r}. Try again; if it stays, put a copy back."


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _LEAST_ROOM
    except OSError:
        return False


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
