"""The gateway's way in: one record, a batch, a file.

Nothing is written before the whole body was read, so that a request that breaks off did nothing;
then every record that can be read and is in the key's scope is written, and the answer is given
when the broker has them all.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import Field

from models.verdict import Preview, PublicModel
from models.words import CATEGORY_OF, Category
from streams.files import Given, Limits, Row, UnusableFile, open_file
from streams.intake.gateway.authentication import Caller, Gateway
from streams.intake.gateway.bodies import (
    JSON,
    NDJSON,
    content_type,
    read_body,
    records_of,
    too_many,
)
from streams.intake.gateway.idempotency import Visit
from streams.intake.gateway.problems import Problem, ProblemBody, Responses, problems
from streams.intake.gateway.questions import XLSX
from streams.intake.gateway.reception import Reception, Taken, mark_of, new_mark
from streams.intake.gateway.services import Services
from streams.intake.keys import Key

CSV: Final = "text/csv"
BINARY: Final = "application/octet-stream"

_LIMITS: Final = Limits(unpacked=96 << 20, held=32 << 20)
"""Of an uploaded workbook: some ten thousand rows with every field filled in take 32 MiB."""

_AT_ONCE: Final = 200
"""Records that are judged before other requests get their turn."""

router = APIRouter(prefix="/v1")

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="重试用：同样的请求带同样的键，只报送一次（24 小时内）",
        examples=["20220603-b0001"],
    ),
]


class Accepted(PublicModel):
    """One record that is durable. Withdrawals have no preview."""

    id: str
    received_at: datetime
    verdict: Preview | None


class RecordResult(PublicModel):
    """What became of one record of a request: it has an id, or a problem."""

    index: Annotated[int, Field(ge=0, description="在这一批中的位置，从 0 起")]
    id: Annotated[str | None, Field(description="报送编号，查回执用；没有接收的为空")]
    status: Literal["accepted", "refused"]
    verdict: Preview | None
    problem: ProblemBody | None


class Results(PublicModel):
    """What became of each record, in the order in which they were sent."""

    received_at: datetime
    accepted: Annotated[int, Field(ge=0)]
    refused: Annotated[int, Field(ge=0)]
    results: tuple[RecordResult, ...]


class RowResult(RecordResult):
    """What became of one row of a file."""

    row: Annotated[int, Field(ge=1, description="文件中的行号")]


class FileResults(Results):
    """What became of each row, and what is to be said of the file as a whole."""

    results: tuple[RowResult, ...]
    notes: tuple[str, ...]


_EXAMPLE: Final = {
    "unit": "蔡甸区",
    "category": "commitment",
    "op": "upsert",
    "record": {
        "code": "42011420220601000012",
        "subjectName": "武汉市蔡甸区某某环保有限公司",
        "subjectCategory": "法人及非法人组织",
        "identify": "91420115MA4KQX0Q3T",
        "commitmentTypeId": "主动型",
        "reason": "办理排污许可",
        "content": "依法排污",
        "liabilityBreachCommitment": "接受联合惩戒",
        "commitmentDate": "2022-06-01",
        "acceptanceUnit": "武汉市生态环境局蔡甸区分局",
        "acceptanceUnitIdentify": "11420115MB19394245",
        "publicationType": "可向社会公开",
    },
}
_SUBMISSION: Final = {
    "type": "object",
    "title": "Submission",
    "description": "一次报送；record 的字段见 /v1/schemas/{category}",
    "required": ["unit", "category", "record"],
    "properties": {
        "unit": {"type": "string", "minLength": 1, "description": "报送机构的名称或别名"},
        "category": {
            "enum": [*CATEGORY_OF],
            "description": "信息类别",
        },
        "op": {"enum": ["upsert", "withdraw"], "default": "upsert"},
        "reason": {"type": "string", "description": "撤回理由，撤回时必填"},
        "record": {"type": "object", "description": "字段代码到值"},
    },
    "example": _EXAMPLE,
}


def _body(**schemas: Any) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": schemas}}


def _answer(model: type[PublicModel], *statuses: int) -> Responses:
    return {202: {"model": model, "description": "已写入，不会丢失"}, **problems(*statuses)}


@router.post(
    "/submissions",
    summary="报送一条信息",
    status_code=202,
    response_class=Response,
    openapi_extra=_body(**{JSON: {"schema": _SUBMISSION}}),
    responses=_answer(Accepted, 400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
)
async def submission(
    request: Request, key: Caller, gateway: Gateway, idempotency_key: IdempotencyKey = None
) -> Response:
    """Accepted when the broker has it; the verdict says at once what is to be corrected."""
    content_type(request, JSON)

    async def receive(body: bytes, reception: Reception) -> Answered:
        gateway.require_rate(key, 1)
        (taken,) = reception.take([body])
        if taken.problem is not None:
            raise taken.problem
        told = {"id": taken.id, "received_at": reception.received_at, "verdict": taken.verdict}
        return Answered(told, 1, 0, {"Location": f"{router.prefix}/submissions/{taken.id}"})

    return await _deliver(request, key, gateway, idempotency_key, receive)


@router.post(
    "/batches",
    summary="报送一批信息，逐条答复",
    status_code=202,
    response_class=Response,
    openapi_extra=_body(
        **{
            NDJSON: {"schema": {"type": "string", "description": "一行一条，UTF-8"}},
            JSON: {"schema": {"type": "array", "minItems": 1, "items": _SUBMISSION}},
        }
    ),
    responses=_answer(Results, 400, 401, 408, 409, 413, 415, 422, 429, 503),
)
async def batch(
    request: Request, key: Caller, gateway: Gateway, idempotency_key: IdempotencyKey = None
) -> Response:
    """Records are accepted one by one: a refused one delays no other."""
    kind = content_type(request, NDJSON, JSON)

    async def receive(body: bytes, reception: Reception) -> Answered:
        records = records_of(body, kind, gateway.settings.gateway_records)
        gateway.require_rate(key, len(records))
        results = []
        for first in range(0, len(records), _AT_ONCE):
            await asyncio.sleep(0)
            taken = reception.take(records[first : first + _AT_ONCE], first)
            results += [_result(index, each) for index, each in enumerate(taken, first)]
        return _answered(results, reception)

    return await _deliver(request, key, gateway, idempotency_key, receive)


@router.post(
    "/files",
    summary="报送一个文件（XLSX、CSV），逐行答复",
    status_code=202,
    response_class=Response,
    openapi_extra=_body(
        **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in (XLSX, CSV, BINARY)}
    ),
    responses=_answer(FileResults, 400, 401, 408, 409, 413, 415, 422, 429, 503),
)
async def file(
    request: Request,
    key: Caller,
    gateway: Gateway,
    unit: Annotated[
        str | None, Query(max_length=100, description="没有写明报送机构的行，属于哪个机构")
    ] = None,
    category: Annotated[Category | None, Query(description="信息类别；省略时由表头判断")] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Rows are accepted one by one, as the records of a batch are; headings may be Chinese."""
    kind = content_type(request, XLSX, CSV, BINARY)
    most = gateway.settings.gateway_records

    def judge(body: bytes, reception: Reception) -> Answered:
        given = Given(unit, category)
        read: list[Row] = []
        with tempfile.NamedTemporaryFile(suffix=_SUFFIX[kind]) as kept:
            kept.write(body)
            kept.flush()
            with open_file(Path(kept.name), given, _LIMITS) as rows:
                for row in rows:
                    if len(read) == most:
                        raise too_many(most)
                    read.append(row)
        taken = reception.take([row.delivery for row in read])
        results = [
            {**_result(index, each), "row": row.number}
            for index, (row, each) in enumerate(zip(read, taken, strict=True))
        ]
        return _answered(results, reception, notes=rows.notes)

    async def receive(body: bytes, reception: Reception) -> Answered:
        try:
            async with gateway.reading:
                answered = await asyncio.to_thread(judge, body, reception)
        except UnusableFile as unusable:
            raise Problem(
                "file", 422, "文件读不了", str(unusable), "The file cannot be read."
            ) from None
        gateway.require_rate(key, answered.accepted + answered.refused)
        return answered

    return await _deliver(request, key, gateway, idempotency_key, receive)


class Answered(NamedTuple):
    """The answer to a request once its submissions are durable."""

    told: dict[str, Any]
    accepted: int
    refused: int
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it


async def _deliver(
    request: Request,
    key: Key,
    gateway: Services,
    idempotency_key: str | None,
    receive: Callable[[bytes, Reception], Awaitable[Answered]],
) -> Response:
    """Accept a request: whole, once, and durable before it is answered."""
    with gateway.room.guest() as guest, ExitStack() as stack:
        body = await read_body(request, gateway, guest)
        now = gateway.now()
        visit: Visit | None = None
        mark = new_mark()
        if idempotency_key is not None:
            digest = _digest(request, body)
            mark = mark_of(gateway.registry, key.platform, idempotency_key, digest)
            visit = stack.enter_context(
                gateway.requests.once(key.platform, idempotency_key, digest, now)
            )
        reception = Reception(
            gateway.registry,
            gateway.calendar,
            gateway.settings.partitions,
            key,
            visit.received_at if visit and visit.received_at else now,
            mark,
            idempotency_key is not None,
        )
        answered = await receive(body, reception)
        answer = orjson.dumps(answered.told)
        sealed = blake2b(answer, digest_size=16).digest()
        # One that was answered otherwise before, since the key's scope has changed, is written
        # again; the judge drops what it has.
        if visit is None or visit.answer != sealed:
            await gateway.write(reception.submissions)
            gateway.receipts.add(mark, reception.received_at, key.platform, reception.units)
            counts = {"accepted": answered.accepted, "refused": answered.refused}
            gateway.metrics.received(counts)
            request.state.counts = counts
            if visit is not None:
                visit.received_at, visit.answer = reception.received_at, sealed
    return Response(answer, 202, answered.headers, media_type=JSON)


def _digest(request: Request, body: bytes) -> bytes:
    """What makes it the same request: where it was sent, and what."""
    digest = blake2b(f"{request.url.path}?{request.url.query}\n".encode(), digest_size=16)
    digest.update(body)
    return digest.digest()


def _result(index: int, taken: Taken) -> dict[str, Any]:
    """The form of `RecordResult`."""
    return {
        "index": index,
        "id": taken.id,
        "status": "refused" if taken.problem else "accepted",
        "verdict": taken.verdict,
        "problem": taken.problem.body() if taken.problem else None,
    }


def _answered(
    results: list[dict[str, Any]], reception: Reception, **more: Sequence[str]
) -> Answered:
    accepted = len(reception.submissions)
    refused = len(results) - accepted
    told = {
        "received_at": reception.received_at,
        "accepted": accepted,
        "refused": refused,
        "results": results,
        **more,
    }
    return Answered(told, accepted, refused)


_SUFFIX: Final = {XLSX: ".xlsx", CSV: ".csv", BINARY: ""}
"""Decides a file's kind where its content does not."""
