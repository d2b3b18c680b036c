"""The wire forms of what the monitor writes: verdicts, tallies, rejects.

Verdicts and tallies are JSON objects, so that any tool can read the topics; a reject's value is
the rejected message itself, and what is known of it is in the headers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, NamedTuple, TypeGuard

import orjson

from models.submission import Origin, Position, Submission, Unreadable
from models.tally import Bucket, Duty, Pending, Tally
from models.verdict import RecordState, Verdict
from models.words import Category
from streams.log.connection import KafkaRecord
from streams.log.writer import Message

RECORD_KEY_LENGTH: Final = 16


def is_record_key(key: bytes | None) -> TypeGuard[bytes]:
    """Whether a message key is that of a record, and not of a mark or of somebody else."""
    return key is not None and len(key) == RECORD_KEY_LENGTH


def encode_submission(raw: bytes, submission: Submission) -> bytes:
    """What a platform sent, as it was sent, followed by what the way in has settled.

    Of two values of one name in a JSON object the last one counts, so nothing that the sender says
    of these can override it; what else is wrong with it is for the judge to say.
    """
    settled = orjson.dumps(
        {
            "id": submission.id,
            "received_at": submission.received_at,
            "platform": submission.platform,
            "origin": None if submission.origin is None else [*submission.origin],
        }
    )
    return b"%b,%b" % (raw.rstrip(JSON_BLANK).removesuffix(b"}"), settled.removeprefix(b"{"))


JSON_BLANK: Final = b" \t\r\n"
"""White space: what may be around a JSON value."""


def encode_verdict(verdict: Verdict) -> bytes:
    """A verdict message: a `PublicVerdict`, and what else the record's state and the store need."""
    state, origin = verdict.state, verdict.origin
    own = orjson.dumps(
        {
            "position": [*state.position],
            "version": state.version,
            "digest": state.digest.hex(),
            "record_key": verdict.record_key.hex(),
            "effect": verdict.effect,
            "reasons": [reason.as_json() for reason in verdict.reasons],
            "received_at": verdict.received_at,
            "document": verdict.document,
            "subject": verdict.subject,
            "decided": verdict.decided,
            "submission": verdict.submission_id,
            "platform": verdict.platform,
            "origin": None if origin is None else [*origin],
            "printed": verdict.printed,
        }
    )
    return b"{%b,%b" % (state.members(), own[1:])


class Cause(NamedTuple):
    """Of a verdict message: the record's state, and where its cause came from and when."""

    state: RecordState
    origin: Origin | None
    received_at: datetime


def decode_verdict(message: bytes) -> Cause:
    """Read a verdict message."""
    given = orjson.loads(message)
    origin = given["origin"]
    return Cause(
        RecordState.of_plain([given[field] for field in RecordState._fields]),
        None if origin is None else Origin(*origin),
        datetime.fromisoformat(given["received_at"]),
    )


class PlatformSeen(NamedTuple):
    """The last submission of a platform."""

    platform: str


class TallyKey(NamedTuple):
    """What one tally message counts, and in which partition of submissions."""

    partition: int
    counted: Bucket | Duty | PlatformSeen

    def encode(self) -> bytes:
        """The message key: equal for all values of the same count, so that compaction is right."""
        return orjson.dumps([self.partition, *self.counted])

    @classmethod
    def decode(cls, key: bytes) -> "TallyKey":
        """The key of a tally message."""
        match orjson.loads(key):
            case [partition, unit, category, day]:
                return cls(partition, Bucket(unit, Category(category), date.fromisoformat(day)))
            case [partition, unit, category]:
                return cls(partition, Duty(unit, Category(category)))
            case [partition, platform]:
                return cls(partition, PlatformSeen(platform))
        raise ValueError("不是信哨写入的统计消息")


class TallyValue(NamedTuple):
    """An absolute count, and the position up to which it counts.

    A bucket's is a tally, a duty's its pending records by deadline, a platform's the time of its
    last submission (seconds since 1970).
    """

    position: Position
    counts: Tally | Pending | float

    def encode(self) -> bytes:
        """The message value."""
        counts: object = self.counts
        if isinstance(self.counts, Tally):
            counts = [*self.counts]
        elif isinstance(self.counts, dict):
            counts = [*self.counts.items()]
        return orjson.dumps([[*self.position], counts])

    @classmethod
    def decode(cls, key: TallyKey, value: bytes) -> "TallyValue":
        """The value of the tally message with that key."""
        position, given = orjson.loads(value)
        counts: Tally | Pending | float
        match key.counted:
            case Bucket():
                counts = Tally(*given)
            case Duty():
                counts = {
                    deadline and date.fromisoformat(deadline): count for deadline, count in given
                }
            case PlatformSeen():
                counts = float(given)
        return cls(Position(*position), counts)


@dataclass(frozen=True, slots=True)
class Reject:
    """A message that could not be read, whole, with the reason and where it came from.

    `rejected_at` is the time of the message that was rejected, so that a repeat is the same
    reject. A `redriven` reject marks that the reject of the same place was put back.
    """

    topic: str
    partition: int
    offset: int
    rule: str
    message: str
    value: bytes
    key: bytes | None
    timestamp_ms: int
    headers: tuple[tuple[str, bytes], ...] = ()
    redriven: bool = False

    @property
    def id(self) -> str:
        """topic/partition/offset: a message is rejected once, however often it is written."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def at(self) -> datetime:
        """When the rejected message was written."""
        return datetime.fromtimestamp(self.timestamp_ms / 1000, UTC)

    @classmethod
    def of(cls, record: KafkaRecord, unreadable: Unreadable) -> "Reject":
        """The reject of a message that could not be read."""
        return cls(
            record.topic,
            record.partition,
            record.offset,
            unreadable.rule,
            str(unreadable),
            record.value or b"",
            record.key,
            record.timestamp,
            tuple(record.headers),
        )

    def encode(self) -> Message:
        """The message in the topic of rejects."""
        known = {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "rule": self.rule,
            "message": self.message,
            "timestamp_ms": self.timestamp_ms,
            "key": None if self.key is None else self.key.hex(),
            "headers": [(name, value.hex()) for name, value in self.headers],
            "redriven": self.redriven,
        }
        return Message(self.id.encode(), self.value, [("reject", orjson.dumps(known))])

    @classmethod
    def decode(cls, value: bytes, headers: Iterable[tuple[str, bytes]]) -> "Reject | None":
        """The reject that a message of `rejects` holds; None if it is none."""
        known = next((header for name, header in headers if name == "reject"), None)
        if known is None:
            return None
        given = orjson.loads(known)
        return cls(
            given["topic"],
            given["partition"],
            given["offset"],
            given["rule"],
            given["message"],
            value,
            None if given["key"] is None else bytes.fromhex(given["key"]),
            given["timestamp_ms"],
            tuple((name, bytes.fromhex(header)) for name, header in given["headers"]),
            given["redriven"],
        )
