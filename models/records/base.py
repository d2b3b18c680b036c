"""What every category's schema is made of: items, the record model, and the schema that judges.

A category is a pydantic model (`Record`) whose fields are declared with an `Item` each: the
Chinese name, and the rules of its value. The model itself is strict where pydantic's core can
check fast (lengths, code lists); what passes it and the schema's `screen` breaks no rule. Only
what does not pass is walked rule by rule, so that a verdict can name every one that is broken.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from operator import itemgetter
from typing import Any, ClassVar, Final
from unicodedata import normalize

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from models.identity import keyed_digest, mask_id
from models.rules import (
    AMOUNT,
    CONTROL_CHARACTER,
    CREDIT_CODE,
    DOCUMENT_NUMBER,
    NOT_IN_FUTURE,
    NOT_STALE,
    PLACEHOLDER,
    PLACEHOLDERS,
    REAL_DAY,
    REQUIRED,
    TYPE,
    ItemRule,
    Reason,
    RecordRule,
    Severity,
    SubjectFields,
    Values,
    no_longer_than,
    one_of,
    parse_document,
    shown,
)
from models.words import Category

SEPARATOR: Final = "\ufffc"
"""Stands between values: printable, and forbidden in any of them (`CONTROL_CHARACTER`)."""

REPLACEMENT_CHARACTER: Final = "\ufffd"
"""What a broken encoding leaves: printable, and forbidden too."""

Check = Callable[[str, date], bool]
"""Whether a value is right in a record received on a day."""

WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What is trimmed from both ends of a value: Unicode White_Space, as pydantic's core trims it."""


@dataclass(frozen=True, slots=True)
class Item:
    """数据项: one field's Chinese name and the rules of its value.

    Used as the annotation of a `Record` field, whose attribute name is the field code. A field
    without a default is mandatory. `limit` (characters) and `options` are checked by pydantic's
    core too; every rule is in `rules`.
    """

    name: str
    rules: tuple[ItemRule, ...] = ()
    limit: int | None = None
    options: tuple[str, ...] = ()
    recurs: bool = False
    """Whether the same values come again and again, so that an answer is worth remembering."""
    personal: bool = False
    """Whether the value may be a personal number: even a mistyped one is then shown masked."""

    def __get_pydantic_core_schema__(
        self, _source: object, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Say what pydantic's core can check: null, length, code list."""
        if self.options:
            value: CoreSchema = core_schema.literal_schema([*self.options, ""])
        else:
            value = core_schema.str_schema(
                max_length=self.limit, strip_whitespace=True, coerce_numbers_to_str=True
            )
        return core_schema.nullable_schema(value)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the item to platforms' developers."""
        described: dict[str, Any] = {"title": self.name, "type": "string"}
        if self.limit is not None:
            described["maxLength"] = self.limit
        if self.options:
            described["enum"] = list(self.options)
        if REAL_DAY in self.rules:
            described["format"] = "date"
        return described


def text(name: str, limit: int, *rules: ItemRule) -> Item:
    """A text of at most `limit` characters that is no placeholder."""
    return Item(name, (no_longer_than(limit), PLACEHOLDER, CONTROL_CHARACTER, *rules), limit)


def id_number(name: str, limit: int, *rules: ItemRule) -> Item:
    """A number that may be a person's."""
    return replace(text(name, limit, *rules), personal=True)


def remark(name: str = "备注", limit: int = 512) -> Item:
    """A free remark, where 无 is a fair answer."""
    return Item(name, (no_longer_than(limit), CONTROL_CHARACTER), limit)


def choice(name: str, *options: str) -> Item:
    """One of a code list."""
    return Item(name, (one_of(options),), None, options)


def day(name: str, *rules: ItemRule) -> Item:
    """A calendar day; 2099-12-31 means long-term."""
    return Item(name, (REAL_DAY, *rules), recurs=True)


def decided_day(name: str) -> Item:
    """The day from which the window counts: not later than the day of receipt."""
    return day(name, NOT_IN_FUTURE, NOT_STALE)


def agency_code(name: str) -> Item:
    """统一社会信用代码 of an agency."""
    return Item(name, (CREDIT_CODE,), 18, recurs=True)


def document_number(name: str, limit: int) -> Item:
    """文书号."""
    return text(name, limit, DOCUMENT_NUMBER)


def amount(name: str, *rules: ItemRule) -> Item:
    """An amount in 万元, decimal(18,6)."""
    return Item(name, (AMOUNT, *rules), 20)


class Record(BaseModel):
    """One record of one category: its values by field code, texts, "" where nothing was given.

    Unknown fields are passed over. Class variables say what the fields mean to the monitor.
    """

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    category: ClassVar[Category]
    source: ClassVar[str]
    """Where the field list comes from; the project's own lists say why they are."""
    decided: ClassVar[str]
    """Field of the day from which the window counts."""
    subject: ClassVar[str]
    """Field of the name of whom the record is about."""
    subject_kind: ClassVar[str | None] = None
    """Field that tells a natural person from an organisation, if the category has one."""
    document: ClassVar[str | None] = None
    """Field of the document number, if the category has one."""
    natural_key: ClassVar[tuple[str, ...]] = ()
    """Fields that identify the record where there is no document number."""
    printed: ClassVar[tuple[str, ...]] = ()
    """Fields that a bulletin prints of the record; never personal ones."""
    about: ClassVar[SubjectFields | None] = None
    """Fields that describe the subject, where they are those of the 双公示 lists."""
    rules: ClassVar[tuple[RecordRule, ...]] = ()
    """Rules over several items, besides those of the subject."""
    example: ClassVar[Mapping[str, str]]
    """A record that breaks no rule, for templates; nobody in it is real."""


def squeezed(text: str) -> str:
    """The text in one spelling: NFKC (full width is half width) and without white space."""
    return "".join(normalize("NFKC", text).split())


def _remembered(checks: list[Check]) -> Check:
    return lru_cache(maxsize=1 << 14)(lambda value, on: all(check(value, on) for check in checks))


def _only(code: str) -> Callable[[Values], tuple[str, ...]]:
    return lambda values: (values[code],)


class Schema:
    """A category's record model with its rules laid out for judging."""

    def __init__(self, model: type[Record]) -> None:
        self.model = model
        self.category = model.category
        self.items: dict[str, Item] = {}
        required: list[str] = []
        for code, field in model.model_fields.items():
            (self.items[code],) = (meta for meta in field.metadata if isinstance(meta, Item))
            if field.is_required():
                required.append(code)
        self.required = frozenset(required)
        about = model.about
        self.rules = (*(about.rules() if about else ()), *model.rules)
        self._mandatory = itemgetter(*required)
        # What pydantic's core and the whole-record looks of `screen` have not settled.
        settled = {"length", "code-list", PLACEHOLDER.id, CONTROL_CHARACTER.id}
        self._checks: list[tuple[str, Check]] = []
        for code, item in self.items.items():
            checks = [rule.holds for rule in item.rules if rule.id not in settled]
            if item.recurs:
                checks = [_remembered(checks)]
            self._checks.extend((code, check) for check in checks)
        self._record_checks = (
            *((about.screen(),) if about else ()),
            *(rule.holds for rule in model.rules),
        )
        identified = (model.document, model.subject) if model.document else model.natural_key
        self._identified = itemgetter(*identified) if len(identified) > 1 else _only(*identified)

    def content(self, values: Mapping[str, str]) -> str:
        """All values as one text; `SEPARATOR` stands between them."""
        return SEPARATOR.join(values.values())

    def screen(self, values: dict[str, str], content: str, on: date) -> bool:
        """Whether values that the model accepted certainly break no rule.

        False means "look closer", not "broken": `reasons` decides then. `content` is that of the
        values; looked at as a whole it settles the rules on characters for all of them.
        """
        if (
            not content.isprintable()
            or content.count(SEPARATOR) != len(values) - 1
            or REPLACEMENT_CHARACTER in content
            or not PLACEHOLDERS.isdisjoint(values.values())
            or not all(self._mandatory(values))
        ):
            return False
        for code, holds in self._checks:
            value = values[code]
            if value and not holds(value, on):
                return False
        for holds_together in self._record_checks:  # noqa: SIM110 - all() takes twice as long
            if not holds_together(values, on):
                return False
        return True

    def reasons(self, values: Values, misfits: Mapping[str, str], on: date) -> Iterator[Reason]:
        """Every rule that the record breaks, in the order of its items.

        `misfits` are the fields whose JSON value was no text, with the value's type; nothing
        else is asked of them.
        """
        by_field: dict[str, list[RecordRule]] = {}
        for rule in self.rules:
            by_field.setdefault(rule.field, []).append(rule)
        for code, item in self.items.items():
            value = values[code]
            broken: list[ItemRule | RecordRule] = []
            if code in misfits:
                broken.append(TYPE)
            elif value == "":
                if code in self.required:
                    broken.append(REQUIRED)
            else:
                broken.extend(rule for rule in item.rules if not rule.holds(value, on))
            if code not in misfits:
                broken.extend(rule for rule in by_field.get(code, ()) if not rule.holds(values, on))
            for found in broken:
                value_shown = shown(mask_id(value) if item.personal else value)
                message = found.message.format(name=f"{item.name}（{code}）", value=value_shown)
                yield Reason(found.id, code, message, found.severity)

    def asked(self, code: str) -> tuple[str, ...]:
        """填写要求: what is asked of an item, in Chinese; whether it is mandatory comes first."""
        item = self.items[code]
        asked = ["必填" if code in self.required else "选填"]
        if item.limit is not None:
            asked.append(f"不超过 {item.limit} 个字符")
        asked += [
            rule.asked for rule in item.rules if rule.asked and rule.severity is Severity.ERROR
        ]
        asked += [rule.asked.format(name=item.name) for rule in self.rules if rule.field == code]
        return tuple(asked)

    def record_key(self, unit: str, values: dict[str, str], key: bytes) -> bytes:
        """16 bytes that name the record: equal for all its versions, whatever their spelling.

        Made of unit, category and the identifying items: the document number and the subject's
        name, or the category's natural key. No personal number goes into it: they are what
        corrections correct. A record that lacks one of the identifying items is identified by
        its content, so that it can never hide another.
        """
        identifying = self._identified(values)
        if not all(identifying):
            return keyed_digest(key, unit, self.category, self.content(values))
        first, *rest = identifying
        number = parse_document(first) if self.model.document else None
        first = squeezed(first) if number is None else number.normal
        return keyed_digest(key, unit, self.category, first, *map(squeezed, rest))
