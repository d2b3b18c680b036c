"""Reception: what a request delivers becomes submissions, or is refused with the reason.

A request with an Idempotency-Key that is sent again, to any gateway, makes submissions with the
same ids and origins, which the judge knows as the same (`models.submission.Origin`). The body is a
part of what the origin is made of: what was not sent before is never treated as a repeat.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from models.calendar import Calendar
from models.identity import keyed_digest
from models.judging import conclude, examine
from models.registry import Registry
from models.submission import REQUEST, Delivery, Origin, Submission, Unreadable, read_delivery
from models.words import Op
from streams.files.ndjson import wire_form
from streams.intake.admission import Arrival, Speaker, admit, require_size
from streams.intake.gateway.problems import Problem
from streams.intake.keys import Key
from streams.log.writer import Message


class Taken(NamedTuple):
    """What became of a record: it has an id or a problem; a withdrawal is not judged beforehand."""

    id: str | None = None
    verdict: dict[str, Any] | None = None
    problem: Problem | None = None


@dataclass(slots=True, eq=False)
class Reception:
    """The records of one request, by their number in it.

    Attributes:
        mark: 32 hexadecimal digits that nobody can guess; every id begins with it.
        repeatable: Whether the same request has the same mark again.
        submissions: What is to be written, and in which partition.
        units: The unit of each submission.
    """

    registry: Registry
    calendar: Calendar
    partitions: int
    key: Key
    received_at: datetime
    mark: str
    repeatable: bool
    submissions: list[tuple[int, Message]] = field(default_factory=list)
    units: dict[int, str] = field(default_factory=dict)

    def take(self, records: Sequence[bytes | Delivery | Unreadable], first: int = 0) -> list[Taken]:
        """Take records, the first of which has that number in the request.

        Each is bytes as they were sent, or what a file's row was read as.
        """
        speaker = Speaker(self.key.platform, "这个密钥", self.key.may)
        taken: list[Taken | Submission] = []
        for number, record in enumerate(records, first):
            try:
                taken.append(self._admit(number, record, speaker))
            except Unreadable as unreadable:
                taken.append(Taken(problem=Problem.of(unreadable)))
        admitted = [each for each in taken if isinstance(each, Submission)]
        previews = iter(self._previews(admitted))
        return [
            Taken(each.id, next(previews)) if isinstance(each, Submission) else each
            for each in taken
        ]

    def _admit(
        self, number: int, record: bytes | Delivery | Unreadable, speaker: Speaker
    ) -> Submission:
        if isinstance(record, Unreadable):
            raise record
        if isinstance(record, Delivery):
            delivery, raw = record, wire_form(record)
        else:
            require_size(record)
            delivery, raw = read_delivery(record), record
        origin = None
        if self.repeatable:
            origin = Origin(f"{REQUEST}{self.key.platform}/{self.mark}", number)
        arrival = Arrival(self.received_at, f"{self.mark}-{number}", origin)
        submission, unit, partition, message = admit(
            delivery, raw, speaker, arrival, self.registry, self.partitions
        )
        self.units[number] = unit
        self.submissions.append((partition, message))
        return submission

    def _previews(self, submissions: Sequence[Submission]) -> list[dict[str, Any] | None]:
        """Verdicts as though each were the first of its record: only the judge knows the others."""
        previews: list[dict[str, Any] | None] = []
        for examined in examine(submissions, self.registry, self.calendar):
            if isinstance(examined, Unreadable):
                raise examined  # admission knew its unit
            preview = None
            if examined.submission.op is not Op.WITHDRAW:
                preview = conclude(examined, None).as_json()
                del preview["effect"]
            previews.append(preview)
        return previews


def mark_of(registry: Registry, platform: str, idempotency_key: str, digest: bytes) -> str:
    """The mark of a request that may be repeated: the same for the same content, at any gateway."""
    return keyed_digest(
        registry.identity_key, "request", platform, idempotency_key, digest.hex()
    ).hex()


def new_mark() -> str:
    """The mark of a request that is not to be known again."""
    return secrets.token_hex(16)
