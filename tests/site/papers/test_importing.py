from __future__ import annotations

import dataclasses
import datetime as dt
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broadsheet.site.papers.importing import import_records
from broadsheet.site.papers.models import Author, Authorship, Listing, Organisation, Paper
from broadsheet.sources.record import Organisation as Maker
from broadsheet.sources.record import title_key

from .made_up import check_index, day, everything, record, rolled_back

pytestmark = pytest.mark.django_db


def counts(summary):
    return summary.added, summary.changed, summary.unchanged, summary.skipped


@pytest.mark.parametrize(
    "wrong",
    [{"title": "t" * 100_000}, {"abstract": "a" * 100_001}, {"listed_on": dt.date(9999, 12, 31)}],
)
def test_what_no_paper_can_be_is_skipped_whatever_the_source(wrong):
    summary = import_records([record(**{"line": 7, **wrong}), record("Another")], source="test")
    assert counts(summary) == (1, 0, 0, 1)
    (problem,) = summary.problems
    assert (problem.line, problem.warning) == (7, False)
    assert next(iter(wrong)) in problem.message


def test_a_record_becomes_a_paper_with_all_it_says():
    full = record(
        "A Law of Lifetimes",
        abstract="It lives.",
        arxiv_id="2503.00001",
        version=2,
        authors=("Ada Doe", "José Roe", "Ada Doe"),
        organisation=Maker("makers", "Makers of Things"),
        published_on=day(1),
        updated_on=day(2),
        listed_on=day(8),
        categories=("cs.LG", "stat.ME"),
        comment="9 pages",
        journal_ref="J. 1",
        doi="10.1/x",
        project_page="https://example.org/",
        code_url="https://example.org/code",
        comments_at_save=3,
        upvotes=7,
    )
    assert counts(import_records([full], source="hf-daily")) == (1, 0, 0, 0)
    paper = Paper.objects.get(arxiv_id="2503.00001")
    assert (paper.title, paper.abstract, paper.version) == ("A Law of Lifetimes", "It lives.", 2)
    assert paper.authors_text == "Ada Doe; José Roe; Ada Doe"
    assert (paper.author_count, paper.categories, paper.comment) == (3, "cs.LG stat.ME", "9 pages")
    assert [a.author.name for a in paper.authorships.all()] == ["Ada Doe", "José Roe", "Ada Doe"]
    assert (paper.organisation.handle, paper.organisation_text) == ("makers", "makers Makers of Things")
    assert (paper.published_on, paper.updated_on, paper.dated, paper.year) == (day(1), day(2), day(1), 2025)
    assert (paper.journal_ref, paper.doi, paper.project_page) == ("J. 1", "10.1/x", "https://example.org/")
    assert (paper.code_url, paper.comments_at_save, paper.upvotes_at_source) == (
        "https://example.org/code",
        3,
        7,
    )
    assert (paper.sources, paper.text_source, paper.slug) == ("hf-daily", "hf-daily", "2503.00001")
    assert list(paper.listings.values_list("day", "source", "position")) == [(day(8), "hf-daily", 0)]
    check_index()


def test_the_day_of_a_list_is_not_the_date_of_a_paper():
    import_records([record(arxiv_id="2503.00001", listed_on=day(8))], source="jsonl")
    paper = Paper.objects.get()
    assert (paper.published_on, paper.dated, paper.year) == (None, day(8), 2025)


def test_what_has_no_day_of_its_own_stands_on_the_day_it_is_given():
    import_records([record(), record("B", listed_on=day(1))], source="jsonl", listed_on=day(8))
    assert sorted(Listing.objects.values_list("paper__title", "day")) == [
        ("A Made-up Law", day(8)),
        ("B", day(1)),
    ]


def test_arxiv_lists_a_paper_on_the_day_it_appears():
    import_records([record(arxiv_id="2503.00001", published_on=day(3))], source="arxiv-api")
    assert Listing.objects.get().day == day(3)


def test_places_on_a_list_are_counted_by_day():
    import_records(
        [record("a", listed_on=day(1)), record("b", listed_on=day(2)), record("c", listed_on=day(1))],
        source="jsonl",
    )
    assert dict(Listing.objects.values_list("paper__title", "position")) == {"a": 0, "b": 0, "c": 1}


def test_importing_twice_changes_nothing():
    records = [
        record(f"Title {n}", arxiv_id=f"2503.{n:05d}", authors=("Ada Doe",), listed_on=day(1))
        for n in range(9)
    ]
    records += [record("No id", comments_at_save=2, listed_on=day(8)), record("???", listed_on=day(8))]
    assert counts(import_records(records, source="saved-page")) == (11, 0, 0, 0)
    before = everything(without=set())
    assert counts(import_records(records, source="saved-page")) == (0, 0, 11, 0)
    assert everything(without=set()) == before


def test_a_record_without_id_is_the_one_paper_of_its_title():
    import_records([record("A Law: of $Things$", arxiv_id="2503.00001")], source="jsonl")
    assert counts(import_records([record("a law of things")], source="saved-page")) == (0, 1, 0, 0)
    assert Paper.objects.get().sources == "jsonl saved-page"


def test_a_paper_without_id_gets_the_id_of_the_first_record_of_its_title():
    import_records([record("A Law")], source="saved-page")
    slug = Paper.objects.get().slug
    import_records([record("A LAW", arxiv_id="2503.00001")], source="jsonl")
    paper = Paper.objects.get()
    assert (paper.arxiv_id, paper.slug, paper.title) == ("2503.00001", slug, "A LAW")


def test_two_ids_are_two_papers_whatever_their_titles():
    import_records([record("Same", arxiv_id=f"2503.0000{n}") for n in (1, 2)], source="jsonl")
    assert Paper.objects.count() == 2


def test_an_ambiguous_title_is_never_resolved():
    import_records([record("Same", arxiv_id=f"2503.0000{n}") for n in (1, 2)], source="jsonl")
    assert counts(import_records([record("Same")], source="saved-page")) == (1, 0, 0, 0)
    assert counts(import_records([record("Same")], source="saved-page")) == (0, 0, 1, 0)
    assert counts(import_records([record("Same", arxiv_id="2503.00003")], source="jsonl")) == (1, 0, 0, 0)
    assert Paper.objects.filter(arxiv_id=None).count() == 1


def test_a_list_that_was_understood_stays_understood():
    page = record("Same", listed_on=day(8))
    import_records([record("Same", arxiv_id="2503.00001")], source="jsonl")
    import_records([page], source="saved-page")
    import_records([record("Same", arxiv_id="2503.00002")], source="jsonl")
    assert counts(import_records([page], source="saved-page")) == (0, 0, 1, 0)
    assert counts(import_records([dataclasses.replace(page, listed_on=day(9))], source="saved-page")) == (
        1,
        0,
        0,
        0,
    )


def test_a_title_that_a_paper_once_bore_is_still_its_own():
    import_records([record("Old name", arxiv_id="2503.00001", version=1)], source="arxiv-api")
    import_records([record("Old name", listed_on=day(8))], source="saved-page")
    import_records([record("New name", arxiv_id="2503.00001", version=2)], source="arxiv-api")
    assert counts(import_records([record("Old name", listed_on=day(8))], source="saved-page")) == (0, 0, 1, 0)
    assert Paper.objects.get().title == "New name"


def test_a_paper_that_turns_out_to_be_another_is_joined_with_it():
    import_records([record("New name", arxiv_id="2503.00001", version=2)], source="arxiv-api")
    import_records(
        [record("Old name", listed_on=day(8), comments_at_save=4, author_count=3)], source="saved-page"
    )
    waiting = Paper.objects.get(arxiv_id=None)
    import_records([record("Old name", arxiv_id="2503.00001", version=1)], source="arxiv-api")
    paper = Paper.objects.get()
    assert (paper.title, paper.slug, paper.comments_at_save) == ("New name", waiting.slug, 4)
    assert paper.listings.get().day == day(8)
    check_index()


def test_an_address_that_is_taken_goes_to_nobody_else():
    import_records([record("Same")], source="saved-page")
    import_records(
        [record("Same", arxiv_id="2503.00001"), record("Same", arxiv_id="2503.00002")], source="jsonl"
    )
    import_records([record("Same")], source="saved-page")
    assert Paper.objects.count() == 3
    assert len(set(Paper.objects.values_list("slug", flat=True))) == 3


def test_an_older_version_changes_nothing_but_fills():
    import_records([record("Two", arxiv_id="2503.00001", version=2, abstract="Second.")], source="arxiv-api")
    import_records(
        [record("One", arxiv_id="2503.00001", version=1, abstract="First.", doi="10.1/x")], source="arxiv-api"
    )
    paper = Paper.objects.get()
    assert (paper.title, paper.abstract, paper.version, paper.doi) == ("Two", "Second.", 2, "10.1/x")


def test_a_saved_page_only_fills_what_is_empty_and_counts_comments():
    import_records(
        [record("A Law", arxiv_id="2503.00001", abstract="Ours.", authors=("Ada Doe",))], source="jsonl"
    )
    page = record(
        "A law!",
        abstract="Theirs.",
        author_count=9,
        published_on=day(1),
        comments_at_save=2,
        listed_on=day(8),
    )
    import_records([page], source="saved-page")
    import_records([dataclasses.replace(page, comments_at_save=5, listed_on=day(9))], source="saved-page")
    paper = Paper.objects.get()
    assert (paper.title, paper.abstract, paper.author_count) == ("A Law", "Ours.", 1)
    assert (paper.published_on, paper.comments_at_save) == (day(1), 5)


def test_an_older_save_does_not_set_comments_back():
    for number, comments in ((9, 5), (8, 2)):
        import_records([record(comments_at_save=comments, listed_on=day(number))], source="saved-page")
    assert Paper.objects.get().comments_at_save == 5


def test_a_withdrawal_holds_until_a_newer_version():
    import_records([record(arxiv_id="2503.00001", version=1)], source="arxiv-api")
    import_records([record("", arxiv_id="2503.00001", withdrawn=True)], source="arxiv-oai")
    assert Paper.objects.get().withdrawn
    import_records([record(arxiv_id="2503.00001", version=1)], source="arxiv-api")
    assert Paper.objects.get().withdrawn
    import_records([record(arxiv_id="2503.00001", version=2)], source="arxiv-api")
    assert not Paper.objects.get().withdrawn
    assert Paper.objects.get().title == "A Made-up Law"


def test_a_withdrawn_paper_that_nobody_has_is_skipped():
    summary = import_records([record("", arxiv_id="2503.00001", withdrawn=True)], source="arxiv-oai")
    assert counts(summary) == (0, 0, 0, 1)
    assert not Paper.objects.exists()


def test_authors_who_lost_their_papers_go():
    import_records(
        [record(arxiv_id="2503.00001", version=1, authors=("A. Doe", "B. Roe"))], source="arxiv-api"
    )
    import_records(
        [record(arxiv_id="2503.00001", version=2, authors=("Ada Doe", "B. Roe"))], source="arxiv-api"
    )
    assert sorted(Author.objects.values_list("name", flat=True)) == ["Ada Doe", "B. Roe"]
    assert [a.author.name for a in Paper.objects.get().authorships.all()] == ["Ada Doe", "B. Roe"]
    check_index()


def test_three_thousand_authors_keep_their_order():
    authors = tuple(f"Person {chr(97 + n % 26)}{n}" for n in range(3_000))
    import_records([record(authors=authors)], source="jsonl")
    assert tuple(Authorship.objects.order_by("position").values_list("author__name", flat=True)) == authors
    assert Paper.objects.get().author_count == 3_000


def test_text_that_no_table_holds_is_cleaned_and_reported():
    summary = import_records(
        [
            record("A\x00 title", abstract="half \ud83d a pair", line=3),
            record("Wide\u00a0space", authors=("A;B", "  ", "x" * 301)),
            record("Decomposed e\u0301", arxiv_id="2503.00001"),
        ],
        source="jsonl",
    )
    assert counts(summary) == (3, 0, 0, 0)
    assert {p.title for p in Paper.objects.all()} == {"A title", "Wide space", "Decomposed é"}
    assert [p.line for p in summary.problems][:2] == [3, 3]
    assert all(p.warning for p in summary.problems)
    assert sorted(Author.objects.values_list("name", flat=True)) == ["A,B", "x" * 300]


@pytest.mark.parametrize(
    "fault",
    [{"title": ""}, {"title": "\x00 "}, {"arxiv_id": "2513.00001"}, {"arxiv_id": "2503.1"},
     {"arxiv_id": "2503.00001v2"}, {"arxiv_id": ""}],
)  # fmt: skip
def test_what_cannot_be_a_paper_is_skipped_and_reported(fault):
    summary = import_records([record(**{"title": "A", "line": 7, **fault}), record("B")], source="jsonl")
    assert counts(summary) == (1, 0, 0, 1)
    assert [(p.line, p.warning) for p in summary.problems] == [(7, False)]


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("project_page", "javascript:alert(1)", ""),
        ("code_url", "https://example.org/" + "x" * 500, ""),
        ("code_url", "https://example.org/ x", ""),
        ("doi", "1" * 301, ""),
        ("version", 0, None),
        ("version", 10**6, None),
        ("comments_at_save", -1, None),
        ("upvotes", 2**40, None),
    ],
)
def test_values_that_no_column_holds_are_left_out(name, value, kept):
    summary = import_records([record(**{name: value})], source="jsonl")
    assert getattr(Paper.objects.get(), {"upvotes": "upvotes_at_source"}.get(name, name)) == kept
    assert len(summary.problems) == 1


def test_a_title_longer_than_the_index_is_found_again():
    for source in ("saved-page", "jsonl"):
        import_records([record("word " * 300 + "end")], source=source)
    assert Paper.objects.get().sources == "jsonl saved-page"


def test_an_organisation_is_one_whoever_names_it():
    import_records(
        [
            record("A", organisation=Maker("makers", "Makers")),
            record("B", organisation=Maker("makers", "Makers")),
        ],
        source="saved-page",
    )
    assert Organisation.objects.get().papers.count() == 2


def test_an_organisation_handle_is_fit_for_an_address():
    import_records([record(organisation=Maker("a/b c", ""))], source="saved-page")
    assert (Organisation.objects.get().handle, Organisation.objects.get().name) == ("a-b-c", "a-b-c")


@pytest.mark.parametrize("source", ["", "two words", "x" * 21])
def test_sources_have_short_names(source):
    with pytest.raises(ValueError, match="source must be 1 to 20 characters"):
        import_records([], source=source)


@pytest.mark.parametrize("batch", [0, 10_001])
def test_batches_have_bounds(batch):
    with pytest.raises(ValueError, match=rf"batch must be in \[1, 10000\], got {batch}"):
        import_records([], source="jsonl", batch=batch)


def test_a_source_that_breaks_off_takes_nothing_back():
    def records():
        yield record("A")
        yield record("B")
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        import_records(records(), source="jsonl")
    assert Paper.objects.count() == 2


def test_progress_counts_all_records():
    seen: list[int] = []
    import_records([record(str(n)) for n in range(7)], source="jsonl", batch=3, progress=seen.append)
    assert seen == [3, 6, 7]


def test_records_are_not_read_far_ahead():
    read = 0

    def records():
        nonlocal read
        for n in range(100_000):
            read += 1
            yield record(f"Title {n}")

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_records(records(), source="jsonl", batch=10, progress=stop)
    # At most sixteen chunks of 256 wait in the queue, one is being made and one is being taken.
    assert read <= 18 * 256


def test_the_number_of_queries_does_not_grow_with_the_batch():
    def queries(n, start):
        with CaptureQueriesContext(
            connection,
        ) as seen:
            import_records(
                [
                    record(f"T {k}", arxiv_id=f"2503.{k:05d}", authors=(f"A {k}",))
                    for k in range(start, start + n)
                ],
                source="jsonl",
            )
        return len([q for q in seen if not q["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))])

    assert queries(200, 0) == queries(20, 1000)


# Records of a few papers, as the sources tell of them.

days = st.integers(1, 28).map(day)
names = st.lists(st.sampled_from(["Ada Doe", "José Roe", "Li Na", "ada doe"]), max_size=3).map(tuple)


@st.composite
def page_record(draw, n):
    return "saved-page", record(
        f"The {n}th Law",
        abstract=draw(st.sampled_from(["", f"Page {n}."])),
        author_count=draw(st.none() | st.integers(1, 9)),
        organisation=Maker("makers", "Makers"),
        comments_at_save=draw(st.none() | st.integers(0, 9)),
        listed_on=draw(days),
    )


@st.composite
def community_record(draw, n):
    return "hf-daily", record(
        f"The {n}th law!",
        arxiv_id=f"2503.0000{n}",
        abstract=f"Community {n}.",
        authors=draw(names),
        organisation=Maker("makers", "Makers"),
        code_url=draw(st.sampled_from(["", "https://example.org/code"])),
        upvotes=draw(st.none() | st.integers(0, 9)),
        listed_on=draw(days),
    )


@st.composite
def arxiv_records(draw, n):
    versions = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True))
    return [
        (
            "arxiv-api",
            record(
                draw(st.sampled_from([f"The {n}th Law", f"The {n}th Law Revisited"])),
                arxiv_id=f"2503.0000{n}",
                version=version,
                abstract=f"Version {version}.",
                authors=("Ada Doe", f"Version {chr(64 + version)}"),
                published_on=day(1),
                updated_on=day(version),
                categories=("cs.LG",),
                comment=f"v{version}",
            ),
        )
        for version in versions
    ]


@st.composite
def told(draw):
    records = []
    for n in range(1, draw(st.integers(1, 3)) + 1):
        records += draw(arxiv_records(n))
        records += [draw(page_record(n))] if draw(st.booleans()) else []
        records += [draw(community_record(n))] if draw(st.booleans()) else []
    return records


@settings(max_examples=50, deadline=None)
@given(told(), st.randoms(use_true_random=False))
def test_the_order_of_sources_does_not_matter(records, rng):
    results = []
    for _ in range(2):
        rng.shuffle(records)
        with rolled_back():
            for source, one in records:
                import_records([one], source=source)
            check_index()
            # A title that is superseded before anybody bore it is known in either order.
            results.append(everything())
            ids = [p["arxiv_id"] for p in results[-1] if p["arxiv_id"]]
            assert len(ids) == len(set(ids))
    assert results[0] == results[1]


@settings(max_examples=25, deadline=None)
@given(told(), st.integers(1, 5))
def test_importing_again_in_any_batches_changes_nothing(records, batch):
    by_source: dict[str, list] = {}
    for source, one in records:
        by_source.setdefault(source, []).append(one)
    with rolled_back():
        for source, some in by_source.items():
            import_records(some, source=source)
        together = everything()
        for source, some in by_source.items():
            # Of an older version some facts may still be filled in: once, and never again.
            import_records(some, source=source, batch=batch)
        again = everything()
        for source, some in by_source.items():
            summary = import_records(some, source=source, batch=batch)
            assert (summary.added, summary.changed) == (0, 0)
        assert everything() == again
        assert [p["title"] for p in again] == [p["title"] for p in together]
    with rolled_back():
        for source, some in by_source.items():
            import_records(some, source=source, batch=batch)
        assert everything() == together


titles = st.sampled_from(["Same", "same!", "Other", "???", "Sa-me"])
ids = st.none() | st.sampled_from(["2503.00001", "2503.00002", "2503.00003"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(titles, ids), max_size=8))
@example(
    [
        ("Same", None),
        ("Same", "2503.00001"),
        ("Same", "2503.00002"),
        ("Other", None),
        ("Other", "2503.00002"),
    ]
)
def test_ids_are_never_merged_and_nothing_is_lost(pairs):
    def bring(title, arxiv_id):
        source = "saved-page" if arxiv_id is None else "jsonl"
        return import_records([record(title, arxiv_id=arxiv_id, listed_on=day(8))], source=source)

    with rolled_back():
        total = [0, 0]
        for title, arxiv_id in pairs:
            summary = bring(title, arxiv_id)
            total[0] += summary.added
            total[1] += sum(counts(summary))
        found = list(Paper.objects.values_list("arxiv_id", flat=True))
        assert {i for i in found if i} == {i for _, i in pairs if i}
        assert len(found) <= total[0]
        assert total[1] == len(pairs)
        bore: dict[str, set[str]] = {}
        for title, arxiv_id in pairs:
            if arxiv_id is not None:
                bore.setdefault(title_key(title), set()).add(arxiv_id)
        for title, arxiv_id in pairs:
            # A title that several ids bore names none of them: without an id it cannot be told whose it is.
            if arxiv_id is not None or len(bore.get(title_key(title), ())) < 2:
                assert bring(title, arxiv_id).added == 0
        check_index()


KILLED = """
import os, sys, django
django.setup()
from broadsheet.site.papers import database
database.prepare()
from broadsheet.site.papers.importing import import_records
from broadsheet.sources.record import PaperRecord
import datetime as dt
records = (
    PaperRecord(title=f"Title {n}", source="jsonl", abstract=f"word{n % 97} " * 60, arxiv_id=f"2503.{n:05d}",
                authors=(f"Person {n % 500}", f"Person {n % 7}"), listed_on=dt.date(2025, 1, 1 + n % 28))
    for n in range(6000)
)
print("ready", flush=True)
summary = import_records(records, source="jsonl", batch=100)
print(summary.added, summary.changed, summary.unchanged, summary.skipped, flush=True)
"""


def test_a_killed_import_goes_on_where_it_was(tmp_path: Path):
    home = tmp_path / "home"
    environment = {
        **os.environ,
        "BROADSHEET_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "broadsheet.site.settings",
    }

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(KILLED)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    rng = random.Random(4)
    path = home / "broadsheet.sqlite3"
    for _ in range(5):
        process = start()
        time.sleep(rng.uniform(0.02, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        consistent(path)
    process = start()
    said, _ = process.communicate(timeout=120)
    added, changed, unchanged, skipped = map(int, said.split())
    assert (added + unchanged, changed, skipped) == (6000, 0, 0)
    assert consistent(path) == 6000


def consistent(path: Path) -> int:
    """Check a database that was left behind; return its number of papers."""
    database = sqlite3.connect(path, isolation_level=None)
    try:
        assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        database.execute("INSERT INTO papers_search(papers_search, rank) VALUES ('integrity-check', 1)")

        def count(sql: str) -> int:
            return database.execute(f"SELECT count(*) FROM {sql}").fetchone()[0]

        papers = count("papers_paper WHERE sources = 'jsonl'")
        assert papers % 100 == 0  # whole batches
        assert count("papers_search_docsize") == count("papers_paper")
        assert count("papers_listing") == papers
        assert count("papers_authorship") == 2 * papers
        assert count("papers_search_pause") == 0
        assert count("(SELECT DISTINCT arxiv_id FROM papers_paper WHERE sources = 'jsonl')") == papers
        return papers
    finally:
        database.close()


def test_a_date_with_a_time_is_a_date():
    import_records([record(published_on=dt.datetime(2025, 3, 1, 12, tzinfo=dt.UTC))], source="jsonl")
    assert Paper.objects.get().published_on == dt.date(2025, 3, 1)
