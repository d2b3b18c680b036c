"""模板: a workbook to fill in for each category, which `streams.files` reads as it is.

Its first sheet has the headings (名称, the field codes below them) and nothing else; the example
is in the explanations, one item a row, where no reader can take it for a record.
"""

from functools import cache
from io import BytesIO
from typing import Final

from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from models.records import SCHEMAS, Item, Schema
from models.rules import AMOUNT, REAL_DAY
from models.words import Category
from streams.files.row import EXPLANATIONS, Limits

CODES: Final = "代码表"
FIRST: Final = 3
"""The row where filling in begins."""

_TEXT: Final = "@"
_DAY: Final = "yyyy-mm-dd"
_LATEST_DAY: Final = "DATE(2099,12,31)"
_EARLIEST_DAY: Final = "DATE(1900,1,1)"
_NAME: Final = Font(name="宋体", size=11, bold=True)
_MANDATORY: Final = Font(name="宋体", size=11, bold=True, color="C00000")
_CODE: Final = Font(name="宋体", size=9, color="808080")
_BODY: Final = Font(name="宋体", size=11)
_HEADING: Final = PatternFill("solid", fgColor="DDEBF7")
_WRAPPED: Final = Alignment(vertical="center", wrap_text=True)
_MOST_OF_MESSAGE: Final = 225
"""Characters of a validation's message, as spreadsheet programs have it."""


@cache
def template(category: Category) -> bytes:
    """The category's template, an XLSX workbook."""
    schema = SCHEMAS[category]
    book = Workbook()
    filled, explanations, codes = book.worksheets[0], book.create_sheet(), book.create_sheet()
    filled.title, explanations.title, codes.title = category.zh, EXPLANATIONS, CODES
    codes.sheet_state = "hidden"
    for column, code in enumerate(schema.items, 1):
        _heading(filled, schema, code, column)
        _column(filled, codes, schema, code, column)
    filled.row_dimensions[1].height = 48
    filled.freeze_panes = f"A{FIRST}"
    _explain(explanations, schema)
    written = BytesIO()
    book.save(written)
    return written.getvalue()


def _heading(sheet: Worksheet, schema: Schema, code: str, column: int) -> None:
    mandatory = code in schema.required
    item = schema.items[code]
    name = sheet.cell(1, column, f"*{item.name}" if mandatory else item.name)
    name.font, name.fill, name.alignment = _MANDATORY if mandatory else _NAME, _HEADING, _WRAPPED
    name.comment = Comment("\n".join(schema.asked(code)), "信哨", height=160, width=320)
    below = sheet.cell(2, column, code)
    below.font, below.fill = _CODE, _HEADING


def _column(sheet: Worksheet, codes: Worksheet, schema: Schema, code: str, column: int) -> None:
    """Form and validation of the cells below a heading."""
    item = schema.items[code]
    letter = get_column_letter(column)
    dimension = sheet.column_dimensions[letter]
    dimension.width = 18
    # Text keeps leading zeros and the last digits of long numbers.
    dimension.number_format = _format(item)
    rule = _validation(item)
    if item.options:
        listed = (item.name, *item.options)
        for row, text in enumerate(listed, 1):
            codes.cell(row, column, text)
        rule = DataValidation("list", f"'{CODES}'!${letter}$2:${letter}${len(listed)}")
    if rule is not None:
        rule.allow_blank = True
        rule.showErrorMessage = True
        rule.errorTitle = item.name[:32]
        rule.error = "；".join(schema.asked(code))[:_MOST_OF_MESSAGE]
        rule.add(f"{letter}{FIRST}:{letter}{Limits().rows}")
        sheet.add_data_validation(rule)


def _format(item: Item) -> str:
    if REAL_DAY in item.rules:
        return _DAY
    return "General" if AMOUNT in item.rules else _TEXT


def _validation(item: Item) -> DataValidation | None:
    if REAL_DAY in item.rules:
        return DataValidation("date", _EARLIEST_DAY, _LATEST_DAY, operator="between")
    if AMOUNT in item.rules:
        return DataValidation("decimal", "0", operator="greaterThanOrEqual")
    if item.limit is not None:
        return DataValidation("textLength", str(item.limit), operator="lessThanOrEqual")
    return None


def _explain(sheet: Worksheet, schema: Schema) -> None:
    category = schema.category
    said = (
        f"{category.zh}信息报送模板（信息类别 {category.value}）",
        f"在工作表“{category.zh}”第 {FIRST} 行起填写，每行一条信息；前两行是表头，请勿改动。",
        "名称前带 * 的必填；带下拉箭头的只能从中选取。从别处粘贴时请选“只粘贴值”。",
        f"报送前可用 xinshao judge 文件名 自查。字段来源：{schema.model.source}。",
    )
    for row, text in enumerate(said, 1):
        sheet.cell(row, 1, text).font = _BODY if row > 1 else _NAME
    # Four cells at least in every row: fewer, with name and code, would read as a header.
    headings = ("数据项", "代码", "是否必填", "填写要求", "示例")
    widths = (28, 30, 10, 70, 40)
    for column, (heading, width) in enumerate(zip(headings, widths, strict=True), 1):
        cell = sheet.cell(len(said) + 2, column, heading)
        cell.font, cell.fill = _NAME, _HEADING
        sheet.column_dimensions[get_column_letter(column)].width = width
    shown = schema.model.example
    for row, (code, item) in enumerate(schema.items.items(), len(said) + 3):
        mandatory, *further = schema.asked(code)
        texts = (item.name, code, mandatory, "；".join(further) or "无", shown.get(code, ""))
        for column, text in enumerate(texts, 1):
            cell = sheet.cell(row, column, text)
            cell.font, cell.alignment, cell.number_format = _BODY, _WRAPPED, _TEXT
