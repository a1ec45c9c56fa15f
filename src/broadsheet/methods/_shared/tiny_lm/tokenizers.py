"""Three lossless ways to write text as token ids: byte-level pair encoding, characters, bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

__all__ = ["END", "BPETokenizer", "ByteTokenizer", "CharacterTokenizer", "Tokenizer", "from_json"]

END = "<|eot|>"
"""The token that ends a document. Text that happens to spell it is written with ordinary tokens."""


class Tokenizer(Protocol):
    """What a corpus needs of a tokenizer."""

    @property
    def vocab_size(self) -> int:
        """Number of tokens, the end of text among them."""

    @property
    def end(self) -> int:
        """Id of the token that ends a document."""

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without an end."""

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text."""

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids."""

    def to_json(self) -> str:
        """Return the tokenizer as JSON, for :func:`from_json`."""


class BPETokenizer:
    """Byte-level pair encoding: any text can be written, and comes back unchanged.

    Args:
        tokenizer: A byte-level ``tokenizers.Tokenizer`` with the token :data:`END`.

    Example:
        >>> bpe = BPETokenizer.train(["the cat sat on the mat"] * 3, vocab_size=270)
        >>> bpe.decode(bpe.encode("the cat \N{PILE OF POO}"))
        'the cat 💩'
    """

    def __init__(self, tokenizer: Any) -> None:
        end = tokenizer.token_to_id(END)
        if end is None:
            raise ValueError(f"tokenizer must have the token {END}, it has not")
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self._end: int = end

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int = 1024) -> BPETokenizer:
        """Learn the merges from texts.

        Args:
            texts: The texts.
            vocab_size: Number of tokens: the 256 bytes, the end of text and the merges.

        Returns:
            The tokenizer; equal texts give an equal one. It is smaller where the texts run out of pairs.

        Raises:
            ValueError: if ``vocab_size`` leaves no room for the bytes.
        """
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        if vocab_size < 257:
            raise ValueError(
                f"vocab_size must be at least 257 (256 bytes and the end of text), got {vocab_size}"
            )
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[END],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return int(self._tokenizer.get_vocab_size())

    @property
    def end(self) -> int:
        """Id of the token that ends a document."""
        return self._end

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        return list(self._tokenizer.encode(text).ids)

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text."""
        return [e.ids for e in self._tokenizer.encode_batch_fast(list(texts))]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def to_json(self) -> str:
        """Return the tokenizer as JSON."""
        return json.dumps({"kind": "bpe", "tokenizer": json.loads(self._tokenizer.to_str())})


class CharacterTokenizer:
    """One token per character of a fixed alphabet.

    Args:
        alphabet: The characters, each once.

    Example:
        >>> letters = CharacterTokenizer.train(["abba"])
        >>> letters.encode("ab"), letters.vocab_size
        ([1, 2], 3)
    """

    def __init__(self, alphabet: str) -> None:
        if len(set(alphabet)) != len(alphabet):
            raise ValueError("alphabet must hold each character once")
        self.alphabet = alphabet
        self._ids = {character: i for i, character in enumerate(alphabet, start=1)}

    @classmethod
    def train(cls, texts: Iterable[str]) -> CharacterTokenizer:
        """Return the tokenizer of all characters that occur in texts."""
        seen: set[str] = set()
        for text in texts:
            seen.update(text)
        return cls("".join(sorted(seen)))

    @property
    def vocab_size(self) -> int:
        """Number of characters, and one for the end of text."""
        return len(self.alphabet) + 1

    @property
    def end(self) -> int:
        """Id of the token that ends a document."""
        return 0

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text.

        Raises:
            ValueError: if a character is not in the alphabet.
        """
        try:
            return [self._ids[character] for character in text]
        except KeyError as error:
            raise ValueError(
                f"text holds {error.args[0]!r}, which is not in the alphabet of {len(self.alphabet)} characters; "
                'remove it or use tokenizer="bpe"'
            ) from None

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids."""
        return "".join(self.alphabet[i - 1] if i else END for i in ids)

    def to_json(self) -> str:
        """Return the tokenizer as JSON."""
        return json.dumps({"kind": "characters", "alphabet": self.alphabet})


class ByteTokenizer:
    """One token per byte of UTF-8, and one for the end of text.

    Example:
        >>> ByteTokenizer().encode("é")
        [195, 169]
    """

    vocab_size = 257
    end = 256

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        return list(text.encode())

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids; bytes that are no UTF-8 become the replacement character."""
        parts: list[bytes] = [END.encode() if i == self.end else bytes([i]) for i in ids]
        return b"".join(parts).decode(errors="replace")

    def to_json(self) -> str:
        """Return the tokenizer as JSON."""
        return json.dumps({"kind": "bytes"})


def from_json(text: str) -> BPETokenizer | CharacterTokenizer | ByteTokenizer:
    """Return the tokenizer that ``to_json`` wrote.

    Raises:
        ValueError: if it is of a kind that is not known here.
    """
    stored = json.loads(text)
    if stored["kind"] == "bpe":
        from tokenizers import Tokenizer

        return BPETokenizer(Tokenizer.from_str(json.dumps(stored["tokenizer"])))
    if stored["kind"] == "characters":
        return CharacterTokenizer(stored["alphabet"])
    if stored["kind"] == "bytes":
        return ByteTokenizer()
    raise ValueError(f"kind must be bpe, characters or bytes, got {stored['kind']!r}")


def encode_documents(tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray:
    """Return all texts as one run of uint16 ids, each text followed by the end token.

    Raises:
        ValueError: if the vocabulary does not fit into 16 bits.
    """
    if tokenizer.vocab_size > 65_536:
        raise ValueError(
            f"vocab_size must be at most 65536 (ids are stored in 16 bits), got {tokenizer.vocab_size}"
        )
    parts: list[np.ndarray] = []
    for begin in range(0, len(texts), 10_000):
        coded = tokenizer.encode_many(texts[begin : begin + 10_000])
        parts.extend(np.asarray([*ids, tokenizer.end], dtype=np.uint16) for ids in coded)
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint16)
