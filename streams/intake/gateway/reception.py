"""Reception: what a platform delivers becomes submissions, or is refused with the reason.

It settles what a platform must not: which platform speaks (the key says), for which units and
categories it may, and when the record was received (the gateway's clock). A request with an
Idempotency-Key that is sent again, to whichever gateway, makes submissions with the same ids and
origins, which the judge knows as the same (`models.submission.Origin`). The body is a part of what
the origin is made of: what was not sent before is never taken for a repeat.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from models.calendar import Calendar
from models.identity import keyed_digest
from models.judging import identify, judge
from models.registry import Registry
from models.submission import REQUEST, Origin, Submission, Unreadable, read_submission
from models.words import Op
from streams.intake.gateway.problems import Problem
from streams.intake.keys import Key
from streams.log.topics import LARGEST, partition_of
from streams.log.wire import encode_submission
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

    def read(self, number: int, raw: bytes) -> Taken:
        """Take a record as it was sent."""
        if len(raw) > LARGEST:
            large = Unreadable("too-long", f"这一条超过 {LARGEST >> 20} MiB，请检查内容")
            return Taken(problem=Problem.of(large))
        try:
            return self._take(number, raw, read_submission(raw, self.received_at))
        except Unreadable as unreadable:
            return Taken(problem=Problem.of(unreadable))

    def take(self, number: int, raw: bytes, submission: Submission) -> Taken:
        """Take a record that was read; `raw` is its wire form."""
        try:
            return self._take(number, raw, submission)
        except Unreadable as unreadable:
            return Taken(problem=Problem.of(unreadable))

    def _take(self, number: int, raw: bytes, submission: Submission) -> Taken:
        submission.record_key = identify(submission, self.registry)
        unit = self.registry.unit(submission.unit)
        category = submission.schema.category
        if unit is None or not self.key.may(unit.id, category):
            return Taken(problem=_out_of_scope(submission))
        submission.received_at = self.received_at
        submission.platform = self.key.platform
        submission.id = f"{self.mark}-{number}"
        submission.origin = None
        if self.repeatable:
            submission.origin = Origin(f"{REQUEST}{self.key.platform}/{self.mark}", number)
        verdict = None
        if submission.op is not Op.WITHDRAW:
            # As though it were the first of its record: what came before, the judge alone knows.
            verdict = judge(submission, None, self.registry, self.calendar).as_json()
            del verdict["effect"]
        self.units[number] = unit.id
        self.submissions.append(
            (
                partition_of(submission.record_key, self.partitions),
                Message(submission.record_key, encode_submission(raw, submission)),
            )
        )
        return Taken(submission.id, verdict)


def mark_of(registry: Registry, platform: str, idempotency_key: str, digest: bytes) -> str:
    """The mark of a request that may be repeated: the same for the same content, at any gateway."""
    return keyed_digest(
        registry.identity_key, "request", platform, idempotency_key, digest.hex()
    ).hex()


def new_mark() -> str:
    """The mark of a request that is not to be known again."""
    return secrets.token_hex(16)


def _out_of_scope(submission: Submission) -> Problem:
    return Problem(
        "scope",
        403,
        "无权报送",
        f"这个密钥无权为该机构报送{submission.schema.category.zh}，请核对机构，或联系市信用办登记",
        "This key may not deliver this category for this unit.",
        path="unit",
    )
