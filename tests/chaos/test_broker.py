"""Brokers that die, freeze and stay away under a worker that is in the middle of a batch."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from streams.demo.tansu import Tansu
from streams.log.topics import VERDICTS, TopicError
from streams.log.wire import is_record_key
from streams.log.writer import LogWriter, Message
from streams.settings import Settings
from streams.worker import Worker, WorkerError, working
from tests.support.brokers import Kafka
from tests.support.house import free_port
from tests.support.oracle import (
    SESSION,
    Deliveries,
    all_committed,
    another,
    assert_equal_to_oracle,
    held,
    lag,
    settings_for,
    submit,
)
from tests.support.processes import supervised, until

LONG = 35.0
"""Seconds; longer than any request waits for its answer."""


@pytest.fixture
def settings(own_kafka: Kafka, tmp_path: Path) -> Settings:
    return settings_for(own_kafka, tmp_path)


def in_the_midst(
    patch: pytest.MonkeyPatch, settings: Settings, harm: Callable[[], Awaitable[None]]
) -> asyncio.Event:
    """Do harm when a worker of this process is about to write verdicts the second time from now."""
    harmed = asyncio.Event()
    write = LogWriter.write
    writes = 0

    async def wrapped(
        writer: LogWriter, topic: str, partition: int, messages: Sequence[Message]
    ) -> int:
        nonlocal writes
        if topic == settings.topic(VERDICTS) and is_record_key(messages[0].key):
            writes += 1
            if writes == 2:
                await harm()
                harmed.set()
        return await write(writer, topic, partition, messages)

    patch.setattr(LogWriter, "write", wrapped)
    return harmed


async def goes_on(settings: Settings, worker: Worker, coming: Deliveries) -> None:
    """The same worker, never restarted, judges what was there and what comes now."""
    await submit(settings, coming.take(100))
    await all_committed(settings)
    await assert_equal_to_oracle(settings)
    await until(lambda: held(worker) == {0, 1, 2, 3} and lag(worker) == 0)
    assert not worker.app.crashed


@pytest.mark.parametrize(
    ("away", "idempotence"), [(0.0, True), (LONG, False)], ids=["restarted", "long-away"]
)
async def test_a_broker_killed_in_the_midst_of_a_batch(
    own_kafka: Kafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    away: float,
    idempotence: bool,
) -> None:
    """Without idempotence (as on Tansu) a write gives up in time, and is tried again."""
    settings = settings_for(own_kafka, tmp_path, idempotence=idempotence)
    coming = Deliveries(21, subjects=60)
    async with working(settings) as worker:
        await submit(settings, coming.take(100))
        await all_committed(settings)
        harmed = in_the_midst(monkeypatch, settings, own_kafka.kill)
        await submit(settings, coming.take(500))
        await harmed.wait()
        await asyncio.sleep(away)
        await own_kafka.start()
        await goes_on(settings, worker, coming)


async def test_a_broker_frozen_past_every_session(
    settings: Settings, own_kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    coming = Deliveries(22, subjects=60)

    async def freeze() -> None:
        own_kafka.freeze()

    async with working(settings) as worker:
        await submit(settings, coming.take(100))
        await all_committed(settings)
        harmed = in_the_midst(monkeypatch, settings, freeze)
        await submit(settings, coming.take(500))
        await harmed.wait()
        await asyncio.sleep(3 * SESSION)
        own_kafka.thaw()
        await goes_on(settings, worker, coming)


async def test_workers_and_broker_killed_together(settings: Settings, own_kafka: Kafka) -> None:
    """As when the power fails in the machine room."""
    coming = Deliveries(23, subjects=60)
    async with supervised(settings) as one, supervised(another(settings)) as two:
        await until(lambda: "就绪" in one.log and "就绪" in two.log)
        await submit(settings, coming.take(600))
        await own_kafka.kill()
        one.signal(signal.SIGKILL)
        two.signal(signal.SIGKILL)
        await own_kafka.start()
        await submit(settings, coming.take(100))
        await all_committed(settings)
        await assert_equal_to_oracle(settings)
        assert one.starts > 1
        assert two.starts > 1


async def test_a_log_that_is_gone_stops_the_worker(tmp_path: Path) -> None:
    """Tansu keeps nothing: what comes back is another log, and going on would pretend it is not."""
    broker = Tansu(free_port())
    await broker.start()
    settings = settings_for(broker, tmp_path)
    try:
        async with working(settings) as worker:
            await submit(settings, Deliveries(24).take(100))
            await all_committed(settings)
            await broker.stop()
            await broker.start()
            with pytest.raises(WorkerError, match="TopicError"):
                await worker.during(asyncio.Event().wait())
            assert isinstance(worker.app.crash_reason, TopicError)
    finally:
        await broker.stop()
