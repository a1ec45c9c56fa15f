"""Records, faults, and when two titles are one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.sources.record import Problem, SourceError, title_key


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
