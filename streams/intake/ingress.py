"""Ingress: what a platform writes to its own topic is let in, or rejected with the reason.

The topic says who speaks, the broker (LogAppendTime) when it was received. A message that is let
in twice, because the worker died before the commit, is recognised as the same by its origin
(`models.submission.Origin`).
"""

from datetime import UTC, datetime
from typing import Final

from models.registry import Platform, Registry
from models.submission import Origin, Unreadable, read_delivery
from streams.intake.admission import Admitted, Arrival, admit, platform_speaker, require_size
from streams.log.connection import KafkaRecord
from streams.log.source import Batch
from streams.log.topics import REJECTS, SUBMISSIONS, ingress_topic, log_epoch
from streams.log.wire import Reject
from streams.log.writer import LogWriter, Message
from streams.settings import Settings

LOG_APPEND_TIME: Final = 1
"""Kafka's mark of a timestamp that the broker set."""


class Ingress:
    """Lets in the messages of one platform."""

    def __init__(
        self, settings: Settings, registry: Registry, platform: Platform, writer: LogWriter
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._topic = ingress_topic(settings, platform.id).name
        self._speaker = platform_speaker(platform)
        self._writer = writer
        self._epoch = 0

    async def assigned(self, _number: int) -> None:
        """Learn which log it is: the offsets of a topic that was made again start at 0."""
        self._epoch = await log_epoch(self._settings, self._topic)

    async def let_in(self, batch: Batch) -> None:
        """Let a batch in; durable in submissions or rejects when it returns."""
        admitted: list[tuple[int, Message]] = []
        rejects: list[Message] = []
        for record in batch.records:
            try:
                _submission, _unit, partition, message = self._admit(record)
                admitted.append((partition, message))
            except Unreadable as unreadable:
                rejects.append(Reject.of(record, unreadable).encode())
        if rejects:
            await self._writer.write(self._settings.topic(REJECTS), 0, rejects)
        await self._writer.write_all(self._settings.topic(SUBMISSIONS), admitted)

    def _admit(self, record: KafkaRecord) -> Admitted:
        raw = record.value or b""
        require_size(raw)
        delivery = read_delivery(raw)
        origin = Origin(f"{record.topic}/{self._epoch}/{record.partition}", record.offset)
        return admit(
            delivery,
            raw,
            self._speaker,
            Arrival(receipt_time(record), delivery.id, origin),
            self._registry,
            self._settings.partitions,
        )


def receipt_time(record: KafkaRecord) -> datetime:
    """When the broker received a message.

    Raises:
        Unreadable: the timestamp is the producer's word.
    """
    if record.timestamp_type != LOG_APPEND_TIME:
        raise Unreadable("timestamp", "接入主题没有启用 LogAppendTime，接收时间不可信")
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)
