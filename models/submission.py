"""报送: one delivery of a record, read from the bytes that a platform sent.

The wire form is one JSON object, UTF-8: `unit`, `category`, `op` (upsert or withdraw),
`received_at` (RFC 3339 with its zone), `record` (field code to value), `reason` for a withdrawal,
and what the way in adds: `id` and `platform`.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal, NamedTuple, Union

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic_core import from_json

from models.errors import InputError
from models.records import MODELS, SCHEMAS, Record, Schema
from models.records.base import WHITE_SPACE
from models.words import SHANGHAI, Category, Op


class Position(NamedTuple):
    """Where a submission stands in its log: the log's epoch, then the offset in it."""

    epoch: int
    offset: int


REQUEST: Final = "request/"
"""Begins the `Origin.log` of what came in a request, before the platform and the request's mark."""


class Origin(NamedTuple):
    """Where a platform's own message stood, so that it counts once though it may come twice.

    `admit` may put a message into submissions twice when it dies in between: `log` is
    "topic/epoch/partition", and within one partition of submissions its offsets rise. A platform
    may send a request again that it had no answer to: `log` is "request/platform/mark", and
    `offset` the number of the record in it.
    """

    log: str
    offset: int


_CHINA_OFFSET: Final = timedelta(hours=8)

START: Final = Position(0, -1)
"""Before every submission."""


class Unreadable(InputError):
    """A delivery of which no record can be made; `str()` says why, in Chinese.

    It never carries the input. `rule` is a stable code; `unit` and `category` are what could be
    read of them.
    """

    def __init__(
        self, rule: str, message: str, unit: str | None = None, category: str | None = None
    ) -> None:
        super().__init__(message)
        self.rule = rule
        self.unit = unit
        self.category = category


@dataclass(slots=True)
class Submission:
    """A delivery that could be read: which record it is about and what it says of it.

    `values` holds a text for every field of the schema, in its order, "" where none was given.
    `clean` tells that the category's model accepted them; `misfits` names the fields whose JSON
    value was no text. `received_at` is zone-aware.
    """

    unit: str
    schema: Schema
    op: Op
    received_at: datetime
    values: dict[str, str]
    clean: bool
    misfits: dict[str, str]
    reason: str = ""
    id: str = ""
    platform: str = ""
    origin: Origin | None = None
    position: Position = START
    record_key: bytes = b""

    @property
    def received_on(self) -> date:
        """The calendar day of receipt in Asia/Shanghai."""
        # China has kept +08:00 since 1991, and receipts come with it as a rule.
        if self.received_at.utcoffset() == _CHINA_OFFSET:
            return self.received_at.date()
        return self.received_at.astimezone(SHANGHAI).date()


class Envelope(BaseModel):
    """What surrounds a record on the wire; one subclass a category says what is in it."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, use_enum_values=False)

    unit: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1), Field(title="报送机构")
    ]
    op: Op = Op.UPSERT
    received_at: AwareDatetime | None = None
    reason: Annotated[str, Field(title="撤回理由")] = ""
    id: str = ""
    platform: str = ""
    origin: Origin | None = None
    record: Record


def _envelope(model: type[Record]) -> type[Envelope]:
    fields: dict[str, Any] = {
        "category": (Literal[model.category.value], ...),
        "record": (model, ...),
    }
    return create_model(f"{model.__name__}Submission", __base__=Envelope, **fields)


ENVELOPES: Final = {model.category: _envelope(model) for model in MODELS}
"""The wire model of each category's submissions."""

# A union made at run time: one member for each category.
_Any: Any = Annotated[Union[tuple(ENVELOPES.values())], Field(discriminator="category")]  # noqa: UP007
_ANY: Final[TypeAdapter[Envelope]] = TypeAdapter(_Any)
_validate_json: Final = _ANY.validator.validate_json  # without the adapter's detour
_RECEIVED: Final = TypeAdapter(AwareDatetime)
_ORIGIN: Final = TypeAdapter(Origin)
_CATEGORIES: Final = {
    name: category for category in Category for name in (category.value, category.zh)
}
_SCHEMA_OF: Final = {model: SCHEMAS[model.category] for model in MODELS}


def read_submission(raw: bytes, received_at: datetime | None = None) -> Submission:
    """Read one delivery.

    Args:
        raw: the JSON object as bytes.
        received_at: the time of receipt for a delivery that does not carry its own.

    Raises:
        Unreadable: it is no JSON object, or its unit, category, op, time or record is missing or
            of the wrong kind.
    """
    try:
        envelope: Envelope = _validate_json(raw)
    except ValidationError:
        return _read_closely(raw, received_at)
    record = envelope.record
    values: dict[str, str] = record.__dict__
    if None in values.values():
        for code, value in values.items():
            if value is None:
                values[code] = ""
    received = envelope.received_at or received_at
    if received is None or (envelope.op is Op.WITHDRAW and not envelope.reason.strip()):
        return _read_closely(raw, received_at)
    return Submission(
        envelope.unit,
        _SCHEMA_OF[type(record)],
        envelope.op,
        received,
        values,
        True,
        _NO_MISFITS,
        envelope.reason,
        envelope.id,
        envelope.platform,
        envelope.origin,
    )


_NO_MISFITS: Final[dict[str, str]] = {}


def _read_closely(raw: bytes, received_at: datetime | None) -> Submission:
    """Read a delivery that the models did not accept: keep what can be judged of it."""
    try:
        given = from_json(raw)
    except ValueError:
        raise Unreadable(
            "json", "不是有效的JSON（UTF-8编码，一条一个对象），请检查括号、引号和编码"
        ) from None
    if not isinstance(given, dict):
        raise Unreadable("json", "应为一个JSON对象，即用 { } 括起来的一条信息")
    return submission_of(given, received_at)


def submission_of(given: dict[str, Any], received_at: datetime | None = None) -> Submission:
    """Make a submission of a parsed JSON object. See `read_submission`."""
    unit, category, record = given.get("unit"), given.get("category"), given.get("record")
    known = {
        "unit": unit if isinstance(unit, str) else None,
        "category": category if isinstance(category, str) else None,
    }
    if not isinstance(unit, str) or not unit.strip():
        raise Unreadable("unit", "缺少报送机构（unit），请填写机构名称", **known)
    if not isinstance(category, str) or category not in _CATEGORIES:
        raise Unreadable(
            "category",
            f"信息类别（category）缺失或不存在，应为：{'、'.join(c.value for c in Category)}",
            **known,
        )
    op = given.get("op", Op.UPSERT.value)
    if op not in tuple(Op):
        raise Unreadable("op", "操作（op）应为 upsert（报送或更正）或 withdraw（撤回）", **known)
    if not isinstance(record, dict):
        raise Unreadable("record", "缺少信息内容（record），应为字段代码到值的对象", **known)
    reason = given.get("reason", "")
    if not isinstance(reason, str) or (op == Op.WITHDRAW and not reason.strip()):
        raise Unreadable("withdraw-reason", "撤回信息须在 reason 中写明理由", **known)
    if (stated := given.get("received_at")) is not None:
        try:
            received_at = _RECEIVED.validate_python(stated)
        except ValidationError:
            raise Unreadable(
                "received-at",
                "接收时间（received_at）应带时区，例如 2022-06-03T09:00:00+08:00",
                **known,
            ) from None
    if received_at is None:
        raise Unreadable("received-at", "缺少接收时间（received_at）", **known)
    schema = SCHEMAS[_CATEGORIES[category]]
    values: dict[str, str] = {}
    misfits: dict[str, str] = {}
    for code in schema.items:
        value = as_text(record.get(code))
        if value is None:
            misfits[code] = type(record[code]).__name__
        values[code] = value or ""
    return Submission(
        unit.strip(),
        schema,
        Op(op),
        received_at,
        values,
        False,
        misfits,
        reason,
        _mark(given.get("id")),
        _mark(given.get("platform")),
        _origin(given.get("origin")),
    )


def _mark(given: object) -> str:
    return given if isinstance(given, str) else ""


def _origin(given: object) -> Origin | None:
    try:
        return None if given is None else _ORIGIN.validate_python(given)
    except ValidationError:
        raise Unreadable("origin", "来源（origin）应为 [日志, 位点]") from None


def as_text(value: object) -> str | None:
    """A JSON value as a record's text: "" for null, None for what is no text and no number."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip(WHITE_SPACE)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None
