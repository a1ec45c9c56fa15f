from __future__ import annotations

import datetime as dt

import pytest

from broadsheet.site.pages.editions import Month, day_edition, month_edition, week_edition

from .rows import DAY, make_paper


def test_editions_know_their_bounds():
    assert (day_edition("2025-12-08").first, day_edition("2025-12-08").name) == (
        DAY,
        "Monday, 8 December 2025",
    )
    week = week_edition("2026-W01")
    assert (week.first, week.last) == (dt.date(2025, 12, 29), dt.date(2026, 1, 4))
    assert month_edition("2024-02").last == dt.date(2024, 2, 29)


@pytest.mark.parametrize(
    ("read", "text"), [(day_edition, "2025-02-30"), (week_edition, "2025-W53"), (month_edition, "2025-13")]
)
def test_dates_that_do_not_exist_are_refused(read, text):
    with pytest.raises(ValueError, match=r".+"):
        read(text)


def test_number_counts_days_from_the_first_edition(db):
    make_paper(day=dt.date(2025, 12, 1))
    make_paper(day=DAY)
    assert day_edition("2025-12-01").number() == 1
    assert day_edition("2025-12-08").number() == 8
    assert day_edition("2025-11-01").number() is None
    assert week_edition("2025-W50").number() is None


def test_neighbours_skip_days_without_papers(db):
    make_paper(day=dt.date(2025, 12, 1))
    make_paper(day=dt.date(2026, 1, 9))
    assert day_edition("2025-12-08").around() == ("/day/2025-12-01", "/day/2026-01-09")
    assert month_edition("2025-12").around() == ("", "/month/2026-01")
    assert week_edition("2025-W50").around() == ("/week/2025-W49", "/week/2026-W02")


def test_calendar_holds_whole_weeks_and_counts(db):
    make_paper(day=DAY)
    make_paper("Another", day=DAY)
    month = Month.of(day_edition("2025-12-08"))
    cells = [cell for _, _, row in month.weeks for cell in row]
    assert len(cells) % 7 == 0
    assert {cell.day: cell.count for cell in cells if cell.count} == {DAY: 2}
    assert [cell.day for cell in cells if cell.shown] == [DAY]
    assert [name for name, _, _ in month.weeks][:2] == ["W49", "W50"]
