"""Reading a partition from a point to its end, without trusting anyone's word for the end."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streams.producer import LogWriter, Message
from streams.settings import Settings

FENCE_KEY: Final = b"fence"
"""Key of the marks that readers write; everyone else passes them over."""

_AT_ONCE: Final = 2000
_WAIT_MS: Final = 1000

Records = Sequence[ConsumerRecord[bytes, bytes]]


@asynccontextmanager
async def reading(settings: Settings, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that is told what to read; with a group it can be asked what that committed."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.brokers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


class Fence:
    """A mark at the end of a partition, as of the moment it was written.

    `latest` offsets are not to be trusted on every broker. What was durable before the mark stands
    before it; `end` is the offset after it.
    """

    def __init__(self, where: TopicPartition, mark: bytes, end: int) -> None:
        self.where = where
        self._mark = mark
        self.end = end

    @classmethod
    async def write(cls, writer: LogWriter, topic: str, partition: int) -> "Fence":
        """Mark the end of a partition."""
        mark = uuid.uuid4().bytes
        end = await writer.write(topic, partition, [Message(FENCE_KEY, mark)])
        return cls(TopicPartition(topic, partition), mark, end)

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
        while True:
            fetched = await consumer.getmany(self.where, timeout_ms=_WAIT_MS, max_records=_AT_ONCE)
            for records in fetched.values():
                wanted = [
                    record
                    for record in records
                    if record.key != FENCE_KEY and record.offset < self.end
                ]
                if wanted:
                    yield wanted
                if any(
                    record.key == FENCE_KEY and record.value == self._mark for record in records
                ):
                    return
