"""Rules: what must hold of a record, each with its id, severity, Chinese message and source.

A rule over one item (`ItemRule`) is asked of the values of a column, each distinct one once, and
never of blank ones. A rule over several items (`RecordRule`) is asked of one item's values together
with those of the other items that it names. Values are texts, trimmed, "" for what was not given.
`on` is the day of receipt (Asia/Shanghai): rules have no clock of their own.
"""

import re
from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from models.docnumber import LONGEST, DocumentNumber, parse_document_number
from models.identity import SOLE_TRADER_CODE, is_credit_code, is_resident_id, mask_personal

LONG_TERM: Final = date(2099, 12, 31)
"""长期有效: what the published field lists write for an end that is not set."""

PROJECT: Final = "本项目自定"
FIELD_LISTS: Final = "双公示数据项（公开的字段清单；必填性待主管部门确认）"
COMMITMENT_STANDARD: Final = "信用承诺与履约践诺信息归集数据标准（已公布）"

SHOWN_LENGTH: Final = 40
"""How much of an offending value a message shows."""


class Severity(StrEnum):
    """ERROR makes a record non-compliant; WARNING is reported and changes nothing."""

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


Breaking = Callable[[Set[str], date], Set[str]]
"""Of some values, those that break a rule in records received on a day."""


@dataclass(frozen=True, slots=True)
class ItemRule:
    """A rule over one value. `message` may name {name} (the item) and {value} (masked).

    `asked` says in Chinese what the rule asks, for templates and field lists; "" where nothing
    needs to be said beforehand.
    """

    id: str
    message: str
    source: str
    broken_by: Breaking
    severity: Severity = Severity.ERROR
    asked: str = ""

    def holds(self, value: str, on: date) -> bool:
        """Whether one value keeps the rule in a record received on that day."""
        return not self.broken_by({value}, on)


class Own(StrEnum):
    """How a rule's own field stands in the records of which the rule is asked."""

    BLANK = "blank"
    FILLED = "filled"


@dataclass(frozen=True, slots=True)
class RecordRule:
    """A rule over several items of a record; `field` is the one to correct.

    It is asked only of records in which `field` is blank, or only of those in which it is filled
    in, as `own` says: then `breaks` gets its value (only where FILLED), those of `others` in their
    order, and the day of receipt. `asked` says in Chinese what the rule asks and may name {name},
    as for an `ItemRule`.
    """

    id: str
    field: str
    message: str
    source: str
    own: Own
    others: tuple[str, ...]
    breaks: Callable[..., bool]
    asked: str
    severity: Severity = Severity.ERROR


def each(holds: Callable[[str], bool]) -> Breaking:
    """A rule that looks at nothing but the value."""
    return lambda values, _on: {value for value in values if not holds(value)}


def each_on(holds: Callable[[str, date], bool]) -> Breaking:
    """A rule that looks at the value and the day of receipt."""
    return lambda values, on: {value for value in values if not holds(value, on)}


def shown(value: str) -> str:
    """The value as a message may show it: personal numbers masked, long text cut, one line."""
    # Cut before it is masked, generously: a number that the cut goes through is still recognised.
    masked = mask_personal(value[: 2 * SHOWN_LENGTH])
    text = masked
    if not text.isprintable():
        text = "".join(character if character.isprintable() else "�" for character in masked)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}…"


# --- values ---------------------------------------------------------------------------------

_DAY = re.compile(
    r"(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2})|\.(\d{1,2})\.(\d{1,2})"
    r"|年(\d{1,2})月(\d{1,2})日|(\d{2})(\d{2}))(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?",
    re.ASCII,
)
EARLIEST_YEAR: Final = 1900


def parse_day(text: str) -> date | None:
    """The calendar day a text names, or None when it names none that is real (1900 to 2099).

    2022-06-03, 2022/6/3, 2022.6.3, 20220603 and 2022年6月3日 are read; a time of day after it
    is ignored.
    """
    return _parse_day(text) if len(text) <= _LONGEST_DAY else None


_LONGEST_DAY: Final = 40
"""Characters of a day with its time; only what is short is worth remembering."""


@lru_cache(maxsize=1 << 16)
def _parse_day(text: str) -> date | None:
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


def parse_document(text: str) -> DocumentNumber | None:
    """`parse_document_number`, cached: a record's number is needed by its rule and by its key."""
    return _parse_document(text) if len(text) <= LONGEST else None


_parse_document: Final = lru_cache(maxsize=1 << 12)(parse_document_number)


_LONGEST_AMOUNT: Final = 64
"""Characters; more are no amount, however many zeros they have."""


def parse_amount(text: str) -> Decimal | None:
    """An amount of decimal(18,6), not negative, or None. Thousands separators are not read."""
    try:
        amount = Decimal(text if len(text) <= _LONGEST_AMOUNT else "")
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


def _with_forbidden_characters(values: Set[str]) -> Set[str]:
    """Those of the values that have a forbidden character in them; nearly always none has."""
    whole = "".join(values)
    for allowed in _UNPRINTABLE_BUT_ALLOWED:
        whole = whole.replace(allowed, "")
    if whole.isprintable() and not any(mark in whole for mark in _PRINTABLE_BUT_FORBIDDEN):
        return frozenset()
    return {value for value in values if _FORBIDDEN.search(value)}


_UNPRINTABLE_BUT_ALLOWED: Final = "\t\n\r\u3000\xa0"
_PRINTABLE_BUT_FORBIDDEN: Final = "\ufffc\ufffd"

_WEB_ADDRESS: Final = re.compile(r"https?://[^\s/]+\.[^\s/]+")


# --- rules over one value ---------------------------------------------------------------------

PLACEHOLDER: Final = ItemRule(
    "placeholder",
    "{name}填的是占位内容“{value}”，请填写真实内容；确实没有的选填项请留空",
    PROJECT,
    lambda values, _on: values & PLACEHOLDERS,
    asked="没有内容的留空，不要填“无”“测试”之类",
)

CONTROL_CHARACTER: Final = ItemRule(
    "control-character",
    "{name}含有不可见字符、控制字符或乱码，请删除后重新填写",
    PROJECT,
    lambda values, _on: _with_forbidden_characters(values),
)


LENGTH: Final = "length"
"""The rule's id: of a value that breaks it nothing else is asked."""


def no_longer_than(limit: int) -> ItemRule:
    """At most `limit` characters."""
    return ItemRule(
        LENGTH,
        f"{{name}}超过{limit}个字符，请缩短",
        FIELD_LISTS,
        lambda values, _on: {value for value in values if len(value) > limit},
    )


def one_of(options: tuple[str, ...]) -> ItemRule:
    """Exactly one of a code list."""
    allowed = frozenset(options)
    return ItemRule(
        "code-list",
        f"{{name}}“{{value}}”不在代码表中，应为：{'、'.join(options)}",
        FIELD_LISTS,
        lambda values, _on: values - allowed,
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
        each(lambda value: allowed.issuperset(_SEPARATORS.split(value))),
        asked=f"应为下列一项或多项（用；分隔）：{'、'.join(options)}",
    )


REAL_DAY: Final = ItemRule(
    "date",
    "{name}“{value}”不是真实存在的日期，请按 2022-06-03 的样式填写",
    FIELD_LISTS,
    each(lambda value: parse_day(value) is not None),
    asked="日期，如 2022-06-03，长期有效填 2099-12-31",
)

NOT_IN_FUTURE: Final = ItemRule(
    "date-future",
    "{name}“{value}”晚于报送日，请核对",
    FIELD_LISTS,
    each_on(lambda value, on: (day := parse_day(value)) is None or day <= on),
    asked="不能晚于报送日",
)

NOT_STALE: Final = ItemRule(
    "date-stale",
    "{name}“{value}”距报送日超过两年，请核对年份是否填错",
    PROJECT,
    each_on(lambda value, on: (day := parse_day(value)) is None or (on - day).days <= 731),
    Severity.WARNING,
)

CREDIT_CODE: Final = ItemRule(
    "credit-code",
    "{name}“{value}”不是有效的统一社会信用代码（18位，校验码须符合GB 32100），请核对",
    "GB 32100-2015",
    each(is_credit_code),
    asked="18 位统一社会信用代码，校验码须正确",
)

DOCUMENT_NUMBER: Final = ItemRule(
    "document-number",
    "{name}“{value}”不像文书号，请按 武环许〔2022〕12号 的样式填写完整",
    PROJECT,
    each(lambda value: parse_document(value) is not None),
    asked="完整的文书号，如 武环许〔2022〕12号",
)

AMOUNT: Final = ItemRule(
    "amount",
    "{name}“{value}”不是有效金额，请填不小于0的数字（万元，最多6位小数）",
    FIELD_LISTS,
    each(lambda value: parse_amount(value) is not None),
    asked="不小于 0 的数字，单位万元，最多 6 位小数",
)

POSITIVE_AMOUNT: Final = ItemRule(
    "amount-positive",
    "{name}应大于0，请核对",
    FIELD_LISTS,
    each(lambda value: (amount := parse_amount(value)) is None or amount > 0),
    asked="大于 0",
)

COMMITMENT_CODE: Final = ItemRule(
    "commitment-code",
    "{name}“{value}”应为20位数字：行政区划6位、年月日8位、流水号6位",
    COMMITMENT_STANDARD,
    each(
        lambda value: (
            len(value) == 20
            and value.isascii()
            and value.isdigit()
            and parse_day(value[6:14]) is not None
        )
    ),
    asked="20 位数字：行政区划 6 位、年月日 8 位、流水号 6 位",
)

SUBJECT_CODE: Final = ItemRule(
    "subject-code",
    "{name}“{value}”既不是有效的统一社会信用代码，也不是有效的身份证号码，请核对",
    "GB 32100-2015；GB 11643-1999",
    each_on(lambda value, on: is_credit_code(value) or is_resident_id(value, on)),
    asked="统一社会信用代码，自然人填身份证号码",
)

WEB_ADDRESS: Final = ItemRule(
    "web-address",
    "{name}不是完整网址，应以 http:// 或 https:// 开头",
    PROJECT,
    each(lambda value: _WEB_ADDRESS.match(value) is not None),
    asked="完整网址，以 http:// 或 https:// 开头",
)

WHOLE_NUMBER: Final = ItemRule(
    "whole-number",
    "{name}“{value}”应为整数编号",
    COMMITMENT_STANDARD,
    each(lambda value: value.isascii() and value.isdigit()),
    asked="整数编号",
)

TYPE: Final = ItemRule(
    "type",
    "{name}应为一个文本、数字或日期，不能是列表、对象或真假值",
    PROJECT,
    each(lambda _value: True),
)
"""Broken by a JSON value that is no text; found as the values are laid out, not by asking."""

REQUIRED: Final = ItemRule(
    "required", "{name}必填，但没有填写", FIELD_LISTS, each(lambda value: value != "")
)
"""Asked of blank values, of items that are mandatory."""


# --- rules over a record ------------------------------------------------------------------------

ORGANISATION: Final = "法人及非法人组织"
NATURAL_PERSON: Final = "自然人"
SOLE_TRADER: Final = "个体工商户"
SUBJECT_KINDS: Final = (ORGANISATION, NATURAL_PERSON, SOLE_TRADER)

RESIDENT_ID: Final = "身份证"
ID_KINDS: Final = (RESIDENT_ID, "护照", "港澳通行证", "台胞证", "外国人永久居留身份证")


def required_when(
    field: str,
    others: str | tuple[str, ...],
    when: Callable[..., bool],
    because: str,
    source: str = FIELD_LISTS,
) -> RecordRule:
    """`field` must be filled in where `when`, asked of `others`, is true; `because` says so."""
    return RecordRule(
        "required-when",
        field,
        f"{because}，{{name}}必填，但没有填写",
        source,
        Own.BLANK,
        (others,) if isinstance(others, str) else others,
        lambda *values: when(*values[:-1]),
        asked=f"{because}，{{name}}必填",
    )


def empty_when(
    field: str, other: str, when: Callable[[str], bool], because: str, source: str = FIELD_LISTS
) -> RecordRule:
    """`field` must be blank where `when`, asked of `other`, is true."""
    return RecordRule(
        "empty-when",
        field,
        f"{because}，{{name}}不应填写",
        source,
        Own.FILLED,
        (other,),
        lambda _value, value, _on: when(value),
        asked=f"{because}，{{name}}不应填写",
    )


def not_before(field: str, earlier: str, earlier_name: str) -> RecordRule:
    """The day in `field` is not before the day in `earlier`; days that are not real are skipped."""

    def breaks(ends: str, begins: str, _on: date) -> bool:
        begin, end = parse_day(begins), parse_day(ends)
        return begin is not None and end is not None and end < begin

    return RecordRule(
        "date-order",
        field,
        f"{{name}}早于{earlier_name}，请核对",
        FIELD_LISTS,
        Own.FILLED,
        (earlier,),
        breaks,
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

    def rules(self) -> tuple[RecordRule, ...]:
        """What a record must say of its subject, by the subject's kind."""
        kind, code = self.kind, self.credit_code
        return (
            required_when(
                code, kind, lambda kind: kind in (ORGANISATION, SOLE_TRADER), "行政相对人不是自然人"
            ),
            RecordRule(
                "credit-code",
                code,
                "{name}“{value}”不是有效的统一社会信用代码（18位，校验码须符合GB 32100）；"
                "个体工商户没有代码的填17个0加X",
                "GB 32100-2015",
                Own.FILLED,
                (kind,),
                lambda code, kind, _on: (
                    not (is_credit_code(code) or (code == SOLE_TRADER_CODE and kind == SOLE_TRADER))
                ),
                asked="18 位统一社会信用代码，校验码须正确；个体工商户没有代码的填 17 个 0 加 X",
            ),
            required_when(
                self.registration,
                code,
                lambda code: code == SOLE_TRADER_CODE,
                "个体工商户以17个0加X代替统一社会信用代码时",
            ),
            required_when(
                self.representative,
                kind,
                lambda kind: kind == ORGANISATION,
                "行政相对人是法人及非法人组织",
            ),
            *(
                required_when(
                    field, kind, lambda kind: kind == NATURAL_PERSON, "行政相对人是自然人"
                )
                for field in (self.id_kind, self.id_number)
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
        Own.FILLED,
        (kind,),
        lambda number, kind, on: kind == RESIDENT_ID and not is_resident_id(number, on),
        asked="证件类型为身份证的，须为有效的 18 位号码",
    )
