"""Running contestants and reading off how fast they were."""

import asyncio
import json
import tempfile
import threading
import time
import uuid
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from aiokafka import TopicPartition

from benchmarks.contestants import PARTITIONS, PEERS, WRITERS
from benchmarks.ground import BASELINE, BenchError, BenchSettings, Child, child, idempotence
from benchmarks.meter import Sample
from streams.demo.tansu import Tansu
from streams.log.reader import reading
from streams.log.topics import VERDICTS, core_topics, ensure_topics
from tests.support.brokers import Broker

PEERS_PYTHON: Final = Path(".cache/peers/bin/python")
"""Of the virtual environment that benchmarks/peers.txt describes."""
WORKERS: Final = frozenset({"xinshao", BASELINE})
_START_WITHIN: Final = 90.0
_WRITTEN_SHARE: Final = 0.95
"""Of the records that a contestant says are done, this part must have led to a message: a few are
rejects, and Quix counts a moment before the broker acknowledges."""


@dataclass(frozen=True)
class Speed:
    """How fast a contestant was."""

    per_second: float
    records: int
    cpu_us: float
    """Processor time of its processes for a record."""
    peak_mib: float
    """The most memory that its processes held together."""


@dataclass(frozen=True)
class Course:
    """A topic full of licence submissions at a broker."""

    broker: Broker
    topic: str
    total: int
    baseline: Path | None
    """The project as it was at `BASELINE`, whose worker is a contestant of that name."""


def runnable(course: Course, program: str) -> bool:
    """Whether what the contestant needs is there."""
    if program == BASELINE:
        return course.baseline is not None
    return program not in PEERS or PEERS_PYTHON.exists()


def race(course: Course, program: str, seconds: float, processes: int = 1) -> Speed:
    """Run one contestant for that long, or until the topic is read, and kill it.

    The clock starts at the first sample (start-up, group join and the first records are left out;
    with several processes: at the first sample of the last of them) and stops at the first sample
    after `seconds`, or where one of them had nothing left to do.

    Raises:
        BenchError: it failed, did not start, or has not written what it should.
    """
    samples: list[list[Sample]] = [[] for _ in range(processes)]
    name = f"b{uuid.uuid4().hex[:12]}"
    settings = BenchSettings(brokers=course.broker.address, namespace=name, partitions=PARTITIONS)
    if program in WRITERS:
        verdicts = settings.topic(VERDICTS)
        topics = tuple(topic for topic in core_topics(settings) if topic.name == verdicts)
        asyncio.run(ensure_topics(settings, topics))
    with ExitStack() as stack:
        children = [_start(stack, course, program, name, processes) for _ in range(processes)]
        readers = [
            threading.Thread(target=_read, args=pair, daemon=True)
            for pair in zip(children, samples, strict=True)
        ]
        for reader in readers:
            reader.start()
        watched = [psutil.Process(contestant.process.pid) for contestant in children]
        peak = 0
        limit = time.monotonic() + _START_WITHIN + seconds
        while not _over(samples, course.total, seconds):
            for ended, reader in zip(children, readers, strict=True):
                if not reader.is_alive():
                    raise ended.ended()
            if time.monotonic() > limit:
                raise BenchError(f"{program} did not start within {_START_WITHIN:.0f} s")
            with suppress(psutil.NoSuchProcess):  # it failed, and the next turn says so
                peak = max(peak, sum(process.memory_info().rss for process in watched))
            time.sleep(0.05)
    # What Tansu says of the end of a log is not reliable.
    if program in {*WRITERS, *WORKERS} and not isinstance(course.broker, Tansu):
        done = sum(each[-1].done for each in samples)
        written = asyncio.run(_written(settings))
        if written < _WRITTEN_SHARE * done:
            raise BenchError(f"{program} says {done:,} are done, and has written {written:,}")
    return _speed(samples, peak / 2**20)


async def _written(settings: BenchSettings) -> int:
    """How many messages there are in the topic of verdicts."""
    topic = settings.topic(VERDICTS)
    async with reading(settings) as consumer:
        ends = await consumer.end_offsets(
            [TopicPartition(topic, number) for number in range(settings.partitions)]
        )
    return sum(ends.values())


def _start(stack: ExitStack, course: Course, program: str, name: str, processes: int) -> Child:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="xinshao-bench-"))
    arguments = [
        *("--brokers", course.broker.address, "--topic", course.topic),
        *("--total", course.total, "--name", name, "--folder", folder),
        *("--share", PARTITIONS // processes),
        *(() if idempotence(course.broker) else ("--no-idempotence",)),
    ]
    if program == BASELINE:
        contestant = child("contestants", "ours", *arguments, project=course.baseline)
    elif program in PEERS:
        contestant = child("contestants", program, *arguments, python=PEERS_PYTHON)
    else:
        contestant = child("contestants", program, *arguments)
    return stack.enter_context(contestant)


def _read(contestant: Child, samples: list[Sample]) -> None:
    samples.extend(Sample(*json.loads(line)) for line in contestant.printed)


def _over(samples: list[list[Sample]], total: int, seconds: float) -> bool:
    if not all(samples):
        return False
    if any(each[-1].done >= total for each in samples):
        return True
    begin = max(each[0].at for each in samples)
    return min(each[-1].at for each in samples) > begin + seconds


def _speed(samples: list[list[Sample]], peak_mib: float) -> Speed:
    begin = max(each[0].at for each in samples)
    # A process that has read all of its share does not count as slow afterwards.
    end = min(next(s.at for s in each if s.done == each[-1].done) for each in samples)
    done, cpu, rate = 0, 0.0, 0.0
    for each in samples:
        window = [sample for sample in each if begin <= sample.at <= end]
        if len(window) < 2:
            raise BenchError("too few records for a measurement: give more with --records")
        first, last = window[0], window[-1]
        done += last.done - first.done
        cpu += last.cpu - first.cpu
        rate += (last.done - first.done) / (last.at - first.at)
    return Speed(rate, done, cpu / max(done, 1) * 1e6, peak_mib)
