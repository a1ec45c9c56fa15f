"""Bulk metadata: both layouts, every fault with its line."""

from __future__ import annotations

import bz2
import contextlib
import datetime as dt
import gzip
import io
import json
import lzma
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.sources.jsonl import read
from broadsheet.sources.record import PaperRecord, Problem, SourceError

OURS: dict[str, Any] = {
    "id": "2503.02130",
    "title": "A Made-up\n  Law",
    "abstract": " We make  it up. ",
    "authors": ["A. Doe", "B. Roe"],
    "categories": ["cs.LG", "I.2.7", "stat.ML"],
    "first_seen": "2025-03-18",
    "comment": "9 pages",
}
KAGGLE: dict[str, Any] = {
    "id": "math/0611800",
    "submitter": "A. Doe",
    "authors": "A. Doe (1), B. Roe, Jr. ((1) Somewhere)",
    "title": "Made Up,\n  Long Ago",
    "comments": "Withdrawn by the author",
    "journal-ref": "J. Made Up 1 (2007) 1-2",
    "doi": "10.1000/1",
    "report-no": None,
    "categories": "math.CA hep-th",
    "license": None,
    "abstract": "  Long\nago.\n",
    "versions": [
        {"version": "v1", "created": "Mon, 27 Nov 2006 19:18:42 GMT"},
        {"version": "v3", "created": "Tue, 2 Jan 2007 00:00:00 GMT"},
    ],
    "update_date": "2009-11-13",
    "authors_parsed": [["Doe", "A.", "", "Somewhere"], ["Roe", "B.", "Jr."]],
}


def collect(*lines: Any, strict: bool = False) -> tuple[list[PaperRecord], list[Problem]]:
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    problems: list[Problem] = []
    return list(read(io.BytesIO(b"\n".join(texts)), on_problem=problems.append, strict=strict)), problems


def test_our_own_layout_is_read() -> None:
    assert collect(OURS) == (
        [
            PaperRecord(
                title="A Made-up Law",
                source="jsonl",
                abstract="We make it up.",
                arxiv_id="2503.02130",
                authors=("A. Doe", "B. Roe"),
                listed_on=dt.date(2025, 3, 18),
                categories=("cs.LG", "stat.ML"),
                comment="9 pages",
                line=1,
            )
        ],
        [],
    )


def test_the_kaggle_layout_is_read() -> None:
    assert collect(KAGGLE) == (
        [
            PaperRecord(
                title="Made Up, Long Ago",
                source="jsonl",
                abstract="Long ago.",
                arxiv_id="math/0611800",
                version=3,
                authors=("A. Doe", "B. Roe Jr."),
                published_on=dt.date(2006, 11, 27),
                updated_on=dt.date(2007, 1, 2),
                categories=("math.CA", "hep-th"),
                comment="Withdrawn by the author",
                journal_ref="J. Made Up 1 (2007) 1-2",
                doi="10.1000/1",
                withdrawn=True,
                line=1,
            )
        ],
        [],
    )


def test_what_is_absent_stays_unknown() -> None:
    (found,), problems = collect(
        {"id": "2401.00001v2", "title": "Only a title", "abstract": None, "unknown": [1]}
    )
    assert found == PaperRecord("Only a title", "jsonl", arxiv_id="2401.00001", version=2, line=1)
    assert problems == []


def test_authors_are_taken_from_the_line_where_they_are_not_parsed() -> None:
    (found,), _ = collect({**KAGGLE, "authors_parsed": []})
    assert found.authors == ("A. Doe", "B. Roe Jr.")
    (found,), _ = collect({**KAGGLE, "versions": []})
    assert (found.version, found.published_on, found.updated_on) == (None, None, dt.date(2009, 11, 13))


def test_both_layouts_and_empty_lines_may_stand_in_one_file() -> None:
    papers, problems = collect(b"\xef\xbb\xbf" + json.dumps(OURS).encode(), b"", b"  \r", KAGGLE, b"")
    assert [paper.line for paper in papers] == [1, 4]
    assert problems == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({**OURS, "id": 2503.0213}, "loses its last zero"),
        ({**OURS, "id": 2503}, "must be a string"),
        ({**OURS, "id": "2503.0213"}, "last zero"),
        ({**OURS, "id": None}, "the key id"),
        ({"title": "x"}, "the key id"),
        ({**OURS, "title": "  "}, "a title"),
        ({**OURS, "title": 7}, "a string under title"),
        ({**OURS, "abstract": ["x"]}, "a string under abstract"),
        ({**OURS, "authors": [1]}, "list of strings under authors"),
        ({**OURS, "authors": {"a": 1}}, "list of strings under authors"),
        ({**OURS, "categories": 1}, "list of strings under categories"),
        ({**OURS, "first_seen": "18.3.2025"}, "a day such as"),
        ({**KAGGLE, "authors_parsed": "x"}, "authors_parsed"),
        ({**KAGGLE, "authors_parsed": [["Doe", 1]]}, "authors_parsed"),
        ({**KAGGLE, "versions": "v1"}, "versions"),
        ({**KAGGLE, "versions": [{"version": "1"}]}, "a version such as"),
        ({**KAGGLE, "versions": [{"version": "v²"}]}, "a version such as"),
        (b'{"id": "2401.00001", "title": "x"', "a JSON object: .* at place"),
        (b"[1]", "one object a line"),
        (b"null", "got NoneType"),
        (b'{"id":' + b"[" * 100_000, "nested too deeply|JSON object"),
        (
            b'{"id": 1' + b"0" * 5000 + b"}",
            "^line 2: expected a JSON object, got a number of too many digits",
        ),
        ({**OURS, "first_seen": "9999-12-31"}, "listed_on .* got 9999-12-31"),
        ({**OURS, "title": "t" * 100_000}, "title to have at most 2,000 characters"),
        (b"x" * 9_000_000, "at most 8 MiB"),
    ],
)
def test_a_wrong_line_costs_one_record_and_is_named(line: Any, reason: str) -> None:
    papers, problems = collect(OURS, line, KAGGLE)
    assert [paper.line for paper in papers] == [1, 3]
    assert [problem.line for problem in problems] == [2]
    assert len(str(problems[0])) < 400
    with pytest.raises(SourceError, match=reason) as caught:
        collect(OURS, line, KAGGLE, strict=True)
    assert caught.value.problem == problems[0]


def test_a_long_line_at_the_end_is_passed_over() -> None:
    papers, problems = collect(OURS, b"x" * 20_000_000)
    assert (len(papers), [problem.line for problem in problems]) == (1, [2])


def test_bytes_that_are_no_utf8_are_replaced_with_a_warning() -> None:
    (found,), problems = collect(json.dumps({**OURS, "title": "Caf_"}).encode().replace(b"_", b"\xe9"))
    assert found.title == "Caf\ufffd"
    assert [(problem.line, problem.warning) for problem in problems] == [(1, True)]


def test_halved_characters_do_not_reach_the_record() -> None:
    (found,), _ = collect(b'{"id": "2401.00001", "title": "a\\ud800b\\u0000c"}')
    assert found.title == "a\ufffdb c"


def test_faults_before_the_first_record_are_reported_too() -> None:
    papers, problems = collect(b"x", {**OURS, "id": 1}, OURS)
    assert (len(papers), [problem.line for problem in problems]) == (1, [1, 2])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<html>\n" * 30, "no JSON Lines"),
        (json.dumps([OURS, KAGGLE], indent=1).encode(), "no JSON Lines"),
        (b"%PDF-1.7", "a PDF"),
        (b"PK\x03\x04", "ZIP"),
        (gzip.compress(json.dumps(OURS).encode() * 99)[:60], "damaged or breaks off"),
        (b"x" * 300_000_000, "more than 256 MiB"),
    ],
)
def test_a_file_of_another_kind_gets_one_clear_error(data: bytes, reason: str) -> None:
    problems: list[Problem] = []
    with pytest.raises(SourceError, match=reason):
        list(read(io.BytesIO(data), on_problem=problems.append))
    assert problems == []


def test_a_file_with_more_faults_than_records_is_given_up() -> None:
    with pytest.raises(SourceError, match="given up"):
        collect(OURS, *[b"x"] * 2000)
    papers, problems = collect(*[OURS] * 1500, *[b"x"] * 1200)
    assert (len(papers), len(problems)) == (1500, 1200)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_are_read_whatever_their_name(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "records"
    path.write_bytes(pack(b"\n".join(json.dumps(line).encode() for line in (OURS, KAGGLE))))
    assert [paper.line for paper in read(path, on_problem=print)] == [1, 2]


def test_a_torn_file_is_told_with_the_line_reached() -> None:
    noise = [json.dumps({**OURS, "abstract": str(hash((1, number)))}).encode() for number in range(20_000)]
    packed = gzip.compress(b"\n".join(noise))
    papers = read(io.BytesIO(packed[: len(packed) // 2]), on_problem=print)
    taken: list[PaperRecord] = []
    with pytest.raises(SourceError, match="breaks off here") as caught:
        taken.extend(papers)
    assert len(taken) > 1000
    assert caught.value.problem.line == len(taken) + 1


def test_a_bomb_is_not_unpacked_into_memory() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="a line has at most 8 MiB"):
            list(read(io.BytesIO(bomb), on_problem=lambda problem: None))
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_missing_files_and_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="missing"):
        list(read(tmp_path / "missing", on_problem=print))
    with pytest.raises(TypeError, match="Path or a binary file"):
        read("name.jsonl", on_problem=print)  # type: ignore[arg-type]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9) | st.just("2401.00001"),
    lambda parts: (
        st.lists(parts, max_size=3) | st.dictionaries(st.sampled_from([*OURS, *KAGGLE]), parts, max_size=5)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_record_or_a_fault(value: Any) -> None:
    with contextlib.suppress(SourceError):
        papers, problems = collect(value)
        assert len(papers) + len(problems) == 1


def test_the_given_corpus_is_read_without_a_fault_and_fast(given_corpus: Path) -> None:
    start = time.process_time()
    papers = list(read(given_corpus, on_problem=lambda problem: pytest.fail(str(problem))))
    seconds = time.process_time() - start
    assert len(papers) == len({paper.arxiv_id for paper in papers}) == 5000
    assert all(paper.authors and paper.categories and paper.abstract and paper.listed_on for paper in papers)
    assert seconds < 5  # about 0.3 s; the bound is for a machine that is busy


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([b"id,title", b"1,A paper"], "none of its lines is a record: expected a JSON object"),
        ([b'[{"id": "2401.00001", "title": "x"}]'], "not all in an array"),
        ([b""], "it has no line with text"),
        ([b"x" * 1_000_000], "expected a JSON object"),
    ],
)
def test_a_short_file_of_another_kind_is_refused(lines: list[bytes], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        collect(*lines)
