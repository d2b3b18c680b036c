"""The sink: what the stream wrote goes into the store, exactly as it is in the log.

Each of the three topics has a source of its own, so a store that is slow or gone delays nothing
but these; the judge goes on, and what waits stays in the log. Batches of several partitions make
one insert, as small inserts cost the most; a partition has one batch in it, so that its rows go in
in order. An insert is tried again until the store has it, and only then are its batches committed.
What was inserted and not committed is inserted again: the rows are keyed by what they are, and a
repeat is the same row. A row that the store refuses is found by halving, and goes to
rejects.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, ParamSpec, TypeVar

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from models.identity import mask_personal
from models.submission import Refusal
from models.tally import Bucket, Duty, Tally
from streams.log.connection import KafkaRecord
from streams.log.reader import ends, reading
from streams.log.source import Batch
from streams.log.topics import REJECTS, TALLIES, VERDICTS, Topic, core_topics
from streams.log.wire import Reject, TallyKey, TallyValue, is_record_key
from streams.log.writer import LogWriter
from streams.meters import SinkMetrics
from streams.settings import Settings
from streams.store.client import Store
from streams.store.errors import RefusedError, StoreError, StoreUnavailableError

log = logging.getLogger(__name__)

RESTORED: Final = "restored"
"""Header of a verdict that came out of the store: the store has it already."""

FETCH_BYTES: Final = 8 << 20
"""What is fetched of a partition at a time, the memory it takes while the store is away."""

_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 10.0
_LOOK_EVERY: Final = 0.05
_REFUSED: Final[Refusal] = "store"
_SHOWN: Final = 10_000
"""Characters of a reject's text that are kept in the store; the log has all of it."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class TableRow(NamedTuple):
    """A row of a table, and the message that it is of."""

    line: bytes
    record: KafkaRecord


Tables = dict[str, list[TableRow]]
RowsOf = Callable[[Sequence[KafkaRecord]], Tables]


class Round:
    """What is to be inserted into a table together."""

    def __init__(self) -> None:
        self.rows: list[TableRow] = []
        self.full = asyncio.Event()
        self.stored: asyncio.Task[None]


class Sink:
    """Inserts what the stream wrote into the store."""

    def __init__(
        self,
        settings: Settings,
        writer: LogWriter,
        metrics: SinkMetrics,
        open_store: Callable[[], Store],
    ) -> None:
        self._settings = settings
        self._open_store = open_store
        self._writer = writer
        self._metrics = metrics
        self._store: Store | None = None
        # A store is for one thread at a time, and an insert must not hold the event loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sink")
        self._gathering: dict[str, Round] = {}
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._running: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Open the store now, whether there is something to insert or not.

        A fault is logged; it is the first insert that waits for the store, or fails.
        """
        opening = asyncio.create_task(self._open_early())
        self._running.add(opening)
        opening.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Close the store; waits for an insert under way, at most as long as one may take."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def store(self, rows_of: RowsOf, batch: Batch) -> None:
        """Store a batch; it is in the store, or refused and in rejects, when this returns."""
        tables = await asyncio.to_thread(rows_of, batch.records)
        await asyncio.gather(*(self._put(table, rows) for table, rows in tables.items() if rows))

    async def drained(self) -> None:
        """Wait until all that is in the log now is in the store, whichever worker puts it there."""
        settings = self._settings
        for topic in core_topics(settings):
            name = topic.name.removeprefix(f"{settings.namespace}.")
            if name not in STORED:
                continue
            async with reading(settings, settings.group(sink_group(name))) as consumer:
                done = await _committed(consumer, topic)
                wanted = await ends(consumer, topic.name, done)
                while any(done[number] < end for number, end in wanted.items()):
                    await asyncio.sleep(_LOOK_EVERY)
                    done = await _committed(consumer, topic)

    # -- inserting

    async def _put(self, table: str, rows: Sequence[TableRow]) -> None:
        """Insert rows together with those of the other partitions."""
        gathering = self._gathering.get(table)
        if gathering is None:
            gathering = self._gathering[table] = Round()
            gathering.stored = asyncio.create_task(self._hold(table, gathering))
            self._running.add(gathering.stored)
            gathering.stored.add_done_callback(self._running.discard)
        gathering.rows += rows
        if len(gathering.rows) >= self._settings.sink_rows:
            gathering.full.set()
        # When a partition is taken away, the others' rows are not lost with it.
        await asyncio.shield(gathering.stored)

    async def _hold(self, table: str, gathering: Round) -> None:
        """Gather rows until there are enough, or for long enough, and insert them in turn."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.sink_seconds):
                await gathering.full.wait()
        async with self._turns[table]:
            del self._gathering[table]
            await self._insert(table, gathering.rows)

    async def _insert(self, table: str, rows: Sequence[TableRow]) -> None:
        """Insert rows; of those that the store refuses, each goes to rejects by itself."""
        try:
            await self._patiently(table, [row.line for row in rows])
        except RefusedError as refused:
            if len(rows) == 1:
                await self._refuse(table, rows[0].record, refused)
                return
            middle = len(rows) // 2
            await self._insert(table, rows[:middle])
            await self._insert(table, rows[middle:])

    async def _patiently(self, table: str, lines: Sequence[bytes]) -> None:
        wait = _FIRST_WAIT
        while True:
            try:
                await self._in_thread(self._insert_now, table, lines)
            except StoreUnavailableError as error:
                self._metrics.failures.inc()
                log.warning("写入 %s 未成功（%s），%.1f 秒后重试", table, error, wait)
            else:
                self._metrics.rows.labels(table).inc(len(lines))
                self._metrics.success.set_to_current_time()
                return
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    async def _refuse(self, table: str, record: KafkaRecord, refused: RefusedError) -> None:
        self._metrics.refused.labels(table).inc()
        log.error(
            "%s 第 %d 分区位点 %d：%s", record.topic, record.partition, record.offset, refused
        )
        if table == "rejects":
            return  # it is in rejects already
        reject = Reject(
            record.topic,
            record.partition,
            record.offset,
            _REFUSED,
            f"{refused}，未进入 {table} 表；其他数据不受影响，请联系系统管理员",
            record.value or b"",
            record.key,
            record.timestamp,
            tuple(record.headers),
        )
        await self._writer.write(self._settings.topic(REJECTS), 0, [reject.encode()])

    async def _open_early(self) -> None:
        try:
            await self._in_thread(self._opened)
        except (StoreError, StoreUnavailableError) as error:
            log.warning("还不能写入数据库：%s", error)

    # -- in the thread

    async def _in_thread(
        self, work: Callable[Arguments, Result], *given: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        run = partial(work, *given, **named)
        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    def _opened(self) -> Store:
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def _insert_now(self, table: str, lines: Sequence[bytes]) -> None:
        self._opened().insert(table, lines)

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


def verdict_rows(records: Sequence[KafkaRecord]) -> Tables:
    """Verdicts make records and the audit. The messages are the rows."""
    return {
        "verdicts": [
            TableRow(record.value, record)
            for record in records
            if is_record_key(record.key) and record.value is not None and not is_restored(record)
        ]
    }


def tally_rows(records: Sequence[KafkaRecord]) -> Tables:
    """Of each count its latest value."""
    latest: dict[bytes, tuple[TallyKey, TallyValue, KafkaRecord]] = {}
    for record in records:
        if record.key is None or record.value is None:
            continue
        key = TallyKey.decode(record.key)
        value = TallyValue.decode(key, record.value)
        before = latest.get(record.key)
        if before is None or value.position >= before[1].position:
            latest[record.key] = (key, value, record)
    tables: Tables = {"tallies": [], "pending": [], "platforms": []}
    for key, value, record in latest.values():
        table, row = tally_row(key, value)
        tables[table].append(TableRow(orjson.dumps(row), record))
    return tables


def reject_rows(records: Sequence[KafkaRecord]) -> Tables:
    """Rejects, with what may be shown of them."""
    rows = []
    for record in records:
        reject = Reject.decode(record.value or b"", record.headers)
        if reject is not None:
            rows.append(TableRow(orjson.dumps(_reject_row(reject, record)), record))
    return {"rejects": rows}


STORED: Final[Mapping[str, RowsOf]] = {
    VERDICTS: verdict_rows,
    TALLIES: tally_rows,
    REJECTS: reject_rows,
}
"""The topics that are stored, and how their messages become rows."""


def tally_row(key: TallyKey, value: TallyValue) -> tuple[str, dict[str, object]]:
    """The table that a tally message belongs in, and its row there."""
    counted, counts = key.counted, value.counts
    place = {
        "partition": key.partition,
        "epoch": value.position.epoch,
        "offset": value.position.offset,
    }
    if isinstance(counted, Bucket) and isinstance(counts, Tally):
        return "tallies", {**place, **counted._asdict(), **counts._asdict()}
    if isinstance(counted, Duty) and isinstance(counts, dict):
        by_deadline = [
            {"deadline": deadline, "records": count} for deadline, count in counts.items()
        ]
        return "pending", {**place, **counted._asdict(), "counts": by_deadline}
    return "platforms", {**place, "platform": counted[0], "seen": counts}


def _reject_row(reject: Reject, record: KafkaRecord) -> dict[str, object]:
    return {
        "topic": reject.topic,
        "partition": reject.partition,
        "offset": reject.offset,
        "at": reject.timestamp_ms / 1000,
        "redriven": reject.redriven,
        "rule": reject.rule,
        "message": reject.message,
        "bytes": len(reject.value),
        "text": mask_personal(reject.value.decode("utf-8", "replace"))[:_SHOWN],
        "rejected_at": record.timestamp / 1000,
    }


def is_restored(record: KafkaRecord) -> bool:
    """Whether a verdict message came out of the store."""
    return any(name == RESTORED for name, _value in record.headers)


def sink_group(name: str) -> str:
    """The group that stores a topic."""
    return f"sink-{name}"


async def _committed(consumer: AIOKafkaConsumer, topic: Topic) -> dict[int, int]:
    return {
        number: await consumer.committed(TopicPartition(topic.name, number)) or 0
        for number in range(topic.partitions)
    }
