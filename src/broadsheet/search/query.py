"""What a person types, taken apart: words, phrases, fields, words that must not occur.

Whatever is typed is a query. Its words reach FTS5 only between quotes, so there is no syntax to get wrong.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from broadsheet.search.schema import spell_out

__all__ = ["FIELDS", "Condition", "Field", "Query", "Term", "expression", "parse"]

_MOST_CHARACTERS = 1_000
_MOST_TERMS = 32
_FIRST_YEAR = 1900
_LEAST_PREFIX = 3
# A minus, a field's name, and a phrase (its closing quote may be missing) or a word.
_UNIT = re.compile(r"""(?P<minus>-)?(?:(?P<field>[A-Za-z]+):)?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))""")
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»＂", '"') | dict.fromkeys("‐‑‒–−", "-"))
_YEARS = re.compile(r"(?P<from>\d{4})?(?P<dots>\.\.|-)?(?P<to>\d{4})?")
_BOUND = re.compile(r"(?P<sign>>=|<=|>|<|=)(?P<year>\d{4})")
_ID_VERSION = re.compile(r"(?<=\d)v\d+$")
# An arXiv id wherever it stands: by itself, or in an address that was pasted.
_PASTED_ID = re.compile(r"(?:.*[/:])?(\d{4}\.\d{4,5})(?:v\d+)?(?:\.pdf)?")

# Words that are left out of a search unless nothing else was typed. Stems count: "using" goes with "use".
# fmt: off
STOP_WORDS = frozenset([
    "a", "about", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "being", "between", "both",
    "but", "by", "can", "could", "did", "do", "does", "doing", "each", "for", "from", "get", "give", "given", "had",
    "has", "have", "having", "how", "however", "i", "if", "in", "into", "is", "it", "its", "itself", "just", "like",
    "made", "make", "many", "may", "me", "might", "more", "most", "much", "must", "my", "no", "nor", "not", "of", "on",
    "one", "only", "or", "other", "our", "out", "over", "own", "same", "should", "so", "some", "such", "than", "that",
    "the", "their", "them", "then", "there", "these", "they", "this", "those", "through", "to", "too", "under", "up",
    "upon", "us", "use", "used", "uses", "using", "very", "via", "was", "we", "well", "were", "what", "when", "where",
    "whether", "which", "while", "who", "whom", "whose", "why", "will", "with", "within", "without", "would", "you",
    "your",
])
# fmt: on


@dataclass(frozen=True)
class Term:
    """A word or phrase that must occur, or must not.

    Args:
        text: As it was typed, and spelt as the index spells it.
        columns: Columns in which it is looked for; empty for all of them.
        is_phrase: Whether it stood between quotes.
        is_negated: Whether it must not occur.
        is_prefix: Whether it may be the beginning of a longer word.
        alternatives: Further texts, one of which is enough.
    """

    text: str
    columns: tuple[str, ...] = ()
    is_phrase: bool = False
    is_negated: bool = False
    is_prefix: bool = False
    alternatives: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether it is a word like any other: one that a paper may lack and still be worth showing."""
        return not (self.columns or self.is_phrase or self.is_negated)


@dataclass(frozen=True)
class Condition:
    """A field that is no text, such as ``has:code``: who knows the tables turns it into a condition.

    Args:
        field: Name of the field.
        value: What was typed after the colon.
        is_negated: Whether it must not hold.
    """

    field: str
    value: str
    is_negated: bool = False


@dataclass(frozen=True)
class Query:
    """A search taken apart.

    Args:
        text: What was typed.
        terms: Its words and phrases, in order.
        conditions: Its fields that are no text.
        notes: What in it could not be understood as it was meant, in sentences.
    """

    text: str
    terms: tuple[Term, ...] = ()
    conditions: tuple[Condition, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[Term, ...]:
        """The terms that must occur; stop words only where there is nothing else."""
        wanted = [t for t in self.terms if not t.is_negated]
        telling = tuple(t for t in wanted if not (t.is_plain and t.text.lower() in STOP_WORDS))
        return telling or tuple(wanted)

    @property
    def unwanted(self) -> tuple[Term, ...]:
        """The terms that must not occur."""
        return tuple(t for t in self.terms if t.is_negated)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed that a paper could match: a search needs one word that occurs."""
        return not self.wanted


@dataclass(frozen=True)
class Field:
    """What a field means.

    Args:
        columns: The columns in which its value is looked for; none makes it a :class:`Condition`.
        texts: Turns the value into the texts, one of which must stand there; None refuses the value, which then
            is a plain word.
    """

    columns: tuple[str, ...] = ()
    texts: Callable[[str], tuple[str, ...] | None] = lambda value: (value,)


def _year_texts(value: str) -> tuple[str, ...] | None:
    last = dt.datetime.now(dt.UTC).year + 1
    low, high = _FIRST_YEAR, last
    if bound := _BOUND.fullmatch(value):
        year = int(bound["year"])
        sign = bound["sign"]
        if sign in (">=", ">", "="):
            low = year + (sign == ">")
        if sign in ("<=", "<", "="):
            high = year - (sign == "<")
    elif (years := _YEARS.fullmatch(value)) and (years["from"] or years["to"]):
        low = int(years["from"] or low)
        high = int(years["to"] or (high if years["dots"] else low))
        if not years["dots"] and years["to"] and years["from"]:
            return None
        low, high = min(low, high), max(low, high)
    else:
        return None
    return tuple(f"y{y}" for y in range(max(low, _FIRST_YEAR), min(high, last) + 1)) or ("y0",)


def _category_texts(value: str) -> tuple[str, ...]:
    return (re.sub(r"[.-]", "x", value.rstrip("*.").lower()),)


def _id_texts(value: str) -> tuple[str, ...]:
    return (_ID_VERSION.sub("", value.lower().rpartition("arxiv:")[2]),)


FIELDS: Mapping[str, Field] = {
    "title": Field(("title",)),
    "author": Field(("authors_text",)),
    "org": Field(("organisation_text",)),
    "cat": Field(("categories",), _category_texts),
    "id": Field(("arxiv_id",), _id_texts),
    "arxiv": Field(("arxiv_id",), _id_texts),
    "year": Field(("year",), _year_texts),
}
"""The fields of a paper's index; a mapping with more of them may be handed to :func:`parse`."""


def parse(text: str, *, fields: Mapping[str, Field] = FIELDS, prefix: bool = False) -> Query:
    """Take apart what a person typed.

    Args:
        text: Anything. Words must all occur; ``"words in quotes"`` side by side; ``-word`` must not occur;
            ``field:value`` looks in one field. A field that is not known is a word like any other.
        fields: The fields that are known.
        prefix: Whether the last word, being typed still, may be the beginning of a longer one.

    Returns:
        The query; empty where nothing in it can be looked for.

    Example:
        >>> [t.text for t in parse('scaling -vision year:2024..2025 "power law"').wanted]
        ['scaling', 'y2024', 'power law']
    """
    kept = "".join(ch if _is_storable(ch) else " " for ch in text[:_MOST_CHARACTERS])
    terms: list[Term] = []
    conditions: list[Condition] = []
    notes: list[str] = []
    for unit in _UNIT.finditer(kept.translate(_QUOTES)):
        if len(terms) + len(conditions) == _MOST_TERMS:
            break
        read = _read(unit, fields)
        if isinstance(read, Condition):
            conditions.append(read)
        elif read is not None:
            terms.append(read)
        if note := _note(unit, read, fields):
            notes.append(note)
    if terms and all(term.is_negated for term in terms):
        notes.append("A word after a minus only takes papers away: name one that they must have.")
    if prefix and terms and not text[-1:].isspace():
        last = terms[-1]
        if (
            not last.is_phrase
            and len(last.text) >= _LEAST_PREFIX
            and last.text[-1].isalnum()
            and not last.alternatives
        ):
            terms[-1] = Term(last.text, last.columns, is_negated=last.is_negated, is_prefix=True)
    return Query(text, tuple(terms), tuple(conditions), tuple(dict.fromkeys(notes)))


def _note(unit: re.Match[str], read: Term | Condition | None, fields: Mapping[str, Field]) -> str:
    """Return what must be said of a part of a search that did not become what it looks like, or ""."""
    typed, name = unit[0], (unit["field"] or "").lower()
    is_in_field = isinstance(read, Condition) or (read is not None and bool(read.columns))
    bare = typed.lstrip("-").removesuffix(":").lower()
    if typed.endswith(":") and bare in fields:
        return f"{typed} needs a word right after the colon, without a space."
    if name == "year" and name in fields and not is_in_field:
        return f"{typed} names no year: write year:2024, year:2024..2025 or year:>=2024."
    if name in fields and not is_in_field:
        return f"{typed} names nothing that can be looked for in that field."
    # The colon of an address is no field's.
    if name and name not in fields and not is_in_field and not (unit["word"] or "").startswith("//"):
        return (
            f"There is no field {name}:, so {typed} was looked for as words; fields are {', '.join(fields)}."
        )
    return f"{typed} has no letter and no digit to look for." if read is None else ""


def _read(unit: re.Match[str], fields: Mapping[str, Field]) -> Term | Condition | None:
    is_phrase = unit["phrase"] is not None
    # As it was typed: SQLite folds letters by tables of its own, which are older than Python's.
    value = unit["phrase"] if is_phrase else unit["word"]
    negated = unit["minus"] is not None
    name = (unit["field"] or "").lower()
    field = fields.get(name)
    if field is not None and not field.columns:
        return Condition(name, value.lower(), negated) if value.strip() else None
    if field is not None and (texts := field.texts(value)) and all(map(_has_words, texts)):
        spelt = tuple(map(spell_out, texts))
        return Term(spelt[0], field.columns, is_phrase, negated, alternatives=spelt[1:])
    if name and not is_phrase:
        value = f"{name}:{value}"
    if "id" in fields and not is_phrase and (pasted := _PASTED_ID.fullmatch(value)):
        return Term(pasted[1], fields["id"].columns, is_negated=negated)
    if not _has_words(value):
        value = name  # a colon at the end of a word
    return Term(spell_out(value), (), is_phrase, negated) if _has_words(value) else None


def _is_storable(ch: str) -> bool:
    return unicodedata.category(ch) not in ("Cc", "Cs")


def _has_words(text: str) -> bool:
    """Whether the tokeniser finds anything in the text; a text without words would match nothing at all."""
    return any(unicodedata.category(ch)[0] in "LN" for ch in text)


def expression(
    terms: tuple[Term, ...] | list[Term], operator: str = "AND", unwanted: tuple[Term, ...] = ()
) -> str:
    """Return the FTS5 expression for some terms; all text in it stands between quotes.

    Args:
        terms: At least one term.
        operator: ``AND`` or ``OR``.
        unwanted: Terms that must not occur.

    Returns:
        The expression.

    Raises:
        ValueError: if there is no term, or another operator.
    """
    if not terms:
        raise ValueError("terms must hold at least one term")
    if operator not in ("AND", "OR"):
        raise ValueError(f"operator must be AND or OR, got {operator!r}")
    wanted = f" {operator} ".join(map(_one, terms))
    if not unwanted:
        return wanted
    return f"({wanted}) NOT ({' OR '.join(map(_one, unwanted))})"


def _one(term: Term) -> str:
    star = " *" if term.is_prefix else ""
    quoted = [f"{_quoted(text)}{star}" for text in (term.text, *term.alternatives)]
    either = quoted[0] if len(quoted) == 1 else f"({' OR '.join(quoted)})"
    return f"{{{' '.join(term.columns)}}} : {either}" if term.columns else either


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
