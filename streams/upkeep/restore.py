"""Recovering an empty log from the store.

Done after a cluster was lost, and by the embedded stack, whose broker keeps nothing, on each start.

The latest verdict of every record goes back into verdicts, under its old position: the new log's
epoch is higher, so what is submitted from now on comes after it. The tallies are counted anew from
the records, for the partitions as they are now, and stand at the beginning of the new log.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from models.submission import Position
from models.tally import Bucket, Duty, Pending, Tally
from models.words import Category
from streams.counting.sink import RESTORED, is_restored
from streams.errors import OperatorError
from streams.log.reader import read_to_end, reading
from streams.log.topics import (
    SUBMISSIONS,
    TALLIES,
    VERDICTS,
    core_topics,
    ensure_topics,
    log_epoch,
    partition_of,
    tally_partition,
)
from streams.log.wire import PlatformSeen, TallyKey, TallyValue, is_record_key
from streams.log.writer import LogWriter, Message
from streams.settings import Settings
from streams.store.client import Store

log = logging.getLogger(__name__)

_AT_ONCE: Final = 50_000
"""About how many records are read in one go, when a unit's days are not fuller than that."""
_DAYS: Final = 31

_KEY: Final = slice(len('{"record_key":"'), len('{"record_key":"') + 32)
"""Where the record key stands in a row of verdicts_now, its first column."""


class RecoverError(OperatorError):
    """The log cannot be recovered into; the message says why, in Chinese."""


class Recovered(NamedTuple):
    """How many messages were written."""

    records: int
    tallies: int


async def recover(
    settings: Settings,
    store: Store,
    writer: LogWriter,
    show: Callable[[float], None] = lambda _done: None,
) -> Recovered:
    """Write the record state and the tallies of the store into an empty log.

    No worker may run meanwhile. One that broke off is done again from the start. `show` is called
    with how much is done, 0 to 1.

    Raises:
        RecoverError: there are verdicts in the log that did not come from a recovery, or the log is
            older than what is in the store.
        StoreUnavailableError, StoreError: the store fails.
        TopicError, LogUnavailableError, LogError: the broker fails.
    """
    await ensure_topics(settings, core_topics(settings))
    await _require_empty(settings)
    epoch = await log_epoch(settings, settings.topic(SUBMISSIONS))
    ((newest,),) = store.rows("SELECT max(epoch) FROM records")
    if newest > epoch:
        raise RecoverError(
            "数据库里的信息比消息服务的主题还新，恢复后更正会被当作已处理："
            "请检查本机时钟，删去这些主题后重试"
        )
    records = 0
    for done, lines in _verdicts(store):
        messages = []
        for line in lines:
            key = bytes.fromhex(line[_KEY].decode())
            partition = partition_of(key, settings.partitions)
            messages.append((partition, Message(key, line, [(RESTORED, b"")])))
        await writer.write_all(settings.topic(VERDICTS), messages)
        records += len(lines)
        show(done)
    tallies = [
        (tally_partition(key.counted[0]), Message(key.encode(), value.encode()))
        for key, value in _tallies(store, settings.partitions, epoch)
    ]
    await writer.write_all(settings.topic(TALLIES), tallies)
    log.info("已从数据库恢复 %d 条信息、%d 项统计", records, len(tallies))
    return Recovered(records, len(tallies))


async def _require_empty(settings: Settings) -> None:
    topic = settings.topic(VERDICTS)
    async with reading(settings) as consumer:
        async for records in read_to_end(consumer, topic, settings.partitions):
            for record in records:
                if is_record_key(record.key) and not is_restored(record):
                    raise RecoverError(
                        f"主题 {topic} 里已有研判结果，只能恢复到空的消息服务："
                        "若确要以数据库为准，请停掉所有 xinshao worker，删去各主题后重试"
                    )


def _verdicts(store: Store) -> Iterator[tuple[float, list[bytes]]]:
    """Every record's verdict message, in runs; with each, how much is done."""
    months = store.rows(
        "SELECT unit, toStartOfMonth(day) AS month, count() FROM records"
        " GROUP BY unit, month ORDER BY month, unit"
    )
    total = sum(count for _unit, _month, count in months)
    done = 0
    for unit, month, count in months:
        days = max(1, _DAYS * _AT_ONCE // max(count, _AT_ONCE))
        for first in range(1, _DAYS + 1, days):
            yield (
                (done + count * min(first + days - 1, _DAYS) / _DAYS) / total,
                store.lines(
                    "SELECT * FROM verdicts_now WHERE unit = {unit:String}"
                    " AND toStartOfMonth(day) = {month:Date}"
                    " AND toDayOfMonth(day) BETWEEN {first:UInt8} AND {last:UInt8}",
                    unit=unit,
                    month=month,
                    first=first,
                    last=first + days - 1,
                ),
            )
        done += count


def _tallies(store: Store, partitions: int, epoch: int) -> Iterator[tuple[TallyKey, TallyValue]]:
    """What the records count for now, and nothing for what was counted and is no more."""
    at = {
        partition: Position(epoch, offset)
        for partition, offset in store.rows(
            "SELECT partition, max(offset) FROM records_placed(partitions = {partitions:UInt16})"
            " WHERE epoch = {epoch:UInt64} GROUP BY partition",
            partitions=partitions,
            epoch=epoch,
        )
    }
    start = Position(epoch, 0)
    for partition, unit, category, day, *counts in store.rows(_COUNTED, partitions=partitions):
        key = TallyKey(partition, Bucket(unit, Category(category), day))
        yield key, TallyValue(at.get(partition, start), Tally(*counts))
    pending: dict[TallyKey, Pending] = defaultdict(dict)
    for partition, unit, category, deadline, count in store.rows(_PENDING, partitions=partitions):
        by_deadline = pending[TallyKey(partition, Duty(unit, Category(category)))]
        if count:
            by_deadline[deadline] = count
    for key, by_deadline in pending.items():
        yield key, TallyValue(at.get(key.partition, start), by_deadline)
    for platform, seen in store.rows("SELECT platform, max(seen) FROM platforms GROUP BY platform"):
        yield TallyKey(0, PlatformSeen(platform)), TallyValue(at.get(0, start), seen)


_COUNTED: Final = """
SELECT partition, unit, category, day, sum(reported), sum(compliant), sum(timely), sum(late),
    sum(corrections), sum(duplicates), sum(withdrawn)
FROM
(
    SELECT partition, unit, category, day, reported, compliant, timely, late, corrections,
        duplicates, withdrawn
    FROM records_counted(partitions = {partitions:UInt16})
    UNION ALL
    SELECT partition, unit, category, day, 0, 0, 0, 0, 0, 0, 0 FROM tallies
)
GROUP BY partition, unit, category, day
"""
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
