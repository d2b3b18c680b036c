"""Workers that are killed wherever it hurts, and paused, and replaced."""

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from streams.log.topics import INGRESS, core_topics, ensure_topics, ingress_topic
from streams.settings import Settings
from streams.worker import working
from tests.support.brokers import Broker, Kafka, producer
from tests.support.oracle import (
    PLATFORM,
    Deliveries,
    all_committed,
    another,
    assert_equal_to_oracle,
    held,
    settings_for,
    submit,
)
from tests.support.processes import supervised, until, worker_process
from tests.support.worker_process import ADMISSION, JUDGING, RESTORING

CHAOS_SECONDS = float(os.environ.get("XINSHAO_TEST_CHAOS_SECONDS", "20"))
"""How long workers are killed at random."""


@pytest.fixture
def settings(kafka: Kafka, tmp_path: Path) -> Settings:
    return settings_for(kafka, tmp_path)


async def deliver(settings: Settings, coming: Deliveries, count: int) -> None:
    """What comes in through a platform's own topic."""
    topic = settings.topic(f"{INGRESS}.{PLATFORM}")
    async with producer(settings.brokers) as platform:
        for number, message in enumerate(coming.take(count)):
            await platform.send(topic, message.value or b"", partition=number % 4)


async def settled(settings: Settings) -> None:
    """Wait until all is admitted and judged, and hold it against the oracle."""
    await all_committed(settings, f"{INGRESS}.{PLATFORM}", f"admit-{PLATFORM}")
    await all_committed(settings)
    await assert_equal_to_oracle(settings)


@pytest.mark.parametrize("point", [*JUDGING, *ADMISSION, *RESTORING])
async def test_killed(settings: Settings, point: str) -> None:
    coming = Deliveries(sum(point.encode()), subjects=60)
    await ensure_topics(settings, (*core_topics(settings), ingress_topic(settings, PLATFORM)))
    await submit(settings, coming.take(300))
    await deliver(settings, coming, 200)
    if point in RESTORING:
        async with working(another(settings)):
            await settled(settings)
    async with worker_process(settings, "--kill", point, "--after", "2") as process:
        assert await process.ended() == -signal.SIGKILL, process.log[-3000:]
    # The next one, on the same disk: with nothing new to help it, then going on.
    async with working(settings):
        await settled(settings)
        await submit(settings, coming.take(100))
        await settled(settings)


@pytest.mark.parametrize(
    "point",
    ["before-verdicts", "amid-verdicts", "before-tallies", "before-admission"],
)
async def test_paused_and_replaced(settings: Settings, point: str) -> None:
    """What a paused worker held is written late, and changes nothing."""
    coming = Deliveries(sum(point.encode()), subjects=60)
    await ensure_topics(settings, (*core_topics(settings), ingress_topic(settings, PLATFORM)))
    await submit(settings, coming.take(300))
    await deliver(settings, coming, 200)
    async with worker_process(settings, "--pause", point, "--after", "2") as paused:
        await paused.paused()
        async with working(another(settings)) as replacement:
            await submit(settings, coming.take(300))
            await settled(settings)
            paused.signal(signal.SIGCONT)
            # It writes what it held, learns that it was replaced, and joins again.
            await until(lambda: len(held(replacement)) == 2)
            await submit(settings, coming.take(100))
            await settled(settings)
        # Now it has everything, on the disk on which it wrote late.
        await submit(settings, coming.take(100))
        await settled(settings)
        await paused.stop()
    async with working(settings):
        await submit(settings, coming.take(100))
        await settled(settings)


async def test_killed_again_and_again(settings: Settings) -> None:
    chance = random.Random()
    coming = Deliveries(chance.randrange(1000), subjects=300)
    await ensure_topics(settings, (*core_topics(settings), ingress_topic(settings, PLATFORM)))
    end = asyncio.get_running_loop().time() + CHAOS_SECONDS
    async with supervised(settings) as one, supervised(another(settings)) as two:
        while asyncio.get_running_loop().time() < end:
            await submit(settings, coming.take(chance.randrange(200)))
            await deliver(settings, coming, chance.randrange(50))
            await asyncio.sleep(chance.uniform(0, 2))  # so that the deaths fall anywhere
            if chance.random() < 0.6:
                chance.choice((one, two)).signal(signal.SIGKILL)
        await settled(settings)
        assert one.starts + two.starts > 2
    async with working(another(settings)):
        await submit(settings, coming.take(100))
        await settled(settings)


async def test_workers_come_and_go(broker: Broker, tmp_path: Path) -> None:
    settings = settings_for(broker, tmp_path)
    coming = Deliveries(11, subjects=300)
    enough = asyncio.Event()

    async def feed() -> None:
        while not enough.is_set():
            await submit(settings, coming.take(50))

    async with working(settings) as first:
        feeding = asyncio.create_task(feed())
        async with working(another(settings)) as second:
            await until(lambda: len(held(first)) == len(held(second)) == 2)
            async with working(another(settings)) as third:
                await until(lambda: held(third))
                await until(lambda: held(first) | held(second) | held(third) == {0, 1, 2, 3})
            await until(lambda: len(held(first)) == len(held(second)) == 2)
        await until(lambda: len(held(first)) == 4)
        enough.set()
        await feeding
        await all_committed(settings)
        await assert_equal_to_oracle(settings)
