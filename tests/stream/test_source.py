"""What `streams/log/source.py` promises, on real brokers."""

import asyncio
import gc
import signal
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from faust.types import StreamT

from streams.log.source import Batch, UnansweredError
from tests.support.brokers import Broker, Kafka, committed, create_topic, produce
from tests.support.processes import until
from tests.support.workers import SESSION, Worker, group_of, new_app, process


@pytest.fixture
async def control(broker: Broker) -> str:
    return await create_topic(broker.address, 1, name="control")


async def filled(address: str, *counts: int, size: int = 10) -> str:
    """Create a topic whose n-th partition holds the n-th count of records."""
    topic = await create_topic(address, len(counts))
    for partition, count in enumerate(counts):
        await produce(address, topic, partition, [b"x" * size] * count)
    return topic


async def commits(address: str, topic: str, partitions: int) -> list[int | None]:
    group = group_of(topic)
    return [await committed(address, group, topic, each) for each in range(partitions)]


def all_of(*counts: int) -> list[tuple[int, int]]:
    return [(each, offset) for each, count in enumerate(counts) for offset in range(count)]


async def test_every_record_comes_once_in_order_and_is_committed_as_a_range(
    broker: Broker, control: str
) -> None:
    topic = await filled(broker.address, 950, 10, 0, 300)
    async with Worker(broker.address, topic, control, concurrency=2) as worker:
        await until(lambda: len(worker.records()) == 1260)
        assert all(1 <= len(batch.records) <= 100 for batch in worker.done)
        for partition, count in enumerate((950, 10, 0, 300)):
            assert worker.records(partition) == [(partition, offset) for offset in range(count)]
        await until(lambda: all(each.done == each.committed for each in worker.source.progress()))
        assert await commits(broker.address, topic, 4) == [950, 10, None, 300]
        await until(lambda: all(each.stuck_seconds == 0 for each in worker.source.progress()))
        largest = {each.partition: each for each in worker.source.progress()}[0]
        assert (largest.position, largest.done, largest.highwater) == (950, 950, 950)
        last = next(batch for batch in reversed(worker.done) if batch.partition == 0)
        assert largest.timestamp_ms == last.records[-1].timestamp


async def test_nothing_is_committed_before_it_is_done(broker: Broker, control: str) -> None:
    topic = await filled(broker.address, 250)
    async with Worker(broker.address, topic, control) as worker:
        await until(lambda: len(worker.records()) == 250)
        await until(lambda: worker.source.progress()[0].committed == 250)
        worker.gate.clear()
        await produce(broker.address, topic, 0, [b"x"] * 50)
        await until(lambda: worker.source.progress()[0].stuck_seconds > 0)
        assert worker.source.progress()[0].done == 250
        assert await commits(broker.address, topic, 1) == [250]
        worker.gate.set()
        await until(lambda: worker.source.progress()[0].committed == 300)
        assert await commits(broker.address, topic, 1) == [300]


async def test_what_is_done_is_committed_on_stop(broker: Broker, control: str) -> None:
    topic = await filled(broker.address, 250)
    async with Worker(broker.address, topic, control, commit_every=3600.0) as worker:
        await until(lambda: len(worker.records()) == 250)
        assert await commits(broker.address, topic, 1) == [None]
    assert await commits(broker.address, topic, 1) == [250]
    assert worker.revoked == [0]


async def test_what_must_precede_a_commit_precedes_it_or_stops_the_worker(
    broker: Broker, control: str
) -> None:
    asked: list[int] = []
    may = True

    async def publish(partition: int) -> None:
        assert await commits(broker.address, topic, 1) == [None if not asked else 100]
        asked.append(partition)
        if not may:
            raise ValueError("not published")

    topic = await filled(broker.address, 100)
    async with Worker(broker.address, topic, control, before_commit=publish) as worker:
        await until(lambda: worker.source.progress() and worker.source.progress()[0].committed)
        may = False
        await produce(broker.address, topic, 0, [b"x"] * 50)
        await until(lambda: worker.app.crashed)
        assert isinstance(worker.app.crash_reason, ValueError)
    assert asked[:2] == [0, 0]
    assert await commits(broker.address, topic, 1) == [100]


async def test_an_exception_in_the_agent_ends_the_process_and_commits_nothing_of_the_batch(
    broker: Broker, control: str
) -> None:
    topic = await filled(broker.address, 450)
    arguments = (broker.address, topic, control)
    async with process(*arguments, "--fail-at", "250") as failing:
        assert await failing.ended() not in (0, None)
        assert "told to fail" in failing.log
        done = failing.events("done")
        assert await commits(broker.address, topic, 1) == [done[-1]["next"]]
        assert done[-1]["next"] <= 250
    async with process(*arguments) as healthy:
        await until(lambda: healthy.events("done") and healthy.events("done")[-1]["next"] == 450)
        assert healthy.events("begun")[0]["first"] == done[-1]["next"]
        healthy.signal(signal.SIGTERM)
        assert await healthy.ended() == 0
    assert await commits(broker.address, topic, 1) == [450]


async def test_a_batch_the_agent_drops_stops_the_worker(broker: Broker, control: str) -> None:
    class Careless(Worker):
        async def work(self, batches: StreamT[Batch]) -> None:
            async for _ in batches:
                pass

    topic = await filled(broker.address, 100)
    async with Careless(broker.address, topic, control) as worker:
        await until(lambda: worker.app.crashed)
        assert isinstance(worker.app.crash_reason, UnansweredError)
    assert await commits(broker.address, topic, 1) == [None]


async def test_a_cancelled_agent_stops_the_worker(broker: Broker, control: str) -> None:
    topic = await filled(broker.address, 100)
    async with Worker(broker.address, topic, control) as worker:
        worker.gate.clear()
        await until(lambda: worker.begun)
        assert worker.task is not None
        worker.task.cancel()
        await until(lambda: worker.app.crashed)
    assert await commits(broker.address, topic, 1) == [None]


async def test_a_rebalance_waits_for_the_batch_in_flight(broker: Broker, control: str) -> None:
    counts = (500,) * 4
    topic = await filled(broker.address, *counts)
    async with Worker(broker.address, topic, control, session=4.0) as first:
        first.gate.clear()
        await until(lambda: len(first.begun) == 1)
        async with Worker(broker.address, topic, control, session=4.0) as second:
            await until(lambda: first.source.generation > 0)
            first.gate.set()
            await until(lambda: len(first.held()) == len(second.held()) == 2)
            assert first.held() | second.held() == {0, 1, 2, 3}
            await until(lambda: len(first.records() + second.records()) >= 2000)
            assert sorted(first.records() + second.records()) == all_of(*counts)
            assert first.begun[0] is first.done[0]
            kept = first.held()
        await until(lambda: first.held() == {0, 1, 2, 3})
        # What stayed was not restored again, what left and came back was.
        assert all(first.restored.count(partition) == 1 for partition in kept)
        assert sorted(second.restored) == sorted(second.revoked) == sorted({0, 1, 2, 3} - kept)
        await produce(broker.address, topic, 0, [b"x"])
        await until(lambda: (0, 500) in first.records())
    assert await commits(broker.address, topic, 4) == [501, 500, 500, 500]


async def test_a_late_batch_is_given_up_and_its_state_dropped_only_after_it_ended(
    broker: Broker, control: str, caplog: pytest.LogCaptureFixture
) -> None:
    topic = await filled(broker.address, 100)
    async with Worker(broker.address, topic, control) as first:
        first.gate.clear()
        await until(lambda: first.begun)
        async with Worker(broker.address, topic, control) as second:
            await until(lambda: "未能及时完成" in caplog.text)
            assert first.revoked == []
            first.gate.set()
            await until(lambda: first.revoked == [0])
            # Whoever has the partition now does the batch again.
            await until(lambda: len(first.records() + second.records()) == 200)
    assert await commits(broker.address, topic, 1) == [100]


async def test_batches_in_flight_survive_a_rebalance_of_fausts_own_consumer(
    broker: Broker, control: str
) -> None:
    counts = (400,) * 4
    topic = await filled(broker.address, *counts)
    async with Worker(broker.address, topic, control) as worker:
        worker.gate.clear()
        # One with the agent, one in the queue, the others wait for its place.
        await until(lambda: len(worker.begun) == 1 and not worker.source.channel.empty())
        before = worker.app.rebalancing_count
        other = new_app(broker.address, worker.app.conf.id, control)
        await other.start()
        await until(lambda: worker.app.rebalancing_count > before and not worker.app.rebalancing)
        worker.gate.set()
        await other.stop()
        await until(lambda: worker.app.rebalancing_count > before + 1)
        await until(lambda: len(worker.records()) == 1600)
        assert sorted(worker.records()) == all_of(*counts)
        assert len(worker.begun) == len(worker.done)
        assert not worker.app.crashed


async def test_a_stalled_agent_stops_fetching_but_not_heartbeats(
    broker: Broker, control: str
) -> None:
    megabytes = 32
    topic = await filled(broker.address, *(megabytes * 16,) * 4, size=16_384)
    gc.collect()
    tracemalloc.start()
    try:
        async with Worker(
            broker.address, topic, control, partition_fetch_bytes=1 << 18, fetch_bytes=1 << 20
        ) as worker:
            worker.gate.clear()
            await until(lambda: worker.begun)
            await asyncio.sleep(2 * SESSION)  # only makes the stall long
            assert tracemalloc.get_traced_memory()[1] < megabytes * 2**20 / 2
            assert worker.source.generation == 0
            assert len(worker.begun) == 1
            assert max(each.stuck_seconds for each in worker.source.progress()) > SESSION
            worker.gate.set()
            await until(lambda: len(worker.records()) == megabytes * 64)
            assert worker.source.generation == 0
    finally:
        tracemalloc.stop()


async def test_partitions_get_fair_shares(broker: Broker, control: str) -> None:
    class Slow(Worker):
        async def work(self, batches: StreamT[Batch]) -> None:
            async for batch in batches:
                async with self.source.processing(batch):
                    await asyncio.sleep(0.01)
                    self.done.append(batch)

    topic = await filled(broker.address, 20_000, 500, 500)
    async with Slow(broker.address, topic, control, in_flight=1) as worker:
        await until(lambda: len(worker.records()) == 21_000)
    served = [batch.partition for batch in worker.done]
    last_of_small = max(place for place, partition in enumerate(served) if partition)
    assert last_of_small < len(served) / 2, Counter(served)


async def test_a_restore_may_take_longer_than_the_session(broker: Broker, control: str) -> None:
    restored = asyncio.Event()

    async def restore(partition: int) -> None:
        await restored.wait()

    topic = await filled(broker.address, 100)
    async with Worker(broker.address, topic, control, on_assigned=restore) as worker:
        await until(lambda: worker.source.progress())
        await asyncio.sleep(2 * SESSION)  # only makes the restore long
        assert worker.source.generation == 0
        assert worker.begun == []
        assert worker.source.progress()[0].restoring
        restored.set()
        await until(lambda: len(worker.records()) == 100)


async def test_a_restore_is_cancelled_when_the_partition_leaves(
    broker: Broker, control: str
) -> None:
    cancelled: list[int] = []

    async def restore(partition: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(partition)
            raise

    topic = await filled(broker.address, 10, 10)
    async with Worker(broker.address, topic, control, on_assigned=restore) as stuck:
        await until(lambda: len(stuck.source.progress()) == 2)
        async with Worker(broker.address, topic, control) as other:
            await until(lambda: len(other.records()) == 10)
            assert sorted(cancelled) == [0, 1]
    assert stuck.revoked == []


async def test_beginning_reads_all_again_and_commits_nothing(broker: Broker, control: str) -> None:
    topic = await filled(broker.address, 150, 50)
    for _ in range(2):
        async with Worker(broker.address, topic, control, start="beginning") as worker:
            await until(lambda: len(worker.records()) == 200)
            assert sorted(worker.records()) == all_of(150, 50)
    assert await commits(broker.address, topic, 2) == [None, None]


async def test_a_worker_frozen_past_its_session_drops_what_it_held(
    broker: Broker, control: str, tmp_path: Path
) -> None:
    topic = await filled(broker.address, 300)
    gate = tmp_path / "gate"
    async with process(broker.address, topic, control, "--gate", str(gate)) as frozen:
        await until(lambda: frozen.events("begun"))
        frozen.signal(signal.SIGSTOP)
        async with Worker(broker.address, topic, control) as other:
            await until(lambda: len(other.records()) == 300)
            await until(lambda: other.source.progress()[0].committed == 300)
        assert await commits(broker.address, topic, 1) == [300]
        gate.touch()
        frozen.signal(signal.SIGCONT)
        # It may still do what it had fetched, but commits none of it: it joins again, and goes on
        # from where the other one left.
        await until(lambda: frozen.events("done"))
        await produce(broker.address, topic, 0, [b"x"] * 10)
        while frozen.events("done")[-1]["next"] != 310:
            assert await commits(broker.address, topic, 1) in ([300], [310])
        assert frozen.events("done")[-1]["first"] == 300
        frozen.signal(signal.SIGTERM)
        assert await frozen.ended() == 0
    assert await commits(broker.address, topic, 1) == [310]


async def test_a_broker_killed_in_mid_batch_costs_nothing_but_time(own_kafka: Kafka) -> None:
    address = own_kafka.address
    topic = await filled(address, 300, 300)
    control = await create_topic(address, 1, name="control")
    async with Worker(address, topic, control) as worker:
        await until(lambda: len(worker.records()) == 600)
        worker.gate.clear()
        await produce(address, topic, 0, [b"x"] * 100)
        await until(lambda: worker.begun[-1].first_offset == 300)
        await own_kafka.kill()
        worker.gate.set()
        await until(lambda: (0, 399) in worker.records())
        await own_kafka.start()
        await until(lambda: worker.source.progress()[0].committed == 400)
        await produce(address, topic, 1, [b"x"] * 10)
        await until(lambda: (1, 309) in worker.records())
        await until(lambda: worker.source.progress()[1].committed == 310)
        assert not worker.app.crashed
    assert await commits(address, topic, 2) == [400, 310]
