"""Batches: a file's rows as the bodies of requests, cut the same way each time it is read."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from models.submission import Unreadable
from streams.files import Row
from streams.files.ndjson import wire_form

BATCH_ROWS: Final = 500
"""Rows of a batch, at most."""

BATCH_BYTES: Final = 1 << 20
"""A batch with this many bytes is full; it holds at least one record."""


class FileBatch(NamedTuple):
    """A part of a file: what is sent of it, and the rows that cannot be.

    `rows` are the numbers of the rows in `body` (NDJSON), in its order.
    """

    number: int
    rows: tuple[int, ...]
    body: bytes
    unreadable: tuple[tuple[int, Unreadable], ...]


def batches(rows: Iterable[Row]) -> Iterator[FileBatch]:
    """Cut rows into batches, numbered from 0."""
    number = size = 0
    sent: list[tuple[int, bytes]] = []
    unreadable: list[tuple[int, Unreadable]] = []

    def cut() -> FileBatch:
        body = b"".join(line for _, line in sent)
        return FileBatch(number, tuple(row for row, _ in sent), body, tuple(unreadable))

    for row, delivery in rows:
        if isinstance(delivery, Unreadable):
            unreadable.append((row, delivery))
        else:
            line = wire_form(delivery)
            if sent and size + len(line) > BATCH_BYTES:
                yield cut()
                number, size, sent, unreadable = number + 1, 0, [], []
            sent.append((row, line))
            size += len(line)
        if len(sent) + len(unreadable) == BATCH_ROWS:
            yield cut()
            number, size, sent, unreadable = number + 1, 0, [], []
    if sent or unreadable:
        yield cut()
