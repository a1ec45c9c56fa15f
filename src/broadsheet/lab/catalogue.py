"""The catalogue: every paper that runs, built in or joined by an entry point, and what its rooms say."""

from __future__ import annotations

import datetime as dt
import difflib
import functools
import hashlib
import importlib
import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from broadsheet import rooms
from broadsheet.claims import Claim
from broadsheet.rooms import BrokenFile, Problem, Room, Table

if TYPE_CHECKING:
    from broadsheet.data import Dataset

__all__ = [
    "BrokenPaper",
    "Catalogue",
    "Facts",
    "Paper",
    "Unknown",
    "find",
    "fingerprint",
    "load",
    "papers",
    "select",
]

Roots = Iterable[tuple[str, Path]]


class Unknown(LookupError):
    """No paper or claim goes by that name; the message names the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0])


class BrokenPaper(Exception):
    """A paper's claims cannot be read; the message names the file, the line and the way out."""


@dataclass(frozen=True)
class Facts:
    """What a paper's ``paper.toml`` says; the keys there bear the same names.

    Args:
        arxiv_id: arXiv id without version.
        title: The paper's title.
        year: Year of its first version.
        authors: Their names in short form, e.g. ``Burke, Jones, Noufaily``.
        summary: Our own summary, two sentences.
        published_on: Day of its first version, or None.
        code_url: The authors' code, or "".
        licence: Licence of the authors' code, or "".
        tags: What it is about, for filters.
        names: The public names to import.
        family: The family it belongs to.
    """

    arxiv_id: str
    title: str
    year: int
    authors: str
    summary: str
    published_on: dt.date | None = None
    code_url: str = ""
    licence: str = ""
    tags: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    family: str = ""

    @classmethod
    def read(cls, path: Path) -> Facts:
        """Read and check a ``paper.toml``.

        Raises:
            BrokenFile: if it is broken, with file, line and way out.
        """
        table = Table.read(path)
        facts = cls(
            arxiv_id=table.take("arxiv_id", str, check=_arxiv_fault),
            title=table.take("title", str),
            year=table.take("year", int, check=_year_fault),
            authors=table.take("authors", str),
            summary=table.take("summary", str),
            published_on=table.take("published_on", dt.date, required=False),
            code_url=table.take("code_url", str, "", required=False, check=_url_fault),
            licence=table.take("licence", str, "", required=False),
            tags=tuple(table.take("tags", list, [], required=False)),
            names=tuple(table.take("names", list, [], required=False, check=_names_fault)),
            family=table.take("family", str, "", required=False, check=_family_fault),
        )
        table.tables("data")
        table.finish()
        return facts


def _arxiv_fault(value: str) -> str | None:
    if rooms.ARXIV_ID.fullmatch(value):
        return None
    return f"must be an arXiv id without version, such as 1901.03212 or math/0309136, got {value!r}"


def _year_fault(value: int) -> str | None:
    return None if 1900 <= value <= 2100 else f"must be a year, got {value}"


def _url_fault(value: str) -> str | None:
    if not value or value.startswith(("https://", "http://")):
        return None
    return f"must be an address that begins with https://, got {value!r}"


def _names_fault(value: list[str]) -> str | None:
    wrong = [name for name in value if not name.isidentifier()]
    return f"must hold names that can be imported, got {wrong[0]!r}" if wrong else None


def _family_fault(value: str) -> str | None:
    return None if not value or value.isidentifier() else f"must be a package's name, got {value!r}"


@dataclass(frozen=True, eq=False)
class Paper:
    """A paper that runs: its facts, its claims and its folder.

    Args:
        room: Where it stands.
        facts: What its ``paper.toml`` says.
    """

    room: Room
    facts: Facts = field(repr=False)

    @property
    def slug(self) -> str:
        """Its name in addresses and on the command line, e.g. ``flexible-survival``."""
        return self.room.slug

    @property
    def family(self) -> str:
        """Its family, e.g. ``statistics``."""
        return self.facts.family or self.room.family

    @property
    def key(self) -> str:
        """Family and slug: what results are stored under."""
        return f"{self.family}/{self.slug}"

    @property
    def package(self) -> str:
        """Dotted name of its package."""
        return self.room.package

    @property
    def folder(self) -> Path:
        """The package's folder."""
        return self.room.folder

    @functools.cached_property
    def claims(self) -> tuple[Claim, ...]:
        """Its claims in the order in which ``claims.py`` declares them; imported at first use.

        Raises:
            BrokenPaper: if ``claims.py`` is absent, cannot be imported or declares nothing.
        """
        file = self.folder / "claims.py"
        if not file.is_file():
            raise BrokenPaper(
                f"{file}: is missing; it declares what {self.slug} claims and how it is measured"
            )
        name = f"{self.package}.claims"
        try:
            module = importlib.import_module(name)
        except (Exception, SystemExit) as error:  # a script at heart may leave when it is imported
            line = next(
                (
                    f.lineno
                    for f in reversed(traceback.extract_tb(error.__traceback__))
                    if f.filename == str(file)
                ),
                getattr(error, "lineno", None),
            )
            at = f"{file}, line {line}" if line else f"{file}"
            said = "calls sys.exit when it is imported" if isinstance(error, SystemExit) else str(error)
            raise BrokenPaper(f"{at}: {type(error).__name__}: {said}; correct it") from error
        found: dict[str, Claim] = {}
        for value in vars(module).values():
            if isinstance(value, Claim) and value.function.__module__.startswith(self.package):
                found.setdefault(value.id, value)
        if not found:
            raise BrokenPaper(f"{file}: declares no claim; decorate a function with broadsheet.claims.claim")
        return tuple(found.values())

    def claim(self, claim_id: str) -> Claim:
        """Return the claim of that id.

        Raises:
            Unknown: if the paper makes no such claim.
            BrokenPaper: if its claims cannot be read.
        """
        wanted = claim_id.replace("_", "-")
        for claim in self.claims:
            if claim.id == wanted:
                return claim
        ids = [claim.id for claim in self.claims]
        near = difflib.get_close_matches(wanted, ids, n=3, cutoff=0.5) or ids
        raise Unknown(f"{self.slug} makes no claim {claim_id!r}; it makes {', '.join(near)}")

    @property
    def readme(self) -> str:
        """The text of its ``README.md``, "" where there is none."""
        file = self.folder / "README.md"
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    @property
    def datasets(self) -> list[Dataset]:
        """The data that it and its family declare.

        Raises:
            BrokenFile: if a declaration is broken.
        """
        from broadsheet.data import declared_in

        family = self.folder.parent / "data.toml"
        return declared_in(self.folder / "paper.toml") + (declared_in(family) if family.is_file() else [])

    @property
    def fingerprint(self) -> str:
        """A hash of all code that its measurements rest on, as it stands now: see :func:`fingerprint`."""
        return fingerprint(self)


@dataclass(frozen=True)
class Catalogue:
    """Every usable paper, and what is wrong with the others."""

    papers: tuple[Paper, ...]
    problems: tuple[Problem, ...] = ()

    def find(self, text: str) -> Paper:
        """Return the paper that ``text`` names: a slug, ``family/slug`` or an arXiv id.

        Args:
            text: Underscores count as hyphens; an arXiv id may carry a version or ``arXiv:``.

        Raises:
            Unknown: with the nearest names, or with the problem that hides the paper.
        """
        wanted = text.strip().replace("_", "-")
        bare = wanted.lower().removeprefix("arxiv:").rsplit("v", 1)[0] if "." in wanted else wanted
        hits = [
            p for p in self.papers if wanted in (p.slug, p.key.replace("_", "-")) or p.facts.arxiv_id == bare
        ]
        if len(hits) == 1:
            return hits[0]
        if hits:
            raise Unknown(f"{text!r} is more than one paper: write one of {', '.join(p.key for p in hits)}")
        for problem in self.problems:
            if wanted and wanted.rsplit("/", 1)[-1] in problem.message.replace("_", "-"):
                raise Unknown(f"{text!r} cannot be used: {problem.message}")
        names = [p.slug for p in self.papers] + [p.key for p in self.papers]
        near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else "`broadsheet papers` lists all"
        raise Unknown(f"there is no paper {text!r} here: {hint}")

    def select(self, *texts: str) -> list[tuple[Paper, Claim]]:
        """Return the claims that the texts name: ``PAPER`` for all of a paper's, or ``PAPER:CLAIM``.

        Without a text, all claims of all papers whose claims can be read.

        Raises:
            Unknown: if a paper or claim is not known.
            BrokenPaper: if the claims of a paper that was asked for cannot be read.
        """
        if not texts:
            chosen = []
            for paper in self.papers:
                try:
                    chosen += [(paper, claim) for claim in paper.claims]
                except BrokenPaper:
                    continue  # one broken paper does not stop the others; problems() of the catalogue names it
            return chosen
        chosen = []
        for text in texts:
            name, colon, claim_id = text.partition(":")
            if name.lower() == "arxiv" and colon:
                name, colon, claim_id = claim_id.partition(":")
            paper = self.find(name)
            chosen += [(paper, claim) for claim in ([paper.claim(claim_id)] if colon else paper.claims)]
        return list(dict.fromkeys(chosen))

    def all_problems(self) -> list[Problem]:
        """Return all problems, those of the papers' ``claims.py`` included: imports them all."""
        found = list(self.problems)
        for paper in self.papers:
            try:
                _ = paper.claims
            except BrokenPaper as error:
                found.append(Problem(str(paper.folder / "claims.py"), str(error)))
        return found


_cache: dict[tuple[object, ...], Catalogue] = {}


def load(roots: Roots | None = None) -> Catalogue:
    """Read the catalogue. Cheap to call again: only files that changed are read again.

    Args:
        roots: Pairs of a package and its folder laid out as ``FAMILY/SLUG``; by default the built-in papers
            and the entry points of the group ``broadsheet.papers``.

    Returns:
        The papers by family and slug, and the problems of those that cannot be used.

    Example:
        >>> load().problems
        ()
    """
    found, problems = rooms.find_rooms(roots)
    state: tuple[object, ...] = tuple(
        (room, (room.folder / "paper.toml").stat().st_mtime_ns) for room in found
    )
    state += tuple(problems)
    if state not in _cache:
        _cache.clear()
        _cache[state] = _read(found, problems)
    return _cache[state]


def _read(found: list[Room], problems: list[Problem]) -> Catalogue:
    usable: dict[str, Paper] = {}
    for room in found:
        file = room.folder / "paper.toml"
        try:
            paper = Paper(room, Facts.read(file))
        except BrokenFile as error:
            problems.append(Problem(str(file), str(error)))
            continue
        other = usable.setdefault(paper.key, paper)
        if other is not paper:
            problems.append(
                Problem(
                    str(file), f"{file}: {paper.key} is already the key of {other.folder}; rename one of them"
                )
            )
    return Catalogue(tuple(sorted(usable.values(), key=lambda p: p.key)), tuple(problems))


def papers(roots: Roots | None = None) -> list[Paper]:
    """Return every usable paper, by family and slug."""
    return list(load(roots).papers)


def find(text: str, roots: Roots | None = None) -> Paper:
    """Return the paper that ``text`` names: a slug, ``family/slug`` or an arXiv id.

    Raises:
        Unknown: with the nearest names.
    """
    return load(roots).find(text)


def select(*texts: str, roots: Roots | None = None) -> list[tuple[Paper, Claim]]:
    """Return the claims that the texts name: see :meth:`Catalogue.select`."""
    return load(roots).select(*texts)


def fingerprint(paper: Paper) -> str:
    """Hash all code that the paper's measurements rest on.

    That is every ``.py`` file of its folder, the data it declares, and, for a built-in paper, what its
    family shares beside the papers' folders and what of ``methods/_shared`` that code names.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for file in _code_files(paper):
        name = file.relative_to(paper.folder.parents[1]).as_posix()
        digest.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    for dataset in sorted(paper.datasets, key=lambda d: d.name):
        digest.update(f"{dataset.name} {dataset.sha256} {dataset.prepare}\n".encode())
    return digest.hexdigest()[:16]


def _code_files(paper: Paper) -> list[Path]:
    files = sorted(paper.folder.rglob("*.py"))
    if paper.room.built_in:
        family = paper.folder.parent
        # The family's __init__ only re-exports: a new paper in it leaves what was measured standing.
        files += sorted(file for file in family.glob("*.py") if file.name != "__init__.py")
        for folder in sorted(p for p in family.iterdir() if p.is_dir() and not (p / "paper.toml").exists()):
            files += sorted(folder.rglob("*.py"))
        files += _named_in(files, family.parent / "_shared")
    return files


def _named_in(files: Iterable[Path], shared: Path) -> list[Path]:
    """Return the files of those entries of ``shared`` whose names occur in ``files``, or in each other.

    A word is enough, whatever the form of the import: rather measure once too often than keep what is stale.
    """
    entries = {e.stem: e for e in shared.glob("*") if e.suffix == ".py" or (e / "__init__.py").is_file()}
    found: dict[str, list[Path]] = {}
    unread = list(files)
    while unread:
        words = set(re.findall(r"\w+", "\n".join(f.read_text(encoding="utf-8") for f in unread)))
        new = {
            name: sorted(entry.rglob("*.py")) if entry.is_dir() else [entry]
            for name, entry in entries.items()
            if name in words and name not in found
        }
        found |= new
        unread = [file for some in new.values() for file in some]
    return [file for name in sorted(found) for file in found[name]]
