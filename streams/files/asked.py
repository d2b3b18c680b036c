"""填写要求: what the rules ask of an item, said before anything is wrong.

The same words stand in the templates and in the published JSON Schemas.
"""

from typing import Final

from models.records import Item, Schema
from models.rules import ItemRule, RecordRule, Severity

_ASKED: Final = {
    "amount": "不小于 0 的数字，单位万元，最多 6 位小数",
    "amount-positive": "大于 0",
    "commitment-code": "20 位数字：行政区划 6 位、年月日 8 位、流水号 6 位",
    "credit-code": "18 位统一社会信用代码，校验码须正确",
    "date": "日期，如 2022-06-03，长期有效填 2099-12-31",
    "date-future": "不能晚于报送日",
    "document-number": "完整的文书号，如 武环许〔2022〕12号",
    "placeholder": "没有内容的留空，不要填“无”“测试”之类",
    "subject-code": "统一社会信用代码，自然人填身份证号码",
    "web-address": "完整网址，以 http:// 或 https:// 开头",
    "whole-number": "整数编号",
}
"""What is asked by rules over one item, by rule id."""

_ASKED_TOGETHER: Final = {
    "credit-code": "18 位统一社会信用代码，校验码须正确；个体工商户没有代码的填 17 个 0 加 X",
    "resident-id": "证件类型为身份证的，须为有效的 18 位号码",
}
"""What is asked by rules over several items that do not say it in their messages."""

_UNSAID: Final = frozenset({"length", "control-character"})
"""`Item.limit` tells of the one, and nobody breaks the other on purpose."""


def asked(schema: Schema, code: str) -> tuple[str, ...]:
    """What is asked of an item's value, in Chinese; whether it is mandatory comes first."""
    item = schema.items[code]
    told = ["必填" if code in schema.required else "选填"]
    if item.limit is not None:
        told.append(f"不超过 {item.limit} 个字符")
    told += [
        _of_item(rule)
        for rule in item.rules
        if rule.severity is Severity.ERROR and rule.id not in _UNSAID
    ]
    told += [_of_record(rule, item) for rule in schema.rules if rule.field == code]
    return tuple(told)


def _of_item(rule: ItemRule) -> str:
    if rule.id == "code-list":
        return "应为" + rule.message.partition("应为")[2]
    return _ASKED[rule.id]


def _of_record(rule: RecordRule, item: Item) -> str:
    match rule.id:
        case "date-order":
            return "不能" + rule.message.removeprefix("{name}").removesuffix("，请核对")
        case "required-when" | "empty-when":
            return rule.message.removesuffix("，但没有填写").format(name=item.name)
    return _ASKED_TOGETHER[rule.id]
