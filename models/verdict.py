"""研判结果: what the monitor says of a record's latest version, and what it remembers of it."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self

import orjson
from pydantic import BaseModel, ConfigDict

from models.rules import Reason, Severity, shown
from models.submission import Origin, Position, Unreadable
from models.words import Category, Effect


class RecordState(NamedTuple):
    """What the next judgement of a record and every count need to know of it.

    `day` is the day (Asia/Shanghai) of its first receipt and decides its month. `first_compliant`
    is the day of receipt of its first compliant version. `position` is that of the submission
    which caused this state.
    """

    position: Position
    version: int
    digest: bytes
    unit: str
    category: Category
    day: date
    deadline: date | None
    provisional: bool
    compliant: bool
    timely: bool | None
    first_compliant: date | None
    withdrawn: bool = False
    corrections: int = 0
    duplicates: int = 0

    @property
    def pending(self) -> bool:
        """待补正: there, and not compliant."""
        return not self.compliant and not self.withdrawn

    def members(self) -> bytes:
        """All fields but the first three as members of a JSON object, without its braces.

        `position`, `version` and `digest` are each record's own; the others many records share.
        """
        return _shared(self[_OWN:])[0]

    def to_json(self) -> bytes:
        """The state as it is kept by itself, for `of_json`: its fields in their order."""
        (epoch, offset), version, digest = self[:_OWN]
        rest = _shared(self[_OWN:])[1]
        return b'[[%d,%d],%d,"%b",%b' % (epoch, offset, version, digest.hex().encode(), rest)

    @classmethod
    def of_json(cls, text: bytes) -> Self:
        """Read what `to_json` wrote."""
        return cls.of_plain(orjson.loads(text))

    @classmethod
    def of_plain(cls, values: Iterable[Any]) -> Self:
        """The state of values as JSON has them, in the order of the fields."""
        position, version, digest, unit, category, day, deadline, *flags = values
        provisional, compliant, timely, first_compliant, *counts = flags
        return cls(
            Position(*position),
            version,
            bytes.fromhex(digest),
            unit,
            _CATEGORIES[category],
            date.fromisoformat(day),
            deadline and date.fromisoformat(deadline),
            provisional,
            compliant,
            timely,
            first_compliant and date.fromisoformat(first_compliant),
            *counts,
        )


_OWN: Final = 3
"""How many fields of a state are each record's own; they come first."""


@lru_cache(maxsize=1 << 14)
def _shared(fields: tuple[Any, ...]) -> tuple[bytes, bytes]:
    """The fields that many records share: as members of a JSON object, and as the end of a list."""
    named = dict(zip(RecordState._fields[_OWN:], fields, strict=True))
    return orjson.dumps(named)[1:-1], orjson.dumps([*fields])[1:]


_CATEGORIES: Final = {category.value: category for category in Category}


class Verdict(NamedTuple):
    """The answer to one submission: what it did, what is wrong, and the record's next state.

    `document`, `subject` and `decided` let people find the record: the document number as given,
    whom it is about (a natural person's name masked), the day of the decision where it is one.
    `printed` holds what a bulletin prints of a record beyond that, by field.
    """

    record_key: bytes
    effect: Effect
    state: RecordState
    reasons: tuple[Reason, ...]
    received_at: datetime
    document: str
    subject: str
    decided: date | None
    printed: Mapping[str, str]
    submission_id: str = ""
    platform: str = ""
    origin: Origin | None = None

    def as_json(self) -> dict[str, Any]:
        """The form of a `PublicVerdict`: plain values, days in ISO form."""
        state = self.state
        return {
            "unit": state.unit,
            "category": state.category.value,
            "record_key": self.record_key.hex(),
            "effect": self.effect.value,
            "compliant": state.compliant,
            "timely": state.timely,
            "deadline": state.deadline.isoformat() if state.deadline else None,
            "provisional": state.provisional,
            "reasons": [reason.as_json() for reason in self.reasons],
        }


def unreadable_as_json(unreadable: Unreadable) -> dict[str, Any]:
    """What stands in place of a verdict where no record could be made of a delivery."""
    reason = Reason(unreadable.rule, "", str(unreadable), Severity.ERROR)
    return {
        "unit": unreadable.unit and shown(unreadable.unit),
        "category": unreadable.category and shown(unreadable.category),
        "record_key": None,
        "effect": Effect.UNREADABLE.value,
        "compliant": False,
        "timely": None,
        "deadline": None,
        "provisional": False,
        "reasons": [reason.as_json()],
    }


class PublicModel(BaseModel):
    """A part of what is given out."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BrokenRule(PublicModel):
    """违反的一条规则."""

    rule: str
    field: str
    message: str
    severity: Severity


class Preview(PublicModel):
    """预先研判: the verdict as though nothing had been reported of the record before.

    The receipt says what it really did.
    """

    unit: str
    category: Category
    record_key: str
    compliant: bool
    timely: bool | None
    deadline: date | None
    provisional: bool
    reasons: tuple[BrokenRule, ...]


class PublicVerdict(Preview):
    """研判结果: the result of a submission, in its one public form (docs/integrate.md)."""

    effect: Effect
