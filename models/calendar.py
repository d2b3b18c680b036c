"""Working days and deadlines.

民法典 201: a period in days begins on the day after the event. 民法典 203: it ends at 24:00 of its
last day. Days are calendar days of Asia/Shanghai. Which of them are working days the State Council
announces year by year (国务院办公厅关于部分节假日安排的通知); `chinesecalendar` holds the notices
of the years it knows, `Overrides` what was announced since or decided otherwise.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate
from typing import Final, NamedTuple

import holidays
from chinese_calendar import constants as notices

from models.errors import InputError
from models.yaml_lines import YamlFault, YamlList, YamlMap, YamlValue, parse_yaml

FIRST_YEAR: Final = 1900
"""First year covered: as early as any day of a record may be (`models.rules.EARLIEST_YEAR`)."""

FIRST_KNOWN_YEAR: Final = min(notices.holidays).year
LAST_KNOWN_YEAR: Final = max(notices.holidays).year
"""Last year whose notice `chinesecalendar` holds."""

LAST_YEAR: Final = LAST_KNOWN_YEAR + 10
"""Last year covered: enough unannounced ones that a deployment outlives its dependencies."""

_SATURDAY: Final = 5


class OutsideCalendar(InputError):
    """A day, or the end of a window, that the calendar does not cover."""


class CalendarError(YamlFault):
    """The calendar overrides are malformed or contradict themselves or what is known."""


class Deadline(NamedTuple):
    """报送期限: the last day, to 24:00 Asia/Shanghai, on which a record is timely.

    `provisional` where the window holds days of a year that is not announced yet.
    """

    day: date
    provisional: bool


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the office knows of working days beyond `chinesecalendar`.

    Attributes:
        announced: Years after `LAST_KNOWN_YEAR` whose notice is entered in full in `days`.
        days: The days that are (True) or are not (False) working days, whatever else says.
    """

    announced: frozenset[int] = frozenset()
    days: Mapping[date, bool] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, source: str) -> "Overrides":
        """Read the text of deploy/registry/calendar.yaml.

        It has the keys `announced` (years) and `days` (each with `day`, `working` and `reason`),
        both required, so that a truncated file is noticed. Of an announced year the notice's
        holidays and make-up days are entered, the weekends in between may be.

        Args:
            text: The YAML text.
            source: Its name in errors.

        Raises:
            CalendarError: The text is malformed, has an unknown key, names a day or a year twice,
                announces a year that `chinesecalendar` knows or that has no days, or says of a day
                what is certain without it, which is a mistyped date.
        """
        try:
            root = parse_yaml(text, source)
        except YamlFault as fault:
            raise CalendarError(fault.source, fault.line, fault.reason) from None
        return _Reader(source).overrides(root)


class Calendar:
    """The working days of `FIRST_YEAR` to `LAST_YEAR`, ready for look-ups. Immutable."""

    def __init__(self, working: Iterable[bool], announced: Iterable[bool]) -> None:
        """Take what each day is, from 1 January of `FIRST_YEAR` on."""
        self._first = date(FIRST_YEAR, 1, 1).toordinal()
        working = list(working)
        # How many days up to and including each day are working days, or not announced yet.
        self._worked = list(accumulate(working))
        self._unsure = list(accumulate(not sure for sure in announced))
        # Of each working day: how many days up to it are not announced, and the deadline it is.
        indexes = [index for index, works in enumerate(working) if works]
        self._unsure_by = [self._unsure[index] for index in indexes]
        ends = [date.fromordinal(self._first + index) for index in indexes]
        self._sure = [Deadline(day, False) for day in ends]
        self._provisional = [Deadline(day, True) for day in ends]

    @classmethod
    def build(cls, overrides: Overrides | None = None) -> "Calendar":
        """The calendar of all that is known.

        Later years that are not announced are computed on weekends and the holidays that law fixes
        (from `holidays`), without bridge and make-up days, which only the notice lists; years
        before `FIRST_KNOWN_YEAR` on weekends alone. Deadlines that reach into either are
        provisional.
        """
        overrides = overrides or Overrides()
        first, last = date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31)
        days = [date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)]
        expected = holidays.country_holidays("CN", years=range(LAST_KNOWN_YEAR + 1, LAST_YEAR + 1))

        def announced(day: date) -> bool:
            return _known(day.year) or day.year in overrides.announced

        def works(day: date) -> bool:
            if day in overrides.days:
                return overrides.days[day]
            if announced(day):
                return _works_by_notice(day)
            return day.weekday() < _SATURDAY and day not in expected

        return cls(map(works, days), map(announced, days))

    def is_working_day(self, day: date) -> bool:
        """Whether `day` is a working day.

        Raises:
            OutsideCalendar: The calendar does not cover it.
        """
        index = self._index(day)
        return self._worked[index] > (self._worked[index - 1] if index else 0)

    def deadline(self, decided: date, working_days: int) -> Deadline:
        """The last of the `working_days` (at least 1) that follow the day of the decision.

        Raises:
            OutsideCalendar: The calendar does not cover the decision or the deadline.
            InputError: `working_days` is less than 1.
        """
        if working_days < 1:
            raise InputError(f"报送期限至少为1个工作日，不能是{working_days}个")
        index = self._index(decided)
        nth = self._worked[index] + working_days - 1
        if nth >= len(self._sure):
            raise OutsideCalendar(f"{decided}之后第{working_days}个工作日超出工作日历{_COVERED}")
        reaches_unsure = self._unsure_by[nth] > self._unsure[index]
        return self._provisional[nth] if reaches_unsure else self._sure[nth]

    def working_days_between(self, after: date, through: date) -> int:
        """How many working days d have after < d <= through; 0 where through <= after.

        Raises:
            OutsideCalendar: The calendar does not cover one of the two.
        """
        return max(0, self._worked[self._index(through)] - self._worked[self._index(after)])

    def _index(self, day: date) -> int:
        index = day.toordinal() - self._first
        if not 0 <= index < len(self._worked):
            raise OutsideCalendar(f"日期{day}不在工作日历{_COVERED}之内")
        return index


_COVERED: Final = f"（{FIRST_YEAR}年至{LAST_YEAR}年）"
_RANGE: Final = f"（{FIRST_KNOWN_YEAR}年至{LAST_YEAR}年）"


def _known(year: int) -> bool:
    """Whether `chinesecalendar` holds the year's notice."""
    return FIRST_KNOWN_YEAR <= year <= LAST_KNOWN_YEAR


def _works_by_notice(day: date) -> bool:
    """Whether `day` is a working day by the notice `chinesecalendar` holds, else by weekday."""
    return day in notices.workdays or (day.weekday() < _SATURDAY and day not in notices.holidays)


class _Reader:
    """Reads overrides, and names the place of what is wrong."""

    def __init__(self, source: str) -> None:
        self.source = source

    def fault(self, line: int, reason: str) -> CalendarError:
        return CalendarError(self.source, line, reason)

    def overrides(self, root: YamlValue) -> Overrides:
        root = self.mapping(root, 1, ("announced", "days"))
        years = self.sequence(root, "announced")
        items = self.sequence(root, "days")

        announced: set[int] = set()
        for year, line in zip(years, years.lines, strict=True):
            announced.add(self.year(year, line, announced))

        days: dict[date, bool] = {}
        lines: dict[date, int] = {}
        for item, line in zip(items, items.lines, strict=True):
            day, working = self.day(self.mapping(item, line, ("day", "working", "reason")))
            if day in days:
                raise self.fault(line, f"{day}重复，已在第 {lines[day]} 行出现")
            self.useful(day, working, announced, line)
            days[day], lines[day] = working, line

        for year, line in zip(years, years.lines, strict=True):
            if year not in {day.year for day in days}:
                raise self.fault(line, f"{year}年列为已公布，但 days 中没有该年的节假日安排")
        return Overrides(frozenset(announced), days)

    def mapping(self, value: YamlValue, line: int, keys: tuple[str, ...]) -> YamlMap:
        if not isinstance(value, YamlMap):
            raise self.fault(line, f"应为键值，含 {'、'.join(keys)}")
        for key in value:
            if key not in keys:
                raise self.fault(value.lines[key], f"不认识的键“{key}”，应为 {'、'.join(keys)}")
        for key in keys:
            if key not in value:
                raise self.fault(value.line, f"缺少“{key}”")
        return value

    def sequence(self, root: YamlMap, key: str) -> YamlList:
        value = root[key]
        if not isinstance(value, YamlList):
            raise self.fault(root.lines[key], f"“{key}”应为列表，没有内容时写 []")
        return value

    def year(self, value: YamlValue, line: int, announced: set[int]) -> int:
        if type(value) is not int:
            raise self.fault(line, f"“{value}”不是年份")
        if value in announced:
            raise self.fault(line, f"{value}年重复")
        if _known(value):
            raise self.fault(
                line, f"{value}年的安排 chinesecalendar 已有，请删去该年及其与之相同的日期"
            )
        if not LAST_KNOWN_YEAR < value <= LAST_YEAR:
            raise self.fault(line, f"{value}年不在工作日历{_RANGE}之内")
        return value

    def day(self, item: YamlMap) -> tuple[date, bool]:
        day, working, reason = item["day"], item["working"], item["reason"]
        if type(day) is not date:
            raise self.fault(item.lines["day"], f"“{day}”不是日期，请按 2027-01-01 的样式填写")
        if not FIRST_KNOWN_YEAR <= day.year <= LAST_YEAR:
            raise self.fault(item.lines["day"], f"{day}不在工作日历{_RANGE}之内")
        if not isinstance(working, bool):
            raise self.fault(item.lines["working"], "“working”应为 true（上班）或 false（放假）")
        if not isinstance(reason, str) or not reason.strip():
            raise self.fault(item.lines["reason"], "请写明依据，如通知的文号")
        return day, working

    def useful(self, day: date, working: bool, announced: set[int], line: int) -> None:
        """Refuse what is certain anyway; an announced year's notice names weekends as days off."""
        known = _known(day.year) or (day.year in announced and working)
        if known and working == _works_by_notice(day):
            already = "上班" if working else "放假"
            raise self.fault(line, f"{day}本来就是{already}的日子，不需要写，请核对日期是否写错")
