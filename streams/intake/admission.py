"""Admission: who may submit what. Every way in asks here, and needs nothing else of its own.

A way in reads what came, and says who speaks (`Speaker`) and when and where it was received
(`Arrival`). What it gets back is the message that belongs in submissions, and its partition; or why
there is none. What a sender itself says of these things is ignored.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from models.judging import identify, unit_of
from models.registry import Platform, Registry
from models.submission import Delivery, Origin, Submission, Unreadable
from models.words import Category
from streams.log.topics import LARGEST, partition_of
from streams.log.wire import encode_submission
from streams.log.writer import Message


class Speaker(NamedTuple):
    """Who submits: the platform's id, what it is called in a refusal, and for whom it may speak."""

    platform: str
    called: str
    may: Callable[[str, Category], bool]
    """Whether it may submit records of a unit in a category."""


def platform_speaker(platform: Platform) -> Speaker:
    """A platform that is known by the topic it writes to."""
    return Speaker(platform.id, f"平台“{platform.name}”", platform.may_speak_for)


OFFICE: Final = Speaker("", "市信用办", lambda _unit, _category: True)
"""The office itself, which may replay whatever was reported."""


class Arrival(NamedTuple):
    """When a delivery was received, the id it has, and where it came from."""

    received_at: datetime
    id: str = ""
    origin: Origin | None = None


class Admitted(NamedTuple):
    """A submission that was let in, its unit, and what is to be written where."""

    submission: Submission
    unit: str
    partition: int
    message: Message


def require_size(raw: bytes) -> None:
    """Let pass what is small enough for a record.

    Raises:
        Unreadable: it is larger.
    """
    if len(raw) > LARGEST:
        raise Unreadable("too-long", f"这一条超过 {LARGEST >> 20} MiB，请检查内容")


def admit(
    delivery: Delivery,
    raw: bytes,
    speaker: Speaker,
    arrival: Arrival,
    registry: Registry,
    partitions: int,
) -> Admitted:
    """Let a delivery in.

    Args:
        delivery: What was read.
        raw: The JSON object that it was read from.
        speaker: Who sent it.
        arrival: When and where it was received.
        registry: Of the units.
        partitions: Of submissions.

    Raises:
        Unreadable: the registry does not know its unit, or the speaker may not speak for it.
    """
    unit, category = unit_of(delivery, registry), delivery.schema.category
    if not speaker.may(unit, category):
        raise delivery.unreadable(
            "scope",
            f"{speaker.called}无权为该机构报送{category.zh}，请核对机构，或联系市信用办登记",
        )
    key = identify(delivery, registry)
    submission = delivery.submission(
        key, arrival.received_at, arrival.id, speaker.platform, arrival.origin
    )
    message = Message(key, encode_submission(raw, submission))
    return Admitted(submission, unit, partition_of(key, partitions), message)
