"""The clock of the watching parts: what day it is for windows, due dates and expiry."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from models.words import SHANGHAI


class Clock(Protocol):
    """Says what day it is in Asia/Shanghai."""

    def today(self) -> date:
        """The current day."""
        ...

    def see(self, received: date) -> None:
        """Take note of a day of receipt."""
        ...


class SystemClock:
    """Today is today."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(SHANGHAI)) -> None:
        self._now = now

    def today(self) -> date:
        """The day of the machine's clock, in Asia/Shanghai."""
        return self._now().astimezone(SHANGHAI).date()

    def see(self, received: date) -> None:
        """A day of receipt does not move a running clock."""


@dataclass
class DataClock:
    """Today is the latest day of receipt seen: for replays of the past."""

    latest: date = field(default=date.min)

    def today(self) -> date:
        """The latest day seen; the first of all days before any was."""
        return self.latest

    def see(self, received: date) -> None:
        """Go on to that day, never back."""
        self.latest = max(self.latest, received)
