"""The programs that are compared, each in a process of its own until it is killed.

    python -m benchmarks.contestants NAME --brokers HOST:PORT --topic TOPIC --total N …

`xinshao` is the whole worker. `… job` is another stream processor that does the same: it reads,
judges by every rule (`work.Office`), keeps the record's state in a store of its own, and writes the
verdict. `echo` is the limit: a bare loop that reads, validates by the same pydantic model, and
writes one acknowledged message a record. The rest write nothing: they validate, and what their name
says. Imports are inside functions: the others need another virtual environment than ours.
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.meter import Meter

if TYPE_CHECKING:
    from asyncio import Future

    from models.judging import Examined
    from models.verdict import Verdict

PARTITIONS: Final = 8
AT_ONCE: Final = 500
"""Records in a batch, where a contestant takes batches: as many as ours takes."""
COMMIT_EVERY: Final = 2.0
"""Seconds between the commits of `echo`: as often as ours commits."""
_IN_FLIGHT: Final = 8
"""Batches of `echo` that are being sent to the broker at once."""
_BATCH_BYTES: Final = 1_000_000
"""Below the broker's limit of a message batch."""


@dataclass(frozen=True)
class Task:
    """What a contestant is given."""

    brokers: str
    topic: str
    name: str
    """A name that was never used before: for groups, changelogs and whatever else must be new."""
    folder: Path
    """An empty folder."""
    share: int
    """With how many partitions it counts as started."""
    idempotence: bool
    meter: Meter

    @property
    def written(self) -> str:
        """The topic in which it writes: where a worker of that name has its verdicts."""
        return f"{self.name}.verdicts"


async def xinshao(task: Task) -> None:
    """A whole worker: every rule, deadline, state, tallies, verdicts acknowledged."""
    from benchmarks.ground import BenchSettings
    from streams.demo.tansu import free_port
    from streams.worker import calm_garbage_collector, working

    settings = BenchSettings(
        brokers=task.brokers,
        namespace=task.name,
        written=task.topic,
        partitions=PARTITIONS,
        idempotence=task.idempotence,
        session_timeout=6,
        data=task.folder,
        clock="data",
        port=free_port(),
    )
    calm_garbage_collector()
    async with working(settings) as worker:

        async def watch() -> None:
            while True:
                held = worker.judging.progress()
                if len(held) == task.share and not any(each.restoring for each in held):
                    task.meter.reach(sum(each.done or 0 for each in held))
                await asyncio.sleep(0.05)

        await worker.during(watch())


# -- aiokafka --------------------------------------------------------------------------------------


async def echo(task: Task) -> None:
    """Bare aiokafka in batches, one acknowledged message for each record: what such I/O costs."""
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    from benchmarks.work import validation

    valid = validation()
    consumer = AIOKafkaConsumer(
        task.topic,
        bootstrap_servers=task.brokers,
        group_id=task.name,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=6000,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=task.brokers,
        acks="all",
        enable_idempotence=task.idempotence,
        max_batch_size=_BATCH_BYTES,
    )
    await consumer.start()
    await producer.start()
    sent: dict[Future[Any], int] = {}
    commit_at = time.monotonic() + COMMIT_EVERY

    async def acknowledged(at_most: int) -> None:
        """Wait until no more batches than that are being sent."""
        while len(sent) > at_most:
            done, _ = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
                task.meter.add(sent.pop(each))

    while True:
        for partition, records in (
            await consumer.getmany(timeout_ms=1000, max_records=AT_ONCE)
        ).items():
            batch = producer.create_batch()
            for record in records:
                valid(record.value or b"")
                if batch.append(key=record.key, value=record.value, timestamp=None) is None:
                    raise RuntimeError(f"{AT_ONCE} records do not fit into a batch")
            send = producer.send_batch(batch, task.written, partition=partition.partition)
            sent[await send] = len(records)
            await acknowledged(_IN_FLIGHT - 1)
        if time.monotonic() >= commit_at:
            await acknowledged(0)
            await consumer.commit()
            commit_at = time.monotonic() + COMMIT_EVERY


async def getmany(task: Task) -> None:
    """Bare aiokafka, in batches."""
    from aiokafka import AIOKafkaConsumer

    from benchmarks.work import validation

    valid = validation()
    consumer = AIOKafkaConsumer(
        task.topic,
        bootstrap_servers=task.brokers,
        group_id=task.name,
        auto_offset_reset="earliest",
        session_timeout_ms=6000,
    )
    await consumer.start()
    while True:
        for records in (await consumer.getmany(timeout_ms=1000, max_records=AT_ONCE)).values():
            for record in records:
                valid(record.value or b"")
            task.meter.add(len(records))


# -- Faust -----------------------------------------------------------------------------------------


def _faust_app(task: Task) -> Any:
    import faust

    return faust.App(
        task.name,
        broker=[f"kafka://{broker}" for broker in task.brokers.split(",")],
        store="memory://",
        datadir=task.folder,
        autodiscover=False,
        web_enabled=False,
        topic_partitions=PARTITIONS,
        topic_disable_leader=True,
        worker_redirect_stdouts=False,
    )


async def faust_counting(task: Task) -> None:
    """A plain Faust agent, an event at a time, which counts in a table."""
    from faust.types import StreamT

    from benchmarks.work import validation

    app = _faust_app(task)
    versions = app.Table("versions", default=int, partitions=PARTITIONS)
    valid = validation()

    @app.agent(app.topic(task.topic, value_serializer="raw"))  # type: ignore[untyped-decorator]
    async def check(submissions: StreamT[bytes]) -> None:
        async for event in submissions.events():
            key, value = event.message.key, event.message.value
            if key is not None and value is not None and valid(value):
                versions[key.hex()] += 1
            task.meter.add(1)

    await app.start()
    await app.wait()


async def faust_job(task: Task) -> None:
    """A plain Faust agent that judges: states in a table, verdicts counted when acknowledged.

    An event at a time, since Faust's tables cannot be written from batches of events (`take`).
    """
    from faust.types import StreamT

    from benchmarks.work import Office
    from models.verdict import RecordState
    from streams.log.wire import encode_verdict

    app = _faust_app(task)
    states = app.Table("states", partitions=PARTITIONS, key_type=bytes, value_type=bytes)
    verdicts = app.topic(task.written, key_serializer="raw", value_serializer="raw")
    office = Office()

    def acknowledged(sent: "Future[Any]") -> None:
        sent.result()
        task.meter.add(1)

    @app.agent(app.topic(task.topic, value_serializer="raw"))  # type: ignore[untyped-decorator]
    async def judge(submissions: StreamT[bytes]) -> None:
        async for event in submissions.events():
            message = event.message
            key, raw = message.key, message.value or b""
            known = states.get(key)
            verdict = office.judge(key, raw, message.offset, known and RecordState.of_json(known))
            if verdict is None:
                task.meter.add(1)
                continue
            sent = await verdicts.send(
                key=key, value=encode_verdict(verdict), partition=message.partition
            )
            states[key] = verdict.state.to_json()
            sent.add_done_callback(acknowledged)

    await app.start()
    await app.wait()


# -- Quix Streams ----------------------------------------------------------------------------------


def _quix_app(task: Task) -> Any:
    from quixstreams import Application  # type: ignore[import-not-found]

    def processed(_topic: str, _partition: int, _offset: int) -> None:
        task.meter.add(1)

    return Application(
        broker_address=task.brokers,
        consumer_group=task.name,
        auto_offset_reset="earliest",
        state_dir=task.folder,
        loglevel="ERROR",
        on_message_processed=processed,
        producer_extra_config={"acks": "all", "enable.idempotence": task.idempotence},
    )


def quix_counting(task: Task) -> None:
    """Quix Streams, which counts in its state: RocksDB and a changelog."""
    from benchmarks.work import validation

    app = _quix_app(task)
    valid = validation()

    def check_and_count(raw: bytes, state: Any) -> None:
        if valid(raw):
            state.set("versions", state.get("versions", 0) + 1)

    submissions = app.topic(task.topic, key_deserializer="bytes", value_deserializer="bytes")
    app.dataframe(submissions).update(check_and_count, stateful=True)
    app.run()


def quix_job(task: Task) -> None:
    """Quix Streams, which judges: states in its RocksDB with a changelog, verdicts to a topic.

    A record at a time: its API has no batches except windows. A record counts when Quix is done
    with it, which is a little before the broker acknowledges its verdict.
    """
    from quixstreams import message_context

    from benchmarks.work import Office
    from models.verdict import RecordState
    from streams.log.wire import encode_verdict

    app = _quix_app(task)
    office = Office()

    def judge(raw: bytes, key: bytes, _timestamp: int, _headers: object, state: Any) -> Any:
        known = state.get_bytes("state")
        verdict = office.judge(
            key, raw, message_context().offset, known and RecordState.of_json(known)
        )
        if verdict is None:
            return None
        state.set_bytes("state", verdict.state.to_json())
        return encode_verdict(verdict)

    submissions = app.topic(task.topic, key_deserializer="bytes", value_deserializer="bytes")
    verdicts = app.topic(task.written, key_serializer="bytes", value_serializer="bytes")
    (
        app.dataframe(submissions)
        .apply(judge, stateful=True, metadata=True)
        .filter(lambda verdict: verdict is not None)
        .to_topic(verdicts)
    )
    app.run()


# -- Bytewax ---------------------------------------------------------------------------------------


def bytewax_counting(task: Task) -> None:
    """Bytewax, which only counts, without state."""
    from bytewax import operators  # type: ignore[import-not-found]
    from bytewax.connectors.kafka import KafkaSource  # type: ignore[import-not-found]
    from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
    from bytewax.testing import TestingSink, run_main  # type: ignore[import-not-found]

    from benchmarks.work import validation

    valid = validation()

    def invalid(message: Any) -> bool:
        found = not valid(message.value)
        task.meter.add(1)
        return found

    flow = Dataflow(task.name)
    source = KafkaSource(task.brokers.split(","), [task.topic])
    submissions = operators.input("submissions", flow, source)
    operators.output("invalid", operators.filter("check", submissions, invalid), TestingSink([]))
    run_main(flow)


def bytewax_job(task: Task) -> None:
    """Bytewax, which judges: examines in batches, keeps states with recovery on, writes verdicts.

    Its sink waits after each batch until the broker has acknowledged it; then its records count.
    """
    from bytewax import operators
    from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
    from bytewax.dataflow import Dataflow
    from bytewax.recovery import (  # type: ignore[import-not-found]
        RecoveryConfig,
        init_db_dir,
    )
    from bytewax.testing import run_main

    from benchmarks.work import Office
    from models.verdict import RecordState
    from streams.log.wire import encode_verdict

    office = Office()

    class Counted(KafkaSink):  # type: ignore[misc]
        """The sink, with every batch counted that it has written."""

        def build(self, step_id: str, worker_index: int, worker_count: int) -> Any:
            partition = super().build(step_id, worker_index, worker_count)
            write_batch = partition.write_batch

            def write_and_count(items: list[Any]) -> None:
                write_batch(items)
                task.meter.add(len(items))

            partition.write_batch = write_and_count
            return partition

    def examined(messages: list[Any]) -> "list[tuple[str, Examined]]":
        found = office.examine((each.key, each.value, each.offset) for each in messages)
        keyed = [(each.submission.record_key.hex(), each) for each in found]
        task.meter.add(len(messages) - len(keyed))
        return keyed

    def concluded(state: bytes | None, each: "Examined") -> "tuple[bytes | None, Verdict | None]":
        verdict = office.conclude(each, None if state is None else RecordState.of_json(state))
        if verdict is None:
            task.meter.add(1)
            return state, None
        return verdict.state.to_json(), verdict

    def message(keyed: "tuple[str, Verdict | None]") -> Any:
        _, verdict = keyed
        return verdict and KafkaSinkMessage(verdict.record_key, encode_verdict(verdict))

    brokers = task.brokers.split(",")
    flow = Dataflow(task.name)
    source = KafkaSource(brokers, [task.topic], batch_size=AT_ONCE)
    submissions = operators.input("submissions", flow, source)
    keyed = operators.flat_map_batch("examine", submissions, examined)
    verdicts = operators.stateful_map("conclude", keyed, concluded)
    messages = operators.filter_map("encode", verdicts, message)
    producing = {"acks": "all", "enable.idempotence": str(task.idempotence).lower()}
    operators.output("verdicts", messages, Counted(brokers, task.written, producing))
    init_db_dir(task.folder, 1)
    run_main(flow, recovery_config=RecoveryConfig(task.folder))


PROGRAMS: Final[dict[str, Callable[[Task], None]]] = {
    "xinshao": lambda task: asyncio.run(xinshao(task)),
    "echo": lambda task: asyncio.run(echo(task)),
    "getmany": lambda task: asyncio.run(getmany(task)),
    "quix job": quix_job,
    "faust job": lambda task: asyncio.run(faust_job(task)),
    "bytewax job": bytewax_job,
    "quix counting": quix_counting,
    "faust counting": lambda task: asyncio.run(faust_counting(task)),
    "bytewax counting": bytewax_counting,
}
PEERS: Final = frozenset({"quix job", "quix counting", "bytewax job", "bytewax counting"})
"""Those that live in the other virtual environment."""
WRITERS: Final = frozenset({"echo", "quix job", "faust job", "bytewax job"})
"""Those other than a worker that write a message for each record to `Task.written`."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--total", type=int, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--share", type=int, default=PARTITIONS)
    parser.add_argument("--no-idempotence", action="store_true")
    given = parser.parse_args()
    PROGRAMS[given.program](
        Task(
            given.brokers,
            given.topic,
            given.name,
            given.folder,
            given.share,
            not given.no_idempotence,
            Meter(given.total),
        )
    )
