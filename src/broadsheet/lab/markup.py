"""Text that goes into Markdown: nothing in it becomes markup that was not meant."""

from __future__ import annotations

import re

__all__ = ["fenced", "plain", "sentence"]

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")
_SPECIAL_BUT_STARS = re.compile(r"([\\`_\[\]<>|#~&])")
_CODE = re.compile(r"(?<![\\`])(`+)(?!`)(.+?)(?<!`)\1(?!`)")


def plain(text: str) -> str:
    r"""Escape what Markdown would take for markup, and put it on one line.

    Example:
        >>> plain("a*b <script>\n| c")
        'a\\*b \\<script\\> \\| c'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def sentence(text: str) -> str:
    r"""Escape all but emphasis and code, and put it on one line: for the titles of claims.

    Example:
        >>> sentence("trains **0.047 %** of `x_y`, <b> | [a](b)")
        'trains **0.047 %** of `x_y`, \\<b\\> \\| \\[a\\](b)'
    """
    line = " ".join(text.split())
    parts, at = [], 0
    for code in _CODE.finditer(line):
        parts += [_SPECIAL_BUT_STARS.sub(r"\\\1", line[at : code.start()]), code[0].replace("|", r"\|")]
        at = code.end()
    return "".join(parts) + _SPECIAL_BUT_STARS.sub(r"\\\1", line[at:])


def fenced(text: str) -> list[str]:
    """Return the lines of a code block that the text itself cannot close.

    Example:
        >>> fenced("a ``` b")
        ['````text', 'a ``` b', '````']
    """
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *text.splitlines(), fence]
