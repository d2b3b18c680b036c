"""通报规则: the office's rules and texts of the bulletin, from `bulletin.yaml` in the registry.

What the file does not say is the published form (June 2022), which the code holds.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from string import Formatter
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from models.bulletin.figures import Activity, Concealment, MonthText
from models.entries import MESSAGES, Entry, Fault, Name, Percent, in_chinese
from models.month import Month
from models.registry import Registry, RegistryError, UnitId
from models.words import UnitKind
from models.yaml_lines import YamlFault, YamlMap, line_at, parse_yaml

FILE: Final = "bulletin.yaml"


def _with(*places: str) -> AfterValidator:
    """A validator of texts whose `{placeholders}` are among `places`."""

    def check(text: str) -> str:
        try:
            used = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
        except ValueError:
            raise Fault("花括号不成对，请改正") from None
        if not used <= set(places):
            raise Fault(f"只能用占位 {'、'.join(f'{{{place}}}' for place in places)}")
        return text

    return AfterValidator(check)


Length = Annotated[int, Field(strict=True, ge=1)]
Count = Annotated[int, Field(strict=True, ge=0)]
Dated = Annotated[str, Field(min_length=1), _with("year", "month")]
Told = Annotated[str, Field(min_length=1), _with("year", "month", "concealment")]


class Lists(Entry):
    """红黑榜 of one kind of unit.

    `best` and `worst` are list lengths. Without `best`, only units at 100 % are named as good;
    without `worst`, every unit below it as bad. Where every unit is above `all_above`, one
    sentence says so and nobody is named.
    """

    best: Length | None = None
    worst: Length | None = None
    all_above: Percent | None = None


class Rankings(Entry):
    """How units are ranked by their rates. `ties`: whether a list grows by units equal at its end.

    `precedence` orders units that are equal in both rates; others follow in registry order.
    """

    districts: Lists
    departments: Lists
    ties: Annotated[bool, Field(strict=True)] = True
    precedence: tuple[UnitId, ...] = ()

    def of(self, kind: UnitKind) -> Lists:
        """The lists of a kind of unit."""
        return self.districts if kind is UnitKind.DISTRICT else self.departments


class VolumeForm(StrEnum):
    """How a sentence on numbers goes on after the units' count and their sum."""

    PLAIN = "plain"
    LEADING = "leading"
    SHARE = "share"
    LEADERS = "leaders"
    NAMED = "named"
    EACH = "each"


class VolumeForms(Entry):
    """The form of each of a section's two sentences."""

    districts: VolumeForm
    departments: VolumeForm

    def of(self, kind: UnitKind) -> VolumeForm:
        """The form for a kind of unit."""
        return self.districts if kind is UnitKind.DISTRICT else self.departments


class Volumes(Entry):
    """Sections two to seven: list lengths, and the forms of the sentences.

    `leading` units are named as the first ones, `leaders` with the number of each; up to `named`
    units are named instead of counted.
    """

    leading: Length
    leaders: Length
    named: Length
    commitment: VolumeForms
    fulfilment: VolumeForms
    five_kinds: VolumeForms
    other_action: VolumeForms
    grading: VolumeForms
    basic: VolumeForms
    joint_case: VolumeForms


class Requirement(Entry):
    """One of section nine's requirements; `text` holds its paragraphs."""

    title: Name
    text: Annotated[tuple[Told, ...], Field(min_length=1)]


class SuspectedConcealment(Entry):
    """疑似瞒报 in the national centre's feedback of the month."""

    districts: Count
    departments: Count
    records: Count

    @property
    def counts(self) -> Concealment:
        """As the edition holds it."""
        return Concealment(self.districts, self.departments, self.records)


class Issue(Entry):
    """What only one month's bulletin has; without one, number and days are left open."""

    month: MonthText
    number: Name
    signed: Annotated[date, Field(strict=True)]
    printed: Annotated[date, Field(strict=True)]
    copies: Length
    concealment: SuspectedConcealment | None = None
    requirements: Annotated[tuple[Requirement, ...], Field(min_length=1)] | None = None
    errata: tuple[Name, ...] = ()


class Example(Entry):
    """The example row of annex 3."""

    unit: Name
    medium: Name
    title: Name
    link: Name
    remark: str = ""

    @property
    def activity(self) -> Activity:
        """As a row."""
        return Activity(self.unit, self.medium, self.title, self.link, self.remark)


class SilentUnits(StrEnum):
    """Whether units that reported nothing have an (empty) row in the annexes."""

    OMIT = "omit"
    LIST = "list"


class BulletinRules(Entry):
    """Everything in bulletin.yaml."""

    letterhead: Name
    title: Dated
    addressee: Name
    opening: Dated
    contact: Name
    signatory: Name
    concealment: Annotated[
        str, Field(min_length=1), _with("year", "month", "districts", "departments", "records")
    ]
    rankings: Rankings
    volumes: Volumes
    silent_units: SilentUnits
    unlisted_platforms: Count
    publicity_example: Example | None = None
    requirements: Annotated[tuple[Requirement, ...], Field(min_length=1)]
    issues: tuple[Issue, ...] = ()

    @model_validator(mode="after")
    def _one_issue_a_month(self) -> Self:
        months = [issue.month for issue in self.issues]
        for month in months:
            if months.count(month) > 1:
                raise Fault(f"issues 中 {month} 出现了不止一次，请只留一条")
        return self

    @classmethod
    def parse(cls, text: str, registry: Registry) -> Self:
        """Read the text of bulletin.yaml; units are named as in the registry.

        Raises:
            RegistryError: with every mistake, `文件:行号: 什么错了，怎么改`.
        """
        try:
            root = parse_yaml(text, FILE)
        except YamlFault as fault:
            raise RegistryError(f"{FILE}:{fault.line}: {fault.reason}") from None
        if not isinstance(root, YamlMap):
            raise RegistryError(f"{FILE}:1: 内容应为“键: 值”的形式")
        names = {name: unit.id for unit in registry.units for name in (unit.id, *unit.aliases)}
        try:
            return cls.model_validate(root, context=names)
        except ValidationError as refusal:
            errors = refusal.errors(include_url=False, include_input=False)
        problems = sorted(
            (line_at(root, error["loc"]), in_chinese(error, messages=_MESSAGES, whole=""))
            for error in errors
        )
        raise RegistryError(*(f"{FILE}:{line}: {message}" for line, message in problems))

    def issue(self, month: Month) -> Issue | None:
        """What the file has for the month."""
        return next((issue for issue in self.issues if issue.month == month), None)


_MESSAGES: Final[Mapping[str, str]] = {
    **MESSAGES,
    "extra_forbidden": "{where} 是不认识的键，请改正或删去",
    "too_short": "{where} 不能是空列表，请填写",
    "enum": "{where} 应为以下之一：{expected}",
    "value_error": "{where} 应为月份，如 2022-06",
    "bool_type": "{where} 应为 true 或 false",
}


FULL: Final = Decimal(100)
"""100 %: nothing is wrong, or nothing late."""
