"""CSV: rows of cells separated by comma, semicolon or tab."""

import csv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final, TextIO

from models.submission import Unreadable
from streams.files.ndjson import Lines
from streams.files.row import Given, Row
from streams.files.tables import Cells, Header, find_header, no_header, read_table

DELIMITERS: Final = (",", "\t", ";")
"""Tried in this order; the one under which most headings are known is taken."""

Opened = Callable[[], AbstractContextManager[TextIO]]
"""Opens the file as text from its beginning, line ends kept as they are."""


def find_delimiter(opened: Opened, given: Given) -> tuple[str, Header]:
    """The delimiter of a CSV file, and its header.

    Raises:
        UnusableFile: no header is there, or one that cannot be used.
    """
    found: dict[str, Header] = {}
    for delimiter in DELIMITERS:
        with opened() as text:
            header = find_header(split_rows(text, delimiter), given.category)
        if header is not None:
            found[delimiter] = header
    if not found:
        raise no_header(given.category)
    return max(found.items(), key=lambda item: item[1].named)


def split_rows(text: TextIO, delimiter: str) -> Iterator[tuple[int, Cells | Unreadable]]:
    """Every row with its number, as a spreadsheet counts: a quoted line break begins no new row.

    A row whose quotes do not match is Unreadable; reading goes on with the line after it.
    """
    lines = Lines(text.readline, "\n")
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    number = 0
    while True:
        number += 1
        lines.begin()
        begun = rows.line_num + 1
        try:
            yield number, next(rows)
        except StopIteration:
            return
        except Unreadable as fault:
            yield number, fault
        except csv.Error:
            yield (
                number,
                Unreadable(
                    "quotes",
                    f"引号不成对或使用有误（文件的第 {begun} 至 {rows.line_num} 行），"
                    "无法分出各列：请检查双引号，内容中的双引号要写两个",
                ),
            )


def read_csv(
    text: TextIO, delimiter: str, header: Header, given: Given, notes: list[str]
) -> Iterator[Row]:
    """The rows of a CSV file below its header. See `read_table`."""
    return read_table(header, split_rows(text, delimiter), given, notes, ragged=False)
