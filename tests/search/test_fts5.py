from __future__ import annotations

import json
import math
import os
import random
import sqlite3
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.search import fts5, schema
from broadsheet.search.fts5 import Segment, mark, search
from broadsheet.search.query import parse
from broadsheet.search.schema import Column, Index

INDEX = Index("found", "books", "id", (Column("title", weight=3.0), Column("body")))


def library(*books: tuple[str, str]) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute(
        "CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, body TEXT, shelf INTEGER DEFAULT 0)"
    )
    for statement in schema.create(INDEX):
        database.execute(statement)
    database.executemany("INSERT INTO books (title, body) VALUES (?, ?)", books)
    return database


def keys(database, text, **options):
    return [hit.key for hit in search(database, INDEX, parse(text), **options).hits]


def test_papers_with_every_word_come_first_and_those_with_some_follow():
    database = library(
        ("sparse", "attention attention attention attention"),
        ("other", "nothing of it"),
        ("far", "sparse words and, much later, attention"),
        ("attention", "is dense"),
    )
    found = search(database, INDEX, parse("sparse attention"))
    assert {hit.key for hit in found.hits if hit.has_every_word} == {1, 3}
    assert [hit.key for hit in found.hits if not hit.has_every_word] == [4]
    assert [hit.has_every_word for hit in found.hits] == [True, True, False]
    assert found.total == 2
    assert not found.is_more


def test_a_question_finds_what_its_telling_words_say():
    database = library(
        ("How to bake", "bread and how do we do it"), ("Ovens", "hot ovens bake"), ("The", "how do the")
    )
    assert keys(database, "how do I bake in an oven?") == [2, 1]


def test_the_title_weighs_more_than_the_body():
    database = library(("moon", "sun"), ("sun", "moon"), ("star", "star"), ("star", "star"), ("star", "star"))
    assert keys(database, "sun") == [2, 1]


def test_of_equals_the_newer_comes_first():
    assert keys(library(("sun", "x"), ("sun", "x"), ("sun", "x"), ("moon", "x")), "sun") == [3, 2, 1]


def test_phrases_fields_and_negations_are_never_loosened():
    database = library(("deep sea", "life"), ("sea deep", "life"), ("deep sea", "stone"))
    assert keys(database, '"deep sea"') == [3, 1]
    assert keys(database, '"deep sea" life stone') == [3, 1]
    assert keys(database, "title:sea life -stone") == [2, 1]
    assert keys(database, "-sea") == []
    assert keys(database, "coral sea -stone") == [2, 1]


def test_further_conditions_hold_in_every_step():
    database = library(*[("sun moon", "x"), ("sun", "x")] * 4)
    database.execute("UPDATE books SET shelf = id")
    found = search(database, INDEX, parse("sun moon"), where=[("content.shelf BETWEEN ? AND ?", [3, 6])])
    assert [hit.key for hit in found.hits] == [5, 3, 6, 4]
    assert found.total == 2


def test_where_nearly_all_match_only_the_newest_are_ranked_and_it_says_so():
    database = library(*[("sun" if n % 10 == 0 else "star", "sun") for n in range(3 * fts5.POOL)])
    found = search(database, INDEX, parse("sun"), limit=20)
    assert found.is_bounded
    assert found.total > fts5.COUNTED
    assert found.total_words == "1,000+"
    assert [hit.key % 10 for hit in found.hits] == [1] * 20  # those with the word in the title
    assert found.is_more
    everything = keys(database, "sun", limit=1000) + keys(database, "sun", limit=1000, offset=1000)
    assert len(everything) == len(set(everything)) > fts5.POOL


def test_totals_are_exact_until_they_are_called_more():
    assert search(library(*[("sun", "x")] * 1000), INDEX, parse("sun")).total_words == "1,000"
    assert search(library(*[("sun", "x")] * 1001), INDEX, parse("sun")).total_words == "1,000+"


vocabulary = ["sun", "moon", "star", "sea", "stone", "the"]
texts = st.lists(st.sampled_from(vocabulary), min_size=1, max_size=5).map(" ".join)


@given(st.lists(st.tuples(texts, texts), max_size=12), texts)
def test_pages_are_pieces_of_one_list(books, text):
    database = library(*books)
    whole = keys(database, text, limit=100)
    pieces = [key for offset in range(0, 14, 3) for key in keys(database, text, limit=3, offset=offset)]
    assert pieces == whole
    more = [search(database, INDEX, parse(text), limit=3, offset=o).is_more for o in range(0, 12, 3)]
    assert more == [len(whole) > o + 3 for o in range(0, 12, 3)]


@given(st.lists(st.tuples(texts, texts), max_size=12), texts, st.sampled_from(vocabulary))
def test_what_is_found_has_the_words_and_lacks_the_unwanted(books, text, unwanted):
    query = parse(f"{text} -{unwanted}")
    found = search(library(*books), INDEX, query, limit=100)
    wanted = {term.text for term in query.wanted}
    have = [set(f"{title} {body}".split()) for title, body in books]
    every = {n for n, words in enumerate(have, 1) if wanted <= words and unwanted not in words}
    some = {n for n, words in enumerate(have, 1) if wanted & words and unwanted not in words}
    assert {hit.key for hit in found.hits if hit.has_every_word} == every
    assert {hit.key for hit in found.hits} == some
    assert found.total == len(every)


@pytest.mark.parametrize(("options", "message"), [
    ({"limit": 0}, r"limit must be in \[1, 1000\], got 0"),
    ({"offset": -1}, "offset must be >= 0, got -1"),
])  # fmt: skip
def test_pages_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        search(library(), INDEX, parse("sun"), **options)


def test_marks_stand_around_the_words_in_every_form():
    (pieces,) = mark(["Scaling laws: models that scale"], parse("scale law"))
    assert [s.text for s in pieces if s.is_match] == ["Scaling", "laws", "scale"]
    assert "".join(s.text for s in pieces) == "Scaling laws: models that scale"


def test_marks_are_plain_text_whatever_it_holds():
    text = "<script>alert('sun')</script> & \x02sun\x03"
    (pieces,) = mark([text], parse("sun"))
    assert "".join(s.text for s in pieces) == text.replace("\x02", "").replace("\x03", "")
    assert [s.text for s in pieces if s.is_match] == ["sun", "sun"]


def test_marks_show_words_as_a_person_writes_them():
    (pieces,) = mark(["On C++, and c# too"], parse("c++"))
    assert pieces == [Segment("On "), Segment("C++", True), Segment(", and C# too")]


def test_an_excerpt_is_cut_around_the_words():
    text = " ".join(["word"] * 100 + ["sun"] + ["word"] * 100)
    (pieces,) = mark([text], parse("sun"), words=10)
    joined = "".join(s.text for s in pieces)
    assert joined.startswith("…")
    assert joined.endswith("…")
    assert Segment("sun", True) in pieces
    assert len(joined.split()) <= 12


def test_a_text_without_the_words_is_given_plainly():
    assert mark(["a b c d", ""], parse("sun"), words=2) == [[Segment("a b…")], []]
    assert mark(["a b"], parse("title:a"), column="body") == [[Segment("a b")]]
    assert mark(["a b"], parse("")) == [[Segment("a b")]]


@given(st.lists(st.text(alphabet='sun<>&" C+#\x02\x03\x00é'), max_size=4), st.text(alphabet='sun C+"-'))
def test_marked_pieces_joined_are_the_text(given_texts, text):
    for before, pieces in zip(given_texts, mark(given_texts, parse(text)), strict=True):
        kept = before.replace("\x02", "").replace("\x03", "").replace("\x00", "")
        assert "".join(s.text for s in pieces).upper() == kept.upper()


def judged(name: str) -> Path:
    for folder in os.environ.get("BROADSHEET_DATA", "").split(os.pathsep):
        for path in Path(folder).rglob(f"cacm/{name}") if folder else ():
            return path
    pytest.skip(f"cacm/{name} is in no folder of BROADSHEET_DATA")


def test_questions_find_what_judges_found_relevant():
    documents = [json.loads(line) for line in judged("corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, body TEXT)")
    database.executemany(
        "INSERT INTO books VALUES (?, ?, ?)", [(n, d["title"], d["text"]) for n, d in enumerate(documents)]
    )
    for statement in schema.create(INDEX):
        database.execute(statement)
    relevant: dict[str, set[str]] = defaultdict(set)
    for line in judged("qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        question, document, score = line.split("\t")[:3]
        if int(score) > 0:
            relevant[question].add(document)
    gains = []
    for line in judged("queries.jsonl").read_text(encoding="utf-8").splitlines():
        question = json.loads(line)
        if good := relevant.get(question["_id"]):
            hits = search(database, INDEX, parse(question["text"])).hits
            gain = sum(
                1 / math.log2(n + 2) for n, hit in enumerate(hits) if documents[hit.key]["_id"] in good
            )
            gains.append(gain / sum(1 / math.log2(n + 2) for n in range(min(10, len(good)))))
    assert len(gains) == 52
    # All words alone reach 0.05, any of them without a stop list 0.42, with one 0.46 at this title weight.
    assert sum(gains) / len(gains) > 0.43


def test_a_search_costs_the_same_whatever_is_in_every_paper():
    """Counts SQLite's steps, not seconds: a word in all of 20,000 papers may cost no more than its bounds."""
    rng = random.Random(0)
    words = [f"w{n}" for n in range(2000)]
    books = [
        (" ".join(rng.sample(words, 4)), "common " + " ".join(rng.sample(words, 10))) for _ in range(20_000)
    ]

    def steps(n: int) -> int:
        database = library(*books[:n])
        count = [0]
        database.set_progress_handler(lambda: count.__setitem__(0, count[0] + 1), 100)
        search(database, INDEX, parse("common"))
        return count[0]

    assert steps(20_000) < 2 * steps(5_000)
