"""NDJSON: one submission a line, as docs/integrate.md describes it."""

import codecs
from collections.abc import Callable, Iterator
from typing import Any, AnyStr, Final, Generic, NoReturn, Self

from pydantic_core import to_json

from models.submission import Delivery, Unreadable, delivery_of, parse_object
from models.words import Op
from streams.files.row import LARGEST_ROW, Given, Row


class Lines(Generic[AnyStr]):
    """A text's lines, in bounded memory.

    A row (one line, or in CSV several) has at most `LARGEST_ROW` characters; `begin` starts one.
    What is longer raises Unreadable, and the next line is the one after it.
    """

    def __init__(self, readline: Callable[[int], AnyStr], newline: AnyStr) -> None:
        self._readline: Callable[[int], AnyStr] = readline
        self._newline: AnyStr = newline
        self._left = LARGEST_ROW

    def begin(self) -> None:
        """Begin a new row with the next line."""
        self._left = LARGEST_ROW

    def __iter__(self) -> Self:
        """Itself."""
        return self

    def __next__(self) -> AnyStr:
        """The next line with its end."""
        line = self._readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            self._refuse(line)
        if not line:
            raise StopIteration
        return line

    def _refuse(self, line: AnyStr) -> NoReturn:
        while line and not line.endswith(self._newline):
            line = self._readline(LARGEST_ROW)
        raise Unreadable(
            "too-long", f"这一行超过 {LARGEST_ROW >> 20} MiB，请检查换行和引号是否缺失"
        )


BLANK: Final = b" \t\r\n"


def read_ndjson(lines: Lines[bytes], given: Given) -> Iterator[Row]:
    """Rows of NDJSON in UTF-8; a byte order mark and blank lines are skipped."""
    number = 0
    while True:
        number += 1
        lines.begin()
        try:
            raw = next(lines)
        except StopIteration:
            return
        except Unreadable as fault:
            yield Row(number, fault)
            continue
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if raw := raw.strip(BLANK):
            yield Row(number, _read(raw, given))


def _read(raw: bytes, given: Given) -> Delivery | Unreadable:
    try:
        said = parse_object(raw)
        return delivery_of({"unit": given.unit, "category": given.category, **said})
    except Unreadable as fault:
        return fault


def wire_form(delivery: Delivery) -> bytes:
    """A delivery as a line of NDJSON, which gets the same verdict as what it was read from."""
    line: dict[str, Any] = {
        "unit": delivery.unit,
        "category": delivery.schema.category,
        "op": delivery.op,
        "record": {code: _flat(value) for code, value in delivery.record.items() if value != ""},
    }
    if delivery.op is Op.WITHDRAW:
        line["reason"] = delivery.reason
    return to_json(line) + b"\n"


def _flat(value: object) -> object:
    """A value without what may be nested in it: of a list or an object, its kind is enough."""
    return type(value)() if isinstance(value, list | dict) else value
