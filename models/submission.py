"""报送: one delivery of a record, read from the bytes that a platform sent.

The wire form is one JSON object, UTF-8: `unit`, `category`, `op` (upsert or withdraw), `record`
(field code to value), `reason` for a withdrawal, and what the way in adds: `received_at` (RFC 3339
with its zone), `id`, `platform` and `origin`. What a sender says is a `Delivery`; with what the way
in has settled it is a `Submission`.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any, Final, Literal, NamedTuple

import orjson
from pydantic_core import from_json

from models.errors import InputError
from models.records import SCHEMAS, Schema
from models.words import CATEGORY_OF, SHANGHAI, Category, Op


class Position(NamedTuple):
    """Where a submission is in its log: the log's epoch, then the offset in it."""

    epoch: int
    offset: int


REQUEST: Final = "request/"
"""Begins the `Origin.log` of what came in a request, before the platform and the request's mark."""


class Origin(NamedTuple):
    """Where a platform's own message was, so that it counts once though it may arrive twice.

    Admission may put a message into submissions twice when it dies in between: `log` is
    "topic/epoch/partition", and within one partition of submissions its offsets rise. A platform
    may send a request again that it had no answer to: `log` is "request/platform/mark", and
    `offset` the number of the record in it.
    """

    log: str
    offset: int


START: Final = Position(0, -1)
"""Before every submission."""


Refusal = Literal[
    "category",
    "columns",
    "formula",
    "json",
    "key",
    "op",
    "origin",
    "quotes",
    "received-at",
    "record",
    "rounded",
    "scope",
    "store",
    "timestamp",
    "too-long",
    "unit",
    "withdraw-reason",
    "withdraw-unknown",
]
"""Why no record can be made of what came in; docs/rules.md, section 3, says what each means."""


class Unreadable(InputError):
    """A delivery of which no record can be made; `str()` says why, in Chinese.

    It never carries the input. `unit` and `category` are what could be
    read of them.
    """

    def __init__(
        self, rule: Refusal, message: str, unit: str | None = None, category: str | None = None
    ) -> None:
        super().__init__(message)
        self.rule = rule
        self.unit = unit
        self.category = category


class Submission(NamedTuple):
    """A delivery that was let in: which record it is about, what it says of it, who sent it when.

    `unit` is the unit's name as the sender wrote it, `record` the JSON values by field code as they
    were sent: what is wrong with them is for the rules to say. `received_at` is zone-aware.
    `record_key` names the record (`Schema.record_key`).
    """

    unit: str
    schema: Schema
    op: Op
    record: Mapping[str, Any]
    reason: str
    record_key: bytes
    received_at: datetime
    id: str = ""
    platform: str = ""
    origin: Origin | None = None
    position: Position = START

    @property
    def received_on(self) -> date:
        """The calendar day of receipt in Asia/Shanghai."""
        # China has kept +08:00 since 1991, and receipts come with it as a rule.
        received_at = self.received_at
        if received_at.tzinfo == _CHINA:
            return received_at.date()
        return received_at.astimezone(SHANGHAI).date()


class Delivery(NamedTuple):
    """What a sender says, read and not yet let in; the first fields are those of a `Submission`.

    `said` is the whole JSON object; nothing in it has been checked yet.
    """

    unit: str
    schema: Schema
    op: Op
    record: Mapping[str, Any]
    reason: str
    said: Mapping[str, Any]

    def submission(
        self,
        record_key: bytes,
        received_at: datetime,
        id_: str = "",
        platform: str = "",
        origin: Origin | None = None,
        position: Position = START,
    ) -> Submission:
        """The submission that it is, with what the way in has settled."""
        return Submission(
            self.unit,
            self.schema,
            self.op,
            self.record,
            self.reason,
            record_key,
            received_at,
            id_,
            platform,
            origin,
            position,
        )

    @property
    def id(self) -> str:
        """The id that its sender gives it; "" for none."""
        return _text(self.said.get("id"))

    @property
    def platform(self) -> str:
        """The platform by its own account; "" for none."""
        return _text(self.said.get("platform"))

    @property
    def origin(self) -> Origin | None:
        """Where it came from, by its own account.

        Raises:
            Unreadable: that is no origin.
        """
        match self.said.get("origin"):
            case None:
                return None
            case [str(log), int(offset)]:
                return Origin(log, offset)
        raise self.unreadable("origin", "来源（origin）应为 [日志, 位点]")

    def received_at(self, otherwise: datetime | None = None) -> datetime:
        """When it was received by its own account, else `otherwise`.

        Raises:
            Unreadable: what it says is no time with a zone, or nobody says it.
        """
        stated = self.said.get("received_at")
        if stated is None and otherwise is not None:
            return otherwise
        if stated is None:
            raise self.unreadable("received-at", "缺少接收时间（received_at）")
        try:
            received_at = datetime.fromisoformat(stated)
        except (TypeError, ValueError):
            received_at = None
        if (
            received_at is None
            or received_at.tzinfo is None
            or received_at.year not in _YEARS_OF_RECEIPT
        ):
            raise self.unreadable(
                "received-at", "接收时间（received_at）应带时区，例如 2022-06-03T09:00:00+08:00"
            )
        return received_at

    def unreadable(self, rule: Refusal, message: str) -> Unreadable:
        """Why no record can be made of it."""
        return Unreadable(rule, message, self.unit, self.schema.category.value)


_YEARS_OF_RECEIPT: Final = range(1970, 2100)
"""The years a time of receipt may be in; every zone's day and the store can hold them."""

_CHINA: Final = timezone(timedelta(hours=8))
_SCHEMA_OF: Final[dict[object, Schema]] = {
    name: SCHEMAS[category] for name, category in CATEGORY_OF.items()
}
_OPS: Final[dict[object, Op]] = {op.value: op for op in Op}
_CATEGORY_NAMES: Final = "、".join(category.value for category in Category)


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object that the bytes are.

    Raises:
        Unreadable: they are no JSON object in UTF-8.
    """
    try:
        given = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Unreadable(
            "json", "不是有效的JSON（UTF-8编码，一条一个对象），请检查括号、引号和编码"
        ) from None
    if not isinstance(given, dict):
        raise Unreadable("json", "应为一个JSON对象，即用 { } 括起来的一条信息")
    record = given.get("record")
    if isinstance(record, dict) and not _EXACT.isdisjoint(map(type, record.values())):
        # A number of many digits may be a code, and must keep all of them.
        return _with_every_digit(raw, given)
    return given


_EXACT: Final = frozenset({float})


def _with_every_digit(raw: bytes, given: dict[str, Any]) -> dict[str, Any]:
    """What orjson read, with whole numbers beyond 64 bits as they were written."""
    try:
        exact: dict[str, Any] = from_json(raw, allow_inf_nan=False)
    except ValueError:
        return given
    return exact


def read_delivery(raw: bytes) -> Delivery:
    """Read one delivery.

    Raises:
        Unreadable: it is no JSON object, or its unit, category, op, reason or record is missing or
            of the wrong kind.
    """
    return delivery_of(parse_object(raw))


def delivery_of(said: Mapping[str, Any]) -> Delivery:
    """The delivery that a parsed JSON object is. See `read_delivery`."""
    unit, category, record = said.get("unit"), said.get("category"), said.get("record")
    schema = _SCHEMA_OF.get(category) if isinstance(category, str) else None
    op = _OPS.get(stated, None) if isinstance(stated := said.get("op", "upsert"), str) else None
    reason = said.get("reason", "")
    if isinstance(unit, str):
        unit = unit.strip()
    if (
        not isinstance(unit, str)
        or unit == ""
        or schema is None
        or op is None
        or not isinstance(record, dict)
        or not isinstance(reason, str)
        or (op is Op.WITHDRAW and reason.strip() == "")
    ):
        raise _unreadable(unit, category, schema, op, record)
    return Delivery(unit, schema, op, record, reason, said)


def _unreadable(
    unit: object, category: object, schema: Schema | None, op: Op | None, record: object
) -> Unreadable:
    """The first thing that keeps a JSON object from being a delivery."""
    rule: Refusal
    if not isinstance(unit, str) or unit == "":
        rule, message = "unit", "缺少报送机构（unit），请填写机构名称"
    elif schema is None:
        rule = "category"
        message = f"信息类别（category）缺失或不存在，应为：{_CATEGORY_NAMES}"
    elif op is None:
        rule, message = "op", "操作（op）应为 upsert（报送或更正）或 withdraw（撤回）"
    elif not isinstance(record, dict):
        rule, message = "record", "缺少信息内容（record），应为字段代码到值的对象"
    else:
        rule, message = "withdraw-reason", "撤回信息须在 reason 中写明理由"
    return Unreadable(
        rule,
        message,
        unit if isinstance(unit, str) and unit else None,
        category if isinstance(category, str) else None,
    )


def read_submission(raw: bytes, record_key: bytes, position: Position = START) -> Submission:
    """Read a submission from the log, where the way in has noted when it came, and from whom.

    Raises:
        Unreadable: it is none.
    """
    delivery = read_delivery(raw)
    return delivery.submission(
        record_key,
        delivery.received_at(),
        delivery.id,
        delivery.platform,
        delivery.origin,
        position,
    )


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""
