"""The whole stream on real brokers: what it writes equals what the oracle says."""

import asyncio
import itertools
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from models.submission import Position
from models.tally import Bucket, Duty, Tally
from models.words import SHANGHAI, Category, Op
from streams.demo.tansu import Tansu
from streams.judging import judge as judging
from streams.judging.rebuild import Restored, restore
from streams.judging.state import StateError
from streams.log.connection import LogUnavailableError
from streams.log.reader import reading
from streams.log.topics import (
    INGRESS,
    REJECTS,
    SUBMISSIONS,
    TALLIES,
    VERDICTS,
    TopicError,
    core_topics,
    ensure_topics,
    ingress_topic,
    log_epoch,
)
from streams.log.wire import PlatformSeen, TallyKey, TallyValue, decode_verdict, is_record_key
from streams.log.writer import LogWriter, Message
from streams.settings import Settings
from streams.upkeep.rejects import Rejects
from streams.worker import Worker, WorkerError, working
from tests.support.brokers import Broker, Kafka, producer
from tests.support.oracle import (
    PLATFORM,
    Deliveries,
    all_committed,
    another,
    assert_equal_to_oracle,
    held,
    keyed,
    lag,
    placed,
    read_log,
    settings_for,
    submit,
    writing,
)
from tests.support.processes import until
from tests.support.samples import COMPANY, CREDIT_CODE, RESIDENT_ID, delivery


@pytest.fixture
def settings(broker: Broker, tmp_path: Path) -> Settings:
    return settings_for(broker, tmp_path)


@pytest.fixture
def kafka_settings(kafka: Kafka, tmp_path: Path) -> Settings:
    return settings_for(kafka, tmp_path)


async def submit_and_wait(settings: Settings, messages: Iterable[Message]) -> None:
    await submit(settings, messages)
    await all_committed(settings)


async def page(settings: Settings, path: str) -> tuple[int, str]:
    """Fetch one of the worker's pages: its status and its text."""

    def get() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{settings.host}:{settings.port}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(get)


async def samples(settings: Settings) -> dict[str, float]:
    """The metrics page, sample by sample as it is written there."""
    status, text = await page(settings, "/metrics")
    assert status == 200
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


# -- equal to the oracle


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_stream_equals_the_oracle(settings: Settings, seed: int) -> None:
    coming = Deliveries(seed)
    async with working(settings) as worker:
        await submit_and_wait(settings, coming.take(900))
        # What is there already is corrected, and the tallies that were published are moved.
        await submit_and_wait(settings, coming.take(600))
        expected = await assert_equal_to_oracle(settings)
        await until(lambda: lag(worker) == 0)
        await until(lambda: worker.rollup.between(date.min, date.max) == by_duty(expected.tallies))
        pending = {duty: counts for duty, counts in worker.rollup.pending().items() if counts}
        assert pending == expected.pending
    assert expected.states
    assert expected.rejects
    assert any(state.withdrawn for state in expected.states.values())
    assert any(state.duplicates and state.corrections for state in expected.states.values())


def by_duty(tallies: Mapping[Bucket, Tally]) -> dict[Duty, Tally]:
    total: dict[Duty, Tally] = {}
    for bucket, tally in tallies.items():
        duty = Duty(bucket.unit, bucket.category)
        total[duty] = total.get(duty, Tally()).plus(tally)
    return total


async def test_two_workers_share_the_partitions_and_one_takes_over_the_others(
    settings: Settings,
) -> None:
    coming = Deliveries(3)
    async with working(settings):
        await submit_and_wait(settings, coming.take(400))
        second_settings = another(settings)
        async with working(second_settings) as second:
            await submit(settings, coming.take(400))
            await until(lambda: len(held(second)) == 2)
            await submit_and_wait(settings, coming.take(400))
            await assert_equal_to_oracle(settings)
            # Each tells of the partitions that it holds, and of no others.
            for told in (settings, second_settings):
                await until(partial(tells_of, told, 2))
        await submit_and_wait(settings, coming.take(400))
        await until(partial(tells_of, settings, 4))
        await assert_equal_to_oracle(settings)


async def tells_of(settings: Settings, partitions: int) -> bool:
    """Whether the metrics tell of so many partitions of submissions."""
    topic = settings.topic(SUBMISSIONS)
    found = [
        name for name in await samples(settings) if name.startswith("xinshao_") and topic in name
    ]
    # Lag twice, the committed offset, stuck and restoring.
    return len(found) == 5 * partitions


# -- topics


async def create(settings: Settings, name: str, partitions: int, **configs: str) -> None:
    """Create a topic as another hand would; underlines in the names of settings are dots."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.brokers)
    await admin.start()
    try:
        given = {name.replace("_", "."): value for name, value in configs.items()}
        topic = NewTopic(settings.topic(name), partitions, 1, topic_configs=given)
        await admin.create_topics([topic])
    finally:
        await admin.close()


async def test_topics_are_made_once_whoever_comes_first(settings: Settings) -> None:
    topics = (*core_topics(settings), ingress_topic(settings, PLATFORM))
    made = await asyncio.gather(*(ensure_topics(settings, topics) for _ in range(3)))
    assert sorted(name for names in made for name in names) == sorted(each.name for each in topics)
    assert await ensure_topics(settings, topics) == set()
    for topic in topics:
        assert abs(await log_epoch(settings, topic.name) - time.time()) < 60


GOOD = {
    "cleanup_policy": "delete",
    "max_message_bytes": str(6 << 20),
    "delete_retention_ms": "1700000000",
}


@pytest.mark.parametrize(
    ("name", "partitions", "configs", "told"),
    [
        (SUBMISSIONS, 3, {}, "有 3 个分区，应为 4 个"),
        (VERDICTS, 4, {}, "cleanup.policy 是 delete，应为 compact"),
        (SUBMISSIONS, 4, {"cleanup_policy": "compact"}, "cleanup.policy 是 compact，应为 delete"),
        (SUBMISSIONS, 4, {"max_message_bytes": "1048588"}, "max.message.bytes 是 1048588"),
        (
            f"{INGRESS}.{PLATFORM}",
            4,
            {"message_timestamp_type": "CreateTime", "max_message_bytes": str(1 << 20)},
            "message.timestamp.type 是 CreateTime，应为 LogAppendTime",
        ),
        (SUBMISSIONS, 4, {"delete_retention_ms": "86400000"}, "没有纪元标记"),
    ],
    ids=["partitions", "kept", "compacted", "too-small", "own-time", "no-epoch"],
)
async def test_a_topic_that_would_break_the_promise_is_refused(
    settings: Settings, name: str, partitions: int, configs: dict[str, str], told: str
) -> None:
    await create(settings, name, partitions, **GOOD | configs)
    with pytest.raises(TopicError) as refusal:
        async with working(settings):
            pass
    assert str(refusal.value).startswith(f"主题 {settings.topic(name)} ")
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


# -- starting


async def test_a_worker_that_cannot_start_says_what_to_do(tmp_path: Path, tansu: Tansu) -> None:
    settings = settings_for(tansu, tmp_path)
    with pytest.raises(LogUnavailableError, match=r"连不上消息服务 127\.0\.0\.1:1：请检查"):
        async with working(settings.model_copy(update={"brokers": "127.0.0.1:1"})):
            pass
    async with working(settings):
        with pytest.raises(WorkerError, match=f"{settings.port} 不能用"):
            async with working(settings.model_copy(update={"data": tmp_path / "other"})):
                pass
        with pytest.raises(StateError, match="另一个进程正在使用"):
            async with working(another(settings, data=settings.data)):
                pass


# -- admission


async def deliver(settings: Settings, *values: bytes, partition: int = 0) -> None:
    """Write to the ingress topic as the platform does, with a timestamp of its own making."""
    async with producer(settings.brokers) as platform:
        for value in values:
            await platform.send_and_wait(
                settings.topic(f"{INGRESS}.{PLATFORM}"),
                value,
                partition=partition,
                timestamp_ms=1,
                headers=[("trace", b"\x00\xff")],
            )


async def admitted(settings: Settings) -> None:
    """Wait until all that platforms wrote is admitted, and all that was admitted is judged."""
    await all_committed(settings, f"{INGRESS}.{PLATFORM}", f"admit-{PLATFORM}")
    await all_committed(settings)


async def test_a_platform_settles_neither_who_it_is_nor_when_it_spoke(
    kafka_settings: Settings,
) -> None:
    settings = kafka_settings
    lie = {"platform": "caidian-dashuju", "origin": ["another", 99], "id": "J-1"}
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    async with working(settings) as worker:
        await deliver(
            settings,
            delivery(received_at=long_ago, envelope=lie),
            delivery(unit="黄陂区"),
            delivery(Category.ENFORCEMENT),
            delivery(unit="无此机构"),
            b"{not json",
        )
        await admitted(settings)
        await assert_equal_to_oracle(settings)
        (record,) = [
            each for log in (await read_log(settings, SUBMISSIONS)).values() for each in log
        ]
        (platforms_own, *_) = (await read_log(settings, f"{INGRESS}.{PLATFORM}"))[0]
        given = orjson.loads(record.value or b"")
        received = datetime.fromtimestamp(platforms_own.timestamp / 1000, UTC)
        assert abs(received.timestamp() - time.time()) < 60
        assert datetime.fromisoformat(given["received_at"]) == received
        epoch = await log_epoch(settings, platforms_own.topic)
        assert given["origin"] == [f"{platforms_own.topic}/{epoch}/0", 0]
        assert (given["platform"], given["id"]) == (PLATFORM, "J-1")
        async with Rejects.opened(settings) as rejects:
            found = await rejects.all()
        assert [(each.offset, each.rule) for each in found] == [
            (1, "scope"),
            (2, "scope"),
            (3, "unit"),
            (4, "json"),
        ]
        assert {each.topic for each in found} == {platforms_own.topic}
        assert {each.headers for each in found} == {(("trace", b"\x00\xff"),)}
        assert "无权为该机构报送行政强制" in found[1].message
        await until(lambda: worker.rollup.platforms() == {PLATFORM: received.timestamp()})


async def test_a_broker_that_does_not_tell_the_time_is_not_believed(
    tansu: Tansu, tmp_path: Path
) -> None:
    settings = settings_for(tansu, tmp_path)
    async with working(settings):
        await deliver(settings, delivery())
        await admitted(settings)
        async with Rejects.opened(settings) as rejects:
            assert [each.rule for each in await rejects.all()] == ["timestamp"]


async def test_what_is_admitted_twice_counts_once(kafka_settings: Settings) -> None:
    settings = kafka_settings
    versions = [
        delivery(XK_WSH=f"武夏行审许〔2022〕{number}号", XK_NR=text)
        for number in range(5)
        for text in ("准予", "测试", "准予")
    ]
    async with working(settings):
        await deliver(settings, *versions)
        await admitted(settings)
        before = await assert_equal_to_oracle(settings)
    # As a worker does that dies before it can commit.
    async with reading(settings, settings.group(f"admit-{PLATFORM}")) as consumer:
        where = TopicPartition(settings.topic(f"{INGRESS}.{PLATFORM}"), 0)
        consumer.assign([where])
        await consumer.commit({where: 0})
    async with working(settings):
        await deliver(settings, versions[0])
        await admitted(settings)
        after = await assert_equal_to_oracle(settings)
    log = await read_log(settings, SUBMISSIONS)
    assert sum(map(len, log.values())) == 2 * len(versions) + 1
    assert len(before.states) == 5
    assert {key: state.version for key, state in before.states.items()} == dict.fromkeys(
        before.states, 3
    )
    changed = {key for key in after.states if after.states[key] != before.states[key]}
    assert len(changed) == 1
    assert after.states[changed.pop()].duplicates == 1


async def test_an_ingress_topic_made_anew_is_read_anew(kafka_settings: Settings) -> None:
    settings = kafka_settings
    async with working(settings):
        await deliver(settings, *[delivery()] * 3)
        await admitted(settings)
    await delete(settings, f"{INGRESS}.{PLATFORM}")
    async with working(settings):
        await deliver(settings, delivery(XK_NR="测试"), delivery())
        await admitted(settings)
        outcome = await assert_equal_to_oracle(settings)
    (state,) = outcome.states.values()
    assert (state.duplicates, state.corrections) == (2, 2)


async def delete(settings: Settings, *names: str) -> None:
    """Delete topics and wait until they are gone and the next epoch may begin."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.brokers)
    await admin.start()
    try:
        topics = {settings.topic(name) for name in names}
        await admin.delete_topics([*topics])
        begun = int(time.time())

        async def gone() -> bool:
            return not topics & set(await admin.list_topics()) and int(time.time()) > begun

        await until(gone)
    finally:
        await admin.close()


async def test_the_largest_message_stops_nobody(kafka_settings: Settings) -> None:
    settings = kafka_settings
    room = (1 << 20) - 4096
    readable = delivery(XK_NR="准" * (room // 3))
    grows = delivery(envelope={"more": 0}).replace(
        b'"more":0', b'"more":[' + b"1e15," * (room // 5 - 400) + b"1]"
    )
    poison = b"{" * room
    async with working(settings):
        await deliver(settings, readable, grows, poison, delivery())
        await admitted(settings)
        outcome = await assert_equal_to_oracle(settings)
        async with Rejects.opened(settings) as rejects:
            assert [each.value for each in await rejects.all()] == [poison]
    (state,) = outcome.states.values()
    assert state.version + state.duplicates == 3


# -- rejects


async def test_a_reject_put_back_is_a_message_of_its_own(kafka_settings: Settings) -> None:
    settings = kafka_settings
    async with working(settings):
        await deliver(settings, delivery(op=Op.WITHDRAW))
        await admitted(settings)
        await deliver(settings, delivery())
        await submit(settings, [Message(b"short", b"poison", [("trace", b"\xff")])])
        await admitted(settings)
        async with Rejects.opened(settings) as rejects:
            unknown, poison = await rejects.all()
            assert (unknown.rule, poison.rule) == ("withdraw-unknown", "key")
            assert rejects.returnable(unknown)
            await rejects.redrive(unknown)
            await rejects.redrive(poison)
            await all_committed(settings)
            found = await rejects.all()
            assert [(each.id, each.redriven) for each in found[:2]] == [
                (unknown.id, True),
                (poison.id, True),
            ]
            assert not rejects.returnable(found[0])
            # What is still poison is rejected again, as it was.
            (again,) = found[2:]
            assert (again.key, again.value, again.headers) == (
                (poison.key, poison.value, poison.headers)
            )
            assert rejects.returnable(again)
        outcome = await assert_equal_to_oracle(settings)
    (state,) = outcome.states.values()
    assert state.withdrawn


# -- pages


async def test_the_metrics_tell_counts_and_lag_and_nobodys_number(settings: Settings) -> None:
    natural: dict[str, Any] = {
        "XK_XDR_LB": "自然人",
        "XK_XDR_MC": "张小明",
        "XK_XDR_ZJLX": "身份证",
        "XK_XDR_ZJHM": RESIDENT_ID,
    }
    async with working(settings) as worker:
        await submit_and_wait(
            settings,
            [
                keyed(delivery()),
                keyed(delivery(**natural)),
                keyed(delivery(XK_WSH="武夏行审许〔2022〕13号", XK_NR="测试")),
                keyed(delivery()),
                Message(RESIDENT_ID.encode(), RESIDENT_ID.encode()),
                Message(bytes(16), delivery(unit=RESIDENT_ID)),
            ],
        )
        await assert_equal_to_oracle(settings)
        await until(lambda: worker.rollup.pending() and lag(worker) == 0)

        async def rejects_seen() -> bool:
            return (await samples(settings)).get('xinshao_rejects_total{rule="unit"}') == 1

        await until(rejects_seen)
        found = await samples(settings)
        about = 'unit="江夏区"'
        for name, count in {
            f'xinshao_unit_reported_records{{category="licence",{about},window="month"}}': 3,
            f'xinshao_unit_compliant_records{{category="licence",{about},window="7d"}}': 2,
            f'xinshao_unit_duplicates_records{{category="licence",{about},window="30d"}}': 1,
            f'xinshao_unit_pending_records{{category="licence",due="later",{about}}}': 1,
            'xinshao_submissions_total{effect="new"}': 3,
            'xinshao_submissions_total{effect="duplicate"}': 1,
            'xinshao_rejects_total{rule="key"}': 1,
            "xinshao_rejects_recent": 2,
            "xinshao_rejects_limit": 100,
            "xinshao_verdict_latency_seconds_count": 6,
        }.items():
            assert found[with_labels_in_order(name, found)] == count, name
        lags = [value for name, value in found.items() if name.startswith("xinshao_lag_records")]
        assert lags
        assert set(lags) == {0}
        for path in ("/metrics", "/", "/health/alive", "/health/ready", "/health/progress"):
            _, text = await page(settings, path)
            for personal in (RESIDENT_ID, "小明", COMPANY, CREDIT_CODE):
                assert personal not in text
            assert not re.search(r'="[^"\n]*\d{13}', text)


def with_labels_in_order(name: str, among: Iterable[str]) -> str:
    """The name of the same sample as it is written on the page."""

    def parts(sample: str) -> tuple[str, frozenset[str]]:
        name, _, labels = sample.rstrip("}").partition("{")
        return name, frozenset(labels.split(","))

    return next(each for each in among if parts(each) == parts(name))


async def test_the_pages_tell_alive_ready_and_stuck_apart(
    kafka_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = kafka_settings
    restored, written = asyncio.Event(), asyncio.Event()
    write = LogWriter.write

    async def restore_late(*given: Any) -> Restored:
        await restored.wait()
        return await restore(*given)

    async def write_late(
        self: LogWriter, topic: str, partition: int, messages: Sequence[Message]
    ) -> int:
        if topic == settings.topic(VERDICTS) and is_record_key(messages[0].key):
            await written.wait()
        return await write(self, topic, partition, messages)

    monkeypatch.setattr(judging, "restore", restore_late)
    monkeypatch.setattr(LogWriter, "write", write_late)

    async def tells(path: str, status: int, *partitions: int) -> bool:
        answer, text = await page(settings, path)
        names = [f"{settings.topic(SUBMISSIONS)}[{number}]" for number in partitions]
        told = orjson.loads(text)
        return (answer, sorted(told["partitions"]), told["ok"]) == (status, names, status == 200)

    settings = settings.model_copy(update={"stuck_after": 1.5})
    async with working(settings):
        await until(lambda: tells("/health/ready", 503, 0, 1, 2, 3))
        # A restore that lasts is work that waits as well.
        await until(lambda: tells("/health/progress", 503, 0, 1, 2, 3))
        assert await tells("/health/alive", 200)
        restored.set()
        await until(lambda: tells("/health/ready", 200))
        await until(lambda: tells("/health/progress", 200))
        message = keyed(delivery())
        (partition, _), *_ = placed([message], 4)
        await submit(settings, [message])
        await until(lambda: tells("/health/progress", 503, partition))
        assert await tells("/health/alive", 200)
        assert await tells("/health/ready", 200)
        written.set()
        await until(lambda: tells("/health/progress", 200))


# -- rollup


async def test_a_late_tally_of_a_replaced_worker_changes_nothing(settings: Settings) -> None:
    async with working(settings) as worker:
        await submit_and_wait(settings, Deliveries(5).take(200))
        expected = await assert_equal_to_oracle(settings)
        everything = by_duty(expected.tallies)
        await until(lambda: worker.rollup.between(date.min, date.max) == everything)
        epoch = await log_epoch(settings, settings.topic(SUBMISSIONS))
        late = []
        for partition, records in (await read_log(settings, TALLIES)).items():
            for record in records:
                key = TallyKey.decode(record.key or b"")
                value = TallyValue.decode(key, record.value or b"")
                if isinstance(key.counted, Bucket):
                    stale = value._replace(
                        position=Position(epoch, value.position.offset - 1),
                        counts=Tally(reported=999),
                    )
                    ancient = stale._replace(position=Position(epoch - 1, 10**9))
                    late += [
                        (partition, Message(record.key, each.encode())) for each in (stale, ancient)
                    ]
        # What is told last shows that all before it was read.
        seen = PlatformSeen("last")
        last = [
            (
                partition,
                Message(
                    TallyKey(0, seen._replace(platform=f"last-{partition}")).encode(),
                    TallyValue(Position(epoch, 1), 1.0).encode(),
                ),
            )
            for partition in range(4)
        ]
        async with writing(settings) as writer:
            await writer.write_all(settings.topic(TALLIES), late)
            await writer.write_all(settings.topic(TALLIES), last)
        await until(lambda: {f"last-{n}" for n in range(4)} <= worker.rollup.platforms().keys())
        assert worker.rollup.between(date.min, date.max) == everything
        assert len(late) > 20


# -- restore


class Restores:
    """How many verdicts the restores read, by the worker's own words."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "streams.judging.judge")
        self._caplog = caplog

    def read(self) -> int:
        """What was read since it was last asked for."""
        told = re.findall(r"分区 \d 就绪，读取研判 (\d+) 条", self._caplog.text)
        self._caplog.clear()
        return sum(map(int, told))


async def ready(worker: Worker) -> None:
    await until(lambda: held(worker) == {0, 1, 2, 3})


@pytest.fixture
def restores(caplog: pytest.LogCaptureFixture) -> Restores:
    return Restores(caplog)


async def verdicts(settings: Settings) -> int:
    records = (await read_log(settings, VERDICTS)).values()
    return sum(is_record_key(record.key) for log in records for record in log)


async def test_a_restart_reads_only_what_came_since(
    kafka_settings: Settings, restores: Restores
) -> None:
    settings = kafka_settings
    coming = Deliveries(6)
    async with working(settings) as worker:
        await submit_and_wait(settings, coming.take(300))
    assert restores.read() == 0
    first = await verdicts(settings)
    async with working(settings) as worker:
        await ready(worker)
    assert restores.read() == 0
    async with working(another(settings)) as worker:
        await submit_and_wait(settings, coming.take(200))
    assert restores.read() == first
    second = await verdicts(settings)
    async with working(settings) as worker:
        await ready(worker)
        assert restores.read() == second - first
        await submit_and_wait(settings, coming.take(200))
        await assert_equal_to_oracle(settings)


def lose(state: Path) -> None:
    shutil.rmtree(state)


def tear_manifest(state: Path) -> None:
    for path in state.glob("MANIFEST-*"):
        path.write_bytes(path.read_bytes()[:-30] + b"\x00" * 30)


def tear_tables(state: Path) -> None:
    tables = [*state.glob("*.sst")]
    assert tables
    for path in tables:
        path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize("harm", [lose, tear_manifest, tear_tables])
async def test_a_missing_or_torn_checkpoint_costs_a_full_read_and_no_more(
    kafka_settings: Settings, restores: Restores, harm: Callable[[Path], None]
) -> None:
    settings = kafka_settings
    coming = Deliveries(7)
    async with working(settings):
        await submit_and_wait(settings, coming.take(300))
    everything = await verdicts(settings)
    restores.read()
    harm(settings.data / "state")
    async with working(settings) as worker:
        await ready(worker)
        assert restores.read() == everything
        await submit_and_wait(settings, coming.take(200))
        await assert_equal_to_oracle(settings)


@pytest.mark.parametrize("checkpoint", [True, False], ids=["checkpoint", "full-read"])
async def test_a_stale_verdict_written_late_is_passed_over(
    kafka_settings: Settings, checkpoint: bool
) -> None:
    settings = kafka_settings
    message = keyed(delivery())
    (partition, _), *_ = placed([message], 4)
    async with working(settings):
        await submit_and_wait(settings, [message, keyed(delivery(XK_NR="测试"))])
    first, _second = [
        record
        for record in (await read_log(settings, VERDICTS))[partition]
        if is_record_key(record.key)
    ]
    async with writing(settings) as writer:
        late = [Message(first.key, first.value)]
        await writer.write(settings.topic(VERDICTS), partition, late)
    async with working(settings if checkpoint else another(settings)):
        await submit_and_wait(settings, [keyed(delivery(XK_NR="测试"))])
        outcome = await assert_equal_to_oracle(settings)
    (state,) = outcome.states.values()
    # Held against the stale one it would be one more correction.
    assert (state.corrections, state.duplicates) == (1, 1)


@pytest.mark.parametrize(
    "names", [(SUBMISSIONS,), (SUBMISSIONS, VERDICTS, TALLIES, REJECTS)], ids=["one", "all"]
)
async def test_a_new_log_begins_a_new_epoch(
    kafka_settings: Settings, names: tuple[str, ...]
) -> None:
    settings = kafka_settings
    coming = Deliveries(8, subjects=30)
    async with working(settings):
        await submit_and_wait(settings, coming.take(300))
        before = await assert_equal_to_oracle(settings)
    await delete(settings, *names)
    kept = before.states if names == (SUBMISSIONS,) else {}
    async with working(settings) as worker:
        # Fewer than before: by offset alone each would count as applied already.
        await submit_and_wait(settings, coming.take(100))
        if kept:
            # Rejects of the old log are still there.
            told = await assert_equal_to_oracle(settings, kept, before.rejects)
        else:
            told = await assert_equal_to_oracle(settings)
        assert told.states != before.states
        await until(lambda: worker.rollup.between(date.min, date.max) == by_duty(told.tallies))


async def test_a_checkpoint_of_a_log_that_is_gone_is_not_used(kafka_settings: Settings) -> None:
    settings = kafka_settings
    coming = Deliveries(9, subjects=60)
    async with working(settings):
        await submit_and_wait(settings, coming.take(100))
    await delete(settings, SUBMISSIONS, VERDICTS, TALLIES, REJECTS)
    # The new log is longer than the old one was: the offset alone would not tell.
    async with working(another(settings)):
        await submit_and_wait(settings, coming.take(300))
    async with working(settings):
        await submit_and_wait(settings, coming.take(100))
        await assert_equal_to_oracle(settings)


async def test_the_state_of_closed_months_is_forgotten(tansu: Tansu, tmp_path: Path) -> None:
    settings = settings_for(tansu, tmp_path, clock="system", keep_months=2)
    today = datetime.now(SHANGHAI).replace(microsecond=0)
    long_ago = today - timedelta(days=100)

    def record(unit: str, number: int, received: datetime) -> Message:
        document = f"武综〔2022〕{number}号"
        return keyed(delivery(unit=unit, XK_WSH=document, XK_NR="测试", received_at=received))

    old, recent = record("黄陂区", 0, long_ago), record("江夏区", 0, today)
    # One more where the old one is: what is forgotten is told with what comes next.
    ((partition, _),) = placed([old], 4)
    others = (record("江夏区", number, today) for number in itertools.count(1))
    other = next(each for each in others if placed([each], 4)[0][0] == partition)
    async with working(settings):
        await submit_and_wait(settings, [old, recent])
    async with working(settings) as worker:
        await until(lambda: pending(worker) == {"黄陂区": 1, "江夏区": 1})
        await submit_and_wait(settings, [other])
        await until(lambda: pending(worker) == {"黄陂区": 0, "江夏区": 2})
        await submit_and_wait(settings, [old, recent])
    versions: dict[bytes, list[tuple[int, int]]] = {}
    for message in itertools.chain(*(await read_log(settings, VERDICTS)).values()):
        if is_record_key(message.key):
            state = decode_verdict(message.value or b"").state
            versions.setdefault(message.key, []).append((state.version, state.duplicates))
    # The one of a closed month looks new, the other one is known.
    assert versions[old.key or b""] == [(1, 0), (1, 0)]
    assert versions[recent.key or b""] == [(1, 0), (1, 1)]


def pending(worker: Worker) -> dict[str, int]:
    """Pending records by unit, as the rollup has them."""
    return {duty.unit: sum(by.values()) for duty, by in worker.rollup.pending().items()}
