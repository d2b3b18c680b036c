"""The work that contestants have in common: validating a submission, and judging it.

Importable in the environment of the other stream processors too (benchmarks/peers.txt).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from models.judging import Examined, applied, conclude, examine, judge
from models.records.licence import Licence
from models.submission import Origin, Position, Submission, Unreadable, read_submission
from models.verdict import RecordState, Verdict
from models.words import Op
from streams.registry import load_calendar, load_registry
from streams.settings import DEPLOY

REGISTRY: Final = DEPLOY / "registry"
_EPOCH: Final = 1


class Envelope(BaseModel):
    """A submission of a licence as pydantic alone would read it."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    unit: str
    category: Literal["licence"]
    op: Op = Op.UPSERT
    received_at: AwareDatetime
    reason: str = ""
    id: str = ""
    platform: str = ""
    origin: Origin | None = None
    record: Licence


def validation() -> Callable[[bytes], bool]:
    """Is it a licence submission as the model wants it?"""
    validate = Envelope.__pydantic_validator__.validate_json  # without pydantic's wrapper

    def valid(raw: bytes) -> bool:
        try:
            validate(raw)
        except ValidationError:
            return False
        return True

    return valid


class Office:
    """Judges as the worker does, for those who keep the records' states themselves."""

    def __init__(self) -> None:
        self._registry = load_registry(REGISTRY)
        self._calendar = load_calendar(REGISTRY)

    def judge(
        self, key: bytes, raw: bytes, offset: int, state: RecordState | None
    ) -> Verdict | None:
        """The verdict on one submission; None where it is a reject, or was applied already."""
        try:
            submission = read_submission(raw, key, Position(_EPOCH, offset))
            if applied(submission, state):
                return None
            return judge(submission, state, self._registry, self._calendar)
        except Unreadable:
            return None

    def examine(self, messages: Iterable[tuple[bytes, bytes, int]]) -> Iterator[Examined]:
        """Examine submissions (key, value, offset) together; rejects are left out."""
        submissions: list[Submission] = []
        for key, raw, offset in messages:
            try:
                submissions.append(read_submission(raw, key, Position(_EPOCH, offset)))
            except Unreadable:
                continue
        for found in examine(submissions, self._registry, self._calendar):
            if not isinstance(found, Unreadable):
                yield found

    @staticmethod
    def conclude(examined: Examined, state: RecordState | None) -> Verdict | None:
        """What follows for the record; None as for `judge`."""
        if applied(examined.submission, state):
            return None
        try:
            return conclude(examined, state)
        except Unreadable:
            return None
