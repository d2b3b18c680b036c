"""Templates: what a unit fills in is read back as it was meant, and judged compliant."""

from collections.abc import Mapping
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from models.judging import judge, submission_of
from models.records import SCHEMAS
from models.rules import AMOUNT, REAL_DAY
from models.submission import Delivery
from models.words import Category
from streams.demo.simulate.records import WRITERS, Draft
from streams.demo.simulate.subjects import Issuer
from streams.files import Given, open_file
from streams.files.row import EXPLANATIONS
from streams.files.template import CODES, FIRST, template
from tests.support.deployed import CALENDAR, REGISTRY
from tests.support.samples import RECEIVED, values_of

UNIT = "江夏区"


def sheets(category: Category) -> tuple[openpyxl.Workbook, Worksheet]:
    book = openpyxl.load_workbook(BytesIO(template(category)))
    return book, book.worksheets[0]


def filled(path: Path, category: Category, *records: Mapping[str, str]) -> Path:
    """Fill the template in as a person does in Excel: dates as dates, all else as typed."""
    book, sheet = sheets(category)
    columns = {sheet.cell(2, column).value: column for column in range(1, sheet.max_column + 1)}
    for row, record in enumerate(records, FIRST):
        for code, value in record.items():
            rules = SCHEMAS[category].items[code].rules
            typed: Any = value
            if REAL_DAY in rules and value:
                typed = date.fromisoformat(value)
            elif AMOUNT in rules and value:
                typed = float(value)
            sheet.cell(row, columns[code], typed)
    book.save(path)
    return path


def read(path: Path) -> list[Delivery]:
    with open_file(path, Given(UNIT)) as rows:
        found = [row.delivery for row in rows]
        notes = rows.notes
    assert not any("没有表头" in note or "不认识" in note or "缺少" in note for note in notes)
    assert all(isinstance(each, Delivery) for each in found), [str(each) for each in found]
    return [each for each in found if isinstance(each, Delivery)]


@pytest.mark.parametrize("category", Category)
def test_a_filled_template_is_read_back_and_compliant(tmp_path: Path, category: Category) -> None:
    records = [SCHEMAS[category].model.example]
    if category in WRITERS:
        issuer = Issuer.of(UNIT, category)
        records += [
            WRITERS[category](
                Draft(issuer, issuer.agencies[0], n, n, n + 1, date(2022, 6, 1), 7 * n)
            )
            for n in range(20)
        ]
    found = read(filled(tmp_path / "a.xlsx", category, *records))
    assert len(found) == len(records)
    for said, record in zip(found, records, strict=True):
        assert said.schema.category is category
        given = {code: value for code, value in values_of(said).items() if value}
        amounts = {code for code in given if AMOUNT in said.schema.items[code].rules}
        assert {c: float(v) if c in amounts else v for c, v in given.items()} == {
            c: float(v) if c in amounts else v for c, v in record.items() if v
        }
        verdict = judge(submission_of(said, REGISTRY, RECEIVED), None, REGISTRY, CALENDAR)
        assert verdict.state.compliant, verdict.reasons


@pytest.mark.parametrize("category", Category)
def test_an_empty_template_holds_no_record(tmp_path: Path, category: Category) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(template(category))
    assert read(path) == []


@pytest.mark.parametrize("category", Category)
def test_without_its_first_sheet_the_example_is_still_not_a_record(
    tmp_path: Path, category: Category
) -> None:
    book, sheet = sheets(category)
    sheet.delete_rows(1, 2)
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(ValueError, match="没有找到表头"):
        read(tmp_path / "a.xlsx")


@pytest.mark.parametrize("category", Category)
def test_every_column_says_what_is_asked_and_keeps_what_is_typed(category: Category) -> None:
    book, sheet = sheets(category)
    schema = SCHEMAS[category]
    assert [book[name].sheet_state for name in (EXPLANATIONS, CODES)] == ["visible", "hidden"]
    validated = {
        str(rule.sqref).partition(str(FIRST))[0]: rule
        for rule in sheet.data_validations.dataValidation
    }
    for column, (code, item) in enumerate(schema.items.items(), 1):
        name = sheet.cell(1, column)
        mandatory = code in schema.required
        assert name.value == ("*" if mandatory else "") + item.name
        assert sheet.cell(2, column).value == code
        assert name.comment is not None
        assert name.comment.text.split("\n") == [*schema.asked(code)]
        letter = name.column_letter
        form = sheet.column_dimensions[letter].number_format
        rule = validated.get(letter)
        if item.options:
            assert rule is not None
            first, last = rule.formula1.replace("$", "").partition("!")[2].split(":")
            assert tuple(cell.value for (cell,) in book[CODES][first:last]) == item.options
        if REAL_DAY in item.rules:
            assert (form, rule and rule.type) == ("yyyy-mm-dd", "date")
        elif AMOUNT not in item.rules:
            assert form == "@"


def test_what_is_asked_covers_every_rule() -> None:
    licence = SCHEMAS[Category.LICENCE]
    assert licence.asked("XK_XDR_SHXYM") == (
        "选填",
        "不超过 18 个字符",
        "没有内容的留空，不要填“无”“测试”之类",
        "行政相对人不是自然人，统一社会信用代码必填",
        "18 位统一社会信用代码，校验码须正确；个体工商户没有代码的填 17 个 0 加 X",
    )
    assert licence.asked("XK_YXQZI")[-1] == "不能早于有效期自"
    assert licence.asked("XK_ZT") == ("必填", "应为：1、2")
    for schema in SCHEMAS.values():
        for code in schema.items:
            assert not any("{" in text or not text for text in schema.asked(code))
