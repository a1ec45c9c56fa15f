"""The results store: one folder a measurement, written beside and renamed in one step, never changed.

Layout under :func:`broadsheet.places.results_folder`::

    FAMILY/SLUG/CLAIM/SCALE/20251208T093000123456Z-a1b2c3/result.json    and figures, tables
    FAMILY/SLUG/CLAIM/.partial-…                                         a measurement under way

``result.json`` holds the fields of :class:`Result`, with ``"schema": 1``. Missing is ``null``, and so is
what is not a number; times are ISO 8601 in UTC; numbers stand in full precision.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import errno
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broadsheet import places
from broadsheet.claims import Scale, Verdict
from broadsheet.lab import markup, numbers

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from broadsheet.lab.catalogue import Paper

__all__ = [
    "SCHEMA",
    "DiskFull",
    "Picture",
    "Result",
    "Store",
    "StoreError",
    "TableFile",
    "clean",
    "read_results",
    "reference",
    "utc_now",
    "write_atomically",
]

SCHEMA = 1
_PARTIAL = ".partial-"


class StoreError(Exception):
    """Results cannot be written or read; the message names the folder and the way out."""


class DiskFull(StoreError):
    """The disk ran full while a claim was measured: that says nothing of the claim, so there is no verdict."""


@dataclass(frozen=True)
class Picture:
    """A figure of a result.

    Args:
        name: Its name.
        caption: One sentence.
        files: File names by ``light.svg``, ``dark.svg``, ``light.png`` and ``dark.png``.
        table: File name of the same data as CSV, or None.
    """

    name: str
    caption: str
    files: Mapping[str, str]
    table: str | None = None


@dataclass(frozen=True)
class TableFile:
    """A table of a result: its name, its caption, and its CSV file's name."""

    name: str
    caption: str
    file: str


@dataclass(frozen=True)
class Result:
    """What one measurement of one claim gave, with everything that is needed to judge it later.

    Args:
        paper: The paper's key, ``family/slug``.
        claim: The claim's id.
        scale: ``smoke``, ``laptop`` or ``paper``.
        seeds: The seeds.
        verdict: The verdict.
        reason: Why, in one sentence; for a failure, what went wrong.
        value: The measured value, or None where there is none.
        low: Lower end of its 95 % interval, or None.
        high: Upper end, or None.
        unit: Unit of published and measured value.
        note: One sentence of the measurement.
        parts: Named numbers behind the value.
        title: The claim as it read when it was measured.
        published: The published value, or None.
        kind: ``exact``, ``scaled`` or ``trend``.
        where: Table, figure or section of the paper.
        error: The end of the claim's output where it failed.
        figures: Its figures.
        tables: Its tables.
        versions: Versions of Python, Broadsheet and the libraries that were imported.
        machine: System, processor, cores, memory.
        code: ``version`` of Broadsheet, ``fingerprint`` of the paper's code, ``commit``, and whether it was
            ``changed`` since.
        started: When, ISO 8601 in UTC.
        seconds: Wall time.
        cpu_seconds: Processor time, of child processes too; None where it is not known.
        memory_gb: Peak resident memory, GB (1e9 bytes), or None.
        folder: Where it is stored; None while it is not.
    """

    paper: str
    claim: str
    scale: Scale
    seeds: tuple[int, ...]
    verdict: Verdict
    reason: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    note: str = ""
    parts: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    published: float | None = None
    kind: str = ""
    where: str = ""
    error: str = ""
    figures: tuple[Picture, ...] = ()
    tables: tuple[TableFile, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    code: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0
    cpu_seconds: float | None = None
    memory_gb: float | None = None
    folder: Path | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        """``family/slug:claim``, as the command line takes it."""
        return f"{self.paper}:{self.claim}"

    @property
    def is_measurement(self) -> bool:
        """Whether a value was measured, rather than an attempt made."""
        return self.verdict not in (Verdict.FAILED, Verdict.NEEDS_DATA, Verdict.NEEDS_HARDWARE)

    def in_words(self) -> str:
        """Return the measured value as a person reads it, with unit and interval, "" where there is none.

        Example:
            >>> Result("a/b", "c", Scale.SMOKE, (0,), Verdict.HOLDS, "", 0.5, 0.4, 0.6, "%").in_words()
            '0.50 % (0.40 to 0.60)'
        """
        if self.value is None:
            return ""
        unit = numbers.pad_unit(self.unit)
        ends = numbers.interval(self.value, self.low, self.high)
        return f"{numbers.number(self.value, self.low, self.high)}{unit}" + (f" ({ends})" if ends else "")

    def path(self, file: str) -> Path:
        """Return the path of one of its files.

        Raises:
            StoreError: if the result is not stored.
        """
        if self.folder is None:
            raise StoreError(f"{self.key} is not stored, so it has no file {file!r}")
        return self.folder / file

    def as_dict(self) -> dict[str, Any]:
        """Return its fields as JSON types, with the schema version first."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "folder"}
        fields["figures"] = [dataclasses.asdict(p) for p in self.figures]
        fields["tables"] = [dataclasses.asdict(t) for t in self.tables]
        return {"schema": SCHEMA, **{name: clean(value) for name, value in fields.items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], folder: Path | None = None) -> Result:
        """Make a result from what :meth:`as_dict` gave.

        Raises:
            StoreError: if the schema is newer than this version knows, or fields are missing or wrong.
        """
        schema = values.get("schema") if isinstance(values, Mapping) else None
        if schema != SCHEMA:
            raise StoreError(
                f"{folder}: a result of schema {schema!r}, this version knows {SCHEMA}; update Broadsheet"
            )
        known = {f.name for f in dataclasses.fields(cls)} - {"folder"}
        given = {name: value for name, value in values.items() if name in known}
        try:
            given["scale"] = Scale(given["scale"])
            given["verdict"] = Verdict(given["verdict"])
            given["seeds"] = tuple(int(seed) for seed in given["seeds"])
            given["figures"] = tuple(Picture(**p) for p in given.get("figures", ()))
            given["tables"] = tuple(TableFile(**t) for t in given.get("tables", ()))
            given |= {name: markup.printable(given[name]) for name in ("reason", "error") if name in given}
            return cls(**given, folder=folder)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{folder}: not a result: {type(error).__name__}: {error}") from error


def clean(value: Any) -> Any:
    """Turn numbers of NumPy, mappings and sequences into JSON types; what is not finite becomes None.

    Example:
        >>> clean({"a": (1, float("nan")), 2: float("inf")})
        {'a': [1, None], '2': None}
    """
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): clean(part) for key, part in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [clean(part) for part in value]
    if hasattr(value, "tolist"):  # NumPy scalars and arrays, pandas series, tensors
        return clean(value.tolist())
    return str(value)


def utc_now() -> str:
    """Return the time, ISO 8601 in UTC with microseconds."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new one, also after a power cut.

    Raises:
        OSError: if it cannot be written; the old file then stands as it was.
    """
    half = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(3)}.half")
    try:
        with half.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


class Store:
    """The results measured on this machine.

    Args:
        folder: Its folder; default :func:`broadsheet.places.results_folder`. It need not exist.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else places.results_folder()
        self.damaged: dict[Path, str] = {}
        """What was passed over while reading, and why, in one line that names the file."""

    # --- reading

    def history(self, paper: str, claim: str, scale: Scale | str | None = None) -> list[Result]:
        """Return what was measured, newest first.

        Args:
            paper: The paper's key.
            claim: The claim's id.
            scale: Only this scale; None for all.
        """
        return list(self._newest_first(paper, claim, scale))

    def latest(self, paper: str, claim: str, scale: Scale | str | None = None) -> Result | None:
        """Return what was measured last, or None."""
        return next(self._newest_first(paper, claim, scale), None)

    def find_same(
        self, paper: str, claim: str, scale: Scale | str, seeds: Sequence[int], fingerprint: str
    ) -> Result | None:
        """Return the newest measurement of the same claim, scale, seeds and code, or None.

        Failed attempts are not measurements.
        """
        for result in self._newest_first(paper, claim, scale):
            same = result.seeds == tuple(seeds) and result.code.get("fingerprint") == fingerprint
            if same and result.is_measurement:
                return result
        return None

    def latest_of(self, paper: str) -> dict[str, Result]:
        """Return what was measured last of each of a paper's claims, by claim id."""
        found = {}
        for claim in _folders(self.folder / paper):
            result = self.latest(paper, claim.name)
            if result:
                found[claim.name] = result
        return found

    def everything(self) -> Iterator[Result]:
        """Yield all results, newest first within a claim."""
        for family in _folders(self.folder):
            for slug in _folders(family):
                for claim in _folders(slug):
                    yield from self._newest_first(f"{family.name}/{slug.name}", claim.name, None)

    def _newest_first(self, paper: str, claim: str, scale: Scale | str | None) -> Iterator[Result]:
        base = self.folder / paper / claim
        scales = list(Scale) if scale is None else [Scale(scale)]
        found = [folder for s in scales for folder in _folders(base / s)]
        for folder in sorted(found, key=lambda f: f.name, reverse=True):
            file = folder / "result.json"
            try:
                yield Result.from_dict(json.loads(file.read_bytes()), folder)
            except FileNotFoundError:
                continue  # a foreign folder, or one that is being taken away
            except (OSError, ValueError, StoreError) as error:
                self.damaged[folder] = f"{file}: was passed over ({error}); restore it, or remove its folder"

    # --- writing

    def check(self) -> None:
        """Make sure that results can be written, before anything is measured.

        Raises:
            StoreError: naming the folder and the way out.
        """
        with self._told("cannot be written"):
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".probe-{secrets.token_hex(4)}"
            try:
                probe.write_bytes(b"x")
            finally:  # on a full disk the file is made, and stays empty
                probe.unlink(missing_ok=True)

    def begin(self, paper: str, claim: str) -> Path:
        """Return a new folder for the files of a measurement under way; readers do not see it.

        Raises:
            StoreError: if it cannot be made.
        """
        folder = self.folder / paper / claim / f"{_PARTIAL}{os.getpid()}-{secrets.token_hex(4)}"
        with self._told("cannot be written"):
            folder.mkdir(parents=True)
        return folder

    def add(self, result: Result, partial: Path | None = None) -> Result:
        """Store a result in one step: it is there whole, or not at all.

        Args:
            result: The result.
            partial: The folder of its files, from :meth:`begin`; it becomes the result's folder.

        Returns:
            The same result, which knows its folder.

        Raises:
            StoreError: if it cannot be written; what was stored before stands as it was.
        """
        partial = partial or self.begin(result.paper, result.claim)
        moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S%fZ")
        target = self.folder / result.paper / result.claim / result.scale / f"{moment}-{secrets.token_hex(3)}"
        try:
            with self._told(f"cannot take the result of {result.key}"):
                text = json.dumps(result.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
                (partial / "result.json").write_text(text + "\n", encoding="utf-8")
                for file in partial.iterdir():
                    _sync(file)
                target.parent.mkdir(parents=True, exist_ok=True)
                _sync(partial)
                partial.rename(target)
                _sync(target.parent)
        except StoreError:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return dataclasses.replace(result, folder=target)

    def lock(self, paper: str, claim: str) -> BaseFileLock:
        """Return the lock that whoever measures a claim holds.

        Raises:
            StoreError: if its folder cannot be made.
        """
        from filelock import FileLock

        folder = self.folder / paper / claim
        with self._told("cannot be written"):
            folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / ".lock", thread_local=False)

    def sweep(self, paper: str | None = None, claim: str | None = None) -> int:
        """Remove what killed measurements left.

        Args:
            paper: With ``claim``: only there; the caller holds its lock. Without: everywhere nobody measures.
            claim: The claim's id.

        Returns:
            The number of folders removed.
        """
        if paper is not None and claim is not None:
            return _remove(_leftovers(self.folder / paper / claim))
        from filelock import Timeout

        count = 0
        for folder in {left.parent for left in self.folder.glob(f"*/*/*/{_PARTIAL}*")}:
            lock = self.lock(f"{folder.parent.parent.name}/{folder.parent.name}", folder.name)
            with contextlib.suppress(Timeout), lock.acquire(timeout=0):
                count += _remove(_leftovers(folder))
        return count

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"the results folder {self.folder} {what}: {_cause(error)}") from error


def _cause(error: OSError) -> str:
    move = "or set BROADSHEET_HOME to another folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full; free some space, {move}"
    if error.errno == errno.EFBIG:
        return f"a file would exceed the allowed size (ulimit -f); raise it, {move}"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"{error.filename or 'a part of its path'} is no folder; move that away, {move}"
    if error.errno == errno.EROFS:
        return f"it lies on a read-only file system; make that writable, {move}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"permission denied; give yourself the right to write there, {move}"
    return f"{error.strerror or error}; repair that, {move}"


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _leftovers(folder: Path) -> list[Path]:
    return list(folder.glob(f"{_PARTIAL}*"))


def _remove(folders: list[Path]) -> int:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return len(folders)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def read_results(path: Path) -> dict[str, Result]:
    """Read a file of results by claim id, such as a paper's ``results/laptop.json``.

    Raises:
        StoreError: if it is damaged or of a newer schema.
    """
    try:
        values = json.loads(path.read_bytes())
        listed = dict(values["claims"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: is damaged: {error}; restore it or run with --reference again") from error
    return {name: Result.from_dict(value, path.parent / "figures") for name, value in listed.items()}


def reference(paper: Paper) -> dict[str, Result]:
    """Return what we measured ourselves, from the paper's own ``results/laptop.json``, by claim id.

    Raises:
        StoreError: if that file is damaged.
    """
    path = paper.folder / "results" / "laptop.json"
    return read_results(path) if path.is_file() else {}
