"""Turns foreign text into text that a database, a feed and a page can hold."""

from __future__ import annotations

import re

__all__ = ["one_line", "shorten", "unsafe_characters"]

# C0 and C1 controls other than white space.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
# Embeddings, overrides and isolates: they make a text read otherwise than it is stored.
_BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
# Half characters and non-characters cannot be encoded, or are forbidden in XML. U+FEFF is a misplaced byte order mark.
_BROKEN = re.compile(r"[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_KINDS = (
    (_CONTROL, "control characters"),
    (_BIDI, "bidirectional overrides"),
    (_BROKEN, "broken characters"),
)


def one_line(text: str) -> str:
    r"""Return a text on one line: white space collapsed, characters without a place in text taken out.

    Controls become a space, bidirectional overrides vanish, broken characters become U+FFFD.

    Args:
        text: Any text.

    Returns:
        The text, stripped, with single spaces; it can be encoded as UTF-8 and written in XML.

    Example:
        >>> one_line("  Two\u00a0lines\n of\x00 text ")
        'Two lines of text'
    """
    if not text.isprintable():  # false for every character that the patterns look for
        text = _BROKEN.sub("\ufffd", _BIDI.sub("", _CONTROL.sub(" ", text.replace("\ufeff", ""))))
    elif "  " not in text:
        return text.strip()
    return " ".join(text.split())


def unsafe_characters(text: str) -> str:
    r"""Say which kinds of characters `one_line` would take out of a text.

    Args:
        text: Any text.

    Returns:
        The kinds in words, joined by a comma; "" if there are none.

    Example:
        >>> unsafe_characters("a\x00b"), unsafe_characters("a\tb")
        ('control characters', '')
    """
    if text.isprintable():
        return ""
    return ", ".join(name for pattern, name in _KINDS if pattern.search(text))


def shorten(text: str, width: int = 80) -> str:
    """Return the beginning of a text, for an error message.

    Args:
        text: Any text.
        width: Longest result in characters, >= 1.

    Returns:
        The text on one line, cut with an ellipsis where it is longer.

    Example:
        >>> shorten("abcdef", 4)
        'abc…'
    """
    plain = one_line(text[: 4 * width])
    return plain if len(plain) <= width and len(text) <= 4 * width else plain[: width - 1] + "…"
