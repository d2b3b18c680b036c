"""A calendar month, Asia/Shanghai: the time that a bulletin is about."""

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple, Self

from models.errors import InputError


class Month(NamedTuple):
    """A calendar month. `str()` is 2022-06; months are ordered as time is."""

    year: int
    number: int

    @classmethod
    def of(cls, text: str) -> Self:
        """Read 2022-06.

        Raises:
            InputError: it is no month.
        """
        try:
            first = date.fromisoformat(f"{text}-01")
        except ValueError:
            raise InputError(f"“{text}”不是月份，请按 2022-06 的样式填写") from None
        return cls.containing(first)

    @classmethod
    def containing(cls, day: date) -> Self:
        """The month that a day lies in."""
        return cls(day.year, day.month)

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    @property
    def last(self) -> date:
        """Its last day."""
        if self == _LAST:
            return date.max
        return date.fromordinal(self.next.first.toordinal() - 1)

    @property
    def days(self) -> Iterator[date]:
        """Its days in order."""
        return map(date.fromordinal, range(self.first.toordinal(), self.last.toordinal() + 1))

    @property
    def next(self) -> "Month":
        """The month after it."""
        return self.before(-1)

    @property
    def previous(self) -> "Month":
        """The month before it."""
        return self.before(1)

    def before(self, months: int) -> "Month":
        """The month that many months earlier; the first month of year 1 at the earliest."""
        year, number = divmod(max(self.year * 12 + self.number - 1 - months, 12), 12)
        return Month(year, number + 1)

    @property
    def zh(self) -> str:
        """2022年6月."""
        return f"{self.year}年{self.number}月"

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"


_LAST = Month.containing(date.max)
