"""Rules: what must hold of a record, each with its id, severity, Chinese message and source.

A rule over one item (`ItemRule`) is asked only of values that are not blank; a rule over the whole
record (`RecordRule`) sees every value. Values are texts, trimmed, "" for what was not given.
`on` is the day of receipt (Asia/Shanghai): rules have no clock of their own.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from models.docnumber import parse_document_number
from models.identity import SOLE_TRADER_CODE, is_credit_code, is_resident_id, mask_personal

Values = Mapping[str, str]
"""A record's values by field code."""

LONG_TERM: Final = date(2099, 12, 31)
"""长期有效: what the published field lists write for an end that is not set."""

PROJECT: Final = "本项目自定"
FIELD_LISTS: Final = "双公示数据项（公开的字段清单；必填性待主管部门确认）"
COMMITMENT_STANDARD: Final = "信用承诺与履约践诺信息归集数据标准（已公布）"

SHOWN_LENGTH: Final = 40
"""How much of an offending value a message shows."""


class Severity(StrEnum):
    """ERROR makes a record non-compliant; WARNING is told and changes nothing."""

    ERROR = "error"
    WARNING = "warning"


class Reason(NamedTuple):
    """One broken rule of one verdict: rule id, field code and a message in Chinese."""

    rule: str
    field: str
    message: str
    severity: Severity

    def as_json(self) -> dict[str, str]:
        """The public form."""
        return {
            "rule": self.rule,
            "field": self.field,
            "message": self.message,
            "severity": self.severity.value,
        }


@dataclass(frozen=True, slots=True)
class ItemRule:
    """A rule over one value. `message` may name {name} (the item) and {value} (masked).

    `asked` says in Chinese what the rule asks, for templates and field lists; "" where nothing
    needs to be said beforehand.
    """

    id: str
    message: str
    source: str
    holds: Callable[[str, date], bool]
    severity: Severity = Severity.ERROR
    asked: str = ""


@dataclass(frozen=True, slots=True)
class RecordRule:
    """A rule over several values of a record; `field` is the one to correct.

    `asked` says in Chinese what the rule asks and may name {name}, as for an `ItemRule`.
    """

    id: str
    field: str
    message: str
    source: str
    holds: Callable[[Values, date], bool]
    asked: str
    severity: Severity = Severity.ERROR


def shown(value: str) -> str:
    """The value as a message may show it: personal numbers masked, long text cut, one line."""
    masked = mask_personal(value)
    text = "".join(character if character.isprintable() else "�" for character in masked)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}…"


# --- values ---------------------------------------------------------------------------------

_DAY = re.compile(
    r"(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2})|\.(\d{1,2})\.(\d{1,2})"
    r"|年(\d{1,2})月(\d{1,2})日|(\d{2})(\d{2}))(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?",
    re.ASCII,
)
EARLIEST_YEAR: Final = 1900


@lru_cache(maxsize=1 << 16)
def parse_day(text: str) -> date | None:
    """The calendar day a text names, or None when it names none that is real (1900 to 2099).

    2022-06-03, 2022/6/3, 2022.6.3, 20220603 and 2022年6月3日 are read; a time of day after it
    is passed over.
    """
    match = _DAY.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(group) for group in match.groups() if group is not None)
    if not EARLIEST_YEAR <= year <= LONG_TERM.year:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


parse_document: Final = lru_cache(maxsize=1 << 12)(parse_document_number)
"""`parse_document_number`, remembered: a record's number is asked for by its rule and its key."""


def parse_amount(text: str) -> Decimal | None:
    """An amount of decimal(18,6), not negative, or None. Thousands separators are not read."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    if not amount.is_finite() or amount < 0 or amount >= 10**12:
        return None
    exponent = amount.as_tuple().exponent
    return amount if isinstance(exponent, int) and exponent >= -6 else None


_PLACEHOLDER_WORDS = """
    无 空 暂无 没有 未知 不详 不明 待定 待补 待补充 测试 测试数据 示例 样例 略 同上 、 / //
    #ref! #value! #name? #div/0! #null! #num! #n/a
    null none nil nan n/a na undefined test demo x xx xxx 0000 1111 12345 123456 abc 111
"""
_PLACEHOLDER_SIGNS: Final = "*＊-—_.。?？#/\\"
_LONGEST_RUN: Final = 64

PLACEHOLDERS: Final = frozenset(
    (
        *(
            text
            for word in _PLACEHOLDER_WORDS.split()
            for text in (word, word.upper(), word.capitalize())
        ),
        *(sign * count for sign in _PLACEHOLDER_SIGNS for count in range(1, _LONGEST_RUN + 1)),
    )
)
"""占位内容: texts that stand in an item in place of its value: words that say so, and runs of one
sign (project's own list)."""

_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064"
    "\ufeff\ufff9-\ufffd\ue000-\uf8ff\ud800-\udfff]"
)
"""Control and invisible characters, private-use ones, and the mark of a broken encoding.

Tab and line breaks are allowed: long texts have them.
"""


# --- rules over one value ---------------------------------------------------------------------

PLACEHOLDER: Final = ItemRule(
    "placeholder",
    "{name}填的是占位内容“{value}”，请填写真实内容；确实没有的选填项请留空",
    PROJECT,
    lambda value, _on: value not in PLACEHOLDERS,
    asked="没有内容的留空，不要填“无”“测试”之类",
)

CONTROL_CHARACTER: Final = ItemRule(
    "control-character",
    "{name}含有不可见字符、控制字符或乱码，请删除后重新填写",
    PROJECT,
    lambda value, _on: _FORBIDDEN.search(value) is None,
)


def no_longer_than(limit: int) -> ItemRule:
    """At most `limit` characters."""
    return ItemRule(
        "length",
        f"{{name}}超过{limit}个字符，请缩短",
        FIELD_LISTS,
        lambda value, _on: len(value) <= limit,
    )


def one_of(options: tuple[str, ...]) -> ItemRule:
    """Exactly one of a code list."""
    allowed = frozenset(options)
    return ItemRule(
        "code-list",
        f"{{name}}“{{value}}”不在代码表中，应为：{'、'.join(options)}",
        FIELD_LISTS,
        lambda value, _on: value in allowed,
        asked=f"应为：{'、'.join(options)}",
    )


_SEPARATORS = re.compile(r"\s*[;；,，、|]\s*")


def several_of(options: tuple[str, ...]) -> ItemRule:
    """One or more of a code list, separated by ； or 、 or a comma or a bar."""
    allowed = frozenset(options)
    return ItemRule(
        "code-list",
        f"{{name}}“{{value}}”不在代码表中，应为下列一项或多项（用；分隔）：{'、'.join(options)}",
        FIELD_LISTS,
        lambda value, _on: allowed.issuperset(_SEPARATORS.split(value)),
        asked=f"应为下列一项或多项（用；分隔）：{'、'.join(options)}",
    )


REAL_DAY: Final = ItemRule(
    "date",
    "{name}“{value}”不是真实存在的日期，请按 2022-06-03 的样式填写",
    FIELD_LISTS,
    lambda value, _on: parse_day(value) is not None,
    asked="日期，如 2022-06-03，长期有效填 2099-12-31",
)

NOT_IN_FUTURE: Final = ItemRule(
    "date-future",
    "{name}“{value}”晚于报送日，请核对",
    FIELD_LISTS,
    lambda value, on: (day := parse_day(value)) is None or day <= on,
    asked="不能晚于报送日",
)

NOT_STALE: Final = ItemRule(
    "date-stale",
    "{name}“{value}”距报送日超过两年，请核对年份是否填错",
    PROJECT,
    lambda value, on: (day := parse_day(value)) is None or (on - day).days <= 731,
    Severity.WARNING,
)

CREDIT_CODE: Final = ItemRule(
    "credit-code",
    "{name}“{value}”不是有效的统一社会信用代码（18位，校验码须符合GB 32100），请核对",
    "GB 32100-2015",
    lambda value, _on: is_credit_code(value),
    asked="18 位统一社会信用代码，校验码须正确",
)

DOCUMENT_NUMBER: Final = ItemRule(
    "document-number",
    "{name}“{value}”不像文书号，请按 武环许〔2022〕12号 的样式填写完整",
    PROJECT,
    lambda value, _on: parse_document(value) is not None,
    asked="完整的文书号，如 武环许〔2022〕12号",
)

AMOUNT: Final = ItemRule(
    "amount",
    "{name}“{value}”不是有效金额，请填不小于0的数字（万元，最多6位小数）",
    FIELD_LISTS,
    lambda value, _on: parse_amount(value) is not None,
    asked="不小于 0 的数字，单位万元，最多 6 位小数",
)

POSITIVE_AMOUNT: Final = ItemRule(
    "amount-positive",
    "{name}应大于0，请核对",
    FIELD_LISTS,
    lambda value, _on: (amount := parse_amount(value)) is None or amount > 0,
    asked="大于 0",
)

COMMITMENT_CODE: Final = ItemRule(
    "commitment-code",
    "{name}“{value}”应为20位数字：行政区划6位、年月日8位、流水号6位",
    COMMITMENT_STANDARD,
    lambda value, _on: (
        len(value) == 20
        and value.isascii()
        and value.isdigit()
        and parse_day(value[6:14]) is not None
    ),
    asked="20 位数字：行政区划 6 位、年月日 8 位、流水号 6 位",
)

SUBJECT_CODE: Final = ItemRule(
    "subject-code",
    "{name}“{value}”既不是有效的统一社会信用代码，也不是有效的身份证号码，请核对",
    "GB 32100-2015；GB 11643-1999",
    lambda value, on: is_credit_code(value) or is_resident_id(value, on),
    asked="统一社会信用代码，自然人填身份证号码",
)

WEB_ADDRESS: Final = ItemRule(
    "web-address",
    "{name}不是完整网址，应以 http:// 或 https:// 开头",
    PROJECT,
    lambda value, _on: re.match(r"https?://[^\s/]+\.[^\s/]+", value) is not None,
    asked="完整网址，以 http:// 或 https:// 开头",
)

WHOLE_NUMBER: Final = ItemRule(
    "whole-number",
    "{name}“{value}”应为整数编号",
    COMMITMENT_STANDARD,
    lambda value, _on: value.isascii() and value.isdigit(),
    asked="整数编号",
)

TYPE: Final = ItemRule(
    "type",
    "{name}应为一个文本、数字或日期，不能是列表、对象或真假值",
    PROJECT,
    lambda _value, _on: False,
)
"""Broken by a JSON value that is no text; found on reading, not by asking."""

REQUIRED: Final = ItemRule(
    "required", "{name}必填，但没有填写", FIELD_LISTS, lambda value, _on: value != ""
)


# --- rules over a record ------------------------------------------------------------------------

ORGANISATION: Final = "法人及非法人组织"
NATURAL_PERSON: Final = "自然人"
SOLE_TRADER: Final = "个体工商户"
SUBJECT_KINDS: Final = (ORGANISATION, NATURAL_PERSON, SOLE_TRADER)

RESIDENT_ID: Final = "身份证"
ID_KINDS: Final = (RESIDENT_ID, "护照", "港澳通行证", "台胞证", "外国人永久居留身份证")


def required_when(
    field: str, when: Callable[[Values], bool], because: str, source: str = FIELD_LISTS
) -> RecordRule:
    """`field` must be given in records of which `when` is true; `because` says so in Chinese."""
    return RecordRule(
        "required-when",
        field,
        f"{because}，{{name}}必填，但没有填写",
        source,
        lambda values, _on: values[field] != "" or not when(values),
        asked=f"{because}，{{name}}必填",
    )


def empty_when(
    field: str, when: Callable[[Values], bool], because: str, source: str = FIELD_LISTS
) -> RecordRule:
    """`field` must be blank in records of which `when` is true."""
    return RecordRule(
        "empty-when",
        field,
        f"{because}，{{name}}不应填写",
        source,
        lambda values, _on: values[field] == "" or not when(values),
        asked=f"{because}，{{name}}不应填写",
    )


def not_before(field: str, earlier: str, earlier_name: str) -> RecordRule:
    """The day in `field` is not before the day in `earlier`; days that are not real are passed."""

    def holds(values: Values, _on: date) -> bool:
        begin, end = parse_day(values[earlier]), parse_day(values[field])
        return begin is None or end is None or begin <= end

    return RecordRule(
        "date-order",
        field,
        f"{{name}}早于{earlier_name}，请核对",
        FIELD_LISTS,
        holds,
        asked=f"不能早于{earlier_name}",
    )


class SubjectFields(NamedTuple):
    """The field codes that describe the subject (行政相对人) in one category."""

    kind: str
    credit_code: str
    registration: str
    representative: str
    representative_id_kind: str
    representative_id: str
    id_kind: str
    id_number: str

    @classmethod
    def of(cls, prefix: str) -> "SubjectFields":
        """The codes as the published lists build them: XK_ for licences, CF_ for penalties."""
        return cls(
            f"{prefix}XDR_LB",
            f"{prefix}XDR_SHXYM",
            f"{prefix}XDR_GSZC",
            f"{prefix}FRDB",
            f"{prefix}FR_ZJLX",
            f"{prefix}FR_ZJHM",
            f"{prefix}XDR_ZJLX",
            f"{prefix}XDR_ZJHM",
        )

    def screen(self) -> Callable[[Values, date], bool]:
        """A check that is true only if all of `rules` hold, quick for organisations."""
        checks = tuple(rule.holds for rule in self.rules())
        kind, code, _registration, representative, id_kind, id_number, _, own_number = self

        def holds(values: Values, on: date) -> bool:
            if values[kind] != ORGANISATION or values[own_number]:
                return all(check(values, on) for check in checks)
            return (
                is_credit_code(values[code])
                and values[representative] != ""
                and (
                    values[id_kind] != RESIDENT_ID
                    or not values[id_number]
                    or is_resident_id(values[id_number], on)
                )
            )

        return holds

    def rules(self) -> tuple[RecordRule, ...]:
        """What a record must tell of its subject, by the subject's kind."""
        kind, code = self.kind, self.credit_code

        def code_holds(values: Values, _on: date) -> bool:
            value = values[code]
            return (
                value == ""
                or is_credit_code(value)
                or (value == SOLE_TRADER_CODE and values[kind] == SOLE_TRADER)
            )

        return (
            required_when(
                code,
                lambda values: values[kind] in (ORGANISATION, SOLE_TRADER),
                "行政相对人不是自然人",
            ),
            RecordRule(
                "credit-code",
                code,
                "{name}“{value}”不是有效的统一社会信用代码（18位，校验码须符合GB 32100）；"
                "个体工商户没有代码的填17个0加X",
                "GB 32100-2015",
                code_holds,
                asked="18 位统一社会信用代码，校验码须正确；个体工商户没有代码的填 17 个 0 加 X",
            ),
            required_when(
                self.registration,
                lambda values: values[code] == SOLE_TRADER_CODE,
                "个体工商户以17个0加X代替统一社会信用代码时",
            ),
            required_when(
                self.representative,
                lambda values: values[kind] == ORGANISATION,
                "行政相对人是法人及非法人组织",
            ),
            required_when(
                self.id_kind,
                lambda values: values[kind] == NATURAL_PERSON,
                "行政相对人是自然人",
            ),
            required_when(
                self.id_number,
                lambda values: values[kind] == NATURAL_PERSON,
                "行政相对人是自然人",
            ),
            _resident_id(self.id_number, self.id_kind),
            _resident_id(self.representative_id, self.representative_id_kind),
        )


def _resident_id(field: str, kind: str) -> RecordRule:
    return RecordRule(
        "resident-id",
        field,
        "{name}“{value}”不是有效的身份证号码（18位，日期、地区和校验码须符合GB 11643），请核对",
        "GB 11643-1999",
        lambda values, on: (
            values[kind] != RESIDENT_ID or values[field] == "" or is_resident_id(values[field], on)
        ),
        asked="证件类型为身份证的，须为有效的 18 位号码",
    )
