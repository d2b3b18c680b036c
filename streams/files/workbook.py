"""XLSX: the first visible sheet of a workbook that has a header.

Values are what the cells show, not what they mean: a whole number has no decimals, a true value is
TRUE, an error its own text (#N/A), so that the rules find it. Only dates are put in one form,
2022-06-03. Of merged cells the first one holds the value and the others are blank, as in the file.

A formula is never evaluated. Its stored result is what its author saw, and counts; where none is
stored nobody has seen one, and the row reports that.
"""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from pathlib import Path
from posixpath import join, normpath
from typing import Final
from zipfile import ZipFile

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format
from openpyxl.utils import column_index_from_string
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel

from streams.files.parts import (
    Attributes,
    Elements,
    broken,
    open_archive,
    plain,
    read_pieces,
    read_whole,
)
from streams.files.row import EXPLANATIONS, LARGEST_COLUMNS, Given, Limits, Rows, UnusableFile
from streams.files.tables import Cells, Rounded, Unfit, find_header, no_header, read_table

LARGEST_CELL: Final = 32_767
"""Characters of a cell, as spreadsheet programs have it."""

LAST_COLUMN: Final = 16_384
"""Columns of a sheet, as spreadsheet programs have it."""

MOST_SHEETS: Final = 255

EXACT_DIGITS: Final = 15
"""Digits of a number that a spreadsheet keeps; the rest become 0."""

_TOO_LONG: Final = Unfit("too-long", f"超过 {LARGEST_CELL} 个字符，请缩短")
_NO_RESULT: Final = Unfit(
    "formula",
    "是公式，文件中没有保存它的结果：请用 Excel 或 WPS 打开并重新保存，或改填公式的结果",
)


@contextmanager
def open_workbook(path: Path, given: Given, limits: Limits) -> Iterator[Rows]:
    """Read a workbook's rows.

    Raises:
        UnusableFile: it is no XLSX workbook, has macros, is too large, broken, or without a header;
            iterating the rows raises it too.
    """
    with closing(open_archive(path, limits)) as archive:
        book = _Book(archive, limits)
        notes: list[str] = []
        for title, part in book.sheets.items():
            sheet = _Sheet(book, part)
            header = find_header(sheet.grid(), given.category)
            if header is not None:
                others = [
                    f"“{other}”" for other in book.sheets if other not in (title, EXPLANATIONS)
                ]
                if others:
                    notes.append(f"只读取了工作表“{title}”，没有读取{'、'.join(others)}")
                break
        else:
            raise no_header(given.category)
        rows = read_table(header, sheet.grid(), given, notes, ragged=True)
        yield Rows(rows, notes, sheet.progress)


class _Book:
    """What the sheets' cells refer to. `sheets` holds the part of each visible one, by title."""

    def __init__(self, archive: ZipFile, limits: Limits) -> None:
        self.archive = archive
        self.limits = limits
        self.size = {part.filename: part.file_size for part in archive.infolist()}
        relations = _Relations()
        read_whole(archive, "xl/_rels/workbook.xml.rels", relations)
        contents = _Contents()
        read_whole(archive, "xl/workbook.xml", contents)
        if len(contents.visible) > MOST_SHEETS:
            raise UnusableFile(f"工作簿中的工作表超过 {MOST_SHEETS} 个：请删去多余的工作表")
        self.epoch = CALENDAR_MAC_1904 if contents.from_1904 else CALENDAR_WINDOWS_1900
        self.sheets: dict[str, str] = {}
        sheets = relations.parts("worksheet")
        for title, relation in contents.visible:
            part = sheets.get(relation, "")
            # A part under several titles would be read as often.
            if part in self.size and part not in self.sheets.values():
                self.sheets[title] = part
        self.formats = _Formats()
        for part in islice(relations.parts("styles").values(), 1):
            read_whole(archive, part, self.formats)
        texts = _Texts()
        for part in islice(relations.parts("sharedStrings").values(), 1):
            read_whole(archive, part, texts)
        self.texts = texts.found


class _Relations(Elements):
    """Which part is what to the workbook."""

    def __init__(self) -> None:
        self._found: list[tuple[str, str, str]] = []

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "Relationship" and attributes.get("TargetMode") != "External":
            part = normpath(join("/xl", attributes["Target"])).lstrip("/")
            self._found.append((attributes["Type"].rpartition("/")[2], attributes["Id"], part))

    def parts(self, kind: str) -> dict[str, str]:
        """The parts of a kind, by the relation's id."""
        return {id_: part for its, id_, part in self._found if its == kind}


class _Contents(Elements):
    """The workbook's visible sheets, title and relation, and from which year its days count."""

    def __init__(self) -> None:
        self.visible: list[tuple[str, str]] = []
        self.from_1904 = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "sheet" and attributes.get("state", "visible") == "visible":
            self.visible.append((attributes["name"], plain(attributes)["id"]))
        elif name == "workbookPr":
            self.from_1904 = attributes.get("date1904") in ("1", "true")


class _Formats(Elements):
    """Which of the cell styles (by their number) show a day or time, and which a duration."""

    def __init__(self) -> None:
        self.days: set[int] = set()
        self.durations: set[int] = set()
        self._codes = dict(BUILTIN_FORMATS)
        self._in_cells = False
        self._styles = 0

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "numFmt":
            self._codes[int(attributes["numFmtId"])] = attributes["formatCode"]
        elif name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            code = self._codes.get(int(attributes.get("numFmtId", 0)), "General")
            if is_timedelta_format(code):
                self.durations.add(self._styles)
            elif is_date_format(code):
                self.days.add(self._styles)
            self._styles += 1

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._in_cells = False


class _Text(Elements):
    """A cell's text as its pieces come; no more is kept than a cell may hold."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._taking = False
        self._pronounced = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name in ("v", "t"):
            self._taking = not self._pronounced
        elif name == "rPh":
            self._pronounced = True

    def end(self, name: str) -> None:
        self._taking = False
        if name == "rPh":
            self._pronounced = False

    def text(self, text: str) -> None:
        if self._taking:
            self._length += len(text)
            if self._length <= LARGEST_CELL:
                self._pieces.append(text)

    def take(self) -> str:
        """The text, which is empty afterwards."""
        text = "".join(self._pieces) if self._length <= LARGEST_CELL else _TOO_LONG
        self._pieces.clear()
        self._length = 0
        return text


class _Texts(_Text):
    """The shared texts, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def end(self, name: str) -> None:
        super().end(name)
        if name == "si":
            self.found.append(_unescaped(self.take()))


class _Rows(_Text):
    """A sheet's rows; `done` collects those that have ended."""

    def __init__(self, book: _Book) -> None:
        super().__init__()
        self.done: list[tuple[int, Cells]] = []
        self._book = book
        self._rows = self._row = self._column = 0
        self._cells: Cells = []
        self._kind = self._style = ""
        self._formula = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "c":
            place = attributes.get("r")
            self._column = _column(place.rstrip(_DIGITS)) if place else self._column + 1
            if self._column > LAST_COLUMN:
                raise broken(f"第 {self._row} 行超过 {LAST_COLUMN} 列")
            self._kind = attributes.get("t", "n")
            self._style = attributes.get("s", "")
            self._formula = False
        elif name == "f":
            self._formula = True
        elif name == "row":
            self._row = int(attributes.get("r", self._row + 1))
            self._rows += 1
            self._column = 0
            self._cells = []
            most = self._book.limits.rows
            if max(self._row, self._rows) > most:
                raise UnusableFile(f"工作表超过 {most} 行：请分成几个文件")
        else:
            super().start(name, attributes)

    def end(self, name: str) -> None:
        if name == "c":
            self._place(self._shown(self.take()))
        elif name == "row":
            self.done.append((self._row, self._cells))
        else:
            super().end(name)

    def _place(self, cell: str) -> None:
        if not cell:
            return
        if self._column > LARGEST_COLUMNS:
            raise UnusableFile(
                f"第 {self._row} 行第 {self._column} 列还有内容，"
                f"表格超过 {LARGEST_COLUMNS} 列：请删去多余的列"
            )
        self._cells.extend([""] * (self._column - len(self._cells)))
        self._cells[self._column - 1] = cell

    def _shown(self, text: str) -> str:
        if not text:
            return _NO_RESULT if self._formula and self._kind != "str" else ""
        if isinstance(text, Unfit):
            return text
        try:
            match self._kind:
                case "n":
                    return self._number(text)
                case "s":
                    return self._book.texts[int(text)]
                case "str" | "inlineStr":
                    return _unescaped(text)
                case "b":
                    return str(text != "0").upper()
                case "e":
                    return text
                case "d":
                    return cell_text(datetime.fromisoformat(text))
        except (ValueError, IndexError):
            pass
        raise broken(f"第 {self._row} 行第 {self._column} 列")

    def _number(self, text: str) -> str:
        value = float(text) if {".", "E", "e"}.intersection(text) else int(text)
        formats = self._book.formats
        style = int(self._style or 0)
        duration = style in formats.durations
        if not duration and style not in formats.days:
            return cell_text(value)
        try:
            return cell_text(from_excel(value, self._book.epoch, timedelta=duration))
        except (ValueError, OverflowError):
            return "#VALUE!"


class _Sheet:
    """A worksheet, which may be read again and again."""

    def __init__(self, book: _Book, part: str) -> None:
        self._book = book
        self._part = part
        self._read = 0

    def progress(self) -> float:
        return self._read / self._book.size[self._part]

    def grid(self) -> Iterator[tuple[int, Cells]]:
        rows = _Rows(self._book)
        for read in read_pieces(self._book.archive, self._part, rows):
            self._read = read
            yield from rows.done
            rows.done.clear()


_DIGITS: Final = "0123456789"


_column: Final = lru_cache(maxsize=LAST_COLUMN)(column_index_from_string)
"""A column's number, from the letters that spreadsheets give it."""


_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")


def _unescaped(text: str) -> str:
    """A text with what XML cannot hold: _x000D_ is a carriage return (ECMA-376 part 1, 22.9.2.19).

    Half a character stays a mark of broken encoding.
    """
    if "_x" not in text:
        return text
    return _ESCAPED.sub(lambda found: _character(int(found[1], 16)), text)


def _character(code: int) -> str:
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else chr(code)


def cell_text(value: object) -> str:
    """A cell's value as a record's text; a `Rounded` one where digits of a number are lost."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return str(value).upper()
        case int() | float():
            return _number_text(value)
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime():
            return value.isoformat(" ", "seconds")
        case date():
            return value.isoformat()
    return str(value)


def _number_text(value: float) -> str:
    if abs(value) >= 10**EXACT_DIGITS:
        digits = str(value).strip("-").rstrip("0")
        if isinstance(value, float) or len(digits) <= EXACT_DIGITS:
            return Rounded(f"{Decimal(value):.5E}")
        return str(value)
    if value == int(value):
        return str(int(value))
    return f"{Decimal(f'{value:.{EXACT_DIGITS}g}'):f}"
