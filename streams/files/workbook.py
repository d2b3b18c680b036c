"""XLSX: the first visible sheet of a workbook that has a header.

Values are what the cells show, not what they mean: a whole number has no decimals, a true value is
TRUE, a formula is its stored result and an error its own text (#N/A), so that the rules find it.
Only dates are put in one form, 2022-06-03. Of merged cells the first one holds the value and the
others are blank, as in the file.
"""

import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile, ZipFile

from openpyxl import load_workbook

from streams.files.row import Given, Rows, UnusableFile
from streams.files.tables import Cells, Rounded, find_header, no_header, read_table

LARGEST_UNPACKED: Final = 512 << 20
"""Bytes of XML in a workbook; about half a million licences."""

LARGEST_HELD: Final = 64 << 20
"""Bytes of any other part of a workbook: its shared texts are held in memory while it is read."""

LARGEST_NUMBER_OF_ROWS: Final = 1 << 20
"""Rows of a sheet, as spreadsheet programs have it; a crafted file may name a higher row."""

EXACT_DIGITS: Final = 15
"""Digits of a number that a spreadsheet keeps; the rest become 0."""

# openpyxl's warnings tell of styles and extensions, and quote cells, which may be personal.
warnings.filterwarnings("ignore", module=r"openpyxl\.")

_SAVE_AS: Final = "请在 Excel 或 WPS 中另存为 .xlsx 后再试"
_WORKBOOK: Final = "xl/workbook.xml"
_STREAMED: Final = ("xl/worksheets/", "xl/media/")
_OTHERS: Final = {
    "xl/workbook.bin": f"这是 .xlsb 格式的工作簿，读不了：{_SAVE_AS}",
    "content.xml": f"这是 OpenDocument（.ods 等）文件，读不了：{_SAVE_AS}",
    "word/document.xml": "这是 Word 文档，不是表格：请提交 .xlsx、.csv 或 NDJSON 文件",
}
"""What is said of a ZIP file that holds one of these."""


def old_format(path: Path) -> UnusableFile:
    """What to say of a file in the container of .xls, in which encrypted workbooks are kept too."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        encrypted = content.find("EncryptedPackage".encode("utf-16-le")) >= 0
    if encrypted:
        return UnusableFile("工作簿设有打开密码，读不了：请取消密码后重新保存")
    return UnusableFile(f"这是旧格式（.xls、.et 等）的文件，读不了：{_SAVE_AS}")


@contextmanager
def open_workbook(path: Path, given: Given) -> Iterator[Rows]:
    """Read a workbook's rows.

    Raises:
        UnusableFile: it is no XLSX workbook, too large, broken, or without a header; iterating the
            rows raises it too.
    """
    _inspect(path)
    with _refusing():
        book = load_workbook(path, read_only=True, data_only=True, keep_links=False)
    with closing(book):
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        for sheet in sheets:
            reader = _Sheet(sheet)
            header = find_header(reader.grid(), given.category)
            if header is not None:
                break
        else:
            raise no_header(given.category)
        notes: list[str] = []
        if others := [f"“{other.title}”" for other in sheets if other is not sheet]:
            notes.append(f"只读取了工作表“{sheet.title}”，没有读取{'、'.join(others)}")
        rows = read_table(header, reader.grid(), given, notes, ragged=True)
        yield Rows(rows, notes, reader.progress)


def _inspect(path: Path) -> None:
    """Look at what the file claims to hold before anything of it is unpacked.

    `zipfile` never unpacks more of a part than its claimed size, so the claims can be relied on.
    """
    try:
        with ZipFile(path) as archive:
            parts = {part.filename: part for part in archive.infolist()}
    except BadZipFile:
        raise UnusableFile("XLSX 文件已损坏或不完整：请重新导出或重新下载") from None
    if _WORKBOOK not in parts:
        other = next((message for name, message in _OTHERS.items() if name in parts), None)
        raise UnusableFile(other or "这是压缩包，不是表格：请先解压，再提交其中的文件")
    if any(part.flag_bits & 1 for part in parts.values()):
        raise UnusableFile("压缩包设有密码，读不了：请取消密码后重新保存")
    held = (part for name, part in parts.items() if not name.startswith(_STREAMED))
    if sum(part.file_size for part in parts.values()) > LARGEST_UNPACKED or any(
        part.file_size > LARGEST_HELD for part in held
    ):
        raise UnusableFile(
            f"工作簿太大（解压后超过 {LARGEST_UNPACKED >> 20} MiB，"
            f"或其中的文字超过 {LARGEST_HELD >> 20} MiB）：请另存为 CSV，或分成几个文件"
        )


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn whatever openpyxl stumbles over into UnusableFile: it promises no set of errors."""
    try:
        yield
    except UnusableFile:
        raise
    except Exception:  # noqa: BLE001 - any, as said above; and their texts quote cells
        raise UnusableFile(
            "XLSX 文件已损坏或内容不合规范：请用 Excel 或 WPS 打开并重新保存"
        ) from None


class _Sheet:
    """A worksheet's rows as texts."""

    def __init__(self, sheet: Any) -> None:  # openpyxl's types know nothing of read-only sheets
        self._sheet = sheet
        self._rows = sheet.max_row or 0
        self._read = 0
        # What a file says of a sheet's size can be wrong; then cells would be left out.
        sheet.reset_dimensions()

    def progress(self) -> float:
        return min(1.0, self._read / self._rows) if self._rows else 0.0

    def grid(self) -> Iterator[tuple[int, Cells]]:
        with _refusing():
            for number, values in enumerate(self._sheet.iter_rows(values_only=True), 1):
                if number > LARGEST_NUMBER_OF_ROWS:
                    raise UnusableFile(f"工作表超过 {LARGEST_NUMBER_OF_ROWS} 行：请分成几个文件")
                self._read = number
                yield number, [cell_text(value) for value in values]


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
