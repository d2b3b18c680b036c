"""The one pure function: versions, timeliness, and what it refuses."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.judging import applied, judge, submission_of
from models.submission import Position, Unreadable, read_delivery
from models.verdict import Preview, PublicVerdict, RecordState, Verdict
from models.words import SHANGHAI, Category, Effect, Op
from tests.support.deployed import CALENDAR, REGISTRY
from tests.support.samples import RECEIVED, delivery, submitted

BROKEN: dict[str, Any] = {"XK_NR": "测试"}
DEADLINE = date(2022, 6, 22)


def at(day: str, time: str = "09:00") -> datetime:
    return datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=SHANGHAI)


class Monitor:
    """Folds deliveries of records, as the stream does."""

    def __init__(self) -> None:
        self.states: dict[bytes, RecordState] = {}
        self.offset = 0

    def submit(self, raw: bytes) -> Verdict:
        submission = submitted(raw, REGISTRY, Position(1, self.offset))
        self.offset += 1
        verdict = judge(submission, self.states.get(submission.record_key), REGISTRY, CALENDAR)
        self.states[submission.record_key] = verdict.state
        return verdict


@pytest.fixture
def monitor() -> Monitor:
    return Monitor()


def test_a_new_compliant_record_in_time(monitor: Monitor) -> None:
    verdict = monitor.submit(delivery())
    assert verdict.as_json() == {
        "unit": "江夏区",
        "category": "licence",
        "record_key": verdict.record_key.hex(),
        "effect": "new",
        "compliant": True,
        "timely": True,
        "deadline": "2022-06-22",
        "provisional": False,
        "reasons": [],
    }
    assert len(verdict.record_key) == 16


@pytest.mark.parametrize(
    ("received", "timely"),
    [(at("2022-06-22", "23:59"), True), (at("2022-06-23", "00:00"), False)],
)
def test_the_deadline_ends_at_midnight_in_shanghai(
    monitor: Monitor, received: datetime, timely: bool
) -> None:
    verdict = monitor.submit(delivery(received_at=received))
    assert verdict.state.deadline == DEADLINE
    assert verdict.state.timely is timely


def test_a_broken_record_is_undetermined_until_its_deadline_has_passed(monitor: Monitor) -> None:
    verdict = monitor.submit(delivery(**BROKEN))
    assert (verdict.state.compliant, verdict.state.timely) == (False, None)
    assert [(reason.rule, reason.field) for reason in verdict.reasons] == [("placeholder", "XK_NR")]
    verdict = monitor.submit(delivery(received_at=at("2022-06-23"), XK_NR="暂无"))
    assert (verdict.state.compliant, verdict.state.timely) == (False, False)


def test_the_first_compliant_version_decides_timeliness(monitor: Monitor) -> None:
    monitor.submit(delivery(**BROKEN))
    mended = monitor.submit(delivery(received_at=at("2022-06-20")))
    assert (mended.effect, mended.state.compliant, mended.state.timely) == (
        Effect.CORRECTION,
        True,
        True,
    )
    later = monitor.submit(delivery(received_at=at("2022-07-20"), BZ="更正备注"))
    assert (later.effect, later.state.timely) == (Effect.CORRECTION, True)
    assert later.state.day == RECEIVED.date()


def test_a_record_mended_after_its_deadline_is_late(monitor: Monitor) -> None:
    monitor.submit(delivery(**BROKEN))
    mended = monitor.submit(delivery(received_at=at("2022-06-23")))
    assert (mended.state.compliant, mended.state.timely) == (True, False)


def test_identical_content_is_a_duplicate(monitor: Monitor) -> None:
    first = monitor.submit(delivery())
    again = monitor.submit(delivery(received_at=at("2022-07-20"), BZ=" "))
    assert again.effect is Effect.DUPLICATE
    assert again.state == first.state._replace(position=Position(1, 1), duplicates=1)


def test_a_duplicate_of_a_broken_record_still_says_what_is_wrong(monitor: Monitor) -> None:
    first = monitor.submit(delivery(**BROKEN))
    again = monitor.submit(delivery(**BROKEN))
    assert again.effect is Effect.DUPLICATE
    assert again.reasons == first.reasons != ()


def test_content_that_time_has_made_compliant_is_a_correction(monitor: Monitor) -> None:
    first = monitor.submit(delivery(XK_JDRQ="2022-06-06"))
    assert not first.state.compliant
    again = monitor.submit(delivery(received_at=at("2022-06-06"), XK_JDRQ="2022-06-06"))
    assert (again.effect, again.state.compliant) == (Effect.CORRECTION, True)


def test_a_withdrawal_takes_the_record_out_and_it_may_come_back(monitor: Monitor) -> None:
    monitor.submit(delivery())
    gone = monitor.submit(delivery(op=Op.WITHDRAW))
    assert (gone.effect, gone.state.withdrawn) == (Effect.WITHDRAWN, True)
    again = monitor.submit(delivery(op=Op.WITHDRAW))
    assert again.effect is Effect.DUPLICATE
    back = monitor.submit(delivery())
    assert (back.effect, back.state.withdrawn, back.state.day) == (
        Effect.CORRECTION,
        False,
        RECEIVED.date(),
    )


def test_a_withdrawal_needs_only_what_identifies_the_record(monitor: Monitor) -> None:
    first = monitor.submit(delivery())
    record = {"XK_WSH": "武夏行审许[2022]12号", "XK_XDR_MC": "武汉市江夏区宏达建材有限公司"}
    gone = monitor.submit(delivery(op=Op.WITHDRAW, envelope={"record": record}))
    assert (gone.effect, gone.record_key) == (Effect.WITHDRAWN, first.record_key)


def test_a_withdrawal_of_what_was_never_reported_is_refused(monitor: Monitor) -> None:
    with pytest.raises(Unreadable) as caught:
        monitor.submit(delivery(op=Op.WITHDRAW))
    assert caught.value.rule == "withdraw-unknown"


def test_an_unknown_unit_is_refused_and_an_alias_is_known(monitor: Monitor) -> None:
    with pytest.raises(Unreadable) as caught:
        monitor.submit(delivery(unit="黄浦区"))
    assert caught.value.rule == "unit"
    verdict = monitor.submit(delivery(unit="市公管办"))
    assert verdict.state.unit == "市公管办(市政务服务和大数据管理局)"


@pytest.mark.parametrize("decided", ["", "2022-02-30", "2022-06-04"])
def test_without_a_real_decision_day_there_is_no_deadline(monitor: Monitor, decided: str) -> None:
    verdict = monitor.submit(delivery(XK_JDRQ=decided))
    assert (verdict.state.deadline, verdict.state.timely) == (None, None)


def test_an_old_decision_is_late_and_a_warning_breaks_nothing(monitor: Monitor) -> None:
    verdict = monitor.submit(delivery(XK_JDRQ="1998-03-02", XK_YXQZ="1998-03-02"))
    assert (verdict.state.compliant, verdict.state.timely) == (True, False)
    assert [reason.rule for reason in verdict.reasons] == ["date-stale"]


def test_a_deadline_in_an_unannounced_year_is_provisional(monitor: Monitor) -> None:
    days: dict[str, Any] = {"XK_JDRQ": "2026-12-25", "XK_YXQZ": "2026-12-25"}
    verdict = monitor.submit(delivery(received_at=at("2026-12-28"), **days))
    assert verdict.state.provisional


def test_what_was_applied_is_told_by_its_position(monitor: Monitor) -> None:
    state = monitor.submit(delivery()).state
    again = submitted(delivery(), REGISTRY, Position(1, 0))
    assert applied(again, state)
    assert not applied(again, None)
    assert not applied(again._replace(position=Position(1, 1)), state)
    assert not applied(again._replace(position=Position(2, 0)), state)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["武夏环罚〔2022〕1号", "武夏环罚〔2022〕2号"]),
            st.sampled_from(list(Op)),
            st.sampled_from(["", "3", "无"]),
            st.integers(0, 40),
        ),
        max_size=12,
    )
)
def test_judging_is_a_function_and_counts_every_delivery_once(
    deliveries: list[tuple[str, Op, str, int]],
) -> None:
    one, two = Monitor(), Monitor()
    accepted = 0
    for number, op, fine, days in deliveries:
        raw = delivery(
            Category.PENALTY,
            op=op,
            received_at=RECEIVED + timedelta(days=days),
            CF_WSH=number,
            CF_NR_FK=fine,
        )
        try:
            verdict = one.submit(raw)
        except Unreadable:
            with pytest.raises(Unreadable):
                two.submit(raw)
            continue
        accepted += 1
        assert two.submit(raw) == verdict
        if op is Op.UPSERT:
            assert verdict.state.compliant == (not verdict.reasons)
    versions = sum(state.version for state in one.states.values())
    duplicates = sum(state.duplicates for state in one.states.values())
    assert versions + duplicates == accepted


def test_a_verdict_lets_people_find_the_record_and_masks_a_person(monitor: Monitor) -> None:
    company = monitor.submit(delivery())
    assert (company.document, company.subject, company.decided) == (
        "武夏行审许〔2022〕12号",
        "武汉市江夏区宏达建材有限公司",
        date(2022, 6, 1),
    )
    person = monitor.submit(delivery(XK_XDR_MC="李秀英", XK_XDR_LB="自然人"))
    assert person.subject == "李**"


def test_a_submission_cannot_be_changed() -> None:
    submission = submitted(delivery(), REGISTRY)
    for field in submission._fields:
        with pytest.raises(AttributeError):
            setattr(submission, field, None)


def test_the_caller_says_when_it_was_received_where_the_delivery_does_not() -> None:
    silent, said = read_delivery(delivery(received_at=None)), read_delivery(delivery())
    later = RECEIVED + timedelta(days=1)
    assert submission_of(silent, REGISTRY, later).received_at == later
    assert submission_of(said, REGISTRY, later).received_at == RECEIVED
    with pytest.raises(Unreadable) as caught:
        submission_of(silent, REGISTRY)
    assert caught.value.rule == "received-at"


@pytest.mark.parametrize("changes", [{}, BROKEN, {"XK_JDRQ": "1998-03-02"}, {"XK_JDRQ": ""}])
def test_what_is_given_out_of_a_verdict_is_what_is_declared(
    monitor: Monitor, changes: dict[str, Any]
) -> None:
    told = monitor.submit(delivery(**changes)).as_json()
    assert PublicVerdict.model_validate(told).model_dump(mode="json") == told
    with pytest.raises(ValidationError):
        Preview.model_validate(told)
    assert told.pop("effect") == "new"
    assert Preview.model_validate(told).model_dump(mode="json") == told
    with pytest.raises(ValidationError):
        PublicVerdict.model_validate(told)
    for name in Preview.model_fields:
        with pytest.raises(ValidationError):
            Preview.model_validate({key: value for key, value in told.items() if key != name})
