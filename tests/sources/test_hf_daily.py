"""Hugging Face's Daily Papers, spoken by a server on this machine."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.sources.hf_daily import URL, _array, _Item, daily
from broadsheet.sources.http import HUGGING_FACE, PoliteClient, TryAgain
from broadsheet.sources.record import Organisation, PaperRecord, Problem, SourceError

from .conftest import Answer, Request, Server

Make = Callable[..., PoliteClient]
DAY = dt.date(2025, 12, 8)


def item(number: int = 1, **inner: Any) -> dict[str, Any]:
    paper = {
        "id": f"2512.{number:05}",
        "authors": [
            {"_id": "a" * 24, "name": "A. Doe", "hidden": False, "status": "claimed_verified"},
            {"_id": "b" * 24, "name": "", "hidden": False, "user": {"fullname": "B. Roe", "user": "broe"}},
            {"_id": "c" * 24, "user": {"user": "cpoe", "avatarUrl": "/avatars/x.svg"}},
            {"_id": "d" * 24, "user": {"name": "dlow", "type": "user"}},
            {"_id": "e" * 24, "name": "Not Shown", "hidden": True},
        ],
        "mediaUrls": [],
        "publishedAt": "2025-12-05T18:59:59.000Z",
        "submittedOnDailyAt": "2025-12-08T01:02:03.004Z",
        "submittedOnDailyBy": {"user": "eve", "fullname": "Eve"},
        "title": f"Made Up\n {number}",
        "summary": "We make\nit up.",
        "upvotes": 12,
        "discussionId": "f" * 24,
        "projectPage": "https://example.org/made-up",
        "githubRepo": "https://github.com/example/made-up",
        "githubRepoAddedBy": "auto",
        "githubStars": 3,
        "ai_summary": "A machine's words.",
        "ai_keywords": ["law"],
        "organization": {"_id": "g" * 24, "name": "makers", "fullname": "Makers of Things", "avatar": "x"},
        "never_seen_before": {"a": [1]},
        **inner,
    }
    return {
        "paper": {key: value for key, value in paper.items() if value is not ...},
        "publishedAt": "2025-12-05T13:59:59.000Z",
        "title": f"Outer {number}",
        "summary": "Outer words.",
        "thumbnail": "https://example.org/t.png",
        "numComments": 2,
        "submittedBy": {"name": "eve"},
        "isAuthorParticipating": False,
        "newKey": None,
    }


def answer(items: Any, **arguments: Any) -> Answer:
    body = items if isinstance(items, bytes) else json.dumps(items).encode()
    return Answer(body, **{"kind": "application/json; charset=utf-8", **arguments})


def listing(*items: Any) -> Callable[[Request], Answer]:
    """Answer page by page from a list."""

    def page(request: Request) -> Answer:
        start, size = int(request.query["p"]) * int(request.query["limit"]), int(request.query["limit"])
        return answer(list(items)[start : start + size])

    return page


def read(client: PoliteClient, **conditions: Any) -> tuple[list[PaperRecord], list[Problem]]:
    problems: list[Problem] = []
    return list(daily(client=client, on_problem=problems.append, **(conditions or {"date": DAY}))), problems


EXPECTED = PaperRecord(
    title="Made Up 1",
    source="hf-daily",
    abstract="We make it up.",
    arxiv_id="2512.00001",
    authors=("A. Doe", "B. Roe", "cpoe", "dlow"),
    organisation=Organisation("makers", "Makers of Things"),
    published_on=dt.date(2025, 12, 5),
    listed_on=DAY,
    project_page="https://example.org/made-up",
    code_url="https://github.com/example/made-up",
    comments_at_save=2,
    upvotes=12,
)


def test_a_paper_is_read_with_all_its_parts_and_unknown_keys_do_no_harm(client: Make, server: Server) -> None:
    server.answer = listing(item())
    assert read(client(service=HUGGING_FACE)) == ([EXPECTED], [])
    assert server.requests[0].path == "/api/daily_papers"
    assert server.requests[0].query == {"limit": "100", "date": "2025-12-08", "p": "0"}


def test_what_is_absent_stays_unknown(client: Make, server: Server) -> None:
    server.answer = listing({"paper": {"id": "2512.00001", "title": "Bare"}})
    assert read(client(), month="2025-12") == ([PaperRecord("Bare", "hf-daily", arxiv_id="2512.00001")], [])


def test_the_inner_date_is_preferred_and_the_outer_one_doubted(client: Make, server: Server) -> None:
    other = item(2, publishedAt=...)
    other["publishedAt"] = "2025-12-06T23:00:00.000Z"
    server.answer = listing(item(1, publishedAt="2025-12-04T23:59:59.000Z"), other)
    papers, problems = read(client())
    assert [paper.published_on for paper in papers] == [dt.date(2025, 12, 4), dt.date(2025, 12, 6)]
    assert [problem.warning for problem in problems] == [True]


def test_the_day_of_the_list_is_the_one_asked_for_or_stated(client: Make, server: Server) -> None:
    server.answer = listing(item(submittedOnDailyAt="2025-12-07T23:00:00Z"))
    assert read(client())[0][0].listed_on == DAY
    assert read(client(), week="2025-W49")[0][0].listed_on == dt.date(2025, 12, 7)


def test_the_outer_parts_stand_in_for_missing_inner_ones(client: Make, server: Server) -> None:
    one = item(title=..., summary=None, organization=...)
    one["organization"] = {"name": "others"}
    server.answer = listing(one)
    (paper,), problems = read(client())
    assert (paper.title, paper.abstract) == ("Outer 1", "Outer words.")
    assert paper.organisation == Organisation("others", "others")
    assert problems == []


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({}, "the key paper"),
        ({"paper": None}, "the key paper"),
        ("text", "the key paper"),
        (None, "the key paper"),
        ({"paper": {"title": "No id"}}, "paper.id"),
        ({"paper": {"id": 2512.0213, "title": "x"}}, "must be a string"),
        ({"paper": {"id": "nonsense", "title": "x"}}, "no arXiv id"),
        ({"paper": {"id": "2512.00003"}}, "a title"),
        ({"paper": {"id": "2512.00003", "title": 5}}, "a title"),
    ],
)
def test_a_paper_that_cannot_be_read_is_left_out_and_reported(
    client: Make, server: Server, broken: Any, reason: str
) -> None:
    server.answer = listing(item(1), broken, item(2))
    papers, problems = read(client())
    assert [paper.arxiv_id for paper in papers] == ["2512.00001", "2512.00002"]
    assert [reason in problem.message for problem in problems if not problem.warning] == [True]


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("upvotes", True, "upvotes", None),
        ("upvotes", -1, "upvotes", None),
        ("upvotes", "12", "upvotes", None),
        ("upvotes", 10**30, "upvotes", None),
        ("projectPage", "javascript:alert(1)", "project_page", ""),
        ("githubRepo", ["x"], "code_url", ""),
        ("publishedAt", "yesterday", "published_on", dt.date(2025, 12, 5)),
        ("organization", "makers", "organisation", None),
        ("organization", {"fullname": "Makers"}, "organisation", None),
        ("organization", {"name": "a/b"}, "organisation", None),
        ("authors", "A. Doe", "authors", ()),
        ("authors", [None, {"name": "A. Doe"}], "authors", ("A. Doe",)),
        ("title", 7, "title", "Outer 1"),
    ],
)
def test_a_wrong_part_costs_only_itself(
    client: Make, server: Server, key: str, value: Any, field: str, expected: object
) -> None:
    server.answer = listing(item(**{key: value}))
    (paper,), problems = read(client())
    assert getattr(paper, field) == expected
    assert problems
    assert all(problem.warning and "2512.00001" in problem.message for problem in problems)


def test_a_withdrawn_paper_is_told(client: Make, server: Server) -> None:
    server.answer = listing(item(withdrawnAt="2025-12-09T00:00:00Z"))
    assert read(client())[0][0].withdrawn


# --- pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("papers", "limit"), [(0, 100), (5, 2), (4, 2), (250, 100)])
def test_all_pages_are_read(client: Make, server: Server, papers: int, limit: int) -> None:
    server.answer = listing(*(item(number) for number in range(papers)))
    found, problems = read(client(service=HUGGING_FACE), week="2025-W49", limit=limit)
    assert [paper.arxiv_id for paper in found] == [f"2512.{number:05}" for number in range(papers)]
    assert problems == []


def test_a_paper_that_stands_twice_comes_once(client: Make, server: Server) -> None:
    server.answer = listing(item(1), item(2), item(1))
    assert len(read(client(), month="2025-12")[0]) == 2


def test_a_service_that_knows_no_pages_is_asked_twice_and_no_more(client: Make, server: Server) -> None:
    server.answer = lambda request: answer([item(1), item(2)])
    assert len(read(client())[0]) == 2
    assert len(server.requests) == 2


def test_all_conditions_are_passed_on(client: Make, server: Server) -> None:
    server.answer = listing()
    assert read(client("/hub"), week="2025-W49", submitter="eve", sort="trending", limit=7) == ([], [])
    assert server.requests[0].path == "/hub/api/daily_papers"
    assert server.requests[0].query == {
        "limit": "7",
        "week": "2025-W49",
        "submitter": "eve",
        "sort": "trending",
        "p": "0",
    }


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({}, "exactly one"),
        ({"date": DAY, "week": "2025-W49"}, "exactly one"),
        ({"week": "2025-W54"}, "week must be"),
        ({"week": "2025-49"}, "week must be"),
        ({"month": "2025-13"}, "month must be"),
        ({"date": DAY, "sort": "size"}, "sort must be"),
        ({"date": DAY, "limit": 101}, "limit must be"),
        ({"date": DAY, "base_url": "http://huggingface.co"}, "base_url"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(conditions: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(daily(**conditions))


def test_the_address_can_be_given(server: Server, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADSHEET_HOME", str(tmp_path))
    server.answer = lambda request: answer([])
    assert list(daily(date=DAY, base_url=server.url)) == []
    assert URL == "https://huggingface.co"


# --- faults ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=429, headers={"Retry-After": "5"}),
        Answer(status=500),
        answer(json.dumps([item()]).encode(), cut=100),
        answer(json.dumps([item()]).encode()[:100]),
        answer(b"\xff\xfe["),
        answer(b"[" * 100_000),
    ],
)
def test_faults_on_the_way_cost_nothing(client: Make, server: Server, fault: Answer) -> None:
    server.answers = [fault]
    server.answer = listing(item())
    assert read(client()) == ([EXPECTED], [])


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (answer({"error": "Invalid date"}), "refuses the question: Invalid date"),
        (answer({"papers": []}), "not an array"),
        (answer(b"<html>", kind="text/html"), "text/html where application/json"),
        (answer({"error": "x"}, status=404), "HTTP 404"),
        (Answer(status=302, headers={"Location": "https://example.org/login"}), "not one of its own hosts"),
    ],
)
def test_answers_of_another_kind_are_refused(
    client: Make, server: Server, sent: Answer, message: str
) -> None:
    server.answers = [sent]
    with pytest.raises(SourceError, match=message):
        read(client())
    assert len(server.requests) == 1


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["2512.00001", "2025-12-08"]),
    lambda parts: (
        st.lists(parts, max_size=2)
        | st.dictionaries(
            st.sampled_from(["paper", "id", "title", "authors", "name", "user", "organization", "upvotes"]),
            parts,
        )
    ),
    max_leaves=15,
)


@given(VALUES)
def test_any_json_is_a_paper_or_a_fault(value: Any) -> None:
    with contextlib.suppress(ValueError):
        assert _Item(value, str).record(None).arxiv_id
    with contextlib.suppress(SourceError, TryAgain):
        assert isinstance(_array(json.dumps(value).encode()), list)
