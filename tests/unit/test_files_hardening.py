"""Files as an attacker sends them: each ends in one Chinese line, in bounded memory and time."""

import io
import re
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import openpyxl
import orjson
import pytest

from models.submission import Delivery, Unreadable
from models.words import Category
from streams.files import Given, Limits, Row, UnusableFile, open_file, parts
from streams.files.row import LARGEST_COLUMNS
from streams.files.workbook import LARGEST_CELL
from tests.support.samples import VALID, reasons_of, values_of

GIVEN = Given("江夏区")
LICENCE = VALID[Category.LICENCE]
CODES = list(LICENCE)
VALUES = list(LICENCE.values())
SMALL = Limits(unpacked=64 << 20, held=8 << 20, rows=10_000)
SHEET = "xl/worksheets/sheet1.xml"
MEMORY = 16 << 20
"""Bytes that reading any of these may take of Python's own."""


def read(path: Path) -> list[Row]:
    with open_file(path, GIVEN, SMALL) as rows:
        return list(rows)


def refusal(path: Path) -> str:
    """What is said of a file that is refused whole; it costs little to find out."""
    tracemalloc.start()
    try:
        with pytest.raises(UnusableFile) as refused:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 300
    return message


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return saved(tmp_path / "许可.xlsx", CODES, VALUES)


def saved(path: Path, *rows: Sequence[Any]) -> Path:
    made = openpyxl.Workbook()
    for row in rows:
        made.worksheets[0].append(list(row))
    made.save(path)
    return path


def rewritten(
    path: Path,
    changes: dict[str, Callable[[bytes], bytes]],
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """Change parts of a workbook; one that is not there yet changes from nothing."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    for name, change in changes.items():
        content[name] = change(content.get(name, b""))
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, part in content.items():
            archive.writestr(name, part)
    return path


def with_cell(path: Path, cell: bytes) -> Path:
    """Put a cell in place of the licence's content (XK_NR, column L)."""

    def change(sheet: bytes) -> bytes:
        changed, count = re.subn(rb'<c r="L2".*?</c>', lambda _: cell, sheet)
        assert count == 1
        return changed

    assert CODES[11] == "XK_NR"
    return rewritten(path, {SHEET: change})


def in_rows(xml: bytes) -> dict[str, Callable[[bytes], bytes]]:
    return {SHEET: lambda sheet: sheet.replace(b"</sheetData>", xml + b"</sheetData>")}


def declaring(doctype: bytes) -> Callable[[bytes], bytes]:
    return lambda part: b"<?xml version='1.0'?>" + doctype + part[part.index(b"<", 5) :]


BILLION_LAUGHS = (
    b'<!DOCTYPE a [<!ENTITY e0 "ha">'
    + b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]>"
)
EXTERNAL = b'<!DOCTYPE a SYSTEM "file:///etc/passwd">'
FETCHED = b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
TEN_MEGABYTES = Random(0).randbytes(5 << 20).hex().encode()
SHEETS = b'<sheet name="a" sheetId="2" r:id="rId1"/>' * 300 + b"</sheets>"
PARTS = (SHEET, "xl/workbook.xml", "xl/styles.xml", "xl/_rels/workbook.xml.rels")


@pytest.mark.parametrize("doctype", [BILLION_LAUGHS, EXTERNAL, FETCHED])
@pytest.mark.parametrize("part", PARTS)
def test_entities_and_doctypes_are_refused_in_every_part(
    book: Path, part: str, doctype: bytes
) -> None:
    assert "不合规范" in refusal(rewritten(book, {part: declaring(doctype)}))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        # Half a megabyte of file, and a tree of a hundred.
        (in_rows(b'<row r="3">' + b"<c/>" * 500_000 + b"</row>"), "不合规范"),
        pytest.param(
            in_rows(b"<x/>" * 500_000 + b"<row r='x'/>"), "不合规范", marks=pytest.mark.slow
        ),
        (in_rows(b'<row r="1"/>' * 20_000), "10000 行"),
        (in_rows(b'<row r="99999999999"/>'), "10000 行"),
        (in_rows(b"<x>" * 200_000), "不合规范"),
        (in_rows(b"".join(b"<x%d/>" % n for n in range(200_000))), "不合规范"),
        (in_rows(b'<x y="' + b"y" * (3 << 20) + b'"/>'), "不合规范"),
        (in_rows(b"<!--" + b"y" * (3 << 20) + b"-->"), "不合规范"),
        (in_rows(b'<row r="3"><c r="ZZZZZZ3"><v>1</v></c></row>'), "不合规范"),
        (in_rows(b'<row r="3"><c r="XFE3"><v>1</v></c></row>'), "不合规范"),
        (in_rows(b'<row r="3"><c r="XFD3"><v>1</v></c></row>'), "第 3 行第 16384 列"),
        (in_rows(b'<row r="3"><c r="B3"><v>' + b"9" * 9999 + b"</v></c></row>"), "第 3 行第 2 列"),
        (in_rows(b'<row r="3"><c r="B3"><v>nan.</v></c></row>'), "第 3 行第 2 列"),
        (in_rows(b'<row r="3"><c r="B3" t="s"><v>7</v></c></row>'), "第 3 行第 2 列"),
        ({SHEET: lambda sheet: sheet[: len(sheet) // 2]}, "不合规范"),
        ({SHEET: lambda sheet: sheet.replace(b"XK_NR", b"\xff\xfe")}, "不合规范"),
        (in_rows(b"<x/>" * (2 << 20)), "压缩炸弹"),
        ({"xl/sharedStrings.xml": lambda _: bytes(9 << 20)}, "压缩炸弹"),
        ({"xl/vbaProject.bin": lambda _: b"Sub Auto_Open()"}, "宏"),
        ({"xl/macrosheets/sheet1.xml": lambda _: b"<a/>"}, "宏"),
        ({"xl/workbook.xml": lambda part: part.replace(b"</sheets>", SHEETS)}, "255 个"),
    ],
)
def test_costly_and_crafted_workbooks_are_refused(
    book: Path, changes: dict[str, Callable[[bytes], bytes]], told: str
) -> None:
    assert told in refusal(rewritten(book, changes))


@pytest.mark.parametrize(
    ("names", "megabytes"),
    [(["xl/sharedStrings.xml"], 10), ([f"xl/media/{name}" for name in "abcd"], 18)],
)
def test_parts_that_are_too_large_are_refused_unread(
    book: Path, names: list[str], megabytes: int
) -> None:
    part = Random(1).randbytes(1 << 19).hex().encode() * megabytes
    too_large = rewritten(book, dict.fromkeys(names, lambda _: part), zipfile.ZIP_STORED)
    assert "太大" in refusal(too_large)


def test_a_part_that_claims_less_than_it_holds_is_not_unpacked_further(book: Path) -> None:
    rewritten(book, in_rows(b" " * (8 << 20)))
    content = bytearray(book.read_bytes())
    with zipfile.ZipFile(book) as archive:
        claimed = archive.getinfo(SHEET).file_size.to_bytes(4, "little")
    while (place := content.find(claimed)) >= 0:
        content[place : place + 4] = (4096).to_bytes(4, "little")
    book.write_bytes(content)
    assert "不合规范" in refusal(book)


def test_an_archive_of_countless_parts_is_refused_before_it_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_PARTS", 50)
    path = saved(tmp_path / "a.xlsx", CODES, VALUES)
    assert len(read(path)) == 1
    rewritten(path, {f"xl/media/{n}": lambda _: b"" for n in range(60)})
    assert "超过 50 个文件" in refusal(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_ask_for_memory_are_refused(book: Path, compression: int) -> None:
    assert "压缩方式" in refusal(rewritten(book, {}, compression))


def test_a_workbook_cut_anywhere_is_refused(book: Path) -> None:
    whole = book.read_bytes()
    for share in range(1, 10):
        book.write_bytes(whole[: len(whole) * share // 10])
        assert "损坏" in refusal(book)


def test_a_flipped_byte_is_never_a_traceback(book: Path) -> None:
    whole = book.read_bytes()
    for place in islice(range(len(whole)), 0, None, 37):
        book.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with suppress(UnusableFile):
            read(book)


# --- single cells --------------------------------------------------------------------------------


def content_of(path: Path) -> str:
    (row,) = read(path)
    assert isinstance(row.delivery, Delivery), str(row.delivery)
    return values_of(row.delivery)["XK_NR"]


def fault_of(path: Path) -> Unreadable:
    (row,) = read(path)
    assert isinstance(row.delivery, Unreadable)
    return row.delivery


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (b'<c r="L2" t="str"><f>A1&amp;B1</f><v>stored</v></c>', "stored"),
        (b'<c r="L2"><f>[1]Sheet1!A1*2</f><v>42</v></c>', "42"),
        (b'<c r="L2" t="str"><f>WEBSERVICE("http://x.example")</f><v></v></c>', ""),
        (b'<c r="L2" t="e"><f>1/0</f><v>#DIV/0!</v></c>', "#DIV/0!"),
        (b'<c r="L2" t="inlineStr"><is><t>=1+1</t></is></c>', "=1+1"),
        (b'<c r="L2" t="inlineStr"><is><t>a_x000D_b_xD800_</t></is></c>', "a\rb\ufffd"),
        (b'<c r="L2" t="inlineStr"><is><r><t>a</t></r><r><t>b</t></r></is></c>', "ab"),
        (b'<c r="L2" t="d"><v>2022-06-03T00:00:00</v></c>', "2022-06-03"),
        (b'<c r="L2" t="b"><v>1</v></c>', "TRUE"),
    ],
)
def test_a_cell_is_what_its_author_saw_and_is_never_evaluated(
    book: Path, cell: bytes, text: str
) -> None:
    assert content_of(with_cell(book, cell)) == text


@pytest.mark.parametrize("cell", [b"<c r='L2'><f>1+1</f></c>", b"<c r='L2'><f>A1</f><v/></c>"])
def test_a_formula_without_a_stored_result_is_told_with_its_place(book: Path, cell: bytes) -> None:
    fault = fault_of(with_cell(book, cell))
    assert fault.rule == "formula"
    assert "第 12 列（许可内容）" in str(fault)


def test_ten_megabytes_in_one_cell_are_told_and_the_next_row_is_read(book: Path) -> None:
    saved(book, CODES, VALUES, VALUES)
    with_cell(book, b'<c r="L2" t="inlineStr"><is><t>' + TEN_MEGABYTES + b"</t></is></c>")
    first, second = read(book)
    assert isinstance(first.delivery, Unreadable)
    assert first.delivery.rule == "too-long"
    assert f"第 12 列（许可内容）超过 {LARGEST_CELL} 个字符" in str(first.delivery)
    assert isinstance(second.delivery, Delivery)


def test_cells_beyond_the_heading_of_a_sheet_that_are_only_coloured_cost_nothing(
    book: Path,
) -> None:
    rewritten(book, {SHEET: lambda sheet: sheet.replace(b"</row>", b'<c r="XFD1" s="0"/></row>')})
    assert content_of(book) == LICENCE["XK_NR"]


# --- texts ---------------------------------------------------------------------------------------


def test_a_million_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",".join(CODES) + "," * 1_000_000 + "\n")
    assert f"{LARGEST_COLUMNS} 列" in refusal(path)
    path.write_text("\n".join(["," * 500_000] * 20))
    assert "没有找到表头" in refusal(path)


@pytest.mark.parametrize("value", ["甲\0乙", "甲\ufffd乙", "\a"])
def test_characters_that_are_none_break_a_rule(tmp_path: Path, value: str) -> None:
    path = tmp_path / "a.csv"
    padding = "\n" * 9000  # beyond the head, where a NUL would be taken for another kind of file
    rows = ",".join(CODES), padding, ",".join([*VALUES[:11], value, *VALUES[12:]])
    path.write_text("\n".join(rows))
    (row,) = read(path)
    assert isinstance(row.delivery, Delivery)
    assert [reason.rule for reason in reasons_of(row.delivery)] == ["control-character"]


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 1_000_000,
        b'{"a":' * 100_000,
        b'{"unit":"x","category":"licence","record":{"XK_NR":' + b"[" * 5000 + b"]" * 5000 + b"}}",
        b'{"unit":"\\ud800","category":"licence","record":{}}',
        b'{"unit":"x","category":"licence","record":{"XK_NR":"\xb2\xe2"}}',
        orjson.dumps({"unit": "x", "category": "licence", "record": {}, "op": "x" * 500_000}),
    ],
)
def test_a_line_of_nonsense_is_one_unreadable_row(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.ndjson"
    good = orjson.dumps({"unit": "江夏区", "category": "licence", "record": LICENCE})
    path.write_bytes(b"\n".join([good, line, good]))
    first, second, third = read(path)
    assert isinstance(first.delivery, Delivery)
    assert isinstance(second.delivery, Unreadable)
    assert len(str(second.delivery)) < 300
    assert isinstance(third.delivery, Delivery)


def test_a_stream_that_is_no_workbook_but_begins_like_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"PK" + bytes(1 << 20))
    assert "损坏" in refusal(path)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../etc/passwd", "x")
    path.write_bytes(out.getvalue())
    assert "压缩包" in refusal(path)


def test_elements_may_have_a_prefix_as_some_programs_write_them(book: Path) -> None:
    def prefixed(part: bytes) -> bytes:
        named = re.sub(rb"<(/?)([A-Za-z])", rb"<\1x:\2", part)
        return named.replace(b" xmlns=", b" xmlns:x=")

    rewritten(book, dict.fromkeys((SHEET, "xl/workbook.xml", "xl/styles.xml"), prefixed))
    assert content_of(book) == LICENCE["XK_NR"]
