"""What a worker tells of its units, from the tallies that it rolls up."""

from datetime import date, datetime
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client.core import Metric

from models.submission import START, Position
from models.tally import NOTHING, Bucket, Tally
from models.words import SHANGHAI, Category
from streams.clock import DataClock
from streams.counting.rollup import Rollup
from streams.log.source import Batch
from streams.log.wire import PlatformSeen, TallyKey, TallyValue
from streams.meters import UNIT_COUNTS
from streams.watch.collectors import UnitCollector
from tests.support.deployed import CALENDAR

ONE = Tally(1, 1, 1)


def message(counted: Bucket | PlatformSeen, counts: Tally | float, at: int = 0) -> Any:
    value = TallyValue(Position(1, at), counts)
    return SimpleNamespace(key=TallyKey(0, counted).encode(), value=value.encode())


def batch(partition: int, *messages: Any) -> Batch:
    return cast("Batch", SimpleNamespace(partition=partition, records=messages))


def of(unit: str, day: str, category: Category = Category.LICENCE) -> Bucket:
    return Bucket(unit, category, date.fromisoformat(day))


def told(rollup: Rollup, clock: DataClock) -> dict[str, dict[tuple[str, ...], float]]:
    families: list[Metric] = [*UnitCollector(rollup, CALENDAR, clock).collect()]
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
        for family in families
    }


def test_every_count_of_a_tally_has_its_metric() -> None:
    assert (*UNIT_COUNTS,) == Tally._fields


def test_silence_is_told_in_working_days() -> None:
    clock = DataClock()
    rollup = Rollup(clock)
    # The Dragon Boat Festival of 2022: 3 to 5 June. And what was more than 90 days ago.
    seen = datetime(2022, 6, 10, 23, tzinfo=SHANGHAI).timestamp()
    days = ("2022-01-04", "2022-03-31", "2022-06-02", "2022-06-06", "2022-06-09")
    rollup.fold(
        batch(
            1,
            *(message(of("江夏区", day), ONE) for day in days),
            message(of("江夏区", "2022-06-09", Category.PENALTY), ONE),
            message(of("江岸区", "2022-06-14"), ONE),
            message(PlatformSeen("p"), seen),
        )
    )
    found = told(rollup, clock)
    assert found["xinshao_unit_silent_working_days"] == {("江夏区",): 3, ("江岸区",): 0}
    usual = CALENDAR.working_days_between(date(2022, 3, 31), date(2022, 6, 2))
    assert found["xinshao_unit_usual_silence_working_days"] == {("江夏区",): usual}
    assert found["xinshao_platform_silent_working_days"] == {("p",): 2}
    assert found["xinshao_platform_last_submission_timestamp_seconds"] == {("p",): seen}
    # Of the 14 days of June, the last seven, and the last 30: without festival and weekends.
    assert found["xinshao_window_working_days"] == {("month",): 9, ("7d",): 5, ("30d",): 21}


def test_a_unit_is_forgotten_with_its_partition_and_with_its_counts() -> None:
    rollup = Rollup(DataClock())
    rollup.fold(batch(1, message(of("江夏区", "2022-06-09"), ONE)))
    rollup.fold(
        batch(
            2,
            message(of("江岸区", "2022-06-09"), ONE),
            message(of("江岸区", "2022-06-09", Category.PENALTY), ONE),
            message(of("江岸区", "2022-06-10"), ONE),
        )
    )
    rollup.fold(batch(2, message(of("江岸区", "2022-06-10"), NOTHING, at=1)))
    # Late: of no higher position, so it changes nothing.
    late = TallyValue(START, ONE).encode()
    key = TallyKey(0, of("江岸区", "2022-06-10")).encode()
    rollup.fold(batch(2, cast("Any", SimpleNamespace(key=key, value=late))))
    june = date(2022, 6, 9)
    assert rollup.receipt_days() == {"江夏区": [june], "江岸区": [june]}
    rollup.revoked(1)
    rollup.revoked(1)
    assert rollup.receipt_days() == {"江岸区": [june]}
    assert {duty.unit for duty in rollup.between(june, june)} == {"江岸区"}
