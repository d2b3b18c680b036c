"""Record batches of a heavy topic, as the events of a Faust agent.

Faust pays two tasks and a queue hop for every event, so on the heavy topics an event is a whole
run of records of one partition. A `RecordSource` owns an aiokafka consumer group of its own beside
Faust's consumer, hands each partition's run to its agent through a Faust channel, waits until the
agent has said that it is done, and only then commits the run:

    source = RecordSource(app, "credit.submissions", group="judge", connection=…)

    @app.agent(source.channel, concurrency=2)
    async def judge(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            async with source.processing(batch):
                ...  # leaving the block says "done", an exception stops the worker

What is promised:

* A partition has at most one batch in flight; its batches come in offset order, without a gap.
* A batch is committed after its block was left without an exception, never before, and never past
  a batch that was not. An exception, a cancelled agent or a batch that the agent dropped stops the
  worker: nothing is skipped, the next worker begins with that batch.
* `on_assigned(partition)` ends before that partition's first batch, and `on_revoked(partition)`
  comes after its last one has ended. A worker that lost its membership (a long pause) may still be
  finishing a batch which another worker has begun as well: so effects must be repeatable.
* A stalled agent stops fetching, not heartbeats: however long it takes, the group sees a live
  member. `progress` shows whether it moves.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError
from faust import App, Channel
from mode import Service
from mode.utils.queues import ThrowableQueue

from streams.errors import OperatorError
from streams.log.connection import KafkaRecord

log = logging.getLogger(__name__)

_MAX_POLL_INTERVAL_MS = 2**31 - 1  # a slow agent is not a dead worker: only heartbeats count
_FETCH_WAIT_MS = 1000
_TICK = 1.0


class UnansweredError(OperatorError):
    """The agent lost a batch: it took it and will not say whether it is done."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A run of records of one partition, in offset order, never empty.

    Keys and values are the raw bytes. Offsets rise, with gaps where the topic was compacted.
    """

    topic: str
    partition: int
    records: Sequence[KafkaRecord]

    @property
    def first_offset(self) -> int:
        """Offset of the first record."""
        return self.records[0].offset

    @property
    def next_offset(self) -> int:
        """Offset after the last record: what is committed once the batch is done."""
        return self.records[-1].offset + 1

    def __len__(self) -> int:
        return len(self.records)

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}] {self.first_offset}..{self.next_offset - 1}"


class BatchChannel(Channel[Batch]):
    """The hand-off: one queue of one place, shared by all readers.

    Faust clears an ordinary channel's queue after each rebalance of its own consumer, and a batch
    waiting in it would be lost.
    """

    def __init__(
        self,
        app: App,
        *,
        queue: ThrowableQueue[Batch] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(app, queue=queue, **kwargs)
        self._hand_off = queue

    @property
    def queue(self) -> ThrowableQueue[Batch]:
        """The one queue, made on first use because it belongs to the running loop."""
        if self._hand_off is None:
            self._hand_off = self.app.FlowControlQueue(maxsize=1, clear_on_resume=False)
        return self._hand_off

    def clone(
        self,
        *,
        is_iterator: bool | None = None,
        **kwargs: Any,
    ) -> "BatchChannel":
        """Clone this channel for a reader, over the same queue."""
        shared = {"queue": self.queue, **kwargs}
        return cast("BatchChannel", super().clone(is_iterator=is_iterator, **shared))

    async def put(self, value: Any) -> None:
        """Wait for the free place and put the batch there."""
        await self.queue.put(value)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one partition is. Offsets are of the next record, None while not known."""

    partition: int
    restoring: bool
    position: int | None
    """The next record to be handed to the agent."""
    done: int | None
    """The next record to be done: all before it are."""
    committed: int | None
    highwater: int | None
    """The partition's end as the last fetch saw it."""
    timestamp_ms: int | None
    """The timestamp of the last record that was handed to the agent."""
    stuck_seconds: float
    """Time since the last commit (`beginning`: the last batch done) while work was waiting."""


@dataclass(slots=True, eq=False)
class _InFlight:
    batch: Batch
    answer: asyncio.Future[BaseException | None]
    begun: bool = False
    missed: bool = False
    """The agent took it and had not begun when last looked at."""
    late: bool = False
    """Its partition was given up without waiting any longer."""


@dataclass(slots=True, eq=False)
class _Partition:
    """A partition that this worker holds, or has not fully given up."""

    number: int
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the partition is served: the next assignment waits for a late batch."""
    serving: asyncio.Future[None] | None = None
    restored: bool = False
    in_flight: _InFlight | None = None
    position: int | None = None
    done: int | None = None
    committed: int | None = None
    timestamp_ms: int | None = None
    waiting_since: float | None = None


class RecordSource(Service, ConsumerRebalanceListener):
    """A service of the Faust app that feeds an agent with record batches and commits them."""

    def __init__(
        self,
        app: App,
        topic: str,
        *,
        group: str,
        connection: Mapping[str, Any],
        start: Literal["committed", "beginning"] = "committed",
        batch_records: int = 500,
        in_flight: int = 4,
        commit_every: float = 1.0,
        session_timeout: float = 30.0,
        partition_fetch_bytes: int = 1 << 20,
        fetch_bytes: int = 16 << 20,
        on_assigned: Callable[[int], Awaitable[None]] | None = None,
        on_revoked: Callable[[int], None] | None = None,
        before_commit: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        """Register a source with the app, which starts and stops it.

        Args:
            app: the app whose agent reads `channel`.
            topic: the topic; it must exist.
            group: the consumer group among whose members the partitions are shared.
            connection: what the consumer is given to connect (`streams.log.connection`).
            start: where an assigned partition begins. `committed`: at the group's committed offset,
                else at the beginning. `beginning`: always at the beginning, nothing is committed.
            batch_records: the most records in a batch; small enough for the agent not to hold the
                event loop for more than about 50 ms.
            in_flight: the most batches in flight at a time, of as many partitions.
            commit_every: seconds until a done batch is committed, at most; 0: at once.
            session_timeout: seconds after which the group gives up a silent member. A third of it
                is what a rebalance waits for the batches in flight.
            partition_fetch_bytes: the most bytes buffered for a partition (a single larger record
                still comes through).
            fetch_bytes: the most bytes of one fetch.
            on_assigned: restores the state of a partition before its first batch; may take long,
                is cancelled when the partition is taken away meanwhile. Not called when the
                partition stays here over a rebalance and nobody else has moved it.
            on_revoked: drops the state that `on_assigned` restored.
            before_commit: makes durable whatever else follows from the partition's done batches;
                what it raises stops the worker before they are committed.
        """
        super().__init__()
        self.topic = topic
        self.group = group
        self.channel = BatchChannel(app)
        self._app = app
        self._connection = connection
        self._start = start
        self._batch_records = batch_records
        self._slots = asyncio.Semaphore(in_flight)
        self._commit_every = commit_every
        self._session_timeout = session_timeout
        self._patience = session_timeout / 3
        self._partition_fetch_bytes = partition_fetch_bytes
        self._fetch_bytes = fetch_bytes
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._before_commit = before_commit
        self._consumer: AIOKafkaConsumer
        self._partitions: dict[int, _Partition] = {}
        self.generation = 0
        """How many assignments have ended: it rises with every rebalance."""
        self._to_commit = asyncio.Event()
        self._committing: asyncio.Task[None] | None = None
        # Faust takes an instance as well as a class, and only types the class.
        app.service(cast("type[Service]", self))

    # -- the agent's side

    @asynccontextmanager
    async def processing(self, batch: Batch) -> AsyncIterator[None]:
        """Do a batch: leaving the block without an exception says that it is done.

        An exception inside stops the worker, and the batch is not committed.

        Raises:
            RuntimeError: the batch is not in flight, or was begun before.
        """
        held = self._partitions.get(batch.partition)
        flight = held.in_flight if held is not None else None
        if flight is None or flight.batch is not batch or flight.begun:
            raise RuntimeError(f"批次 {batch} 不在处理中，或已开始处理：同一批次只能处理一次。")
        flight.begun = True
        try:
            yield
        except Exception as error:
            self._answer(flight, error)
            raise
        except BaseException:
            self._answer(flight, UnansweredError(f"批次 {batch} 的处理被中断，未提交。"))
            raise
        self._answer(flight, None)

    def _answer(self, flight: _InFlight, failure: BaseException | None) -> None:
        if not flight.answer.done():  # the service was stopped meanwhile
            flight.answer.set_result(failure)

    # -- what is known, for metrics

    def progress(self) -> list[Progress]:
        """Report how far each held partition is."""
        now = time.monotonic()
        return [
            Progress(
                partition=held.number,
                restoring=not held.restored,
                position=held.position,
                done=held.done,
                committed=held.committed,
                highwater=self._highwater(held),
                timestamp_ms=held.timestamp_ms,
                stuck_seconds=0.0 if held.waiting_since is None else now - held.waiting_since,
            )
            for held in self._partitions.values()
        ]

    def _highwater(self, held: _Partition) -> int | None:
        where = TopicPartition(self.topic, held.number)
        if where not in self._consumer.assignment():
            return None
        highwater: int | None = self._consumer.highwater(where)
        return highwater

    @Service.task
    async def _watch(self) -> None:
        while not self.should_stop:
            await asyncio.sleep(_TICK)
            now = time.monotonic()
            for held in self._partitions.values():
                if not self._work_waits(held):
                    held.waiting_since = None
                elif held.waiting_since is None:
                    held.waiting_since = now
                self._miss(held.in_flight)

    def _work_waits(self, held: _Partition) -> bool:
        uncommitted = self._start == "committed" and held.done != held.committed
        behind = (held.position or 0) < (self._highwater(held) or 0)
        return not held.restored or held.in_flight is not None or uncommitted or behind

    def _miss(self, flight: _InFlight | None) -> None:
        # Ticks are counted, not seconds: after a long pause the agent gets its chance to run.
        if flight is None or flight.begun:
            return
        if flight.missed:
            raise UnansweredError(f"批次 {flight.batch} 已被取走却未开始处理，停止运行以免丢失。")
        flight.missed = self.channel.empty()

    # -- the service

    async def on_start(self) -> None:
        """Connect and ask for partitions; does not wait until some are assigned."""
        # Sticky, so that most partitions stay where they are when a worker joins or leaves. It
        # keeps its memory on the class: each source has a class of its own.
        assignor = type("SourceAssignor", (StickyPartitionAssignor,), {})
        session_ms = int(self._session_timeout * 1000)
        self._consumer = AIOKafkaConsumer(
            **self._connection,
            group_id=self.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(assignor,),
            session_timeout_ms=session_ms,
            rebalance_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 10,
            max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
            max_partition_fetch_bytes=self._partition_fetch_bytes,
            fetch_max_bytes=self._fetch_bytes,
        )
        await self._consumer.start()
        self._consumer.subscribe([self.topic], listener=self)

    async def on_stop(self) -> None:
        """Finish what is in flight, commit it and leave the group, in bounded time."""
        try:
            await self._quiesce(0 if self.crashed else self._patience)
        finally:
            for held in self._partitions.values():
                self._drop_state(held)
            await self._leave()

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._consumer.stop()
        except TimeoutError:
            log.warning("%s：未能及时退出消费组 %s，由消息服务超时处理。", self.topic, self.group)

    # -- rebalances; heartbeats go on meanwhile

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Wait for the batches in flight and commit what is done."""
        if not revoked or self.should_stop:
            return
        try:
            await self._quiesce(self._patience)
        except Exception as error:
            await self.crash(error)  # aiokafka would log it and go on
            raise

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Serve what is assigned, each in a task of its own, and give up the rest."""
        if self.should_stop:
            return
        numbers = {where.partition for where in assigned}
        for number in numbers - self._partitions.keys():
            self._partitions[number] = _Partition(number)
        for held in self._partitions.values():
            work = self._serve if held.number in numbers else self._let_go
            held.serving = self.add_future(work(held, self.generation))

    async def _quiesce(self, patience: float) -> None:
        """End this generation's work within `patience` seconds and commit what is done."""
        self.generation += 1
        serving = []
        for held in self._partitions.values():
            if held.serving is None:
                continue
            if held.in_flight is None or held.in_flight.late:
                held.serving.cancel()
            serving.append(held.serving)
        if serving:
            await asyncio.wait(serving, timeout=patience)
        for held in self._partitions.values():
            if held.in_flight is not None:
                held.in_flight.late = True
                log.warning("批次 %s 未能及时完成，分区先行交出。", held.in_flight.batch)
        try:
            async with asyncio.timeout(self._patience):
                if self._committing is not None:
                    await asyncio.wait([self._committing])
                await self._commit(await self._unmoved())
        except TimeoutError:
            log.warning("%s：提交位点超时，未提交的记录将重新处理。", self.topic)
            if self._committing is not None:
                # Retried over a rebalance, it would go out in the name of the next generation.
                self._committing.cancel()
        for held in self._partitions.values():
            if held.done != held.committed:
                held.done = held.committed
                if held.in_flight is None:
                    self._drop_state(held)  # it is ahead of what is committed

    async def _let_go(self, held: _Partition, generation: int) -> None:
        async with held.turn:  # a late batch still uses the state
            if generation == self.generation:
                self._drop_state(held)
                del self._partitions[held.number]

    def _drop_state(self, held: _Partition) -> None:
        if held.restored and self._on_revoked is not None:
            self._on_revoked(held.number)
        held.restored = False

    # -- serving

    async def _serve(self, held: _Partition, generation: int) -> None:
        where = TopicPartition(self.topic, held.number)
        async with held.turn:
            await self._restore(held, where)
            while generation == self.generation:
                fetched = await self._consumer.getmany(
                    where, timeout_ms=_FETCH_WAIT_MS, max_records=self._batch_records
                )
                if where in fetched:
                    async with self._slots:
                        await self._hand_over(held, Batch(self.topic, held.number, fetched[where]))

    async def _restore(self, held: _Partition, where: TopicPartition) -> None:
        committed = None
        if self._start == "committed":
            committed = await self._consumer.committed(where)
        # Nobody else has moved it: whatever they did without committing has the same result here.
        kept = self._start == "committed" and held.restored and committed == held.done
        held.position = held.done = held.committed = committed
        if kept:
            return
        self._drop_state(held)
        if self._on_assigned is not None:
            await self._on_assigned(held.number)
        held.restored = True

    async def _hand_over(self, held: _Partition, batch: Batch) -> None:
        flight = _InFlight(batch, asyncio.get_running_loop().create_future())
        await self.channel.put(batch)
        # From here on the agent may have it: a rebalance waits instead of cancelling.
        held.in_flight = flight
        held.position = batch.next_offset
        held.timestamp_ms = batch.records[-1].timestamp
        try:
            failure = await flight.answer
        finally:
            held.in_flight = None
        if failure is not None:
            raise failure
        if flight.late:
            self._drop_state(held)  # it is ahead of what is committed
            return
        held.done = batch.next_offset
        if self._start == "committed":
            self._to_commit.set()
        else:
            held.waiting_since = None

    # -- committing

    @Service.task
    async def _commit_when_done(self) -> None:
        while not self.should_stop:
            await self._to_commit.wait()
            await asyncio.sleep(self._commit_every)
            self._to_commit.clear()
            self._committing = asyncio.create_task(self._commit(self._uncommitted()))
            await asyncio.wait([self._committing])
            if not self._committing.cancelled():
                self._committing.result()

    def _uncommitted(self) -> list[_Partition]:
        return [
            held
            for held in self._partitions.values()
            if self._start == "committed" and held.done not in (None, held.committed)
        ]

    async def _unmoved(self) -> list[_Partition]:
        """Return the uncommitted partitions whose committed offset is where this worker left it.

        A member that was fenced and is alone in the group could move back what others committed.
        """
        unmoved = []
        for held in self._uncommitted():
            committed = await self._consumer.committed(TopicPartition(self.topic, held.number))
            if committed == held.committed:
                unmoved.append(held)
        return unmoved

    async def _commit(self, partitions: Sequence[_Partition]) -> None:
        """Commit what is done; lost membership is not an error, aiokafka joins again by itself.

        Without a broker this tries again until there is one.

        Raises:
            KafkaError: the broker refuses for good, for example because a permission is missing.
        """
        done = {held: held.done for held in partitions}
        if not done:
            return
        if self._before_commit is not None:
            for held in done:
                await self._before_commit(held.number)
        try:
            await self._consumer.commit(
                {TopicPartition(self.topic, held.number): offset for held, offset in done.items()}
            )
        except (CommitFailedError, IllegalStateError):
            log.warning(
                "%s：已不是消费组 %s 的成员，未提交的记录由新成员重新处理。", self.topic, self.group
            )
            return
        for held, offset in done.items():
            held.committed = offset
            held.waiting_since = None
