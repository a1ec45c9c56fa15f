"""Lays out the rooms of a new paper, with a claim and tests that fail until they are written."""

from __future__ import annotations

import datetime as dt
import keyword
import re
from dataclasses import dataclass
from pathlib import Path

from broadsheet.lab.catalogue import load
from broadsheet.rooms import ARXIV_ID, ENTRY_POINTS, built_in

__all__ = ["CannotLayOut", "Laid", "lay_out"]

_FAMILY = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class CannotLayOut(ValueError):
    """The rooms cannot be laid out; the message says why, and nothing has been written."""


@dataclass(frozen=True)
class Laid:
    """What was laid out.

    Args:
        folder: The paper's folder.
        package: Its package.
        files: The files made.
        steps: What to do next, one sentence each.
    """

    folder: Path
    package: str
    files: tuple[Path, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """Where the rooms go."""

    methods: Path
    package: str
    tests: Path
    built_in: bool


def lay_out(arxiv_id: str, place: str, into: Path | str | None = None) -> Laid:
    """Make the two folders of a new paper: one for the method, one for its tests.

    Args:
        arxiv_id: The paper's arXiv id without version.
        place: ``family/slug``, e.g. ``tuning/compacter``.
        into: Folder of a package of your own, made where it is absent; by default this checkout.

    Returns:
        What was made, and what to do next.

    Raises:
        CannotLayOut: if the id or a name is wrong, the paper is there already, or this is no checkout.
        OSError: if a file cannot be written.
    """
    if not ARXIV_ID.fullmatch(arxiv_id):
        raise CannotLayOut(
            f"an arXiv id looks like 2106.04647 or math/0309136, without version, got {arxiv_id!r}"
        )
    family, slug = _names(place)
    at = _checkout() if into is None else _own_package(Path(into))
    name = slug.replace("-", "_")
    folder, tests = at.methods / family / name, at.tests / family / name
    for taken in (folder, tests):
        if taken.exists():
            raise CannotLayOut(f"{taken} is there already: choose another slug, or remove that folder first")
    _refuse_twins(arxiv_id, slug)
    package = f"{at.package}.{family}.{name}"
    words = _Words(arxiv_id, family, slug, name, package, str(tests))
    texts = {
        folder / "README.md": _README,
        folder / "paper.toml": _TOML,
        folder / "__init__.py": _INIT,
        folder / "method.py": _METHOD,
        folder / "claims.py": _CLAIMS,
        folder / "results" / ".gitkeep": "",
        tests / "test_method.py": _TEST_METHOD,
        tests / "test_claims.py": _TEST_CLAIMS,
    }
    for init in (at.methods / "__init__.py", at.methods / family / "__init__.py"):
        if not init.exists():
            texts[init] = _FAMILY_INIT if init.parent.name == family else '"""Papers that run."""\n'
    # Test files of different papers share names: as packages, pytest tells them apart.
    for level in (tests, tests.parent) if at.built_in else ():
        if not (level / "__init__.py").exists():
            texts[level / "__init__.py"] = ""
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_grouped(words.fill(text), at.built_in), encoding="utf-8")
    return Laid(folder, package, tuple(texts), tuple(_steps(words, folder, at.built_in)))


def _names(place: str) -> tuple[str, str]:
    family, slash, slug = place.replace("-", "_").partition("/")
    slug = slug.replace("_", "-")
    if not slash or not _FAMILY.fullmatch(family) or not _SLUG.fullmatch(slug):
        raise CannotLayOut(
            f"the place is written as family/slug in lower case, for example tuning/compacter, got {place!r}"
        )
    for word in (family, slug.replace("-", "_")):
        if keyword.iskeyword(word):
            raise CannotLayOut(f"{word!r} is a word of Python and cannot be a package's name: choose another")
    return family, slug


def _checkout() -> _Place:
    package, methods = built_in()
    root = methods.parents[2]
    if methods.parents[1].name != "src" or not (root / "pyproject.toml").is_file():
        raise CannotLayOut(
            f"this Broadsheet is installed in {methods.parent}, not a checkout: "
            "clone the repository, or give --into the folder of a package of your own"
        )
    return _Place(methods, package, root / "tests" / "methods", True)


def _own_package(into: Path) -> _Place:
    into = into.expanduser().absolute()
    if into.exists() and not into.is_dir():
        raise CannotLayOut(f"{into} is a file: --into takes the folder of a package")
    parts = [into.name]
    base = into.parent
    while (base / "__init__.py").is_file():
        parts.insert(0, base.name)
        base = base.parent
    for part in parts:
        if not part.isidentifier() or keyword.iskeyword(part):
            raise CannotLayOut(f"{into} cannot be a package: {part!r} is no name that Python can import")
    root = next((p for p in (base, *base.parents) if (p / "pyproject.toml").is_file()), base)
    return _Place(into, ".".join(parts), root / "tests", False)


def _refuse_twins(arxiv_id: str, slug: str) -> None:
    for paper in load().papers:
        if paper.facts.arxiv_id == arxiv_id:
            raise CannotLayOut(f"arXiv:{arxiv_id} is there already: {paper.key} in {paper.folder}")
        if paper.slug == slug:
            raise CannotLayOut(f"the slug {slug!r} is taken by {paper.key}: one name is one paper")


@dataclass(frozen=True)
class _Words:
    arxiv_id: str
    family: str
    slug: str
    name: str
    package: str
    tests: str

    def fill(self, text: str) -> str:
        """Put the words into a template; ``@name@`` stands for a word, so that braces stay braces."""
        year = _year(self.arxiv_id)
        values = vars(self) | {
            "year": str(year),
            "rule": "=" * len(self.slug),
            "Family": self.family.replace("_", " ").capitalize(),
        }
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        return text.lstrip("\n")


def _grouped(text: str, in_checkout: bool) -> str:
    """Group imports as sorters want them: seen from another package, Broadsheet is a library like pytest."""
    if in_checkout:
        return text
    text = re.sub(r"^(import \w+)\n\n(?=from broadsheet)", r"\1\n", text, flags=re.MULTILINE)
    return re.sub(r"^(from broadsheet\.lab import local_run)\n(?=from )", r"\1\n\n", text, flags=re.MULTILINE)


def _year(arxiv_id: str) -> int:
    two = int(arxiv_id.rpartition("/")[2][:2])
    return min(1900 + two if two >= 91 else 2000 + two, dt.datetime.now(dt.UTC).year)


def _steps(words: _Words, folder: Path, in_checkout: bool) -> list[str]:
    steps = [
        f"Fill in {folder / 'paper.toml'}: facts, and a summary of two sentences in your own words.",
        f"Write the reference tests first, in {words.tests}: closed forms, published points, an independent "
        "implementation on the same input.",
        f"Write the method in {folder / 'method.py'}; name the module for what it holds, and export it in "
        f"{folder / '__init__.py'} and under names in paper.toml.",
        f"Declare the claims in {folder / 'claims.py'}; `broadsheet run {words.slug} --scale smoke` while you write, "
        f"then `broadsheet run {words.slug} --scale laptop --reference` on an idle machine.",
    ]
    if in_checkout:
        last = f"Show it: a ten-line example in {folder / 'README.md'}, a benchmark, a changelog line; `make test`."
    else:
        last = (
            f"Show it: a ten-line example in {folder / 'README.md'}; and let Broadsheet find it, in your "
            f'pyproject.toml: [project.entry-points."{ENTRY_POINTS}"] {words.name} = "{words.package}"'
        )
    return [*steps, last]


_README = """
# @slug@

arXiv:@arxiv_id@. Say in two sentences what it is and when to use it.

## Example

```python
from @package@ import @name@

raise SystemExit("write an example of ten lines here: it is run by the tests")
```

## Limits

Say what it cannot do.

## Claims

<!-- claims:begin -->
<!-- claims:end -->
"""

_TOML = """
# Facts of the paper; the id is a text in quotes.
arxiv_id = "@arxiv_id@"
title = "The title of arXiv:@arxiv_id@"
year = @year@
authors = "Authors of arXiv:@arxiv_id@"
summary = "Say in your own words what the paper does. Say what it claims."
tags = ["@family@"]
names = ["@name@"]
"""

_INIT = '''
"""The title of the paper (arXiv:@arxiv_id@)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

_NAMES = {"method": ["@name@"]}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_NAMES)

__all__ = ["@name@"]

if TYPE_CHECKING:
    from @package@.method import @name@
'''

_FAMILY_INIT = '''
"""@Family@: say in one line what the papers of this family have in common."""

from __future__ import annotations

from pathlib import Path

import lazy_loader

from broadsheet.rooms import public_names

# Each paper's paper.toml says what it exports: a new paper touches no file but its own.
_NAMES = public_names(Path(__file__).parent)
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=list(_NAMES), submod_attrs=_NAMES)
'''

_METHOD = '''
"""The method of arXiv:@arxiv_id@."""

from __future__ import annotations

__all__ = ["@name@"]


def @name@(x: float) -> float:
    """Say in one sentence what it does.

    Args:
        x: Shape, unit and range.

    Returns:
        Shape, unit and range.

    Raises:
        RuntimeError: until it is written.
    """
    raise RuntimeError(f"@slug@ is not written yet: write method.py (called with {x!r})")
'''

_CLAIMS = '''
"""What the paper claims, and how we measure it."""

from __future__ import annotations

from broadsheet.claims import Measured, Run, claim, within


@claim(
    "Say the claim as one sentence, with its number in **bold**",
    published=1.0,
    unit="",
    where="Table 1",
    kind="exact",
    holds=within(relative=0.01),
)
def main_result(run: Run) -> Measured:
    """Say what is measured, and why the tolerance is what it is."""
    from @package@.method import @name@

    return Measured(@name@(1.0))
'''

_TEST_METHOD = '''
"""The method, against closed forms, published points and an independent implementation."""

from __future__ import annotations

import pytest


def test_the_method_gives_a_known_result() -> None:
    pytest.fail("@slug@: write the reference test: a closed form or a published point")


def test_bad_input_is_refused() -> None:
    pytest.fail("@slug@: write what bad input is, and the message that names it")
'''

_TEST_CLAIMS = '''
"""The claims, at the scale of seconds."""

from __future__ import annotations

import pytest

from broadsheet.claims import Claim
from broadsheet.lab import local_run
from @package@ import claims

CLAIMS = [value for value in vars(claims).values() if isinstance(value, Claim)]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_is_measured_at_smoke_scale(claim: Claim) -> None:
    measured = claim(local_run("smoke"))
    assert claim.rule.accepts(measured.value), f"{claim.id}: {measured.value} is not {claim.rule.words}"
'''
