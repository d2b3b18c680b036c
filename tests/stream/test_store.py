"""From the log into the store, back out of it, and held against each other."""

import asyncio
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from models.bulletin import Activity
from models.month import Month
from models.submission import Position
from models.tally import NOTHING, Bucket, Duty, Tally
from models.words import IN_TOTAL, SHANGHAI, Category
from streams.counting.sink import RESTORED
from streams.log.topics import (
    REJECTS,
    SUBMISSIONS,
    TALLIES,
    VERDICTS,
    core_topics,
    ensure_topics,
    log_epoch,
    partition_of,
)
from streams.log.writer import Message
from streams.settings import Settings
from streams.store.client import Store
from streams.store.errors import RefusedError, SchemaBehindError, StoreUnavailableError
from streams.store.figures import StoredFigures
from streams.upkeep.migrate import migrate, outstanding
from streams.upkeep.reconcile import reconcile
from streams.upkeep.restore import RecoverError, recover
from streams.watch.collectors import window_start
from streams.worker import working
from tests.support.clickhouse import (
    READER,
    ClickHouse,
    assert_equal_to_log,
    tallies_in,
)
from tests.support.oracle import (
    Deliveries,
    Outcome,
    another,
    assert_equal_to_oracle,
    judged,
    keyed,
    read_log,
    told_by_stream,
    writing,
)
from tests.support.samples import delivery

MAY = datetime(2022, 5, 9, 9, tzinfo=SHANGHAI)


def elsewhere(settings: Settings, **given: Any) -> Settings:
    """Settings of a new log over the same store."""
    name = f"{settings.namespace}-again"
    return another(settings, namespace=name, **given)


async def restored(settings: Settings, store: Store) -> None:
    async with writing(settings) as writer:
        await recover(settings, store, writer)


async def test_what_is_in_the_log_is_in_the_store(settings: Settings, store: Store) -> None:
    coming = Deliveries(11, subjects=150)
    async with working(settings) as worker:
        await judged(settings, worker, coming.take(500))
        await judged(settings, worker, coming.take(500))
        told = await assert_equal_to_log(settings, store)
        await assert_equal_to_oracle(settings)
    assert told.pending
    assert told.rejects
    assert any(state.withdrawn for state in told.states.values())


async def test_what_comes_again_changes_nothing(settings: Settings, store: Store) -> None:
    async with working(settings) as worker:
        await judged(settings, worker, Deliveries(12, subjects=80).take(400))
    # A group of another name reads all of it once more, into the same tables.
    again = another(settings)
    async with writing(settings) as writer:
        for name in (VERDICTS, TALLIES, REJECTS):
            for partition, records in (await read_log(settings, name)).items():
                repeats = [Message(r.key, r.value, r.headers) for r in records[:200]]
                await writer.write(settings.topic(name), partition, repeats)
    async with working(again) as worker:
        await worker.during(worker.stored())
        await assert_equal_to_log(settings, store)


async def test_a_refused_row_goes_to_rejects_and_holds_up_nothing(
    settings: Settings, store: Store
) -> None:
    async with working(settings) as worker:
        await judged(settings, worker, Deliveries(13).take(200))
        verdicts = (await read_log(settings, VERDICTS))[0]
        good = orjson.loads(next(r.value for r in verdicts if r.value and len(r.key or b"") == 16))
        epoch, offset = good["position"]
        messages = []
        for number in range(1000):
            key = number.to_bytes(16)
            position = [epoch, offset + 1000 + number]
            given = {**good, "record_key": key.hex(), "position": position}
            messages.append(Message(key, orjson.dumps(given)))
        bad = (
            b"nonsense",
            orjson.dumps({**good, "day": "0001-01-01"}),
            orjson.dumps({**good, "position": None}),
            orjson.dumps({**good, "received_at": "9999-01-01T00:00:00+08:00"}),
        )
        for place, value in zip((0, 1, 500, 1003), bad, strict=True):
            messages.insert(place, Message(bytes(16), value))
        ((before,),) = store.rows("SELECT count() FROM records_now")
        async with writing(settings) as writer:
            await writer.write(settings.topic(VERDICTS), 0, messages)
        # What the store refused of the verdicts is among the rejects, which it stores last.
        await worker.during(worker.stored())
        assert store.rows("SELECT count() FROM records_now") == [(before + 1000,)]
        refused = store.rows("SELECT topic, message FROM rejects_now WHERE rule = 'store'")
        assert len(refused) == len(bad)
        for topic, message in refused:
            assert topic == settings.topic(VERDICTS)
            assert "数据库不接受" in message
            assert "nonsense" not in message


async def test_rolling_figures_equal_a_recount(settings: Settings, store: Store) -> None:
    async with working(settings) as worker:
        await judged(settings, worker, Deliveries(14).take(1500))
        told = await assert_equal_to_log(settings, store)
    days = sorted({bucket.day for bucket in told.tallies})
    assert len(days) > 5
    for as_of in (days[0] - timedelta(1), days[0], days[3], days[-1], days[-1] + timedelta(40)):
        expected = {
            (period, duty): tally
            for period in ("month", "7d", "30d", "year")
            for duty, tally in between(told, first_of(period, as_of), as_of).items()
        }
        rolling = {
            (period, Duty(unit, Category(category))): (Tally(*counts), *rates)
            for period, unit, category, *counts, compliance, timeliness in store.rows(
                "SELECT * FROM rolling(as_of = {as_of:Date})", as_of=as_of
            )
            for rates in [(compliance, timeliness)]
            if any(counts)
        }
        assert rolling == {
            key: (tally, as_float(tally.compliance_rate), as_float(tally.timeliness_rate))
            for key, tally in expected.items()
        }
        units = {
            (period, unit): counts
            for period, unit, *counts in store.rows(
                "SELECT period, unit, reported, timely"
                " FROM rolling_units(as_of = {as_of:Date}, categories = {in_total:Array(String)})"
                " WHERE reported > 0",
                as_of=as_of,
                in_total=[*IN_TOTAL],
            )
        }
        assert units == {
            key: [tally.reported, tally.timely]
            for key, tally in summed(
                ((period, duty.unit), tally)
                for (period, duty), tally in expected.items()
                if duty.category in IN_TOTAL
            ).items()
            if tally.reported
        }
        city = {
            (period, category): counts
            for period, category, *counts in store.rows(
                "SELECT period, category, reported, late"
                " FROM rolling_city(as_of = {as_of:Date}) WHERE reported > 0",
                as_of=as_of,
            )
        }
        assert city == {
            key: [tally.reported, tally.late]
            for key, tally in summed(
                ((period, duty.category.value), tally) for (period, duty), tally in expected.items()
            ).items()
            if tally.reported
        }


def first_of(period: str, as_of: date) -> date:
    return date(as_of.year, 1, 1) if period == "year" else window_start(as_of, period)


def between(told: Outcome, first: date, last: date) -> dict[Duty, Tally]:
    return summed(
        (Duty(bucket.unit, bucket.category), tally)
        for bucket, tally in told.tallies.items()
        if first <= bucket.day <= last and tally != NOTHING
    )


def summed(counted: Iterable[tuple[Any, Tally]]) -> dict[Any, Tally]:
    total: dict[Any, Tally] = {}
    for key, tally in counted:
        total[key] = total.get(key, NOTHING).plus(tally)
    return total


def as_float(percent: Decimal | None) -> float | None:
    return None if percent is None else float(percent)


async def test_what_was_known_then_is_known_still(settings: Settings, store: Store) -> None:
    async with working(settings) as worker:
        await judged(settings, worker, Deliveries(15, subjects=40).take(800))
    newest: dict[date, dict[str, tuple[Position, bool]]] = {}
    verdicts = [r for run in (await read_log(settings, VERDICTS)).values() for r in run]
    given = [orjson.loads(r.value or b"") for r in verdicts if len(r.key or b"") == 16]
    for as_of in (date(2022, 6, 3), date(2022, 6, 5), date(2022, 6, 30)):
        known = newest.setdefault(as_of, {})
        for verdict in given:
            position = Position(*verdict["position"])
            before = known.get(verdict["record_key"], (Position(0, -1), False))
            if verdict["received_at"][:10] <= as_of.isoformat() and position >= before[0]:
                known[verdict["record_key"]] = (position, verdict["compliant"])
        told = store.rows(
            "SELECT record_key, compliant FROM records_known(as_of = {as_of:Date})", as_of=as_of
        )
        assert dict(told) == {key: compliant for key, (_position, compliant) in known.items()}
    assert newest[date(2022, 6, 5)] != newest[date(2022, 6, 30)]


async def test_late_and_pending_by_deadline(settings: Settings, store: Store) -> None:
    async with working(settings) as worker:
        await judged(settings, worker, Deliveries(16).take(600))
        told = await assert_equal_to_log(settings, store)
    as_of = date(2022, 7, 15)
    late: dict[tuple[str, str, date], list[int]] = {}
    for state in told.states.values():
        if state.withdrawn or state.deadline is None:
            continue
        if state.timely is False and state.compliant:
            late.setdefault((state.unit, state.category.value, state.deadline), [0, 0])[0] += 1
        elif not state.compliant and state.deadline < as_of:
            late.setdefault((state.unit, state.category.value, state.deadline), [0, 0])[1] += 1
    assert late
    assert late == {
        (unit, category, deadline): counts
        for unit, category, deadline, *counts in store.rows(
            "SELECT * FROM late_by_deadline(as_of = {as_of:Date})", as_of=as_of
        )
    }


async def test_annex_3_lists_the_publicity_that_is_compliant(
    settings: Settings, store: Store
) -> None:
    june = Month(2022, 6)
    async with working(settings) as worker:
        told = [
            delivery(Category.PUBLICITY, BZ="专栏"),
            delivery(Category.PUBLICITY, GJ_BT="信用进社区", WZLJ="没有链接"),
            delivery(Category.PUBLICITY, GJ_BT="五月的", received_at=MAY, HD_RQ="2022-05-06"),
            delivery(),
        ]
        await judged(settings, worker, map(keyed, told))
    link = "https://news.example/2022/06/01/credit.html"
    expected = (Activity("江夏区", "长江日报", "诚信宣传进校园", link, "专栏"),)
    assert StoredFigures(store).figures(june).activities == expected


# -- back into the log


@pytest.mark.parametrize("partitions", [4, 6])
async def test_restored_it_goes_on_as_before(
    settings: Settings, store: Store, partitions: int
) -> None:
    """Also with more partitions: the store knows of none."""
    coming = Deliveries(17, subjects=120)
    async with working(settings) as worker:
        await judged(settings, worker, coming.take(700))
        before = await assert_equal_to_log(settings, store)
    # The epoch of a log is the second of its birth.
    await asyncio.sleep(1.1)
    new = elsewhere(settings, partitions=partitions)
    await restored(new, store)
    verdicts = [r for run in (await read_log(new, VERDICTS)).values() for r in run]
    tallies = [r for run in (await read_log(new, TALLIES)).values() for r in run]
    after = told_by_stream(verdicts, tallies, [])
    assert all(r.partition == partition_of(r.key or b"", partitions) for r in verdicts)
    assert after.states == before.states
    assert live(after) == live(before)
    assert after.pending == before.pending

    async with working(new) as worker:
        await judged(new, worker, coming.take(500))
        # By the oracle, which goes on from the states before.
        told = await assert_equal_to_oracle(new, before.states)
        assert tallies_in(store, "records_daily") == live(told)
        assert tallies_in(store, "tallies_daily") == live(told)
        assert not await reconcile(Month(2022, 6), store, new)
    assert told.states != before.states


def live(outcome: Outcome) -> dict[Bucket, Tally]:
    return {bucket: tally for bucket, tally in outcome.tallies.items() if tally != NOTHING}


async def test_only_an_empty_log_is_restored_into(settings: Settings, store: Store) -> None:
    coming = Deliveries(18, subjects=50)
    async with working(settings) as worker:
        await judged(settings, worker, coming.take(200))
    with pytest.raises(RecoverError, match="已有研判结果"):
        await restored(settings, store)
    await asyncio.sleep(1.1)
    new = elsewhere(settings)
    # Broken off after some of it, it is done again.
    await ensure_topics(new, core_topics(new))
    line = store.lines("SELECT * FROM verdicts_now LIMIT 1")[0]
    key = bytes.fromhex(orjson.loads(line)["record_key"])
    async with writing(new) as writer:
        message = Message(key, line, [(RESTORED, b"")])
        await writer.write(new.topic(VERDICTS), partition_of(key, new.partitions), [message])
    await restored(new, store)
    async with working(new) as worker:
        await judged(new, worker, coming.take(50))
    with pytest.raises(RecoverError, match="已有研判结果"):
        await restored(new, store)


async def test_a_log_older_than_the_store_is_refused(settings: Settings, store: Store) -> None:
    async with working(settings) as worker:
        await judged(settings, worker, Deliveries(19).take(50))
    line = orjson.loads(store.lines("SELECT * FROM verdicts_now LIMIT 1")[0])
    line["position"][0] += 10_000
    store.insert("verdicts", [orjson.dumps(line)])
    with pytest.raises(RecoverError, match="时钟"):
        await restored(elsewhere(settings), store)


# -- held against each other


async def test_every_difference_is_found_with_its_records(settings: Settings, store: Store) -> None:
    async with working(settings) as worker:
        await judged(settings, worker, Deliveries(20).take(400))
        assert await reconcile(Month(2022, 6), store, settings) == []
    lines = [orjson.loads(line) for line in store.lines("SELECT * FROM verdicts_now")]
    kept = next(line for line in lines if line["compliant"] and not line["withdrawn"])
    epoch = await log_epoch(settings, settings.topic(SUBMISSIONS))
    # A record that nobody sent, one that was lost, and a count that is wrong.
    alien = {**kept, "record_key": "ab" * 16, "day": "2022-06-27", "position": [epoch, 10**6]}
    store.insert("verdicts", [orjson.dumps(alien)])
    lost = next(line for line in lines if line["day"] != kept["day"] and not line["withdrawn"])
    where = f"lower(hex(record_key)) = '{lost['record_key']}' SETTINGS mutations_sync = 1"
    store.command(f"ALTER TABLE records DELETE WHERE {where}")
    wrong = {"partition": 0, "unit": "黄陂区", "category": "licence", "day": "2022-06-29"}
    count = {"epoch": epoch, "offset": 10**6, "reported": 7, "compliant": 7}
    store.insert("tallies", [orjson.dumps({**wrong, **count})])
    for log in (settings, None):
        found = {each.bucket: each for each in await reconcile(Month(2022, 6), store, log)}
        added = found.pop(bucket_of(alien))
        assert added.counted.reported - added.stored.reported == 1
        assert added.records == (("ab" * 16,) if log else ())
        gone = found.pop(bucket_of(lost))
        assert gone.stored.reported - gone.counted.reported == 1
        assert gone.records == (lost["record_key"],)
        counted = found.pop(Bucket("黄陂区", Category.LICENCE, date(2022, 6, 29)))
        assert (counted.stored, counted.records) == (Tally(7, 7), ())
        assert counted.live == (NOTHING if log else None)
        assert not found
    assert await reconcile(Month(2022, 7), store, settings) == []


def bucket_of(verdict: dict[str, str]) -> Bucket:
    day = date.fromisoformat(verdict["day"])
    return Bucket(verdict["unit"], Category(verdict["category"]), day)


def test_a_reader_needs_no_right_to_change_anything(tmp_path: Path) -> None:
    server = ClickHouse(tmp_path / "server").start()
    try:
        settings = Settings(clickhouse=server.address)
        reader = settings.model_copy(update={"clickhouse_user": READER})
        with pytest.raises(StoreUnavailableError, match="ACCESS_DENIED"):
            migrate(reader)
        with pytest.raises(SchemaBehindError, match="xinshao migrate"):
            Store.open(reader)
        migrate(settings)
        with Store.open(reader) as store:
            assert StoredFigures(store).frozen_months() == []
            with pytest.raises(StoreUnavailableError, match="ACCESS_DENIED"):
                store.insert("platforms", [b"{}"])
        assert not outstanding(reader)
    finally:
        server.kill()


def test_a_row_that_is_refused_takes_none_of_its_insert_along(store: Store) -> None:
    row = {"platform": "a", "partition": 0, "epoch": 1, "offset": 1, "seen": 1.5}
    with pytest.raises(RefusedError):
        store.insert("platforms", [orjson.dumps(row), orjson.dumps({**row, "seen": "never"})])
    assert store.rows("SELECT count() FROM platforms") == [(0,)]
    store.insert("platforms", [orjson.dumps(row)])
    assert store.rows("SELECT platform FROM platforms_now") == [("a",)]
