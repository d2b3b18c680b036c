"""Receipts of what was accepted a moment ago, until the store has them; bounded."""

from collections import OrderedDict
from datetime import datetime
from typing import Final, NamedTuple

from streams.store.answers import Owned, Receipt

MOST_RECEIPTS: Final = 100_000
"""Some 30 MB."""


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
