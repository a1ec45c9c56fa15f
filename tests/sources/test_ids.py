"""Identifiers: what is read, what is refused, and with which reason."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broadsheet.sources.ids import ArxivId, parse_arxiv_id

THOROUGH = settings(max_examples=5000, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2401.00001", ArxivId("2401.00001")),
        ("  2401.00001v2\n", ArxivId("2401.00001", 2)),
        ("\u00a02401.00001\u00a0", ArxivId("2401.00001")),
        ("0704.0001", ArxivId("0704.0001")),
        ("1412.9999v12", ArxivId("1412.9999", 12)),
        ("1501.00001", ArxivId("1501.00001")),
        ("2503.02130", ArxivId("2503.02130")),
        ("hep-th/9901001", ArxivId("hep-th/9901001")),
        ("math.CA/0611800v2", ArxivId("math/0611800", 2)),
        ("cs.LG/0703001", ArxivId("cs/0703001")),
        ("hep-ph/9107001", ArxivId("hep-ph/9107001")),
        ("arXiv:2401.00001", ArxivId("2401.00001")),
        ("ARXIV: 2401.00001v1", ArxivId("2401.00001", 1)),
        ("arXiv:math/0611800", ArxivId("math/0611800")),
        ("https://arxiv.org/abs/2401.00001", ArxivId("2401.00001")),
        ("http://arxiv.org/abs/2401.00001v3", ArxivId("2401.00001", 3)),
        ("https://www.arxiv.org/abs/hep-th/9901001v1", ArxivId("hep-th/9901001", 1)),
        ("https://arxiv.org/pdf/2401.00001", ArxivId("2401.00001")),
        ("https://arxiv.org/pdf/2401.00001v2.pdf", ArxivId("2401.00001", 2)),
        ("https://arxiv.org/pdf/math.CA/0611800v1.pdf", ArxivId("math/0611800", 1)),
        ("https://arxiv.org/html/2401.00001v1/", ArxivId("2401.00001", 1)),
        ("https://arxiv.org/abs/2401.00001?context=cs#top", ArxivId("2401.00001")),
        ("https://export.arxiv.org/abs/2401.00001", ArxivId("2401.00001")),
        ("arxiv.org/abs/2401.00001", ArxivId("2401.00001")),
        ("https://huggingface.co/papers/2401.00001", ArxivId("2401.00001")),
        ("https://huggingface.co/papers/2401.00001.md", ArxivId("2401.00001")),
        ("HTTPS://ARXIV.ORG/abs/2401.00001", ArxivId("2401.00001")),
    ],
)
def test_every_written_form_is_read(text: str, expected: ArxivId) -> None:
    assert parse_arxiv_id(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("2401", "expected YYMM"),
        ("2401.00001v0", "version"),
        ("2401.00001v01", "version"),
        ("2401.00001v", "version"),
        ("2401.00001v99999", "version"),
        ("2401.00001V2", "expected YYMM"),
        ("2413.00001", "month"),
        ("2400.00001", "month"),
        ("0703.0001", "April 2007"),
        ("0612.0001", "April 2007"),
        ("0704.00001", "4 digits"),
        ("1412.00001", "4 digits"),
        ("1501.0001", "5 digits"),
        ("2503.0213", "last zero"),
        ("2401.000001", "4 or 5 digits"),
        ("9901001", "expected YYMM"),
        ("hep-th/0704001", "March 2007"),
        ("hep-th/9106001", "July 1991"),
        ("hep-th/9913001", "month"),
        ("hep-th/99010011", "seven digits"),
        ("HEP-TH/9901001", "small letters"),
        ("nonsense/9901001", "no archive"),
        ("math.ca/0611800", "two capital letters"),
        ("2401.0000１", "FULLWIDTH DIGIT ONE"),
        ("٢٤٠١.00001", "only the digits 0-9"),
        ("2401.00001\u202e", "RIGHT-TO-LEFT OVERRIDE"),
        ("2401\x0000001", "U\\+0000"),
        ("https://example.org/abs/2401.00001", "arxiv.org"),
        ("https://arxiv.org.example.org/abs/2401.00001", "arxiv.org"),
        ("https://user@arxiv.org/abs/2401.00001", "arxiv.org"),
        ("https://arxiv.org:8443/abs/2401.00001", "arxiv.org"),
        ("https://arxiv.org/list/cs.LG/recent", "paper's page"),
        ("https://huggingface.co/models/2401.00001", "paper's page"),
        ("https://huggingface.co/papers/date/2025-12-08", "expected YYMM"),
        ("https://[arxiv.org/abs/2401.00001", "no address"),
        ("2401.00001.pdf", "expected YYMM"),
        ("see 2401.00001", "expected YYMM"),
        ("2401.00001 2401.00002", "expected YYMM"),
        ("x" * 10_000_000, "characters long"),
    ],
)
def test_the_rest_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_arxiv_id(text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [2503.0213, 2401, None, b"2401.00001", ["2401.00001"]])
def test_an_id_that_is_no_string_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must be a string"):
        parse_arxiv_id(value)  # type: ignore[arg-type]


def test_only_canonical_ids_can_be_made() -> None:
    for wrong in ("math.CA/0611800", "2401.00001v1", " 2401.00001"):
        with pytest.raises(ValueError, match=r"arXiv id|canonical"):
            ArxivId(wrong)
    with pytest.raises(ValueError, match="version must be in"):
        ArxivId("2401.00001", 0)


def test_addresses_lead_back_to_the_id() -> None:
    for found in (ArxivId("2401.00001", 2), ArxivId("hep-th/9901001")):
        assert (
            parse_arxiv_id(found.abs_url)
            == parse_arxiv_id(found.pdf_url)
            == parse_arxiv_id(str(found))
            == found
        )
    assert ArxivId("2401.00001", 2).abs_url == "https://arxiv.org/abs/2401.00001v2"
    assert ArxivId("2401.00001").pdf_url == "https://arxiv.org/pdf/2401.00001"


def valid(number: int) -> ArxivId:
    """Spell one id out of the digits of a number: one draw is several times faster than one for each part."""
    number, old = divmod(number, 2)
    number, version = divmod(number, 10_000)
    number, month = divmod(number, 12)
    number, year = divmod(number, 100)
    date = f"{year:02}{month + 1:02}"
    if old:
        archive = ("hep-th", "math", "cond-mat", "cs", "q-bio", "astro-ph")[number % 6]
        date = date if date >= "9107" or date <= "0703" else "0001"
        return ArxivId(f"{archive}/{date}{number % 1000:03}", version or None)
    date = date if date >= "0704" else "1501"
    width = 4 if date < "1501" else 5
    return ArxivId(f"{date}.{number % 10**width:0{width}}", version or None)


FORMS = ("{}", " {} ", "arXiv:{}", "https://arxiv.org/abs/{}", "http://arxiv.org/pdf/{}.pdf")


@settings(THOROUGH, max_examples=1000)  # each in five writings
@given(st.integers(0, 10**14))
def test_every_writing_of_a_valid_id_means_that_id(number: int) -> None:
    wanted = valid(number)
    for form in FORMS:
        assert parse_arxiv_id(form.format(wanted)) == wanted


PIECES = (
    *(
        "arXiv:",
        "https://",
        "arxiv.org/",
        "abs/",
        "pdf/",
        ".pdf",
        "huggingface.co/papers/",
        ".md",
        "hep-th",
        "math.CA",
    ),
    *(
        "24",
        "01",
        "07",
        "13",
        ".",
        "00001",
        "0001",
        "9901001",
        "v",
        "2",
        "0",
        "/",
        " ",
        ":",
        "@",
        "?",
        "#",
        "[",
        "]",
        "%2F",
    ),
    *("\u0663", "\x00", "\u202e", "\ud800", "é", "\n", "²"),
)


@THOROUGH
@given(st.binary(max_size=9))
@example(b"")
def test_any_text_is_an_id_or_a_value_error(choice: bytes) -> None:
    text = "".join(PIECES[byte % len(PIECES)] for byte in choice)
    found = None
    with contextlib.suppress(ValueError):
        found = parse_arxiv_id(text)
    if found is not None:
        assert parse_arxiv_id(str(found)) == found
        assert found.id.isascii()
        assert found.id.split("/")[-1].replace(".", "").isdigit()


@given(st.text(max_size=30))
@example("https://[")
@example("arXiv:arXiv:2401.00001")
def test_any_unicode_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="arXiv id"):
        parse_arxiv_id(f"{text}é")
