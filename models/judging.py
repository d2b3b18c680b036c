"""研判: the one pure function that decides everything.

The live stream, an offline check of a file, a replay and the tests' oracle all call `judge`.
"""

from datetime import date

from models.calendar import Calendar, Deadline, OutsideCalendar
from models.identity import keyed_digest, mask_name
from models.registry import Registry
from models.rules import NATURAL_PERSON, Reason, Severity, parse_day, shown
from models.submission import Submission, Unreadable
from models.verdict import RecordState, Verdict
from models.words import Effect, Op


def identify(submission: Submission, registry: Registry) -> bytes:
    """The 16 bytes that name the submission's record, and are its Kafka key.

    Raises:
        Unreadable: the registry does not know the unit.
    """
    return submission.schema.record_key(
        _unit(submission, registry), submission.values, registry.identity_key
    )


def judge(
    submission: Submission,
    state: RecordState | None,
    registry: Registry,
    calendar: Calendar,
) -> Verdict:
    """Judge a submission of a record whose state is `state`; the verdict holds the next state.

    Pure: the same arguments give the same verdict, wherever and whenever. The submission's
    `record_key` names the record (`identify`). A submission that was applied already (`applied`)
    must not be handed in again.

    Raises:
        Unreadable: the registry does not know the unit, or what is to be withdrawn is not there.
    """
    unit = _unit(submission, registry)
    if submission.op is Op.WITHDRAW:
        return _withdraw(submission, state)
    schema, values = submission.schema, submission.values
    on = submission.received_on
    content = schema.content(values)
    if submission.clean and schema.screen(values, content, on):
        reasons: tuple[Reason, ...] = ()
        compliant = True
    else:
        reasons = tuple(schema.reasons(values, submission.misfits, on))
        compliant = all(reason.severity is not Severity.ERROR for reason in reasons)
    deadline = _deadline(submission, unit, on, registry, calendar)
    first_compliant = state.first_compliant if state is not None else None
    if compliant and first_compliant is None:
        first_compliant = on
    timely = _timely(deadline, first_compliant, on)
    digest = keyed_digest(registry.identity_key, content)
    if state is None:
        effect = Effect.NEW
        state = RecordState(
            submission.position,
            1,
            digest,
            unit,
            schema.category,
            on,
            deadline.day if deadline else None,
            deadline.provisional if deadline else False,
            compliant,
            timely,
            first_compliant,
        )
    elif digest == state.digest and compliant == state.compliant and not state.withdrawn:
        effect = Effect.DUPLICATE
        state = state._replace(position=submission.position, duplicates=state.duplicates + 1)
    else:
        effect = Effect.CORRECTION
        state = state._replace(
            position=submission.position,
            version=state.version + 1,
            digest=digest,
            deadline=deadline.day if deadline else None,
            provisional=deadline.provisional if deadline else False,
            compliant=compliant,
            timely=timely,
            first_compliant=first_compliant,
            withdrawn=False,
            corrections=state.corrections + 1,
        )
    return _verdict(submission, effect, state, reasons)


def applied(submission: Submission, state: RecordState | None) -> bool:
    """Whether the state already holds the submission's effect: replay is harmless."""
    return state is not None and submission.position <= state.position


def _unit(submission: Submission, registry: Registry) -> str:
    unit = registry.unit(submission.unit)
    if unit is None:
        raise Unreadable(
            "unit", f"报送机构“{shown(submission.unit)}”不在登记册中，请核对名称或联系市信用办"
        )
    return unit.id


def _withdraw(submission: Submission, state: RecordState | None) -> Verdict:
    if state is None:
        raise Unreadable(
            "withdraw-unknown",
            "要撤回的信息没有报送过，请核对报送机构、信息类别、文书号和名称",
            submission.unit,
            submission.schema.category,
        )
    if state.withdrawn:
        effect = Effect.DUPLICATE
        state = state._replace(position=submission.position, duplicates=state.duplicates + 1)
    else:
        effect = Effect.WITHDRAWN
        state = state._replace(
            position=submission.position, version=state.version + 1, withdrawn=True
        )
    return _verdict(submission, effect, state, ())


def _verdict(
    submission: Submission, effect: Effect, state: RecordState, reasons: tuple[Reason, ...]
) -> Verdict:
    model, values = submission.schema.model, submission.values
    subject = values[model.subject]
    if model.subject_kind is not None and values[model.subject_kind] == NATURAL_PERSON:
        subject = mask_name(subject)
    return Verdict(
        submission.record_key,
        effect,
        state,
        reasons,
        submission.received_at,
        values[model.document] if model.document else "",
        subject,
        parse_day(values[model.decided]),
        {field: values[field] for field in model.printed},
        submission.id,
        submission.platform,
        submission.origin,
    )


def _deadline(
    submission: Submission, unit: str, on: date, registry: Registry, calendar: Calendar
) -> Deadline | None:
    """The deadline that follows from the record's own decision day, if that day can be one."""
    schema = submission.schema
    decided = parse_day(submission.values[schema.model.decided])
    window = registry.window(unit, schema.category)
    if decided is None or window is None or decided > on:
        return None
    try:
        return calendar.deadline(decided, window)
    except OutsideCalendar:
        return None


def _timely(deadline: Deadline | None, first_compliant: date | None, on: date) -> bool | None:
    """True or False once it is settled; None while it is open, or where there is no deadline."""
    if deadline is None:
        return None
    if first_compliant is not None:
        return first_compliant <= deadline.day
    return False if on > deadline.day else None
