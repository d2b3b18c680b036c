"""Comparing what should be the same: three ways to the figures of a month.

Live: the tallies in the log, as the worker shows them. Stored: the tallies in the store. Counted:
the records in the store, counted again. A stream that moves is not everywhere at once, so a
difference counts only when it stays.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from models.month import Month
from models.tally import NOTHING, Bucket, Tally
from streams.clock import DataClock
from streams.counting.rollup import Rollup
from streams.log.reader import read_to_end, reading
from streams.log.source import Batch
from streams.log.topics import TALLIES, TALLY_PARTITIONS, VERDICTS
from streams.log.wire import decode_verdict, is_record_key
from streams.settings import Settings
from streams.store.client import Store
from streams.store.reconciling import (
    Contribution,
    contributions,
    counted_tallies,
    stored_tallies,
)

_LOOK_EVERY: Final = 1.0


class Difference(NamedTuple):
    """A bucket whose figures are not the same everywhere.

    `live` is None where the log was not asked. `records` are the keys (hexadecimal) of records that
    are not the same everywhere, in `records`, the audit and the log; none when the counts alone are
    wrong.
    """

    bucket: Bucket
    live: Tally | None
    stored: Tally
    counted: Tally
    records: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The public form."""
        unit, category, day = self.bucket
        return {
            "unit": unit,
            "category": category.value,
            "day": day.isoformat(),
            "live": None if self.live is None else self.live._asdict(),
            "stored": self.stored._asdict(),
            "counted": self.counted._asdict(),
            "records": [*self.records],
        }


async def reconcile(
    month: Month, store: Store, log: Settings | None = None, patience: float = 0.0
) -> list[Difference]:
    """Every difference in a month's figures, by unit, category and day.

    Args:
        month: the month.
        store: the store.
        log: where the log is; None to compare the store with itself.
        patience: seconds for differences to disappear, where the stream moves.

    Raises:
        StoreUnavailableError, StoreError: the store fails.
        LogUnavailableError, LogError: the broker fails.
    """
    until = time.monotonic() + patience
    while True:
        stored = stored_tallies(store, month)
        counted = counted_tallies(store, month)
        live = None if log is None else await _live(log, month)
        found = sorted(
            bucket
            for bucket in {*stored, *counted, *(live or ())}
            if stored.get(bucket, NOTHING) != counted.get(bucket, NOTHING)
            or (live is not None and live.get(bucket, NOTHING) != counted.get(bucket, NOTHING))
        )
        if not found or time.monotonic() >= until:
            break
        await asyncio.sleep(_LOOK_EVERY)
    if not found:
        return []
    keys = await _unlike(store, log, found)
    return [
        Difference(
            bucket,
            None if live is None else live.get(bucket, NOTHING),
            stored.get(bucket, NOTHING),
            counted.get(bucket, NOTHING),
            tuple(sorted(keys[bucket])),
        )
        for bucket in found
    ]


async def _live(settings: Settings, month: Month) -> dict[Bucket, Tally]:
    rollup = Rollup(DataClock())
    async with reading(settings) as consumer:
        topic = settings.topic(TALLIES)
        async for records in read_to_end(consumer, topic, TALLY_PARTITIONS):
            rollup.fold(Batch(topic, records[0].partition, records))
    return {
        Bucket(duty.unit, duty.category, day): tally
        for day in month.days
        for duty, tally in rollup.between(day, day).items()
    }


async def _unlike(
    store: Store, log: Settings | None, buckets: Iterable[Bucket]
) -> dict[Bucket, set[str]]:
    """The records of the buckets that are not the same wherever they should be."""
    in_log = None if log is None else await _in_log(log, set(buckets))
    found = {}
    for bucket in buckets:
        places = [contributions(store, "records", bucket)]
        places.append(contributions(store, "submissions", bucket))
        if in_log is not None:
            places.append(in_log[bucket])
        keys = {key for place in places for key in place}
        found[bucket] = {key for key in keys if len({place.get(key) for place in places}) > 1}
    return found


async def _in_log(
    settings: Settings, buckets: set[Bucket]
) -> dict[Bucket, dict[str, Contribution]]:
    found: dict[Bucket, dict[str, Contribution]] = defaultdict(dict)
    async with reading(settings) as consumer:
        async for records in read_to_end(consumer, settings.topic(VERDICTS), settings.partitions):
            for record in records:
                if not is_record_key(record.key) or record.value is None:
                    continue
                state = decode_verdict(record.value).state
                bucket = Bucket(state.unit, state.category, state.day)
                if bucket not in buckets:
                    continue
                contribution = Contribution(
                    *state.position,
                    state.compliant,
                    state.timely,
                    state.withdrawn,
                    state.corrections,
                    state.duplicates,
                )
                key = record.key.hex()
                known = found[bucket].get(key)
                if known is None or contribution[:2] >= known[:2]:
                    found[bucket][key] = contribution
    return found
