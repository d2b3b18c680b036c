"""研判: the pure functions that decide everything.

The live stream, an offline check of a file, a replay, the gateway's preview and the tests' oracle
all call them. What a submission says by itself is examined for many at once, by columns
(`examine`); what it does to its record follows one by one, in order (`conclude`). `judge` is both
for a single submission.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Final, NamedTuple

from models.calendar import Calendar, Deadline, OutsideCalendar
from models.identity import keyed_digest, mask_name
from models.records import Record, Schema
from models.records.base import Columns
from models.registry import Registry, unknown_unit
from models.rules import NATURAL_PERSON, Reason, Severity, parse_day, shown
from models.submission import START, Delivery, Position, Submission, Unreadable
from models.verdict import RecordState, Verdict
from models.words import Effect, Op


def identify(delivery: Delivery, registry: Registry) -> bytes:
    """The 16 bytes that name the delivery's record, and are its Kafka key.

    Raises:
        Unreadable: the registry does not know the unit.
    """
    return delivery.schema.record_key(
        unit_of(delivery, registry), delivery.record, registry.identity_key
    )


def unit_of(said: Delivery | Submission, registry: Registry) -> str:
    """The unit of a delivery or submission, whose sender may have written another name of it.

    Raises:
        Unreadable: the registry does not know the unit.
    """
    unit = registry.unit(said.unit)
    if unit is None:
        raise Unreadable(
            "unit",
            unknown_unit(shown(said.unit)),
            said.unit,
            said.schema.category.value,
        )
    return unit.id


def submission_of(
    delivery: Delivery,
    registry: Registry,
    received_at: datetime | None = None,
    position: Position = START,
) -> Submission:
    """The submission that a delivery is by its own account of when it was received.

    `received_at` is for those that do not say it.

    Raises:
        Unreadable: the registry does not know the unit, or the time of receipt is missing or none.
    """
    return delivery.submission(
        identify(delivery, registry), delivery.received_at(received_at), position=position
    )


class Examined(NamedTuple):
    """What a submission says by itself, whatever was reported of its record before.

    `on` is the day of receipt, `reasons` every rule it breaks; `digest` stands for its content.
    `document`, `subject`, `decided` and `printed` are as in a `Verdict`.
    """

    submission: Submission
    unit: str
    on: date
    deadline: Deadline | None
    reasons: tuple[Reason, ...]
    compliant: bool
    digest: bytes
    document: str
    subject: str
    decided: date | None
    printed: Mapping[str, str]


def examine(
    submissions: Sequence[Submission], registry: Registry, calendar: Calendar
) -> list[Examined | Unreadable]:
    """Examine submissions, each by itself; where the unit is not known, the result says why.

    Pure, and the same for each, whatever others are in the batch.
    """
    examined: list[Examined | Unreadable | None] = [None] * len(submissions)
    alike: dict[tuple[Schema, date], list[int]] = defaultdict(list)
    for place, submission in enumerate(submissions):
        alike[submission.schema, submission.received_on].append(place)
    for (schema, on), places in alike.items():
        members = [submissions[place] for place in places]
        for place, each in zip(
            places, _examine(schema, on, members, registry, calendar), strict=True
        ):
            examined[place] = each
    return [each for each in examined if each is not None]


def _examine(
    schema: Schema,
    on: date,
    submissions: Sequence[Submission],
    registry: Registry,
    calendar: Calendar,
) -> Iterator[Examined | Unreadable]:
    """Examine submissions of one category that were received on one day."""
    model, key, printed = schema.model, registry.identity_key, schema.model.printed
    columns = schema.lay_out([submission.record for submission in submissions])
    reasons = schema.reasons(columns, on)
    days = columns[model.decided].values
    documents = columns[model.document].values if model.document else [""] * len(submissions)
    # Most records of a batch share their unit and day with others.
    settled: dict[tuple[str, str], _Settled | Unreadable] = {}
    for row, (submission, day, document, subject, content) in enumerate(
        zip(
            submissions,
            days,
            documents,
            _subjects(model, columns),
            schema.contents(columns),
            strict=True,
        )
    ):
        place = submission.unit, day
        found = settled.get(place)
        if found is None:
            found = settled[place] = _settle(submission, day, on, registry, calendar)
        if isinstance(found, Unreadable):
            yield found
            continue
        unit, decided, deadline = found
        broken = reasons.get(row)
        yield Examined(
            submission,
            unit,
            on,
            deadline,
            tuple(broken) if broken else (),
            not broken or all(reason.severity is not Severity.ERROR for reason in broken),
            keyed_digest(key, content),
            document,
            subject,
            decided,
            {field: columns[field].values[row] for field in printed} if printed else _NOTHING,
        )


_NOTHING: Final[Mapping[str, str]] = {}


def _subjects(model: type[Record], columns: Columns) -> Iterator[str]:
    """Whom each record is about; a natural person's name masked."""
    names = columns[model.subject].values
    if model.subject_kind is None:
        return iter(names)
    kinds = columns[model.subject_kind]
    if NATURAL_PERSON not in kinds.filled:
        return iter(names)
    return (
        mask_name(name) if kind == NATURAL_PERSON else name
        for name, kind in zip(names, kinds.values, strict=True)
    )


class _Settled(NamedTuple):
    """What follows from a record's unit and day of decision."""

    unit: str
    decided: date | None
    deadline: Deadline | None


def _settle(
    submission: Submission, day: str, on: date, registry: Registry, calendar: Calendar
) -> _Settled | Unreadable:
    """The unit, the day of decision and the deadline that follows, if that day can be one."""
    try:
        unit = unit_of(submission, registry)
    except Unreadable as unreadable:
        return unreadable
    decided, deadline = parse_day(day), None
    window = registry.window(unit, submission.schema.category)
    if decided is not None and window is not None and decided <= on:
        with suppress(OutsideCalendar):
            deadline = calendar.deadline(decided, window)
    return _Settled(unit, decided, deadline)


def applied(submission: Submission, state: RecordState | None) -> bool:
    """Whether the state already holds the submission's effect: replay is harmless."""
    return state is not None and submission.position <= state.position


def conclude(examined: Examined, state: RecordState | None) -> Verdict:
    """What a submission does to its record, whose state is `state`; the verdict holds the next one.

    A submission that was applied already (`applied`) must not be handed in again.

    Raises:
        Unreadable: what is to be withdrawn is not there.
    """
    submission = examined.submission
    if submission.op is Op.WITHDRAW:
        return _withdrawn(examined, state)
    deadline, compliant = examined.deadline, examined.compliant
    first_compliant = state.first_compliant if state is not None else None
    if compliant and first_compliant is None:
        first_compliant = examined.on
    timely = _timely(deadline, first_compliant, examined.on)
    if state is None:
        effect = Effect.NEW
        state = RecordState(
            submission.position,
            1,
            examined.digest,
            examined.unit,
            submission.schema.category,
            examined.on,
            deadline.day if deadline else None,
            deadline.provisional if deadline else False,
            compliant,
            timely,
            first_compliant,
        )
    elif examined.digest == state.digest and compliant == state.compliant and not state.withdrawn:
        effect, state = Effect.DUPLICATE, _repeated(submission, state)
    else:
        effect = Effect.CORRECTION
        state = state._replace(
            position=submission.position,
            version=state.version + 1,
            digest=examined.digest,
            deadline=deadline.day if deadline else None,
            provisional=deadline.provisional if deadline else False,
            compliant=compliant,
            timely=timely,
            first_compliant=first_compliant,
            withdrawn=False,
            corrections=state.corrections + 1,
        )
    return _verdict(examined, effect, state, examined.reasons)


def judge(
    submission: Submission,
    state: RecordState | None,
    registry: Registry,
    calendar: Calendar,
) -> Verdict:
    """Judge one submission of a record whose state is `state`; the verdict holds the next state.

    Pure: the same arguments give the same verdict, wherever and whenever. See `conclude`.

    Raises:
        Unreadable: the registry does not know the unit, or what is to be withdrawn is not there.
    """
    (examined,) = examine([submission], registry, calendar)
    if isinstance(examined, Unreadable):
        raise examined
    return conclude(examined, state)


def _withdrawn(examined: Examined, state: RecordState | None) -> Verdict:
    submission = examined.submission
    if state is None:
        raise Unreadable(
            "withdraw-unknown",
            "要撤回的信息没有报送过，请核对报送机构、信息类别、文书号和名称",
            submission.unit,
            submission.schema.category.value,
        )
    if state.withdrawn:
        effect, state = Effect.DUPLICATE, _repeated(submission, state)
    else:
        effect = Effect.WITHDRAWN
        state = state._replace(
            position=submission.position, version=state.version + 1, withdrawn=True
        )
    return _verdict(examined, effect, state, ())


def _repeated(submission: Submission, state: RecordState) -> RecordState:
    return state._replace(position=submission.position, duplicates=state.duplicates + 1)


def _verdict(
    examined: Examined, effect: Effect, state: RecordState, reasons: tuple[Reason, ...]
) -> Verdict:
    submission = examined.submission
    return Verdict(
        submission.record_key,
        effect,
        state,
        reasons,
        submission.received_at,
        examined.document,
        examined.subject,
        examined.decided,
        examined.printed,
        submission.id,
        submission.platform,
        submission.origin,
    )


def _timely(deadline: Deadline | None, first_compliant: date | None, on: date) -> bool | None:
    """True or False once it is settled; None while it is open, or where there is no deadline."""
    if deadline is None:
        return None
    if first_compliant is not None:
        return first_compliant <= deadline.day
    return False if on > deadline.day else None
