"""The rollup: tallies of all partitions are added up, unit by unit.

Tally messages are absolute values with the position they count up to, so a message that arrives
twice, or late from a worker that was replaced, changes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from models.tally import NOTHING, Bucket, Duty, Pending, Tally
from streams.clock import Clock
from streams.log.source import Batch
from streams.log.wire import PlatformSeen, TallyKey, TallyValue


@dataclass(slots=True)
class _Told:
    """The latest values from one partition of tallies.

    `days` grows by some half a million keys a year, `others` has some thousands: a search through
    `others` must not go through `days`.
    """

    days: dict[TallyKey, TallyValue] = field(default_factory=dict)
    others: dict[TallyKey, TallyValue] = field(default_factory=dict)


class Rollup:
    """The latest tallies, from the partitions of tallies that this worker holds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[int, _Told] = defaultdict(_Told)
        self._days: dict[date, dict[Duty, Tally]] = defaultdict(dict)
        self._reported: dict[str, Counter[date]] = defaultdict(Counter)
        """In how many categories a unit has counts of a day."""

    def revoked(self, partition: int) -> None:
        """Forget what came from a partition of tallies."""
        for key, value in self._told.pop(partition, _Told()).days.items():
            self._count(key, NOTHING, value)

    def fold(self, batch: Batch) -> None:
        """Take in a batch of tally messages."""
        told = self._told[batch.partition]
        for record in batch.records:
            if record.key is None or record.value is None:
                continue
            key = TallyKey.decode(record.key)
            value = TallyValue.decode(key, record.value)
            latest = told.days if isinstance(key.counted, Bucket) else told.others
            before = latest.get(key)
            if before is None or value.position >= before.position:
                latest[key] = value
                if isinstance(value.counts, Tally):
                    self._count(key, value.counts, before)

    def _count(self, key: TallyKey, counts: Tally, before: TallyValue | None) -> None:
        bucket = key.counted
        if not isinstance(bucket, Bucket):
            return
        duty = Duty(bucket.unit, bucket.category)
        day = self._days[bucket.day]
        total = day.get(duty, NOTHING).plus(counts)
        if before is not None and isinstance(before.counts, Tally):
            total = total.minus(before.counts)
        if total == NOTHING:
            if day.pop(duty, None) is not None:
                self._reported[bucket.unit][bucket.day] -= 1
        else:
            if duty not in day:
                self._reported[bucket.unit][bucket.day] += 1
            day[duty] = total
        self._clock.see(bucket.day)

    def between(self, first: date, last: date) -> dict[Duty, Tally]:
        """The tallies of all records first received from one day to another, both included."""
        totals: dict[Duty, Tally] = {}
        for day, tallies in self._days.items():
            if first <= day <= last:
                for duty, tally in tallies.items():
                    totals[duty] = totals.get(duty, NOTHING).plus(tally)
        return totals

    def receipt_days(self) -> dict[str, list[date]]:
        """The days on which each unit's records were first received, in order."""
        found = {
            unit: sorted(day for day, count in days.items() if count)
            for unit, days in self._reported.items()
        }
        return {unit: days for unit, days in found.items() if days}

    def pending(self) -> Mapping[Duty, Pending]:
        """Pending records by deadline, of every duty that has or had some."""
        totals: dict[Duty, Pending] = defaultdict(dict)
        for key, value in self._others():
            if isinstance(key.counted, Duty) and isinstance(value.counts, dict):
                pending = totals[key.counted]
                for deadline, count in value.counts.items():
                    pending[deadline] = pending.get(deadline, 0) + count
        return totals

    def platforms(self) -> dict[str, float]:
        """When each platform last submitted (seconds since 1970)."""
        seen: dict[str, float] = {}
        for key, value in self._others():
            if isinstance(key.counted, PlatformSeen) and isinstance(value.counts, float):
                name = key.counted.platform
                seen[name] = max(seen.get(name, 0.0), value.counts)
        return seen

    def _others(self) -> Iterator[tuple[TallyKey, TallyValue]]:
        for told in self._told.values():
            yield from told.others.items()
