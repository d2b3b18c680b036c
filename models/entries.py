"""Entries: what people write by hand in YAML, read by models, and every refusal in Chinese."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import ErrorDetails, PydanticCustomError

Name = Annotated[str, Field(min_length=1)]
Percent = Annotated[Decimal, Field(ge=0, le=100)]


class Entry(BaseModel):
    """One entry of a registry file. Where it names a unit, an alias in the file becomes the id."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_by_name=True
    )


class Fault(PydanticCustomError):
    """A refusal of a model's own, its message Chinese already."""

    TYPE: Final = "entry"

    def __new__(cls, message: str) -> Self:
        """Refuse with that message."""
        return super().__new__(cls, cls.TYPE, "{message}", {"message": message})


def form(pattern: str, message: str) -> AfterValidator:
    """A validator of texts that must match the whole of `pattern`."""
    matches = re.compile(pattern, re.ASCII).fullmatch

    def check(value: str) -> str:
        if not matches(value):
            raise Fault(message)
        return value

    return AfterValidator(check)


MESSAGES: Final[Mapping[str, str]] = {
    Fault.TYPE: "{where} {message}",
    "missing": "缺少 {where}，请补上",
    "extra_forbidden": "{where} 是不认识的键，请改正或删去；可用的键：{keys}",
    "model_type": "{where} 应为“键: 值”的形式",
    "tuple_type": "{where} 应为列表，如 [甲, 乙]",
    "frozen_set_type": "{where} 应为列表，如 [甲, 乙]",
    "string_type": "{where} 应为文字，数字和日期请加引号",
    "string_too_short": "{where} 不能为空",
    "too_short": "{where} 不能是空列表，请填写或整行删去",
    "enum": "{where} 应为以下之一：{options}",
    "int_type": "{where} 应为整数",
    "greater_than_equal": "{where} 不能小于 {ge}",
    "less_than_equal": "{where} 不能大于 {le}",
    "decimal_type": "{where} 应为数字",
    "decimal_parsing": "{where} 应为数字",
    "finite_number": "{where} 应为数字",
    "date_type": "{where} 应为日期，写成 2022-06-01 的形式，不加引号",
}
"""pydantic's error types in Chinese. None quotes the value."""


def keys_of(model: type[Entry]) -> str:
    """The keys that an entry of the model may have, as they are written."""
    return "、".join(info.alias or name for name, info in model.model_fields.items())


def in_chinese(
    error: ErrorDetails,
    keys: str = "",
    messages: Mapping[str, str] = MESSAGES,
    whole: str = "这一条",
) -> str:
    """What is wrong with an entry, and how to fix it; the value is never quoted.

    Args:
        error: As pydantic reports it.
        keys: What `{keys}` in a message stands for.
        messages: The message of each of pydantic's types of error.
        whole: What to call the entry itself.
    """
    steps = (f"第 {step + 1} 项" if isinstance(step, int) else step for step in error["loc"])
    message = messages.get(error["type"], "{where} 的值不对，请改正")
    context = error.get("ctx", {})
    told = {
        "where": " ".join(steps) or whole,
        "keys": keys,
        "options": "、".join(re.findall(r"'(.+?)'", str(context.get("expected", "")))),
        **context,
    }
    return message.format_map(told).strip()
