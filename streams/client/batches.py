"""Batches: a file's rows as the bodies of requests, cut the same way each time it is read."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson

from models.submission import Submission, Unreadable
from models.words import Op
from streams.files import Row

BATCH_ROWS: Final = 500
"""Rows of a batch at the most."""

BATCH_BYTES: Final = 1 << 20
"""A batch that has so many bytes is full; it holds one record at least."""

_STANDS_FOR: Final[dict[str, Any]] = {"bool": True, "list": [], "dict": {}}
"""A value for each kind that is no text: its kind is all that a verdict says of it."""


class Batch(NamedTuple):
    """A stretch of a file: what is sent of it, and the rows that cannot be.

    `rows` are the numbers of the rows in `body` (NDJSON), in its order.
    """

    number: int
    rows: tuple[int, ...]
    body: bytes
    unreadable: tuple[tuple[int, Unreadable], ...]


def batches(rows: Iterable[Row]) -> Iterator[Batch]:
    """Cut rows into batches, numbered from 0."""
    number = size = 0
    sent: list[tuple[int, bytes]] = []
    unreadable: list[tuple[int, Unreadable]] = []

    def cut() -> Batch:
        body = b"".join(line for _, line in sent)
        return Batch(number, tuple(row for row, _ in sent), body, tuple(unreadable))

    for row, submission in rows:
        if isinstance(submission, Unreadable):
            unreadable.append((row, submission))
        else:
            line = wire_form(submission)
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


def wire_form(submission: Submission) -> bytes:
    """A submission as a line of NDJSON; the gateway judges it as it would the row itself."""
    values = {code: value for code, value in submission.values.items() if value}
    values |= {code: _STANDS_FOR[kind] for code, kind in submission.misfits.items()}
    line: dict[str, Any] = {
        "unit": submission.unit,
        "category": submission.schema.category,
        "op": submission.op,
        "record": values,
    }
    if submission.op is Op.WITHDRAW:
        line["reason"] = submission.reason
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
