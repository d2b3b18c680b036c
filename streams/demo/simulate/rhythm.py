"""When simulated records are decided and delivered: the days of a month and the hours of a day."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from random import Random
from typing import Final

from models.calendar import Calendar
from models.month import Month
from models.registry import DEFAULT_WINDOW
from models.words import Category

DAY: Final = 86_400
"""Seconds of a day."""

_WORKING_DAY: Final = 25
_DAY_OFF: Final = 1
"""How much is delivered on a day."""

_NIGHTLY: Final = frozenset((Category.BASIC, Category.GRADING, Category.JOINT_CASE))
"""What comes from registers by a nightly batch."""

_NIGHT: Final = (1, 2, 2, 2, 3)
_OFFICE: Final = (
    *(8, 9, 9, 9, 9, 10, 10, 10, 10, 11, 11, 11, 12, 13),
    *(14, 14, 14, 15, 15, 15, 15, 16, 16, 16, 16, 17, 17, 18, 20),
)
"""The hours of a day, each as often as it is busy."""


def second_of_day(category: Category, draw: int) -> int:
    """When on its day a delivery comes, in seconds after midnight."""
    hours = _NIGHT if category in _NIGHTLY else _OFFICE
    return hours[draw % len(hours)] * 3600 + (draw >> 8) % 3600


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A month's days (Asia/Shanghai), and for each of them the days of decision that fit it.

    Days are counted from 0. `weights[day]` is how much of the month's deliveries has come by the
    end of that day, the last one being all. `in_time[day]` are the working days on which a record
    received that day may have been decided to be timely, the latest first; `overdue[day]` is the
    latest day for which it is late. All by the default window.
    """

    days: tuple[date, ...]
    weights: tuple[int, ...]
    in_time: tuple[tuple[date, ...], ...]
    overdue: tuple[date, ...]
    long_ago: tuple[date, ...]
    """Working days, the earliest first, that are overdue on every day of the month."""

    @classmethod
    def of(cls, month: Month, calendar: Calendar) -> "Rhythm":
        """The month by the calendar.

        Raises:
            OutsideCalendar: the calendar does not cover it and the two months before it.
        """
        days = tuple(month.days)
        before = [month.first - _days(offset) for offset in range(60, 0, -1)]
        working = [day for day in (*before, *days) if calendar.is_working_day(day)]
        deadlines = [calendar.deadline(day, DEFAULT_WINDOW).day for day in working]
        # Deadlines rise with the day of decision: those from `open_[day]` on are not over yet.
        open_ = [bisect_right(deadlines, day - _days(1)) for day in days]
        return cls(
            days,
            tuple(accumulate(_WORKING_DAY if day in working else _DAY_OFF for day in days)),
            tuple(
                tuple(reversed(working[start : bisect_right(working, day)]))
                for start, day in zip(open_, days, strict=True)
            ),
            tuple(working[start - 1] for start in open_),
            tuple(working[max(0, open_[0] - DEFAULT_WINDOW) : open_[0]]),
        )

    def spread(self, count: int, chance: Random) -> list[int]:
        """How many of `count` records have come by the end of each day; chance rounds."""
        total = self.weights[-1]
        phase = chance.randrange(total)
        return [(count * weight + phase) // total for weight in self.weights]


def _days(count: int) -> timedelta:
    return timedelta(days=count)
