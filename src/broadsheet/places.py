"""Where things live: one setting for each of three places.

``BROADSHEET_HOME`` holds the database, the results measured on this machine and the caches.
``BROADSHEET_DATA`` lists folders that are searched for data before anything is downloaded.
``BROADSHEET_SETTINGS`` names a TOML file for a server.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["cache_folder", "data_folders", "database_file", "home", "results_folder", "settings_file"]


def home() -> Path:
    """Return the folder that holds everything of this installation.

    Returns:
        The folder named by ``BROADSHEET_HOME``, or the platform's data folder. It need not exist yet.

    Example:
        >>> import os; os.environ["BROADSHEET_HOME"] = "/srv/papers"
        >>> home().as_posix()
        '/srv/papers'
    """
    given = os.environ.get("BROADSHEET_HOME")
    return (
        Path(given).expanduser() if given else Path(platformdirs.user_data_dir("broadsheet", appauthor=False))
    )


def database_file() -> Path:
    """Return the SQLite file of this installation."""
    return home() / "broadsheet.sqlite3"


def results_folder() -> Path:
    """Return the folder of the results measured on this machine."""
    return home() / "results"


def cache_folder() -> Path:
    """Return the folder of everything that can be made or fetched again."""
    return home() / "cache"


def data_folders() -> list[Path]:
    """Return the folders of ``BROADSHEET_DATA``, in the order in which they are searched."""
    given = os.environ.get("BROADSHEET_DATA", "")
    return [Path(part).expanduser() for part in given.split(os.pathsep) if part.strip()]


def settings_file() -> Path | None:
    """Return the server's settings file named by ``BROADSHEET_SETTINGS``, or None."""
    given = os.environ.get("BROADSHEET_SETTINGS")
    return Path(given).expanduser() if given else None
