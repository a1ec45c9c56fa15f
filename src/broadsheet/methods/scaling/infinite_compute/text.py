"""A small real text with held-out documents: Python's own help topics, read character by character."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ALPHABET", "HeldOutText", "fold", "help_topics", "split_documents"]

ALPHABET = "abcdefghijklmnopqrstuvwxyz0 .,:;()[]'\"-_="
"""What texts are folded to. A character that training never shows would cost more than all else together."""
_OTHER = "."


@dataclass(frozen=True)
class HeldOutText:
    """Training text, text to tune on and text to report on, from different documents.

    Args:
        train: Ids of :data:`ALPHABET`, one-dimensional.
        tune: Likewise; settings are chosen on it.
        test: Likewise; what is reported is measured on it.
    """

    train: Tensor
    tune: Tensor
    test: Tensor

    @property
    def vocab_size(self) -> int:
        """Number of characters."""
        return len(ALPHABET)


def help_topics() -> dict[str, str]:
    """Return the help topics of the Python that runs this, by key."""
    from pydoc_data.topics import topics

    return dict(topics)


def fold(text: str) -> str:
    r"""Fold to :data:`ALPHABET`: lower case, digits to 0, white space to one space, what is rare to a full stop.

    Example:
        >>> fold("Python  3.11\n{x}")
        'python 0.00 .x.'
    """
    joined = " ".join(text.lower().split())
    known = set(ALPHABET)
    return "".join("0" if c.isdigit() else c if c in known else _OTHER for c in joined)


def split_documents(
    documents: Mapping[str, str],
    *,
    train: int,
    tune: int,
    test: int,
    excerpt: int | None = None,
    seed: int = 0,
) -> HeldOutText:
    """Deal documents out to three texts by the hash of their keys, fold them, and cut each text to its length.

    A document lies in one text only. Positions decide nothing: an alphabetical end would be another language.

    Args:
        documents: Texts by key.
        train: Characters of the training text.
        tune: Characters to tune on.
        test: Characters to report on.
        excerpt: Most characters taken of one document, from its beginning: so that many have a part.
        seed: Decides the hash: another seed deals anew.

    Returns:
        The three texts.

    Raises:
        ValueError: if a length is not positive or the documents do not suffice.

    Example:
        >>> text = split_documents({"a": "abc", "b": "abd", "c": "bad"}, train=3, tune=3, test=3)
        >>> len(text.train), len(text.tune), len(text.test)
        (3, 3, 3)
    """

    def place(key: str) -> str:
        return hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).hexdigest()

    ids = {character: i for i, character in enumerate(ALPHABET)}
    dealt: list[Tensor] = []
    keys = iter(sorted(documents, key=place))
    for name, length in (("train", train), ("tune", tune), ("test", test)):
        if length < 1:
            raise ValueError(f"{name} must be at least 1 character, got {length!r}")
        parts: list[str] = []
        while sum(map(len, parts)) < length:
            key = next(keys, None)
            if key is None:
                total = sum(len(document[:excerpt]) for document in documents.values())
                raise ValueError(
                    f"documents give {total} characters, too few for train={train}, tune={tune}, test={test} "
                    "in texts of whole documents: ask for less"
                )
            parts.append(fold(documents[key])[:excerpt])
        dealt.append(torch.tensor([ids[c] for c in "".join(parts)[:length]]))
    return HeldOutText(*dealt)
