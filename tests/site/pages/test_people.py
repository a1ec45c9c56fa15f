from __future__ import annotations

import datetime as dt

from broadsheet.site.papers.models import Organisation

from .rows import make_paper


def test_an_author_has_all_papers_newest_first(get):
    make_paper("Early", names=("Ann Author",), published_on=dt.date(2020, 1, 1))
    make_paper("Late", names=("Bo Other", "Ann Author"), published_on=dt.date(2024, 1, 1))
    make_paper("Foreign", names=("Bo Other",), published_on=dt.date(2023, 1, 1))
    html = get("/authors/ann-author")
    assert html.index("Late") < html.index("Early")
    assert "Foreign" not in html
    assert "2 papers here" in html


def test_an_organisation_has_its_papers(get):
    lab = Organisation.objects.create(handle="open-lab", name="Open Lab & Sons")
    make_paper("Theirs", organisation=lab)
    html = get("/organisations/open-lab")
    assert "Open Lab &amp; Sons" in html
    assert "Theirs" in html


def test_long_lists_are_paged(get):
    for n in range(45):
        make_paper(f"Number {n}", names=("Ann Author",))
    assert "Page 1 of 2" in get("/authors/ann-author")
    assert "Previous page" in get("/authors/ann-author?page=2")
    get("/authors/ann-author?page=3", status=404)


def test_unknown_people_lead_to_search(get):
    assert 'action="/search"' in get("/authors/nobody", status=404)
    assert 'action="/search"' in get("/organisations/no/where", status=404)
    get("/authors/a%00b", status=404)
