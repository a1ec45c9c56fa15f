"""arXiv identifiers: read from whatever people paste, kept as strings."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import urlsplit

from broadsheet.sources.text import shorten

__all__ = ["ArxivId", "parse_arxiv_id"]

# The archives that took papers under the old scheme (July 1991 to March 2007).
_OLD_ARCHIVE = re.compile(
    r"acc-phys|adap-org|alg-geom|ao-sci|astro-ph|atom-ph|bayes-an|chao-dyn|chem-ph|cmp-lg"
    r"|comp-gas|cond-mat|cs|dg-ga|funct-an|gr-qc|hep-ex|hep-lat|hep-ph|hep-th|math|math-ph"
    r"|mtrl-th|nlin|nucl-ex|nucl-th|patt-sol|physics|plasm-ph|q-alg|q-bio|quant-ph|solv-int"
    r"|stat|supr-con"
)
_ARXIV_HOSTS = frozenset({"arxiv.org", "www.arxiv.org", "export.arxiv.org"})
_HF_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_LONGEST = 500  # characters; an address with a long query is still shorter
_MOST_VERSIONS = 9999

_NEW = re.compile(r"([0-9]{2})([0-9]{2})\.([0-9]+)")
_OLD = re.compile(r"([A-Za-z-]+)(?:\.([A-Za-z-]+))?/([0-9]{2})([0-9]{2})([0-9]+)")
_VERSION = re.compile(r"(?<=[0-9])v([0-9]*)\Z")
_ADDRESS = re.compile(
    r"(?:https?://|(?:[a-z]+\.)?arxiv\.org/|(?:www\.)?huggingface\.co/|hf\.co/)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ArxivId:
    """An arXiv identifier, its version kept apart.

    Args:
        id: Canonical form without version and without subject class: ``2401.00001``, ``hep-th/9901001``.
        version: Version in [1, 9999], or None where none was named.

    Raises:
        ValueError: If the id is not in canonical form or the version is out of range.

    Example:
        >>> str(ArxivId("2401.00001", 2))
        '2401.00001v2'
    """

    id: str
    version: int | None = None

    def __post_init__(self) -> None:
        if _canonical(self.id) != self.id:
            raise ValueError(f"{shorten(self.id)!r} is not in canonical form; use parse_arxiv_id")
        if self.version is not None and not 1 <= self.version <= _MOST_VERSIONS:
            raise ValueError(f"version must be in [1, {_MOST_VERSIONS}], got {self.version}")

    def __str__(self) -> str:
        return self.id if self.version is None else f"{self.id}v{self.version}"

    @property
    def abs_url(self) -> str:
        """The address of the abstract page on arXiv; of this version, if one is named."""
        return f"https://arxiv.org/abs/{self}"

    @property
    def pdf_url(self) -> str:
        """The address of the PDF on arXiv; of this version, if one is named."""
        return f"https://arxiv.org/pdf/{self}"


def parse_arxiv_id(text: str) -> ArxivId:
    """Read an arXiv identifier from an id, an ``arXiv:`` reference or an address.

    Taken are ids of both schemes with or without version, the prefix ``arXiv:``, addresses of abstract, PDF and
    HTML pages on arXiv, and of paper pages on Hugging Face; space around is ignored.

    Args:
        text: What somebody typed or pasted.

    Returns:
        The id in canonical form, and the version where one is named.

    Raises:
        ValueError: If it is no arXiv identifier, with the reason.

    Source:
        arXiv help pages, "Understanding the arXiv identifier".

    Example:
        >>> parse_arxiv_id("https://arxiv.org/pdf/2401.00001v2.pdf")
        ArxivId(id='2401.00001', version=2)
        >>> parse_arxiv_id("math.CA/0611800").id
        'math/0611800'
    """
    if not isinstance(text, str):
        raise ValueError(
            f"an arXiv id must be a string, got {type(text).__name__} {shorten(repr(text), 40)}: "
            "read as a number it loses its last zero"
        )
    bare = text.strip()
    if not bare:
        raise ValueError("an arXiv id is missing: the text is empty")
    if len(bare) > _LONGEST:
        raise ValueError(f"{shorten(bare, 40)!r} is no arXiv id: it is {len(bare):,} characters long")
    _refuse_foreign_letters(bare)
    if _ADDRESS.match(bare):
        bare = _from_address(bare)
    elif bare[:6].lower() == "arxiv:":
        bare = bare[6:].lstrip(" ")
    version = None
    found = _VERSION.search(bare)
    if found:
        version = _version(found[1], bare)
        bare = bare[: found.start()]
    return ArxivId(_canonical(bare), version)


def _refuse_foreign_letters(text: str) -> None:
    if text.isascii() and text.isprintable():
        return
    for character in text:
        if not "!" <= character <= "~" and character != " ":
            name = unicodedata.name(character, f"U+{ord(character):04X}")
            kind = (
                "only the digits 0-9 count" if character.isdigit() else "only ASCII letters and digits count"
            )
            raise ValueError(f"{shorten(text, 40)!r} is no arXiv id: it holds the character {name}; {kind}")


def _version(digits: str, text: str) -> int:
    if not digits or digits[0] == "0" or len(digits) > len(str(_MOST_VERSIONS)):
        raise ValueError(
            f"{shorten(text, 40)!r}: a version is 'v' and a number from 1 to {_MOST_VERSIONS} without leading zero"
        )
    return int(digits)


def _from_address(text: str) -> str:
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise ValueError(f"{shorten(text)!r} is no address: {error}") from error
    if port is not None or "@" in parts.netloc or host not in _ARXIV_HOSTS | _HF_HOSTS:
        raise ValueError(f"{shorten(text)!r} is not an address on arxiv.org or huggingface.co/papers")
    kind, _, rest = parts.path.strip("/").partition("/")
    if host in _HF_HOSTS and kind == "papers":
        return rest.removesuffix(".md")
    if host in _ARXIV_HOSTS and kind in {"abs", "pdf", "html"}:
        return rest.removesuffix(".pdf") if kind == "pdf" else rest
    raise ValueError(
        f"{shorten(text)!r} is not a paper's page: expected arxiv.org/abs/ID, /pdf/ID or /html/ID, "
        "or huggingface.co/papers/ID"
    )


def _canonical(bare: str) -> str:
    """Return the canonical id without version, or raise ValueError with the reason."""
    new = _NEW.fullmatch(bare)
    if new:
        _check_new(bare, *new.groups())
        return bare
    old = _OLD.fullmatch(bare)
    if old:
        archive, subject, year, month, number = old.groups()
        _check_old(bare, archive, subject, year + month, number)
        return f"{archive}/{year}{month}{number}"
    raise ValueError(
        f"{shorten(bare, 40)!r} is no arXiv id: expected YYMM.NNNNN such as 2401.00001, or archive/YYMMNNN such as "
        "hep-th/9901001"
    )


def _check_month(text: str, month: str) -> None:
    if not "01" <= month <= "12":
        raise ValueError(f"{text!r} is no arXiv id: the month must be 01 to 12, got {month}")


def _check_new(text: str, year: str, month: str, number: str) -> None:
    if len(number) > 5:
        raise ValueError(
            f"{shorten(text, 40)!r} is no arXiv id: the number after the point has 4 or 5 digits"
        )
    _check_month(text, month)
    if year + month < "0704":
        raise ValueError(f"{text!r} is no arXiv id: ids of this form begin with April 2007 (0704)")
    digits = 4 if year < "15" else 5
    if len(number) != digits:
        since = "until December 2014 (1412)" if digits == 4 else "since January 2015 (1501)"
        hint = "; was it read as a number, which loses the last zero?" if len(number) < digits else ""
        raise ValueError(
            f"{text!r} is no arXiv id: {since} the number after the point has {digits} digits, got {len(number)}{hint}"
        )


def _check_old(text: str, archive: str, subject: str | None, date: str, number: str) -> None:
    if not _OLD_ARCHIVE.fullmatch(archive):
        hint = "; archives are written in small letters" if _OLD_ARCHIVE.fullmatch(archive.lower()) else ""
        raise ValueError(
            f"{shorten(text, 40)!r} is no arXiv id: there was no archive {shorten(archive, 20)!r}{hint}"
        )
    if subject is not None and not (len(subject) == 2 and subject.isupper()):
        raise ValueError(
            f"{shorten(text, 40)!r} is no arXiv id: "
            f"a subject class has two capital letters, got {shorten(subject, 20)!r}"
        )
    if len(number) != 3:
        raise ValueError(
            f"{shorten(text, 40)!r} is no arXiv id: expected seven digits, YYMMNNN, after the slash"
        )
    _check_month(text, date[2:])
    if not (date >= "9107" or date <= "0703"):
        raise ValueError(
            f"{text!r} is no arXiv id: ids of this form run from July 1991 (9107) to March 2007 (0703)"
        )
