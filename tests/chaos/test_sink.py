"""A store that fails in every way, and sinks that are killed: the tables equal the log at last."""

import asyncio
import os
import random
import signal
import tracemalloc
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from streams.demo.tansu import Tansu
from streams.log.topics import VERDICTS, core_topics, ensure_topics
from streams.log.wire import is_record_key
from streams.log.writer import Message
from streams.settings import Settings
from streams.store.client import Store
from streams.worker import Worker, working
from tests.support.brokers import Broker
from tests.support.clickhouse import ClickHouse, assert_equal_to_log
from tests.support.oracle import (
    Deliveries,
    all_committed,
    another,
    judged,
    read_log,
    settings_for,
    submit,
    writing,
)
from tests.support.processes import supervised, until, worker_process
from tests.support.worker_process import SINKING

CHAOS_SECONDS = float(os.environ.get("XINSHAO_TEST_CHAOS_SECONDS", "20"))
"""How long workers are killed at random."""

TIMEOUT = 2.0
"""Seconds that the store has to answer."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path / "server").start()
    yield server
    server.kill()


def over(server: ClickHouse, broker: Broker, folder: Path) -> Settings:
    return settings_for(
        broker,
        folder,
        clickhouse=server.address,
        clickhouse_timeout=TIMEOUT,
        sink_seconds=0.05,
    )


async def equal(settings: Settings, worker: Worker) -> None:
    """All that is in the log is in the store, and nothing else."""
    async with asyncio.timeout(60):
        await worker.during(worker.stored())
    with Store.open(settings) as store:
        await assert_equal_to_log(settings, store)


def page(settings: Settings, path: str) -> str:
    """A page of the worker; it must answer 200."""
    with urllib.request.urlopen(f"http://{settings.host}:{settings.port}{path}") as answer:
        return str(answer.read().decode())


def metric(settings: Settings, name: str) -> float:
    lines = page(settings, "/metrics").splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


OUTAGES: dict[str, tuple[Callable[[ClickHouse], object], Callable[[ClickHouse], object]]] = {
    "answers-500": (lambda server: server.fault("error", 8), lambda server: None),
    "cuts-after-applying": (lambda server: server.fault("cut", 8), lambda server: None),
    "slow": (lambda server: server.fault("slow", 4), lambda server: None),
    "frozen": (ClickHouse.freeze, ClickHouse.thaw),
    "killed": (ClickHouse.kill, ClickHouse.start),
    "restarted": (ClickHouse.stop, ClickHouse.start),
}


@pytest.mark.parametrize("outage", OUTAGES)
async def test_while_the_store_is_away_judging_goes_on(
    tansu: Tansu, server: ClickHouse, tmp_path: Path, outage: str
) -> None:
    settings = over(server, tansu, tmp_path)
    begin, end = OUTAGES[outage]
    coming = Deliveries(sum(outage.encode()), subjects=100)
    async with working(settings) as worker:
        await judged(settings, worker, coming.take(200))
        await asyncio.to_thread(begin, server)
        await submit(settings, coming.take(300))
        # Judged, published and committed, all the while.
        await worker.during(all_committed(settings))
        if outage != "slow":
            await until(lambda: asyncio.to_thread(metric, settings, "xinshao_sink_failures_total"))
        assert await asyncio.to_thread(page, settings, "/health/progress")
        await asyncio.to_thread(end, server)
        await submit(settings, coming.take(100))
        await all_committed(settings)
        await equal(settings, worker)


async def test_a_worker_starts_without_the_store(
    tansu: Tansu, server: ClickHouse, tmp_path: Path
) -> None:
    settings = over(server, tansu, tmp_path)
    server.kill()
    async with working(settings) as worker:
        await submit(settings, Deliveries(31).take(200))
        await worker.during(all_committed(settings))
        await asyncio.to_thread(server.start)
        await equal(settings, worker)


async def test_what_waits_for_the_store_stays_in_the_log(
    tansu: Tansu, server: ClickHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.worker.FETCH_BYTES", 1 << 18)
    settings = over(server, tansu, tmp_path)
    megabytes = 32
    async with working(settings) as worker:
        await judged(settings, worker, Deliveries(33).take(50))
        await asyncio.to_thread(server.kill)
        verdicts = (await read_log(settings, VERDICTS))[0]
        good = next(r.value or b"" for r in verdicts if is_record_key(r.key))
        large = orjson.dumps({**orjson.loads(good), "document": "长" * 5400})
        async with writing(settings) as writer:
            for partition in range(settings.partitions):
                # A message batch is fetched whole: small ones.
                for _ in range(megabytes * 16 // settings.partitions):
                    messages = [Message(os.urandom(16), large) for _ in range(4)]
                    await writer.write(settings.topic(VERDICTS), partition, messages)
        tracemalloc.start()
        try:
            failures = "xinshao_sink_failures_total"

            async def tried_again() -> bool:
                return await asyncio.to_thread(metric, settings, failures) > 3

            await until(tried_again)
            assert tracemalloc.get_traced_memory()[1] < megabytes * 2**20 / 4
        finally:
            tracemalloc.stop()
        assert not worker.app.crashed


@pytest.mark.parametrize("point", SINKING)
async def test_killed(broker: Broker, server: ClickHouse, tmp_path: Path, point: str) -> None:
    settings = over(server, broker, tmp_path)
    coming = Deliveries(sum(point.encode()), subjects=60)
    await ensure_topics(settings, core_topics(settings))
    await submit(settings, coming.take(300))
    # One insert, and one commit, may be for all partitions.
    async with worker_process(settings, "--kill", point) as process:
        assert await process.ended() == -signal.SIGKILL, process.log[-3000:]
    async with working(another(settings)) as worker:
        await submit(settings, coming.take(100))
        await all_committed(settings)
        await equal(settings, worker)


async def test_killed_at_random_with_the_store_inside(broker: Broker, tmp_path: Path) -> None:
    """The engine dies with the worker, in the middle of whatever it is doing."""
    settings = settings_for(
        broker, tmp_path, clickhouse=f"chdb:{tmp_path / 'store'}", sink_seconds=0.0
    )
    chance = random.Random(32)
    coming = Deliveries(32, subjects=300)
    await ensure_topics(settings, core_topics(settings))
    loop = asyncio.get_running_loop()
    until_then = loop.time() + CHAOS_SECONDS
    async with supervised(settings) as process:
        while loop.time() < until_then:
            await submit(settings, coming.take(150))
            await asyncio.sleep(chance.uniform(1.0, 5.0))
            process.running.kill()
    assert process.starts > 3
    async with working(another(settings)) as worker:
        await all_committed(settings)
        await equal(settings, worker)
