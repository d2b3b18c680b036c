"""What a bulletin is made of: the month's figures, and what is reported with them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Final, NamedTuple

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter

from models.month import Month
from models.tally import NOTHING, Duty, Tally
from models.words import Category


def _month(value: object) -> object:
    return Month.of(value) if isinstance(value, str) else value


def _tallies(value: object) -> object:
    if isinstance(value, list):
        return {(unit, category): tally for unit, category, tally in value}
    return value


MonthText = Annotated[Month, BeforeValidator(_month), PlainSerializer(str, return_type=str)]
_Tallies = Annotated[
    Mapping[Duty, Tally],
    BeforeValidator(_tallies),
    PlainSerializer(lambda tallies: [(*duty, tally) for duty, tally in tallies.items()]),
]


class Activity(NamedTuple):
    """One row of annex 3: a piece on credit that a unit had published."""

    unit: str
    medium: str
    title: str
    link: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """A month's tallies and its publicity, as the keeper of the records counts them."""

    month: MonthText
    tallies: _Tallies
    activities: tuple[Activity, ...] = ()

    def of(self, unit: str, *categories: Category) -> Tally:
        """What a unit reported in all of these categories."""
        total = NOTHING
        for category in categories:
            total = total.plus(self.tallies.get(Duty(unit, category), NOTHING))
        return total

    @property
    def units(self) -> frozenset[str]:
        """Every unit that reported something."""
        return frozenset(duty.unit for duty, tally in self.tallies.items() if tally.reported)


class NewPlatform(NamedTuple):
    """A platform connected in the month."""

    owner: str
    name: str


class Platforms(NamedTuple):
    """平台对接: how many are connected at the month's end, and which of them since its start."""

    connected: int
    new: tuple[NewPlatform, ...] = ()


class Concealment(NamedTuple):
    """疑似瞒报, as the national centre reported it to the office: units concerned, and records."""

    districts: int
    departments: int
    records: int


class Revision(NamedTuple):
    """A published figure that later corrections have moved; the published one stays."""

    month: MonthText
    duty: Duty
    told: Tally
    now: Tally


@dataclass(frozen=True, slots=True)
class Edition:
    """Everything that one month's bulletin says, so that freezing it freezes every number.

    `previous` is None where the month before has no figures; `frozen_at` until it is published.
    """

    figures: Figures
    platforms: Platforms
    concealment: Concealment | None = None
    previous: Figures | None = None
    revisions: tuple[Revision, ...] = ()
    frozen_at: datetime | None = None

    @property
    def month(self) -> Month:
        """The bulletin's month."""
        return self.figures.month

    def to_json(self) -> bytes:
        """The whole edition as JSON, for `of_json`."""
        return _EDITION.dump_json(self)

    @staticmethod
    def of_json(text: bytes | str) -> "Edition":
        """Read what `to_json` wrote."""
        return _EDITION.validate_json(text)


_EDITION: Final = TypeAdapter(Edition)


class PrintedCell(NamedTuple):
    """What an official bulletin of the month printed for a unit and category.

    `reported` is None where no count was printed. The faults and `inferred` (Chinese) say what is
    known to be wrong with what was printed, or how a count that was not printed was found.
    """

    unit: str
    category: Category
    reported: int | None
    compliance_rate: Decimal | None = None
    timeliness_rate: Decimal | None = None
    compliance_fault: str | None = None
    timeliness_fault: str | None = None
    inferred: str | None = None


@dataclass(frozen=True, slots=True)
class DetailRow:
    """明细: one record behind the figures. A natural person's name is masked.

    `received` is the day of first receipt, which decides the month; `first_compliant` that of the
    first compliant version, which decides `timely`. Reasons are Chinese messages.
    """

    record_key: str
    category: Category
    document: str
    subject: str
    decided: date | None
    deadline: date | None
    received: date
    first_compliant: date | None
    compliant: bool
    timely: bool | None
    reasons: tuple[str, ...] = field(default=())


def revisions(told: Iterable[Figures], now: Mapping[Month, Figures]) -> Iterator[Revision]:
    """Each figure of earlier months that differs from the last one reported of it.

    Args:
        told: What was last reported of each month (`last_told`).
        now: The live figures of the same months.
    """
    for figures in told:
        live = now[figures.month].tallies
        for duty in sorted(figures.tallies.keys() | live.keys()):
            before, after = figures.tallies.get(duty, NOTHING), live.get(duty, NOTHING)
            if before[:3] != after[:3]:
                yield Revision(figures.month, duty, before, after)


def last_told(editions: Iterable[Edition]) -> list[Figures]:
    """The figures of each frozen edition, with what later ones revised of them.

    Args:
        editions: The frozen editions, the oldest month first.
    """
    told: dict[Month, dict[Duty, Tally]] = {}
    for edition in editions:
        told[edition.month] = dict(edition.figures.tallies)
        for revision in edition.revisions:
            if revision.month in told:
                told[revision.month][revision.duty] = revision.now
    return [Figures(month, tallies) for month, tallies in told.items()]
