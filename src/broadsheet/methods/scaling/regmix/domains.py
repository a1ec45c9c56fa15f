"""Five domains of text that every machine has or can make, for our own proxy and large models.

Characters are reduced to 64: capital letters, digits and signs, as codes 0 to 63. That halves the time of a tiny
model, most of which goes into the scores of the next character.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from broadsheet.claims import NeedsData

__all__ = ["DOMAINS", "load_domains"]

DOMAINS = ("docs", "code", "legal", "arithmetic", "sequences")
"""Python's language reference, its standard library, licences, made-up sums, and sequences of four letters."""

VOCABULARY = 64
_LICENCES = Path("/usr/share/common-licenses")
_PROSE = ("docs", "legal")


def load_domains(
    train: dict[str, int], validation: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return training and validation text of the five domains as codes of characters.

    Paragraphs are split by a hash of their content, so that none is in both parts, and are read in the order of that
    hash.

    Args:
        train: Characters for training by domain.
        validation: Characters for validation of each domain.

    Returns:
        Training and validation codes by domain, each below 64.

    Raises:
        NeedsData: if a domain is too short on this machine.

    Example:
        >>> train, held = load_domains({"arithmetic": 2000}, 500)
        >>> len(train["arithmetic"]), len(held["arithmetic"])
        (2000, 500)
    """
    parts: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] = ({}, {})
    for name, size in train.items():
        pieces = {_hash(piece): piece for piece in _pieces(name)}  # what comes twice counts once
        held = b"".join(pieces[key] for key in sorted(pieces) if key[0] < 77)  # 30 % of the hashes
        seen = b"".join(pieces[key] for key in sorted(pieces) if key[0] >= 77)
        for part, text, wanted in zip(parts, (seen, held), (size, validation), strict=True):
            if len(text) < wanted:
                raise NeedsData(
                    f"domain {name!r} has {len(text)} characters of text on this machine, {wanted} are needed: install "
                    "Debian's package base-files for licences, or a Python with its standard library's source"
                )
            part[name] = _CODES[np.frombuffer(text[:wanted], np.uint8)]
    return parts


def _table() -> np.ndarray:
    """Return the code of each byte: the 64 characters from the space to the underscore, small letters as capitals."""
    codes = np.full(256, ord("?") - 32, np.int64)
    codes[32:96] = np.arange(64)
    codes[ord("a") : ord("z") + 1] = codes[ord("A") : ord("Z") + 1]
    codes[ord("\n")] = codes[ord("\\")]  # the rarest sign marks the end of a line
    return codes


_CODES = _table()


def _hash(piece: bytes) -> bytes:
    return hashlib.blake2b(piece, digest_size=8).digest()


def _pieces(name: str) -> Iterator[bytes]:
    texts = {"docs": _docs, "code": _code, "legal": _legal, "arithmetic": _sums, "sequences": _sequences}
    for text in texts[name]():
        # The language reference and the licences repeat whole paragraphs in several places: a paragraph is one
        # piece, its line breaks aside, or validation would hold what was trained on.
        for paragraph in re.split(r"\n\s*\n", text):
            piece = " ".join(paragraph.split()) if name in _PROSE else paragraph
            yield (piece + "\n").encode("ascii", "replace")


def _docs() -> Iterable[str]:
    from pydoc_data.topics import topics

    return list(topics.values())


def _code() -> Iterator[str]:
    for file in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        yield file.read_text(encoding="utf-8", errors="replace")


def _legal() -> Iterator[str]:
    """Yield the system's licences, or those of installed packages where there are none."""
    files = sorted({file.resolve() for file in _LICENCES.glob("*") if file.is_file()})
    for file in files or sorted(_licence_files()):
        yield file.read_text(encoding="utf-8", errors="replace")


def _licence_files() -> Iterator[Path]:
    for distribution in importlib.metadata.distributions():
        for file in distribution.files or ():
            path = Path(str(file.locate()))
            if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")) and path.is_file():
                yield path


def _sums() -> Iterator[str]:
    """Yield additions and multiplications of numbers below 100, one per line."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        left, right, times = rng.integers(0, 100, 150), rng.integers(0, 100, 150), rng.random(150) < 0.5
        yield "".join(
            f"{a}*{b}={a * b}\n" if product else f"{a}+{b}={a + b}\n"
            for a, b, product in zip(left, right, times, strict=True)
        )


def _sequences() -> Iterator[str]:
    """Yield sequences over ACGT in which each letter depends on the two before it."""
    rng = np.random.default_rng(1)
    likely = np.cumsum(rng.dirichlet(np.full(4, 0.4), (4, 4)), axis=2)
    for _ in range(300):
        a, b, letters = 0, 1, []
        for u in rng.random(2000):
            a, b = b, min(int(np.searchsorted(likely[a, b], u)), 3)
            letters.append("ACGT"[b])
        yield "".join(letters) + "\n"
