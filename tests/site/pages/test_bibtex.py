from __future__ import annotations

import datetime as dt
import re

import pytest

from broadsheet.site.pages import bibtex
from broadsheet.site.papers.models import Paper


def paper(**fields) -> Paper:
    given = {
        "title": "The Law of Things",
        "authors_text": "Ada Lovelace; Émile Noël",
        "arxiv_id": "2401.00001",
    }
    return Paper(**(given | {"categories": "cs.LG stat.ML", "published_on": dt.date(2024, 1, 1)} | fields))


def test_an_entry_has_what_a_citation_needs():
    assert bibtex.entry(paper()).splitlines() == [
        "@misc{lovelace2024law,",
        "  title = {{The Law of Things}},",
        "  author = {Ada Lovelace and Émile Noël},",
        "  year = {2024},",
        "  eprint = {2401.00001},",
        "  archivePrefix = {arXiv},",
        "  primaryClass = {cs.LG},",
        "  url = {https://arxiv.org/abs/2401.00001}",
        "}",
    ]


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"authors_text": "Paul Erdős"}, "erdos2024law"),
        ({"authors_text": "Gauß, Carl"}, "gauss2024law"),
        ({"authors_text": ""}, "anonymous2024law"),
        ({"title": r"$\alpha$ and 3D-Things"}, "lovelace20243dthings"),
        ({"published_on": None}, "lovelacelaw"),
        ({"title": "汉字"}, "lovelace2024paper"),
    ],
)
def test_keys_are_family_name_year_and_first_word_in_ascii(fields, key):
    found = bibtex.key(paper(**fields))
    assert found == key
    assert re.fullmatch(r"[a-z0-9]+", found)


def test_keys_are_unique_in_one_export():
    made = bibtex.entries([paper() for _ in range(30)])
    keys = re.findall(r"@misc\{([^,]+),", made)
    assert keys[:3] == ["lovelace2024law", "lovelace2024lawa", "lovelace2024lawb"]
    assert len(set(keys)) == 30


def balanced(text: str) -> bool:
    depth = 0
    for sign in re.sub(r"\\.", "", text):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.parametrize(
    "title",
    [
        "Ends early} } @misc{evil, title={",
        "50% of A_B & C#D ~ E^F \\ {G",
        r"\input{/etc/passwd} $\input{x}$ $}$ ${$ $a%$",
        "$n^2$ is kept",
        "a backslash \\",
    ],
)
def test_no_title_breaks_its_entry(title):
    made = bibtex.entry(paper(title=title, authors_text="A {B; C} D", doi="10.1/{}%", journal_ref="J } {"))
    assert balanced(made)
    assert made.count("@misc{") == 1
    assert r"\input{" not in made.replace(r"\textbackslash{}input", "")


def test_formulas_stay_and_mark_up_becomes_letters():
    assert "title = {{An $\\mathcal{O}(n)$ Fréchet test, 5\\% off}}" in bibtex.entry(
        paper(title=r"An $\mathcal{O}(n)$ \emph{Fr\'echet} test, 5\% off")
    )


def test_a_name_with_and_in_it_stays_one_name():
    assert "author = {{Bell and Howell} and C. D}" in bibtex.entry(
        paper(authors_text="Bell and Howell; C. D")
    )
