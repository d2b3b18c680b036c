"""What every category's schema is made of: items, the record model, and the schema that judges.

A category is a pydantic model (`Record`) whose fields are declared with an `Item` each: the
Chinese name, and the rules of its value. A `Schema` lays records out by columns and asks every rule
of the distinct values of a column: of one record as of ten thousand, there is no other way. So a
verdict names every rule that is broken, and no record is slow.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, ClassVar, Final, NamedTuple
from unicodedata import normalize

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from models.identity import keyed_digest, mask_id
from models.rules import (
    AMOUNT,
    CONTROL_CHARACTER,
    CREDIT_CODE,
    DOCUMENT_NUMBER,
    LENGTH,
    NOT_IN_FUTURE,
    NOT_STALE,
    PLACEHOLDER,
    REAL_DAY,
    REQUIRED,
    TYPE,
    ItemRule,
    Own,
    Reason,
    RecordRule,
    Severity,
    SubjectFields,
    no_longer_than,
    one_of,
    parse_document,
    shown,
)
from models.words import Category

SEPARATOR: Final = "\ufffc"
"""Separates values: forbidden in any of them (`CONTROL_CHARACTER`)."""

WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What is trimmed from both ends of a value: Unicode White_Space."""


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
    """A free remark, where 无 is a valid answer."""
    return Item(name, (no_longer_than(limit), CONTROL_CHARACTER), limit)


def choice(name: str, *options: str) -> Item:
    """One of a code list."""
    return Item(name, (one_of(options),), None, options)


def day(name: str, *rules: ItemRule) -> Item:
    """A calendar day; 2099-12-31 means long-term."""
    return Item(name, (REAL_DAY, *rules))


def decided_day(name: str) -> Item:
    """The day from which the window counts: not later than the day of receipt."""
    return day(name, NOT_IN_FUTURE, NOT_STALE)


def agency_code(name: str) -> Item:
    """统一社会信用代码 of an agency."""
    return Item(name, (CREDIT_CODE,), 18)


def document_number(name: str, limit: int) -> Item:
    """文书号."""
    return text(name, limit, DOCUMENT_NUMBER)


def amount(name: str, *rules: ItemRule) -> Item:
    """An amount in 万元, decimal(18,6)."""
    return Item(name, (AMOUNT, *rules), 20)


class Record(BaseModel):
    """One record of one category: its values by field code, texts, "" where nothing was given.

    Unknown fields are ignored. Class variables say what the fields mean to the monitor.
    """

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    category: ClassVar[Category]
    source: ClassVar[str]
    """Where the field list comes from; the project's own lists say why they are."""
    decided: ClassVar[str]
    """Field of the day from which the window counts."""
    subject: ClassVar[str]
    """Field of the subject's name: whom the record is about."""
    subject_kind: ClassVar[str | None] = None
    """Field that says whether the subject is a natural person, if the category has one."""
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
    """The text in one spelling: NFKC (full width is half width) and without white space.

    A text longer than any item may be is left as it is.
    """
    return "".join(normalize("NFKC", text).split()) if len(text) <= _LONGEST_NAME else text


_LONGEST_NAME: Final = 2000


class Column(NamedTuple):
    """One item of several records, a text for each of them, trimmed; "" where nothing was given.

    `filled` holds the distinct texts that are not blank; `blank` says whether there are blank ones.
    `misfits` are the rows whose JSON value was no text, which is then blank.
    """

    values: Sequence[str]
    filled: Set[str]
    blank: bool
    misfits: Set[int] = frozenset()

    @classmethod
    def of(cls, given: list[Any]) -> "Column":
        """The column of some JSON values."""
        try:
            distinct = set(given)
        except TypeError:  # an object or a list
            return cls._of_any(given)
        if not _TEXT.issuperset(map(type, distinct)):
            return cls._of_any(given)
        trimmed = {value: value.strip(WHITE_SPACE) for value in distinct}
        filled = set(trimmed.values())
        values = given if filled == distinct else [trimmed[value] for value in given]
        blank = "" in filled
        filled.discard("")
        return cls(values, filled, blank)

    @classmethod
    def _of_any(cls, given: list[Any]) -> "Column":
        texts = [as_text(value) for value in given]
        values = [text or "" for text in texts]
        filled = {*values}
        blank = "" in filled
        filled.discard("")
        misfits = {row for row, text in enumerate(texts) if text is None}
        return cls(values, filled, blank, misfits)


_TEXT: Final = frozenset({str})

Columns = Mapping[str, Column]
"""Records of one category, laid out by field code."""


def as_text(value: object) -> str | None:
    """A JSON value as a record's text: "" for null, None for what is no text and no number."""
    if isinstance(value, str):
        return value.strip(WHITE_SPACE)
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None


class _Wording:
    """What a rule says of an item that breaks it, complete except for the value."""

    def __init__(self, rule: ItemRule | RecordRule, code: str, item: Item) -> None:
        name = f"{item.name}（{code}）"
        self.rule = rule
        self._personal = item.personal
        before, self._has_value, after = rule.message.partition("{value}")
        self._before, self._after = before.format(name=name), after.format(name=name)
        self._always = Reason(rule.id, code, self._before, rule.severity)

    def reason(self, value: str = "") -> Reason:
        """What is said of a value that breaks the rule."""
        if not self._has_value:
            return self._always
        told = shown(mask_id(value[:_MASKED]) if self._personal else value)
        rule, field, _message, severity = self._always
        return Reason(rule, field, f"{self._before}{told}{self._after}", severity)


_MASKED: Final = 64
"""Characters of a personal number that are masked to be shown; no number is longer."""


class _ItemRules:
    """What is asked of one item, in this order."""

    def __init__(
        self, code: str, item: Item, together: Sequence[RecordRule], *, required: bool
    ) -> None:
        self.code = code
        self.type = _Wording(TYPE, code, item)
        self.required = _Wording(REQUIRED, code, item) if required else None
        self.alone = [(_Wording(rule, code, item), rule.broken_by) for rule in item.rules]
        self.together = [(_Wording(rule, code, item), rule) for rule in together]


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
        self.rules = (*(model.about.rules() if model.about else ()), *model.rules)
        self.identifying = (model.document, model.subject) if model.document else model.natural_key
        self._item_rules = [
            _ItemRules(
                code,
                item,
                [rule for rule in self.rules if rule.field == code],
                required=code in self.required,
            )
            for code, item in self.items.items()
        ]

    def lay_out(self, records: Sequence[Mapping[str, Any]]) -> Columns:
        """Lay records out by columns; field codes that the category does not have are left out."""
        getters = [record.get for record in records]
        return {code: Column.of([get(code, "") for get in getters]) for code in self.items}

    def contents(self, columns: Columns) -> Iterator[str]:
        """All values of each record as one text; `SEPARATOR` stands between them."""
        return map(SEPARATOR.join, zip(*(each.values for each in columns.values()), strict=True))

    def reasons(self, columns: Columns, on: date) -> dict[int, list[Reason]]:
        """Every rule that the records break, by row, in the order of the items.

        Rows that break none are left out. `on` is the day of receipt of all of them. Of a value
        that is longer than its item may be, or no text at all, nothing else is asked.
        """
        broken: dict[int, list[Reason]] = {}
        for asked in self._item_rules:
            column = columns[asked.code]
            for row in column.misfits:
                broken.setdefault(row, []).append(asked.type.reason())
            if column.blank and asked.required is not None:
                reason = asked.required.reason()
                for row in _blank_rows(column):
                    broken.setdefault(row, []).append(reason)
            filled = column.filled
            if filled:
                for rule, broken_by in asked.alone:
                    if breaking := broken_by(filled, on):
                        reasons = {value: rule.reason(value) for value in breaking}
                        for row, value in enumerate(column.values):
                            if value in reasons:
                                broken.setdefault(row, []).append(reasons[value])
                        if rule.rule.id == LENGTH:
                            filled = filled - breaking
            for rule, together in asked.together:
                for row, reason in _broken_together(rule, together, columns, filled, on):
                    broken.setdefault(row, []).append(reason)
        return broken

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

    def record_key(self, unit: str, record: Mapping[str, Any], key: bytes) -> bytes:
        """16 bytes that name the record: equal for all its versions, whatever their spelling.

        Made of unit, category and the identifying items: the document number and the subject's
        name, or the category's natural key. No personal number goes into it: they are what
        corrections correct. A record that lacks one of the identifying items is identified by
        its content, so that it can never hide another.
        """
        identifying = [as_text(record.get(code)) for code in self.identifying]
        if not all(identifying):
            (content,) = self.contents(self.lay_out([record]))
            return keyed_digest(key, unit, self.category, content)
        first, *rest = map(str, identifying)
        number = parse_document(first) if self.model.document else None
        first = squeezed(first) if number is None else number.normal
        return keyed_digest(key, unit, self.category, first, *map(squeezed, rest))


def _blank_rows(column: Column) -> Iterator[int]:
    """The rows in which nothing was given."""
    misfits = column.misfits
    return (row for row, value in enumerate(column.values) if not value and row not in misfits)


def _broken_together(
    rule: _Wording, together: RecordRule, columns: Columns, filled: Set[str], on: date
) -> Iterator[tuple[int, Reason]]:
    """The rows that break a rule over several items, each with the reason."""
    own = columns[together.field]
    others = [columns[code].values for code in together.others]
    if together.own is Own.BLANK:
        if not own.blank:
            return
        beside = list(zip(*others, strict=True))
        breaking = {seen for seen in set(beside) if together.breaks(*seen, on)}
        if breaking:
            reason = rule.reason()
            yield from ((row, reason) for row in _blank_rows(own) if beside[row] in breaking)
    elif filled:
        reasons = {
            seen: rule.reason(seen[0])
            for seen in set(zip(own.values, *others, strict=True))
            if seen[0] in filled and together.breaks(*seen, on)
        }
        if reasons:
            for row, seen in enumerate(zip(own.values, *others, strict=True)):
                if seen in reasons:
                    yield row, reasons[seen]
