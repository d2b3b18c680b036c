"""登记册: who reports, through which platform, within which window, and who is told.

The registry is five hand-written YAML files (`deploy/registry`). `Registry.parse` takes their
texts and either gives a registry that is sound throughout or tells every mistake at once.
"""

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from typing import Annotated, Final, Generic, NamedTuple, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from models.words import Category, UnitKind
from models.yaml_lines import YamlFault, YamlList, YamlMap, line_at, parse_yaml

FILES: Final = (
    "units.yaml",
    "platforms.yaml",
    "contacts.yaml",
    "thresholds.yaml",
    "windows.yaml",
)
"""The registry's files; each holds a list of entries, and each must be there."""

DEFAULT_WINDOW: Final = 14
"""Working days (DESIGN section 4; the bulletin of June 2022, part 9) unless set otherwise."""

MOST_DAYS: Final = 250
"""Longest window: about the working days of a year. The project's own, against slips."""

OFFICE: Final = "市信用办"
"""Stands for a unit in contacts.yaml: told of what is critical, and of what nobody else is told."""

OPERATORS: Final = "运维"
"""Stands for a unit in contacts.yaml: told of faults of the monitor itself, if not the office."""


class RegistryError(ValueError):
    """The registry cannot be used. `str()` is `problems`, one Chinese line each.

    A problem reads `文件:行号: 什么错了，怎么改`, and quotes no value that could be personal.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


# --- entries --------------------------------------------------------------------------------


class _Fault(PydanticCustomError):
    """A refusal of this module's own, its message Chinese already."""

    TYPE: Final = "registry"

    def __new__(cls, message: str) -> Self:
        return super().__new__(cls, cls.TYPE, "{message}", {"message": message})


def _form(pattern: str, message: str) -> AfterValidator:
    """A validator of texts that must match the whole of `pattern`."""
    matches = re.compile(pattern, re.ASCII).fullmatch

    def check(value: str) -> str:
        if not matches(value):
            raise _Fault(message)
        return value

    return AfterValidator(check)


def _known_unit(name: str, info: ValidationInfo) -> str:
    """The id of the unit that the name means, where the validation knows the units."""
    names: Mapping[str, str] | None = info.context
    if names is None:
        return name
    unit = names.get(name)
    if unit is None:
        near = get_close_matches(name, names, n=1)
        hint = f"（是否应为“{near[0]}”？）" if near else ""
        raise _Fault(f"不是 units.yaml 中的报送机构{hint}，请改正，或先在 units.yaml 中登记")
    return unit


Name = Annotated[str, Field(min_length=1)]
UnitId = Annotated[str, AfterValidator(_known_unit)]
Percent = Annotated[Decimal, Field(ge=0, le=100)]
WorkingDays = Annotated[int, Field(strict=True, ge=1, le=MOST_DAYS)]


class Entry(BaseModel):
    """One entry of a registry file. Where it names a unit, an alias in the file becomes the id."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_by_name=True
    )


class Unit(Entry):
    """报送机构. `id` is its name as submissions and bulletins write it."""

    id: Name
    kind: UnitKind
    aliases: tuple[Name, ...] = ()


class Via(StrEnum):
    """接入方式: how a platform delivers."""

    API = "api"
    KAFKA = "kafka"
    FILE = "file"


class Platform(Entry):
    """平台（系统）. `id` names its topic (`ingress.<id>`); it speaks for its owner unless told."""

    id: Annotated[
        str, _form(r"[a-z0-9]+(-[a-z0-9]+)*", "只能用小写字母、数字和连字符，如 hanyang-jiaoyu")
    ]
    name: Name
    owner: UnitId
    speaks_for: Annotated[frozenset[UnitId], Field(min_length=1)] = Field(
        default_factory=lambda data: frozenset((data["owner"],))
    )
    categories: Annotated[frozenset[Category], Field(min_length=1)] = frozenset(Category)
    since: Annotated[date, Field(strict=True)]
    via: Via
    rhythm: WorkingDays = 5
    """Working days without a submission after which the platform is called silent."""

    def may_speak_for(self, unit_id: str, category: Category) -> bool:
        """Whether the platform may deliver this category for this unit."""
        return unit_id in self.speaks_for and category in self.categories


class Contact(Entry):
    """联系人: a post of a unit, `OFFICE` or `OPERATORS`, never a person, that is told of alerts.

    `webhook` is an address without its key, as it is written into Alertmanager's configuration;
    it is hidden from repr all the same, since a path may be one.
    """

    unit: UnitId
    role: Name
    email: Annotated[
        str,
        _form(
            r"[\w.%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+",
            "不是有效的邮箱地址，应形如 xinyong@jiangxia.example",
        ),
    ]
    wecom: Name | None = None
    webhook: (
        Annotated[
            str,
            _form(r"https://\S+", "应为 https:// 开头的地址"),
            _form(r"[^?#@]+", "不能带密钥（?、# 或 @），密钥写入密钥文件，见 channels.yaml"),
        ]
        | None
    ) = Field(default=None, repr=False)


class Limits(Entry):
    """A rate's alert lines in percent: below `warning` 预警, below `critical` 严重."""

    warning: Percent
    critical: Percent

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warning < self.critical:
            raise _Fault("的 warning 低于 critical，严重线不能高于预警线，请调整")
        return self


class Threshold(Entry):
    """告警阈值 of a category, or of one unit in it (then it stands instead of the category's).

    No alert while fewer than `min_count` records are counted. `for_` (`for` in the file) is a
    Prometheus duration. A rate without limits is not alerted on.
    """

    category: Category
    unit: UnitId | None = None
    compliance: Limits | None = None
    timeliness: Limits | None = None
    min_count: Annotated[int, Field(strict=True, ge=1)]
    for_: Annotated[
        str,
        Field(alias="for"),
        _form(r"(?=\d)(\d+d)?(\d+h)?(\d+m)?(\d+s)?", "应为时长，如 15m、1h30m"),
    ]


class Window(Entry):
    """报送期限 in working days (None: timeliness is not tracked) of what it names.

    The more exact holds: unit and category, then unit, then category, then the one naming neither.
    """

    unit: UnitId | None = None
    category: Category | None = None
    days: WorkingDays | None


HourOfDay = Annotated[str, _form(r"([01]\d|2[0-3]):[0-5]\d|24:00", '应为钟点，如 "08:30"，加引号')]


class Channels(Entry):
    """告警送达: how alerts travel, and the office hours (Asia/Shanghai) in which warnings do.

    Secrets are in files of the folder `secrets` and never here. Without `mail_server` there is no
    e-mail, without `wecom_corp` no WeCom.
    """

    mail_server: (
        Annotated[str, _form(r"[\w.-]+:\d+", "应为 主机:端口，如 smtp.example:587")] | None
    ) = None
    mail_sender: Name = "xinshao@localhost"
    mail_user: Name | None = None
    mail_tls: bool = True
    wecom_corp: Name | None = None
    wecom_agent: Name = ""
    wecom_url: Annotated[str, _form(r"https?://\S+/", "应为地址，以 / 结尾")] = (
        "https://qyapi.weixin.qq.com/cgi-bin/"
    )
    office_opens: HourOfDay
    office_closes: HourOfDay
    secrets: Name = "/run/secrets"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.office_opens >= self.office_closes:
            raise _Fault("的 office_opens 应早于 office_closes，请调整")
        return self

    @classmethod
    def parse(cls, text: str, file: str) -> Self:
        """Read the text of channels.yaml, called `file` in errors.

        Raises:
            RegistryError: with every mistake.
        """
        try:
            root = parse_yaml(text, file)
        except YamlFault as fault:
            raise RegistryError(f"{file}:{fault.line}: {fault.reason}") from None
        try:
            return cls.model_validate(root)
        except ValidationError as refusal:
            errors = refusal.errors(include_url=False, include_input=False)
        raise RegistryError(
            *(
                str(_Problem(file, line_at(root, error["loc"]), _in_chinese(error, cls)))
                for error in errors
            )
        )


# --- registry -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Registry:
    """登记册, immutable. Its entries name units by id; build it with `parse`.

    `identity_key` keys the digests of personal numbers and record keys (b"": offline use).
    Look-ups cost a dict access: they stand on the way of every record.
    """

    units: tuple[Unit, ...]
    platforms: tuple[Platform, ...] = ()
    contacts: tuple[Contact, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    windows: tuple[Window, ...] = ()
    identity_key: bytes = field(default=b"", repr=False)
    _unit_of: dict[str, Unit] = field(init=False, repr=False)
    _platform_of: dict[str, Platform] = field(init=False, repr=False)
    _contacts_of: dict[str, tuple[Contact, ...]] = field(init=False, repr=False)
    _threshold_of: dict[tuple[str, Category], Threshold | None] = field(init=False, repr=False)
    _window_of: dict[tuple[str | None, Category], int | None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Lay every answer out."""
        lay = partial(object.__setattr__, self)
        ids = [unit.id for unit in self.units]
        lay("_unit_of", {name: unit for unit in self.units for name in (unit.id, *unit.aliases)})
        lay("_platform_of", {platform.id: platform for platform in self.platforms})
        contacts: dict[str, tuple[Contact, ...]] = {}
        for contact in self.contacts:
            contacts[contact.unit] = (*contacts.get(contact.unit, ()), contact)
        lay("_contacts_of", contacts)

        thresholds = {(entry.unit, entry.category): entry for entry in self.thresholds}
        lay(
            "_threshold_of",
            {
                (unit, category): thresholds.get((unit, category), thresholds.get((None, category)))
                for unit in ids
                for category in Category
            },
        )
        windows = {(entry.unit, entry.category): entry.days for entry in self.windows}
        windows.setdefault((None, None), DEFAULT_WINDOW)

        def window(unit: str | None, category: Category) -> int | None:
            scopes = ((unit, category), (unit, None), (None, category), (None, None))
            return next(windows[scope] for scope in scopes if scope in windows)

        lay(
            "_window_of",
            {
                (unit, category): window(unit, category)
                for unit in (None, *ids)
                for category in Category
            },
        )

    @classmethod
    def parse(cls, texts: Mapping[str, str], identity_key: bytes = b"") -> Self:
        """Read the registry from its files: file name to YAML text; other files are ignored.

        Raises:
            RegistryError: with every mistake in every file.
        """
        reader = _Reader(texts)
        units = reader.read("units.yaml", Unit)
        names = reader.unit_names(units)
        platforms = reader.read("platforms.yaml", Platform, names)
        told = names and {OFFICE: OFFICE, OPERATORS: OPERATORS, **names}
        contacts = reader.read("contacts.yaml", Contact, told)
        thresholds = reader.read("thresholds.yaml", Threshold, names)
        windows = reader.read("windows.yaml", Window, names)
        reader.refuse_repeats(platforms, "id ", lambda entry: entry.id)
        reader.refuse_repeats(contacts, "unit 和 email ", lambda entry: (entry.unit, entry.email))
        reader.refuse_repeats(
            thresholds, "unit 和 category ", lambda entry: (entry.unit, entry.category)
        )
        reader.refuse_repeats(
            windows, "unit 和 category ", lambda entry: (entry.unit, entry.category)
        )
        if reader.problems:
            raise RegistryError(*map(str, sorted(reader.problems)))
        return cls(
            tuple(units.sound.values()),
            tuple(platforms.sound.values()),
            tuple(contacts.sound.values()),
            tuple(thresholds.sound.values()),
            tuple(windows.sound.values()),
            identity_key,
        )

    def __repr__(self) -> str:
        return f"<Registry of {len(self.units)} units, {len(self.platforms)} platforms>"

    def unit(self, name: str) -> Unit | None:
        """The unit of that id or alias."""
        return self._unit_of.get(name)

    def platform(self, id_: str) -> Platform | None:
        """The platform of that id."""
        return self._platform_of.get(id_)

    def contacts_for(self, unit_id: str) -> tuple[Contact, ...]:
        """The contacts of the unit, or of `OFFICE` or `OPERATORS`, in the file's order."""
        return self._contacts_of.get(unit_id, ())

    def thresholds_for(self, unit_id: str, category: Category) -> Threshold | None:
        """What the unit is held to in the category; None where no rate is alerted on."""
        return self._threshold_of.get((unit_id, category))

    def window(self, unit_id: str | None, category: Category) -> int | None:
        """The window in working days; None where timeliness is not tracked.

        Without a unit it is the window of units that have none of their own.

        Raises:
            KeyError: `unit_id` is not the id of a unit of this registry.
        """
        return self._window_of[unit_id, category]


# --- reading --------------------------------------------------------------------------------


class _Problem(NamedTuple):
    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class _Sheet(Generic[E]):
    """A file as read. `sound` holds the entries without fault, by their index in `root`.

    `root` is None when there is no list to be read.
    """

    file: str
    root: YamlList | None
    sound: dict[int, E]

    def line(self, *path: str | int) -> int:
        return line_at(self.root, path)


class _Reader:
    """Reads the registry's files and keeps what is wrong in them."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self.problems: list[_Problem] = []

    def read(self, file: str, model: type[E], names: Mapping[str, str] | None = None) -> _Sheet[E]:
        """Read a file of `model` entries, whose units are among `names` (None: not known)."""
        sheet: _Sheet[E] = _Sheet(file, self._list(file), {})
        for index, item in enumerate(sheet.root or ()):
            try:
                sheet.sound[index] = model.model_validate(item, context=names)
            except ValidationError as refusal:
                for error in refusal.errors(include_url=False, include_input=False):
                    if error["type"] != "default_factory_not_called":  # follows from another error
                        line = sheet.line(index, *error["loc"])
                        self.problems.append(_Problem(file, line, _in_chinese(error, model)))
        return sheet

    def unit_names(self, units: _Sheet[Unit]) -> dict[str, str] | None:
        """Id of the unit by each name that means it; repeated names are refused.

        A faulty entry's id counts too, lest every mention of it be told as a mistake of its own.
        """
        if units.root is None:
            return None
        names: dict[str, str] = {}
        lines: dict[str, int] = {}
        for index, item in enumerate(units.root):
            unit = units.sound.get(index)
            if unit is None:
                id_ = item.get("id") if isinstance(item, YamlMap) else None
                if isinstance(id_, str):
                    names.setdefault(id_, id_)
                continue
            paths: list[tuple[str | int, ...]] = [("id",)]
            paths += [("aliases", position) for position in range(len(unit.aliases))]
            for name, path in zip((unit.id, *unit.aliases), paths, strict=True):
                line = units.line(index, *path)
                if name in lines:
                    message = f"“{name}”与第 {lines[name]} 行的 id 或别名重复，请改正或删去"
                    self.problems.append(_Problem(units.file, line, message))
                else:
                    names[name], lines[name] = unit.id, line
        return names

    def refuse_repeats(
        self, sheet: _Sheet[E], what: str, identity: Callable[[E], Hashable]
    ) -> None:
        """Refuse each entry whose identity, called `what`, is that of an earlier one."""
        lines: dict[Hashable, int] = {}
        for index, entry in sheet.sound.items():
            key, line = identity(entry), sheet.line(index)
            if key in lines:
                message = f"{what}与第 {lines[key]} 行重复，请改正或删去其中一条"
                self.problems.append(_Problem(sheet.file, line, message))
            else:
                lines[key] = line

    def _list(self, file: str) -> YamlList | None:
        if file not in self._texts:
            self.problems.append(_Problem(file, 1, "登记册缺少这个文件，请补上"))
            return None
        try:
            root = parse_yaml(self._texts[file], file)
        except YamlFault as fault:
            self.problems.append(_Problem(file, fault.line, fault.reason))
            return None
        if isinstance(root, YamlList):
            return root
        message = "内容应为列表，每一条以“- ”开头；没有内容时写 []"
        self.problems.append(_Problem(file, line_at(root, ()), message))
        return None


_MESSAGES: Final = {
    _Fault.TYPE: "{where} {message}",
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


def _in_chinese(error: ErrorDetails, model: type[Entry]) -> str:
    path = error["loc"]
    steps = (f"第 {step + 1} 项" if isinstance(step, int) else step for step in path)
    form = _MESSAGES.get(error["type"], "{where} 的值不对，请改正")
    fields = (Limits if len(path) > 1 else model).model_fields  # only limits lie deeper
    context = error.get("ctx", {})
    return form.format_map(
        {
            "where": " ".join(steps) or "这一条",
            "keys": "、".join(info.alias or name for name, info in fields.items()),
            "options": "、".join(re.findall(r"'(.+?)'", str(context.get("expected", "")))),
            **context,
        }
    )
