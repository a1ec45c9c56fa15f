from __future__ import annotations

import pytest

from .rows import make_paper


def test_without_a_query_the_page_says_how_to_search(get):
    html = get("/search")
    assert "How to search" in html
    assert "author:ng" in html


def test_words_phrases_and_fields_find_papers_and_mark_the_words(get):
    make_paper(
        "Scaling laws for sparse models", names=("Ann Author",), abstract="We fit a power law to loss."
    )
    make_paper("Laws of the sea", abstract="Nothing about scaling in the title.")
    html = get('/search?q=title:"scaling+law"')
    assert "sparse models" in html
    assert "Laws of the sea" not in html
    assert "<mark>power</mark>" in get("/search?q=power+law")
    assert "sparse models" in get("/search?q=author:author")


def test_nothing_found_says_how_to_go_on(get):
    make_paper("Something")
    html = get("/search?q=zzzzz")
    assert "No paper matches" in html
    assert 'value="zzzzz"' in html


def test_many_hits_are_paged(get):
    for n in range(45):
        make_paper(f"Pruning number {n}")
    html = get("/search?q=pruning")
    assert "45 papers have every word" in html
    assert 'rel="next" href="?q=pruning&amp;page=2"' in html
    assert 'rel="next"' not in get("/search?q=pruning&page=3")
    assert "end before page 4" in get("/search?q=pruning&page=4", status=404)


def test_a_line_divides_the_papers_with_every_word_from_those_with_some(get):
    make_paper("A scaling law")
    make_paper("The law of the sea")
    html = get("/search?q=scaling+law")
    assert html.index("A <mark>scaling" if "A <mark>" in html else "A scaling law") < html.index(
        "some of the words"
    )
    assert html.index("some of the words") < html.index("The law of the sea")
    assert html.count("Papers with some of the words") == 1
    assert "some of the words" not in get("/search?q=sea")
    for n in range(30):
        make_paper(f"Scaling {n}")
    assert get("/search?q=scaling+law&page=2").count("Papers with some of the words") == 1


def test_what_is_not_understood_is_said(get):
    assert "year:abc names no year" in get("/search?q=year:abc")
    assert "There is no field foo:" in get("/search?q=foo:bar")


@pytest.mark.parametrize(
    "query",
    ['"', "(", "AND OR NOT", "title:", "a" * 5000, "%00", "NEAR(a b)", "*", "-", "'; DROP TABLE x", "\u202e"],
)
def test_any_query_is_a_search(get, query):
    make_paper("Something")
    get(f"/search?q={query}")
