"""Files as people send them: NDJSON, CSV and XLSX, read into submissions in bounded memory.

What a file is follows from its content; its name decides only between texts. A row that cannot be
read is reported, never skipped; a file that cannot be read gets one message that says what to do.
"""

import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, Final

from streams.files.delimited import find_delimiter, read_csv
from streams.files.encoding import encoding_of, marked_encoding
from streams.files.ndjson import Lines, read_ndjson
from streams.files.row import LARGEST_ROW, Given, Limits, Row, Rows, UnusableFile

__all__ = [
    "LARGEST_ROW",
    "LIMITS",
    "Given",
    "Limits",
    "Row",
    "Rows",
    "UnusableFile",
    "open_file",
    "read_stream",
]

LIMITS: Final = Limits()

HEAD: Final = 8192
"""Bytes from which a file's format is recognised."""

_NDJSON_SUFFIXES: Final = frozenset({".ndjson", ".jsonl", ".json"})
_ZIP: Final = b"PK"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@contextmanager
def open_file(path: Path, given: Given, limits: Limits = LIMITS) -> Iterator[Rows]:
    """Open a file of submissions; its rows are read while they are iterated.

    NDJSON holds submissions (docs/integrate.md), CSV and XLSX records under a header. Texts are in
    the encoding of their byte order mark, else UTF-8, else GB18030, decided over the whole file;
    single lines of NDJSON that are not UTF-8 are unreadable rows.

    Args:
        path: The file.
        given: What holds for rows that do not say it themselves.
        limits: What a workbook may take.

    Raises:
        UnusableFile: it cannot be read at all; iterating the rows may raise it too.
    """
    with ExitStack() as stack:
        try:
            rows = _open(path, given, limits, stack)
        except FileNotFoundError:
            raise UnusableFile(f"没有这个文件：{path}") from None
        except PermissionError:
            raise UnusableFile(f"没有权限读取这个文件：{path}") from None
        yield rows


def read_stream(stream: BinaryIO, given: Given) -> Rows:
    """Read NDJSON in UTF-8 from a stream, as it comes."""
    return Rows(read_ndjson(Lines(stream.readline, b"\n"), given), [], lambda: 0.0)


def _open(path: Path, given: Given, limits: Limits, stack: ExitStack) -> Rows:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise UnusableFile(f"{path} 是文件夹：请给出其中的文件")
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFile(f"{path} 不是普通文件：请先存成文件，或用 - 从标准输入读取 NDJSON")
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(_ZIP):
        from streams.files.workbook import open_workbook

        return stack.enter_context(open_workbook(path, given, limits))
    if head.startswith(_OLE):
        from streams.files.parts import old_format

        raise old_format(path)
    ndjson = _is_ndjson(path, head, whole=status.st_size <= HEAD)
    encoding, notes = _encoding(path, head, ndjson=ndjson)

    if not ndjson:
        delimiter, header = find_delimiter(lambda: path.open(encoding=encoding, newline=""), given)
    file = stack.enter_context(path.open("rb"))
    if ndjson and encoding.startswith("utf-8"):
        rows = read_ndjson(Lines(file.readline, b"\n"), given)
    elif ndjson:
        text = stack.enter_context(TextIOWrapper(file, encoding, newline="\n"))
        rows = read_ndjson(Lines(lambda limit: text.readline(limit).encode(), b"\n"), given)
    else:
        text = stack.enter_context(TextIOWrapper(file, encoding, newline=""))
        rows = read_csv(text, delimiter, header, given, notes)
    return Rows(rows, notes, lambda: file.tell() / status.st_size)


def _is_ndjson(path: Path, head: bytes, *, whole: bool) -> bool:
    """Distinguish NDJSON from CSV, and refuse what is no text or another kind of text."""
    marked = marked_encoding(head)
    start = head.decode(marked or "latin-1", "ignore").strip()
    if marked is None and b"\0" in head and not start.startswith("{"):
        raise UnusableFile("这不是文本文件，也不是 XLSX：请提交 .xlsx、.csv 或 NDJSON 文件")
    if not start and whole:
        raise UnusableFile("文件是空的")
    if start.startswith("<"):
        raise UnusableFile(
            "这是网页或 XML 文件（有的系统以此冒充 .xls）：请在 Excel 或 WPS 中打开，另存为 .xlsx"
        )
    if start.startswith("[") or start.partition("\n")[0].strip() == "{":
        raise UnusableFile("JSON 应当每行一条信息（NDJSON），不能是数组，也不能一条占几行")
    return start.startswith("{") or path.suffix.lower() in _NDJSON_SUFFIXES


def _encoding(path: Path, head: bytes, *, ndjson: bool) -> tuple[str, list[str]]:
    """The file's encoding, and what is to be said of it."""
    try:
        encoding = encoding_of(path)
    except UnusableFile:
        if not ndjson or marked_encoding(head):
            raise
        return "utf-8", []
    return encoding, ["文件按 GB18030（GBK）编码读取"] if encoding == "gb18030" else []
