r"""BibTeX entries of papers.

The title keeps its formulas; everything else is escaped, so that no foreign text can end an entry.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from broadsheet.site.pages import mathematics
from broadsheet.site.papers.models import Paper

__all__ = ["entries", "entry", "escape", "key"]

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip
# Commands that read files or define others have no place in a formula of a title.
_FORBIDDEN = re.compile(
    r"\\(?:input|include|openin|openout|read|write|immediate|def|edef|gdef|let|catcode|csname|special|loop)(?![a-z])"
)
_SMALL_WORDS = {"a", "an", "the", "on", "of", "in", "for", "to", "and", "with", "is", "are"}


def escape(text: str) -> str:
    r"""Escape what TeX would read as mark-up.

    Example:
        >>> escape("50% of A_B & {C}")
        '50\\% of A\\_B \\& \\{C\\}'
    """
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def key(paper: Paper) -> str:
    """Return the entry's key: first author's family name, year, first word of the title; ASCII only."""
    family = _family_name(_names(paper)[0]) if _names(paper) else ""
    words = [_ascii(word) for word in mathematics.plain(paper.title).split()]
    first = next((w for w in words if w and w not in _SMALL_WORDS), next((w for w in words if w), "paper"))
    return f"{_ascii(family) or 'anonymous'}{_year(paper) or ''}{first}"


def entry(paper: Paper, name: str | None = None) -> str:
    """Return a paper's entry.

    Args:
        paper: The paper.
        name: The entry's key; by default :func:`key`.
    """
    fields: list[tuple[str, str]] = [("title", f"{{{_title(paper.title)}}}")]
    names = _names(paper)
    if names:
        fields.append(("author", " and ".join(_name(n) for n in names)))
    year = _year(paper)
    if year:
        fields.append(("year", str(year)))
    if paper.arxiv_id:
        fields += [("eprint", escape(paper.arxiv_id)), ("archivePrefix", "arXiv")]
        primary = paper.categories.split(" ")[0]
        if primary:
            fields.append(("primaryClass", escape(primary)))
    if paper.journal_ref:
        fields.append(("note", escape(mathematics.plain(paper.journal_ref))))
    if paper.doi:
        fields.append(("doi", _address(paper.doi)))
    if paper.arxiv_id:
        fields.append(("url", f"https://arxiv.org/abs/{_address(paper.arxiv_id)}"))
    body = ",\n".join(f"  {field} = {{{value}}}" for field, value in fields)
    return f"@misc{{{name or key(paper)},\n{body}\n}}\n"


def entries(papers: Iterable[Paper]) -> str:
    """Return the entries of papers, with keys that are unique among them (``…a``, ``…b`` behind the first)."""
    seen: dict[str, int] = {}
    made = []
    for paper in papers:
        base = key(paper)
        seen[base] = seen.get(base, 0) + 1
        made.append(entry(paper, base if seen[base] == 1 else f"{base}{_letters(seen[base] - 2)}"))
    return "\n".join(made)


def _letters(number: int) -> str:
    last = chr(ord("a") + number % 26)
    return last if number < 26 else _letters(number // 26 - 1) + last


def _title(title: str) -> str:
    parts = []
    for part in mathematics.segments(title):
        formula = part.kind in ("inline", "display")
        if formula and _balanced(part.body) and not _FORBIDDEN.search(part.body):
            parts.append(f"${part.body}$")
        elif part.kind == "text":
            lead = " " if part.body[:1].isspace() else ""
            tail = " " if part.body[-1:].isspace() and part.body.strip() else ""
            parts.append(f"{lead}{escape(mathematics.plain(part.body))}{tail}")
        else:
            parts.append(escape(part.raw))
    return "".join(parts)


def _balanced(tex: str) -> bool:
    depth = 0
    for match in re.finditer(r"\\.|[{}%]|\\$", tex, re.DOTALL):
        if match[0] in ("%", "\\"):
            return False
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth < 0:
            return False
    return depth == 0


def _names(paper: Paper) -> list[str]:
    return [name for name in paper.authors_text.split("; ") if name.strip()]


def _name(name: str) -> str:
    # A name with "and" or a comma in it would be read as two, or turned round.
    shown = escape(mathematics.plain(name))
    return f"{{{shown}}}" if re.search(r"\band\b|,", shown, re.IGNORECASE) else shown


def _family_name(name: str) -> str:
    plain = mathematics.plain(name)
    return plain.split(",")[0] if "," in plain else (plain.split() or [""])[-1]


def _year(paper: Paper) -> int | None:
    return paper.published_on.year if paper.published_on else paper.year


def _address(text: str) -> str:
    return re.sub(r"[{}\\%#\s]", lambda m: "".join(f"\\%{b:02X}" for b in m[0].encode()), text)


def _ascii(text: str) -> str:
    spelt = (
        text.casefold()
        .replace("ß", "ss")
        .replace("ø", "o")
        .replace("ł", "l")
        .replace("æ", "ae")
        .replace("œ", "oe")
    )
    plain = unicodedata.normalize("NFKD", spelt)
    return "".join(ch for ch in plain if ch.isascii() and ch.isalnum())
