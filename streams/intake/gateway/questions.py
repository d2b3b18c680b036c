"""The gateway's read side: receipts, how a unit stands, the ranking, field lists and templates.

A key sees the units that it may speak for and what its own platform delivered; of anything else it
learns nothing, not even whether it is there. The ranking is for all keys. Field lists and templates
are public: they are read before there is a key.
"""

import logging
from collections.abc import Callable
from typing import Annotated, Final, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse

from models.month import Month
from models.verdict import PublicModel
from models.words import Category
from streams.files.template import template
from streams.intake.gateway.authentication import Caller, Gateway
from streams.intake.gateway.problems import Problem, problems
from streams.intake.gateway.schemas import MEDIA_TYPE, submission_schema
from streams.intake.gateway.services import Services
from streams.intake.keys import Key
from streams.store.answers import (
    Answers,
    Cursor,
    PendingPage,
    Ranking,
    Receipt,
    UnitSummary,
)
from streams.store.errors import StoreError, StoreUnavailableError

log = logging.getLogger(__name__)

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

MOST_AT_ONCE: Final = 500
"""Pending records of one page."""

RETRY_AFTER: Final = 10
"""Seconds after which to ask a store again that did not answer."""

T = TypeVar("T")

router = APIRouter(prefix="/v1")

UnitName = Annotated[str, Path(description="报送机构的名称或别名", examples=["江夏区"])]
MonthName = Annotated[
    str | None,
    Query(
        pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="月份，省略为本月", examples=["2022-06"]
    ),
]


class FieldList(PublicModel):
    """Where a category's field list and template are."""

    category: Category
    name: str
    schema_path: str
    template_path: str


@router.get(
    "/submissions/{id}",
    summary="回执：一次报送的结果",
    responses=problems(401, 404, 422, 503),
)
async def receipt(
    id: Annotated[str, Path(description="报送时答复的编号", max_length=100)],  # noqa: A002 - on the wire
    key: Caller,
    gateway: Gateway,
) -> Receipt:
    """What became of a submission of the key's platform, or for one of its units."""
    owned = await _ask(gateway, lambda answers: answers.receipt(id)) or gateway.received(id)
    if owned is None or not (owned.platform == key.platform or owned.unit in key.units):
        raise Problem(
            "submission-unknown",
            404,
            "没有这次报送",
            "没有这个编号的报送，或者它不属于这个密钥的平台和机构；刚刚报送的请稍候再查",
            "No such submission, or it is not of this key's platform and units.",
        )
    return owned.receipt


@router.get(
    "/units/{unit}/summary",
    summary="机构的当月情况：各类数量、合规率、及时率和告警线",
    responses=problems(401, 404, 422, 503),
)
async def summary(
    unit: UnitName, key: Caller, gateway: Gateway, month: MonthName = None
) -> UnitSummary:
    """A month of a unit as it is now; published figures never change, these do."""
    name, of = _unit(unit, key, gateway), _month(month, gateway)
    return await _ask(gateway, lambda answers: answers.summary(name, of))


@router.get(
    "/units/{unit}/pending",
    summary="待补正清单：尚不合规的信息，期限近的在前",
    responses=problems(401, 404, 422, 503),
)
async def pending(
    unit: UnitName,
    key: Caller,
    gateway: Gateway,
    limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 100,
    cursor: Annotated[
        str | None, Query(max_length=64, description="上一页的 next；省略为第一页")
    ] = None,
) -> PendingPage:
    """A page of a unit's records that are to be corrected, with every reason."""
    name, today = _unit(unit, key, gateway), gateway.clock.today()
    try:
        after = Cursor.parse(cursor) if cursor is not None else None
    except ValueError:
        raise Problem(
            "cursor",
            422,
            "翻页位置有误",
            "cursor 应为上一页答复中的 next，请原样带回",
            "The cursor is none that a page gave.",
            path="cursor",
        ) from None
    return await _ask(gateway, lambda answers: answers.pending(name, today, limit, after))


@router.get("/ranking", summary="双公示排名", responses=problems(401, 422, 503))
async def ranking(_key: Caller, gateway: Gateway, month: MonthName = None) -> Ranking:
    """The month's ranking of all units; of a published month as it was published."""
    of = _month(month, gateway)
    return await _ask(gateway, lambda answers: answers.ranking(of))


@router.get("/schemas", summary="各信息类别的字段清单和模板")
async def schemas() -> list[FieldList]:
    """Where the field lists and templates are."""
    return [
        FieldList(
            category=each,
            name=each.zh,
            schema_path=f"{router.prefix}/schemas/{each.value}",
            template_path=f"{router.prefix}/templates/{each.value}.xlsx",
        )
        for each in Category
    ]


@router.get(
    "/schemas/{category}",
    summary="一个信息类别的 JSON Schema（2020-12）",
    response_class=JSONResponse,
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}, **problems(422)},
)
async def schema(category: Category) -> Response:
    """The category's field list: types, code lists, what is mandatory, Chinese titles."""
    return JSONResponse(submission_schema(category), media_type=MEDIA_TYPE)


@router.get(
    "/templates/{category}.xlsx",
    summary="一个信息类别的填报模板",
    response_class=Response,
    responses={
        200: {"content": {XLSX: {"schema": {"type": "string", "format": "binary"}}}},
        **problems(422),
    },
)
def filled_in_by_hand(category: Category) -> Response:
    """A workbook to fill in and upload."""
    name = quote(f"{category.zh}报送模板.xlsx")
    return Response(
        template(category),
        media_type=XLSX,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
    )


async def _ask(gateway: Services, question: Callable[[Answers], T]) -> T:
    """The store's answer."""
    if gateway.desk is None:
        raise Problem(
            "store-missing",
            503,
            "没有配置数据库",
            "这个网关没有配置数据库，只能接收报送；请联系市信用办",
            "This gateway has no store: it takes submissions and answers no questions.",
        )
    try:
        return await gateway.desk.ask(question)
    except (StoreError, StoreUnavailableError):
        log.exception("数据库没有回答网关的查询")
        raise Problem(
            "store-unavailable",
            503,
            "暂时无法查询",
            "数据库暂时没有应答，请稍后再查；报送不受影响",
            "The store does not answer now; submitting goes on.",
            retry_after=RETRY_AFTER,
        ) from None


def _unit(name: str, key: Key, gateway: Services) -> str:
    """The id of a unit that the key may speak for."""
    unit = gateway.registry.unit(name)
    if unit is None or unit.id not in key.units:
        raise Problem(
            "unit-unknown",
            404,
            "没有这个机构",
            "没有这个报送机构，或者这个密钥无权查看它",
            "No such unit, or this key may not see it.",
            path="unit",
        )
    return unit.id


def _month(text: str | None, gateway: Services) -> Month:
    return Month.of(text) if text else Month.containing(gateway.clock.today())
