"""The bulletin's tables as a workbook: a sheet for each annex, ready to print."""

from decimal import Decimal
from io import BytesIO
from typing import Final, cast

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.styles import Alignment, Border, Font, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.header_footer import HeaderFooterItem
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from models.bulletin import Bulletin
from models.bulletin.document import Table, Value, shown

_TITLE: Final = Font(name="宋体", size=16, bold=True)
_LABEL: Final = Font(name="黑体", size=12)
_HEADING: Final = Font(name="黑体", size=10)
_BODY: Final = Font(name="宋体", size=10)
_LINE: Final = Side(style="thin")
_BORDER: Final = Border(left=_LINE, right=_LINE, top=_LINE, bottom=_LINE)
_CENTRE: Final = Alignment(horizontal="center", vertical="center", wrap_text=True)
_LEFT: Final = Alignment(horizontal="left", vertical="center", wrap_text=True)
_WHOLE_RATE: Final = "0%"
_RATE: Final = "0.00%"
_WIDTH: Final = 7.5
_ROW_HEIGHT: Final = 19
_LINE_HEIGHT: Final = 14
_ONE_PAGE: Final = 30
"""A table of up to this many rows is made to fit on one page."""
_MARGIN: Final = 0.4
_A4: Final = 9
_TOP_ROWS: Final = 2
"""Rows above the headings: the label and the title."""


def render(bulletin: Bulletin) -> bytes:
    """A workbook; numbers are numbers and rates are percentages, to be computed with."""
    book = Workbook()
    book.remove(book.worksheets[0])
    book.properties.title = bulletin.title
    book.properties.creator = bulletin.signatory
    for number, annex in enumerate(bulletin.annexes, 1):
        _sheet(book, f"附件{number} {annex.title}", f"附件{number}", annex)
    if bulletin.comparison:
        sheet = _sheet(book, bulletin.comparison.title, "说明（不随通报印发）", bulletin.comparison)
        width = len(bulletin.comparison.columns)
        for number, erratum in enumerate(bulletin.errata, 1):
            row = sheet.max_row + 1
            _text(_at(sheet, row, 1), f"{number}.{erratum}", _BODY, _LEFT)
            sheet.merge_cells(start_row=row, end_row=row, start_column=1, end_column=width)
            sheet.row_dimensions[row].height = 2 * _LINE_HEIGHT
    written = BytesIO()
    book.save(written)
    return written.getvalue()


def _sheet(book: Workbook, name: str, label: str, table: Table) -> Worksheet:
    sheet: Worksheet = book.create_sheet(name)
    columns = len(table.columns)
    _text(_at(sheet, 1, 1), label, _LABEL, Alignment(vertical="center"))
    _text(_at(sheet, 2, 1), table.title, _TITLE, _CENTRE)
    sheet.merge_cells(start_row=2, end_row=2, start_column=1, end_column=columns)
    sheet.row_dimensions[2].height = 30
    first = _TOP_ROWS + 1 + table.depth
    _headings(sheet, table)
    alignments = [_LEFT if running else _CENTRE for running in table.running]
    for number, row in enumerate(table.rows, first):
        for column, (value, alignment) in enumerate(zip(row, alignments, strict=True), 1):
            _write(_at(sheet, number, column), value, alignment)
        sheet.row_dimensions[number].height = _height(table, row)
    for number, column_heading in enumerate(table.columns, 1):
        letter = get_column_letter(number)
        sheet.column_dimensions[letter].width = _WIDTH * column_heading.width
    sheet.freeze_panes = f"B{first}"
    _printed(sheet, first - 1, one_page=len(table.rows) <= _ONE_PAGE)
    return sheet


def _headings(sheet: Worksheet, table: Table) -> None:
    for title, row, column, rows, columns in table.heading_cells:
        top, left = _TOP_ROWS + 1 + row, column + 1
        bottom, right = top + rows - 1, left + columns - 1
        for each in range(top, bottom + 1):
            for beside in range(left, right + 1):
                _at(sheet, each, beside).border = _BORDER
        _text(_at(sheet, top, left), title, _HEADING, _CENTRE)
        if (rows, columns) != (1, 1):
            sheet.merge_cells(start_row=top, end_row=bottom, start_column=left, end_column=right)
    for row in range(table.depth):
        last = row == table.depth - 1
        sheet.row_dimensions[_TOP_ROWS + 1 + row].height = (3 if last else 1.4) * _LINE_HEIGHT


def _write(cell: Cell, value: Value, alignment: Alignment) -> None:
    cell.border = _BORDER
    if isinstance(value, str):
        _text(cell, value, _BODY, alignment)
        return
    cell.font, cell.alignment = _BODY, alignment
    if isinstance(value, Decimal):
        cell.value = value / 100
        cell.number_format = _WHOLE_RATE if value == value.to_integral_value() else _RATE
    else:
        cell.value = value


def _text(cell: Cell, text: str, font: Font, alignment: Alignment) -> None:
    """Write a text as a text: one that begins with = is not a formula."""
    cell.value = text
    cell.data_type = "s"
    cell.font, cell.alignment = font, alignment


def _at(sheet: Worksheet, row: int, column: int) -> Cell:
    """A cell, which nothing has merged yet."""
    return cast("Cell", sheet.cell(row, column))


def _height(table: Table, row: tuple[Value, ...]) -> float:
    """Room for the longest text, which wraps; a Chinese character takes two columns' units."""
    lines = max(
        -(-2 * len(shown(value)) // int(_WIDTH * heading.width - 1))
        for value, heading in zip(row, table.columns, strict=True)
    )
    return max(_ROW_HEIGHT, _LINE_HEIGHT * lines)


def _printed(sheet: Worksheet, heading_rows: int, *, one_page: bool) -> None:
    """A4 landscape, as wide as the paper, headings on every page, page numbers below."""
    sheet.page_setup.paperSize = _A4
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, int(one_page)
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.print_title_rows = f"{_TOP_ROWS + 1}:{heading_rows}"
    sheet.print_options.horizontalCentered = True
    margins = sheet.page_margins
    margins.left = margins.right = _MARGIN
    margins.top = margins.bottom = 2 * _MARGIN
    footer = HeaderFooterItem()
    footer.center.text = "— &P —"
    sheet.oddFooter = footer
