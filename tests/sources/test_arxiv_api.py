"""arXiv's Atom API, spoken by a server on this machine."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable
from html import escape
from typing import Any

import pytest

from broadsheet.sources import arxiv_api
from broadsheet.sources.arxiv_api import URL, search
from broadsheet.sources.http import PoliteClient
from broadsheet.sources.record import PaperRecord, Problem, SourceError

from .conftest import Answer, Clock, Request, Server

Make = Callable[..., PoliteClient]

ENTRY = """<entry>
  <id>http://arxiv.org/abs/{id}</id>
  <updated>2024-02-03T23:59:59Z</updated>
  <published>2024-01-01T00:00:00Z</published>
  <title>{title}</title>
  <summary>  We make up
  $x &lt; y$ for {id}.
</summary>
  <author><name>A. Doe</name><arxiv:affiliation>Somewhere</arxiv:affiliation></author>
  <author><name>B. Roe</name></author>
  <arxiv:comment>9 pages,
    2 figures</arxiv:comment>
  <arxiv:journal_ref>J. Made Up 1 (2024)</arxiv:journal_ref>
  <arxiv:doi>10.1000/{number}</arxiv:doi>
  <link href="http://arxiv.org/abs/{id}" rel="alternate" type="text/html"/>
  <link title="pdf" href="http://arxiv.org/pdf/{id}" rel="related" type="application/pdf"/>
  <arxiv:primary_category term="stat.ML" scheme="http://arxiv.org/schemas/atom"/>
  <category term="cs.LG" scheme="http://arxiv.org/schemas/atom"/>
  <category term="stat.ML" scheme="http://arxiv.org/schemas/atom"/>
  <category term="62N02" scheme="http://arxiv.org/schemas/atom"/>
</entry>"""


def entry(number: int, version: int = 2, **changes: str) -> str:
    facts = {
        "id": f"2401.{number:05}v{version}",
        "title": f"Made Up\n  {number}",
        "number": str(number),
        **changes,
    }
    return ENTRY.format(**facts)


def feed(
    entries: Iterable[str], total: int | None, start: int = 0, updated: str = "2025-12-08T00:00:00-05:00"
) -> Answer:
    entries = list(entries)
    counts = (
        ""
        if total is None
        else f"""<opensearch:totalResults>{total}</opensearch:totalResults>
<opensearch:startIndex>{start}</opensearch:startIndex><opensearch:itemsPerPage>{len(entries)}</opensearch:itemsPerPage>"""
    )
    return Answer(
        f"""<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom"
 xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">
<link href="http://arxiv.org/api/query" rel="self"/><title type="html">ArXiv Query</title>
<id>http://arxiv.org/api/x</id><updated>{updated}</updated>{counts}{"".join(entries)}</feed>""".encode()
    )


def error(message: str, status: int = 200) -> Answer:
    body = f"""<feed xmlns="http://www.w3.org/2005/Atom"><id>http://arxiv.org/api/x</id><title>ArXiv Query</title>
<entry><id>http://arxiv.org/api/errors#incorrect</id><title>Error</title><summary>{escape(message)}</summary>
<updated>2025-12-08T00:00:00Z</updated><author><name>arXiv api core</name></author></entry></feed>"""
    return Answer(body.encode(), status=status)


class Archive:
    """Answers like arXiv from so many made-up papers, handing out at most so many at once."""

    def __init__(self, papers: int, at_most: int = 2000) -> None:
        self.papers, self.at_most = papers, at_most

    def __call__(self, request: Request) -> Answer:
        start, size = int(request.query["start"]), int(request.query["max_results"])
        if size > 2000 or start + size > 30_000:
            return error("max_results is too large", 400)
        numbers = list(range(1, self.papers + 1))
        if "id_list" in request.query:
            asked = {text.split("v")[0] for text in request.query["id_list"].split(",")}
            numbers = [number for number in numbers if f"2401.{number:05}" in asked]
        page = numbers[start : start + min(size, self.at_most)]
        return feed([entry(number) for number in page], len(numbers), start)


def found(client: PoliteClient, *arguments: Any, **conditions: Any) -> list[PaperRecord]:
    return list(
        search(*arguments, client=client, on_problem=lambda problem: pytest.fail(str(problem)), **conditions)
    )


# --- one entry -------------------------------------------------------------------------------------------------


EXPECTED = PaperRecord(
    title="Made Up 7",
    source="arxiv-api",
    abstract="We make up $x < y$ for 2401.00007v2.",
    arxiv_id="2401.00007",
    version=2,
    authors=("A. Doe", "B. Roe"),
    published_on=dt.date(2024, 1, 1),
    updated_on=dt.date(2024, 2, 3),
    categories=("stat.ML", "cs.LG"),
    comment="9 pages, 2 figures",
    journal_ref="J. Made Up 1 (2024)",
    doi="10.1000/7",
)


def test_an_entry_is_read_with_all_its_parts(client: Make, server: Server) -> None:
    server.answers = [feed([entry(7)], 1)]
    assert found(client(), "ti:made") == [EXPECTED]


def test_parts_are_found_by_name_in_any_order(client: Make, server: Server) -> None:
    parts = [
        *(
            "<arxiv:primary_category term='stat.ML'/>",
            "<new:thing xmlns:new='u:1'><title>No</title></new:thing>",
        ),
        *(
            "<category term='cs.LG'/>",
            "<arxiv:doi>10.1000/7</arxiv:doi>",
            "<author><name>A. Doe</name></author>",
        ),
        *("<published>2024-01-01T00:00:00Z</published>", "<author><extra/><name>B. Roe</name></author>"),
        *("<title type='html'>Made <b>Up</b> 7</title>", "<updated>2024-02-03T23:59:59Z</updated>"),
        *(
            "<arxiv:journal_ref>J. Made Up 1 (2024)</arxiv:journal_ref>",
            "<id>https://arxiv.org/abs/2401.00007v2</id>",
        ),
        *(
            "<summary>We make up $x &lt; y$ for 2401.00007v2.</summary>",
            "<arxiv:comment>9 pages, 2 figures</arxiv:comment>",
        ),
    ]
    for order, turned in enumerate((parts, parts[::-1])):
        authors = [part for part in turned if "author" in part]
        server.answers = [feed([f"<entry>{''.join(turned)}</entry>"], 1, updated="2025-12-08T00:00:00Z")]
        (paper,) = found(client(), f"ti:{order}")
        assert paper.authors == tuple(part.split("name>")[1][:-2] for part in authors)
        assert paper.title == "Made Up 7"
        assert (paper.arxiv_id, paper.version, paper.doi) == ("2401.00007", 2, "10.1000/7")
        assert (paper.categories, paper.comment) == (("stat.ML", "cs.LG"), "9 pages, 2 figures")
        assert (paper.published_on, paper.updated_on) == (EXPECTED.published_on, EXPECTED.updated_on)


def test_absent_parts_stay_unknown_and_a_withdrawal_is_seen(client: Make, server: Server) -> None:
    bare = "<entry><id>http://arxiv.org/abs/hep-th/9901001</id><title>Bare</title></entry>"
    gone = bare.replace("9901001", "9901002").replace(
        "</entry>", "<arxiv:comment>This paper has been withdrawn</arxiv:comment></entry>"
    )
    server.answers = [feed([bare, gone], 2)]
    one, two = found(client(), "all:x")
    assert one == PaperRecord("Bare", "arxiv-api", arxiv_id="hep-th/9901001")
    assert two.withdrawn


def test_an_entry_that_cannot_be_read_costs_only_itself(client: Make, server: Server) -> None:
    server.answers = [feed([entry(1), entry(2, id="nonsense"), entry(3, title=" "), "<entry/>", entry(5)], 5)]
    problems: list[Problem] = []
    papers = list(search("all:x", client=client(), on_problem=problems.append))
    assert [paper.doi for paper in papers] == ["10.1000/1", "10.1000/5"]
    assert ["left out" in problem.message for problem in problems] == [True] * 3


# --- the question ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"query": " ti:law "}, "ti:law"),
        ({"query": "ti:law OR ti:rule", "category": "cs.LG"}, "(ti:law OR ti:rule) AND cat:cs.LG"),
        (
            {"author": 'J.  "Doe"', "title": "a law", "abstract": "made up"},
            'ti:"a law" AND au:"J. Doe" AND abs:"made up"',
        ),
        (
            {"since": dt.date(2024, 1, 2), "until": dt.date(2024, 1, 3)},
            "submittedDate:[202401020000 TO 202401032359]",
        ),
        ({"since": dt.date(2024, 1, 2)}, "submittedDate:[202401020000 TO 210001012359]"),
        ({"until": dt.date(2024, 1, 2)}, "submittedDate:[199101010000 TO 202401022359]"),
        ({"category": "cond-mat.*"}, "cat:cond-mat.*"),
    ],
)
def test_conditions_become_arxivs_own_language(
    client: Make, server: Server, conditions: dict[str, Any], expected: str
) -> None:
    server.answer = Archive(1)
    found(client("/api/query"), **conditions)
    assert server.requests[0].query["search_query"] == expected
    assert server.requests[0].query["sortBy"] == "submittedDate"
    assert server.requests[0].query["sortOrder"] == "descending"
    assert server.requests[0].path == "/api/query"


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({}, "nothing is asked for"),
        ({"query": "  "}, "nothing is asked for"),
        ({"query": "x", "max_results": 0}, r"max_results must be in \[1, 30000\], got 0"),
        ({"query": "x", "max_results": 30_001}, "since and until"),
        ({"query": "x", "page_size": 2001}, "page_size"),
        ({"query": "x", "sort": "size"}, "sort must be one of"),
        ({"category": "cs.LG OR all:x"}, "category"),
        ({"ids": ["2401.1"]}, "5 digits"),
        (
            {"query": "x", "since": dt.date(2024, 1, 2), "until": dt.date(2024, 1, 1)},
            "since must not be after until",
        ),
        ({"query": "x", "base_url": "https://example.org"}, "base_url"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(conditions: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(search(**conditions))


def test_the_address_is_arxivs_and_can_be_given(
    server: Server, clock: Clock, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert URL == "https://export.arxiv.org/api/query"
    monkeypatch.setenv("BROADSHEET_HOME", str(tmp_path))
    server.answer = Archive(3)
    assert len(list(search("all:x", base_url=f"{server.url}/api/query"))) == 3


# --- pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("papers", "wanted", "size"),
    [(7, None, 3), (7, 5, 3), (7, 100, 3), (6, None, 3), (3, 3, 1), (0, None, 3)],
)
def test_all_pages_are_read(client: Make, server: Server, papers: int, wanted: int | None, size: int) -> None:
    server.answer = Archive(papers)
    expected = min(papers, wanted or papers)
    ids = [paper.arxiv_id for paper in found(client(), "all:x", max_results=wanted, page_size=size)]
    assert ids == [f"2401.{number:05}" for number in range(1, expected + 1)]
    assert len(server.requests) == max(1, -(-expected // size))


def test_pages_keep_arxivs_pace(client: Make, server: Server, clock: Clock) -> None:
    server.answer = Archive(10)
    assert len(found(client(), "all:x", max_results=None, page_size=4)) == 10
    assert clock.sleeps == pytest.approx([3, 3])
    assert found(client(), "all:x", max_results=None, page_size=4)
    assert len(server.requests) == 3  # asked again on the same day: nothing new is asked for


def test_a_short_page_is_not_the_end(client: Make, server: Server) -> None:
    server.answer = Archive(11, at_most=3)
    assert len(found(client(), "all:x", max_results=None, page_size=5)) == 11
    assert [request.query["start"] for request in server.requests] == ["0", "3", "6", "9"]


def test_an_empty_page_is_asked_for_again(client: Make, server: Server) -> None:
    archive = Archive(5)
    pages = itertools.count()
    server.answer = lambda request: feed([], 5) if next(pages) in {0, 2, 3} else archive(request)
    assert len(found(client(), "all:x", max_results=None, page_size=3)) == 5


def test_pages_that_stay_empty_are_an_error_and_not_the_end(client: Make, server: Server) -> None:
    archive = Archive(5)
    server.answer = lambda request: archive(request) if request.query["start"] == "0" else feed([], 5)
    papers = search("all:x", max_results=None, page_size=3, client=client())
    assert [next(papers).version for _ in range(3)] == [2, 2, 2]
    with pytest.raises(SourceError, match="an empty page after 3 of 5 papers"):
        next(papers)


def test_a_paper_that_moves_between_pages_comes_once(client: Make, server: Server) -> None:
    server.answers = [feed([entry(1), entry(2)], 4), feed([entry(2), entry(3)], 4, 2)]
    assert [paper.doi for paper in found(client(), "all:x", page_size=2)] == [
        "10.1000/1",
        "10.1000/2",
        "10.1000/3",
    ]


def test_without_a_total_the_end_is_a_page_without_news(client: Make, server: Server) -> None:
    server.answer = lambda request: feed([entry(1), entry(2)] if request.query["start"] < "6" else [], None)
    assert len(found(client(), "all:x", max_results=None)) == 2
    assert len(server.requests) == 2


def test_more_than_arxiv_hands_out_is_refused_with_advice(
    client: Make, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = Archive(40_000)
    with pytest.raises(
        SourceError, match=r"40,000 such papers and hands out 30,000: narrow .* since and until"
    ):
        found(client(), "all:x", max_results=None)
    assert len(server.requests) == 1
    monkeypatch.setattr(arxiv_api, "_MOST_IN_ALL", 300)
    assert len(found(client(), "all:y", max_results=300, page_size=70)) == 300
    server.answer = Archive(300)
    assert len(found(client(), "all:z", max_results=None, page_size=70)) == 300


# --- ids -------------------------------------------------------------------------------------------------------


def test_papers_are_fetched_by_id_and_unknown_ids_are_named(client: Make, server: Server) -> None:
    server.answer = Archive(5)
    problems: list[Problem] = []
    ids = ["arXiv:2401.00001v1", "https://arxiv.org/abs/2401.00004", "2401.00009"]
    papers = list(search(ids=ids, client=client(), on_problem=problems.append))
    assert [paper.arxiv_id for paper in papers] == ["2401.00001", "2401.00004"]
    assert server.requests[0].query["id_list"] == "2401.00001v1,2401.00004,2401.00009"
    assert [(problem.message, problem.found) for problem in problems] == [
        ("arXiv knows no paper of this id", "2401.00009")
    ]


def test_an_unknown_id_alone_is_no_error(client: Make, server: Server) -> None:
    for announced in (0, 1):  # arXiv once announced one paper and sent none
        server.answer = lambda request, announced=announced: feed([], announced)  # type: ignore[misc]
        problems: list[Problem] = []
        assert list(search(ids=[f"2401.0000{announced}"], client=client(), on_problem=problems.append)) == []
        assert len(problems) == 1


def test_many_ids_are_asked_for_in_several_requests(client: Make, server: Server) -> None:
    server.answer = Archive(450)
    papers = found(client(), ids=[f"2401.{number:05}" for number in range(1, 451)], max_results=None)
    assert len(papers) == 450
    assert len(server.requests) == 3
    server.requests.clear()
    assert len(found(client(), ids=[f"2401.{number:05}" for number in range(1, 451)], max_results=250)) == 250


def test_ids_and_a_query_are_asked_for_together(client: Make, server: Server) -> None:
    server.answer = Archive(2)
    assert (
        len(list(search("ti:x", ids=["2401.00001", "2401.00099"], client=client(), on_problem=pytest.fail)))
        == 1
    )  # type: ignore[arg-type]
    assert server.requests[0].query["search_query"] == "ti:x"


# --- faults ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400])
def test_an_error_feed_is_an_error(client: Make, server: Server, status: int) -> None:
    server.answers = [error("incorrect id format for 1 & 2", status)]
    with pytest.raises(SourceError, match="arXiv refuses the question: incorrect id format for 1 & 2"):
        found(client(), "all:x")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=429, headers={"Retry-After": "30"}),
        Answer(status=503),
        Answer(feed([entry(1)], 1).body, cut=500),
        Answer(feed([entry(1)], 1).body[:500]),
        Answer(b"<feed><entry></feed>"),
        Answer(b""),
    ],
)
def test_faults_on_the_way_cost_nothing(client: Make, server: Server, fault: Answer) -> None:
    server.answers = [fault]
    server.answer = Archive(2)
    assert len(found(client(), "all:x")) == 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(b"<html/>", kind="text/html"), "text/html where application/atom"),
        (Answer(b"<html><body/></html>"), "no Atom feed"),
        (Answer(b'<!DOCTYPE feed [<!ENTITY a "aaa">]><feed>&a;</feed>'), "document type or entities"),
        (Answer(status=302, headers={"Location": "https://example.org/"}), "not one of its own hosts"),
        (Answer(status=404), "HTTP 404"),
    ],
)
def test_answers_of_another_kind_are_refused(
    client: Make, server: Server, answer: Answer, message: str
) -> None:
    server.answers = [answer]
    with pytest.raises(SourceError, match=message):
        found(client(), "all:x")
    assert len(server.requests) == 1
