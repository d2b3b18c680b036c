"""Reading a partition from a point to its end, without trusting what brokers call the end."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.log.connection import KafkaRecord, answering, connection
from streams.log.writer import LogWriter, Message
from streams.settings import Settings

FENCE_KEY: Final = b"fence"
"""Key of the marks that readers write; everyone else skips them."""

_AT_ONCE: Final = 2000
_WAIT_MS: Final = 1000
_END_WAIT_MS: Final = 100

Records = Sequence[KafkaRecord]


@asynccontextmanager
async def reading(settings: Settings, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without subscription; with a group it can be asked what that committed.

    Raises:
        LogUnavailableError, LogError: the broker cannot be reached, or refuses.
    """
    consumer = AIOKafkaConsumer(
        **connection(settings),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    async with answering(settings):
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()


async def read_to_end(
    consumer: AIOKafkaConsumer, topic: str, partitions: int
) -> AsyncIterator[Records]:
    """All records of a topic up to the ends that its fetches report, in runs of one partition.

    `latest` offsets are not to be trusted on every broker; the end that a fetch reports is.
    """
    unread = {TopicPartition(topic, number) for number in range(partitions)}
    consumer.assign(unread)
    await consumer.seek_to_beginning(*unread)
    while unread:
        fetched = await consumer.getmany(timeout_ms=_END_WAIT_MS, max_records=_AT_ONCE)
        for records in fetched.values():
            yield records
        for where in [*unread]:
            end = consumer.highwater(where)
            if end is not None and await consumer.position(where) >= end:
                unread.remove(where)


async def ends(consumer: AIOKafkaConsumer, topic: str, begins: Mapping[int, int]) -> dict[int, int]:
    """The ends of a topic's partitions, found by fetching from these offsets on."""
    found: dict[int, int] = {}
    consumer.assign([TopicPartition(topic, number) for number in begins])
    for number, begin in begins.items():
        consumer.seek(TopicPartition(topic, number), begin)
    while len(found) < len(begins):
        await consumer.getmany(timeout_ms=_END_WAIT_MS, max_records=_AT_ONCE)
        for number in begins:
            if (end := consumer.highwater(TopicPartition(topic, number))) is not None:
                found[number] = end
    return found


class Fence:
    """The end of a partition as of the moment when a mark was written there.

    `latest` offsets are not to be trusted on every broker. What was durable before the mark is
    before it in the log; `end` is the offset after it.
    """

    def __init__(self, where: TopicPartition, end: int) -> None:
        self.where = where
        self.end = end

    @classmethod
    async def write(cls, writer: LogWriter, topic: str, partition: int) -> "Fence":
        """Mark the end of a partition."""
        end = await writer.write(topic, partition, [Message(FENCE_KEY, b"")])
        return cls(TopicPartition(topic, partition), end)

    async def read_up_to(
        self, consumer: AIOKafkaConsumer, begin: int | None = None
    ) -> AsyncIterator[Records]:
        """All records from an offset (the beginning where None) up to the mark, in runs.

        The marks themselves, this one and older ones, are left out; a run is never empty.
        """
        consumer.assign([self.where])
        if begin is None:
            await consumer.seek_to_beginning(self.where)
        else:
            consumer.seek(self.where, begin)
        read = begin or 0
        while read < self.end:
            fetched = await consumer.getmany(self.where, timeout_ms=_WAIT_MS, max_records=_AT_ONCE)
            for records in fetched.values():
                read = records[-1].offset + 1
                wanted = [
                    record
                    for record in records
                    if record.key != FENCE_KEY and record.offset < self.end
                ]
                if wanted:
                    yield wanted
