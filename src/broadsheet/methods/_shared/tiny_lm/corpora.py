"""Text as token ids: split by document, without duplicates, encoded once and kept on disk."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from broadsheet import places
from broadsheet.claims import NeedsData
from broadsheet.methods._shared.tiny_lm import documents as _documents
from broadsheet.methods._shared.tiny_lm.documents import CORPORA, Document, find_source
from broadsheet.methods._shared.tiny_lm.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharacterTokenizer,
    Tokenizer,
    encode_documents,
    from_json,
)

__all__ = ["Corpus", "Split", "available", "corpus_domains", "load_corpus"]

_TOKENIZERS = ("bpe", "characters", "bytes")
_TRAIN_TOKENIZER = 4_000_000  # bytes of the training split that the merges are learnt from
_VALIDATION = 0.05
_VALIDATION_BYTES = 300_000  # at least: below some 50,000 tokens the noise of the loss is 0.01 bits per byte
_FORMAT = 3  # of the files in the cache; raised when reading or splitting changes


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a corpus.

    Args:
        ids: All documents in a row, each followed by the end token; uint16.
        bytes: Bytes of their text in UTF-8, end tokens not counted.
        documents: How many.
    """

    ids: np.ndarray
    bytes: int
    documents: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text per token, end tokens counted as tokens."""
        return self.bytes / max(len(self.ids), 1)


class Corpus:
    """A training and a validation split with their tokenizer.

    Args:
        name: What reports call it.
        tokenizer: What wrote the ids.
        train: The training split.
        validation: The validation split.
        fingerprint: A hash of everything that the ids depend on, for the key of a cache.
    """

    def __init__(
        self, name: str, tokenizer: Tokenizer, train: Split, validation: Split, fingerprint: str
    ) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.train = train
        self.validation = validation
        self.fingerprint = fingerprint
        self._order: tuple[tuple[int, ...], np.ndarray] | None = None

    def __repr__(self) -> str:
        return (
            f"Corpus({self.name!r}, {len(self.train):,} + {len(self.validation):,} tokens of {self.vocab_size}, "
            f"{self.bytes_per_token:.2f} bytes per token)"
        )

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return self.tokenizer.vocab_size

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text per token of the validation split: turns nats into bits per byte."""
        return self.validation.bytes_per_token

    def split(self, name: str) -> Split:
        """Return the split ``"train"`` or ``"validation"``.

        Raises:
            ValueError: if there is no such split.
        """
        if name not in ("train", "validation"):
            raise ValueError(f"split must be 'train' or 'validation', got {name!r}")
        return self.train if name == "train" else self.validation

    @functools.cached_property
    def unigram_loss(self) -> float:
        """Nats per validation token of the training split's token frequencies (each count plus one)."""
        counts = np.bincount(self.train.ids, minlength=self.vocab_size) + 1.0
        return float(-np.mean(np.log(counts / counts.sum())[self.validation.ids]))

    @property
    def unigram_bits_per_byte(self) -> float:
        """:attr:`unigram_loss` in bits per byte: what a model has to beat to have learnt anything."""
        return self.unigram_loss / float(np.log(2)) / self.bytes_per_token

    def sequences(self, start: int, count: int, length: int, *, seed: int) -> tuple[np.ndarray, None]:
        """Return training sequences ``start`` to ``start + count`` in the order of a seed.

        In each pass over the text every token is predicted at most once: the text is cut into pieces at a random
        offset, which are then shuffled. The order depends on the seed and the length, not on the batch size.

        Args:
            start: Number of the first sequence.
            count: How many.
            length: Tokens in each: one more than are predicted.
            seed: Seed of the order.

        Returns:
            (count, length) ids, and None: all are scored.

        Raises:
            ValueError: if the training split is shorter than one sequence.
        """
        pieces = self.sequences_per_epoch(length)
        numbers = np.arange(start, start + count)
        rows = np.empty((count, length), dtype=np.int64)
        for epoch in np.unique(numbers // pieces):
            here = numbers // pieces == epoch
            begins = self._begins(seed, int(epoch), length, pieces)[numbers[here] % pieces]
            rows[here] = self.train.ids[begins[:, None] + np.arange(length)]
        return rows, None

    def sequences_per_epoch(self, length: int) -> int:
        """Return how many sequences one pass over the training split gives.

        Raises:
            ValueError: if it is shorter than one sequence.
        """
        pieces = (len(self.train) - length + 1) // (length - 1) if length > 1 else 0
        if pieces < 1:
            raise ValueError(
                f"corpus {self.name!r} has {len(self.train)} training tokens, too few for context={length - 1}; "
                "give more text or a shorter context"
            )
        return pieces

    def _begins(self, seed: int, epoch: int, length: int, pieces: int) -> np.ndarray:
        key = (seed, epoch, length)
        if self._order is None or self._order[0] != key:
            rng = np.random.default_rng(np.random.SeedSequence(key))
            offset = rng.integers(length - 1)
            self._order = (key, offset + (length - 1) * rng.permutation(pieces))
        return self._order[1]

    def validation_sequences(self, tokens: int | None, length: int) -> tuple[np.ndarray, None]:
        """Return the validation split's first pieces, ``tokens`` predictions in all (None: the whole split).

        Returns:
            (count, length) ids, the same whatever the batch size, and None: all are scored.

        Raises:
            ValueError: if the validation split is shorter than one sequence.
        """
        ids = self.validation.ids
        pieces = (len(ids) - 1) // (length - 1)
        if pieces < 1:
            raise ValueError(
                f"corpus {self.name!r} has {len(ids)} validation tokens, too few for context={length - 1}; "
                "give more text or a shorter context"
            )
        if tokens is not None:
            pieces = min(pieces, max(1, -(-tokens // (length - 1))))
        begins = np.arange(pieces) * (length - 1)
        return ids[begins[:, None] + np.arange(length)].astype(np.int64), None


def available() -> list[str]:
    """Return the named corpora that are on this machine.

    Example:
        >>> {"pydoc", "generated"} <= set(available())
        True
    """
    found = []
    for name in CORPORA:
        with contextlib.suppress(NeedsData):
            find_source(name)
            found.append(name)
    return found


@overload
def load_corpus(
    text: str | Path | Iterable[str],
    *,
    tokenizer: str | Tokenizer = ...,
    vocab_size: int = ...,
    max_bytes: int | None = ...,
    split: None = None,
    domain: str | None = ...,
    root: str | Path | None = ...,
) -> Corpus: ...
@overload
def load_corpus(
    text: str | Path | Iterable[str],
    *,
    tokenizer: str | Tokenizer = ...,
    vocab_size: int = ...,
    max_bytes: int | None = ...,
    split: str,
    domain: str | None = ...,
    root: str | Path | None = ...,
) -> Split: ...
def load_corpus(
    text: str | Path | Iterable[str],
    *,
    tokenizer: str | Tokenizer = "bpe",
    vocab_size: int = 1024,
    max_bytes: int | None = 4_000_000,
    split: str | None = None,
    domain: str | None = None,
    root: str | Path | None = None,
) -> Corpus | Split:
    """Return text as token ids, encoded once and kept on disk.

    Duplicates are removed, then documents are split 95 to 5 by a hash of their id, never by position.

    Args:
        text: The name of a corpus (``gcide``, ``brown``, ``pydoc``, ``generated``, a translation such as
            ``kjv``), a text file (documents separated by blank lines), or an iterable of documents.
        tokenizer: ``"bpe"`` (learnt from the training split), ``"characters"`` (of the whole text), ``"bytes"``,
            or a tokenizer, such as another corpus' own.
        vocab_size: Size of a BPE vocabulary.
        max_bytes: Take a random part of the documents, with about so many bytes for training (and 5 % of it, but
            at least 300 kB where there is so much, for validation); None takes all.
        split: ``"train"`` or ``"validation"`` to return that :class:`Split` alone.
        domain: Only documents of that genre (Brown).
        root: A folder to look in first.

    Returns:
        The :class:`Corpus`, or the :class:`Split` that was asked for.

    Raises:
        ValueError: if an argument makes no sense or the text is too short to be split.
        NeedsData: if the corpus is not on this machine; the message says how to get it.

    Example:
        >>> corpus = load_corpus("generated")
        >>> corpus.vocab_size
        1024
        >>> corpus.tokenizer.decode(corpus.train.ids[:200]) != ""
        True
    """
    if isinstance(tokenizer, str) and tokenizer not in _TOKENIZERS:
        raise ValueError(
            f"tokenizer must be one of {', '.join(_TOKENIZERS)} or a tokenizer, got {tokenizer!r}"
        )
    if max_bytes is not None and max_bytes < 1:
        raise ValueError(f"max_bytes must be at least 1, or None for all text, got {max_bytes}")
    if split not in (None, "train", "validation"):
        raise ValueError(f"split must be 'train' or 'validation', got {split!r}")
    name, content, read = _reader(text, Path(root) if root else None)
    writer = tokenizer if isinstance(tokenizer, str) else tokenizer.to_json()
    key = {"content": content, "tokenizer": writer, "vocab_size": vocab_size, "max_bytes": max_bytes}
    key |= {"domain": domain, "format": _FORMAT}
    fingerprint = hashlib.blake2b(json.dumps(key, sort_keys=True).encode(), digest_size=16).hexdigest()

    def make() -> Corpus:
        parts = _splits(name, read(), domain, max_bytes)
        return _encode(name, parts, tokenizer, vocab_size, fingerprint)

    corpus = _kept(name, fingerprint, make)
    return corpus if split is None else corpus.split(split)


def corpus_domains(name: str, domains: Sequence[str], **options: Any) -> dict[str, Corpus]:
    """Return one corpus per domain, all written with one tokenizer.

    Args:
        name: ``brown`` with genres, or ``bible`` with translations.
        domains: Names of genres (``news``, ``fiction``, …) or translations (``kjv``, ``asv``, …).
        options: Other arguments of :func:`load_corpus`. A ``tokenizer`` given by name is learnt from the first
            domain.

    Returns:
        The corpora by domain, in the order given.

    Raises:
        ValueError: if a domain is not known.
        NeedsData: if the corpus is not on this machine.
    """
    known = tuple(_documents.BROWN_GENRES.values()) if name == "brown" else _documents.BIBLES
    if name not in ("brown", "bible"):
        raise ValueError(f"name must be 'brown' or 'bible', got {name!r}")
    if wrong := [domain for domain in domains if domain not in known]:
        raise ValueError(f"domains must be among {', '.join(known)}, got {', '.join(wrong)}")
    found: dict[str, Corpus] = {}
    for domain in domains:
        given = dict(options)
        if found:
            given["tokenizer"] = next(iter(found.values())).tokenizer
        if name == "brown":
            found[domain] = load_corpus("brown", domain=domain, **given)
        else:
            found[domain] = load_corpus(domain, **given)
    return found


# --- From documents to ids -----------------------------------------------------------------------------------


def _reader(text: str | Path | Iterable[str], root: Path | None) -> tuple[str, str, Any]:
    """Return a name, a hash of the content, and a function that reads the documents."""
    if isinstance(text, str) and (text in CORPORA or not Path(text).is_file()):
        source = find_source(text, root)
        return text, source.fingerprint(), source.documents
    if isinstance(text, str | Path):
        file = Path(text)
        if not file.is_file():
            raise ValueError(f"text must be an existing file, got {file}")
        pieces = [p for p in file.read_text(encoding="utf-8").split("\n\n") if p.strip()]
        name = file.name
    else:
        pieces, name = list(text), "text"
        if wrong := [p for p in pieces if not isinstance(p, str)]:
            raise ValueError(
                f"text must be an iterable of strings, got a {type(wrong[0]).__name__} among them"
            )
    digest = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        digest.update(piece.encode() + b"\0")
    return name, digest.hexdigest(), lambda: (Document(_hash(p), p) for p in pieces)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _fraction(text: str) -> float:
    """Return a number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def _splits(
    name: str, read: Iterator[Document], domain: str | None, max_bytes: int | None
) -> dict[str, list[Document]]:
    """Remove duplicates, split by the hash of the id, put each part into the order of another hash."""
    unique: dict[str, Document] = {}
    for document in read:
        if domain is None or document.domain == domain:
            unique.setdefault(document.content or document.text, document)
    parts: dict[str, list[Document]] = {"train": [], "validation": []}
    # Few documents may all lie above the bound: then the lowest is held out.
    bound = max(_VALIDATION, min((_fraction(d.id) for d in unique.values()), default=0.0) + 1e-15)
    for document in unique.values():
        parts["validation" if _fraction(document.id) < bound else "train"].append(document)
    if not parts["train"] or not parts["validation"]:
        raise ValueError(
            f"corpus {name!r} has {len(unique)} different documents, too few for a training and a validation "
            f"split (95 to 5){f' in the domain {domain!r}' if domain else ''}; give more or shorter documents"
        )
    limits = {"train": max_bytes, "validation": None}
    if max_bytes is not None:
        limits["validation"] = max(int(max_bytes * _VALIDATION), _VALIDATION_BYTES)
    return {part: _first(found, limits[part]) for part, found in parts.items()}


def _first(found: list[Document], limit: int | None) -> list[Document]:
    ordered = sorted(found, key=lambda d: (_fraction(f"order {d.id}"), d.id, d.text))
    if limit is None:
        return ordered
    taken, size = [], 0
    for document in ordered:
        if size >= limit:
            break
        taken.append(document)
        size += len(document.text.encode())
    return taken


def _encode(
    name: str, parts: dict[str, list[Document]], tokenizer: str | Tokenizer, vocab_size: int, fingerprint: str
) -> Corpus:
    texts = {part: [document.text for document in found] for part, found in parts.items()}
    if tokenizer == "bpe":
        writer: Tokenizer = BPETokenizer.train(_up_to(texts["train"], _TRAIN_TOKENIZER), vocab_size)
    elif tokenizer == "characters":
        writer = CharacterTokenizer.train([*texts["train"], *texts["validation"]])
    else:
        writer = ByteTokenizer() if isinstance(tokenizer, str) else tokenizer
    made = {
        part: Split(encode_documents(writer, found), sum(len(t.encode()) for t in found), len(found))
        for part, found in texts.items()
    }
    return Corpus(name, writer, made["train"], made["validation"], fingerprint)


def _up_to(texts: list[str], limit: int) -> Iterator[str]:
    size = 0
    for text in texts:
        yield text
        size += len(text.encode())
        if size >= limit:
            return


# --- On disk -------------------------------------------------------------------------------------------------


def _kept(name: str, fingerprint: str, make: Callable[[], Corpus]) -> Corpus:
    """Read the corpus from the cache, or make it and put it there for this and other processes."""
    from filelock import FileLock

    folder = places.cache_folder() / "corpora" / fingerprint
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir():
            with FileLock(folder.with_suffix(".lock")):
                if not folder.is_dir():
                    _write(make(), folder)
    except PermissionError:
        return make()
    return _read(name, fingerprint, folder)


def _write(corpus: Corpus, folder: Path) -> None:
    half = Path(tempfile.mkdtemp(prefix=".half-", dir=folder.parent))
    try:
        facts = {}
        for part in ("train", "validation"):
            split = corpus.split(part)
            np.save(half / f"{part}.npy", split.ids)
            facts[part] = {"bytes": split.bytes, "documents": split.documents}
        (half / "tokenizer.json").write_text(corpus.tokenizer.to_json(), encoding="utf-8")
        (half / "facts.json").write_text(json.dumps({"name": corpus.name, **facts}), encoding="utf-8")
        os.replace(half, folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _read(name: str, fingerprint: str, folder: Path) -> Corpus:
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    splits = {
        part: Split(
            np.load(folder / f"{part}.npy", mmap_mode="r"), facts[part]["bytes"], facts[part]["documents"]
        )
        for part in ("train", "validation")
    }
    tokenizer = from_json((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return Corpus(name, tokenizer, splits["train"], splits["validation"], fingerprint)
