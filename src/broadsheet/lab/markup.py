"""Text that goes into Markdown or a page: nothing in it becomes markup that was not meant."""

from __future__ import annotations

import re

__all__ = ["fenced", "plain", "printable", "sentence"]

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")
_SPECIAL_BUT_STARS = re.compile(r"([\\`_\[\]<>|#~&])")
_CODE = re.compile(r"(?<![\\`])(`+)(?!`)(.+?)(?<!`)\1(?!`)")
# What a program writes to steer a terminal: colours and the like, and single controls but tab and line feed.
_STEERING = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def printable(text: str) -> str:
    r"""Take out of a program's output what only a terminal understands: colours, NUL, bells.

    Example:
        >>> printable("\x1b[31mred\x1b[0m\x00 line\n\tnext")
        'red line\n\tnext'
    """
    return _STEERING.sub("", text.replace("\r\n", "\n"))


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
