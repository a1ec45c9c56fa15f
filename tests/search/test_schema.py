from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.search import schema
from broadsheet.search.schema import Column, Index

INDEX = Index("found", "books", "id", (Column("title"), Column("body"), Column("year", sql="'y' || {}")))


def library() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute(
        "CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, body TEXT, year INTEGER, shelf TEXT)"
    )
    for statement in schema.create(INDEX):
        database.execute(statement)
    return database


def check(database: sqlite3.Connection) -> None:
    """Compare the index with the table, word by word: raises where they differ."""
    database.execute("INSERT INTO found(found, rank) VALUES ('integrity-check', 1)")


def matches(database: sqlite3.Connection, words: str) -> list[int]:
    return [
        row[0] for row in database.execute("SELECT rowid FROM found WHERE found MATCH ? ORDER BY 1", (words,))
    ]


def test_the_index_is_filled_from_rows_that_are_there_already():
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, title, body, year)")
    database.execute("INSERT INTO books VALUES (3, 'Old', 'words', 1999)")
    for statement in schema.create(INDEX):
        database.execute(statement)
    assert matches(database, '"old"') == [3]
    check(database)


words = st.sampled_from(["sun", "Sun", "moons", "C++", "c#", "naïve", "x y", "", "a\x02b", "$\\alpha$"])
step = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 5), words, words),
    st.tuples(st.just("change"), st.integers(1, 5), words, words),
    st.tuples(st.just("remove"), st.integers(1, 5), words, words),
    st.tuples(st.just("together"), st.integers(1, 5), words, words),
)


@given(st.lists(step, max_size=12))
def test_the_index_stays_equal_to_the_table_whatever_is_done(steps):
    database = library()
    for what, key, title, body in steps:
        if what == "add":
            database.execute("INSERT OR IGNORE INTO books VALUES (?, ?, ?, 2000, '')", (key, title, body))
        elif what == "change":
            database.execute("UPDATE books SET title = ?, body = ? WHERE id = ?", (title, body, key))
        elif what == "remove":
            database.execute("DELETE FROM books WHERE id = ?", (key,))
        else:
            last = database.execute("SELECT coalesce(max(id), 0) FROM books").fetchone()[0]
            database.execute("BEGIN")
            database.execute(schema.pause(INDEX))
            database.executemany(
                "INSERT INTO books VALUES (?, ?, ?, 2001, '')", [(last + n, title, body) for n in (1, 2)]
            )
            for statement in schema.add_together(INDEX, last):
                database.execute(statement)
            database.execute("COMMIT")
        check(database)


def test_a_lost_entry_is_noticed():
    database = library()
    database.execute("INSERT INTO books VALUES (1, 'sun', '', 2000, '')")
    database.execute("DROP TRIGGER found_removed")
    database.execute("DELETE FROM books")
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        check(database)


def test_a_change_of_other_columns_does_not_touch_the_index():
    database = library()
    database.execute("INSERT INTO books VALUES (1, 'sun', '', 2000, 'low')")
    before = database.total_changes
    database.execute("UPDATE books SET title = title, shelf = 'high'")
    assert database.total_changes == before + 1


def test_nothing_stays_of_a_pause_that_was_rolled_back():
    database = library()
    database.execute("BEGIN")
    database.execute(schema.pause(INDEX))
    database.execute("ROLLBACK")
    database.execute("INSERT INTO books VALUES (1, 'sun', '', 2000, '')")
    assert matches(database, '"sun"') == [1]


@pytest.mark.parametrize(
    ("text", "query", "is_found"),
    [
        ("A compiler for C++ programs", "cplusplus", True),
        ("A compiler for C programs", "cplusplus", False),
        ("C# and .NET", "csharp", True),
        ("GPT-4 and GPT-4o", '"gpt 4"', True),
        ("GPT-4o", '"gpt 4"', False),
        ("state-of-the-art", '"state of the art"', True),
        (r"the $\alpha$-divergence", '"alpha divergence"', True),
        (r"$\mathcal{O}(n)$ time", '"o n"', True),
        ("Réseaux naïfs", '"reseaux naifs"', True),
        ("Scaling laws", '"scale" AND "law"', True),
        ("深度学习", '"深度学习"', True),
    ],
)
def test_the_tokeniser_keeps_what_carries_meaning(text, query, is_found):
    database = library()
    database.execute("INSERT INTO books VALUES (1, ?, '', 2000, '')", (text,))
    assert (matches(database, query) == [1]) is is_found


def test_a_column_may_be_indexed_as_something_else():
    database = library()
    database.execute("INSERT INTO books VALUES (1, 'of 2000', '', 1999, ''), (2, 'sun', '', NULL, '')")
    assert matches(database, '{year} : "y1999"') == [1]
    assert matches(database, '"1999"') == []
    check(database)


def test_dropping_leaves_the_text_alone():
    database = library()
    database.execute("INSERT INTO books VALUES (1, 'sun', '', 2000, '')")
    for statement in schema.drop(INDEX):
        database.execute(statement)
    database.execute("INSERT INTO books VALUES (2, 'moon', '', 2000, '')")
    assert database.execute("SELECT count(*) FROM books").fetchone() == (2,)
    assert database.execute("SELECT name FROM sqlite_master WHERE name LIKE 'found%'").fetchall() == []


@given(st.text(alphabet="aAcC+# "))
def test_spelling_out_is_undone_but_for_capitals(text):
    assert schema.restore(schema.spell_out(text)).upper() == text.upper()


@pytest.mark.parametrize("name", ["a b", "x;DROP TABLE y", "", "1a", "a'"])
def test_names_that_are_no_names_are_refused(name):
    with pytest.raises(ValueError, match="must be named by an identifier"):
        Column(name)
    with pytest.raises(ValueError, match="must be named by an identifier"):
        Index(name, "t", "id", (Column("a"),))


def test_an_index_needs_columns_with_weights_that_are_not_negative():
    with pytest.raises(ValueError, match="at least one column"):
        Index("t", "c", "id", ())
    with pytest.raises(ValueError, match="weight must be >= 0, got -1"):
        Column("a", weight=-1)
