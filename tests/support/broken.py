"""For every rule of every category, a record that breaks this one rule."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from models.records import SCHEMAS, Schema
from models.rules import (
    NATURAL_PERSON,
    REQUIRED,
    RESIDENT_ID,
    SOLE_TRADER,
    TYPE,
    ItemRule,
    RecordRule,
    Severity,
)
from models.words import Category
from tests.support import samples

MISTYPED_CODE: Final = samples.CREDIT_CODE[:-2] + "0" + samples.CREDIT_CODE[-1]
MISTYPED_ID: Final = samples.RESIDENT_ID[:-2] + "0" + samples.RESIDENT_ID[-1]


class Breach(NamedTuple):
    """What is to be changed in a category's valid record, and all the reasons that follow."""

    changes: dict[str, Any]
    reasons: list[tuple[str, str]]
    severity: Severity


def breaches(category: Category) -> Iterator[Breach]:
    """For every rule of the category one record or several.

    Raises:
        LookupError: it is not known what breaks a rule; say it in this module.
    """
    schema = SCHEMAS[category]
    for code, item in schema.items.items():
        for misfit in ([], ["一"], {}, {"一": 1}, True):
            yield Breach({code: misfit}, [(TYPE.id, code)], TYPE.severity)
        if code in schema.required:
            for blank in ("", None, "\u3000 \n"):
                yield Breach({code: blank}, [(REQUIRED.id, code)], REQUIRED.severity)
        for rule in item.rules:
            changes, beside = _of_item(schema, code, rule)
            reasons = [(each, code) for each in (rule.id, *beside)]
            yield Breach(changes, reasons, rule.severity)
    for together in schema.rules:
        changes = _of_record(schema, together)
        yield Breach(changes, [(together.id, together.field)], together.severity)


_VALUES: Final = {
    "date": "2022-02-30",
    "date-future": "2022-06-04",
    "date-stale": "2019-05-31",
    "credit-code": MISTYPED_CODE,
    "subject-code": MISTYPED_CODE,
    "document-number": "关于公司的决定",
    "amount": "三万",
    "amount-positive": "0",
    "commitment-code": "42011520220631000012",
    "web-address": "news.example",
    "whole-number": "甲乙丙",
    "code-list": "别的",
}
"""Of a rule over one value, a value that breaks it and no other."""

_FORMS: Final = ("credit-code", "subject-code", "commitment-code", "code-list")
_NEVER_PLACEHOLDER: Final = (*_FORMS, "document-number", "web-address")
_NEVER_INVISIBLE: Final = (*_FORMS, "whole-number")
"""Rules that a placeholder or an invisible character breaks beside its own."""

_PARTLY: Final = {
    "fulfillmentStatus": "部分履行",
    "unperformedCommitmentContent": "尚未整改",
    "liabilityBreachCommitmentContent": "已追究",
}


def _of_item(schema: Schema, code: str, rule: ItemRule) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What breaks a rule over one value, and which rules of the item it cannot but break too."""
    about = [each for each in schema.rules if each.field == code]
    asked = [each.id for each in schema.items[code].rules] + [each.id for each in about]
    # After these, no other rule is asked of the value, or of the record because of it.
    also = {each.others[0]: "" for each in about if each.id == "resident-id"}
    if code in _PARTLY:
        also = _PARTLY
    beside: tuple[str, ...] = ()
    match rule.id:
        case "length":
            value = "长" * ((schema.items[code].limit or 0) + 1)
        case "placeholder" if "whole-number" in asked:
            value = "0000"
        case "placeholder":
            value = "测试"
            beside = tuple(each for each in asked if each in _NEVER_PLACEHOLDER)
        case "control-character":
            value = samples.VALID[schema.category].get(code, "公司")[:-1] + "\u200b"
            beside = tuple(each for each in asked if each in _NEVER_INVISIBLE)
        case known if known in _VALUES:
            value = _VALUES[known]
        case _:
            raise LookupError(f"no value is known that breaks {rule.id} of {code}")
    return {**also, code: value}, beside


_TOGETHER: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("required-when", "XDR_SHXYM"): {"XDR_SHXYM": ""},
    ("required-when", "XDR_GSZC"): {"XDR_LB": SOLE_TRADER, "XDR_SHXYM": "0" * 17 + "X"},
    ("required-when", "FRDB"): {"FRDB": ""},
    ("required-when", "XDR_ZJLX"): {"XDR_LB": NATURAL_PERSON, "XDR_ZJHM": samples.RESIDENT_ID},
    ("required-when", "XDR_ZJHM"): {"XDR_LB": NATURAL_PERSON, "XDR_ZJLX": RESIDENT_ID},
    ("credit-code", "XDR_SHXYM"): {"XDR_SHXYM": MISTYPED_CODE},
    ("resident-id", "XDR_ZJHM"): {"XDR_ZJLX": RESIDENT_ID, "XDR_ZJHM": MISTYPED_ID},
    ("resident-id", "FR_ZJHM"): {"FR_ZJLX": RESIDENT_ID, "FR_ZJHM": MISTYPED_ID},
    ("required-when", "CF_NR_FK"): {"CF_NR_FK": ""},
    ("required-when", "CF_NR_WFFF"): {"CF_CFLB": "没收违法所得"},
    ("required-when", "CF_NR_ZKDX"): {"CF_CFLB": "警告、吊销许可证件"},
    ("required-when", "JC_CLYJ"): {"JC_JG": "不合格"},
    ("required-when", "AL_YJ"): {"AL_YJ": ""},
    **{
        (rule, field): {"fulfillmentStatus": status, other: content, field: own}
        for field, other in (
            ("unperformedCommitmentContent", "liabilityBreachCommitmentContent"),
            ("liabilityBreachCommitmentContent", "unperformedCommitmentContent"),
        )
        for rule, status, content, own in (
            ("required-when", "部分履行", "尚未整改", ""),
            ("empty-when", "全部履行", "", "尚未整改"),
        )
    },
}
"""Of a rule over several items, what breaks it; the fields of the subject without their prefix."""


def _of_record(schema: Schema, rule: RecordRule) -> dict[str, Any]:
    """What breaks a rule over several items."""
    if rule.id == "date-order":
        return {rule.others[0]: "2022-06-02", rule.field: "2022-06-01"}
    about = schema.model.about
    for prefix in ("", about.kind.removesuffix("XDR_LB") if about else ""):
        changes = _TOGETHER.get((rule.id, rule.field.removeprefix(prefix)))
        if changes is not None:
            return {prefix + code: value for code, value in changes.items()}
    raise LookupError(f"no record is known that breaks {rule.id} of {rule.field}")
