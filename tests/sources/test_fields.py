"""Fields that several sources write alike."""

from __future__ import annotations

import datetime as dt

import pytest

from broadsheet.sources.fields import (
    arxiv_categories,
    day,
    http_url,
    is_withdrawn,
    mail_day,
    person_name,
    split_names,
)


def test_only_arxiv_categories_are_kept_in_order() -> None:
    terms = [
        "stat.ML",
        "cs.LG",
        "62N02",
        "I.2.7; H.3",
        "cond-mat.stat-mech",
        "astro-ph.GA",
        "quant-ph",
        "stat.ML",
        "",
        "math-ph",
    ]
    assert arxiv_categories(terms) == (
        "stat.ML",
        "cs.LG",
        "cond-mat.stat-mech",
        "astro-ph.GA",
        "quant-ph",
        "math-ph",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29", dt.date(2024, 2, 29)),
        ("2024-02-29T23:00:00Z", dt.date(2024, 2, 29)),
        ("2024-02-29T23:00:00.123Z", dt.date(2024, 2, 29)),
        ("2024-02-29T23:00:00-05:00", dt.date(2024, 3, 1)),
        ("2023-02-29", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("", None),
        ("٢٠٢٤-02-01", None),
    ],
)
def test_days_are_read_in_utc(text: str, expected: dt.date | None) -> None:
    assert day(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mon, 2 Apr 2007 19:18:42 GMT", dt.date(2007, 4, 2)),
        ("12 Dec 2020 00:00:00 GMT", dt.date(2020, 12, 12)),
        ("Mon, 30 Feb 2007 19:18:42 GMT", None),
        ("Mon, 2 Xyz 2007", None),
        ("2007-04-02", None),
    ],
)
def test_mail_dates_are_read(text: str, expected: dt.date | None) -> None:
    assert mail_day(text) == expected


def test_only_web_addresses_may_be_linked() -> None:
    assert http_url("https://example.org/~a?b=c#d") == "https://example.org/~a?b=c#d"
    for wrong in (
        "javascript:alert(1)",
        "data:text/html,x",
        "//example.org",
        "https://",
        "http://[",
        "https://a b",
        "x" * 600,
    ):
        assert http_url(wrong) == ""
    assert http_url("https://example.org/" + "x" * 600) == ""


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("This paper has been withdrawn by the authors", True),
        ("Withdrawn due to an error in Lemma 2", True),
        ("The manuscript was withdrawn", True),
        ("12 pages; supersedes a withdrawn preprint", False),
        ("", False),
    ],
)
def test_a_withdrawal_is_told_from_a_mention(comment: str, expected: bool) -> None:
    assert is_withdrawn(comment) is expected


def test_names_are_put_together_as_spoken() -> None:
    assert person_name("Doe", "J. R.", "Jr.") == "J. R. Doe Jr."
    assert person_name("Some Collaboration") == "Some Collaboration"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("A. Doe, B. Roe and C. Poe", ("A. Doe", "B. Roe", "C. Poe")),
        ("A. Doe, B. Roe, and C. Poe", ("A. Doe", "B. Roe", "C. Poe")),
        ("A. Doe (1 and 2), B. Roe (Dept. (old), City) ((1) Here, (2) There)", ("A. Doe", "B. Roe")),
        ("A. Doe, Jr., B. Roe, III", ("A. Doe Jr.", "B. Roe III")),
        ("Ferdinand de Anderson", ("Ferdinand de Anderson",)),
        ("", ()),
        ("((((((deep", ("((((((deep",)),
    ],
)
def test_an_author_line_is_split_into_names(line: str, expected: tuple[str, ...]) -> None:
    assert split_names(line) == expected
