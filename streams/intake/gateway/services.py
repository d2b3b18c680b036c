"""What the routes of the gateway work with."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from models.calendar import Calendar
from models.registry import Registry
from models.words import SHANGHAI
from streams.clock import Clock
from streams.intake.audit import Audit
from streams.intake.gateway.asking import Desk
from streams.intake.gateway.idempotency import Requests
from streams.intake.gateway.problems import Problem
from streams.intake.gateway.rate import RateLimiter
from streams.intake.gateway.receipts import Receipts
from streams.intake.gateway.room import Room
from streams.intake.keys import Key, KeyRing
from streams.log.connection import LogError
from streams.log.topics import SUBMISSIONS
from streams.log.writer import LogWriter, Message
from streams.meters import GatewayMetrics
from streams.settings import Settings
from streams.store.answers import Owned

log = logging.getLogger(__name__)

FILES_AT_ONCE: Final = 2

RETRY_AFTER: Final = 5
"""Seconds after which to try a broker again that did not answer."""


def _now() -> datetime:
    return datetime.now(SHANGHAI)


@dataclass(slots=True, eq=False)
class Services:
    """The gateway: `clock` says what day it is for questions, `now` when something was received."""

    settings: Settings
    registry: Registry
    calendar: Calendar
    clock: Clock
    writer: LogWriter
    keys: KeyRing
    audit: Audit
    desk: Desk | None
    now: Callable[[], datetime] = _now
    metrics: GatewayMetrics = field(default_factory=GatewayMetrics)
    requests: Requests = field(default_factory=Requests)
    receipts: Receipts = field(default_factory=Receipts)
    room: Room = field(init=False)
    limiter: RateLimiter = field(init=False)
    reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(FILES_AT_ONCE))
    """For the files that are read at a time; each takes a thread."""
    failed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the broker refuses and waiting will not help: the gateway should end."""

    def __post_init__(self) -> None:
        """Set the limits."""
        settings = self.settings
        self.room = room = Room(settings.gateway_held_bytes)
        self.metrics.holds(lambda: room.held)
        self.limiter = RateLimiter(settings.gateway_rate, settings.gateway_burst)

    def received(self, id_: str) -> Owned | None:
        """The receipt of a submission that this gateway accepted a moment ago, and whose it is."""
        return self.receipts.get(id_)

    def require_rate(self, key: Key, records: int) -> None:
        """Let the records of a key pass.

        Raises:
            Problem: it has delivered too many recently.
        """
        wait = self.limiter.take(key.id, max(1, records), time.monotonic())
        if wait:
            raise Problem(
                "rate",
                429,
                "报送过快",
                "这个密钥报送得太快，请按 Retry-After 等待后用同一个 Idempotency-Key 重试",
                "Too many records a second for this key.",
                retry_after=math.ceil(wait),
            )

    async def write(self, submissions: Iterable[tuple[int, Message]]) -> None:
        """Append to submissions; durable when it returns.

        Raises:
            Problem: the broker did not acknowledge them in time; they may still be in the log.
        """
        topic = self.settings.topic(SUBMISSIONS)
        try:
            async with asyncio.timeout(self.settings.gateway_write_timeout):
                await self.writer.write_all(topic, submissions)
        except TimeoutError:
            log.warning("消息服务没有及时确认")
        except LogError as error:
            log.error("%s", error)  # noqa: TRY400 - the error says all
            self.failed.set()
        else:
            return
        raise Problem(
            "broker-away",
            503,
            "暂时不能接收",
            "消息服务没有确认写入；请按 Retry-After 等待后，用同一个 Idempotency-Key 原样重试",
            "The broker did not acknowledge. Retry with the same Idempotency-Key.",
            retry_after=RETRY_AFTER,
        )
