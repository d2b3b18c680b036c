"""The simulator: a published month as a plan, and the stream that leads to exactly that plan."""

from calendar import monthrange
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import orjson
import pytest

import streams.published.plan as plan_module
from models.docnumber import parse_document_number
from models.judging import identify, judge
from models.month import Month
from models.rates import RateKind
from models.records import SCHEMAS
from models.registry import DEFAULT_WINDOW
from models.rules import NATURAL_PERSON, RESIDENT_ID
from models.submission import Position, read_delivery
from models.verdict import RecordState
from models.words import IN_TOTAL, SHANGHAI, Category, Effect, Op
from streams.demo.simulate import Plan, submissions
from streams.demo.simulate.records import WRITERS, Draft
from streams.demo.simulate.rhythm import Rhythm
from streams.demo.simulate.slips import AMENDMENTS, SLIPS
from streams.demo.simulate.subjects import POPULATION, Issuer, subject
from streams.errors import InputError
from streams.published import PublishedCell, published_month
from streams.published.plan import TOTAL
from tests.support.deployed import CALENDAR, REGISTRY
from tests.support.samples import submitted

MONTH = Month(2022, 6)


class Replay:
    """What a judged stream comes to."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.states: dict[bytes, RecordState] = {}
        self.effects: Counter[Effect] = Counter()
        for offset, line in enumerate(lines):
            submission = submitted(line, REGISTRY, Position(1, offset))
            before = self.states.get(submission.record_key)
            verdict = judge(submission, before, REGISTRY, CALENDAR)
            self.states[verdict.record_key] = verdict.state
            self.effects[verdict.effect] += 1

    def counts(self) -> dict[tuple[str, Category], tuple[int, int, int]]:
        """Reported, compliant and timely of every cell."""
        counts: dict[tuple[str, Category], list[int]] = {}
        for state in self.states.values():
            if not state.withdrawn:
                cell = counts.setdefault((state.unit, state.category), [0, 0, 0])
                cell[0] += 1
                cell[1] += state.compliant
                cell[2] += state.compliant and state.timely is True
        return {cell: (found[0], found[1], found[2]) for cell, found in counts.items()}


def planned(plan: Plan) -> dict[tuple[str, Category], tuple[int, int, int]]:
    return {
        (cell.unit, cell.category): (cell.reported, cell.compliant, cell.timely)
        for cell in plan.cells
    }


# --- the plan ---------------------------------------------------------------------------------

WHOLE = Plan.of_month(MONTH)

FAULTS = {
    ("江岸区", Category.LICENCE, RateKind.COMPLIANCE): "不可能",
    ("江岸区", Category.LICENCE, RateKind.TIMELINESS): "无法核实",
    ("江岸区", Category.PENALTY, RateKind.COMPLIANCE): "截断",
    ("江岸区", Category.PENALTY, RateKind.TIMELINESS): "不可能",
    ("汉阳区", Category.PENALTY, RateKind.TIMELINESS): "截断",
    ("蔡甸区", Category.LICENCE, RateKind.TIMELINESS): "小数位",
}
"""docs/rules.md, section 7."""


def test_the_faults_are_those_of_the_published_tables() -> None:
    found = {
        (cell.unit, cell.category, kind): fault
        for cell in WHOLE.cells
        for kind, fault in (
            (RateKind.COMPLIANCE, cell.compliance_fault),
            (RateKind.TIMELINESS, cell.timeliness_fault),
        )
        if fault is not None
    }
    assert found.keys() == FAULTS.keys()
    for which, fault in found.items():
        assert FAULTS[which] in fault


def test_every_other_printed_rate_is_reproduced() -> None:
    deviating = {(each.cell.unit, each.cell.category, each.kind) for each in WHOLE.deviations}
    assert deviating == FAULTS.keys()
    assert sum(cell.published_compliance_rate is not None for cell in WHOLE.cells) == 59


def test_no_timely_record_is_not_compliant() -> None:
    assert all(0 <= cell.timely <= cell.compliant <= cell.reported for cell in WHOLE.cells)
    (statistics,) = (cell for cell in WHOLE.cells if cell.unit == "市统计局")
    assert (statistics.reported, statistics.compliant, statistics.timely) == (1, 1, 0)


@pytest.mark.parametrize(
    ("unit", "category", "count"),
    [("硚口区", Category.CONFIRMATION, 86), ("市交通运输局", Category.ENFORCEMENT, 1763)],
)
def test_lost_columns_are_marked_as_inferred(unit: str, category: Category, count: int) -> None:
    (cell,) = (each for each in WHOLE.cells if (each.unit, each.category) == (unit, category))
    assert (cell.reported, cell.compliant, cell.timely) == (count, count, count)
    assert cell.inferred is not None
    assert category.zh in cell.inferred


def test_the_plan_has_every_published_count_once() -> None:
    assert len(planned(WHOLE)) == len(WHOLE.cells)
    published = published_month(MONTH)
    assert WHOLE.reported == sum(cell.count for cell in published if cell.category != TOTAL)
    total = sum(cell.reported for cell in WHOLE.cells if cell.category in IN_TOTAL)
    assert total == sum(cell.count for cell in published if cell.category == TOTAL)


def test_a_total_that_does_not_add_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(month: Month) -> list[PublishedCell]:
        first, *rest = published_month(month)
        return [replace(first, count=first.count + 1), *rest]

    monkeypatch.setattr(plan_module, "published_month", wrong)
    with pytest.raises(ValueError, match="总报送量149360不符"):
        Plan.of_month(MONTH)


@pytest.mark.parametrize("scale", [0.001, 0.01, 0.1, 0.5])
def test_a_scaled_plan_keeps_counts_and_rates_as_near_as_whole_numbers_allow(scale: float) -> None:
    scaled = Plan.of_month(MONTH, scale)
    for cell, full in zip(scaled.cells, WHOLE.cells, strict=True):
        assert cell.reported >= 1
        assert cell.reported == 1 or abs(cell.reported - full.reported * scale) <= 0.5
        assert abs(cell.compliant - cell.reported * full.compliant / full.reported) <= 0.5
        assert abs(cell.timely - cell.compliant * full.timely / max(1, full.compliant)) <= 0.5
    points = [each.points for each in scaled.deviations]
    assert points == sorted(points, reverse=True)


def test_a_scale_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="scale"):
        Plan.of_month(MONTH, Decimal(0))


# --- the stream -------------------------------------------------------------------------------

TENTH = Plan.of_month(MONTH, 0.1)
HUNDREDTH = Plan.of_month(MONTH, 0.01)
THOUSANDTH = Plan.of_month(MONTH, 0.001)


@pytest.fixture(scope="module")
def tenth() -> list[bytes]:
    return list(submissions(TENTH, CALENDAR))


@pytest.mark.slow
def test_the_stream_comes_to_the_plan(tenth: list[bytes]) -> None:
    replay = Replay(tenth)
    assert replay.counts() == planned(TENTH)
    # The effects beyond the plan are there, or this would prove little.
    assert replay.effects[Effect.DUPLICATE] > 400
    assert replay.effects[Effect.CORRECTION] > 1000
    assert replay.effects[Effect.WITHDRAWN] > 50


@pytest.mark.parametrize("seed", range(2))
def test_the_stream_comes_to_the_plan_for_any_seed(seed: int) -> None:
    assert Replay(submissions(HUNDREDTH, CALENDAR, seed)).counts() == planned(HUNDREDTH)


def digest(lines: Iterable[bytes]) -> str:
    whole = sha256()
    for line in lines:
        whole.update(line + b"\n")
    return whole.hexdigest()


def test_the_same_seed_gives_the_same_bytes() -> None:
    first = digest(submissions(THOUSANDTH, CALENDAR, 7))
    assert first == digest(submissions(THOUSANDTH, CALENDAR, 7))
    assert first != digest(submissions(THOUSANDTH, CALENDAR, 8))


@pytest.fixture(scope="module")
def delivered() -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in submissions(HUNDREDTH, CALENDAR)]


def test_submissions_come_in_order_and_within_the_month(delivered: list[dict[str, Any]]) -> None:
    times = [datetime.fromisoformat(each["received_at"]) for each in delivered]
    assert times == sorted(times)
    assert times[0] >= datetime(2022, 6, 1, tzinfo=SHANGHAI)
    assert times[-1] < datetime(2022, 7, 1, tzinfo=SHANGHAI)
    on_working_days = sum(CALENDAR.is_working_day(time.date()) for time in times)
    assert 0.9 < on_working_days / len(times) < 1


def test_submissions_have_the_wire_form(delivered: list[dict[str, Any]]) -> None:
    envelope = {"unit", "category", "op", "received_at", "record"}
    for each in delivered:
        assert each.keys() - {"reason"} == envelope
        assert ("reason" in each) == (each["op"] == Op.WITHDRAW)
        assert each["record"].keys() <= SCHEMAS[Category(each["category"])].items.keys()


@pytest.mark.slow
def test_series_of_documents_have_few_gaps(tenth: list[bytes]) -> None:
    serials: dict[tuple[str, int | None, str], set[int]] = {}
    for line in tenth:
        if b'"category":"inspection"' in line:
            number = parse_document_number(orjson.loads(line)["record"]["WSH"])
            assert number is not None
            serials.setdefault(number.series_key, set()).add(number.number)
    missing = sum(max(found) - min(found) + 1 - len(found) for found in serials.values())
    assert 0 < missing < 20


def test_personal_numbers_do_not_make_the_key(delivered: list[dict[str, Any]]) -> None:
    persons = 0
    for each in delivered:
        record = each["record"]
        for code in ("XK_XDR_ZJHM", "CF_XDR_ZJHM", "XDR_ZJHM", "identify"):
            if code in record and NATURAL_PERSON in record.values():
                persons += 1
                key = identify(read_delivery(orjson.dumps(each)), REGISTRY)
                record[code] = ""
                assert identify(read_delivery(orjson.dumps(each)), REGISTRY) == key
    assert persons > 20


# --- what records say -------------------------------------------------------------------------

DECIDED = date(2022, 6, 1)
RECEIVED = "2022-06-06T09:00:00+08:00"


def draft(category: Category, number: int, unit: str = "江夏区") -> Draft:
    issuer = Issuer.of(unit, category)
    agency = issuer.agencies[number % len(issuer.agencies)]
    return Draft(issuer, agency, number, number, number + 1, DECIDED, number * 0x9E3779B97F4A7C15)


def verdict_of(category: Category, record: dict[str, str]) -> tuple[bytes, bool]:
    line = {"unit": "江夏区", "category": category, "received_at": RECEIVED, "record": record}
    verdict = judge(submitted(orjson.dumps(line), REGISTRY), None, REGISTRY, CALENDAR)
    return verdict.record_key, verdict.state.compliant


@pytest.mark.parametrize("category", WRITERS)
def test_every_draft_is_valid_until_something_slips(category: Category) -> None:
    for number in range(60):
        made = draft(category, number)
        key, compliant = verdict_of(category, WRITERS[category](made))
        assert compliant
        amended = WRITERS[category](made)
        AMENDMENTS[category](amended)
        assert amended != WRITERS[category](made)
        assert verdict_of(category, amended) == (key, True)
        for slip in SLIPS[category]:
            broken = WRITERS[category](made)
            slip(broken)
            assert verdict_of(category, broken) == (key, False)


@pytest.mark.parametrize("unit", [unit.id for unit in REGISTRY.units])
def test_every_unit_has_agencies_with_codes_of_their_own(unit: str) -> None:
    key, compliant = verdict_of(
        Category.LICENCE, WRITERS[Category.LICENCE](draft(Category.LICENCE, 3, unit))
    )
    assert key
    assert compliant


def test_an_unknown_unit_is_named() -> None:
    with pytest.raises(InputError, match="汉南区"):
        Issuer.of("汉南区", Category.LICENCE)


def test_subjects_have_one_code_each() -> None:
    issuer = Issuer.of("汉阳区", Category.COMMITMENT)
    subjects = [subject(issuer, number, persons=False) for number in range(0, POPULATION, 11)]
    assert len({each.code for each in subjects}) == len(subjects)
    assert len({each.name for each in subjects}) == len(subjects)


def test_resident_numbers_have_an_area_that_is_issued_to_no_one() -> None:
    persons = [
        record
        for number in range(400)
        if (record := WRITERS[Category.LICENCE](draft(Category.LICENCE, number))).get("XK_XDR_ZJLX")
        == RESIDENT_ID
    ]
    assert persons
    assert all(record["XK_XDR_ZJHM"].startswith("420100") for record in persons)


# --- days -------------------------------------------------------------------------------------


@pytest.mark.parametrize("month", ["2022-01", "2022-02", "2022-06", "2022-10", "2024-02"])
def test_days_of_decision_fit_the_day_of_receipt(month: str) -> None:
    calendar = Rhythm.of(Month.of(month), CALENDAR)
    assert len(calendar.days) == monthrange(*map(int, month.split("-")))[1]
    for day, in_time, overdue in zip(
        calendar.days, calendar.in_time, calendar.overdue, strict=True
    ):
        assert in_time
        for decided in in_time:
            assert decided <= day <= CALENDAR.deadline(decided, DEFAULT_WINDOW).day
        assert CALENDAR.deadline(overdue, DEFAULT_WINDOW).day < day
        for decided in calendar.long_ago:
            assert CALENDAR.deadline(decided, DEFAULT_WINDOW).day < day
