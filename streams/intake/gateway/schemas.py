"""The field lists as JSON Schema (draft 2020-12), made of the models that judge.

A schema says what holds of one field alone. Whatever breaks it breaks a rule; what keeps it may
still break one that JSON Schema cannot express, such as a check digit: the descriptions name those.
"""

from functools import cache
from typing import Any, Final

from models.records import SCHEMAS, Schema
from models.words import Category, Op

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MEDIA_TYPE: Final = "application/schema+json"

Json = dict[str, Any]

_BLANK: Final[Json] = {"enum": ["", None], "title": "未填"}


@cache
def submission_schema(category: Category) -> Json:
    """What a submission of the category looks like on its way to the gateway."""
    schema = SCHEMAS[category]
    return {
        "$schema": DIALECT,
        "$id": f"urn:xinshao:submission:{category.value}",
        "title": f"报送{category.zh}",
        "description": f"字段来源：{schema.model.source}",
        "type": "object",
        "properties": {
            "unit": {"title": "报送机构", "type": "string", "minLength": 1},
            "category": {"title": "信息类别", "enum": [category.value, category.zh]},
            "op": {
                "title": "操作",
                "description": "upsert 报送或更正（省略即是）；withdraw 撤回，须写明 reason",
                "enum": [op.value for op in Op],
                "default": Op.UPSERT.value,
            },
            "reason": {"title": "撤回理由", "type": "string"},
            "record": {"$ref": "#/$defs/record"},
        },
        "required": ["unit", "category", "record"],
        "if": {"properties": {"op": {"const": Op.WITHDRAW.value}}, "required": ["op"]},
        "then": {"properties": {"reason": {"minLength": 1}}, "required": ["reason"]},
        "$defs": {"record": _record(schema)},
    }


def _record(schema: Schema) -> Json:
    described = schema.model.model_json_schema()["properties"]
    return {
        "title": schema.category.zh,
        "type": "object",
        "properties": {code: _item(schema, code, described[code]) for code in schema.items},
        "required": [code for code in schema.items if code in schema.required],
    }


def _item(schema: Schema, code: str, described: Json) -> Json:
    value = {name: said for name, said in described.items() if name not in ("title", "default")}
    told = {"title": schema.items[code].name, "description": "；".join(schema.asked(code))}
    if code in schema.required:
        return {**told, **value, "minLength": 1}
    return {**told, "anyOf": [value, _BLANK]}
