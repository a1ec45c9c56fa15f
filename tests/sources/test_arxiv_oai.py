"""arXiv's OAI-PMH, spoken by a server on this machine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from broadsheet.sources.arxiv_oai import URL, harvest
from broadsheet.sources.http import PoliteClient
from broadsheet.sources.record import PaperRecord, Problem, SourceError

from .conftest import Answer, Clock, Request, Server

Make = Callable[..., PoliteClient]

ARXIV = """<arXiv xmlns="http://arxiv.org/OAI/arXiv/"><id>{id}</id><created>2024-01-01</created>
<updated>2024-02-03</updated><authors><author><keyname>Doe</keyname><forenames>A. B.</forenames><suffix>Jr</suffix>
<affiliation>X</affiliation></author><author><keyname>Made Up Collaboration</keyname></author></authors>
<title>Made Up
  {id}</title><categories>stat.ML cs.LG</categories><comments>9 pages</comments><journal-ref>J. Made Up 1</journal-ref>
<doi>10.1000/1</doi><license>http://example.org/</license><abstract>  We make
  it up. </abstract></arXiv>"""
RAW = """<arXivRaw xmlns="http://arxiv.org/OAI/arXivRaw/"><id>{id}</id><submitter>A. Doe</submitter>
<version version="v1"><date>Mon, 1 Jan 2024 19:18:42 GMT</date><size>1kb</size></version>
<version version="v2"><date>Sat, 3 Feb 2024 00:00:00 GMT</date><size>1kb</size></version>
<title>Made Up
  {id}</title><authors>A. B. Doe, Jr and Made Up Collaboration (X)</authors>
<categories>stat.ML cs.LG</categories><comments>9 pages</comments><journal-ref>J. Made Up 1</journal-ref>
<doi>10.1000/1</doi><abstract>We make it up.</abstract></arXivRaw>"""
DC = """<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Made Up
  {id}</dc:title><dc:creator>Doe, A. B., Jr</dc:creator><dc:creator>Made Up Collaboration</dc:creator>
<dc:subject>Machine Learning</dc:subject><dc:description>We make it up.</dc:description>
<dc:description>Comment: 9 pages</dc:description><dc:date>2024-02-03</dc:date><dc:date>2024-01-01</dc:date>
<dc:type>text</dc:type><dc:identifier>http://arxiv.org/abs/{id}</dc:identifier>
<dc:identifier>doi:10.1000/1</dc:identifier></oai_dc:dc>"""
FORMATS = {"arXiv": ARXIV, "arXivRaw": RAW, "oai_dc": DC}


def record(number: int, metadata: str = ARXIV, modified: str = "2024-05-01", status: str = "") -> str:
    paper = f"2401.{number:05}"
    body = "" if status else f"<metadata>{metadata.format(id=paper)}</metadata>"
    return (
        f"<record><header{status}><identifier>oai:arXiv.org:{paper}</identifier><datestamp>{modified}</datestamp>"
        f"<setSpec>cs:cs:LG</setSpec></header>{body}</record>"
    )


def answer(content: str, when: str = "2025-12-08T03:04:05Z", **arguments: Any) -> Answer:
    body = f"""<?xml version="1.0" encoding="UTF-8"?>
<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><responseDate>{when}</responseDate>
<request verb="ListRecords">http://oaipmh.arxiv.org/oai</request>{content}</OAI-PMH>"""
    return Answer(body.encode(), kind="text/xml; charset=utf-8", **arguments)


def page(*records: str, token: str | None = None, **arguments: Any) -> Answer:
    rest = "" if token is None else f"<resumptionToken>{token}</resumptionToken>"
    return answer(f"<ListRecords>{''.join(records)}{rest}</ListRecords>", **arguments)


def error(code: str, message: str = "why") -> Answer:
    return answer(f'<error code="{code}">{message}</error>')


def ids(papers: Any) -> list[str]:
    return [paper.arxiv_id[-2:] for paper in papers]


@pytest.mark.parametrize("metadata", FORMATS)
def test_every_format_is_read_alike(client: Make, server: Server, metadata: str) -> None:
    server.answers = [page(record(7, FORMATS[metadata]))]
    (paper,) = harvest(
        metadata=metadata, client=client("/oai"), on_problem=lambda problem: pytest.fail(str(problem))
    )
    assert paper == PaperRecord(
        title="Made Up 2401.00007",
        source="arxiv-oai",
        abstract="We make it up.",
        arxiv_id="2401.00007",
        version=2 if metadata == "arXivRaw" else None,
        authors=("A. B. Doe Jr", "Made Up Collaboration"),
        published_on=dt.date(2024, 1, 1),
        updated_on=dt.date(2024, 2, 3),
        categories=() if metadata == "oai_dc" else ("stat.ML", "cs.LG"),
        comment="9 pages",
        journal_ref="" if metadata == "oai_dc" else "J. Made Up 1",
        doi="10.1000/1",
    )
    assert server.requests[0].query == {"verb": "ListRecords", "metadataPrefix": metadata}


def test_a_bare_record_has_unknowns_and_a_deleted_one_is_withdrawn(client: Make, server: Server) -> None:
    bare = "<arXiv xmlns='u'><title>Bare</title><id>{id}</id></arXiv>"
    server.answers = [page(record(1, bare), record(2, status=" status='deleted'"))]
    assert list(harvest(client=client())) == [
        PaperRecord("Bare", "arxiv-oai", arxiv_id="2401.00001"),
        PaperRecord("", "arxiv-oai", arxiv_id="2401.00002", withdrawn=True),
    ]


def test_old_ids_are_read(client: Make, server: Server) -> None:
    server.answers = [page(record(1).replace("oai:arXiv.org:2401.00001", "oai:arXiv.org:hep-th/9901001"))]
    assert [paper.arxiv_id for paper in harvest(client=client())] == ["hep-th/9901001"]


def test_a_record_that_cannot_be_read_costs_only_itself(client: Make, server: Server) -> None:
    wrong = [
        record(2, "<other/>"),
        record(3).replace("oai:arXiv.org:", "oai:else:"),
        record(4, "<arXiv><id>x</id></arXiv>"),
        "<record/>",
        record(5, ""),
    ]
    server.answers = [page(record(1), *wrong, record(6))]
    problems: list[Problem] = []
    assert ids(harvest(client=client(), on_problem=problems.append)) == ["01", "06"]
    assert ["left out" in problem.message for problem in problems] == [True] * 5


# --- a harvest -------------------------------------------------------------------------------------------------


def test_a_harvest_follows_its_tokens_and_tells_where_the_next_begins(
    client: Make, server: Server, clock: Clock
) -> None:
    server.answers = [
        page(record(1), record(2), token="a&amp;b|1", when="2025-12-08T23:59:59Z"),
        page(token="c"),
        page(record(3), token="", when="2025-12-09T00:00:09Z"),
    ]
    harvested = harvest(
        since=dt.date(2025, 12, 1), until=dt.date(2025, 12, 8), set_spec="cs:cs:LG", client=client()
    )
    assert next(harvested).arxiv_id == "2401.00001"
    assert harvested.next_since is None
    assert ids(harvested) == ["02", "03"]
    # The date of the first answer: what changed while the rest was read is met again.
    assert harvested.next_since == dt.date(2025, 12, 8)
    first, second, third = (request.query for request in server.requests)
    assert first["from"] == "2025-12-01"
    assert first["until"] == "2025-12-08"
    assert first["set"] == "cs:cs:LG"
    assert second == {"verb": "ListRecords", "resumptionToken": "a&b|1"}
    assert third == {"verb": "ListRecords", "resumptionToken": "c"}
    assert clock.sleeps == pytest.approx([3, 3])


def test_nothing_new_is_an_empty_harvest(client: Make, server: Server) -> None:
    server.answers = [error("noRecordsMatch")]
    harvested = harvest(since=dt.date(2025, 12, 8), client=client())
    assert list(harvested) == []
    assert harvested.next_since == dt.date(2025, 12, 8)


def test_harvests_follow_each_other_without_a_gap(client: Make, server: Server) -> None:
    server.answers = [
        page(record(1), when="2025-12-08T00:00:00Z"),
        page(record(2), when="2025-12-10T00:00:00Z"),
    ]
    first = harvest(client=client())
    assert ids(first) == ["01"]
    second = harvest(since=first.next_since, client=client())
    assert ids(second) == ["02"]
    assert server.requests[1].query["from"] == "2025-12-08"
    assert "until" not in server.requests[1].query


def test_answers_of_a_harvest_are_never_taken_from_the_cache(client: Make, server: Server) -> None:
    server.answer = lambda request: page(record(1))
    for _ in range(2):
        assert ids(harvest(client=client())) == ["01"]
    assert len(server.requests) == 2


def test_a_lapsed_token_makes_it_begin_again_at_the_last_day(client: Make, server: Server) -> None:
    server.answers = [
        page(record(1), record(2, modified="2024-05-02"), record(3, modified="2024-05-03"), token="a"),
        error("badResumptionToken", "expired"),
        page(record(3, modified="2024-05-03"), record(4, modified="2024-05-03"), token="b"),
        page(record(5, modified="2024-05-04")),
    ]
    harvested = harvest(since=dt.date(2024, 4, 1), set_spec="cs", client=client())
    assert ids(harvested) == ["01", "02", "03", "04", "05"]
    assert server.requests[2].query["from"] == "2024-05-03"
    assert server.requests[2].query["set"] == "cs"
    assert harvested.next_since == dt.date(2025, 12, 8)


def test_without_order_of_days_it_begins_at_the_beginning(client: Make, server: Server) -> None:
    server.answers = [
        page(record(1, modified="2024-05-03"), record(2, modified="2024-05-01"), token="a"),
        error("badResumptionToken"),
        page(
            record(1, modified="2024-05-03"),
            record(2, modified="2024-05-01"),
            record(3, modified="2024-05-02"),
        ),
    ]
    papers = ids(harvest(since=dt.date(2024, 4, 1), client=client()))
    assert set(papers) == {"01", "02", "03"}  # some twice, none lost
    assert server.requests[2].query["from"] == "2024-04-01"


def test_tokens_that_keep_lapsing_are_an_error(client: Make, server: Server) -> None:
    server.answer = lambda request: (
        error("badResumptionToken") if "resumptionToken" in request.query else page(record(1), token="a")
    )
    harvested = harvest(client=client())
    with pytest.raises(
        SourceError, match="lapse 4 times: harvest fewer days at once, beginning with 2024-05-01"
    ):
        list(harvested)
    assert harvested.next_since is None


def test_a_harvest_in_a_circle_ends(client: Make, server: Server) -> None:
    server.answer = lambda request: page(record(1), token="a")
    with pytest.raises(SourceError, match="in a circle"):
        list(harvest(client=client()))


# --- faults ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", ["badArgument", "cannotDisseminateFormat", "noSetHierarchy", "badVerb", "badResumptionToken"]
)
def test_a_refusal_is_told_with_its_reason(client: Make, server: Server, code: str) -> None:
    server.answers = [error(code, "the set is unknown")]
    with pytest.raises(SourceError, match=f"arXiv refuses the harvest: {code}: the set is unknown"):
        list(harvest(client=client()))


@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=503, headers={"Retry-After": "10"}),
        Answer(page(record(1)).body, kind="text/xml", cut=300),
        Answer(page(record(1)).body[:300], kind="text/xml"),
    ],
)
def test_faults_on_the_way_cost_nothing(client: Make, server: Server, fault: Answer) -> None:
    server.answers = [page(record(1), token="a"), fault, page(record(2))]
    assert ids(harvest(client=client())) == ["01", "02"]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (Answer(b"<html/>", kind="text/html"), "text/html where text/xml"),
        (Answer(b"<other/>", kind="text/xml"), "no OAI-PMH"),
        (Answer(b'<!DOCTYPE a [<!ENTITY b "c">]><a/>', kind="text/xml"), "document type or entities"),
    ],
)
def test_answers_of_another_kind_are_refused(
    client: Make, server: Server, sent: Answer, message: str
) -> None:
    server.answers = [sent]
    with pytest.raises(SourceError, match=message):
        list(harvest(client=client()))


def test_a_question_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="metadata must be one of"):
        harvest(metadata="marc")
    for wrong in ("cs&verb=x", "a:b:c:d", "cs:"):
        with pytest.raises(ValueError, match="set_spec must be"):
            harvest(set_spec=wrong)
    with pytest.raises(ValueError, match="since must not be after until"):
        harvest(since=dt.date(2024, 1, 2), until=dt.date(2024, 1, 1))
    with pytest.raises(ValueError, match="base_url"):
        next(harvest(base_url="https://example.org"))
    assert URL == "https://oaipmh.arxiv.org/oai"


def test_the_address_can_be_given(server: Server, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADSHEET_HOME", str(tmp_path))

    def oai(request: Request) -> Answer:
        assert request.path == "/oai"
        return page(record(1))

    server.answer = oai
    assert ids(harvest(base_url=f"{server.url}/oai")) == ["01"]
