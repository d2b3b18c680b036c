"""模拟: a published month as the stream of submissions that leads to its tables.

Added to the plan are effects that must not move it: records fixed or amended later, exact repeats,
records withdrawn. What a record says and when it comes follows from the seed and its number, so
only the few records with a second delivery are remembered: memory does not grow with the month
beyond one day's order of arrival.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date
from enum import Enum, auto
from math import floor
from random import Random
from typing import Final, NamedTuple

import orjson

from models.calendar import Calendar
from models.records import SCHEMAS
from models.words import Op
from streams.demo.simulate.records import WRITERS, Draft, Fields
from streams.demo.simulate.rhythm import DAY, Rhythm, second_of_day
from streams.demo.simulate.slips import AMENDMENTS, SLIPS
from streams.demo.simulate.subjects import POPULATION, Issuer
from streams.published.plan import Plan, PlannedCell

__all__ = ["Plan", "PlannedCell", "submissions"]


class Fate(Enum):
    """What becomes of a record that is not simply valid and left alone."""

    BROKEN = auto()
    """Never compliant."""
    MENDED = auto()
    """Broken at first, compliant later."""
    AMENDED = auto()
    """Compliant twice, with different content."""
    REPEATED = auto()
    """Delivered twice as it is."""
    WITHDRAWN = auto()
    """Taken out again; not counted in the plan."""


_SHARES: Final = {Fate.MENDED: 0.01, Fate.AMENDED: 0.005, Fate.REPEATED: 0.005}
_WITHDRAWN_SHARE: Final = 0.001

_HOUR: Final = 3600
_RETURNS: Final = {
    Fate.MENDED: (2 * _HOUR, 6 * DAY),
    Fate.AMENDED: (2 * _HOUR, 10 * DAY),
    Fate.REPEATED: (5, DAY),
    Fate.WITHDRAWN: (_HOUR, 10 * DAY),
}
"""Between how many seconds after the first delivery the second one comes."""

_GAP_EVERY: Final = 4999
"""In a series of document numbers, one in this many is missing."""

_REASONS: Final = ("重复录入", "录入错误", "决定已被依法撤销", "误报其他区信息")


class Slot(NamedTuple):
    """When in its day a submission comes, and which one it is; slots are ordered as they come."""

    second: int
    source: int
    number: int
    again: bool


def submissions(plan: Plan, calendar: Calendar, seed: int = 0) -> Iterator[bytes]:
    """The plan's month as submissions on the wire: one JSON object each, by time of receipt.

    Judged in this order by the default window, they give exactly the plan's counts. The same
    plan and seed give the same bytes on any machine.

    Raises:
        InputError: the plan has a unit that the simulator knows nothing of.
        OutsideCalendar: the calendar does not cover the month and the two before it.
    """
    rhythm = Rhythm.of(plan.month, calendar)
    sources = [
        _Source(cell, rhythm, Random(f"{seed}/{plan.month}/{cell.unit}/{cell.category}"))  # noqa: S311
        for cell in plan.cells
    ]
    later: list[list[Slot]] = [[] for _ in rhythm.days]
    for index, source in enumerate(sources):
        for number, (_, moment) in source.fates.items():
            if moment is not None:
                day, second = divmod(moment, DAY)
                later[day].append(Slot(second, index, number, True))
    for day, calendar_day in enumerate(rhythm.days):
        deliveries = later[day]
        for index, source in enumerate(sources):
            deliveries.extend(source.first_deliveries(day, index))
        deliveries.sort()
        for second, index, number, again in deliveries:
            clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
            yield sources[index].write(number, again, f"{calendar_day}T{clock}+08:00")
        deliveries.clear()


class _Source:
    """Where a cell's records come from.

    They are numbered in the order of their documents: first the late ones, decided long ago, then
    all others. For those with a fate, `fates` also has when their second delivery comes, in seconds
    from the start of the month.
    """

    def __init__(self, cell: PlannedCell, rhythm: Rhythm, chance: Random) -> None:
        self._category = cell.category
        self._fields = WRITERS[cell.category]
        self._envelope: dict[str, object] = {
            "unit": cell.unit,
            "category": cell.category.value,
            "op": Op.UPSERT.value,
        }
        self._rhythm = rhythm
        self._issuer = Issuer.of(cell.unit, cell.category)
        self._key = chance.getrandbits(64)
        self._lag = int(chance.triangular(0, 13, 2))
        withdrawn = _some(cell.reported * _WITHDRAWN_SHARE, chance)
        self._late = cell.compliant - cell.timely
        count = cell.reported + withdrawn
        self._spread_late = rhythm.spread(self._late, chance)
        self._spread = rhythm.spread(count - self._late, chance)
        agencies = len(self._issuer.agencies)
        self._first_serials = [
            1 + 5 * count // agencies + chance.randrange(20) for _ in range(agencies)
        ]
        self._gaps = [chance.randrange(_GAP_EVERY) for _ in range(agencies)]
        self._first_subject = chance.randrange(POPULATION)
        self.fates = self._draw_fates(cell, count, withdrawn, chance)

    def first_deliveries(self, day: int, index: int) -> Iterator[Slot]:
        """The records that come first on that day; `index` is this source's own."""
        for spread, start in ((self._spread_late, 0), (self._spread, self._late)):
            for number in range(start + (spread[day - 1] if day else 0), start + spread[day]):
                yield Slot(self._second(number), index, number, False)

    def write(self, number: int, again: bool, received_at: str) -> bytes:
        """A record's first submission, or its second."""
        draw = _draw(self._key, number)
        fate, moment = self.fates.get(number, _NO_FATE)
        record = self._fields(self._draft(number, draw, fate, moment))
        submission = self._envelope | {"received_at": received_at, "record": record}
        if fate is Fate.BROKEN or (fate is Fate.MENDED and not again):
            self._slip(record, draw)
        elif fate is Fate.AMENDED and again:
            AMENDMENTS[self._category](record)
        elif fate is Fate.WITHDRAWN and again:
            submission["op"] = Op.WITHDRAW.value
            submission["record"] = self._identifying(record)
            submission["reason"] = _REASONS[draw % len(_REASONS)]
        return orjson.dumps(submission)

    def _draft(self, number: int, draw: int, fate: Fate | None, moment: int | None) -> Draft:
        issuer = self._issuer
        in_series, series = divmod(number, len(issuer.agencies))
        return Draft(
            issuer,
            issuer.agencies[series],
            number,
            self._first_subject + number,
            self._first_serials[series]
            + in_series
            + (in_series + self._gaps[series]) // _GAP_EVERY,
            self._decided(number, fate, moment),
            draw,
        )

    def _decided(self, number: int, fate: Fate | None, moment: int | None) -> date:
        """The day of decision that makes the record timely or late as planned."""
        month, first_day = self._rhythm, self._day(number)
        mended_day = moment // DAY if fate is Fate.MENDED and moment is not None else None
        if number < self._late:
            if mended_day is not None:
                return month.overdue[mended_day]
            return month.long_ago[number * len(month.long_ago) // self._late]
        choices = month.in_time[first_day]
        if mended_day is not None:
            first = month.days[first_day]
            choices = tuple(day for day in month.in_time[mended_day] if day <= first)
        return choices[min(self._lag, len(choices) - 1)]

    def _day(self, number: int) -> int:
        if number < self._late:
            return bisect_right(self._spread_late, number)
        return bisect_right(self._spread, number - self._late)

    def _second(self, number: int) -> int:
        return second_of_day(self._category, _draw(self._key, number))

    def _slip(self, record: Fields, draw: int) -> None:
        slips = SLIPS[self._category]
        which = draw % len(slips)
        slips[which](record)
        if draw >> 16 & 3 == 0:
            slips[which - 1](record)

    def _identifying(self, record: Fields) -> Fields:
        model = SCHEMAS[self._category].model
        codes = (model.document, model.subject) if model.document else model.natural_key
        return {code: record[code] for code in codes}

    def _draw_fates(
        self, cell: PlannedCell, count: int, withdrawn: int, chance: Random
    ) -> dict[int, tuple[Fate, int | None]]:
        broken = cell.reported - cell.compliant
        drawn = chance.sample(range(self._late, count), broken + withdrawn)
        fates = dict.fromkeys(drawn[:broken], Fate.BROKEN)
        fates |= dict.fromkeys(drawn[broken:], Fate.WITHDRAWN)
        for fate, share in _SHARES.items():
            for number in chance.sample(range(count), _some(count * share, chance)):
                fates.setdefault(number, fate)
        return {
            number: (fate, None if fate is Fate.BROKEN else self._return(number, fate, chance))
            for number, fate in fates.items()
        }

    def _return(self, number: int, fate: Fate, chance: Random) -> int:
        """When the second delivery of a record comes: after the first, and within the month."""
        first = self._day(number) * DAY + self._second(number)
        end = len(self._rhythm.days) * DAY
        soonest, latest = _RETURNS[fate]
        moment = first + chance.randrange(soonest, min(latest, end - first))
        if fate is Fate.REPEATED:
            return moment
        at = second_of_day(self._category, chance.getrandbits(32))
        return max(moment // DAY * DAY + at, first + soonest)


_NO_FATE: Final = (None, None)
_64_BITS: Final = (1 << 64) - 1


def _draw(key: int, number: int) -> int:
    """64 bits that look random and follow from their arguments (SplitMix64, Steele et al. 2014)."""
    bits = key + number * 0x9E3779B97F4A7C15 & _64_BITS
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & _64_BITS
    return bits ^ bits >> 31


def _some(expected: float, chance: Random) -> int:
    """A whole number beside `expected`, which it is on average."""
    return floor(expected + chance.random())
