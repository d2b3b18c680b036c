"""Files as people send them: every oddity is read, or told in Chinese, and nothing is skipped."""

import csv
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given as fuzz
from hypothesis import strategies as st

from models.records import SCHEMAS
from models.submission import Delivery, Unreadable
from models.words import Category
from streams.files import (
    LARGEST_ROW,
    LIMITS,
    Given,
    Limits,
    Row,
    UnusableFile,
    open_file,
    read_stream,
)
from streams.files.tables import Rounded
from streams.files.workbook import cell_text
from tests.support.samples import (
    CREDIT_CODE,
    RESIDENT_ID,
    VALID,
    delivery,
    reasons_of,
    values_of,
)

GIVEN = Given("江夏区")
LICENCE = VALID[Category.LICENCE]
CODES = list(LICENCE)
NAMES = [SCHEMAS[Category.LICENCE].items[code].name for code in CODES]
VALUES = list(LICENCE.values())


def read(path: Path, given: Given = GIVEN, limits: Limits = LIMITS) -> tuple[list[Row], list[str]]:
    with open_file(path, given, limits) as rows:
        found = list(rows)
        return found, rows.notes


def deliveries(path: Path, given: Given = GIVEN) -> dict[int, Delivery]:
    rows, _ = read(path, given)
    found: dict[int, Delivery] = {}
    for number, said in rows:
        assert isinstance(said, Delivery), (number, str(said))
        found[number] = said
    return found


def refusal(path: Path, given: Given = GIVEN, limits: Limits = LIMITS) -> str:
    with pytest.raises(UnusableFile) as refused:
        read(path, given, limits)
    message = str(refused.value)
    assert "\n" not in message
    return message


def rules(rows: list[Row]) -> dict[int, str]:
    return {row.number: row.delivery.rule for row in rows if isinstance(row.delivery, Unreadable)}


def written(path: Path, *records: Sequence[str], delimiter: str = ",") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(records)
    return out.getvalue()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "许可.csv"


# --- NDJSON -----------------------------------------------------------------------------------


def test_ndjson_rows_have_the_numbers_of_their_lines_and_broken_ones_are_told(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.ndjson"
    lines = [delivery(), b"", b'{"unit": "x', b"\xff\xfe\xff", b"  ", delivery(Category.PENALTY)]
    path.write_bytes(b"\n".join(lines))
    rows, notes = read(path)
    assert [row.number for row in rows] == [1, 3, 4, 6]
    assert rules(rows) == {3: "json", 4: "json"}
    assert notes == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_ndjson_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes((delivery() + b"\r\n" + delivery()).decode().encode(encoding))
    found = deliveries(path)
    assert [found[n].record["XK_XDR_MC"] for n in (1, 2)] == [LICENCE["XK_XDR_MC"]] * 2


def test_a_line_that_is_too_long_is_told_and_the_next_one_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(delivery() + b"\n" + b"x" * (3 * LARGEST_ROW) + b"\n" + delivery())
    rows, _ = read(path)
    assert [row.number for row in rows] == [1, 2, 3]
    assert rules(rows) == {2: "too-long"}


def test_ndjson_takes_what_its_lines_do_not_say_from_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    bare = delivery(received_at=None, envelope={"unit": None})
    path.write_bytes(
        delivery(unit="洪山区", received_at=None) + b"\n" + bare.replace(b'"unit":null,', b"")
    )
    found = deliveries(path)
    assert [found[n].unit for n in (1, 2)] == ["洪山区", "江夏区"]
    rows, _ = read(path, Given())
    assert rules(rows) == {2: "unit"}


def test_a_stream_is_read_as_it_comes() -> None:
    rows = read_stream(io.BytesIO(b"\xef\xbb\xbf" + delivery() + b"\nnonsense\n"), GIVEN)
    first, second = rows
    assert isinstance(first.delivery, Delivery)
    assert rules([second]) == {2: "json"}


@pytest.mark.parametrize("text", ['[{"unit": 1}]', '{\n "unit": "江夏区"\n}'])
def test_json_that_is_not_by_line_is_refused_whole(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    assert "每行一条" in refusal(path)


# --- encodings --------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("headings", [CODES, NAMES])
def test_csv_in_every_encoding_and_delimiter(
    table: Path, encoding: str, delimiter: str, headings: list[str]
) -> None:
    table.write_bytes(written(table, headings, VALUES, delimiter=delimiter).encode(encoding))
    said = deliveries(table)[2]
    assert reasons_of(said) == []
    assert said.schema.category is Category.LICENCE
    assert said.unit == "江夏区"
    assert {code: values_of(said)[code] for code in CODES} == LICENCE


def test_a_file_in_no_encoding_is_refused_with_the_place(table: Path) -> None:
    text = written(table, NAMES, VALUES).encode("gb18030")
    table.write_bytes(text + b"\xff\xff\r\n")
    message = refusal(table)
    assert f"第 {len(text) + 1} 字节" in message
    assert "第 3 行" in message
    table.write_bytes("a,b".encode("utf-16") + b"\x00")
    assert "UTF-16" in refusal(table)


def test_the_place_of_a_fault_is_right_across_blocks(table: Path) -> None:
    text = ("汉" * 999 + "\n") * 700
    table.write_bytes(text.encode() + b"\xff")
    message = refusal(table)
    assert f"第 {len(text.encode()) + 1} 字节" in message
    assert "第 701 行" in message


# --- the header -------------------------------------------------------------------------------


def test_titles_above_and_a_second_heading_below_belong_to_the_header(table: Path) -> None:
    table.write_text(
        written(
            table,
            ["2022年6月行政许可信息表", *[""] * (len(NAMES) - 1)],
            ["填报单位：江夏区", "填报人："],
            [],
            [f" *{name}" for name in NAMES],
            CODES,
            VALUES,
            ["", " ", "\u3000"],
            [],
            VALUES,
            [],
        )
    )
    found = deliveries(table)
    assert list(found) == [6, 9]
    assert not any(map(reasons_of, found.values()))


def test_headings_are_known_in_any_width_and_spacing(table: Path) -> None:
    penalty = VALID[Category.PENALTY]
    names = [SCHEMAS[Category.PENALTY].items[code].name for code in penalty]
    assert "罚款金额（万元）" in names
    odd = [name.replace("（", "(").replace("）", " )").replace("日期", "日\n期") for name in names]
    table.write_text(written(table, odd, list(penalty.values())))
    assert deliveries(table)[2].record["CF_NR_FK"] == penalty["CF_NR_FK"]


@pytest.mark.parametrize("category", Category)
def test_the_category_follows_from_a_full_header(table: Path, category: Category) -> None:
    schema = SCHEMAS[category]
    table.write_text(
        written(
            table,
            [item.name for item in schema.items.values()],
            [VALID[category].get(code, "") for code in schema.items],
        )
    )
    said = deliveries(table)[2]
    assert said.schema.category is category
    assert reasons_of(said) == []


def test_a_header_that_fits_several_categories_asks_for_one(table: Path) -> None:
    shared = ["行政相对人名称", "文书号", "决定日期", "实施机关"]
    table.write_text(written(table, shared, ["甲", "乙〔2022〕1号", "2022-06-01", "丙"]))
    message = refusal(table)
    assert "行政强制" in message
    assert "行政奖励" in message
    assert "--category" in message
    reward = deliveries(table, GIVEN._replace(category=Category.REWARD))[2]
    assert reward.schema.category is Category.REWARD


def test_rows_may_say_their_category_and_unit(table: Path) -> None:
    penalty = VALID[Category.PENALTY]
    headings = ["报送机构", "信息类别", *CODES, *(code for code in penalty if code not in CODES)]

    def row(unit: str, category: str, record: dict[str, str]) -> list[str]:
        return [unit, category, *(record.get(code, "") for code in headings[2:])]

    table.write_text(
        written(
            table,
            headings,
            row("洪山区", "行政许可", LICENCE),
            row("", "penalty", penalty),
            row("洪山区", "行政什么", LICENCE),
            row("洪山区", "", LICENCE),
        )
    )
    rows, _ = read(table)
    first, second = (row.delivery for row in rows[:2])
    assert isinstance(first, Delivery)
    assert isinstance(second, Delivery)
    assert (first.unit, first.schema.category) == ("洪山区", Category.LICENCE)
    assert (second.unit, second.schema.category) == ("江夏区", Category.PENALTY)
    assert reasons_of(first) == reasons_of(second) == []
    assert rules(rows) == {4: "category", 5: "category"}
    rows, _ = read(table, Given(category=Category.LICENCE))
    assert rules(rows) == {3: "unit", 4: "category"}


def test_unknown_and_missing_columns_are_told_once(table: Path) -> None:
    headings = ["联系方式", RESIDENT_ID, "", *CODES[1:]]
    rows = [["1", "2", "3", *VALUES[1:]]] * 2
    table.write_text(written(table, headings, *rows))
    _, notes = read(table)
    assert len(notes) == 3
    assert "联系方式" in notes[0]
    assert "行政相对人名称" in notes[1]
    assert "第 3 列没有表头" in notes[2]
    assert RESIDENT_ID not in "".join(notes)


def test_a_column_named_twice_is_refused(table: Path) -> None:
    table.write_text(written(table, [*CODES, NAMES[3]], VALUES))
    assert NAMES[3] in refusal(table)


def test_without_a_header_or_a_unit_the_whole_file_is_refused(table: Path) -> None:
    table.write_text(written(table, VALUES, VALUES))
    assert "没有找到表头" in refusal(table)
    assert "行政处罚" in refusal(table, GIVEN._replace(category=Category.PENALTY))
    table.write_text("\n" * 20 + written(table, CODES, VALUES))
    assert "没有找到表头" in refusal(table)
    table.write_text(written(table, CODES, VALUES))
    assert "--unit" in refusal(table, Given())


def test_a_header_alone_is_noted(table: Path) -> None:
    table.write_text(written(table, CODES))
    assert read(table) == ([], ["表头下面没有数据"])


def test_too_many_columns_are_refused(table: Path) -> None:
    table.write_text(written(table, [*CODES, *[""] * 500], VALUES))
    assert "500 列" in refusal(table)


# --- CSV rows ---------------------------------------------------------------------------------


def test_quoted_line_breaks_and_quotes_stay_in_the_value(table: Path) -> None:
    content = '第一行\r\n第二行，"引用"\n'
    values = [content if code == "XK_NR" else value for code, value in LICENCE.items()]
    table.write_bytes(written(table, CODES, values, VALUES).encode())
    found = deliveries(table)
    assert values_of(found[2])["XK_NR"] == content.strip()
    assert values_of(found[3])["XK_NR"] == LICENCE["XK_NR"]


def test_rows_with_stray_delimiters_or_quotes_are_told_and_the_next_one_read(table: Path) -> None:
    good = written(table, VALUES)
    table.write_text(
        written(table, CODES)
        + good.replace("\r\n", ",多,一\r\n")
        + '"甲"乙,丙\r\n'
        + good
        + ",".join(VALUES[:3])
        + "\r\n"
        + '"没有结束的引号,甲\r\n'
        + good
    )
    rows, _ = read(table)
    assert rules(rows) == {2: "columns", 3: "quotes", 6: "quotes"}
    assert [row.number for row in rows] == [2, 3, 4, 5, 6]
    assert "文件的第 6 至 7 行" in str(rows[-1].delivery)


def test_a_csv_row_is_bounded(table: Path) -> None:
    filler = '"\n",' * (LARGEST_ROW // 4)
    table.write_text(
        written(table, CODES)
        + filler
        + "\n"
        + "x" * (2 * LARGEST_ROW)
        + "\n"
        + written(table, VALUES)
    )
    rows, _ = read(table)
    assert isinstance(rows[-1].delivery, Delivery)
    assert "too-long" in rules(rows).values()


# --- XLSX -------------------------------------------------------------------------------------


def saved(path: Path, *rows: Sequence[Any], title: str = "数据") -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(list(row))
    book.save(path)
    return path


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return tmp_path / "许可.xlsx"


def test_xlsx_below_a_merged_title(book: Path) -> None:
    typed = [
        date.fromisoformat(value) if "RQ" in code else value for code, value in LICENCE.items()
    ]
    saved(book, ["行政许可信息表"], [], NAMES, typed, [], [" "], typed)
    opened = openpyxl.load_workbook(book)
    opened.worksheets[0].merge_cells("A1:F1")
    opened.save(book)
    found = deliveries(book)
    assert list(found) == [4, 7]
    for said in found.values():
        assert reasons_of(said) == []
        assert {code: values_of(said)[code] for code in CODES} == LICENCE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (" 文字\n", " 文字\n"),
        (date(2022, 6, 3), "2022-06-03"),
        (datetime(2022, 6, 3), "2022-06-03"),  # noqa: DTZ001 - cells have no zone
        (datetime(2022, 6, 3, 9, 5), "2022-06-03 09:05:00"),  # noqa: DTZ001
        (time(9, 5), "09:05:00"),
        (timedelta(hours=30), "1 day, 6:00:00"),
        (20220603, "20220603"),
        (5.0, "5"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (1e-7, "0.0000001"),
        (123456.789, "123456.789"),
        (True, "TRUE"),
        (False, "FALSE"),
        ("#N/A", "#N/A"),
        (999999999999999, "999999999999999"),
        (420115199003071234, "420115199003071234"),
    ],
)
def test_a_cell_reads_as_it_is_shown(value: object, text: str) -> None:
    read_as = cell_text(value)
    assert read_as == text
    assert type(read_as) is str


@pytest.mark.parametrize(
    "value", [4.20115199003071e17, 420115199003071000, -1e15, 1e300, 10**400, float("inf")]
)
def test_a_number_that_lost_digits_is_marked_and_shows_few_of_them(value: float) -> None:
    read_as = cell_text(value)
    assert type(read_as) is Rounded
    assert len(read_as) <= len("-4.20115E+999")


def test_rounded_codes_break_a_rule_or_make_the_row_unreadable(book: Path) -> None:
    rounded = {**LICENCE, "XK_FR_ZJHM": 4.20115199003071e17}
    commitment = VALID[Category.COMMITMENT]
    saved(book, CODES, list(rounded.values()))
    rows, notes = read(book)
    said = rows[0].delivery
    assert isinstance(said, Delivery)
    assert said.record["XK_FR_ZJHM"] == "4.20115E+17"
    assert [(reason.rule, reason.field) for reason in reasons_of(said)] == [
        ("resident-id", "XK_FR_ZJHM")
    ]
    assert "设为文本格式" in notes[0]

    saved(book, list(commitment), list({**commitment, "code": 4.2011520220601e19}.values()))
    rows, notes = read(book)
    assert rules(rows) == {2: "rounded"}
    assert len(notes) == 1


@pytest.mark.filterwarnings("ignore:Cell")
def test_formula_errors_and_dates_that_are_none_are_left_to_the_rules(book: Path) -> None:
    odd: dict[str, Any] = {**LICENCE, "XK_JDRQ": "#N/A", "XK_YXQZ": "2022年6月1日", "XK_XKJG": True}
    saved(book, CODES, list(odd.values()))
    opened = openpyxl.load_workbook(book)
    cell = opened.worksheets[0].cell(2, CODES.index("XK_YXQZI") + 1)
    cell.value, cell.number_format = 20220603, "yyyy-mm-dd"
    opened.save(book)
    values = values_of(deliveries(book)[2])
    assert values["XK_JDRQ"] == "#N/A"
    assert values["XK_YXQZ"] == "2022年6月1日"
    assert values["XK_YXQZI"] == "#VALUE!"
    assert values["XK_XKJG"] == "TRUE"


def test_the_first_visible_sheet_with_a_header_is_read_and_the_others_are_told(book: Path) -> None:
    made = openpyxl.Workbook()
    first = made.active
    assert first is not None
    first.title = "填写说明"
    first.append(["请按要求填写"])
    hidden = made.create_sheet("代码表")
    hidden.append(CODES)
    hidden.sheet_state = "hidden"
    for title in ("许可", "更多"):
        sheet = made.create_sheet(title)
        sheet.append(CODES)
        sheet.append(VALUES)
    made.save(book)
    rows, notes = read(book)
    assert len(rows) == 1
    assert notes == ["只读取了工作表“许可”，没有读取“更多”"]


def test_cells_beside_the_table_are_noted_not_refused(book: Path) -> None:
    saved(book, CODES, [*VALUES, None, "已核对"], [*VALUES, None, "已核对"])
    rows, notes = read(book)
    assert len(rows) == 2
    assert rules(rows) == {}
    assert notes == [f"第 {len(CODES) + 2} 列没有表头，其中的内容没有读取"]


def rewritten(path: Path, part: str, old: bytes, new: bytes) -> None:
    """Change a part of a workbook as another program would have written it."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old in parts[part]
    parts[part] = parts[part].replace(old, new)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


SHEET = "xl/worksheets/sheet1.xml"


def with_shared_texts(path: Path) -> Path:
    """Keep a workbook's texts as Excel does: in a part of their own."""
    texts: list[str] = []

    def share(found: re.Match[str]) -> str:
        texts.append(f"<si>{found[1]}</si>")
        return f't="s"><v>{len(texts) - 1}</v>'

    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    parts[SHEET] = re.sub(r't="inlineStr"><is>(.*?)</is>', share, parts[SHEET])
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    parts["xl/sharedStrings.xml"] = f'<sst xmlns="{main}">{"".join(texts)}</sst>'
    relations = "xl/_rels/workbook.xml.rels"
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
    parts[relations] = parts[relations].replace(
        "</Relationships>",
        f'<Relationship Id="texts" Type="{kind}" Target="sharedStrings.xml"/></Relationships>',
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_texts_in_a_part_of_their_own_are_read(book: Path) -> None:
    with_shared_texts(saved(book, NAMES, VALUES))
    values = values_of(deliveries(book)[2])
    assert {code: values[code] for code in CODES} == LICENCE


def test_a_wrong_size_in_the_file_loses_no_cells(book: Path) -> None:
    saved(book, CODES, VALUES)
    with zipfile.ZipFile(book) as archive:
        sheet = archive.read(SHEET)
    stated = sheet[sheet.index(b"<dimension") : sheet.index(b"/>", sheet.index(b"<dimension")) + 2]
    rewritten(book, SHEET, stated, b'<dimension ref="A1"/>')
    assert reasons_of(deliveries(book)[2]) == []


def test_a_row_number_from_beyond_any_sheet_is_refused(book: Path) -> None:
    saved(book, CODES, VALUES)
    rewritten(book, SHEET, b'<row r="2">', b'<row r="2000000000">')
    assert "1048576 行" in refusal(book)


def test_workbooks_that_unpack_too_large_are_refused_unread(book: Path) -> None:
    with_shared_texts(saved(book, CODES, VALUES))
    assert "太大" in refusal(book, limits=Limits(held=1000))
    with zipfile.ZipFile(book, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(2 << 20))
    assert "太大" in refusal(book, limits=Limits(unpacked=1 << 20))


def test_a_bomb_of_entities_is_refused(book: Path) -> None:
    saved(book, CODES, VALUES)
    entities = b'<!DOCTYPE a [<!ENTITY e0 "0123456789">'
    for n in range(1, 9):
        entities += b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10)
    rewritten(book, SHEET, b"<worksheet ", entities + b"]><worksheet ")
    rewritten(book, SHEET, b"<t>XK_WSH</t>", b"<t>&e8;</t>")
    assert "损坏" in refusal(book)


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        (SHEET, b"</row>", b""),
        (SHEET, b't="inlineStr"><is><t>XK_WSH</t></is>', b't="s"><v>999999</v>'),
        ("xl/styles.xml", b"<", b"<<"),
        ("xl/workbook.xml", b"r:id", b"r:nothing"),
    ],
)
def test_broken_workbooks_are_refused(book: Path, part: str, old: bytes, new: bytes) -> None:
    saved(book, CODES, VALUES)
    rewritten(book, part, old, new)
    assert "损坏" in refusal(book)


# --- what is no such file ----------------------------------------------------------------------


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return out.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "空的"),
        (b" \r\n\n", "空的"),
        (b"\xef\xbb\xbf\n", "空的"),
        (b"\x7fELF\x00\x01", "不是文本文件"),
        (OLE, "旧格式"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "密码"),
        (zipped("a.csv"), "压缩包"),
        (zipped("word/document.xml"), "Word"),
        (zipped("xl/workbook.bin"), ".xlsb"),
        (zipped("content.xml"), "OpenDocument"),
        (zipped("xl/workbook.xml"), "损坏"),
        (zipped("xl/workbook.xml")[:-9], "损坏"),
        (b"<html><table><tr><td>1</td></tr></table>", "网页"),
    ],
)
@pytest.mark.parametrize("suffix", [".xlsx", ".csv", ".ndjson"])
def test_other_files_are_told_by_their_content(
    tmp_path: Path, content: bytes, told: str, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    assert told in refusal(path)


def test_what_is_no_readable_file_is_told(tmp_path: Path) -> None:
    assert "没有这个文件" in refusal(tmp_path / "没有.csv")
    assert "文件夹" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "不是普通文件" in refusal(tmp_path / "pipe")


def test_a_file_without_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "denied")

    # The tests may run as root, whom no mode keeps out.
    monkeypatch.setattr(Path, "open", refuse)
    assert "没有权限" in refusal(path)


def test_faults_of_the_caller_are_not_the_files(table: Path) -> None:
    table.write_text(written(table, CODES, VALUES))
    with pytest.raises(FileNotFoundError), open_file(table, GIVEN):
        raise FileNotFoundError


def test_progress_goes_from_nothing_to_all(table: Path, book: Path) -> None:
    table.write_text(written(table, CODES, *[VALUES] * 9))
    saved(book, CODES, *[VALUES] * 9)
    for path in (table, book):
        with open_file(path, GIVEN) as rows:
            seen = [rows.progress() for _ in rows]
            assert rows.progress() == 1
        assert seen == sorted(seen)


# --- whatever comes ----------------------------------------------------------------------------

SNIPPETS = [
    *(delivery(), delivery(Category.REWARD), written(Path(), CODES, VALUES).encode()),
    *(",".join(NAMES).encode(), ",".join(NAMES).encode("gb18030"), CREDIT_CODE.encode()),
    *(RESIDENT_ID.encode(), "报送机构,信息类别".encode(), b'"', b",", b"\n", b"\r\n", b"{", b"}"),
    *(b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"PK\x03\x04", b"\t", b";", b'"unit":null'),
]
bytes_of_files = st.lists(st.sampled_from(SNIPPETS) | st.binary(max_size=20), max_size=12).map(
    b"".join
)


def told(rows: Iterable[Row], notes: list[str]) -> str:
    """All that was said of a file, as a user sees it."""
    return "\n".join([*(str(row.delivery) for row in rows if rules([row])), *notes])


@fuzz(content=bytes_of_files, suffix=st.sampled_from([".ndjson", ".csv", ".xlsx", ""]))
def test_any_bytes_are_rows_or_one_refusal(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(content)
        try:
            message = told(*read(path))
        except UnusableFile as refused:
            message = str(refused)
            assert "\n" not in message
    assert RESIDENT_ID not in message


cells = (
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8)
    | st.sampled_from([RESIDENT_ID, int(RESIDENT_ID[:17]), float(RESIDENT_ID[:17]), *CODES, *NAMES])
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
    | st.dates(min_value=date(1900, 3, 1))
    | st.times()
)


@fuzz(rows=st.lists(st.lists(cells, max_size=len(CODES) + 3), max_size=4), headed=st.booleans())
def test_any_cells_are_rows_or_one_refusal(rows: list[list[Any]], headed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = saved(Path(folder) / "a.xlsx", *([CODES] if headed else []), *rows)
        try:
            found, notes = read(path)
        except UnusableFile as refused:
            assert not headed
            message = str(refused)
        else:
            message = told(found, notes)
            if headed:
                below = enumerate(rows, 2)
                filled = [n for n, row in below if any(cell_text(v).strip() for v in row)]
                assert {row.number for row in found} <= set(filled)
                assert len(found) >= len(filled) - 1  # a second heading may belong to the first
    assert RESIDENT_ID not in message
    assert RESIDENT_ID[:17] not in message
