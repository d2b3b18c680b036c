"""登记册: who reports, through which platform, within which window, and who is notified.

The registry is five hand-written YAML files (`deploy/registry`). `Registry.parse` takes their
texts and either gives a registry without faults or reports every mistake at once.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from typing import Annotated, Final, Generic, NamedTuple, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, model_validator

from models.entries import Entry, Fault, Name, Percent, form, in_chinese, keys_of
from models.errors import InputError
from models.rates import RateKind
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
"""Working days (docs/rules.md, part 4; the bulletin of June 2022, part 9) unless set otherwise."""

MOST_DAYS: Final = 250
"""Longest window: about the working days of a year. The project's own, against typing errors."""

OFFICE: Final = "市信用办"
"""In place of a unit in contacts.yaml: notified of what is critical, and of what nobody else is."""

OPERATORS: Final = "运维"
"""In place of a unit in contacts.yaml: notified of the monitor's faults, if not the office."""


class RegistryError(InputError):
    """The registry cannot be used. `str()` is `problems`, one Chinese line each.

    A problem reads `文件:行号: 什么错了，怎么改`, and quotes no value that could be personal.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def unknown_unit(name: str) -> str:
    """What is said of a unit that is not in the registry; `name` is fit to be shown."""
    return f"报送机构“{name}”不在登记册中，请核对名称或联系市信用办"


# --- entries --------------------------------------------------------------------------------


def _known_unit(name: str, info: ValidationInfo) -> str:
    """The id of the unit that the name means, where the validation knows the units."""
    names: Mapping[str, str] | None = info.context
    if names is None:
        return name
    unit = names.get(name)
    if unit is None:
        near = get_close_matches(name, names, n=1)
        hint = f"（是否应为“{near[0]}”？）" if near else ""
        raise Fault(f"不是 units.yaml 中的报送机构{hint}，请改正，或先在 units.yaml 中登记")
    return unit


UnitId = Annotated[str, AfterValidator(_known_unit)]
WorkingDays = Annotated[int, Field(strict=True, ge=1, le=MOST_DAYS)]


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
    """平台（系统）. `id` names its topic (`ingress.<id>`); it speaks for its owner by default."""

    id: Annotated[
        str, form(r"[a-z0-9]+(-[a-z0-9]+)*", "只能用小写字母、数字和连字符，如 hanyang-jiaoyu")
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
    """联系人: a post of a unit, `OFFICE` or `OPERATORS`, never a person, that alerts are sent to.

    `webhook` is an address without its key, as it is written into Alertmanager's configuration;
    it is hidden from repr all the same, since a path may be one.
    """

    unit: UnitId
    role: Name
    email: Annotated[
        str,
        form(
            r"[\w.%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+",
            "不是有效的邮箱地址，应形如 xinyong@jiangxia.example",
        ),
    ]
    wecom: Name | None = None
    webhook: (
        Annotated[
            str,
            form(r"https://\S+", "应为 https:// 开头的地址"),
            form(r"[^?#@]+", "不能带密钥（?、# 或 @），密钥写入密钥文件，见 channels.yaml"),
        ]
        | None
    ) = Field(default=None, repr=False)


class AlertLines(Entry):
    """A rate's alert lines in percent: below `warning` 预警, below `critical` 严重."""

    warning: Percent
    critical: Percent

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warning < self.critical:
            raise Fault("的 warning 低于 critical，严重线不能高于预警线，请调整")
        return self


class Threshold(Entry):
    """告警阈值 of a category, or of one unit in it (then it replaces the category's).

    No alert while fewer than `min_count` records are counted. `for_` (`for` in the file) is a
    Prometheus duration. A rate without lines is not alerted on.
    """

    category: Category
    unit: UnitId | None = None
    compliance: AlertLines | None = None
    timeliness: AlertLines | None = None
    min_count: Annotated[int, Field(strict=True, ge=1)]
    for_: Annotated[
        str,
        Field(alias="for"),
        form(r"(?=\d)(\d+d)?(\d+h)?(\d+m)?(\d+s)?", "应为时长，如 15m、1h30m"),
    ]

    def lines(self, kind: RateKind) -> AlertLines | None:
        """The alert lines of a rate."""
        return self.compliance if kind is RateKind.COMPLIANCE else self.timeliness


class Window(Entry):
    """报送期限 in working days (None: timeliness is not tracked) of what it names.

    The most exact applies: unit and category, then unit, then category, then the one with neither.
    """

    unit: UnitId | None = None
    category: Category | None = None
    days: WorkingDays | None


# --- registry -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Registry:
    """登记册, immutable. Its entries name units by id; build it with `parse`.

    `identity_key` keys the digests of personal numbers and record keys (b"": offline use).
    Look-ups cost a dict access: every record needs some.
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
        """Prepare every answer."""
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
                        path = error["loc"]
                        line = sheet.line(index, *path)
                        # No other entries lie deeper.
                        keys = keys_of(AlertLines if len(path) > 1 else model)
                        self.problems.append(_Problem(file, line, in_chinese(error, keys)))
        return sheet

    def unit_names(self, units: _Sheet[Unit]) -> dict[str, str] | None:
        """Id of the unit by each name that means it; repeated names are refused.

        A faulty entry's id counts too, or every mention of it would be reported as another mistake.
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
