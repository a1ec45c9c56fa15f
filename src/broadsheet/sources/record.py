"""What every source yields: one record a paper, and one problem a fault."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass

__all__ = [
    "FIRST_DAY",
    "LONGEST_ABSTRACT",
    "LONGEST_TITLE",
    "Organisation",
    "PaperRecord",
    "Problem",
    "SourceError",
    "checked",
    "title_key",
]

LONGEST_TITLE = 2_000
"""Characters of a title: far above any, far below what hurts a list that shows it."""

LONGEST_ABSTRACT = 100_000
"""Characters of an abstract; arXiv's own limit is a fiftieth of it."""

FIRST_DAY = dt.date(1900, 1, 1)
"""No paper of a source is older."""

_AHEAD = dt.timedelta(days=366)
_DAYS = ("published_on", "updated_on", "listed_on")


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation as a source names it.

    Args:
        handle: Its short name without spaces, as in a URL.
        name: Its name as people write it.
    """

    handle: str
    name: str


@dataclass(frozen=True, slots=True)
class PaperRecord:
    """One paper as one source describes it. What the source does not say is None or empty, never guessed.

    Args:
        title: Title on one line, white space collapsed; TeX is left as it is.
        source: ``saved-page``, ``arxiv-api``, ``arxiv-oai``, ``hf-daily`` or ``jsonl``.
        abstract: Abstract as the source gives it, white space collapsed; "" if absent.
        arxiv_id: Canonical arXiv id without version, always a string, or None.
        version: Version number, >= 1.
        authors: Names in order; empty if the source names none.
        author_count: Number of authors where only that is known; None if unknown.
        organisation: The organisation that the source shows.
        published_on: Day of the first version.
        updated_on: Day of this version.
        listed_on: Day of the list (the papers' day of a feed), which is not the paper's own date.
        categories: arXiv categories, the primary one first.
        comment: The authors' comment on arXiv.
        journal_ref: Journal reference.
        doi: DOI without resolver.
        project_page: URL of the project.
        code_url: URL of the code.
        comments_at_save: Number of comments when the page was saved; never votes.
        upvotes: Votes at the source.
        withdrawn: Whether the source says that the paper is withdrawn or deleted.
        line: Line of the file on which the record begins, counted from 1.
    """

    title: str
    source: str
    abstract: str = ""
    arxiv_id: str | None = None
    version: int | None = None
    authors: tuple[str, ...] = ()
    author_count: int | None = None
    organisation: Organisation | None = None
    published_on: dt.date | None = None
    updated_on: dt.date | None = None
    listed_on: dt.date | None = None
    categories: tuple[str, ...] = ()
    comment: str = ""
    journal_ref: str = ""
    doi: str = ""
    project_page: str = ""
    code_url: str = ""
    comments_at_save: int | None = None
    upvotes: int | None = None
    withdrawn: bool = False
    line: int | None = None


def checked(record: PaperRecord, today: dt.date | None = None) -> PaperRecord:
    """Return a record as it is, if its texts and days are such as a paper can have.

    Args:
        record: A record of any source.
        today: The current day; None asks the clock.

    Raises:
        ValueError: If the title or the abstract is too long, or a day lies before 1900 or more than a year ahead.

    Example:
        >>> checked(PaperRecord("A title", "jsonl", listed_on=dt.date(9999, 12, 31)))
        Traceback (most recent call last):
        ...
        ValueError: expected listed_on from 1900-01-01 to at most a year ahead, got 9999-12-31
    """
    for name, most in (("title", LONGEST_TITLE), ("abstract", LONGEST_ABSTRACT)):
        length = len(getattr(record, name))
        if length > most:
            raise ValueError(f"expected {name} to have at most {most:,} characters, got {length:,}")
    for name in _DAYS:
        day = getattr(record, name)
        if day is not None and not FIRST_DAY <= _day(day) <= (today or dt.date.today()) + _AHEAD:
            raise ValueError(f"expected {name} from {FIRST_DAY} to at most a year ahead, got {_day(day)}")
    return record


def _day(moment: dt.date) -> dt.date:
    # A time is a date to Python, but cannot be compared with one.
    return moment.date() if isinstance(moment, dt.datetime) else moment


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault in what a source sent, in words for a person.

    Args:
        message: What was expected and what to do.
        line: Line number counted from 1, or None.
        found: The offending text, shortened.
        warning: True where the paper was taken all the same.
    """

    message: str
    line: int | None = None
    found: str = ""
    warning: bool = False

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else ""
        found = f" (found {self.found!r})" if self.found else ""
        return f"{where}{self.message}{found}"


class SourceError(Exception):
    """A source cannot be read at all; ``problem`` says where and why.

    Args:
        problem: The fault, or its message.
    """

    def __init__(self, problem: Problem | str) -> None:
        self.problem = problem if isinstance(problem, Problem) else Problem(problem)
        super().__init__(str(self.problem))


# Accents are one letter or one sign, type faces carry no meaning; any other command is a symbol, whose name
# stays: alpha and beta are two titles.
_TEX_MARKUP = re.compile(
    r"\\(?:[^A-Za-z]|[A-Za-z](?![A-Za-z])|(?:math|text)(?:bf|bb|cal|frak|it|md|normal|rm|sc|scr|sf|sl|tt|up)?(?![A-Za-z])"
    r"|(?:emph|mbox|operatorname|boldsymbol|bm|underline|left|right|displaystyle|ensuremath)(?![A-Za-z]))\*?"
)
_NOT_WORD = re.compile(r"[\W_]+")
# A Greek letter is the same sign as its TeX command.
_GREEK = str.maketrans(
    {chr(code): unicodedata.name(chr(code)).rsplit(" ", 1)[1].lower() for code in range(0x3B1, 0x3CA)}
    | {"λ": "lambda"}  # Unicode spells it LAMDA
)


def title_key(title: str) -> str:
    r"""Return the form of a title under which two writings of it are the same title.

    Case, accents, punctuation, white space and TeX mark-up do not count.

    Args:
        title: A title as any source writes it.

    Returns:
        Lower-case words without any space between them; "" if nothing is left.

    Example:
        >>> title_key("The $\\mathcal{O}(n)$ Law:  Erd\\H{o}s") == title_key("the O(n) law – Erdos")
        True
        >>> title_key("$\\beta$-VAE") == title_key("β-VAE")
        True
    """
    plain = _TEX_MARKUP.sub("", title) if "\\" in title else title
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain)
        plain = "".join(ch for ch in plain if not unicodedata.combining(ch)).casefold().translate(_GREEK)
    return _NOT_WORD.sub("", plain.casefold())
