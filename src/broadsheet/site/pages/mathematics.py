r"""Foreign text as HTML: mathematics as MathML, TeX mark-up as letters, addresses as links, all else escaped.

Titles and abstracts come from outside and are hostile until shown otherwise. Everything is escaped; what
latex2mathml makes of a formula passes an allowlist of MathML; what cannot be read is shown as it was written.
"""

from __future__ import annotations

import functools
import itertools
import logging
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from latex2mathml.converter import convert
from pylatexenc import latex2text, latexwalker, macrospec

__all__ = ["Segment", "clip", "plain", "render", "segments"]

LONGEST_FORMULA = 1500
"""Characters of TeX beyond which a formula is shown as it was written."""
_LONGEST_TEXT = 20_000
_MOST_FORMULAS = 100
# It warns of every hostile formula; what it cannot read we show as it was written.
logging.getLogger("pylatexenc").setLevel(logging.CRITICAL)

_MATHML = {
    "math", "mi", "mn", "mo", "mtext", "mspace", "mrow", "mfrac", "msqrt", "mroot", "mstyle", "mpadded", "mphantom",
    "msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mtable", "mtr", "mtd", "mfenced",
}  # fmt: skip
_MATHML_ATTRIBUTES = {
    "math": {"display"},
    "mi": {"mathvariant"},
    "mo": {"stretchy", "fence", "separator", "lspace", "rspace", "form", "largeop", "movablelimits"},
    "mspace": {"width"},
    "mfrac": {"linethickness"},
    "mover": {"accent"},
    "munder": {"accentunder"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mtable": {"columnalign", "rowspacing", "columnspacing"},
}

# A dollar opens a formula only before something, and closes it only after something and not before a digit:
# "from $3 to $5" is money.
_FORMULA = re.compile(
    r"""(?<!\\)\$\$(?P<display>.+?)(?<!\\)\$\$
      | (?<!\\)\\\[(?P<bracket>.+?)\\\]
      | (?<!\\)\\\((?P<paren>.+?)\\\)
      | (?<!\\)\$(?P<dollar>(?![\s$])(?:[^$\\]|\\.)*?(?<!\s))\$(?!\d)""",
    re.VERBOSE | re.DOTALL,
)
_NAMED_LINK = re.compile(r"\\(?:href|hyperlink)\s*\{\s*(https?://[^\s{}]*)\s*\}\s*\{([^{}]*)\}")
_PLAIN_LINK = re.compile(r"\\url\s*\{\s*(https?://[^\s{}]*)\s*\}")
_ADDRESS = re.compile(r"https?://[^\s<>\"“”{}|^`\\]+(?:\\[%_#&~$][^\s<>\"“”{}|^`\\]*)*", re.IGNORECASE)
_AFTER_ADDRESS = ".,;:!?'’*"
_MARKUP = re.compile(r"[\\~`{}]|--|''")
_TILDE = re.compile(r"(?<=[A-Za-z.,;:)}\]])~(?=[A-Za-z0-9\\(\[]|$)")
_RANGE = re.compile(r"\d[\w.]*~\d")
_APOSTROPHE = re.compile(r"(?<=[A-Za-z])\\'(?=s\b)")
_SPECIAL = re.compile(r"(?<!\\)[%&#$^_]")

# Most titles and names hold none of these, and need no reading.
_ANY_SIGN = re.compile(r"[\\$~`{}\ue000-\uf8ff]|--|''|https?:", re.IGNORECASE)
_FUNCTION = re.compile(r"<mi>(log|ln|exp|sin|cos|tan|min|max|arg|det|dim|inf|sup|lim|Pr|tanh)</mi>")

# Emphasis passes pylatexenc as letters of the private use area, and foreign ones are dropped beforehand.
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_TAGS = {
    "\ue000": "<em>", "\ue001": "</em>", "\ue002": "<strong>", "\ue003": "</strong>", "\ue004": "<code>",
    "\ue005": "</code>", "\ue006": "<sup>", "\ue007": "</sup>", "\ue008": "<sub>", "\ue009": "</sub>",
}  # fmt: skip
_MARKED = {
    "emph": "\ue000\ue001", "textit": "\ue000\ue001", "textsl": "\ue000\ue001", "textbf": "\ue002\ue003",
    "texttt": "\ue004\ue005", "textsuperscript": "\ue006\ue007", "textsubscript": "\ue008\ue009",
    "textsc": "", "textrm": "", "textsf": "", "underline": "", "mbox": "", "text": "",
}  # fmt: skip
_DROPPED = (
    "cite",
    "citep",
    "citet",
    "label",
    "ref",
    "vspace",
    "hspace",
    "newcommand",
    "input",
    "include",
    "em",
    "it",
    "bf",
    "tt",
    "sc",
    "sf",
    "rm",
    "sl",
    "small",
    "large",
    "centering",
    "noindent",
    "xspace",
)


@dataclass(frozen=True)
class Segment:
    """A stretch of text of one kind.

    Args:
        kind: ``text``, ``inline`` or ``display`` (a formula), or ``link``.
        raw: What was written, delimiters included.
        body: The formula's TeX, the link's address, or the text.
    """

    kind: Literal["text", "inline", "display", "link"]
    raw: str
    body: str


def segments(text: str) -> list[Segment]:
    r"""Split text into formulas, addresses and what stands between them; joined, ``raw`` gives the text again.

    Example:
        >>> [(s.kind, s.body) for s in segments("Cost $n^2$, from \\$3 to 5 $")]
        [('text', 'Cost '), ('inline', 'n^2'), ('text', ', from \\$3 to 5 $')]
    """
    found: list[Segment] = []
    end = 0
    for match in itertools.islice(_FORMULA.finditer(text), _MOST_FORMULAS):
        _add_text(found, text[end : match.start()])
        display = match["display"] or match["bracket"]
        body = display or match["paren"] or match["dollar"]
        found.append(Segment("display" if display else "inline", match[0], body))
        end = match.end()
    _add_text(found, text[end:])
    return found


def _add_text(found: list[Segment], text: str) -> None:
    end = 0
    for match in _ADDRESS.finditer(text):
        shown = match[0].rstrip(_AFTER_ADDRESS)
        # A closing bracket belongs to the sentence unless the address opened it.
        while shown.endswith((")", "]")) and shown.count(shown[-1]) > shown.count(
            {")": "(", "]": "["}[shown[-1]]
        ):
            shown = shown[:-1].rstrip(_AFTER_ADDRESS)
        if len(shown) < len("http://a.b"):
            continue
        if match.start() > end:
            found.append(Segment("text", text[end : match.start()], text[end : match.start()]))
        found.append(Segment("link", shown, re.sub(r"\\([%_#&~$])", r"\1", shown)))
        end = match.start() + len(shown)
    if text[end:]:
        found.append(Segment("text", text[end:], text[end:]))


@functools.lru_cache(maxsize=4096)
def render(text: str, *, links: bool = True) -> SafeString:
    r"""Return text as safe HTML.

    Args:
        text: Title, abstract or claim as its source wrote it; any text whatever.
        links: Whether addresses become links.

    Returns:
        HTML that holds text, ``em``, ``strong``, ``code``, ``sup``, ``sub``, ``a`` and MathML only.

    Example:
        >>> print(render(r"Fr\'echet <b> in \emph{time}"))
        Fréchet &lt;b&gt; in <em>time</em>
    """
    if not _ANY_SIGN.search(text):
        return escape(text)
    parts = []
    for part in segments(_prepare(text)):
        if part.kind == "text":
            parts.append(_tagged(escape(_letters(part.body))))
        elif part.kind == "link":
            shown = escape(part.body)
            parts.append(
                f'<a href="{shown}" rel="nofollow noopener noreferrer">{shown}</a>' if links else shown
            )
        else:
            parts.append(_formula(part))
    return mark_safe("".join(parts))


@functools.lru_cache(maxsize=4096)
def plain(text: str) -> str:
    r"""Return text without TeX mark-up, for a window's title or a list in plain text. Not escaped.

    Example:
        >>> plain(r"The $\alpha$ of Erd\H{o}s, 5\% of $O(n^2)$")
        'The α of Erdős, 5% of O(n^2)'
    """
    if not _ANY_SIGN.search(text):
        return " ".join(text.split())
    parts = []
    for part in segments(_prepare(text)):
        if part.kind == "text":
            parts.append(_letters(part.body))
        elif part.kind == "link":
            parts.append(part.body)
        else:
            parts.append(_formula_in_letters(part))
    return " ".join(_PRIVATE.sub("", "".join(parts)).split())


def clip(text: str, limit: int) -> str:
    """Return the beginning of a text, cut behind a sentence or a word and never inside a formula.

    Args:
        text: Text with TeX.
        limit: Characters to keep at most, > 0.

    Example:
        >>> clip("One sentence. Another $a + b$ one.", 22), clip("Short.", 22)
        ('One sentence.', 'Short.')
    """
    if len(text) <= limit:
        return text
    beginning = text[: limit + 400]
    kept = "" if _ANY_SIGN.search(beginning) else beginning[:limit]
    for part in segments(beginning) if not kept else ():
        room = limit - len(kept)
        if len(part.raw) <= room:
            kept += part.raw
            continue
        if part.kind == "text":
            kept += part.raw[:room]
        break
    while kept.count("{") > kept.count("}"):
        kept = kept[: kept.rindex("{")].rstrip("\\abcdefghijklmnopqrstuvwxyz")
    sentence = max(kept.rfind(". "), kept.rfind("? "), kept.rfind("! "))
    if sentence >= 0.4 * limit:
        return kept[: sentence + 1]
    words = kept.rsplit(" ", 1)[0] if " " in kept else kept
    return words.rstrip(" ,;:.") + " …"


def _prepare(text: str) -> str:
    text = _PRIVATE.sub("", text)
    if "\\" in text:
        text = _NAMED_LINK.sub(_link_in_words, text)
        text = _PLAIN_LINK.sub(r"\1", text)
    return text


def _link_in_words(match: re.Match[str]) -> str:
    address, words = match[1], match[2].strip()
    return address if not words or "://" in words or words in address else f"{words} ({address})"


def _tagged(escaped: str) -> str:
    if not _PRIVATE.search(escaped):
        return escaped
    return _PRIVATE.sub(lambda m: _TAGS.get(m[0], ""), escaped)


def _formula(part: Segment) -> str:
    if len(part.body) > LONGEST_FORMULA:
        return escape(part.raw)
    try:
        made = convert(
            part.body.replace(r"\sim", " ∼ "), display="block" if part.kind == "display" else "inline"
        )
    except Exception:  # a formula nobody can read, RecursionError included, is shown as it was written
        return escape(part.raw)
    # The converter sets functions as letters, without the space that tells "n log n" from "nlogn".
    made = _FUNCTION.sub(r'<mo lspace="0.17em" rspace="0.17em">\1</mo>', made)
    safe = nh3.clean(
        made, tags=_MATHML, attributes=_MATHML_ATTRIBUTES, clean_content_tags={"script", "style"}
    )
    return safe if safe.startswith("<math") and safe.endswith("</math>") else escape(part.raw)


def _formula_in_letters(part: Segment) -> str:
    if len(part.body) > LONGEST_FORMULA:
        return part.raw
    try:
        made: str = _translator(marks=False).latex_to_text(f"${part.body}$", tolerant_parsing=True)
    except Exception:
        return part.raw
    return unicodedata.normalize("NFKC", made)  # a script O is an O in a window's title


def _letters(text: str) -> str:
    """Turn the TeX of running text into letters; text without any passes as it is."""
    # An environment that is not closed, or in a formula that is not, would vanish with what it holds.
    if not _MARKUP.search(text) or len(text) > _LONGEST_TEXT or _is_torn(text):
        return text
    lead, tail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    source = _APOSTROPHE.sub("’", text.strip())
    # In running text "about ~5" and "1M~60M" mean the sign; "Section~2" means a space that does not break.
    source = _RANGE.sub(lambda m: m[0].replace("~", "\ue020"), source)
    source = _TILDE.sub("\ue021", source)
    source = re.sub(r"(?<!\\)~", "\ue020", source)
    if re.search(r"[\\`{}]|--|''", source):
        # Outside formulas these are mostly meant as themselves, though TeX would not read them so.
        source = _SPECIAL.sub(lambda m: chr(0xE030 + ord(m[0])), source)
        try:
            source = _translator(marks=True).latex_to_text(source, tolerant_parsing=True)
        except Exception:  # hostile nesting ends in RecursionError, and the library raises much else
            return text
    source = re.sub("[\ue050-\ue0af]", lambda m: chr(ord(m[0]) - 0xE030), source)
    source = re.sub("  +", " ", source).strip().replace("\ue020", "~").replace("\ue021", "\u00a0")
    return f"{lead}{source}{tail}"


def _is_torn(text: str) -> bool:
    return text.count("\\begin{") != text.count("\\end{")


def _mark(pair: str) -> Callable[..., str]:
    first, last = (pair[0], pair[1]) if pair else ("", "")

    def replace(node: Any, l2tobj: latex2text.LatexNodes2Text) -> str:
        if not node.nodeargd or not node.nodeargd.argnlist:
            return ""
        inner = l2tobj.nodelist_to_text([node.nodeargd.argnlist[-1]])
        return f"{first}{inner}{last}" if inner else ""

    return replace


def _unknown(node: Any) -> str:
    """Show an author's own macro by its name: dropping it would tear a hole into the sentence."""
    return f"{node.macroname} " if node.macro_post_space else str(node.macroname)


@functools.lru_cache(maxsize=2)
def _translator(*, marks: bool) -> latex2text.LatexNodes2Text:
    walker = latexwalker.get_default_latex_context_db()
    walker.add_context_category(
        "broadsheet",
        prepend=True,
        macros=[macrospec.MacroSpec(name, "{") for name in _MARKED]
        + [macrospec.MacroSpec("footnote", "{"), macrospec.MacroSpec("input", "{")],
    )
    context = latex2text.get_default_latex_context_db()
    context.add_context_category(
        "broadsheet",
        prepend=True,
        macros=[
            latex2text.MacroTextSpec(m, simplify_repl=_mark(p if marks else "")) for m, p in _MARKED.items()
        ]
        + [latex2text.MacroTextSpec("footnote", simplify_repl=" (%s)")]
        + [latex2text.MacroTextSpec(name, simplify_repl="") for name in _DROPPED],
    )
    context.set_unknown_macro_spec(latex2text.MacroTextSpec("", simplify_repl=_unknown))

    class Translator(latex2text.LatexNodes2Text):  # type: ignore[misc]
        def latex_to_text(self, latex: str, **parse_flags: Any) -> str:
            reader = latexwalker.LatexWalker(latex, latex_context=walker, **parse_flags)
            return str(self.nodelist_to_text(reader.get_latex_nodes()[0]))

    return Translator(latex_context=context, math_mode="text", keep_comments=True, strict_latex_spaces=True)
