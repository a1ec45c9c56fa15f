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


@pytest.mark.parametrize(
    "query",
    ['"', "(", "AND OR NOT", "title:", "a" * 5000, "%00", "NEAR(a b)", "*", "-", "'; DROP TABLE x", "\u202e"],
)
def test_any_query_is_a_search(get, query):
    make_paper("Something")
    get(f"/search?q={query}")
