"""Five domains of text that every machine has or can make, as bytes, for our own proxy and large models."""

from __future__ import annotations

import hashlib
import importlib.metadata
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from broadsheet.claims import NeedsData

__all__ = ["DOMAINS", "load_domains"]

DOMAINS = ("docs", "code", "legal", "arithmetic", "sequences")
"""Python's language reference, its standard library, licences, made-up sums, and sequences of four letters."""

VOCABULARY = 128
_PIECE = 2000  # bytes that go to training or validation together, where documents are long


def load_domains(
    train: dict[str, int], validation: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return training and validation text of the five domains as ASCII codes.

    Pieces of text are split by a hash of their content, so that no piece is in both parts, and are read in the order
    of that hash.

    Args:
        train: Bytes for training by domain.
        validation: Bytes for validation of each domain.

    Returns:
        Training and validation codes by domain, each below 128.

    Raises:
        NeedsData: if a domain is too short on this machine.

    Example:
        >>> train, held = load_domains({"arithmetic": 2000}, 500)
        >>> len(train["arithmetic"]), len(held["arithmetic"])
        (2000, 500)
    """
    parts: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] = ({}, {})
    for name, size in train.items():
        pieces = {_hash(piece): piece for piece in _pieces(name)}  # a piece that comes twice counts once
        held = b"".join(pieces[key] for key in sorted(pieces) if key[0] < 77)  # 30 % of the hashes
        seen = b"".join(pieces[key] for key in sorted(pieces) if key[0] >= 77)
        for part, text, wanted in zip(parts, (seen, held), (size, validation), strict=True):
            if len(text) < wanted:
                raise NeedsData(
                    f"domain {name!r} has {len(text)} bytes of text on this machine, {wanted} are needed: install "
                    "Debian's package base-files for licences, or a Python with its standard library's source"
                )
            part[name] = np.frombuffer(text[:wanted], np.uint8).astype(np.int64)
    return parts


def _hash(piece: bytes) -> bytes:
    return hashlib.blake2b(piece, digest_size=8).digest()


def _pieces(name: str) -> Iterator[bytes]:
    for text in {"docs": _docs, "code": _code, "legal": _legal, "arithmetic": _sums, "sequences": _sequences}[
        name
    ]():
        plain = text.encode("ascii", "replace")
        for start in range(0, len(plain), _PIECE):
            yield plain[start : start + _PIECE]


def _docs() -> Iterable[str]:
    from pydoc_data.topics import topics

    return list(topics.values())


def _code() -> Iterator[str]:
    for file in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        yield file.read_text(encoding="utf-8", errors="replace")


def _legal() -> Iterator[str]:
    """Yield the system's licences, or those of installed packages where there are none."""
    folder = Path("/usr/share/common-licenses")
    files = sorted({file.resolve() for file in folder.glob("*") if file.is_file()}) if folder.is_dir() else []
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
        for u in rng.random(_PIECE - 1):
            a, b = b, min(int(np.searchsorted(likely[a, b], u)), 3)
            letters.append("ACGT"[b])
        yield "".join(letters) + "\n"
