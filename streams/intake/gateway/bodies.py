"""Request bodies: read within bounds of size and time, unpacked, cut into records."""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

from fastapi import Request
from starlette.requests import ClientDisconnect

from streams.intake.gateway.problems import Problem
from streams.intake.gateway.room import Guest
from streams.intake.gateway.services import Services

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"

_GZIP: Final = 31
"""zlib's window bits for gzip with its header and checksum."""

_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"

_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[][{},]', re.DOTALL)
"""A text, or what gives JSON its structure; an unfinished text does not match."""


def content_type(request: Request, *known: str) -> str:
    """What the body is said to be.

    Raises:
        Problem: it is none of those.
    """
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said in known:
        return said
    raise Problem(
        "content-type",
        415,
        "不支持的 Content-Type",
        f"Content-Type 应为 {' 或 '.join(known)}",
        f"Content-Type is one of: {', '.join(known)}.",
        path="Content-Type",
    )


async def read_body(request: Request, gateway: Services, guest: Guest) -> bytes:
    """The whole body, unpacked; its bytes are the guest's.

    Raises:
        Problem: it is too large, too slow, broken off, or packed in a way that is not known.
    """
    settings = gateway.settings
    if int(request.headers.get("content-length", 0)) > settings.gateway_body_bytes:
        raise _too_large(settings.gateway_body_bytes)
    pieces = _unpacked(request, settings.gateway_body_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(settings.gateway_body_timeout):
            async for piece in pieces:
                if len(body) + len(piece) > settings.gateway_body_bytes:
                    raise _too_large(settings.gateway_body_bytes)
                guest.hold(len(piece))
                body += piece
    except TimeoutError:
        raise Problem(
            "slow",
            408,
            "请求体发得太慢",
            f"{settings.gateway_body_timeout:.0f} 秒内没有收完，什么也没有接收；请减少每批条数",
            "The body did not arrive in time; nothing was accepted.",
        ) from None
    except ClientDisconnect:
        raise Problem(
            "broken-off",
            400,
            "请求没有发完",
            "连接在发完请求体之前断开，什么也没有接收；请重试",
            "The connection broke before the end of the body; nothing was accepted.",
        ) from None
    except zlib.error:
        raise _bad_gzip() from None
    return bytes(body)


def records_of(body: bytes, kind: str, most: int) -> list[bytes]:
    """The records of a batch, as they were sent.

    Raises:
        Problem: they cannot be separated, there are none, or too many.
    """
    found = []
    for record in _lines(body) if kind == NDJSON else _items(body):
        found.append(record)
        if len(found) > most:
            raise too_many(most)
    if not found:
        raise Problem(
            "empty", 422, "没有信息", "这一批里一条信息也没有", "There is no record in the batch."
        )
    return found


def too_many(most: int) -> Problem:
    """The refusal of a request with too many records."""
    return Problem(
        "too-many",
        413,
        "条数太多",
        f"一次最多 {most} 条，请分批报送；大文件用 xinshao submit，它会自动分批",
        f"At most {most} records a request.",
    )


async def _unpacked(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body's pieces; none is much larger than `most`, however it was packed."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding == "identity":
        async for piece in request.stream():
            yield piece
        return
    if coding != "gzip":
        raise Problem(
            "content-encoding",
            415,
            "不支持的 Content-Encoding",
            "Content-Encoding 只支持 gzip；不压缩时不要写",
            "Content-Encoding is gzip, or left out.",
            path="Content-Encoding",
        )
    unpacker = zlib.decompressobj(_GZIP)
    async for piece in request.stream():
        yield unpacker.decompress(piece, most + 1)
        if unpacker.unconsumed_tail:
            raise _too_large(most)
    if not unpacker.eof or unpacker.unused_data:
        raise _bad_gzip()


def _lines(body: bytes) -> Iterator[bytes]:
    """NDJSON: one record a line; blank lines are skipped."""
    for line in body.removeprefix(_BOM).split(b"\n"):
        if record := line.strip(_BLANK):
            yield record


def _items(body: bytes) -> Iterator[bytes]:
    """The items of a JSON array; what is wrong inside of one is for its reader to say."""
    text = body.removeprefix(_BOM).strip(_BLANK)
    if not text.startswith(b"["):
        raise _no_array()
    depth = begin = 0
    some, mark = False, b""
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in b"[{":
            depth += 1
            begin = begin or token.end()
        elif mark in b"]}":
            depth -= 1
        if depth == 0 or (depth == 1 and mark == b","):
            item = text[begin : token.start()].strip(_BLANK)
            begin = token.end()
            if not item and (some or depth):
                raise _no_array()
            if item:
                yield item
                some = True
        if depth == 0:
            break
    if mark != b"]" or depth or begin != len(text):
        raise _no_array()


def _no_array() -> Problem:
    return Problem(
        "json",
        400,
        "不是 JSON 数组",
        "application/json 的一批应为完整的 JSON 数组 [{…}, {…}]，UTF-8 编码；"
        "一行一条的请用 application/x-ndjson",
        "A batch in application/json is one whole JSON array in UTF-8.",
    )


def _too_large(most: int) -> Problem:
    return Problem(
        "too-large",
        413,
        "请求太大",
        f"请求体（解压后）不能超过 {most >> 20} MiB，请减少每批条数",
        f"The body is larger than {most} bytes, unpacked.",
    )


def _bad_gzip() -> Problem:
    return Problem(
        "gzip",
        400,
        "gzip 数据有误",
        "请求体不是完整的 gzip 数据，请重新压缩，或不压缩",
        "The body is no whole gzip stream.",
    )
