"""The saved page against 10,000 made-up ones: whatever comes, it is read as meant or refused in words."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import random

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broadsheet.sources.record import Organisation, PaperRecord, Problem, SourceError
from broadsheet.sources.saved_page import read

THOROUGH = settings(max_examples=5000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
SAVED = dt.date(2025, 12, 8)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Pieces of pages: a short string of bytes picks a sequence of them, which is quick to draw and shrinks well.
PIECES = (
    *(b"\n", b"\n", b"\n\n", b"\n\n", b"\r\n", b"\r", b"Dec 8\n\n", b"Dec 8\n\n", b"Dec 8, 2024\n"),
    *("  • 3 authors\n·\nJan 21\n\n".encode(), "• 1 author".encode(), "\n·\n".encode(), "·".encode(), "•".encode()),
    *(b"Apr 18, 2024 1", b"Jun 23 2", b"Feb 29", b"Feb 30\n", b"May 5, 0000", b"Jan 1 99999999", b", 2024", b" 7"),
    *(b"openbmb OpenBMB", b"A title", b"An abstract.", "Überschrift".encode(), b"\xff", b"\x00", "\u202e".encode()),
    *("\u00a0".encode(), b"\t", b" ", b"\xef\xbb\xbf", b"x" * 3000, "١ authors".encode(), b"<html>", b"{}", b"\xc2"),
)  # fmt: skip


@THOROUGH
@given(st.binary(max_size=40), st.integers(0, 3))
@example(bytes([6, 14]), 0)
def test_any_sequence_of_pieces_is_read_or_refused(choice: bytes, how: int) -> None:
    data = b"".join(PIECES[byte % len(PIECES)] for byte in choice)
    problems: list[Problem] = []
    saved = SAVED if how % 2 else None
    with contextlib.suppress(SourceError):
        papers = read(io.BytesIO(data), saved=saved, on_problem=problems.append, strict=how > 1, today=SAVED)
        lines = data.count(b"\n") + 1
        last = 0
        for paper in papers:
            assert paper.title == paper.title.strip() != ""
            assert paper.abstract
            assert paper.line is not None
            assert last < paper.line <= lines
            assert paper.listed_on is not None
            assert paper.author_count is None or paper.author_count > 0
            paper.title.encode()
            last = paper.line
        assert how <= 1 or all(problem.warning for problem in problems)
    assert all(str(problem) and (problem.line or 1) <= data.count(b"\n") + 1 for problem in problems)


@settings(max_examples=500, deadline=None, database=None)
@given(st.binary(max_size=2000))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for begin in (b"", b"Dec 8\n\n"):
        with contextlib.suppress(SourceError):
            list(read([begin, data], saved=SAVED, on_problem=str))


WORDS = (
    *(
        "law",
        "of",
        "Scaling",
        "naïve",
        "“quoted”",
        "$\\alpha$",
        "https://a.b/~c.",
        "--",
        "a:b?",
        "データ",
        "&",
        "<b>",
        "_x_",
    ),
    *("3", "Jan", "21", "authors", "May", "5,", "2024"),
)


def made_up(chance: random.Random) -> tuple[bytes, list[PaperRecord]]:
    """Return a page drawn from the grammar, and the papers that it means."""
    lines: list[str] = []
    expected: list[PaperRecord] = []

    def words(least: int, most: int) -> str:
        return " ".join(chance.choices(WORDS, k=chance.randint(least, most)))

    def blank() -> None:
        lines.extend([chance.choice(["", " ", "\u00a0"])] * chance.choice([1, 1, 1, 2]))

    lines.extend(
        f"preamble {words(0, 4)}" if chance.random() < 0.7 else "" for _ in range(chance.randint(0, 6))
    )
    lines.append("Dec 8")
    for _ in range(chance.randint(1, 6)):
        blank()
        title, line = f"T {words(1, 9)}", len(lines) + 1
        lines.append(title)
        blank()
        abstract = [f"A {words(1, 20)}"]
        organisation = count = published = comments = None
        meta: list[str] = []
        if chance.random() < 0.75:
            abstract += [f"B {words(1, 9)}" for _ in range(chance.choice([0, 0, 0, 2]))]
            if chance.random() < 0.3:
                organisation = Organisation(f"h-{chance.randint(0, 99)}", f"N {words(1, 3)}")
                meta.append(f"{organisation.handle} {organisation.name}")
            if organisation is None or chance.random() < 0.3:
                count = chance.choice([1, 2, 12, 3000])
                bullet = chance.choice(["  • ", "• ", "\t•  ", "\u00a0•\u00a0"])
                meta.append(f"{bullet}{count} author{'s' if count != 1 else ''}")
            meta.append("·")
            is_yearless = chance.random() < 0.4
            year = SAVED.year if is_yearless else chance.randint(1991, 2024)
            latest = (SAVED if is_yearless else dt.date(year, 12, 31)).toordinal()
            published = dt.date.fromordinal(chance.randint(dt.date(year, 1, 1).toordinal(), latest))
            comments = chance.choice([0, 0, 1, 42])
            meta.append(
                f"{MONTHS[published.month - 1]} {published.day}"
                + ("" if is_yearless else f", {year}")
                + (f" {comments}" if comments else "")
            )
        lines.extend(abstract)
        if meta:
            blank()
            lines.extend(meta)
        expected.append(
            PaperRecord(
                title=title,
                source="saved-page",
                abstract=" ".join(abstract),
                organisation=organisation,
                author_count=count,
                published_on=published,
                listed_on=SAVED,
                comments_at_save=comments,
                line=line,
            )
        )
    text = chance.choice(["\n", "\r\n"]).join(lines) + chance.choice(["", "\n", "\n\n\n"])
    return chance.choice(["", "\ufeff"]).encode() + text.encode(), expected


@settings(THOROUGH, max_examples=4500)
@given(st.integers(0, 2**48), st.integers(1, 400))
def test_a_page_by_the_grammar_means_exactly_its_papers(seed: int, width: int) -> None:
    data, expected = made_up(random.Random(seed))
    problems: list[Problem] = []
    chunks = [data[start : start + width] for start in range(0, len(data), width)]
    assert list(read(chunks, saved=SAVED, on_problem=problems.append)) == expected
    assert all("authors and date" in problem.message for problem in problems)
    years = {paper.published_on.year for paper in expected if paper.published_on} - {SAVED.year}
    if max(years, default=0) == SAVED.year - 1:
        assert list(read(iter(chunks), saved=None, on_problem=str, strict=True, today=SAVED)) == expected


@settings(THOROUGH, max_examples=1000)
@given(st.integers(0, 2**48))
def test_a_damaged_line_costs_only_papers_near_it(seed: int) -> None:
    chance = random.Random(seed)
    data, expected = made_up(chance)
    lines = data.split(b"\n")
    day = next(i for i, line in enumerate(lines) if line.removeprefix("\ufeff".encode()).strip() == b"Dec 8")
    place = chance.randrange(day + 1, len(lines) + 1)
    lines.insert(place, chance.choice(PIECES).strip(b"\r\n"))
    found: list[PaperRecord] = []
    with contextlib.suppress(SourceError):
        found.extend(read([b"\n".join(lines)], saved=SAVED, on_problem=str))
    starts = [paper.line or 0 for paper in expected]
    untouched = [
        paper for paper, next_but_one in zip(expected, starts[2:], strict=False) if next_but_one <= place
    ]
    assert found[: len(untouched)] == untouched
