"""Names that stand in addresses, and keys under which titles are found again. Pure functions of their input.

An address must not depend on the order in which papers came in. So a slug is worked out from the name alone:
where the slug says everything that the name says it stands by itself, else it ends in digits of a hash.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import itertools
import re
import unicodedata
from collections.abc import Callable

from broadsheet.sources.record import title_key

__all__ = ["another_slug", "arxiv_month", "author_slug", "paper_slug", "stored_title_key"]

TITLE_KEY_LENGTH = 500
_SLUG_LENGTH = 80
_AUTHOR_SLUG_LENGTH = 300
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")
_NEW_ID = re.compile(r"(\d\d)(\d\d)\.\d{4,5}")
_OLD_ID = re.compile(r"[a-z-]+/(\d\d)(\d\d)\d{3}")
# Letters that are no base letter with an accent, so Unicode does not take them apart.
_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ħ": "h"}
)
# fmt: off
_SMALL_WORDS = frozenset([
    "al", "bin", "d", "da", "das", "de", "del", "della", "den", "der", "di", "do", "dos", "du", "el", "la", "le",
    "ten", "ter", "van", "von", "y", "zu",
])
# fmt: on


def _fold(text: str) -> str:
    plain = text.lower()
    if not plain.isascii():
        decomposed = unicodedata.normalize("NFKD", plain.translate(_LETTERS))
        plain = "".join(ch for ch in decomposed if not unicodedata.combining(ch))
    return _NOT_PLAIN.sub("-", plain).strip("-")


def _digits(text: str) -> str:
    """Return eight digits that stand for ``text``: digits, since no plain slug of a name holds any."""
    return f"{int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % 10**8:08d}"


def _usual_writing(slug: str) -> str:
    """Return the one name for which ``slug`` is reserved: Jane Q. van Doe for jane-q-van-doe."""
    words = slug.split("-")
    return " ".join(
        f"{word.upper()}."
        if len(word) == 1
        else word
        if 0 < n < len(words) - 1 and word in _SMALL_WORDS
        else word.capitalize()
        for n, word in enumerate(words)
    )


@functools.lru_cache(maxsize=100_000)
def author_slug(name: str) -> str:
    """Return the name's form in an address: the same for ever, and another one for every other name.

    Args:
        name: The name as a source writes it.

    Returns:
        Lower-case ASCII letters, digits and hyphens, at most 300 characters.

    Example:
        >>> author_slug("Grace B. Hopper"), author_slug("GRACE HOPPER") == author_slug("Grace Hopper")
        ('grace-b-hopper', False)
    """
    slug = _fold(name)
    if slug.replace("-", "").isalpha() and len(slug) <= _AUTHOR_SLUG_LENGTH and _usual_writing(slug) == name:
        return slug
    return f"{slug[: _AUTHOR_SLUG_LENGTH - 9].rstrip('-') or 'author'}-{_digits(name)}"


def paper_slug(title: str) -> str:
    """Return a title's form in an address, equal for two writings of the same words.

    Args:
        title: The title as a source writes it.

    Returns:
        Lower-case ASCII letters, digits and hyphens, at most 80 characters.

    Example:
        >>> paper_slug("A Law of Small Numbers: Revisited")
        'a-law-of-small-numbers-revisited'
    """
    slug, key = _fold(title), stored_title_key(title)
    if slug and slug.replace("-", "") == key and len(slug) <= _SLUG_LENGTH and not _digits_at_end(slug):
        return slug
    cut = slug[: _SLUG_LENGTH - 9]
    if len(slug) > len(cut) and "-" in cut[40:]:  # end at a word
        cut = cut[: cut.rindex("-")]
    return f"{cut.rstrip('-') or 'paper'}-{_digits(key)}"


def another_slug(slug: str, is_taken: Callable[[str], bool]) -> str:
    """Return a slug for a paper whose own slug another one bears already.

    Args:
        slug: The slug that is taken.
        is_taken: Says whether a slug is.

    Example:
        >>> another_slug("reply", lambda slug: slug == "reply")
        'reply-78602255'
    """
    for n in itertools.count(2):
        other = f"{slug[: _SLUG_LENGTH - 9].rstrip('-')}-{_digits(f'{slug} {n}')}"
        if not is_taken(other):
            return other
    raise AssertionError("unreachable")


def _digits_at_end(slug: str) -> bool:
    return re.search(r"-\d{8}$", slug) is not None


@functools.lru_cache(maxsize=10_000)
def stored_title_key(title: str) -> str:
    """Return the key under which a title is stored and found: ``title_key``, whatever the title's length.

    Args:
        title: A title as any source writes it.

    Returns:
        1 to 500 characters; "" only for an empty title. A title of signs only is its own key.

    Example:
        >>> stored_title_key("Deep   Nets!"), stored_title_key("???"), len(stored_title_key("word " * 500))
        ('deepnets', '=???', 500)
    """
    key = title_key(title)
    if not key and title.strip():
        key = "=" + title.strip().casefold()
    if len(key) <= TITLE_KEY_LENGTH:
        return key
    return key[: TITLE_KEY_LENGTH - 33] + "~" + hashlib.sha256(key.encode()).hexdigest()[:32]


def arxiv_month(arxiv_id: str | None) -> dt.date | None:
    """Return the first day of the month in which a paper was given its arXiv id.

    Args:
        arxiv_id: Canonical id without version, or None.

    Returns:
        The day, or None for no id or one of another form.

    Example:
        >>> arxiv_month("2503.11677"), arxiv_month("hep-th/9901001"), arxiv_month(None)
        (datetime.date(2025, 3, 1), datetime.date(1999, 1, 1), None)
    """
    found = arxiv_id and (_NEW_ID.fullmatch(arxiv_id) or _OLD_ID.fullmatch(arxiv_id))
    if not found:
        return None
    year, month = int(found[1]), int(found[2])
    if not 1 <= month <= 12:
        return None
    return dt.date((1900 if year >= 91 else 2000) + year, month, 1)
