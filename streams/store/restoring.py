"""What a restore asks: every record's verdict as the log had it, and the counts of the records."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Final, NamedTuple

from models.tally import Bucket, Duty, Pending, Tally
from models.words import Category
from streams.store.client import Store
from streams.store.tally_columns import TALLY_COLUMNS, TALLY_SUMS

_AT_ONCE: Final = 50_000
"""About how many records are read in one go, unless a single day of a unit has more."""
_DAYS: Final = 31

_KEY: Final = slice(len('{"record_key":"'), len('{"record_key":"') + 32)
"""Where the record key is in a row of verdicts_now, its first column."""

_MONTHS: Final = """
SELECT unit, toStartOfMonth(day) AS month, count()
FROM records
GROUP BY unit, month
ORDER BY month, unit
"""

_VERDICTS: Final = """
SELECT *
FROM verdicts_now
WHERE unit = {unit:String} AND toStartOfMonth(day) = {month:Date}
    AND toDayOfMonth(day) BETWEEN {first:UInt8} AND {last:UInt8}
"""

_LAST_OFFSETS: Final = """
SELECT partition, max(offset)
FROM records_placed(partitions = {partitions:UInt16})
WHERE epoch = {epoch:UInt64}
GROUP BY partition
"""

# What was counted and no longer exists is there with zeros.
_COUNTED: Final = f"""
SELECT partition, unit, category, day, {TALLY_SUMS}
FROM
(
    SELECT partition, unit, category, day, {TALLY_COLUMNS}
    FROM records_counted(partitions = {{partitions:UInt16}})
    UNION ALL
    SELECT partition, unit, category, day, {", ".join("0" for _ in Tally._fields)} FROM tallies
)
GROUP BY partition, unit, category, day
"""  # noqa: S608 - our own names

_PENDING: Final = """
SELECT partition, unit, category, deadline, sum(records)
FROM
(
    SELECT partition, unit, category, deadline, 1 AS records
    FROM records_placed(partitions = {partitions:UInt16})
    WHERE NOT compliant AND NOT withdrawn
    UNION ALL
    SELECT partition, unit, category, NULL, 0 FROM pending
)
GROUP BY partition, unit, category, deadline
"""


class Run(NamedTuple):
    """Some of the verdict messages with their record keys, and how much is read by then, 0 to 1."""

    verdicts: list[tuple[bytes, bytes]]
    done: float


def newest_epoch(store: Store) -> int:
    """The highest epoch of a record; 0 where there is none."""
    ((epoch,),) = store.rows("SELECT max(epoch) FROM records")
    return int(epoch)


def verdicts(store: Store) -> Iterator[Run]:
    """Every record's latest verdict, as the message that it was."""
    months = store.rows(_MONTHS)
    total = sum(count for _unit, _month, count in months)
    done = 0
    for unit, month, count in months:
        days = max(1, _DAYS * _AT_ONCE // max(count, _AT_ONCE))
        for first in range(1, _DAYS + 1, days):
            last = first + days - 1
            lines = store.lines(_VERDICTS, unit=unit, month=month, first=first, last=last)
            yield Run(
                [(bytes.fromhex(line[_KEY].decode()), line) for line in lines],
                (done + count * min(last, _DAYS) / _DAYS) / total,
            )
        done += count


def last_offsets(store: Store, partitions: int, epoch: int) -> dict[int, int]:
    """The highest offset of an epoch among the records, by partition."""
    return dict(store.rows(_LAST_OFFSETS, partitions=partitions, epoch=epoch))


def counted(store: Store, partitions: int) -> Iterator[tuple[int, Bucket, Tally]]:
    """The tallies of each partition, counted from the records."""
    for partition, unit, category, day, *counts in store.rows(_COUNTED, partitions=partitions):
        yield partition, Bucket(unit, Category(category), day), Tally(*counts)


def pending(store: Store, partitions: int) -> dict[tuple[int, Duty], Pending]:
    """The pending records of each partition by deadline, counted from the records."""
    found: dict[tuple[int, Duty], dict[date | None, int]] = defaultdict(dict)
    for partition, unit, category, deadline, count in store.rows(_PENDING, partitions=partitions):
        by_deadline = found[partition, Duty(unit, Category(category))]
        if count:
            by_deadline[deadline] = count
    return dict(found)


def platforms_seen(store: Store) -> dict[str, float]:
    """When each platform last submitted, in seconds since 1970."""
    return dict(store.rows("SELECT platform, max(seen) FROM platforms GROUP BY platform"))
