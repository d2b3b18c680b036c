"""表格: rows of cells under a header, as CSV and XLSX have them, made into submissions.

The header is the first row, near the top, most of whose cells name items of one category (by field
code or Chinese name) or say 报送机构 or 信息类别. What is above it is a title; a second heading
right below it (codes under names) belongs to it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final, Self

from models.records import SCHEMAS, Schema
from models.records.base import WHITE_SPACE, squeezed
from models.rules import shown
from models.submission import Delivery, Refusal, Unreadable, delivery_of
from models.words import CATEGORY_OF, Category
from streams.files.row import LARGEST_COLUMNS, Given, Row, UnusableFile

HEADER_WITHIN: Final = 20
"""Rows among which the header is looked for."""

LISTED: Final = 10
"""Headings named in one note; more are only counted."""

UNIT: Final = "报送机构"
CATEGORY: Final = "信息类别"

Cells = list[str]
Grid = Iterable[tuple[int, Cells | Unreadable]]
"""A table's rows with their numbers; a row that could not be split into cells says why."""


class Rounded(str):
    """The text of a number of which a spreadsheet has lost the last digits."""

    __slots__ = ()


class Unfit(str):
    """In place of a cell whose content cannot be taken: by which rule, and why, in Chinese."""

    rule: Refusal
    why: str

    def __new__(cls, rule: Refusal, why: str) -> Self:
        """The text itself is only there not to be blank."""
        cell = super().__new__(cls, "\ufffd")
        cell.rule = rule
        cell.why = why
        return cell


def _spelled(heading: str) -> str:
    """A heading in one spelling, without the asterisk that marks mandatory columns."""
    return squeezed(heading).strip("*").upper()


_CODES: Final[dict[Category, dict[str, str]]] = {
    category: {
        _spelled(heading): code
        for code, item in schema.items.items()
        for heading in (code, item.name)
    }
    for category, schema in SCHEMAS.items()
}
"""Field code by heading, for each category."""

_SAYING: Final = {UNIT: UNIT, "UNIT": UNIT, CATEGORY: CATEGORY, "CATEGORY": CATEGORY}
"""Columns that name a row's unit and category."""


@dataclass(frozen=True, slots=True)
class Header:
    """A table's header: the row it is in, its headings, and how well they are known.

    `category` is None where each row says its own. `named` counts the headings that are known.
    """

    number: int
    headings: tuple[str, ...]
    category: Category | None
    saying: Mapping[str, int]
    named: int

    def codes(self, category: Category) -> dict[int, str]:
        """Field code by column, for rows of a category."""
        known = _CODES[category]
        return {
            column: known[heading]
            for column, heading in enumerate(self.headings)
            if heading in known
        }


def find_header(grid: Grid, category: Category | None) -> Header | None:
    """The header among a table's first rows; `category` is what rows are unless they say otherwise.

    Raises:
        UnusableFile: it fits several categories, names a column twice, or is too wide.
    """
    for number, cells in islice(grid, HEADER_WITHIN):
        if not isinstance(cells, Unreadable):
            header = _as_header(number, cells, category)
            if header is not None:
                return header
    return None


def _as_header(number: int, cells: Cells, category: Category | None) -> Header | None:
    headings = tuple(map(_spelled, cells[: LARGEST_COLUMNS + 1]))
    filled = Counter(filter(None, headings))
    saying = {
        _SAYING[heading]: column for column, heading in enumerate(headings) if heading in _SAYING
    }
    said = CATEGORY in saying
    candidates = tuple(Category) if said or category is None else (category,)
    named = {each: len(_CODES[each].keys() & filled.keys()) for each in candidates}
    most = max(named.values())
    known = most + len(saying)
    if most < 2 or 2 * known <= len(filled):
        return None
    if len(headings) > LARGEST_COLUMNS:
        raise UnusableFile(f"表格超过 {LARGEST_COLUMNS} 列，请删去多余的列")
    best = [each for each in candidates if named[each] == most]
    if len(best) > 1 and not said:
        raise UnusableFile(
            f"第 {number} 行的表头同时符合{'、'.join(each.zh for each in best)}，无法判断信息类别："
            f"请指定信息类别（命令行用 --category，例如 --category {best[0].value}），"
            f"或增加“{CATEGORY}”一列"
        )
    header = Header(number, headings, None if said else best[0], saying, known)
    for each in best:
        if twice := [code for code, n in Counter(header.codes(each).values()).items() if n > 1]:
            name = SCHEMAS[each].items[twice[0]].name
            raise UnusableFile(
                f"第 {number} 行的表头中“{name}（{twice[0]}）”出现两次，请只保留一列"
            )
    return header


def no_header(category: Category | None) -> UnusableFile:
    """What to say of a table in which no header was found."""
    model = SCHEMAS[category or Category.LICENCE]
    examples = "、".join(item.name for item in islice(model.items.values(), 3))
    whose = f"（{category.zh}）" if category else ""
    return UnusableFile(
        f"前 {HEADER_WITHIN} 行中没有找到表头：请用数据项名称或字段代码{whose}作表头，"
        f"例如 {examples}"
    )


def read_table(
    header: Header, grid: Grid, given: Given, notes: list[str], *, ragged: bool
) -> Iterator[Row]:
    """The rows below the header; completely blank ones are skipped.

    Args:
        header: The grid's header (`find_header`).
        grid: The same table from its first row.
        given: What holds for rows that do not say it.
        notes: Receives what is to be said of the table as a whole.
        ragged: Whether a cell beyond the header is only noted; else its row is not readable, as
            its cells may have slipped.

    Raises:
        UnusableFile: neither the table nor `given` says whose the rows are; on iterating.
    """
    if UNIT not in header.saying and not given.unit:
        raise UnusableFile(
            f"不知道是哪个机构报送的：请指定报送机构（命令行用 --unit），或增加“{UNIT}”一列"
        )
    return _Table(header, given, notes, ragged=ragged).read(grid)


class _Table:
    def __init__(self, header: Header, given: Given, notes: list[str], *, ragged: bool) -> None:
        self._header = header
        self._given = given
        self._notes = notes
        self._ragged = ragged
        self._codes: dict[Category, dict[int, str]] = {}
        self._rounded: set[str] = set()
        self._stray: set[int] = set()
        self._untitled = [column for column, heading in enumerate(header.headings) if not heading]
        known: set[str] = set().union(
            *(_CODES[each] for each in ((header.category,) if header.category else Category))
        )
        unknown = [
            shown(heading)
            for heading in header.headings
            if heading and heading not in known and heading not in _SAYING
        ]
        if unknown:
            notes.append(f"不认识的列没有读取：{_listed(unknown)}")
        if header.category:
            self._columns(header.category)

    def read(self, grid: Grid) -> Iterator[Row]:
        below: Iterator[tuple[int, Cells | Unreadable]]
        below = (row for row in grid if row[0] > self._header.number)
        first = next(below, None)
        if first is not None and not self._is_second_heading(first[1]):
            below = chain((first,), below)
        empty = True
        for number, cells in below:
            if isinstance(cells, Unreadable):
                empty = False
                yield Row(number, cells)
                continue
            cells = [cell.strip(WHITE_SPACE) if type(cell) is str else cell for cell in cells]
            if any(cells):
                empty = False
                yield Row(number, self._delivery(cells))
        if empty:
            self._notes.append("表头下面没有数据")

    def _is_second_heading(self, cells: Cells | Unreadable) -> bool:
        if isinstance(cells, Unreadable):
            return False
        named = [
            _same(heading, _spelled(cell))
            for heading, cell in zip(self._header.headings, cells, strict=False)
            if cell
        ]
        return bool(named) and all(named)

    def _columns(self, category: Category) -> dict[int, str]:
        """Field code by column; notes for each new category which of its columns are missing."""
        codes = self._codes.get(category)
        if codes is None:
            codes = self._codes[category] = self._header.codes(category)
            schema = SCHEMAS[category]
            missing = [
                item.name
                for code, item in schema.items.items()
                if code in schema.required and code not in codes.values()
            ]
            if missing:
                self._notes.append(
                    f"{category.zh}缺少必填的列，这些信息都会不合规：{_listed(missing)}"
                )
        return codes

    def _delivery(self, cells: Cells) -> Delivery | Unreadable:
        header, given = self._header, self._given
        unit, named = (
            cells[column] if column is not None and column < len(cells) else ""
            for column in (header.saying.get(UNIT), header.saying.get(CATEGORY))
        )
        category = CATEGORY_OF.get(named) if named else header.category or given.category
        record: dict[str, str] = {}
        if category is not None:
            if fault := self._fault_of_width(cells, unit or given.unit, category):
                return fault
            codes = self._columns(category)
            width = len(cells)
            record = {code: cells[column] for column, code in codes.items() if column < width}
            for column, code in codes.items():
                if column < width and isinstance(unfit := cells[column], Unfit):
                    name = SCHEMAS[category].items[code].name
                    message = f"第 {column + 1} 列（{name}）{unfit.why}"
                    return Unreadable(unfit.rule, message, unit or given.unit, category)
            rounded = [code for code, value in record.items() if type(value) is Rounded]
            if rounded:
                schema = SCHEMAS[category]
                self._note_rounded(schema, rounded)
                if lost := set(schema.identifying).intersection(rounded):
                    name = schema.items[lost.pop()].name
                    return Unreadable(
                        "rounded",
                        f"{name}的末几位已被电子表格舍去，无法确定是哪条信息："
                        "请把该列设为文本格式后重新录入",
                        unit or given.unit,
                        category,
                    )
        said = {"unit": unit or given.unit, "category": category or named, "record": record}
        try:
            return delivery_of(said)
        except Unreadable as fault:
            return fault

    def _fault_of_width(
        self, cells: Cells, unit: str | None, category: Category
    ) -> Unreadable | None:
        """Check the cells that have no heading."""
        width = len(self._header.headings)
        for column in (*self._untitled, *range(width, len(cells))):
            if column >= len(cells) or not cells[column]:
                continue
            if column >= width and not self._ragged:
                return Unreadable(
                    "columns",
                    f"这一行有 {len(cells)} 列，表头只有 {width} 列，内容可能错位："
                    "请检查是否有没加引号的分隔符",
                    unit,
                    category,
                )
            if column not in self._stray:
                self._stray.add(column)
                self._notes.append(f"第 {column + 1} 列没有表头，其中的内容没有读取")
        return None

    def _note_rounded(self, schema: Schema, codes: Sequence[str]) -> None:
        for code in codes:
            if code not in self._rounded:
                self._rounded.add(code)
                self._notes.append(
                    f"“{schema.items[code].name}”一列的长数字已被电子表格舍去末几位"
                    "（显示如 4.20106E+17）：请把该列设为文本格式后重新录入"
                )


def _same(heading: str, other: str) -> bool:
    """Whether two headings name the same item of some category, or say the same of a row."""
    return (heading in _SAYING and _SAYING[heading] == _SAYING.get(other)) or any(
        heading in codes and codes[heading] == codes.get(other) for codes in _CODES.values()
    )


def _listed(names: Sequence[str]) -> str:
    more = f" 等 {len(names)} 列" if len(names) > LISTED else ""
    return "、".join(names[:LISTED]) + more
