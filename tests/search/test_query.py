from __future__ import annotations

import datetime as dt
import sqlite3

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broadsheet.search import schema
from broadsheet.search.query import FIELDS, Condition, Field, Query, expression, parse

COLUMNS = ("title", "authors_text", "organisation_text", "categories", "arxiv_id", "year")


@pytest.fixture(scope="module")
def index():
    database = sqlite3.connect(":memory:")
    database.execute(
        f"CREATE VIRTUAL TABLE t USING fts5({', '.join(COLUMNS)}, tokenize='{schema.TOKENIZER}')"
    )
    database.execute(
        "INSERT INTO t VALUES ('sun and moon', 'Ada Doe', 'lab', 'cs LG csxlg', '2503.11677', 'y2025')"
    )
    yield database
    database.close()


def texts(query: Query) -> list[str]:
    return [term.text for term in query.terms]


def test_words_phrases_and_negations():
    query = parse('Deep "power law" -vision -"large model"')
    assert [(t.text, t.is_phrase, t.is_negated) for t in query.terms] == [
        ("Deep", False, False),
        ("power law", True, False),
        ("vision", False, True),
        ("large model", True, True),
    ]


def test_fields_look_in_their_columns():
    query = parse('title:law author:"Ada Doe" org:lab cat:cs.LG id:2503.11677v2 -year:2024')
    assert [(t.columns, t.text, t.is_negated) for t in query.terms] == [
        (("title",), "law", False),
        (("authors_text",), "Ada Doe", False),
        (("organisation_text",), "lab", False),
        (("categories",), "csxlg", False),
        (("arxiv_id",), "2503.11677", False),
        (("year",), "y2024", True),
    ]


THIS = dt.datetime.now(dt.UTC).year


@pytest.mark.parametrize(
    ("typed", "years"),
    [
        ("year:2024", [2024]),
        ("year:=2024", [2024]),
        ("year:2023..2025", [2023, 2024, 2025]),
        ("year:2023-2025", [2023, 2024, 2025]),
        ("year:2025..2023", [2023, 2024, 2025]),
        ("year:>=2024", list(range(2024, THIS + 2))),
        ("year:>2024", list(range(2025, THIS + 2))),
        ("year:2024..", list(range(2024, THIS + 2))),
        ("year:<=1901", [1900, 1901]),
        ("year:<1901", [1900]),
        ("year:..1901", [1900, 1901]),
        ("year:0000..9999", list(range(1900, THIS + 2))),
    ],
)
def test_years_are_a_year_a_range_or_a_bound(typed, years):
    (term,) = parse(typed).terms
    assert [term.text, *term.alternatives] == [f"y{year}" for year in years]


def test_a_year_that_no_paper_can_have_finds_nothing(index):
    assert (
        index.execute("SELECT 1 FROM t WHERE t MATCH ?", (expression(parse("year:2999").terms),)).fetchall()
        == []
    )


@pytest.mark.parametrize(
    "typed", ["year:", "year:soon", "year:20", "year:20242025", "title:", "colour:red", "a:b:c"]
)
def test_what_is_no_field_is_a_plain_word(typed):
    (term,) = parse(typed).terms
    assert not term.columns
    assert term.is_plain


@pytest.mark.parametrize(
    "typed",
    ["", "   ", '"', '""', "-", "--", "???", '-""', "$^_{}", "\x00", "\ud800", ":", "-:"],
)
def test_what_holds_no_word_is_an_empty_search(typed):
    assert parse(typed).is_empty


def test_negations_alone_find_nothing():
    assert parse("-vision").is_empty


def test_an_open_quote_reaches_to_the_end():
    (term,) = parse('"power law').terms
    assert (term.text, term.is_phrase) == ("power law", True)


def test_typographic_quotes_and_dashes_are_quotes_and_dashes():
    assert parse("“power law” –vision") == Query("“power law” –vision", parse('"power law" -vision').terms)


def test_stop_words_are_left_out_unless_they_are_all_there_is():
    assert [t.text for t in parse("how do the models learn").wanted] == ["models", "learn"]
    assert [t.text for t in parse("to be or not to be").wanted] == ["to", "be", "or", "not", "to", "be"]
    assert [t.text for t in parse('"to be" models').wanted] == ["to be", "models"]


@pytest.mark.parametrize(
    "typed",
    ["2503.11677", "2503.11677v3", "arXiv:2503.11677v1", "https://arxiv.org/abs/2503.11677v2",
     "arxiv.org/pdf/2503.11677.pdf", "id:2503.11677"],
)  # fmt: skip
def test_an_arxiv_id_is_found_however_it_is_pasted(typed, index):
    assert index.execute(
        "SELECT count(*) FROM t WHERE t MATCH ?", (expression(parse(typed).terms),)
    ).fetchone() == (1,)


@pytest.mark.parametrize("typed", ["cat:cs.LG", "cat:cs", "cat:cs.*", "CAT:CS.lg", 'cat:"cs.LG"'])
def test_a_category_is_found_by_its_name_or_its_archive(typed, index):
    assert index.execute(
        "SELECT count(*) FROM t WHERE t MATCH ?", (expression(parse(typed).terms),)
    ).fetchone() == (1,)


def test_only_the_last_word_that_is_still_being_typed_is_a_beginning():
    assert [t.is_prefix for t in parse("deep lear", prefix=True).terms] == [False, True]
    assert [t.is_prefix for t in parse("deep lear ", prefix=True).terms] == [False, False]
    assert [t.is_prefix for t in parse("deep le", prefix=True).terms] == [False, False]
    assert [t.is_prefix for t in parse('deep "lear"', prefix=True).terms] == [False, False]
    assert [t.is_prefix for t in parse("deep lear").terms] == [False, False]


def test_further_fields_join_by_the_mapping():
    fields = {**FIELDS, "has": Field(), "family": Field(("title",))}
    query = parse("has:code -has:figure family:tuning lora", fields=fields)
    assert query.conditions == (Condition("has", "code"), Condition("has", "figure", is_negated=True))
    assert texts(query) == ["tuning", "lora"]
    assert parse("has:code").conditions == ()


def test_a_search_of_any_length_is_bounded():
    query = parse("word " * 100_000)
    assert len(query.terms) <= 32


typed = st.one_of(
    st.text(),
    st.text(alphabet='ab"-:*^(){}+NEAROT\\\'% \t\0é深\ud800,.$'),
    st.lists(
        st.sampled_from(['"', "-", "title:", "year:", ">=2024", "2024..", "cat:", "id:", "NEAR(",
            "AND", "OR", "NOT", "*", "{", "a", "C++", "^", "+", "٣", "²", "\u1e9e", "𝒳", "🙂", "ⅷ"]),
    ).map("".join),
)  # fmt: skip


@settings(max_examples=1000)
@example('author:"', False)
@example("a* NEAR(b c, 2)", True)
@example("𞤀", False)  # a letter younger than SQLite's tables
@given(typed, st.booleans())
def test_whatever_is_typed_is_no_syntax_error(index, text, prefix):
    query = parse(text, prefix=prefix)
    if query.is_empty:
        return
    for operator in ("AND", "OR"):
        match = expression(query.wanted, operator, query.unwanted)
        index.execute("SELECT bm25(t) FROM t WHERE t MATCH ?", (match,)).fetchall()


@given(st.text(alphabet=st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=20))
def test_a_text_is_found_by_its_own_words(text):
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE VIRTUAL TABLE t USING fts5(title, tokenize='{schema.TOKENIZER}')")
    database.execute("INSERT INTO t VALUES (?)", (schema.spell_out(text),))
    query = parse(text)
    (found,) = database.execute(
        "SELECT count(*) FROM t WHERE t MATCH ?", (expression(query.wanted),)
    ).fetchone()
    indexed = database.execute("SELECT count(*) FROM t WHERE t MATCH ?", ('"' + text + '"',)).fetchone()[0]
    database.close()
    # Letters that SQLite's tables do not know yet are no words to it, in text and query alike.
    assert found >= indexed


def test_expressions_need_terms_and_an_operator():
    with pytest.raises(ValueError, match="at least one term"):
        expression(())
    with pytest.raises(ValueError, match="operator must be AND or OR, got 'NEAR'"):
        expression(parse("a").terms, "NEAR")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("year:abc", "year:abc names no year"),
        ("loss title:", "title: needs a word right after the colon"),
        ("title:--", "names nothing that can be looked for"),
        ("foo:bar", "There is no field foo:, so foo:bar was looked for as words; fields are title, author"),
        ("-vision", "only takes papers away"),
        ("*", "* has no letter and no digit"),
    ],
)
def test_what_is_not_understood_is_said(text, said):
    (note,) = parse(text).notes
    assert said in note


@pytest.mark.parametrize(
    "text",
    [
        "", "scaling -vision", "year:2024..2025", "year:>=2024", 'title:"power law"', "c++", "https://arxiv.org/abs/2401.00001",
        "arxiv:2401.00001", "BERT: a study", "2401.00001v2", "id:2401.00001",
    ],
)  # fmt: skip
def test_of_what_is_understood_nothing_is_said(text):
    assert parse(text).notes == ()
