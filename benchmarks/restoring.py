"""How long a worker's restart takes for each million records, and what memory they cost.

    python -m benchmarks.restoring --brokers HOST:PORT --namespace NAME --folder F    one start

A start takes over all partitions at once, as the source has a worker do it: it reads the verdicts
(from the beginning, or from the local checkpoint on) and folds the tallies.
"""

import argparse
import asyncio
import json
import tempfile
import time
import uuid
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from benchmarks.contestants import PARTITIONS
from benchmarks.ground import BenchSettings, child, idempotence
from benchmarks.work import REGISTRY
from models.judging import identify, judge
from models.submission import Position, Unreadable, read_delivery, read_submission
from models.verdict import Verdict
from streams.clock import DataClock
from streams.judging.judge import Judge
from streams.judging.state import StateStore
from streams.log.topics import (
    SUBMISSIONS,
    VERDICTS,
    core_topics,
    ensure_topics,
    log_epoch,
    partition_of,
)
from streams.log.wire import encode_verdict
from streams.log.writer import LogWriter, Message
from streams.meters import WorkerMetrics
from streams.registry import load_calendar, load_registry
from tests.support.brokers import Broker

_PATTERNS: Final = 20_000
_AT_ONCE: Final = 8000


class Start(NamedTuple):
    """The result of one start."""

    records: int
    seconds: float
    before_mib: float
    """Memory of the process before it opened its state."""
    after_mib: float
    disk_mib: float


class Restore(NamedTuple):
    """The start without a checkpoint, and the one after it, which has one."""

    full: Start
    checkpoint: Start


def measure(broker: Broker, lines: list[bytes], records: int) -> Restore:
    """Write that many verdicts of different records, then start twice."""
    settings = BenchSettings(
        brokers=broker.address,
        namespace=f"r{uuid.uuid4().hex[:12]}",
        partitions=PARTITIONS,
        idempotence=idempotence(broker),
    )
    asyncio.run(_write_verdicts(settings, lines, records))
    arguments = ["--brokers", broker.address, "--namespace", settings.namespace]
    if not settings.idempotence:
        arguments.append("--no-idempotence")
    with tempfile.TemporaryDirectory(prefix="xinshao-bench-") as folder:
        starts = []
        for _ in range(2):
            with child("restoring", *arguments, "--folder", folder) as started:
                starts.append(Start(*json.loads(started.line())))
                started.process.wait()
    return Restore(*starts)


async def _write_verdicts(settings: BenchSettings, lines: list[bytes], records: int) -> None:
    await ensure_topics(settings, core_topics(settings))
    epoch = await log_epoch(settings, settings.topic(SUBMISSIONS))
    patterns = _patterns(lines)
    writer = LogWriter(settings)
    await writer.start()
    try:
        numbers = iter(range(records))
        while run := list(islice(numbers, _AT_ONCE)):
            keyed = []
            for number in run:
                key = blake2b(number.to_bytes(8), digest_size=16).digest()
                pattern = patterns[number % len(patterns)]
                state = pattern.state._replace(position=Position(epoch, number))
                verdict = pattern._replace(record_key=key, state=state)
                partition = partition_of(key, settings.partitions)
                keyed.append((partition, Message(key, encode_verdict(verdict))))
            await writer.write_all(settings.topic(VERDICTS), keyed)
    finally:
        await writer.stop()


def _patterns(lines: list[bytes]) -> list[Verdict]:
    registry, calendar = load_registry(REGISTRY), load_calendar(REGISTRY)
    found = []
    for line in lines[:_PATTERNS]:
        try:
            submission = read_submission(line, identify(read_delivery(line), registry))
            found.append(judge(submission, None, registry, calendar))
        except Unreadable:
            continue
    return found


async def _start(settings: BenchSettings) -> Start:
    registry, calendar = load_registry(settings.registry), load_calendar(settings.registry)
    metrics = WorkerMetrics(settings.reject_limit, settings.reject_window)
    writer = LogWriter(settings)
    await writer.start()
    before = _memory_mib()
    store = StateStore(settings.data)
    try:
        judge = Judge(settings, registry, calendar, store, writer, DataClock(), metrics)
        begin = time.perf_counter()
        await asyncio.gather(*map(judge.assigned, range(settings.partitions)))
        seconds = time.perf_counter() - begin
        after = _memory_mib()
        records = sum(1 for n in range(settings.partitions) for _ in store.partition(n))
    finally:
        store.close()
        await writer.stop()
    disk = sum(file.stat().st_size for file in settings.data.rglob("*") if file.is_file())
    return Start(records, seconds, before, after, disk / 2**20)


def _memory_mib() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--no-idempotence", action="store_true")
    given = parser.parse_args()
    found = asyncio.run(
        _start(
            BenchSettings(
                brokers=given.brokers,
                namespace=given.namespace,
                partitions=PARTITIONS,
                idempotence=not given.no_idempotence,
                data=given.folder / "state",
            )
        )
    )
    print(json.dumps(found))
