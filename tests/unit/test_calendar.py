from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path

import chinese_calendar
import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calendar import (
    FIRST_KNOWN_YEAR,
    FIRST_YEAR,
    LAST_KNOWN_YEAR,
    LAST_YEAR,
    Calendar,
    CalendarError,
    Deadline,
    OutsideCalendar,
    Overrides,
)

REGISTRY = Path(__file__).parents[2] / "deploy" / "registry"
CALENDAR = Calendar.build()
NEXT_YEAR = LAST_KNOWN_YEAR + 1


def days(first_year: int, last_year: int) -> Iterator[date]:
    day = date(first_year, 1, 1)
    while day.year <= last_year:
        yield day
        day += timedelta(days=1)


working = cache(chinese_calendar.is_workday)


def counted(decided: date, window: int) -> date:
    """The deadline by counting the days one by one."""
    day = decided
    while window:
        day += timedelta(days=1)
        window -= working(day)
    return day


# --- deadlines ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decided", "seven", "fourteen"),
    [
        ("2022-04-29", "2022-05-12", "2022-05-23"),
        ("2022-06-01", "2022-06-13", "2022-06-22"),
        ("2022-06-30", "2022-07-11", "2022-07-20"),
        ("2022-09-28", "2022-10-12", "2022-10-21"),
    ],
)
def test_vectors_of_the_design(decided: str, seven: str, fourteen: str) -> None:
    day = date.fromisoformat(decided)
    assert CALENDAR.deadline(day, 7) == Deadline(date.fromisoformat(seven), False)
    assert CALENDAR.deadline(day, 14) == Deadline(date.fromisoformat(fourteen), False)


@pytest.mark.parametrize("window", [7, 14])
def test_the_table_equals_a_count_day_by_day(window: int) -> None:
    # The last weeks of the last known year reach into one that chinesecalendar refuses.
    for day in days(2019, 2026):
        if day < date(LAST_KNOWN_YEAR, 12, 1):
            assert CALENDAR.deadline(day, window) == (counted(day, window), False)


NOT_IN_CHINESECALENDAR = {
    # A make-up Saturday for New Year 2006 (国办发明电〔2005〕35号), which chinesecalendar lacks.
    date(2005, 12, 31),
}


def test_working_days_agree_with_a_second_source() -> None:
    """`holidays` keeps the notices too, with bridge and make-up days, by other hands."""
    second = holidays.country_holidays("CN", years=range(FIRST_KNOWN_YEAR, LAST_KNOWN_YEAR + 1))
    different = {
        day
        for day in days(FIRST_KNOWN_YEAR, LAST_KNOWN_YEAR)
        if CALENDAR.is_working_day(day) != second.is_working_day(day)
    }
    assert different == NOT_IN_CHINESECALENDAR


def test_a_day_with_a_time_is_its_day() -> None:
    assert CALENDAR.deadline(datetime(2022, 4, 29, 23, 59), 7).day == date(2022, 5, 12)  # noqa: DTZ001


@given(
    st.dates(date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 1, 1)),
    st.integers(1, 60),
)
def test_the_window_holds_that_many_working_days(decided: date, window: int) -> None:
    deadline = CALENDAR.deadline(decided, window).day
    assert CALENDAR.is_working_day(deadline)
    assert CALENDAR.working_days_between(decided, deadline) == window
    assert CALENDAR.working_days_between(decided, deadline - timedelta(days=1)) == window - 1
    assert CALENDAR.working_days_between(deadline, decided) == 0


@pytest.mark.parametrize("window", [0, -1])
def test_a_window_is_one_day_or_more(window: int) -> None:
    with pytest.raises(ValueError, match="至少为1个工作日"):
        CALENDAR.deadline(date(2022, 4, 29), window)


# --- the ends of what is known --------------------------------------------------------------


def test_a_window_that_reaches_into_an_unannounced_year_is_provisional() -> None:
    last_sure = max(day for day in days(LAST_KNOWN_YEAR, LAST_KNOWN_YEAR) if not provisional(day))
    assert CALENDAR.deadline(last_sure, 14).day.year == LAST_KNOWN_YEAR
    assert CALENDAR.deadline(last_sure + timedelta(days=1), 14).day.year == NEXT_YEAR
    assert all(provisional(day) for day in days(NEXT_YEAR, NEXT_YEAR))


def provisional(day: date) -> bool:
    return CALENDAR.deadline(day, 14).provisional


def test_unannounced_years_have_weekends_and_known_holidays() -> None:
    assert not CALENDAR.is_working_day(date(2027, 1, 1))
    assert not CALENDAR.is_working_day(date(2027, 10, 1))
    assert not CALENDAR.is_working_day(date(2027, 6, 9))  # 端午
    assert not CALENDAR.is_working_day(date(2027, 7, 3))  # Saturday
    assert CALENDAR.is_working_day(date(2027, 7, 1))


def test_first_and_last_day() -> None:
    assert CALENDAR.is_working_day(date(FIRST_YEAR, 1, 1))
    assert not CALENDAR.is_working_day(date(FIRST_KNOWN_YEAR, 1, 1))
    assert CALENDAR.is_working_day(date(2004, 1, 2))
    assert not CALENDAR.is_working_day(date(LAST_YEAR, 1, 1))
    assert CALENDAR.working_days_between(date(FIRST_YEAR, 1, 1), date(FIRST_YEAR, 1, 2)) == 1


@pytest.mark.parametrize("day", [date(FIRST_YEAR - 1, 12, 31), date(LAST_YEAR + 1, 1, 1), date.max])
def test_days_outside_are_refused(day: date) -> None:
    inside = date(2022, 6, 1)
    with pytest.raises(OutsideCalendar, match=str(day)):
        CALENDAR.deadline(day, 7)
    with pytest.raises(OutsideCalendar, match=str(day)):
        CALENDAR.is_working_day(day)
    with pytest.raises(OutsideCalendar, match=str(day)):
        CALENDAR.working_days_between(inside, day)
    with pytest.raises(OutsideCalendar, match=str(day)):
        CALENDAR.working_days_between(day, inside)


def test_a_deadline_outside_is_refused() -> None:
    with pytest.raises(OutsideCalendar, match="第14个工作日超出工作日历"):
        CALENDAR.deadline(date(LAST_YEAR, 12, 25), 14)


# --- overrides ------------------------------------------------------------------------------


def test_the_registry_has_a_valid_file_without_overrides() -> None:
    text = (REGISTRY / "calendar.yaml").read_text(encoding="utf-8")
    assert Overrides.parse(text, "calendar.yaml") == Overrides()


def test_the_example_in_the_registry_file_is_valid() -> None:
    text = (REGISTRY / "calendar.yaml").read_text(encoding="utf-8")
    _, _, example = text.partition("# 示例")
    lines = [line[2:] for line in example.splitlines()[2:] if line.startswith("# ")]
    overrides = Overrides.parse("\n".join(lines), "calendar.yaml")
    assert len(overrides.days) == 3
    assert overrides.announced == {2027}


def test_overrides_move_a_deadline() -> None:
    overrides = Overrides.parse(
        """
announced: []
days:
  - {day: 2022-05-05, working: false, reason: 临时放假}
  - {day: 2022-05-14, working: true, reason: 临时上班}
""",
        "calendar.yaml",
    )
    calendar = Calendar.build(overrides)
    assert not calendar.is_working_day(date(2022, 5, 5))
    assert calendar.is_working_day(date(2022, 5, 14))
    assert calendar.deadline(date(2022, 4, 29), 7) == (date(2022, 5, 13), False)
    assert calendar.deadline(date(2022, 4, 29), 14) == (date(2022, 5, 23), False)


def test_an_announced_year_is_no_longer_provisional() -> None:
    overrides = Overrides(
        frozenset({NEXT_YEAR}),
        {
            date(NEXT_YEAR, 1, 1): False,
            date(NEXT_YEAR, 1, 9): True,
        },
    )
    calendar = Calendar.build(overrides)
    decided = date(LAST_KNOWN_YEAR, 12, 28)
    assert not calendar.deadline(decided, 14).provisional
    # All its holidays are those of the notice: nothing is guessed.
    assert calendar.is_working_day(date(NEXT_YEAR, 10, 1)) == (date(NEXT_YEAR, 10, 1).weekday() < 5)
    assert calendar.is_working_day(date(NEXT_YEAR, 1, 9))
    assert calendar.deadline(date(NEXT_YEAR, 12, 28), 14).provisional


def test_a_year_announced_beyond_one_that_is_not() -> None:
    overrides = Overrides(frozenset({NEXT_YEAR + 1}), {date(NEXT_YEAR + 1, 1, 1): False})
    calendar = Calendar.build(overrides)
    assert calendar.deadline(date(LAST_KNOWN_YEAR, 12, 28), 14).provisional
    assert calendar.deadline(date(NEXT_YEAR, 12, 28), 14).provisional
    assert not calendar.deadline(date(NEXT_YEAR, 12, 31), 14).provisional


def overrides_text(announced: str, *items: str) -> str:
    listed = "".join(f"\n  - {item}" for item in items) or " []"
    return f"announced: {announced}\ndays:{listed}\n"


REST = "{day: 2027-01-01, working: false, reason: 元旦}"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "应为键值，含 announced、days"),
        ("- 1", 1, "应为键值"),
        ("announced: []", 1, "缺少“days”"),
        ("days: []", 1, "缺少“announced”"),
        ("announced: []\ndays: []\nyears: []", 3, "不认识的键“years”"),
        ("announced: []\ndays:\n", 2, "“days”应为列表"),
        ("announced: 2027\ndays: []", 1, "“announced”应为列表"),
        ("announced: []\ndays: [", 2, "YAML 格式错误"),
        ("announced: []\nannounced: []\ndays: []", 2, "重复"),
        (overrides_text("[二〇二七]", REST), 1, "“二〇二七”不是年份"),
        (overrides_text("[true]", REST), 1, "不是年份"),
        (overrides_text("[2027, 2027]", REST), 1, "2027年重复"),
        (overrides_text("[2022]", REST), 1, "chinesecalendar 已有"),
        (overrides_text("[2003]", REST), 1, "不在工作日历"),
        (overrides_text("[2999]", REST), 1, "不在工作日历"),
        (overrides_text("[2027, 2028]", REST), 1, "2028年列为已公布，但 days 中没有"),
        (overrides_text("[]", REST, "2027-01-01"), 4, "应为键值，含 day、working、reason"),
        (overrides_text("[]", REST, REST), 4, "2027-01-01重复，已在第 3 行出现"),
        (overrides_text("[]", REST, REST.replace("false", "true")), 4, "2027-01-01重复"),
        (overrides_text("[]", "{day: 2027-01-01, working: false}"), 3, "缺少“reason”"),
        (overrides_text("[]", REST.replace("元旦", '" "')), 3, "请写明依据"),
        (overrides_text("[]", REST.replace("false", "off work")), 3, "“working”应为"),
        (overrides_text("[]", REST.replace("2027-01-01", "元旦")), 3, "“元旦”不是日期"),
        (overrides_text("[]", REST.replace("2027-01-01", "2027-02-30")), 3, "不是有效的值"),
        (overrides_text("[]", REST.replace("2027-01-01", "2027-01-01 09:00:00")), 3, "不是日期"),
        (overrides_text("[]", REST.replace("2027", "1999")), 3, "不在工作日历"),
        (overrides_text("[]", REST.replace("2027", "2022")), 3, "2022-01-01本来就是放假"),
        (overrides_text("[]", "{day: 2022-06-01, working: true, reason: x}"), 3, "本来就是上班"),
        (
            overrides_text("[2027]", REST, "{day: 2027-01-04, working: true, reason: x}"),
            4,
            "2027-01-04本来就是上班",
        ),
        (
            "announced: []\ndays:\n  - day: 2027-01-01\n    working: 1\n    reason: x",
            4,
            "“working”应为",
        ),
    ],
)
def test_a_fault_names_source_and_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(CalendarError) as caught:
        Overrides.parse(text, "deploy/registry/calendar.yaml")
    assert str(caught.value).startswith(f"deploy/registry/calendar.yaml 第 {line} 行：")
    assert reason in caught.value.reason
