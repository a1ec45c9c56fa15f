"""Records, faults, and when two titles are one."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.sources.record import PaperRecord, Problem, SourceError, checked, title_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A Law of Things", "a law of  things."),
        ("Law -- a study", "Law – A Study"),
        (r"The $\mathcal{O}(n)$ Bound", "the o(n) bound"),
        (r"Erd\H{o}s and Poincar\'e", "Erdos and Poincaré"),
        (r"$\beta$-VAE", "β-VAE"),
        (r"$\lambda$ calculus", "λ Calculus"),
        (r"\emph{Very} \textbf{bold}", "Very bold"),
        ("Ｆｕｌｌ width", "full WIDTH"),
        ("STRASSE", "Straße"),
        ("Why? Because: 'so'", "Why because so"),
    ],
)
def test_writings_of_one_title_share_a_key(one: str, other: str) -> None:
    assert title_key(one) == title_key(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"$\alpha$ rules", r"$\beta$ rules"),
        ("Part I", "Part II"),
        ("α rules", "β rules"),
        ("GPT-3", "GPT-4"),
    ],
)
def test_different_titles_have_different_keys(one: str, other: str) -> None:
    assert title_key(one) != title_key(other)


@given(st.text(max_size=60))
def test_a_key_is_its_own_key_and_ignores_case_and_space(title: str) -> None:
    key = title_key(title)
    assert title_key(f"  {title} \n") == key
    assert not any(character.isspace() for character in key)


def test_a_problem_reads_as_a_sentence_with_its_place() -> None:
    assert str(Problem("expected a date", 7, "Feb 30")) == "line 7: expected a date (found 'Feb 30')"
    assert str(Problem("expected a date")) == "expected a date"
    assert str(SourceError("no page")) == "no page"
    assert SourceError(Problem("no page", 3)).problem.line == 3


TODAY = dt.date(2025, 12, 8)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"title": "t" * 2001}, "title to have at most 2,000 characters, got 2,001"),
        ({"abstract": "a" * 100_001}, "abstract to have at most 100,000"),
        ({"listed_on": dt.date(9999, 12, 31)}, "listed_on"),
        ({"published_on": dt.date(2026, 12, 10)}, "published_on .* got 2026-12-10"),
        ({"updated_on": dt.datetime(1899, 12, 31, 23)}, "updated_on"),
    ],
)
def test_what_no_paper_can_be_is_refused(wrong, said):
    record = PaperRecord(**{"title": "A title", "source": "jsonl", **wrong})
    with pytest.raises(ValueError, match=said):
        checked(record, TODAY)


def test_what_a_paper_can_just_be_is_taken():
    record = PaperRecord(
        "t" * 2000,
        "jsonl",
        abstract="a" * 100_000,
        published_on=dt.date(1900, 1, 1),
        listed_on=dt.date(2026, 12, 9),
        updated_on=dt.datetime(2026, 12, 9, 23),
    )
    assert checked(record, TODAY) is record
