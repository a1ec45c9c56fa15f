from __future__ import annotations

import datetime as dt
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from broadsheet.site.papers.names import another_slug, arxiv_month, author_slug, paper_slug, stored_title_key
from broadsheet.sources.record import title_key

anything = st.text(alphabet=st.characters(codec="utf-8"), max_size=200)
# Few letters, so that names collide often.
close = st.text(alphabet="aAáÁ-. ,b1", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Ada Lovelace", "ada-lovelace"),
        ("Grace B. Hopper", "grace-b-hopper"),
        ("Vincent van Gogh", "vincent-van-gogh"),
        ("Lili Du", "lili-du"),
    ],
)
def test_a_name_in_its_usual_writing_stands_for_itself(name, slug):
    assert author_slug(name) == slug


@pytest.mark.parametrize(
    "name",
    [
        "José García",
        "JOSE GARCIA",
        "jose garcia",
        "Jose-Garcia",
        "Jose Garcia 2",
        "Łukasz",
        "李明",
        "?",
        "J Garcia",
    ],
)
def test_every_other_name_ends_in_digits(name):
    assert re.search(r"-\d{8}$", author_slug(name))


def test_letters_that_are_no_accented_ones_are_spelt():
    assert author_slug("Łukasz Straße Ørsted").startswith("lukasz-strasse-orsted-")


@given(anything)
def test_author_slugs_are_fit_for_an_address(name):
    slug = author_slug(name)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
    assert len(slug) <= 300


@given(close, close)
def test_two_names_have_two_slugs(one, other):
    assume(one != other)
    assert author_slug(one) != author_slug(other)


@given(anything)
def test_paper_slugs_are_fit_for_an_address(title):
    slug = paper_slug(title)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
    assert len(slug) <= 80


@given(close, close)
def test_titles_that_differ_have_slugs_that_differ(one, other):
    assume(stored_title_key(one) != stored_title_key(other))
    assert paper_slug(one) != paper_slug(other)


def test_paper_slugs_are_cut_at_a_word():
    slug = paper_slug("a long title " * 20)
    assert re.fullmatch(r"(a-long-title-)+(a-)?(long-)?\d{8}", slug)


def test_greek_titles_do_not_collide():
    assert len({paper_slug("The α law"), paper_slug("The β law"), paper_slug("The law")}) == 3


@given(anything)
def test_keys_are_never_too_long_and_only_empty_for_nothing(title):
    key = stored_title_key(title)
    assert len(key) <= 500
    assert bool(key) is bool(title.strip())


@given(st.text(alphabet="ab C-?!", min_size=1), st.text(alphabet="ab C-?!", min_size=1))
def test_keys_are_equal_exactly_where_titles_are(one, other):
    assume(title_key(one) and title_key(other))
    assert (stored_title_key(one) == stored_title_key(other)) is (title_key(one) == title_key(other))


def test_long_titles_keep_apart_at_their_ends():
    long = "word " * 400
    assert stored_title_key(long + "a") != stored_title_key(long + "b")
    assert stored_title_key(long + "a!") == stored_title_key(long.upper() + "A")


@pytest.mark.parametrize(
    ("given_id", "month"),
    [
        ("2503.11677", dt.date(2025, 3, 1)),
        ("0704.0001", dt.date(2007, 4, 1)),
        ("hep-th/9108001", dt.date(1991, 8, 1)),
        ("math/0611800", dt.date(2006, 11, 1)),
        ("2513.00001", None),
        ("2500.00001", None),
        ("rubbish", None),
        ("", None),
        (None, None),
    ],
)
def test_an_arxiv_id_tells_its_month(given_id, month):
    assert arxiv_month(given_id) == month


def test_a_taken_slug_gives_way_to_a_free_one():
    taken = {"reply"}
    for _ in range(5):
        slug = another_slug("reply", taken.__contains__)
        assert slug not in taken
        taken.add(slug)
