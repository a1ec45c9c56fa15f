"""The saved Daily Papers page: every corner of its layout."""

from __future__ import annotations

import datetime as dt
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadsheet.sources.record import Organisation, PaperRecord, Problem, SourceError
from broadsheet.sources.saved_page import read

SAVED = dt.date(2025, 12, 8)
PREAMBLE = "new\n\nGet papers by mail!\n\nSubscribe\n\nDaily Papers\n\nbyAK and the research community\n\n"
AUTHORS = "  • 3 authors\n·\nJan 21"


def paper(meta: str = AUTHORS, title: str = "A title", abstract: str = "An abstract.") -> str:
    return f"\n{title}\n\n{abstract}\n" + (f"\n{meta}\n" if meta else "")


def page(*papers: str, day: str = "Dec 8", preamble: str = PREAMBLE) -> str:
    return f"{preamble}{day}\n" + "".join(papers)


def collect(
    text: str | bytes, saved: dt.date | None = SAVED, strict: bool = False, today: dt.date | None = None
) -> tuple[list[PaperRecord], list[Problem]]:
    problems: list[Problem] = []
    data = text.encode() if isinstance(text, str) else text
    return list(
        read(io.BytesIO(data), saved=saved, on_problem=problems.append, strict=strict, today=today)
    ), problems


def only(meta: str = AUTHORS, **kinds: str) -> PaperRecord:
    (found,), problems = collect(page(paper(meta, **kinds)))
    assert problems == []
    return found


def refusal(text: str | bytes, saved: dt.date | None = SAVED, today: dt.date | None = None) -> Problem:
    with pytest.raises(SourceError) as caught:
        collect(text, saved, today=today)
    return caught.value.problem


def fault(meta: str, **kinds: str) -> Problem:
    """Return the fault of the middle one of three papers, after checking that the others were read."""
    text = page(paper(title="Before"), paper(meta, **kinds), paper(title="After"))
    papers, problems = collect(text)
    assert [found.title for found in papers] == ["Before", "After"]
    assert len(problems) == 1
    assert not problems[0].warning
    assert problems[0].line is not None
    assert problems[0].found.rstrip("…") in " ".join(text.splitlines()[problems[0].line - 1].split())
    with pytest.raises(SourceError) as caught:
        collect(text, strict=True)
    assert caught.value.problem == problems[0]
    return problems[0]


# --- the given page --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strict", [False, True])
def test_the_given_page_is_read_completely(given_page: Path, strict: bool) -> None:
    problems: list[Problem] = []
    papers = list(read(given_page, saved=SAVED, on_problem=problems.append, strict=strict))
    assert problems == []
    assert len(papers) == 39
    lines = given_page.read_text("utf-8").splitlines()
    assert all(lines[found.line - 1] == found.title for found in papers if found.line)
    assert sum(found.published_on is not None and found.published_on.year == 2025 for found in papers) == 7
    comments = [found.comments_at_save for found in papers if found.comments_at_save]
    assert (len(comments), sum(comments)) == (9, 33)
    assert [found.organisation for found in papers if found.organisation] == [
        Organisation("openbmb", "OpenBMB")
    ]
    counts = [found.author_count for found in papers if found.author_count is not None]
    assert (min(counts), max(counts), len(counts)) == (2, 12, 37)
    assert sum(found.published_on is None for found in papers) == 1
    assert {found.listed_on for found in papers} == {SAVED}
    assert all(found.abstract and found.arxiv_id is None and found.upvotes is None for found in papers)


def test_the_year_of_the_given_page_is_inferred_where_only_one_fits(given_page: Path) -> None:
    problems: list[Problem] = []
    papers = list(read(given_page, saved=None, on_problem=problems.append, today=dt.date(2026, 6, 1)))
    assert papers == list(read(given_page, saved=SAVED, on_problem=problems.append))
    assert [problem.warning for problem in problems] == [True]
    with pytest.raises(SourceError, match=r"possible: 2025, 2026.*--saved"):
        list(read(given_page, saved=None, on_problem=problems.append, today=dt.date(2026, 12, 24)))


# --- a paper ---------------------------------------------------------------------------------------------------


def test_a_paper_is_read_with_all_its_parts() -> None:
    found = only(
        "  • 7 authors\n·\nApr 18, 2024 1", title="On: “A”?", abstract="We \\emph{do} it. https://a.b/~c ."
    )
    assert found == PaperRecord(
        title="On: “A”?",
        source="saved-page",
        abstract="We \\emph{do} it. https://a.b/~c .",
        author_count=7,
        published_on=dt.date(2024, 4, 18),
        listed_on=SAVED,
        comments_at_save=1,
        line=13,
    )


@pytest.mark.parametrize(
    ("date", "day", "comments"),
    [
        ("Jan 21", dt.date(2025, 1, 21), 0),
        ("Oct 8, 2021", dt.date(2021, 10, 8), 0),
        ("Apr 18, 2024 1", dt.date(2024, 4, 18), 1),
        ("Jun 23 2", dt.date(2025, 6, 23), 2),
        ("Feb 29, 2024 14", dt.date(2024, 2, 29), 14),
        ("Dec 8", dt.date(2025, 12, 8), 0),
    ],
)
def test_dates_are_read_with_comments_and_without(date: str, day: dt.date, comments: int) -> None:
    found = only(f"• 2 authors\n·\n{date}")
    assert (found.published_on, found.comments_at_save, found.upvotes) == (day, comments, None)


@pytest.mark.parametrize(
    "line", ["• 1 author", "  • 1 author", "\t•  1 author", "\u00a0•\u00a01 author", "• 1 authors"]
)
def test_one_author_is_accepted(line: str) -> None:
    assert only(f"{line}\n·\nJan 21").author_count == 1


def test_an_organisation_may_stand_for_the_authors_whose_number_is_then_unknown() -> None:
    found = only("makers Makers of Things\n·\nDec 5, 2024 2")
    assert found.organisation == Organisation("makers", "Makers of Things")
    assert found.author_count is None
    assert found.comments_at_save == 2


@pytest.mark.parametrize("between", ["\n", "\n·\n"])
def test_an_organisation_and_authors_may_both_stand(between: str) -> None:
    found = only(f"makers Makers{between}  • 5 authors\n·\nDec 5, 2024")
    assert (found.organisation, found.author_count) == (Organisation("makers", "Makers"), 5)


def test_a_paper_without_authors_and_date_ends_at_the_next_title() -> None:
    papers, problems = collect(
        page(paper("", title="First"), paper(title="Second"), paper("", title="Third"))
    )
    assert [found.title for found in papers] == ["First", "Second", "Third"]
    assert [found.published_on is None for found in papers] == [True, False, True]
    assert (papers[0].comments_at_save, papers[0].author_count) == (None, None)
    assert problems == []


def test_several_papers_without_authors_and_date_follow_each_other() -> None:
    papers, _ = collect(
        page(*(paper("", title=f"Title {number}") for number in range(9)), paper(title="Last"))
    )
    assert [found.title for found in papers] == [f"Title {number}" for number in range(9)] + ["Last"]


def test_an_abstract_may_have_several_lines_where_authors_and_date_follow() -> None:
    found = only(abstract="One line,\nanother,\n and a third.")
    assert found.abstract == "One line, another, and a third."


def test_an_abstract_in_two_parts_is_joined_with_a_warning() -> None:
    papers, problems = collect(page(paper("", title="First"), paper(abstract="Part one.\n\nPart two.")))
    assert [found.abstract for found in papers] == ["An abstract.", "Part one. Part two."]
    assert [(problem.warning, problem.line, problem.found) for problem in problems] == [
        (True, 21, "Part two.")
    ]


def test_the_last_paper_needs_no_line_feed() -> None:
    for last in (AUTHORS, ""):
        papers, problems = collect(page(paper(), paper(last, title="Last")).rstrip("\n"))
        assert [found.title for found in papers] == ["A title", "Last"]
        assert problems == []


def test_a_title_may_look_like_a_date_and_a_month_like_a_word() -> None:
    papers, _ = collect(
        page(paper(title="Jan 21"), paper(title="May 5, 2024 3"), paper(title="Mar of Things"))
    )
    assert [found.title for found in papers] == ["Jan 21", "May 5, 2024 3", "Mar of Things"]


# --- the file --------------------------------------------------------------------------------------------------


def test_line_ends_byte_order_mark_and_hard_spaces_do_not_count() -> None:
    plain = page(paper(), paper("makers Makers\n·\nJun 23 2", title="Two words"))
    expected = collect(plain)
    assert expected[1] == []
    assert collect(plain.replace("\n", "\r\n")) == expected
    assert collect(b"\xef\xbb\xbf" + plain.encode()) == expected
    assert collect(plain.replace(" ", "\u00a0")) == expected
    assert collect(plain.replace("\n\n", "\n \u00a0\t\n")) == expected


def test_the_preamble_is_optional_and_may_be_anything() -> None:
    for preamble in ("", "\n\n", "x\n" * 5000, "May be\nDec 8, 2024 3\nNov 31st\n", "\x00\xff\n", "\u202e\n"):
        papers, problems = collect(page(paper(), preamble=preamble))
        assert [found.title for found in papers] == ["A title"]
        assert problems == []


def test_a_file_chunks_and_an_open_file_are_read_alike(tmp_path: Path) -> None:
    text = page(paper(), paper("", title="Last")).encode()
    file = tmp_path / "page.txt"
    file.write_bytes(text)
    expected, _ = collect(text)

    class Unseekable(io.RawIOBase):
        def __init__(self) -> None:
            self.rest = io.BytesIO(text)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            return self.rest.readinto(memoryview(buffer)[:7])

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(text), 3):
            yield text[start : start + 3]

    for strict in (False, True):
        for source in (file, chunks(), io.BytesIO(text), Unseekable(), [text]):
            assert list(read(source, saved=SAVED, on_problem=print, strict=strict)) == expected  # type: ignore[arg-type]


def test_an_open_file_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"skipped" + page(paper(), preamble="").encode())
    for strict in (True, False):
        file.seek(7)
        assert len(list(read(file, saved=SAVED, on_problem=print, strict=strict))) == 1


def test_papers_come_while_the_rest_is_still_to_be_read() -> None:
    def chunks() -> Iterator[bytes]:
        yield page(*[paper()] * 40).encode()
        raise AssertionError("read ahead")

    papers = read(chunks(), saved=SAVED, on_problem=print)
    assert next(papers).title == "A title"


@pytest.mark.parametrize("source", ["a path", b"bytes", bytearray(b"x")])
def test_text_and_bytes_are_no_source(source: object) -> None:
    with pytest.raises(TypeError, match="source must be a Path"):
        read(source, saved=SAVED, on_problem=print)  # type: ignore[call-overload]


def test_a_text_file_is_refused() -> None:
    for strict in (False, True):
        with pytest.raises(TypeError, match="binary mode"):
            list(read(io.StringIO(page(paper())), saved=SAVED, on_problem=print, strict=strict))  # type: ignore[arg-type]


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.txt", tmp_path):
        with pytest.raises(SourceError, match=path.name):
            list(read(path, saved=SAVED, on_problem=print))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<!DOCTYPE html><html><body>Dec 8", "HTML"),
        (b"  <html lang=en>", "HTML"),
        (b"<?xml version='1.0'?><feed/>", "HTML or XML"),
        (b"%PDF-1.7\nDec 8\n", "a PDF"),
        (b"PK\x03\x04....", "compressed"),
        (b"\x1f\x8b\x08....", "compressed"),
        (b'{"papers": []}', "JSON"),
        (b'[{"paper": 1}]', "JSON"),
        (page(paper()).encode("utf-16"), "UTF-16"),
        (page(paper()).encode("utf-16-le"), "UTF-16"),
        (b"", "date of the page"),
        (b"\n\n \n", "date of the page"),
        (b"Dear reader,\n\nthis is a letter.\n\nYours\n", "date of the page"),
        (b"x\n" * 20_000, "first 10,001 lines"),
        (bytes(range(256)) * 100, "date of the page|no text|binary"),
    ],
)
def test_a_page_of_another_kind_gets_one_clear_error(data: bytes, kind: str) -> None:
    problems: list[Problem] = []
    with pytest.raises(SourceError, match=kind) as caught:
        list(read(io.BytesIO(data), saved=SAVED, on_problem=problems.append))
    assert "this is no Daily Papers page" in str(caught.value)
    assert "select all, copy" in str(caught.value)
    assert problems == []


def test_a_page_without_papers_is_refused() -> None:
    assert "no paper" in refusal(page()).message
    assert "no paper" in refusal(page("\nOnly one block\n")).message


def test_a_page_copied_from_its_first_paper_on_lacks_its_date() -> None:
    problem = refusal(page(paper(), day="", preamble=""))
    assert "is missing before it" in problem.message
    assert problem.found == "Jan 21"


def test_a_page_on_which_no_paper_has_authors_is_doubted() -> None:
    papers, problems = collect(page(paper("")))
    assert len(papers) == 1
    assert ["authors and date" in problem.message and problem.warning for problem in problems] == [True]


# --- years -----------------------------------------------------------------------------------------------------


def test_a_date_without_year_is_of_the_year_in_which_the_page_was_saved() -> None:
    (found,), _ = collect(page(paper()), saved=dt.date(2023, 12, 8))
    assert found.published_on == dt.date(2023, 1, 21)
    assert found.listed_on == dt.date(2023, 12, 8)


def test_the_page_may_print_its_own_year() -> None:
    (found,), problems = collect(page(paper(), day="Dec 8, 2024"), saved=None)
    assert (found.listed_on, found.published_on) == (dt.date(2024, 12, 8), dt.date(2024, 1, 21))
    assert problems == []


def test_a_page_without_any_year_is_refused_without_the_day_of_saving() -> None:
    problem = refusal(page(paper()), saved=None)
    assert "no year at all" in problem.message
    assert "--saved" in problem.message
    assert (problem.line, problem.found) == (11, "Dec 8")


@pytest.mark.parametrize(
    ("printed", "today", "expected"),
    [
        ("2024", dt.date(2025, 12, 24), 2025),
        ("2024", dt.date(2025, 12, 7), 2025),  # somewhere it is already the 8th
        ("2024", dt.date(2025, 12, 6), None),  # no year fits: the page would be of the future
        ("2024", dt.date(2026, 12, 7), None),  # two fit
        ("2025", dt.date(2026, 12, 24), 2026),
        ("2030", dt.date(2026, 12, 24), None),
        ("0001", dt.date(2026, 12, 24), None),
    ],
)
def test_a_year_is_inferred_only_if_it_is_the_only_one(
    printed: str, today: dt.date, expected: int | None
) -> None:
    text = page(paper(), paper(f"• 2 authors\n·\nMay 5, {printed}"), paper("• 1 author\n·\nMay 5, 2019"))
    if expected is None:
        assert "pass the day" in refusal(text, saved=None, today=today).message
    else:
        papers, problems = collect(text, saved=None, today=today)
        assert papers[0].listed_on == dt.date(expected, 12, 8)
        assert papers[0].published_on == dt.date(expected, 1, 21)
        assert [problem.warning for problem in problems] == [True]


def test_only_dates_of_papers_count_as_printed_years() -> None:
    text = page(paper(title="May 5, 2030", abstract="Jun 6, 2031"), paper("• 2 authors\n·\nMay 5, 2024"))
    papers, _ = collect(text, saved=None, today=dt.date(2025, 12, 24))
    assert papers[0].listed_on == dt.date(2025, 12, 8)


def test_a_date_without_year_after_the_day_of_the_page_is_a_warning() -> None:
    for date, warned in (("Dec 8", 0), ("Dec 9", 1), ("Dec 31 4", 1)):
        for strict in (False, True):
            papers, problems = collect(page(paper(f"• 2 authors\n·\n{date}")), strict=strict)
            assert len(papers) == 1
            assert [(problem.warning, problem.line, problem.found) for problem in problems] == [
                (True, 19, date)
            ] * warned


def test_doubtful_years_are_warned_of() -> None:
    _, problems = collect(page(paper("• 2 authors\n·\nMay 5, 2025"), paper("• 2 authors\n·\nMay 6, 2025")))
    assert ["2025 is printed" in problem.message for problem in problems] == [True]
    _, problems = collect(page(paper("• 2 authors\n·\nMay 5 2024")))
    assert "number of comments" in problems[0].message
    assert all(problem.warning for problem in problems)


@pytest.mark.parametrize(
    ("text", "saved", "said"),
    [
        (page(paper("• 2 authors\n·\nMay 5, 2026")), dt.date(2025, 12, 8), "prints the date 2026-05-05"),
        (page(paper(), day="Dec 8"), dt.date(2025, 12, 1), "the page is of 2025-12-08"),
        (page(paper(), day="Dec 8, 2026"), dt.date(2025, 12, 8), "the page is of 2026-12-08"),
    ],
)
def test_a_page_that_prints_a_later_day_than_it_was_saved_on_is_refused(text, saved, said) -> None:
    with pytest.raises(SourceError, match=f"{said}, so it was not saved on {saved}"):
        collect(text, saved=saved)


def test_a_page_is_not_saved_in_the_future() -> None:
    today = dt.date(2025, 12, 8)
    assert collect(page(paper()), saved=today + dt.timedelta(days=1), today=today)[0]
    with pytest.raises(ValueError, match="saved must not lie in the future, got 2025-12-10"):
        collect(page(paper()), saved=dt.date(2025, 12, 10), today=today)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_a_page_in_another_encoding_is_refused(encoding: str) -> None:
    text = page(paper("? 2 authors\n·\nMay 5"), paper("? 2 authors\n·\nMay 5"))
    text = text.decode() if isinstance(text, bytes) else text
    papers: list[PaperRecord] = []
    with pytest.raises(SourceError, match="is not in UTF-8: the byte 0xb7 is a whole line"):
        papers.extend(read(io.BytesIO(text.encode(encoding)), saved=SAVED, on_problem=print))
    assert papers == []


def test_the_line_ends_of_old_macs_are_named() -> None:
    with pytest.raises(SourceError, match="end with CR alone"):
        collect(page(paper()).replace("\n", "\r"))


@pytest.mark.parametrize(("year", "exists"), [(2024, True), (2025, False), (2000, True), (1900, False)])
def test_29_february_is_checked_against_the_year(year: int, exists: bool) -> None:
    printed = collect(page(paper(f"• 2 authors\n·\nFeb 29, {year}"), paper()))
    yearless = collect(page(paper("• 2 authors\n·\nFeb 29"), paper()), saved=dt.date(year, 12, 8))
    for papers, problems in (printed, yearless):
        assert len(papers) == (2 if exists else 1)
        assert [problem.message for problem in problems if not problem.warning] == (
            [] if exists else [f"there is no such day in {year}"]
        )
    of_page = page(paper("• 2 authors\n·\nFeb 3"), day="Feb 29")
    if exists:
        assert collect(of_page, saved=dt.date(year, 3, 1))[0][0].listed_on == dt.date(year, 2, 29)
    else:
        assert "no such day" in refusal(of_page, saved=dt.date(year, 3, 1)).message


def test_a_page_date_outside_the_calendar_is_refused() -> None:
    problem = refusal(page(paper(), day="Feb 30"))
    assert (problem.line, problem.found) == (11, "Feb 30")


# --- faults of one paper ---------------------------------------------------------------------------------------


WRONG_DATES = (
    *(
        "Feb 30",
        "Apr 31, 2024",
        "Jan 0",
        "Jan 32",
        "Jan 05",
        "May 5, 0000",
        "Jun 23 9999999",
        "jan 5",
        "January 5",
    ),
    *(
        "Jan 5,2024",
        "5 Jan",
        "Jan 5, 24",
        "Jan 5, 2024 x",
        "Jan 5, 2024 1 2",
        "Jan 5 -1",
        "Jan ٥",
        "2024-01-05",
        "·",
    ),
)


@pytest.mark.parametrize("date", WRONG_DATES)
def test_a_wrong_date_costs_its_paper_only(date: str) -> None:
    problem = fault(f"• 2 authors\n·\n{date}")
    assert problem.line == 27
    assert problem.found == date


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ("• 3 authors", "'·' alone on the next line"),
        ("• 3 authors\n·", "a date on the next line"),
        ("• 3 authors\nJan 21", "'·' alone on this line"),
        ("• 3 authors\n\n·\nJan 21", "'·' alone on the next line"),
        ("• 3 authors\n·\n\nJan 21", "a date on the next line"),
        ("• 3 authors\n\n·\n\nJan 21", "'·' alone on the next line"),
        ("• 0 authors\n·\nJan 21", "1 author or more"),
        ("• 9999999 authors\n·\nJan 21", "1 author or more"),
        ("• three authors\n·\nJan 21", "'• 5 authors'"),
        ("oneword\n·\nJan 21", "handle and name"),
        ("a/b Name\n·\nJan 21", "handle and name"),
        (f"{'h' * 201} Name\n·\nJan 21", "handle and name"),
        ("makers Makers\n·", "a date on the next line"),
        ("makers Makers\n• 3 authors\n·", "a date on the next line"),
        ("• 3 authors\n·\nJan 21\nmore", "an empty line after the date"),
    ],
)
def test_faulty_authors_and_dates_are_explained(meta: str, expected: str) -> None:
    assert expected in fault(meta).message


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({"title": "Two\nlines"}, "an empty line after the title"),
        ({"title": "t" * 2001}, "a title has at most"),
        ({"title": "t" * 1_000_000}, "this line has 1,000,000 bytes"),
        ({"abstract": "a" * 1_000_000}, "this line has 1,000,000 bytes"),
        ({"abstract": "a line of text\n" * 20_000}, "too long together"),
    ],
)
def test_faulty_titles_and_abstracts_are_explained(kinds: dict[str, str], expected: str) -> None:
    assert expected in fault(AUTHORS, **kinds).message


def test_an_abstract_of_several_lines_without_authors_is_a_fault() -> None:
    assert "an empty line after the abstract" in fault("", abstract="One.\nTwo.").message


def test_a_title_without_abstract_is_a_fault() -> None:
    papers, problems = collect(page(paper(), f"\nLost title\n\n{AUTHORS}\n", paper(), "\nAt the end\n"))
    assert len(papers) == 2
    assert [(problem.message.split(" ")[2:4], problem.found) for problem in problems] == [
        (["abstract", "between"], "Lost title"),
        (["abstract", "after"], "At the end"),
    ]


def test_authors_without_a_title_are_a_fault() -> None:
    papers, problems = collect(page(f"\n{AUTHORS}\n", paper(), f"\n{AUTHORS}\n", "\n·\nJan 5\n", paper()))
    assert len(papers) == 2
    assert ["title above" in problem.message for problem in problems] == [True, True]


def test_a_separator_by_itself_is_a_fault() -> None:
    papers, problems = collect(page(paper(), "\n·\nJan 5\n", paper()))
    assert len(papers) == 2
    assert [(problem.message, problem.found) for problem in problems] == [("expected a title", "·")]


def test_strict_yields_nothing_from_a_page_with_a_fault_at_its_end() -> None:
    data = page(paper(), paper("• 2 authors\n·\nFeb 30")).encode()
    papers = []
    with pytest.raises(SourceError, match="no such day"):
        papers.extend(read(io.BytesIO(data), saved=SAVED, on_problem=print, strict=True))
    assert papers == []


# --- hostile input ---------------------------------------------------------------------------------------------


def test_bytes_that_are_no_utf8_are_replaced_and_reported_with_their_line() -> None:
    text = page(paper(title="Caf\u00e9 law")).encode().replace("é".encode(), b"\xe9")
    (found,), problems = collect(text)
    assert found.title == "Caf\ufffd law"
    assert [(problem.line, problem.warning) for problem in problems] == [(13, True)]
    assert "0xe9" in problems[0].message


def test_controls_and_overrides_are_taken_out_and_reported() -> None:
    (found,), problems = collect(page(paper(title="A\x00 l\x1baw", abstract="Of \u202ethings\u2066.")))
    assert (found.title, found.abstract) == ("A l aw", "Of things.")
    assert [problem.line for problem in problems if problem.warning] == [13, 15]


def test_endless_garbage_is_refused_soon_and_not_held() -> None:
    def endless(piece: bytes) -> Iterator[bytes]:
        yield b"Dec 8\n\n"
        for _ in range(100):
            yield (piece * (1_000_000 // len(piece) + 1))[:1_000_000]

    bad_date = " • 3 authors\n·\nFeb 30\n\n".encode()
    good = "A title\n\nAn abstract\n\n • 3 authors\n·\nFeb 3\n\n".encode()
    tracemalloc.start()
    try:
        for piece in (b"x", b"\n", bad_date, bytes(range(256)), b"\x00", b"\xff\n\n"):
            with pytest.raises(SourceError):
                for _ in read(endless(piece), saved=SAVED, on_problem=lambda problem: None):
                    pass
        papers = read(endless(good), saved=SAVED, on_problem=print)
        assert sum(1 for _, _ in zip(papers, range(3000), strict=False)) == 3000
        papers.close()  # type: ignore[attr-defined]
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_more_lines_and_papers_than_any_page_has_are_refused() -> None:
    def many(piece: bytes) -> Iterator[bytes]:
        yield b"Dec 8\n\n"
        while True:
            yield piece * 10_000

    with pytest.raises(SourceError, match="at most 100,000 papers"):
        for _ in read(many(b"a\n\nb\n\n"), saved=SAVED, on_problem=print):
            pass
    with pytest.raises(SourceError, match="2,000,000 lines"):
        for _ in read(many(b"\n"), saved=SAVED, on_problem=print):
            pass
