"""Idempotency-Keys: the requests that this gateway has done or is doing; bounded.

It is only a convenience. The judge makes sure that a repeated request counts once, also at another
gateway (`models.submission.Origin`).
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from streams.intake.gateway.problems import Problem

KEPT: Final = timedelta(hours=24)
"""How long a request is known by its Idempotency-Key."""

MOST_REQUESTS: Final = 100_000
"""Some 30 MB."""


@dataclass(slots=True)
class Visit:
    """A request under an Idempotency-Key.

    `received_at` is when it was received, None while it is being done. Its answer follows from
    that, from what was sent and from what the key may, so only a digest is kept.
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
            Problem: it is being done, or was another one.
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
