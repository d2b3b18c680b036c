"""From a submission to its verdict, at a steady pace: the times that platforms notice."""

import asyncio
import tempfile
import uuid
from time import perf_counter
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.contestants import PARTITIONS
from benchmarks.ground import BenchError, BenchSettings, child, idempotence
from models.judging import identify
from models.submission import read_delivery
from streams.log.topics import SUBMISSIONS, VERDICTS, core_topics, ensure_topics, partition_of
from streams.registry import load_registry
from tests.support.brokers import Broker

WARM_UP: Final = 2.0
"""Seconds at the beginning that do not count."""
_PATIENCE: Final = 30.0
GOAL_P99_MS: Final = 150


class Latency(NamedTuple):
    """Milliseconds from the moment a submission was due to go out until its verdict was read."""

    events: int
    per_second: float
    p50_ms: float
    p99_ms: float
    worst_ms: float


def measure(broker: Broker, lines: list[bytes], per_second: int, seconds: float) -> Latency:
    """Send submissions at a pace to a worker in a process of its own, and read its verdicts.

    A submission that goes out late counts from when it was due: a stall is not left out.

    Raises:
        BenchError: there are too few submissions, or verdicts are missing.
    """
    settings = BenchSettings(
        brokers=broker.address,
        namespace=f"l{uuid.uuid4().hex[:12]}",
        partitions=PARTITIONS,
        idempotence=idempotence(broker),
    )
    with tempfile.TemporaryDirectory(prefix="xinshao-bench-") as folder:
        asyncio.run(ensure_topics(settings, core_topics(settings)))
        arguments = [
            *("--brokers", broker.address, "--topic", settings.topic(SUBMISSIONS)),
            *("--total", len(lines), "--name", settings.namespace, "--folder", folder),
            *(() if settings.idempotence else ("--no-idempotence",)),
        ]
        with child("contestants", "xinshao", *arguments) as worker:
            worker.line()  # it has its partitions
            return asyncio.run(_paced(settings, _keyed(settings, lines), per_second, seconds))


def _keyed(settings: BenchSettings, lines: list[bytes]) -> dict[bytes, bytes]:
    """The first submission of each record, by its key."""
    registry = load_registry(settings.registry)
    keyed: dict[bytes, bytes] = {}
    for line in lines:
        keyed.setdefault(identify(read_delivery(line), registry), line)
    return keyed


async def _paced(
    settings: BenchSettings, submissions: dict[bytes, bytes], per_second: int, seconds: float
) -> Latency:
    events = int(per_second * (WARM_UP + seconds))
    if len(submissions) < events:
        raise BenchError(f"latency needs {events} records: give more with --records")
    producer = AIOKafkaProducer(bootstrap_servers=settings.brokers, acks="all")
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.brokers, auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    verdicts = settings.topic(VERDICTS)
    where = [TopicPartition(verdicts, number) for number in range(settings.partitions)]
    consumer.assign(where)
    due: dict[bytes, float] = {}
    taken: dict[bytes, float] = {}

    async def send() -> None:
        begin = perf_counter()
        for number, (key, line) in zip(range(events), submissions.items(), strict=False):
            at = begin + number / per_second
            if (early := at - perf_counter()) > 0:
                await asyncio.sleep(early)
            due[key] = at
            await producer.send(
                settings.topic(SUBMISSIONS),
                line,
                key=key,
                partition=partition_of(key, settings.partitions),
            )

    async def receive() -> None:
        async for verdict in consumer:
            if verdict.key in due:
                taken[verdict.key] = perf_counter() - due[verdict.key]
                if len(taken) == events:
                    return

    try:
        async with asyncio.timeout(WARM_UP + seconds + _PATIENCE):
            await asyncio.gather(send(), receive())
    except TimeoutError:
        raise BenchError(f"{events - len(taken)} of {events} verdicts did not come") from None
    finally:
        await producer.stop()
        await consumer.stop()
    counted = sorted(taken[key] * 1e3 for key in list(due)[int(WARM_UP * per_second) :])
    return Latency(
        len(counted),
        per_second,
        counted[len(counted) // 2],
        counted[len(counted) * 99 // 100],
        counted[-1],
    )
