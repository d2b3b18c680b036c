"""Recovering an empty log from the store.

Done after a cluster was lost, and by the embedded stack, whose broker keeps nothing, on each start.

The latest verdict of every record goes back into verdicts, under its old position: the new log's
epoch is higher, so what is submitted from now on comes after it. The tallies are counted again from
the records, for the partitions as they are now, and are at the beginning of the new log.
"""

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

from models.submission import Position
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
from streams.store.restoring import (
    counted,
    last_offsets,
    newest_epoch,
    pending,
    platforms_seen,
    verdicts,
)

log = logging.getLogger(__name__)


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
    if newest_epoch(store) > epoch:
        raise RecoverError(
            "数据库里的信息比消息服务的主题还新，恢复后更正会被当作已处理："
            "请检查本机时钟，删去这些主题后重试"
        )
    records = 0
    for run in verdicts(store):
        messages = [
            (partition_of(key, settings.partitions), Message(key, verdict, [(RESTORED, b"")]))
            for key, verdict in run.verdicts
        ]
        await writer.write_all(settings.topic(VERDICTS), messages)
        records += len(messages)
        show(run.done)
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


def _tallies(store: Store, partitions: int, epoch: int) -> Iterator[tuple[TallyKey, TallyValue]]:
    """What the records count for now, and zeros for what was counted and no longer exists."""
    offsets = last_offsets(store, partitions, epoch)

    def at(partition: int) -> Position:
        return Position(epoch, offsets.get(partition, 0))

    for partition, bucket, tally in counted(store, partitions):
        yield TallyKey(partition, bucket), TallyValue(at(partition), tally)
    for (partition, duty), by_deadline in pending(store, partitions).items():
        yield TallyKey(partition, duty), TallyValue(at(partition), by_deadline)
    for platform, seen in platforms_seen(store).items():
        yield TallyKey(0, PlatformSeen(platform)), TallyValue(at(0), seen)
