"""Problems: every refusal of the gateway, as RFC 9457 problem+json with a stable code.

A refusal says in Chinese what is wrong and what to do, in English for a foreign log, and never
repeats what was sent.
"""

from typing import Annotated, Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from models.submission import Unreadable
from streams.errors import XinshaoError

MEDIA_TYPE: Final = "application/problem+json"


class ProblemBody(BaseModel):
    """拒绝的原因 (RFC 9457)."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[str, Field(description="urn:xinshao:problem:加上 code")]
    code: Annotated[str, Field(description="不变的代码，程序按它判断", examples=["scope"])]
    status: Annotated[int, Field(ge=400, le=599)]
    title: Annotated[str, Field(description="一句话：什么不对")]
    detail: Annotated[str, Field(description="哪里不对，怎么办")]
    detail_en: str
    path: Annotated[str | None, Field(description="字段或参数的名称")] = None


class Problem(XinshaoError):
    """A refusal.

    Attributes:
        code: Stable, for programs.
        status: Of the answer.
        retry_after: Seconds after which the same request may succeed; None where it will not.
    """

    def __init__(
        self,
        code: str,
        status: int,
        title: str,
        detail: str,
        detail_en: str,
        *,
        path: str | None = None,
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code: Final = code
        self.status: Final = status
        self.title: Final = title
        self.detail: Final = detail
        self.detail_en: Final = detail_en
        self.path: Final = path
        self.retry_after: Final = retry_after
        self.headers: Final = headers or {}

    @classmethod
    def of(cls, unreadable: Unreadable) -> "Problem":
        """The refusal of a delivery of which no record can be made."""
        if unreadable.rule == "scope":
            return cls("scope", 403, "无权报送", str(unreadable), _OUT_OF_SCOPE, path="unit")
        path, english = _UNREADABLE.get(unreadable.rule, (None, "The record cannot be read."))
        return cls(unreadable.rule, 422, "这条信息无法接收", str(unreadable), english, path=path)

    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        told = {
            "type": f"urn:xinshao:problem:{self.code}",
            "code": self.code,
            "status": self.status,
            "title": self.title,
            "detail": self.detail,
            "detail_en": self.detail_en,
        }
        return told if self.path is None else {**told, "path": self.path}

    def response(self) -> JSONResponse:
        """The answer."""
        retry = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return JSONResponse(
            self.body(), self.status, {**self.headers, **retry}, media_type=MEDIA_TYPE
        )


_OUT_OF_SCOPE: Final = "This key may not deliver this category for this unit."
_UNREADABLE: Final[dict[str, tuple[str | None, str]]] = {
    "json": (None, "Not a JSON object in UTF-8."),
    "unit": ("unit", "The unit is missing or not in the register."),
    "category": ("category", "The category is missing or unknown."),
    "op": ("op", "op is upsert or withdraw."),
    "record": ("record", "The record is missing or no object."),
    "withdraw-reason": ("reason", "A withdrawal needs a reason."),
    "received-at": ("received_at", "received_at is no time with a zone; leave it out."),
    "origin": ("origin", "origin is for the gateway to say; leave it out."),
    "too-long": (None, "The record is too large."),
}
"""By the rule of an `Unreadable`: the item that is wrong, and what to say in English."""

_TOLD: Final = {
    400: "请求不完整或不能解压",
    401: "没有密钥，或密钥不能用",
    403: "密钥无权报送此机构或类别",
    404: "没有这一项，或无权查看",
    408: "请求正文传得太慢",
    409: "同一 Idempotency-Key 的请求正在处理",
    413: "正文、批次或单条信息过大",
    415: "不支持的正文格式或压缩方式",
    422: "内容读不出报送，或参数有误",
    429: "超过密钥的速率，Retry-After 秒之后再试",
    500: "网关内部故障，已记录",
    503: "暂时不能接收或查询，Retry-After 秒之后再试",
}

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """What OpenAPI says of the refusals of a route; 500 is always among them."""
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {
        status: {
            "description": _TOLD[status],
            "content": {MEDIA_TYPE: {"schema": schema}},
            **({"headers": _RETRY_AFTER} if status in (409, 429, 503) else {}),
        }
        for status in sorted({*statuses, 500})
    }


_RETRY_AFTER: Final = {
    "Retry-After": {"description": "多少秒后重试", "schema": {"type": "integer", "minimum": 1}}
}


def add_problems(app: FastAPI) -> None:
    """Turn every refusal into a problem."""

    async def told(_request: Request, problem: Exception) -> JSONResponse:
        assert isinstance(problem, Problem)  # noqa: S101 - by its registration
        return problem.response()

    async def of_http(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - by its registration
        headers = dict(error.headers or {})
        return _of_status(error.status_code, headers).response()

    async def of_parameters(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - by its registration
        names = [str(each["loc"][-1]) for each in error.errors()]
        return Problem(
            "parameter",
            422,
            "参数有误",
            f"参数 {'、'.join(names)} 缺失或不符合要求，请对照接口说明",
            "A parameter is missing or not as the API describes it.",
            path=names[0],
        ).response()

    app.add_exception_handler(Problem, told)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_parameters)


def internal() -> Problem:
    """What a caller is shown of a fault of the gateway's own."""
    return Problem(
        "internal",
        500,
        "网关内部故障",
        "网关出了意外，已记录；请稍后用同一个 Idempotency-Key 重试，仍不成功请联系市信用办",
        "Something unexpected went wrong; repeat with the same Idempotency-Key.",
    )


def _of_status(status: int, headers: dict[str, str]) -> Problem:
    match status:
        case 404:
            told = ("path", "没有这个地址", "请对照接口说明 /openapi.json", "No such path.")
        case 405:
            told = ("method", "这个地址不支持该方法", "允许的方法见 Allow", "Method not allowed.")
        case _:
            told = ("request", "请求有误", "请对照接口说明 /openapi.json", "Bad request.")
    code, title, detail, english = told
    return Problem(code, status, title, detail, english, headers=headers)
