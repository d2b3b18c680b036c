"""编码: which encoding a text file is in, decided over the whole of it, strictly."""

import codecs
from pathlib import Path
from typing import Final, NamedTuple

from streams.files.row import UnusableFile

BLOCK: Final = 1 << 20

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class _Fault(NamedTuple):
    """Where a file stops being text in some encoding: byte and line, both from 1."""

    byte: int
    line: int


def marked_encoding(head: bytes) -> str | None:
    """The encoding that a byte order mark at the beginning of `head` names, if there is one."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


def encoding_of(path: Path) -> str:
    """The encoding in which the whole file is text, as Python names it.

    That of its byte order mark; without one UTF-8, or else GB18030. Reads the file once or twice,
    a block at a time.

    Raises:
        UnusableFile: it is text in none of them; says how far the best of them came.
    """
    with path.open("rb") as file:
        marked = marked_encoding(file.read(4))
    faults = []
    for encoding in (marked,) if marked else ("utf-8", "gb18030"):
        fault = _fault(path, encoding)
        if fault is None:
            return encoding
        faults.append(fault)
    byte, line = max(faults)
    tried = marked.removesuffix("-sig").upper() if marked else "UTF-8，也不是 GB18030（GBK）"
    raise UnusableFile(
        f"文件编码不是 {tried}：第 {line} 行（第 {byte} 字节）无法解码，"
        "请用原软件重新导出，或另存为 UTF-8 编码"
    )


def _fault(path: Path, encoding: str) -> _Fault | None:
    decoder = codecs.getincrementaldecoder(encoding)()
    read = lines = 0
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK)
            read += len(block)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                # The decoder's input is the block and what was left over of the one before it.
                before = error.object[: error.start].count(b"\n")
                return _Fault(read - len(error.object) + error.start + 1, lines + before + 1)
            if not block:
                return None
            lines += block.count(b"\n")
