"""What reading a file gives: rows, each a delivery or the reason why it is none."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from models.submission import Delivery, Unreadable
from models.words import Category
from streams.errors import InputError

LARGEST_ROW: Final = 1 << 20
"""Bytes (NDJSON) or characters (CSV) of one row: what a broker takes as one message by default."""

EXPLANATIONS: Final = "填写说明"
"""The sheet of our templates with the explanations; it holds no records."""

LARGEST_COLUMNS: Final = 500
"""Columns of a table; the longest field list has 31."""


class Limits(NamedTuple):
    """What a workbook may take; beyond it, a file is refused with a message that says so."""

    unpacked: int = 512 << 20
    """Bytes of XML in all; about half a million licences."""
    held: int = 64 << 20
    """Bytes of any part but the sheets: the shared texts are held in memory."""
    rows: int = 1 << 20
    """Rows of a sheet, as spreadsheet programs have it; a crafted file may name a higher row."""


class UnusableFile(InputError):
    """A file that cannot be read at all; `str()` says why and what to do, in one Chinese line."""


class Row(NamedTuple):
    """One row of a file. `number` is what an editor (NDJSON) or a spreadsheet (CSV, XLSX) shows."""

    number: int
    delivery: Delivery | Unreadable


class Given(NamedTuple):
    """What the caller says of the rows that do not say it themselves."""

    unit: str | None = None
    category: Category | None = None


class Rows:
    """One pass over a file's rows.

    Iterating may still raise UnusableFile: a workbook can be broken in its middle.

    Attributes:
        notes: What is to be said of the file as a whole, in Chinese; complete after the last row.
        progress: How much of the file was read, from 0 to 1; always 0 where that is unknown.
    """

    def __init__(
        self, rows: Iterator[Row], notes: list[str], progress: Callable[[], float]
    ) -> None:
        self._rows = rows
        self.notes = notes
        self.progress = progress

    def __iter__(self) -> Iterator[Row]:
        """The rows, once."""
        return self._rows
