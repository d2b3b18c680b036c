"""The parts of an XLSX file, which anyone may have made: archive and XML in bounded memory.

Nothing is unpacked before what the archive claims was checked, and `zipfile` unpacks no more
than that. XML goes through expat piece by piece and no tree is ever built. A document type
declaration, which OOXML forbids (ECMA-376 part 2, 8.1.4), ends the reading: so there are no
entities to expand and none to fetch.
"""

import re
import zlib
from collections.abc import Iterator
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final, NoReturn
from xml.parsers.expat import ExpatError, ParserCreate
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from streams.files.row import Limits, UnusableFile

MOST_PARTS: Final = 10_000
"""Parts of a workbook; a list of millions would fill the memory before any of them is read."""

MOST_NAMES: Final = 10_000
"""Different names of elements and attributes in one part; a parser keeps each."""

DEEPEST: Final = 64
"""Elements within one another."""

DENSEST: Final = 200
"""How many times smaller a part may be packed, once larger than `LOOSE`; tables reach 50."""

LOOSE: Final = 4 << 20

LARGEST_TOKEN: Final = 1 << 20
"""Bytes of one tag or comment, which a parser holds whole."""

PIECE: Final = 1 << 16

Attributes = dict[str, str]

_BROKEN: Final = (BadZipFile, EOFError, ExpatError, KeyError, ValueError, zlib.error)
"""What broken archives, XML and numbers raise; `ValueError` includes undecodable texts."""

_SAVE_AS: Final = "请在 Excel 或 WPS 中另存为 .xlsx 后再试"
_WORKBOOK: Final = "xl/workbook.xml"
_STREAMED: Final = ("xl/worksheets/", "xl/media/")
_MACROS: Final = re.compile(r"xl/(vbaProject\.bin|macrosheets/.*)", re.IGNORECASE)
_OTHERS: Final = {
    "xl/workbook.bin": f"这是 .xlsb 格式的工作簿，读不了：{_SAVE_AS}",
    "content.xml": f"这是 OpenDocument（.ods 等）文件，读不了：{_SAVE_AS}",
    "word/document.xml": "这是 Word 文档，不是表格：请提交 .xlsx、.csv 或 NDJSON 文件",
}
"""What is said of a ZIP file that holds one of these."""


class Elements:
    """Called with a part's elements, by their names without prefix."""

    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def text(self, text: str) -> None:
        """A text, or a piece of one."""


def old_format(path: Path) -> UnusableFile:
    """What to say of a file in the container of .xls, in which encrypted workbooks are kept too."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        encrypted = content.find("EncryptedPackage".encode("utf-16-le")) >= 0
    if encrypted:
        return UnusableFile("工作簿设有打开密码，读不了：请取消密码后重新保存")
    return UnusableFile(f"这是旧格式（.xls、.et 等）的文件，读不了：{_SAVE_AS}")


def open_archive(path: Path, limits: Limits) -> ZipFile:
    """Open a workbook's archive, once what it claims to hold was checked.

    Raises:
        UnusableFile: it is no XLSX workbook, has macros or a password, is too large or broken.
    """
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        listed = sum(1 for _ in islice(re.finditer(rb"PK\x01\x02", content), MOST_PARTS + 1))
        if listed > MOST_PARTS:
            raise UnusableFile(f"压缩包中超过 {MOST_PARTS} 个文件，不是正常的工作簿：{_SAVE_AS}")
    try:
        archive = ZipFile(path)
    except _BROKEN:
        raise UnusableFile("XLSX 文件已损坏或不完整：请重新导出或重新下载") from None
    try:
        _inspect(archive, limits)
    except BaseException:
        archive.close()
        raise
    return archive


def _inspect(archive: ZipFile, limits: Limits) -> None:
    parts = {part.filename: part for part in archive.infolist()}
    if _WORKBOOK not in parts:
        other = next((message for name, message in _OTHERS.items() if name in parts), None)
        raise UnusableFile(other or "这是压缩包，不是表格：请先解压，再提交其中的文件")
    if any(map(_MACROS.fullmatch, parts)):
        raise UnusableFile("工作簿带有宏（.xlsm 等），不予读取：请另存为不含宏的 .xlsx 后再试")
    if any(part.flag_bits & 1 for part in parts.values()):
        raise UnusableFile("压缩包设有密码，读不了：请取消密码后重新保存")
    # The other methods let an archive decide how much memory unpacking takes.
    if any(part.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for part in parts.values()):
        raise UnusableFile(f"工作簿用了少见的压缩方式，读不了：{_SAVE_AS}")
    if any(part.file_size > max(LOOSE, DENSEST * part.compress_size) for part in parts.values()):
        raise UnusableFile(f"工作簿的内容大量重复，疑似压缩炸弹，不予读取：{_SAVE_AS}")
    held = (part for name, part in parts.items() if not name.startswith(_STREAMED))
    if sum(part.file_size for part in archive.infolist()) > limits.unpacked or any(
        part.file_size > limits.held for part in held
    ):
        raise UnusableFile(
            f"工作簿太大（解压后超过 {limits.unpacked >> 20} MiB，"
            f"或其中的文字超过 {limits.held >> 20} MiB）：请另存为 CSV，或分成几个文件"
        )


def read_pieces(archive: ZipFile, name: str, elements: Elements) -> Iterator[int]:
    """Report the elements of a part, one piece of it after the other.

    Yields:
        How many bytes of it were reported.

    Raises:
        UnusableFile: it is broken, or made to be costly.
    """
    depth = read = 0

    def start(name: str, attributes: Attributes) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise broken()
        elements.start(_local(name), attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        elements.end(_local(name))

    parser = ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = elements.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        with archive.open(name) as part:
            while piece := part.read(PIECE):
                parser.Parse(piece, False)
                read += len(piece)
                held = read - max(0, parser.CurrentByteIndex)
                if held > LARGEST_TOKEN or len(parser.intern) > MOST_NAMES:
                    raise broken()
                yield read
        parser.Parse(b"", True)
    except UnusableFile:
        raise
    except _BROKEN:
        raise broken() from None
    yield read


def broken(place: str = "") -> UnusableFile:
    """What to say of a workbook that is not as it should be; `place` is where, if known."""
    where = f"（{place}）" if place else ""
    return UnusableFile(f"XLSX 文件已损坏或内容不合规范{where}：请用 Excel 或 WPS 打开并重新保存")


def _refuse_doctype(*_declared: object) -> NoReturn:
    raise broken()


def _local(name: str) -> str:
    return name if ":" not in name else name.rpartition(":")[2]


def plain(attributes: Attributes) -> Attributes:
    """Attributes by their names without prefix."""
    return {_local(name): value for name, value in attributes.items()}


def read_whole(archive: ZipFile, name: str, elements: Elements) -> None:
    """Report all elements of a part; see `read_pieces`."""
    for _ in read_pieces(archive, name, elements):
        pass
