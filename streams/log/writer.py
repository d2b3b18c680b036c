"""Writing to the log: acknowledged by every replica, tried again until the broker is back."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from streams.log.connection import LogError, answering, connection
from streams.settings import Settings

log = logging.getLogger(__name__)

_BATCH_BYTES: Final = 900_000
"""Below the broker's default limit of a message batch (1 MiB)."""
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0


class Message(NamedTuple):
    """What is to be written: key, value and headers."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class LogWriter:
    """A producer whose writes return when they are durable, however long the broker is away.

    A write that was cut off may be in the log twice; readers must be able to handle that.
    """

    def __init__(self, settings: Settings, request_timeout: float = 30.0) -> None:
        """Prepare to connect.

        Args:
            settings: Where to.
            request_timeout: Seconds that one try of a write may take.
        """
        self._settings = settings
        self._producer = AIOKafkaProducer(
            **connection(settings),
            acks="all",
            enable_idempotence=settings.idempotence,
            max_batch_size=_BATCH_BYTES,
            max_request_size=4 * _BATCH_BYTES,
            request_timeout_ms=round(1000 * request_timeout),
        )

    async def start(self) -> None:
        """Connect.

        Raises:
            LogUnavailableError, LogError: the broker cannot be reached, or refuses.
        """
        async with answering(self._settings):
            try:
                await self._producer.start()
            except KafkaError:
                await self._producer.stop()
                raise

    async def stop(self) -> None:
        """Write what is under way and disconnect."""
        await self._producer.stop()

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has; 0 where there is no such topic.

        Raises:
            LogUnavailableError, LogError: the broker cannot be reached, or refuses.
        """
        async with answering(self._settings):
            try:
                return len(await self._producer.partitions_for(topic))
            except UnknownTopicOrPartitionError:
                return 0

    async def reachable(self) -> bool:
        """Whether the broker answers now."""
        return bool(await self._producer.client.force_metadata_update())

    async def write(self, topic: str, partition: int, messages: Sequence[Message]) -> int:
        """Append messages to a partition, in order; the offset after the last one.

        When a try was cut off, a part of one call's messages may be in the log before all of them.

        Raises:
            LogError: the broker refuses them for a reason that waiting will not fix.
        """
        first, after = 0, -1
        while first < len(messages):
            metadata, count = await self._patiently(topic, partition, messages, first)
            first += count
            after = metadata.offset + count
        return after

    async def write_all(self, topic: str, keyed: Iterable[tuple[int, Message]]) -> None:
        """Append messages, each to its partition; returns when all of them are durable.

        Raises:
            LogError: as `write`.
        """
        by_partition: dict[int, list[Message]] = {}
        for partition, message in keyed:
            by_partition.setdefault(partition, []).append(message)
        await asyncio.gather(
            *(self.write(topic, partition, run) for partition, run in by_partition.items())
        )

    async def _patiently(
        self, topic: str, partition: int, messages: Sequence[Message], first: int
    ) -> tuple[RecordMetadata, int]:
        """Append as many messages as one batch holds; their offset, and how many they are."""
        wait = _FIRST_WAIT
        while True:
            batch, count = self._fill(messages, first)
            try:
                sent = await self._producer.send_batch(batch, topic, partition=partition)
                return await sent, count
            except KafkaError as error:
                if not (error.retriable or isinstance(error, KafkaTimeoutError)):
                    raise LogError(
                        f"消息服务拒绝写入主题 {topic}（{type(error).__name__}）："
                        "请检查主题、权限和消息大小的设置"
                    ) from error
                log.warning(
                    "写入 %s[%d] 未成功（%r），%.1f 秒后重试", topic, partition, error, wait
                )
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _fill(self, messages: Sequence[Message], first: int) -> tuple[BatchBuilder, int]:
        batch = self._producer.create_batch()
        count = 0
        for key, value, headers in islice(messages, first, None):
            if (
                batch.append(timestamp=None, key=key, value=value, headers=[*headers]) is None
                and count > 0
            ):
                break
            count += 1
        return batch, count
