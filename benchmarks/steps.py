"""Where the time of a judged record goes: each step of the worker alone, batch by batch.

    python -m benchmarks.steps --brokers HOST:PORT --topic TOPIC --name NAME --folder F

The same calls as `streams.judging.judge` makes, in its order, on batches as the source gives them;
`fetch` and `produce` wait for the broker, which the worker spends on other batches. What a whole
record takes beyond the sum of the others is Faust, the source, commits and tallies' publishing.
"""

import argparse
import asyncio
import json
import statistics
from pathlib import Path
from time import perf_counter
from typing import Final

from aiokafka import AIOKafkaConsumer

from benchmarks.contestants import AT_ONCE, PARTITIONS
from benchmarks.ground import BenchSettings, child, idempotence
from benchmarks.race import Course
from benchmarks.work import validation
from models.judging import Examined, conclude, examine
from models.submission import Position, Unreadable, read_submission
from models.tally import Tallies
from models.verdict import RecordState, Verdict
from streams.judging.state import Checkpoint, Logs, StateStore
from streams.log.connection import KafkaRecord
from streams.log.topics import VERDICTS, core_topics, ensure_topics
from streams.log.wire import encode_verdict
from streams.log.writer import LogWriter, Message
from streams.registry import load_calendar, load_registry
from streams.worker import calm_garbage_collector

STEPS: Final = (
    "fetch",
    "bare model",
    "read",
    "state get",
    "examine",
    "conclude",
    "tallies",
    "encode",
    "produce",
    "state put",
)
_WARM_UP: Final = 20
_BATCHES: Final = 120

Steps = dict[str, float]
"""Microseconds a record, by step: medians over batches."""


def measure(course: Course, name: str, folder: Path) -> Steps:
    """Take the steps apart in a process of its own."""
    arguments = [
        *("--brokers", course.broker.address, "--topic", course.topic),
        *("--name", name, "--folder", folder),
        *(() if idempotence(course.broker) else ("--no-idempotence",)),
    ]
    with child("steps", *arguments) as taken:
        found: Steps = json.loads(taken.line())
        return found


class _Taken:
    """The step's seconds a record, batch by batch."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {step: [] for step in STEPS}
        self._begin = 0.0

    def begin(self) -> None:
        self._begin = perf_counter()

    def end(self, step: str, records: int) -> None:
        now = perf_counter()
        self.seconds[step].append((now - self._begin) / records)
        self._begin = perf_counter()

    def medians_us(self) -> Steps:
        return {
            step: statistics.median(each[_WARM_UP:] or each) * 1e6
            for step, each in self.seconds.items()
        }


async def _take(settings: BenchSettings) -> Steps:
    calm_garbage_collector()
    await ensure_topics(settings, core_topics(settings))
    consumer = AIOKafkaConsumer(
        settings.written,
        bootstrap_servers=settings.brokers,
        group_id=settings.namespace,
        auto_offset_reset="earliest",
        session_timeout_ms=6000,
    )
    writer = LogWriter(settings)
    store = StateStore(settings.data)
    await consumer.start()
    await writer.start()
    try:
        await consumer.getmany(timeout_ms=10_000, max_records=1)  # the group has been joined
        taken = _Taken()
        work = _Work(settings, writer, store, taken)
        while len(taken.seconds["fetch"]) < _BATCHES:
            taken.begin()
            fetched = await consumer.getmany(timeout_ms=3000, max_records=AT_ONCE)
            if not fetched:
                break
            for partition, records in fetched.items():
                taken.end("fetch", len(records))
                await work.do(partition.partition, records)
        return taken.medians_us()
    finally:
        await consumer.stop()
        await writer.stop()
        store.close()


class _Work:
    def __init__(
        self, settings: BenchSettings, writer: LogWriter, store: StateStore, taken: _Taken
    ) -> None:
        self._registry = load_registry(settings.registry)
        self._calendar = load_calendar(settings.registry)
        self._verdicts = settings.topic(VERDICTS)
        self._writer = writer
        self._states = [store.partition(number) for number in range(settings.partitions)]
        self._tallies = Tallies()
        self._valid = validation()
        self._taken = taken

    async def do(self, partition: int, records: list[KafkaRecord]) -> None:
        count, taken, states = len(records), self._taken, self._states[partition]
        taken.begin()
        for record in records:
            self._valid(record.value or b"")
        taken.end("bare model", count)
        submissions = [
            read_submission(record.value or b"", record.key or b"", Position(1, record.offset))
            for record in records
        ]
        taken.end("read", count)
        keys = {submission.record_key for submission in submissions}
        taken.begin()
        stored = dict(zip(keys, states.get(keys), strict=True))
        taken.end("state get", count)
        examined = examine(submissions, self._registry, self._calendar)
        taken.end("examine", count)
        verdicts, moves = [], []
        for found in examined:
            verdict = _conclude(found, stored)
            if verdict is not None:
                verdicts.append(verdict)
                moves.append((stored[verdict.record_key], verdict.state))
                stored[verdict.record_key] = verdict.state
        taken.end("conclude", count)
        for before, after in moves:
            self._tallies.move(before, after)
        taken.end("tallies", count)
        messages = [Message(verdict.record_key, encode_verdict(verdict)) for verdict in verdicts]
        taken.end("encode", count)
        offset = await self._writer.write(self._verdicts, partition, messages)
        taken.end("produce", count)
        states.put(
            {verdict.record_key: verdict.state for verdict in verdicts},
            Checkpoint(Logs(1, 1), offset, {}),
        )
        taken.end("state put", count)


def _conclude(
    found: Examined | Unreadable, stored: dict[bytes, RecordState | None]
) -> Verdict | None:
    if isinstance(found, Unreadable):
        return None
    try:
        return conclude(found, stored[found.submission.record_key])
    except Unreadable:
        return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--no-idempotence", action="store_true")
    given = parser.parse_args()
    steps = asyncio.run(
        _take(
            BenchSettings(
                brokers=given.brokers,
                namespace=given.name,
                written=given.topic,
                partitions=PARTITIONS,
                idempotence=not given.no_idempotence,
                data=given.folder / "state",
            )
        )
    )
    print(json.dumps(steps))
