"""研判结果: what the monitor says of a record's latest version, and what it remembers of it."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from models.rules import Reason
from models.submission import Origin, Position
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


class Verdict(NamedTuple):
    """The answer to one submission: what it did, what is wrong, and the record's next state.

    `document`, `subject` and `decided` let people find the record: the document number as given,
    of whom it is (a natural person's name masked), the day of the decision where it is one.
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
        """The public form (DESIGN section 7): plain values, dates in ISO form."""
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
