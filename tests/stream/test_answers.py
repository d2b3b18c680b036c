"""What the store answers a unit is what the judge said, held against the oracle."""

from datetime import date
from typing import Any

import pytest

from models.month import Month
from models.tally import NOTHING, Tally
from models.verdict import RecordState
from models.words import IN_TOTAL, Category, UnitKind
from streams.log.writer import Message
from streams.settings import Settings
from streams.store.answers import NEVER, Answers, Cursor, PendingRecord
from streams.store.client import Store
from streams.worker import Worker, working
from tests.support.oracle import (
    Deliveries,
    Outcome,
    assert_equal_to_oracle,
    calendar_of,
    judged,
    keyed,
    registry_of,
)
from tests.support.samples import RECEIVED, delivery

TODAY = date(2022, 6, 15)


@pytest.fixture
def answers(settings: Settings, store: Store) -> Answers:
    return Answers(store, registry_of(settings.registry), calendar_of(settings.registry))


async def in_rounds(settings: Settings, worker: Worker, messages: list[Message]) -> Outcome:
    """Submit in several rounds, each a part of its own in the store; then ask the oracle."""
    for start in range(0, len(messages), 300):
        await judged(settings, worker, messages[start : start + 300])
    return await assert_equal_to_oracle(settings)


def pages(answers: Answers, unit: str, limit: int) -> list[PendingRecord]:
    found: list[PendingRecord] = []
    after = None
    while True:
        page = answers.pending(unit, TODAY, limit, after)
        assert len(page.records) <= limit
        found += page.records
        if page.next is None:
            assert page.total == len(found)
            return found
        after = Cursor.parse(page.next)


async def test_pending_pages_hold_every_pending_record_once_the_nearest_deadline_first(
    settings: Settings, answers: Answers
) -> None:
    async with working(settings) as worker:
        outcome = await in_rounds(settings, worker, Deliveries(21, subjects=120).take(900))

    def due(key: bytes, state: RecordState) -> tuple[date, bytes]:
        return state.deadline or NEVER, key

    moved = 0
    for unit in {state.unit for state in outcome.states.values()}:
        states = {key: s for key, s in outcome.states.items() if s.unit == unit}
        expected = sorted(due(key, s) for key, s in states.items() if s.pending)
        moved += sum(s.compliant and s.version > 1 for s in states.values())
        for limit in (1, 7, 500):
            found = pages(answers, unit, limit)
            assert [(r.deadline or NEVER, bytes.fromhex(r.record_key)) for r in found] == expected
        calendar = calendar_of(settings.registry)
        for record in found:
            assert record.reasons
            assert record.overdue == (record.deadline is not None and record.deadline < TODAY)
            if record.deadline is not None and not record.overdue:
                left = calendar.working_days_between(TODAY, record.deadline)
                assert record.days_left == left
    assert moved, "no record was mended: superseded versions were not tried"


async def test_a_summary_and_the_ranking_count_as_the_oracle_does(
    settings: Settings, answers: Answers
) -> None:
    async with working(settings) as worker:
        outcome = await in_rounds(settings, worker, Deliveries(22).take(600))
    june = Month(2022, 6)
    counted: dict[tuple[str, Category], Tally] = {}
    for bucket, tally in outcome.tallies.items():
        if june.first <= bucket.day <= june.last:
            place = bucket.unit, bucket.category
            counted[place] = counted.get(place, NOTHING).plus(tally)
    assert counted
    for unit in {unit for unit, _ in counted}:
        summary = answers.summary(unit, june)
        mine = {each: tally for (of, each), tally in counted.items() if of == unit}
        assert summary.total == sum(t.reported for c, t in mine.items() if c in IN_TOTAL)
        for told in summary.categories:
            tally = mine.pop(told.category)
            assert {n: getattr(told, n) for n in tally._fields} == tally._asdict()
            assert told.pending == tally.pending
            rate = tally.compliance_rate
            assert told.compliance.percent == (None if rate is None else float(rate))
            if told.category is Category.LICENCE and rate is not None and tally.reported >= 5:
                level = "critical" if rate < 95 else "warning" if rate < 98 else "ok"
                assert told.compliance.level == level
        assert not any(mine.values())
    ranking = answers.ranking(june)
    assert not ranking.published
    ranked = {
        (group.category, unit.unit): unit.compliance
        for group in ranking.groups
        for unit in group.units
    }
    for (unit, category), tally in counted.items():
        rate = tally.compliance_rate
        if category in (Category.LICENCE, Category.PENALTY) and rate is not None:
            kind = UnitKind.DISTRICT if unit.endswith("区") else UnitKind.DEPARTMENT
            better = {
                of
                for (of, each), other in counted.items()
                if each == category
                and (other.compliance_rate or 0) > rate
                and of.endswith("区") == (kind is UnitKind.DISTRICT)
            }
            told_rate = ranked[category, unit]
            assert (told_rate.percent, told_rate.rank) == (float(rate), len(better) + 1)


async def test_a_receipt_tells_what_its_submission_came_to_then_and_that_it_was_superseded(
    settings: Settings, answers: Answers
) -> None:
    def sent(id_: str, **given: Any) -> Message:
        return keyed(delivery(envelope={"id": id_, "platform": "jiangxia-tong"}, **given))

    async with working(settings) as worker:
        await in_rounds(settings, worker, [sent("first", XK_ZT="9"), sent("again", XK_ZT="9")])
        before = answers.receipt("first")
        await in_rounds(
            settings, worker, [sent("mended"), sent("elsewhere", XK_WSH="武〔2022〕7号")]
        )
        broken = Message(bytes(16), delivery(unit="无此机构", envelope={"id": "bad"}))
        await in_rounds(settings, worker, [broken])
    assert before is not None
    assert (before.platform, before.unit) == ("jiangxia-tong", "江夏区")
    told = {}
    for id_ in ("first", "again", "mended", "elsewhere"):
        owned = answers.receipt(id_)
        assert owned is not None
        receipt, verdict = owned.receipt, owned.receipt.verdict
        assert verdict is not None
        assert (receipt.id, receipt.state, receipt.rejected) == (id_, "judged", None)
        assert receipt.received_at == RECEIVED
        told[id_] = (verdict.effect, verdict.compliant, receipt.superseded)
        assert [reason.field for reason in verdict.reasons] == (
            [] if verdict.compliant else ["XK_ZT"]
        )
    assert told == {
        "first": ("new", False, True),
        "again": ("duplicate", False, True),
        "mended": ("correction", True, False),
        "elsewhere": ("new", True, False),
    }
    rejected = answers.receipt("bad")
    assert rejected is not None
    assert (rejected.receipt.state, rejected.receipt.verdict) == ("rejected", None)
    assert rejected.receipt.rejected is not None
    assert "无此机构" not in rejected.platform
    assert rejected.unit is None
    assert answers.receipt("none") is None
