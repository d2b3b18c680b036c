"""A worker as a process that dies or pauses at a named point.

    python -m tests.support.worker_process [--kill POINT | --pause POINT] [--after N]

Settings come from the environment. The points are functions of the product that are wrapped here:
there are no hooks in the product. Ends with 0 when asked to stop, and with 2 when it fails, as
`xinshao worker` does.
"""

import argparse
import os
import signal
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer

from streams.cli import run
from streams.counting.sink import RowsOf, Sink
from streams.intake.ingress import Ingress
from streams.judging.judge import Judge
from streams.log.reader import Fence, Records
from streams.log.source import Batch
from streams.log.topics import REJECTS, SUBMISSIONS, TALLIES, VERDICTS
from streams.log.wire import is_record_key
from streams.log.writer import LogWriter, Message
from streams.settings import Settings, load_settings
from streams.store.client import Store

JUDGING: Final = {
    "before-rejects": "judged, nothing written",
    "before-verdicts": "rejects written, verdicts not",
    "amid-verdicts": "a part of the verdicts written",
    "after-verdicts": "verdicts written, the local state not",
    "before-ack": "local state written, the batch not said to be done",
    "before-tallies": "the batch done, its tallies not published",
    "amid-tallies": "a part of the tallies published",
    "before-commit": "tallies published, nothing committed",
    "after-commit": "committed",
}
ADMISSION: Final = {
    "before-admission": "a platform's messages read, nothing written",
    "after-admission": "submissions written, the platform's offset not committed",
}
RESTORING: Final = {"amid-restore": "a part of the verdicts read back"}
SINKING: Final = {
    "before-insert": "verdicts read, nothing in the store",
    "after-insert": "in the store, the batch not said to be done",
    "after-store": "all of the batch's tables in the store, the batch not said to be done",
    "before-sink-commit": "the batch done, nothing committed",
    "after-sink-commit": "committed",
}
POINTS: Final = (*JUDGING, *ADMISSION, *RESTORING, *SINKING)


class Point:
    """Where the process gets its signal, and at which of its passes."""

    def __init__(self, name: str, left: int, number: signal.Signals) -> None:
        self._name = name
        self._left = left
        self._number = number

    def reached(self, name: str) -> None:
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._number)


def wrap(point: Point, settings: Settings) -> None:
    """Wrap the functions that are the points."""
    write, judge, publish = LogWriter.write, Judge.judge, Judge.publish
    let_in, read_up_to = Ingress.let_in, Fence.read_up_to
    insert, store = Store.insert, Sink.store
    commit: Any = AIOKafkaConsumer.commit

    async def wrapped_write(
        self: LogWriter, topic: str, partition: int, messages: Sequence[Message]
    ) -> int:
        if topic == settings.topic(REJECTS):
            point.reached("before-rejects")
        if topic != settings.topic(VERDICTS) or not is_record_key(messages[0].key):
            after = await write(self, topic, partition, messages)
            if topic == settings.topic(TALLIES):
                point.reached("amid-tallies")
            return after
        point.reached("before-verdicts")
        if half := len(messages) // 2:
            await write(self, topic, partition, messages[:half])
            point.reached("amid-verdicts")
        after = await write(self, topic, partition, messages[half:])
        point.reached("after-verdicts")
        return after

    async def wrapped_judge(self: Judge, batch: Batch) -> None:
        await judge(self, batch)
        point.reached("before-ack")

    async def wrapped_publish(self: Judge, number: int) -> None:
        point.reached("before-tallies")
        await publish(self, number)
        point.reached("before-commit")

    async def wrapped_commit(self: AIOKafkaConsumer, offsets: Any) -> None:
        sinking = any(where.topic == settings.topic(VERDICTS) for where in offsets)
        if sinking:
            point.reached("before-sink-commit")
        await commit(self, offsets)
        if sinking:
            point.reached("after-sink-commit")
        if any(where.topic == settings.topic(SUBMISSIONS) for where in offsets):
            point.reached("after-commit")

    async def wrapped_read(
        self: Fence, consumer: AIOKafkaConsumer, begin: int | None = None
    ) -> AsyncIterator[Records]:
        async for records in read_up_to(self, consumer, begin):
            half = len(records) // 2
            if half:
                yield records[:half]
                point.reached("amid-restore")
            yield records[half:]

    async def wrapped_let_in(self: Ingress, batch: Batch) -> None:
        point.reached("before-admission")
        await let_in(self, batch)
        point.reached("after-admission")

    def wrapped_insert(self: Store, table: str, rows: Sequence[bytes]) -> None:
        if table != "verdicts":
            insert(self, table, rows)
            return
        point.reached("before-insert")
        insert(self, table, rows)
        point.reached("after-insert")

    async def wrapped_store(self: Sink, rows_of: RowsOf, batch: Batch) -> None:
        await store(self, rows_of, batch)
        point.reached("after-store")

    for owner, name, wrapper in (
        (Store, "insert", wrapped_insert),
        (Sink, "store", wrapped_store),
        (LogWriter, "write", wrapped_write),
        (Judge, "judge", wrapped_judge),
        (Judge, "publish", wrapped_publish),
        (AIOKafkaConsumer, "commit", wrapped_commit),
        (Fence, "read_up_to", wrapped_read),
        (Ingress, "let_in", wrapped_let_in),
    ):
        setattr(owner, name, wrapper)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kill", choices=POINTS)
    parser.add_argument("--pause", choices=POINTS)
    parser.add_argument("--after", type=int, default=1)
    options = parser.parse_args()
    if options.kill:
        wrap(Point(options.kill, options.after, signal.SIGKILL), load_settings())
    elif options.pause:
        wrap(Point(options.pause, options.after, signal.SIGSTOP), load_settings())
    raise SystemExit(run(["worker"]))


if __name__ == "__main__":
    main()
