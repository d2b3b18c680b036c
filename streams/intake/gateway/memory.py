"""What a gateway remembers, all of it bounded: bytes at hand, requests done, receipts to come.

Nothing rests on it but convenience. That a request which is repeated counts once, also at another
gateway, is the judge's work (`models.submission.Origin`).
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from streams.intake.gateway.problems import Problem
from streams.store.answers import Owned, Receipt

KEPT: Final = timedelta(hours=24)
"""How long a request is known by its Idempotency-Key."""

MOST_REQUESTS: Final = 100_000
MOST_RECEIPTS: Final = 100_000
"""Some 30 MB each."""


class Room:
    """The bytes of all bodies that are in the gateway at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0

    @contextmanager
    def guest(self) -> Iterator["Guest"]:
        """A request's share; given back at the end."""
        guest = Guest(self)
        try:
            yield guest
        finally:
            self.held -= guest.held

    def take(self, count: int) -> None:
        """Hold so many bytes more.

        Raises:
            Problem: there is no room for them now.
        """
        if self.held + count > self._most:
            raise Problem(
                "busy",
                503,
                "网关正忙",
                "同时到达的报送过多，请按 Retry-After 等待后用同一个 Idempotency-Key 重试",
                "Too much is under way. Retry later.",
                retry_after=1,
            )
        self.held += count


class Guest:
    """What one request holds."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.held = 0

    def hold(self, count: int) -> None:
        """Hold so many bytes more. See `Room.take`."""
        self._room.take(count)
        self.held += count


@dataclass(slots=True)
class Visit:
    """A request under an Idempotency-Key.

    `received_at` is when it was received, None while it is at work. Its answer follows from that,
    from what was sent and from what the key may, so only a digest is kept.
    """

    digest: bytes
    begun: datetime
    received_at: datetime | None = None
    answer: bytes = b""


class Requests:
    """The requests of the last day, by platform and Idempotency-Key."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Visit] = OrderedDict()

    @contextmanager
    def once(self, platform: str, key: str, digest: bytes, now: datetime) -> Iterator[Visit]:
        """Do a request, or see that it was done: then it has its `received_at` already.

        It is forgotten where it does not get one.

        Raises:
            Problem: it is at work, or was another one.
        """
        self._forget(now)
        who = platform, key
        visit = self._known.get(who)
        if visit is None:
            visit = self._known[who] = Visit(digest, now)
        elif visit.digest != digest:
            raise Problem(
                "idempotency-key-reused",
                422,
                "Idempotency-Key 已用于别的内容",
                "这个 Idempotency-Key 已用于内容不同的请求；重试须原样重发，新的内容请换一个新键",
                "This Idempotency-Key was used for another request. Use a new one.",
                path="Idempotency-Key",
            )
        elif visit.received_at is None:
            raise Problem(
                "in-progress",
                409,
                "同一请求正在处理",
                "同一个 Idempotency-Key 的请求还在处理，请稍后用同一个键重试",
                "A request with this Idempotency-Key is at work.",
                path="Idempotency-Key",
                retry_after=1,
            )
        try:
            yield visit
        finally:
            if visit.received_at is None and self._known.get(who) is visit:
                del self._known[who]

    def _forget(self, now: datetime) -> None:
        while self._known:
            oldest = next(iter(self._known.values()))
            if len(self._known) < MOST_REQUESTS and now - oldest.begun < KEPT:
                return
            self._known.popitem(last=False)


class _Accepted(NamedTuple):
    received_at: datetime
    platform: str
    units: dict[int, str]


class Receipts:
    """What was accepted a moment ago, until the store knows it."""

    def __init__(self) -> None:
        self._accepted: OrderedDict[str, _Accepted] = OrderedDict()
        self._count = 0

    def add(self, mark: str, received_at: datetime, platform: str, units: dict[int, str]) -> None:
        """Remember a request's submissions: the unit of each, by its number in the request."""
        before = self._accepted.get(mark)
        self._accepted[mark] = _Accepted(received_at, platform, units)
        self._count += len(units) - (len(before.units) if before else 0)
        while self._count > MOST_RECEIPTS:
            _mark, oldest = self._accepted.popitem(last=False)
            self._count -= len(oldest.units)

    def get(self, id_: str) -> Owned | None:
        """The receipt of that id, and whose it is."""
        mark, _, number = id_.partition("-")
        accepted = self._accepted.get(mark)
        if accepted is None or not (number.isascii() and number.isdigit()):
            return None
        unit = accepted.units.get(int(number))
        if unit is None:
            return None
        receipt = Receipt(id=id_, state="received", received_at=accepted.received_at)
        return Owned(receipt, accepted.platform, unit)
