"""Room: the bytes of all bodies that are in the gateway at a time, bounded."""

from collections.abc import Iterator
from contextlib import contextmanager

from streams.intake.gateway.problems import Problem


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
        """Hold that many more bytes.

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
        """Hold that many more bytes. See `Room.take`."""
        self._room.take(count)
        self.held += count
