"""Admission: what a platform wrote to its own ingress topic becomes a submission.

It settles what a platform must not: which platform speaks (the topic says), for which units and
categories it may, and when the message was received (the broker's LogAppendTime). A message goes to
the partition of its record with its origin, so that one which is admitted twice, because the worker
died before the commit, is known as the same (`models.submission.Origin`).
"""

from datetime import UTC, datetime
from typing import Final

from aiokafka import ConsumerRecord

from models.judging import identify
from models.registry import Platform, Registry
from models.submission import Origin, Submission, Unreadable, read_submission
from streams.log.source import Batch
from streams.log.topics import REJECTS, SUBMISSIONS, ingress_topic, log_epoch, partition_of
from streams.log.wire import Reject, encode_submission
from streams.log.writer import LogWriter, Message
from streams.settings import Settings

LOG_APPEND_TIME: Final = 1
"""Kafka's mark of a timestamp that the broker set."""


class Admission:
    """Admits the messages of one platform."""

    def __init__(
        self, settings: Settings, registry: Registry, platform: Platform, writer: LogWriter
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._platform = platform
        self._writer = writer
        self._epoch = 0

    async def assigned(self, _number: int) -> None:
        """Learn which log it is: the offsets of a topic that was made anew start again."""
        topic = ingress_topic(self._settings, self._platform.id).name
        self._epoch = await log_epoch(self._settings, topic)

    async def admit(self, batch: Batch) -> None:
        """Admit a batch; durable in submissions or rejects when it returns."""
        admitted: list[tuple[int, Message]] = []
        rejects: list[Message] = []
        for record in batch.records:
            try:
                submission = self._read(record)
            except Unreadable as unreadable:
                rejects.append(Reject.of(record, unreadable).encode())
                continue
            partition = partition_of(submission.record_key, self._settings.partitions)
            admitted.append(
                (
                    partition,
                    Message(
                        submission.record_key, encode_submission(record.value or b"", submission)
                    ),
                )
            )
        if rejects:
            await self._writer.write(self._settings.topic(REJECTS), 0, rejects)
        await self._writer.write_all(self._settings.topic(SUBMISSIONS), admitted)

    def _read(self, record: ConsumerRecord[bytes, bytes]) -> Submission:
        submission = read_submission(record.value or b"", receipt_time(record))
        submission.record_key = identify(submission, self._registry)
        unit = self._registry.unit(submission.unit)
        category = submission.schema.category
        if unit is None or not self._platform.may_speak_for(unit.id, category):
            raise Unreadable(
                "scope",
                f"平台“{self._platform.name}”无权为该机构报送{category.zh}，请联系市信用办登记",
                submission.unit,
                category.value,
            )
        submission.received_at = receipt_time(record)
        submission.platform = self._platform.id
        submission.origin = Origin(
            f"{record.topic}/{self._epoch}/{record.partition}", record.offset
        )
        return submission


def receipt_time(record: ConsumerRecord[bytes, bytes]) -> datetime:
    """When the broker received a message.

    Raises:
        Unreadable: the timestamp is the producer's word.
    """
    if record.timestamp_type != LOG_APPEND_TIME:
        raise Unreadable("timestamp", "接入主题没有启用 LogAppendTime，接收时间不可信")
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)
