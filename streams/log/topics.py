"""Topics: which there are, with which settings, created on start when missing.

A topic that exists with settings which would break the promise (docs/guarantees.md) is refused.
"""

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import CoordinatorNotAvailableError, for_code

from streams.errors import OperatorError
from streams.log.connection import answering, connection
from streams.settings import Settings

SUBMISSIONS: Final = "submissions"
VERDICTS: Final = "verdicts"
TALLIES: Final = "tallies"
REJECTS: Final = "rejects"
INGRESS: Final = "ingress"

TALLY_PARTITIONS: Final = 4
DAY: Final = 24 * 3600 * 1000
"""A day in milliseconds, the unit of Kafka's settings."""

LARGEST: Final = 1 << 20
"""Bytes of the largest message that a platform may send: Kafka's usual limit."""
_LARGEST_WRITTEN: Final = 6 * LARGEST
"""What follows from the largest must fit, or one message could stop a worker for ever: admission
writes numbers out (1e15, four times as long), a reject holds the message's headers in hex."""

_TOPIC_EXISTS: Final = 36

_BIRTH: Final = "delete.retention.ms"
"""The setting that carries a log's epoch: the second in which the topic was made, written into it
in the same step. Offsets compare only within one log, so a topic made again must be recognised as
another one. As a setting it lets tombstones live for some 21 days, which does no harm."""


class TopicError(OperatorError):
    """A topic is not as the promise needs it; the message says what to do, in Chinese."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its full name, its partitions, and the settings that the promise rests on."""

    name: str
    partitions: int
    promised: Mapping[str, str]
    """Settings that must have exactly these values."""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """Settings for a new topic, which an operator may change later."""


def core_topics(settings: Settings) -> tuple[Topic, ...]:
    """The topics of the way of a record, besides the platforms' ingress topics."""
    large = {"max.message.bytes": str(_LARGEST_WRITTEN)}
    compacted = {"cleanup.policy": "compact"}
    kept = {"cleanup.policy": "delete", **large}
    return (
        Topic(
            settings.topic(SUBMISSIONS),
            settings.partitions,
            kept,
            {"retention.ms": str(settings.submissions_retention_days * DAY)},
        ),
        Topic(
            settings.topic(VERDICTS),
            settings.partitions,
            compacted | large,
            # A paused worker's stale verdict may be the last of its key: the newer one before it
            # must live until every reader has seen it.
            {"min.compaction.lag.ms": str(DAY)},
        ),
        Topic(
            settings.topic(TALLIES),
            TALLY_PARTITIONS,
            compacted,
            {"min.compaction.lag.ms": str(DAY)},
        ),
        Topic(
            settings.topic(REJECTS),
            1,
            kept,
            {"retention.ms": str(settings.rejects_retention_days * DAY)},
        ),
    )


def ingress_topic(settings: Settings, platform: str) -> Topic:
    """The topic that one platform writes to; the broker's clock says when (LogAppendTime)."""
    return Topic(
        settings.topic(f"{INGRESS}.{platform}"),
        settings.partitions,
        {
            "cleanup.policy": "delete",
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(LARGEST),
        },
        {"retention.ms": str(settings.submissions_retention_days * DAY)},
    )


def partition_of(record_key: bytes, partitions: int) -> int:
    """The partition of a record: its key is a digest, any part of it is as good as random."""
    return int.from_bytes(record_key[:4]) % partitions


def tally_partition(name: str) -> int:
    """The partition of a unit's or platform's tallies: one for all, whichever worker counted."""
    return crc32(name.encode()) % TALLY_PARTITIONS


async def ensure_topics(settings: Settings, topics: tuple[Topic, ...]) -> set[str]:
    """Make the topics that are missing; the names of those it made.

    Raises:
        TopicError: a topic cannot be made, or exists with settings that break the promise.
        LogUnavailableError, LogError: the broker cannot be reached, or refuses.
    """
    born = int(time.time())
    async with _admin(settings) as admin:
        response: Any = await admin.create_topics(
            [
                NewTopic(
                    topic.name,
                    topic.partitions,
                    settings.replication,
                    topic_configs={**topic.promised, **topic.chosen, _BIRTH: str(born)},
                )
                for topic in topics
            ]
        )
        made = set()
        for name, code, *_ in response.topic_errors:
            if code == 0:
                made.add(name)
            elif code != _TOPIC_EXISTS:
                raise TopicError(
                    f"无法创建主题 {name}：{for_code(code).__name__}，请检查消息服务的权限和配置"
                )
        faults = await _faults(admin, [topic for topic in topics if topic.name not in made])
        if faults:
            raise TopicError("\n".join(faults))
        return made


async def require_groups(settings: Settings, groups: Iterable[str]) -> None:
    """Ask for each consumer group whether this user may join it.

    A consumer that may not would wait for ever without any message, and Faust with it.

    Raises:
        LogError: it may not join one of them.
        LogUnavailableError: the broker cannot be reached.
    """
    async with _admin(settings) as admin:
        for group in groups:
            with suppress(CoordinatorNotAvailableError):  # the first group of a new cluster
                await admin.find_coordinator(group)


async def topic_faults(settings: Settings, topics: tuple[Topic, ...]) -> list[str]:
    """What is wrong with the topics, each in a Chinese line; makes none.

    Raises:
        LogUnavailableError, LogError: the broker cannot be reached, or refuses.
    """
    async with _admin(settings) as admin:
        there = set(await admin.list_topics())
        missing = [
            f"主题 {topic.name} 还没有，启动 xinshao worker 时会建立"
            for topic in topics
            if topic.name not in there
        ]
        return missing + await _faults(admin, [topic for topic in topics if topic.name in there])


async def log_epoch(settings: Settings, topic: str) -> int:
    """The epoch of a topic's log: it rises each time the topic is made again.

    Raises:
        TopicError: the topic was not made by this program and has no epoch.
        LogUnavailableError, LogError: the broker cannot be reached, or refuses.
    """
    async with _admin(settings) as admin:
        epoch = _epoch((await _configs(admin, [topic])).get(topic, {}))
    if epoch is None:
        raise TopicError(_no_epoch(topic))
    return epoch


def _epoch(configs: Mapping[str, str]) -> int | None:
    found = configs.get(_BIRTH)
    # Kafka reports its default, a day, where nobody set it.
    return None if found in (None, str(DAY)) else int(found)


def _no_epoch(topic: str) -> str:
    return f"主题 {topic} 没有纪元标记（{_BIRTH}），不是由信哨创建的；请删去后重启"


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection(settings))
    async with answering(settings):
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    responses: Any = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    )
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for response in responses
        for _code, _message, _kind, name, entries in response.resources
    }


async def _faults(admin: AIOKafkaAdminClient, topics: list[Topic]) -> list[str]:
    if not topics:
        return []  # asked about none, the broker would describe all
    described = {
        found["topic"]: len(found["partitions"])
        for found in await admin.describe_topics([topic.name for topic in topics])
    }
    configs = await _configs(admin, [topic.name for topic in topics])
    faults = []
    for topic in topics:
        if described[topic.name] != topic.partitions:
            faults.append(
                f"主题 {topic.name} 有 {described[topic.name]} 个分区，应为 {topic.partitions} 个："
                "分区数定下后不能改，请把 XINSHAO_PARTITIONS 改回原值，或换一个 XINSHAO_NAMESPACE"
            )
        found = configs.get(topic.name, {})
        if _epoch(found) is None:
            faults.append(_no_epoch(topic.name))
        faults.extend(
            f"主题 {topic.name} 的 {setting} 是 {found.get(setting, '默认值')}，应为 {value}："
            f"请用 kafka-configs 把它改为 {value} 后再启动"
            for setting, value in topic.promised.items()
            # Kafka's default cleanup policy and Tansu's silence both mean delete.
            if found.get(setting, "delete" if setting == "cleanup.policy" else None) != value
        )
    return faults
