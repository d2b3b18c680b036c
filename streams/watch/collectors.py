"""What a worker knows of units, partitions and its state, as metrics (`streams.meters`)."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from models.calendar import Calendar, OutsideCalendar
from models.month import Month
from models.words import SHANGHAI
from streams import meters
from streams.clock import Clock
from streams.counting.rollup import Rollup
from streams.judging.state import StateStore
from streams.log.source import RecordSource

WINDOWS: Final = ("month", "7d", "30d")
"""month: the month to date; 7d and 30d: that many days up to today. By day of first receipt."""


class UnitCollector(Collector):
    """What the units reported, from the tallies that this worker rolls up."""

    def __init__(self, rollup: Rollup, calendar: Calendar, clock: Clock) -> None:
        self._rollup = rollup
        self._calendar = calendar
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """The counts as of today."""
        today = self._clock.today()
        families = {name: meter.family() for name, meter in meters.UNIT_COUNTS.items()}
        for window in WINDOWS:
            for duty, tally in self._rollup.between(window_start(today, window), today).items():
                for name, family in families.items():
                    family.add_metric((*duty, window), getattr(tally, name))
        yield from families.values()
        yield self._pending(today)
        platforms = self._rollup.platforms()
        seen = meters.PLATFORM_LAST_SUBMISSION.family()
        for name, at in platforms.items():
            seen.add_metric((name,), at)
        yield seen
        yield from self._silence(today, platforms)

    def _silence(self, today: date, seen: Mapping[str, float]) -> Iterator[Metric]:
        """How long nothing came, in working days: a holiday is no silence."""
        silent = meters.UNIT_SILENT.family()
        usual = meters.UNIT_USUAL_SILENCE.family()
        for unit, days in self._rollup.receipt_days().items():
            silent.add_metric((unit,), self._working_days(days[-1], today))
            recent = [day for day in days if (days[-1] - day).days <= meters.SILENCE_WINDOW]
            if len(recent) > 1:
                usual.add_metric((unit,), max(map(self._working_days, recent, recent[1:])))
        yield silent
        yield usual
        platforms = meters.PLATFORM_SILENT.family()
        for name, at in seen.items():
            day = datetime.fromtimestamp(at, SHANGHAI).date()
            platforms.add_metric((name,), self._working_days(day, today))
        yield platforms
        windows = meters.WINDOW_WORKING_DAYS.family()
        for window in WINDOWS:
            # Where its first day works, it counts too.
            first = window_start(today, window)
            before = first - timedelta(days=1) if first > date.min else first
            windows.add_metric((window,), self._working_days(before, today))
        yield windows

    def _working_days(self, after: date, through: date) -> int:
        try:
            return self._calendar.working_days_between(after, through)
        except OutsideCalendar:
            return 0

    def _pending(self, today: date) -> Metric:
        family = meters.UNIT_PENDING.family()
        for duty, by_deadline in self._rollup.pending().items():
            counts: Counter[str] = Counter()
            for deadline, count in by_deadline.items():
                counts[due_class(self._calendar, deadline, today)] += count
            for due in ("overdue", "soon", "later", "unknown"):
                family.add_metric((*duty, due), counts[due])
        return family


def window_start(today: date, window: str) -> date:
    """The first day of the window (one of `WINDOWS`) that ends today."""
    if window == "month":
        return Month.containing(today).first
    days = int(window.removesuffix("d")) - 1
    return today - timedelta(days=min(days, (today - date.min).days))


def due_class(calendar: Calendar, deadline: date | None, today: date) -> str:
    """Whether a deadline is unknown, overdue, soon (within `meters.SOON` working days) or later."""
    if deadline is None:
        return "unknown"
    if deadline < today:
        return "overdue"
    return "soon" if calendar.working_days_between(today, deadline) <= meters.SOON else "later"


class SourceCollector(Collector):
    """How far the sources of this worker are, in the partitions that it holds."""

    def __init__(
        self, sources: Iterable[RecordSource], now: Callable[[], float] = time.time
    ) -> None:
        self._sources = tuple(sources)
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """One sample for each partition held."""
        records = meters.LAG_RECORDS.family()
        seconds = meters.LAG_SECONDS.family()
        committed = meters.COMMITTED_OFFSET.family()
        stuck = meters.STUCK_SECONDS.family()
        restoring = meters.RESTORING.family()
        for source in self._sources:
            for progress in source.progress():
                label = (source.group, source.topic, str(progress.partition))
                lag = max(0, (progress.highwater or 0) - (progress.done or 0))
                records.add_metric(label, lag)
                behind = 0.0
                if lag and progress.timestamp_ms is not None:
                    behind = max(0.0, self._now() - progress.timestamp_ms / 1000)
                seconds.add_metric(label, behind)
                committed.add_metric(label, progress.committed or 0)
                stuck.add_metric(label, progress.stuck_seconds)
                restoring.add_metric(label, progress.restoring)
        yield from (records, seconds, committed, stuck, restoring)


class StateCollector(Collector):
    """How large the record state of this worker is."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Sizes as RocksDB estimates them."""
        yield meters.STATE_RECORDS.family(self._store.records)
        yield meters.STATE_DISK_BYTES.family(self._store.disk_bytes)
