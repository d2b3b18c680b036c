"""The programs that are compared, each in a process of its own until it is killed.

    python -m benchmarks.contestants NAME --brokers HOST:PORT --topic TOPIC --total N …

All but ours do nothing with a record but validate it with the same pydantic model, and what their
name says. Imports stand inside: the others live in another virtual environment than ours.
"""

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.meter import Meter

PARTITIONS: Final = 8
AT_ONCE: Final = 500
"""Records in a batch, where a contestant takes batches: as many as ours takes."""


@dataclass(frozen=True)
class Task:
    """What a contestant is given."""

    brokers: str
    topic: str
    name: str
    """A name that nobody had before: for groups, changelogs and what else must be fresh."""
    folder: Path
    """An empty folder."""
    share: int
    """With how many partitions it counts as started."""
    idempotence: bool
    meter: Meter


def validation() -> Callable[[bytes], bool]:
    """The work that all have in common: is it a licence submission as the model wants it?"""
    from pydantic import ValidationError

    from models.submission import ENVELOPES
    from models.words import Category

    model = ENVELOPES[Category.LICENCE]

    def valid(raw: bytes) -> bool:
        try:
            model.model_validate_json(raw)
        except ValidationError:
            return False
        return True

    return valid


async def ours(task: Task) -> None:
    """A whole worker: every rule, deadline, state, tallies, verdicts acknowledged."""
    from benchmarks.ground import BenchSettings
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
        port=_free_port(),
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


async def getmany(task: Task) -> None:
    """Bare aiokafka, in batches."""
    from aiokafka import AIOKafkaConsumer

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


async def async_for(task: Task) -> None:
    """Bare aiokafka, record by record."""
    from aiokafka import AIOKafkaConsumer

    valid = validation()
    consumer = AIOKafkaConsumer(
        task.topic,
        bootstrap_servers=task.brokers,
        group_id=task.name,
        auto_offset_reset="earliest",
        session_timeout_ms=6000,
    )
    await consumer.start()
    async for record in consumer:
        valid(record.value or b"")
        task.meter.add(1)


async def faust(task: Task) -> None:
    """A plain Faust agent, an event at a time, which writes each to a table."""
    import faust
    from faust.types import StreamT

    app = faust.App(
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
    versions = app.Table("versions", default=int, partitions=PARTITIONS)
    valid = validation()

    @app.agent(app.topic(task.topic, value_serializer="raw"))
    async def check(submissions: StreamT[bytes]) -> None:
        async for event in submissions.events():
            key, value = event.message.key, event.message.value
            if key is not None and value is not None and valid(value):
                versions[key.hex()] += 1
            task.meter.add(1)

    await app.start()
    await app.wait()


def quix(task: Task, stateful: bool) -> None:
    """Quix Streams, with its state in RocksDB and a changelog, or without."""
    from quixstreams import Application, State  # type: ignore[import-not-found]

    app = Application(
        broker_address=task.brokers,
        consumer_group=task.name,
        auto_offset_reset="earliest",
        state_dir=task.folder,
        loglevel="ERROR",
    )
    submissions = app.topic(task.topic, key_deserializer="bytes", value_deserializer="bytes")
    valid = validation()

    def check(raw: bytes) -> None:
        valid(raw)
        task.meter.add(1)

    def check_and_count(raw: bytes, state: State) -> None:
        if valid(raw):
            state.set("versions", state.get("versions", 0) + 1)
        task.meter.add(1)

    frame = app.dataframe(submissions)
    if stateful:
        frame.update(check_and_count, stateful=True)
    else:
        frame.update(check)
    app.run()


def bytewax(task: Task) -> None:
    """Bytewax, without state."""
    from bytewax import operators  # type: ignore[import-not-found]
    from bytewax.connectors.kafka import (  # type: ignore[import-not-found]
        KafkaSource,
        KafkaSourceMessage,
    )
    from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
    from bytewax.testing import TestingSink, run_main  # type: ignore[import-not-found]

    valid = validation()

    def invalid(message: KafkaSourceMessage) -> bool:
        found = not valid(message.value)
        task.meter.add(1)
        return found

    flow = Dataflow(task.name)
    source = KafkaSource(task.brokers.split(","), [task.topic])
    submissions = operators.input("submissions", flow, source)
    operators.output("invalid", operators.filter("check", submissions, invalid), TestingSink([]))
    run_main(flow)


PROGRAMS: Final[dict[str, Callable[[Task], None]]] = {
    "ours": lambda task: asyncio.run(ours(task)),
    "getmany": lambda task: asyncio.run(getmany(task)),
    "async for": lambda task: asyncio.run(async_for(task)),
    "faust": lambda task: asyncio.run(faust(task)),
    "quix stateful": lambda task: quix(task, stateful=True),
    "quix": lambda task: quix(task, stateful=False),
    "bytewax": bytewax,
}
PEERS: Final = {"quix stateful": "quixstreams", "quix": "quixstreams", "bytewax": "bytewax"}
"""The package that a contestant needs from the other virtual environment."""


def _free_port() -> int:
    from streams.demo.tansu import free_port

    return free_port()


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
