"""Rejects as the store keeps them: what may be shown of them; their bytes stay in the log."""

from datetime import datetime
from typing import Final, NamedTuple

from streams.store.client import Store


class RejectEntry(NamedTuple):
    """A reject as it is listed; `size` is in bytes, `redriven` says that it was put back."""

    id: str
    rule: str
    message: str
    at: datetime
    size: int
    redriven: bool


_COLUMNS: Final = "id, rule, message, at, bytes, redriven"
_LISTED: Final = f"""
SELECT {_COLUMNS}
FROM rejects_now
ORDER BY at, topic, partition, `offset`
"""  # noqa: S608 - our own names
_SHOWN: Final = f"""
SELECT text, {_COLUMNS}
FROM rejects_now
WHERE id = {{id:String}}
ORDER BY at
"""  # noqa: S608 - our own names


def stored_rejects(store: Store) -> list[RejectEntry]:
    """Every reject, oldest first."""
    return [RejectEntry(*row) for row in store.rows(_LISTED)]


def stored_reject(store: Store, id_: str) -> list[tuple[RejectEntry, str]]:
    """The rejects of an id, one for each log that had the place, with their masked text."""
    return [(RejectEntry(*row), text) for text, *row in store.rows(_SHOWN, id=id_)]
