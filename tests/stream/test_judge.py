"""The judge's promise, held against the oracle over every interleaving that hypothesis can find.

No broker: the log is lists in memory, and a worker stops at each write until it is told to go on.
So it can die before, in the middle of and after every write; lose the end of its local checkpoint;
be paused, replaced, and then write what it still held; and take its partition over again.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import timedelta
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from models.submission import REQUEST
from models.verdict import RecordState
from streams.clock import DataClock
from streams.judging import judge as judging
from streams.judging import rebuild as restoring
from streams.judging.judge import REQUEST_DAYS, Judge
from streams.judging.state import Applied, Checkpoint, Logs, StateStore
from streams.log.connection import KafkaRecord
from streams.log.source import Batch
from streams.log.topics import REJECTS, SUBMISSIONS, TALLIES, VERDICTS
from streams.log.writer import LogWriter, Message
from streams.meters import WorkerMetrics
from streams.settings import DEPLOY, Settings
from tests.support.oracle import (
    Deliveries,
    calendar_of,
    judged_by_oracle,
    keyed,
    registry_of,
    told_by_stream,
)
from tests.support.samples import delivery

SETTINGS = Settings(namespace="model", partitions=1, registry=DEPLOY / "registry")
EPOCH = 7
NO_REQUESTS: Mapping[str, Applied] = {}


class Log:
    """Every topic, by full name and partition, and what the group has committed."""

    def __init__(self) -> None:
        self.topics: dict[tuple[str, int], list[KafkaRecord]] = {}
        self.committed = 0

    def append(self, topic: str, partition: int, messages: Iterable[Message]) -> int:
        records = self.topics.setdefault((topic, partition), [])
        for key, value, headers in messages:
            records.append(
                ConsumerRecord(
                    topic, partition, len(records), 0, 0, key, value, None, -1, -1, tuple(headers)
                )
            )
        return len(records)

    def of(self, name: str) -> list[KafkaRecord]:
        topic = SETTINGS.topic(name)
        return [*itertools.chain(*(log for (at, _), log in self.topics.items() if at == topic))]

    @asynccontextmanager
    async def reading(self, settings: Settings, group: str) -> AsyncIterator[AIOKafkaConsumer]:
        yield cast("AIOKafkaConsumer", Reader(self))


class Reader:
    """What a restore asks of a consumer."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._next = 0

    def assign(self, where: Sequence[TopicPartition]) -> None:
        pass

    async def committed(self, where: TopicPartition) -> int:
        return self._log.committed

    async def seek_to_beginning(self, where: TopicPartition) -> None:
        self._next = 0

    def seek(self, where: TopicPartition, offset: int) -> None:
        self._next = offset

    async def getmany(
        self, where: TopicPartition, **options: Any
    ) -> dict[TopicPartition, list[KafkaRecord]]:
        records = self._log.topics[where.topic, where.partition][self._next :][:3]
        assert records, "a restore waits for what will never come"
        self._next += len(records)
        return {where: records}


class Writer:
    """Appends nothing before it is let; fences pass, the partition is not served meanwhile."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.waiting: tuple[str, int, Sequence[Message], asyncio.Event] | None = None
        self.free = True

    async def write(self, topic: str, partition: int, messages: Sequence[Message]) -> int:
        if not self.free:
            allowed = asyncio.Event()
            self.waiting = (topic, partition, messages, allowed)
            await allowed.wait()
            self.waiting = None
        return self._log.append(topic, partition, messages)

    async def write_all(self, topic: str, keyed: Iterable[tuple[int, Message]]) -> None:
        for partition, message in keyed:
            self._log.append(topic, partition, [message])


class States:
    """A worker's local state: what a crash leaves of it is whole batches from the beginning."""

    def __init__(self) -> None:
        self.puts: list[tuple[dict[bytes, RecordState], Checkpoint, dict[str, Applied]]] = []

    def partition(self, number: int) -> "States":
        return self

    def _all(self) -> dict[bytes, RecordState]:
        return {key: state for states, _, _ in self.puts for key, state in states.items()}

    @property
    def checkpoint(self) -> Checkpoint | None:
        return deepcopy(self.puts[-1][1]) if self.puts else None

    def get(self, keys: Iterable[bytes]) -> list[RecordState | None]:
        found = self._all()
        return [found.get(key) for key in keys]

    def request(self, log: str) -> Applied | None:
        found = (requests[log] for _, _, requests in reversed(self.puts) if log in requests)
        return deepcopy(next(found, None))

    def requests(self) -> Iterator[tuple[bytes, Applied]]:
        known = {log: applied for _, _, requests in self.puts for log, applied in requests.items()}
        return iter([(log.encode(), applied) for log, applied in known.items()])

    def put(
        self,
        states: Mapping[bytes, RecordState],
        checkpoint: Checkpoint,
        requests: Mapping[str, Applied] = NO_REQUESTS,
    ) -> None:
        self.puts.append(deepcopy(({**states}, checkpoint, {**requests})))

    def __iter__(self) -> Iterator[tuple[bytes, RecordState]]:
        return iter(self._all().items())

    def forget(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            for _, _, requests in self.puts:
                requests.pop(key.decode(), None)


class Worker:
    """A judge with its own writer and local state, and what its source knows."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.states = States()
        self.start()

    def start(self) -> None:
        """Begin anew, as a new process does on the same disk."""
        self.writer = Writer(self._log)
        self.clock = DataClock()
        self.judge = Judge(
            SETTINGS,
            registry_of(SETTINGS.registry),
            calendar_of(SETTINGS.registry),
            cast("StateStore", self.states),
            cast("LogWriter", self.writer),
            self.clock,
            WorkerMetrics(1, 1),
        )
        self.task: asyncio.Task[None] | None = None
        self.done = self.committed = self.end = 0
        self.restored = False

    async def assigned(self) -> None:
        """As the source does: what nobody else has moved stays."""
        kept = self.restored and self.done == self.committed == self._log.committed
        self.done = self.committed = self._log.committed
        if not kept:
            self.judge.revoked(0)
            self.writer.free = True
            await self.judge.assigned(0)
            self.restored = True

    async def begin(self, size: int) -> None:
        records = self._log.of(SUBMISSIONS)[self.done : self.done + size]
        if records:
            self.end = self.done + len(records)
            self.writer.free = False
            batch = Batch(records[0].topic, 0, records)
            self.task = asyncio.create_task(self.judge.judge(batch))
            await self.run()

    async def run(self) -> None:
        """Go on to the next write or the end of the batch."""
        while self.task is not None and self.writer.waiting is None:
            await asyncio.sleep(0)
            if self.task.done():
                self.task.result()
                self.task = None
                self.done = self.end

    async def step(self) -> None:
        """Do the write that waits."""
        if self.writer.waiting is not None:
            self.writer.waiting[-1].set()
            self.writer.waiting = None
            await self.run()

    async def finish(self) -> None:
        while self.task is not None:
            await self.step()

    async def commit(self, *, member: bool) -> None:
        await self.judge.publish(0)
        if member:
            self._log.committed = self.committed = self.done

    async def die(self, written: int, lost: int) -> None:
        """Die with a part of the last write done, and the end of the local state lost."""
        if self.writer.waiting is not None:
            topic, partition, messages, _ = self.writer.waiting
            self._log.append(topic, partition, messages[:written])
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        if lost:
            del self.states.puts[-lost:]
        self.start()


class Interleaving:
    """One partition, two workers of which one is its owner; the other may not know it yet."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._coming = Deliveries(seed % 1000, subjects=4)
        self._admitted = 0
        self._owner: Worker | None = None
        self.log = Log()
        self.workers = [Worker(self.log), Worker(self.log)]

    async def play(self, moves: int) -> None:
        """Make random moves; a seed's shorter game is the beginning of its longer one."""
        for _ in range(moves):
            worker = self._random.choice(self.workers)
            chance = self._random.random()
            if chance < 0.15:
                self.submit(self._random.randrange(1, 6))
            elif chance < 0.25:
                self.admit(self._random.randrange(1, 4), again=self._random.randrange(3))
            elif chance < 0.3:
                self.request()
            elif worker.task is not None:
                if chance < 0.85:
                    await worker.step()
                else:
                    await self.die(worker)
            elif not worker.restored or chance < 0.4:
                await self.take_over(worker)
            elif chance < 0.75:
                await worker.begin(self._random.randrange(1, 12))
            elif chance < 0.95:
                await worker.commit(member=worker is self._owner)
            else:
                await self.die(worker)

    def submit(self, count: int) -> None:
        self.log.append(SETTINGS.topic(SUBMISSIONS), 0, self._coming.take(count))

    def admit(self, new: int, again: int) -> None:
        """Messages of a platform, after some that it admits once more."""
        begin = max(0, self._admitted - again)
        self._admitted += new
        messages = []
        for offset in range(begin, self._admitted):
            origin = {"origin": ["ingress/0", offset], "platform": "p"}
            document = f"武源〔2022〕{offset // 2}号"
            # Every other one corrects the one before it.
            text = "测试" if offset % 2 else "准予"
            messages.append(keyed(delivery(envelope=origin, XK_WSH=document, XK_NR=text)))
        self.log.append(SETTINGS.topic(SUBMISSIONS), 0, messages)

    def request(self) -> None:
        """One of a few requests, sent again or not, of which any records may be accepted by now."""
        which = self._random.randrange(3)
        numbers = self._random.sample(range(6), self._random.randrange(1, 6))
        messages = [requested(which, number) for number in numbers]
        self.log.append(SETTINGS.topic(SUBMISSIONS), 0, messages)

    async def take_over(self, taker: Worker) -> None:
        """The group gives the partition to a worker; the former owner may not know."""
        if taker.done != taker.committed:
            if taker.committed == self.log.committed:
                await taker.commit(member=True)
            else:
                taker.restored = False
        self._owner = taker
        await taker.assigned()

    async def die(self, worker: Worker) -> None:
        await worker.die(self._random.randrange(5), self._random.choice((0, 0, 1, 2)))
        if worker is self._owner:
            self._owner = None

    async def settle(self) -> None:
        """Everyone ends what they hold; then each in turn owns the partition and catches up."""
        for worker in self.workers:
            await worker.finish()
            if worker.restored:
                await worker.commit(member=False)
        expected = judged_by_oracle(SETTINGS, {0: self.log.of(SUBMISSIONS)}, EPOCH)
        self._random.shuffle(self.workers)
        for worker in (*self.workers, Worker(self.log)):
            await self.take_over(worker)
            await worker.begin(10_000)
            await worker.finish()
            await worker.commit(member=True)
            assert dict(worker.states) == expected.states
            told = told_by_stream(*map(self.log.of, (VERDICTS, TALLIES, REJECTS)))
            assert told == expected


def requested(which: int, number: int) -> Message:
    """A record of a request; every other one is a correction of the one before it."""
    return keyed(
        delivery(
            envelope={"origin": [f"{REQUEST}p/{which}", number], "platform": "p"},
            XK_WSH=f"武申〔2022〕{10 * which + number // 2}号",
            XK_NR="测试" if number % 2 else "准予",
        )
    )


async def epoch(settings: Settings, topic: str) -> int:
    return EPOCH


@given(seed=st.integers(0, 2**32), moves=st.integers(1, 150))
@settings(max_examples=300, deadline=None)
def test_the_judge_equals_the_oracle_whoever_dies_when(seed: int, moves: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        game = Interleaving(seed)
        patch.setattr(judging, "log_epoch", epoch)
        patch.setattr(restoring, "reading", game.log.reading)

        async def play() -> None:
            await game.play(moves)
            await game.settle()

        asyncio.run(play())


@pytest.mark.parametrize("local", [True, False], ids=["local-state", "from-verdicts"])
async def test_a_request_is_known_for_days_and_then_forgotten(
    monkeypatch: pytest.MonkeyPatch, local: bool
) -> None:
    log = Log()
    monkeypatch.setattr(judging, "log_epoch", epoch)
    monkeypatch.setattr(restoring, "reading", log.reading)
    worker = Worker(log)
    log.append(SETTINGS.topic(SUBMISSIONS), 0, [requested(0, 0), requested(0, 4)])
    await worker.assigned()
    await worker.begin(2)
    await worker.finish()
    ((_, request),) = worker.states.requests()
    for days, known in ((REQUEST_DAYS, {0, 4}), (REQUEST_DAYS + 1, None)):
        if not local:
            worker.states.puts.clear()
        worker.restored = False
        worker.start()
        worker.clock.see(request.day + timedelta(days))
        await worker.assigned()
        assert [applied.numbers for _, applied in worker.states.requests()] == (
            [] if known is None else [known]
        )


async def test_a_large_state_is_taken_over_without_holding_up_the_heartbeats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log()
    monkeypatch.setattr(judging, "log_epoch", epoch)
    monkeypatch.setattr(restoring, "reading", log.reading)
    worker = Worker(log)
    log.append(SETTINGS.topic(SUBMISSIONS), 0, [keyed(delivery())])
    await worker.assigned()
    await worker.begin(1)
    await worker.finish()
    ((_, state),) = worker.states
    many = {number.to_bytes(16): state for number in range(10_000)}
    worker.states.put(many, Checkpoint(Logs(EPOCH, EPOCH), 2, {}))
    worker.restored = False
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    beating = asyncio.create_task(beat())
    await worker.assigned()
    beating.cancel()
    assert beats >= 10
