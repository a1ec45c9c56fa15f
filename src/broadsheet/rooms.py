"""The rooms of a paper: where papers stand, and what their TOML files say, checked as they are read.

A paper is a package whose folder holds a ``paper.toml``. The built-in ones stand in
``broadsheet/methods/FAMILY/SLUG``; others join by the entry-point group ``broadsheet.papers``.
"""

from __future__ import annotations

import datetime as dt
import difflib
import functools
import importlib.metadata
import importlib.util
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

__all__ = [
    "ARXIV_ID",
    "ENTRY_POINTS",
    "BrokenFile",
    "Problem",
    "Room",
    "Table",
    "built_in",
    "find_rooms",
    "public_names",
]

T = TypeVar("T")
ENTRY_POINTS = "broadsheet.papers"
ARXIV_ID = re.compile(r"\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7}")
_METHODS = ("broadsheet.methods", Path(__file__).parent / "methods")


@dataclass(frozen=True)
class Problem:
    """Something wrong with one paper or one file that does not concern the others.

    Args:
        where: The file, folder or entry point.
        message: What is wrong with it and the way out, in one line that names ``where``.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return self.message


class BrokenFile(ValueError):
    """A file that a paper's author wrote cannot be used; the message names file, line and way out."""

    def __init__(self, path: Path, message: str, line: int | None = None) -> None:
        self.path, self.line = path, line
        at = f"{path}, line {line}" if line else f"{path}"
        super().__init__(f"{at}: {message}")


@dataclass(frozen=True)
class Room:
    """A folder that holds a paper, and the package it is imported as.

    Args:
        package: Dotted name, e.g. ``broadsheet.methods.statistics.flexible_survival``.
        folder: The package's folder.
        family: The family it belongs to unless its ``paper.toml`` says otherwise.
        built_in: Whether it stands in Broadsheet itself.
    """

    package: str
    folder: Path
    family: str
    built_in: bool = True

    @property
    def slug(self) -> str:
        """The folder's name with hyphens: the paper's name in addresses and on the command line."""
        return self.folder.name.replace("_", "-")


def built_in() -> tuple[str, Path]:
    """Return package and folder of the built-in methods."""
    return _METHODS


def find_rooms(roots: Iterable[tuple[str, Path]] | None = None) -> tuple[list[Room], list[Problem]]:
    """Find every folder that holds a paper.

    Args:
        roots: Pairs of a package and its folder, each laid out as ``FAMILY/SLUG``. By default the built-in
            methods and, beyond them, every entry point of the group ``broadsheet.papers``.

    Returns:
        The rooms, built-in ones first and by family and slug, and what could not be looked at.

    Example:
        >>> rooms, problems = find_rooms([built_in()])
        >>> problems
        []
    """
    rooms: list[Room] = []
    problems: list[Problem] = []
    for package, root in [built_in()] if roots is None else roots:
        rooms.extend(
            Room(
                f"{package}.{file.parent.parent.name}.{file.parent.name}",
                file.parent,
                file.parent.parent.name,
            )
            for file in sorted(root.glob("*/*/paper.toml"))
        )
    if roots is None:
        found, problems = _entry_point_rooms(tuple(sys.path))
        rooms.extend(found)
    return rooms, list(problems)


@functools.lru_cache(maxsize=4)
def _entry_point_rooms(path: tuple[str, ...]) -> tuple[list[Room], list[Problem]]:
    """Look up the entry points once for a search path: it reads the metadata of every distribution."""
    rooms: list[Room] = []
    problems: list[Problem] = []
    for point in sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda p: (p.name, p.value)):
        name = f"entry point {point.name!r} = {point.value!r} of {point.dist.name if point.dist else '?'}"
        try:
            spec = importlib.util.find_spec(point.value)
        except (Exception, SystemExit) as error:  # the parent package is foreign: anything can come out of it
            problems.append(Problem(name, f"{name}: cannot be imported: {type(error).__name__}: {error}"))
            continue
        if spec is None or not spec.submodule_search_locations:
            way_out = "its value must name a package that is a paper's folder"
            problems.append(Problem(name, f"{name}: there is no such package; {way_out}"))
            continue
        folder = Path(next(iter(spec.submodule_search_locations)))
        if not (folder / "paper.toml").is_file():
            problems.append(Problem(name, f"{name}: {folder} holds no paper.toml; every paper's folder does"))
            continue
        parts = point.value.split(".")
        family = parts[-2] if len(parts) > 1 else "other"
        rooms.append(Room(point.value, folder, family, built_in=False))
    return rooms, problems


def public_names(folder: Path | str) -> dict[str, list[str]]:
    """Return what a family exports: the ``names`` of each paper's ``paper.toml``, by its subpackage.

    A family's ``__init__`` hands it to ``lazy_loader``, so that a new paper touches no file but its own.

    Args:
        folder: The family's folder.

    Returns:
        Names by subpackage, in the order of subpackages. A paper whose file is broken exports nothing.
    """
    found: dict[str, list[str]] = {}
    for file in sorted(Path(folder).glob("*/paper.toml")):
        try:
            found[file.parent.name] = Table.read(file).take("names", list, [], required=False)
        except BrokenFile:
            found[file.parent.name] = []
    return found


class Table:
    """One table of a TOML file, whose keys are checked as they are taken.

    Args:
        path: The file, for messages.
        values: The table.
        text: The file's text, to tell the line of a key.
        name: The table's name as it stands in the file, "" for the top level.

    Example:
        >>> table = Table(Path("paper.toml"), {"year": "2019"}, 'year = "2019"')
        >>> table.take("year", int)
        Traceback (most recent call last):
        broadsheet.rooms.BrokenFile: paper.toml, line 1: year must be a whole number, got '2019'
    """

    _WORDS: Mapping[type, str] = {
        str: "a text in quotes",
        int: "a whole number",
        bool: "true or false, without quotes",
        dt.date: "a date such as 2025-12-08, without quotes",
        list: "a list",
    }

    def __init__(self, path: Path, values: Mapping[str, Any], text: str = "", name: str = "") -> None:
        self.path, self.values, self._text, self._name = path, values, text, name
        self._taken: set[str] = set()

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read a TOML file.

        Raises:
            BrokenFile: if it cannot be read, is not UTF-8 or is no TOML.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            line = path.read_bytes()[: error.start].count(b"\n") + 1
            raise BrokenFile(path, "is not UTF-8: save it in that encoding", line) from error
        except OSError as error:
            raise BrokenFile(path, f"cannot be read: {error.strerror or error}") from error
        try:
            return cls(path, tomllib.loads(text), text)
        except tomllib.TOMLDecodeError as error:
            at = re.search(r"\(at line (\d+), column \d+\)$", str(error))
            line = int(at[1]) if at else text.count("\n") + 1
            what = re.sub(r"\s*\(at .*\)$", "", str(error))
            message = f"is not valid TOML: {what}; correct this line"
            raise BrokenFile(path, message, line) from error

    def wrong(self, key: str, message: str) -> BrokenFile:
        """Return the error that says what is wrong with ``key``, with its line."""
        found = re.search(rf"^[ \t]*{re.escape(key)}[ \t]*=", self._text, re.MULTILINE)
        line = self._text[: found.start()].count("\n") + 1 if found and not self._name else None
        full = f"{self._name}.{key}" if self._name else key
        return BrokenFile(self.path, f"{full} {message}", line)

    def take(
        self,
        key: str,
        kind: type[T],
        default: T | None = None,
        *,
        required: bool = True,
        check: Callable[[Any], str | None] | None = None,
    ) -> T:
        """Return the value of ``key``.

        Args:
            key: The key.
            kind: The type it must have: ``str``, ``int``, ``bool``, ``list`` (of texts) or ``datetime.date``.
            default: What stands in where the key is absent and not required.
            required: Whether its absence is an error.
            check: Returns what is wrong with the value, or None.

        Raises:
            BrokenFile: if the key is absent, of another type or does not pass ``check``.
        """
        self._taken.add(key)
        if key not in self.values:
            if required:
                raise self.wrong(key, f"is missing: add the line {key} = …")
            return default  # type: ignore[return-value]
        value = self.values[key]
        # To Python a truth is a number and a time is a date.
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool | dt.datetime))
        if kind is str and isinstance(value, int | float):
            raise self.wrong(key, f'must be a text in quotes, got the number {value}: write {key} = "…"')
        if not fits or (kind is list and not all(isinstance(v, str) for v in value)):
            words = "a list of texts" if kind is list else self._WORDS.get(kind, kind.__name__)
            raise self.wrong(key, f"must be {words}, got {value!r}")
        if kind is str and required and not value.strip():
            raise self.wrong(key, "is empty")
        fault = check(value) if check else None
        if fault:
            raise self.wrong(key, fault)
        return value  # type: ignore[no-any-return]

    def tables(self, key: str) -> list[Table]:
        """Return the tables written as ``[[key]]``.

        Raises:
            BrokenFile: if ``key`` is something else.
        """
        self._taken.add(key)
        values = self.values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
            raise self.wrong(key, f"must be written as tables headed [[{key}]]")
        return [Table(self.path, v, self._text, f"{key}[{n}]") for n, v in enumerate(values)]

    def finish(self) -> None:
        """Refuse keys that nobody took.

        Raises:
            BrokenFile: naming the first unknown key and the known one it resembles.
        """
        for key in self.values:
            if key not in self._taken:
                near = difflib.get_close_matches(key, self._taken, n=1)
                known = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(self._taken))}"
                raise self.wrong(key, f"is not a known key: {known}")
