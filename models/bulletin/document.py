"""The bulletin as a document: sections, tables with their merged headings, and the flat cells.

Renderings read this and decide nothing. A table's value that is a `Decimal` is a rate in percent;
None is a blank.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

from models.bulletin.figures import Revision
from models.month import Month
from models.tally import Tally
from models.words import Category, UnitKind

Value: TypeAlias = int | Decimal | str | None
"""What is in a table's cell."""

LONG: Final = 20
"""A text of more characters is running text, not a name."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading over one column, or over the columns of its parts. `width` is relative."""

    title: str
    parts: tuple["Heading", ...] = ()
    width: float = 1.0

    @property
    def leaves(self) -> tuple["Heading", ...]:
        """The headings of single columns under it, itself if it is one."""
        return tuple(leaf for part in self.parts for leaf in part.leaves) or (self,)

    @property
    def depth(self) -> int:
        """Rows that it and its parts take."""
        return 1 + max((part.depth for part in self.parts), default=0)

    @property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """The titles from here down to each column."""
        below = [path for part in self.parts for path in part.paths] or [()]
        return tuple((self.title, *path) for path in below)


class HeadingCell(NamedTuple):
    """A heading's place: row and column of its upper left corner from 0, and its span."""

    title: str
    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table; each row has a value for each column."""

    title: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Value, ...], ...]

    @property
    def columns(self) -> tuple[Heading, ...]:
        """The columns."""
        return tuple(leaf for heading in self.headings for leaf in heading.leaves)

    @property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """Each column's titles, from the top down."""
        return tuple(path for heading in self.headings for path in heading.paths)

    @property
    def running(self) -> tuple[bool, ...]:
        """Of each column, whether it holds running text, which is not centred."""
        return tuple(
            any(
                isinstance(row[column], str) and len(shown(row[column])) > LONG for row in self.rows
            )
            for column in range(len(self.columns))
        )

    @property
    def depth(self) -> int:
        """Rows of headings."""
        return max(heading.depth for heading in self.headings)

    @property
    def heading_cells(self) -> list[HeadingCell]:
        """Every heading with its place, row by row."""
        return sorted(_laid(self.headings, 0, 0, self.depth), key=lambda cell: cell[1:3])


def _laid(
    headings: tuple[Heading, ...], row: int, column: int, depth: int
) -> Iterator[HeadingCell]:
    for heading in headings:
        width = len(heading.leaves)
        height = 1 if heading.parts else depth - row
        yield HeadingCell(heading.title, row, column, height, width)
        yield from _laid(heading.parts, row + 1, column, depth)
        column += width


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the text, its heading numbered."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    table: Table | None = None
    parts: tuple["Section", ...] = ()


class Cell(NamedTuple):
    """A unit's tally in one category."""

    unit: str
    kind: UnitKind
    category: Category
    tally: Tally


class Standing(NamedTuple):
    """A rate in percent, and its rank among the units of the kind (equal rates, equal rank)."""

    rate: Decimal
    rank: int


class Change(NamedTuple):
    """环比: a unit's standing last month and now, in one category of 双公示.

    A standing is None where there is no rate.
    """

    unit: str
    kind: UnitKind
    category: Category
    reported: tuple[int, int]
    compliance: tuple[Standing | None, Standing | None]
    timeliness: tuple[Standing | None, Standing | None]


class Discrepancy(NamedTuple):
    """A figure that is not what the official bulletin printed, or that it did not print."""

    unit: str
    category: Category
    item: str
    printed: Value
    ours: Value
    reason: str


@dataclass(frozen=True, slots=True)
class Bulletin:
    """通报. `annexes` are numbered from 1; the comparison with what was printed is not one of them.

    `silent` are the units that reported nothing at all.
    """

    month: Month
    letterhead: str
    number: str
    title: str
    addressee: str
    opening: str
    sections: tuple[Section, ...]
    contact: str
    signatory: str
    signed: str
    annexes: tuple[Table, ...]
    imprint: tuple[str, ...]
    cells: tuple[Cell, ...]
    silent: tuple[str, ...]
    changes: tuple[Change, ...]
    revisions: tuple[Revision, ...]
    discrepancies: tuple[Discrepancy, ...]
    comparison: Table | None
    errata: tuple[str, ...]
    frozen: bool


def shown(value: Value) -> str:
    """A table's value as text: whole rates without decimals, others with two; None is nothing."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:.0f}%" if value == value.to_integral_value() else f"{value:.2f}%"
    return str(value)
