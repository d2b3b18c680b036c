"""What the store answers a unit or platform: a receipt, how it stands, what it has to mend.

The answers are as the gateway gives them out. Calls block, as those of the store do.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import Field

from models.bulletin import Figures
from models.bulletin.document import Standing
from models.bulletin.rankings import standings
from models.calendar import Calendar
from models.month import Month
from models.rates import RateKind
from models.registry import AlertLines, Registry
from models.tally import NOTHING, Duty, Tally
from models.verdict import BrokenRule, PublicModel, PublicVerdict
from models.words import DOUBLE_PUBLICITY, IN_TOTAL, Category, UnitKind
from streams.store.client import Store
from streams.store.figures import StoredFigures
from streams.store.tally_columns import TALLY_SUMS

Percent = Annotated[float, Field(ge=0, le=100, description="百分数，两位小数，四舍五入")]
Count = Annotated[int, Field(ge=0)]


class Rejected(PublicModel):
    """拒收: why no record could be made of a submission."""

    rule: str
    message: str


class Receipt(PublicModel):
    """回执: what became of a submission.

    `superseded` tells that a later submission of the same record counts instead.
    """

    id: str
    state: Annotated[
        Literal["received", "judged", "rejected"],
        Field(description="received 已收到、尚未研判；judged 已研判；rejected 无法读取，已拒收"),
    ]
    received_at: datetime
    verdict: PublicVerdict | None = None
    superseded: bool = False
    rejected: Rejected | None = None


class Owned(NamedTuple):
    """A receipt, and whose it is; the unit of a rejected submission is not known."""

    receipt: Receipt
    platform: str
    unit: str | None


class Rate(PublicModel):
    """A rate against the lines below which the unit is alerted.

    `level` is null where there is no rate, no line, or too few records for either to mean much.
    """

    percent: Percent | None
    warning: Percent | None = None
    critical: Percent | None = None
    level: Literal["ok", "warning", "critical"] | None = None


class CategorySummary(PublicModel):
    """One category of a unit's month."""

    category: Category
    name: str
    reported: Count
    compliant: Count
    timely: Count
    late: Count
    pending: Count
    corrections: Count
    duplicates: Count
    withdrawn: Count
    compliance: Rate
    timeliness: Rate


class UnitSummary(PublicModel):
    """A unit's month as it is now; `total` is 总报送量. Categories without records are left out."""

    unit: str
    month: str
    total: Count
    categories: tuple[CategorySummary, ...]


class PendingRecord(PublicModel):
    """待补正: a record that is there and not compliant, with everything that is to be mended.

    `days_left` counts the working days after today up to the deadline; null where it has passed
    or is not known.
    """

    record_key: str
    category: Category
    document: str
    subject: str
    received_on: date
    deadline: date | None
    overdue: bool
    days_left: Count | None
    submission: str
    reasons: tuple[BrokenRule, ...]


class PendingPage(PublicModel):
    """A page of pending records, the nearest deadline first.

    It may hold fewer records than were asked for; the last page is the one without `next`.
    """

    unit: str
    total: Count
    records: tuple[PendingRecord, ...]
    next: str | None


class RankedRate(PublicModel):
    """A rate, and its rank among the units of the kind; equal rates have equal rank."""

    percent: Percent
    rank: Annotated[int, Field(ge=1)]


class RankedUnit(PublicModel):
    """A unit's rates in a category; null where there is none."""

    unit: str
    reported: Count
    compliance: RankedRate
    timeliness: RankedRate | None


class RankedGroup(PublicModel):
    """The units of a kind that reported in a category, by the rank of their compliance."""

    kind: UnitKind
    category: Category
    units: tuple[RankedUnit, ...]


class Ranking(PublicModel):
    """The month's ranking in 双公示; of a published month with the published figures."""

    month: str
    published: bool
    groups: tuple[RankedGroup, ...]


class Cursor(NamedTuple):
    """Where a page of pending records ends: the deadline (`NEVER`: none) and the record's key."""

    deadline: date
    key: str

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read what `str()` wrote.

        Raises:
            ValueError: it is no cursor.
        """
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise ValueError("no cursor")
        return cls(date.fromisoformat(found[1]), found[2])

    def __str__(self) -> str:
        return f"{self.deadline}.{self.key}"


NEVER: Final = date(2299, 12, 31)
"""Stands for the deadline of a record that has none, after all others."""

_CURSOR: Final = re.compile(r"((?:19[789]|2[012]\d)\d-\d\d-\d\d)\.([0-9a-f]{32})", re.ASCII)
_START: Final = Cursor(date(1970, 1, 1), "")

# An id may come twice into the log; what its first arrival did is the answer.
_SUBMISSION: Final = """
SELECT lower(hex(record_key)), epoch, `offset`, platform, unit, category, received_at, effect,
    deadline, compliant, timely, reasons
FROM submissions
WHERE submission = {id:String}
ORDER BY epoch, `offset`
LIMIT 1
"""

_LATEST: Final = """
SELECT epoch, `offset`, provisional
FROM records FINAL
WHERE unit = {unit:String} AND category = {category:String} AND record_key = unhex({key:String})
"""

_REJECT: Final = """
SELECT rule, message, at, platform
FROM rejects
WHERE submission = {id:String} AND NOT redriven
ORDER BY at
LIMIT 1
"""

_MONTH: Final = f"""
SELECT category, {TALLY_SUMS}
FROM tallies_daily
WHERE unit = {{unit:String}} AND day BETWEEN {{first:Date}} AND {{last:Date}}
GROUP BY category
"""  # noqa: S608 - our own names

_ALL_UNITS: Final = f"""
SELECT unit, category, {TALLY_SUMS}
FROM tallies_daily
WHERE day BETWEEN {{first:Date}} AND {{last:Date}} AND category IN {{categories:Array(String)}}
GROUP BY unit, category
"""  # noqa: S608 - our own names

_PENDING_COUNT: Final = "SELECT sum(records) FROM pending_by_deadline WHERE unit = {unit:String}"

# Merging all versions of a unit's records would take most of the time, so the rows that may be
# pending are found among all versions, and only theirs are merged.
_CANDIDATES: Final = """
SELECT ifNull(deadline, {never:Date32}) AS due, lower(hex(record_key)) AS named, category, day
FROM records
WHERE unit = {unit:String} AND NOT compliant AND NOT withdrawn
    AND (due, record_key) > ({due:Date32}, unhex({key:String}))
ORDER BY due, record_key
LIMIT {limit:UInt32}
"""

_PENDING: Final = """
SELECT lower(hex(record_key)), ifNull(r.deadline, {never:Date32}), category, document, subject, day,
    submission, reasons
FROM records AS r FINAL
WHERE unit = {unit:String} AND NOT r.compliant AND NOT r.withdrawn
    AND (category, day, record_key) IN (
        SELECT named.1, named.2, toFixedString(unhex(named.3), 16) FROM (
            SELECT arrayJoin(arrayZip(
                {categories:Array(String)}, {days:Array(Date32)}, {keys:Array(String)}
            )) AS named
        )
    )
"""


def last_submissions(store: Store) -> dict[str, datetime]:
    """When each platform last submitted."""
    return dict(store.rows("SELECT platform, last_submission FROM platforms_now"))


class Answers:
    """The store's answers. For one thread at a time, as the store is."""

    def __init__(self, store: Store, registry: Registry, calendar: Calendar) -> None:
        self._store = store
        self._registry = registry
        self._calendar = calendar

    def receipt(self, id_: str) -> Owned | None:
        """The receipt of a submission that was judged or rejected; None where it was not yet."""
        for key, epoch, offset, platform, unit, category, at, *told in self._store.rows(
            _SUBMISSION, id=id_
        ):
            latest = self._store.rows(_LATEST, unit=unit, category=category, key=key)
            effect, deadline, compliant, timely, reasons = told
            verdict = PublicVerdict(
                unit=unit,
                category=category,
                record_key=key,
                effect=effect,
                compliant=compliant,
                timely=timely,
                deadline=deadline,
                provisional=any(provisional for *_, provisional in latest),
                reasons=tuple(_reasons(reasons)),
            )
            superseded = any(tuple(position) > (epoch, offset) for *position, _ in latest)
            receipt = Receipt(
                id=id_, state="judged", received_at=at, verdict=verdict, superseded=superseded
            )
            return Owned(receipt, platform, unit)
        for rule, message, at, platform in self._store.rows(_REJECT, id=id_):
            rejected = Rejected(rule=rule, message=message)
            receipt = Receipt(id=id_, state="rejected", received_at=at, rejected=rejected)
            return Owned(receipt, platform, None)
        return None

    def summary(self, unit: str, month: Month) -> UnitSummary:
        """A unit's month as it is now."""
        rows = self._store.rows(_MONTH, unit=unit, first=month.first, last=month.last)
        tallies = {Category(category): Tally(*counts) for category, *counts in rows}
        return UnitSummary(
            unit=unit,
            month=str(month),
            total=sum(tally.reported for each, tally in tallies.items() if each in IN_TOTAL),
            categories=tuple(
                self._category(unit, each, tallies[each])
                for each in Category
                if tallies.get(each, NOTHING) != NOTHING
            ),
        )

    def pending(self, unit: str, today: date, limit: int, after: Cursor | None) -> PendingPage:
        """A page of a unit's pending records behind the cursor (None: the first page)."""
        start = after or _START
        candidates = self._store.rows(
            _CANDIDATES, unit=unit, never=NEVER, due=start.deadline, key=start.key, limit=limit
        )
        ((total,),) = self._store.rows(_PENDING_COUNT, unit=unit)
        order = {Cursor(due, key): None for due, key, *_ in candidates}
        found = {}
        if candidates:
            _, keys, categories, days = map(list, zip(*candidates, strict=True))
            for key, due, *told in self._store.rows(
                _PENDING, unit=unit, never=NEVER, categories=categories, days=days, keys=keys
            ):
                found[Cursor(due, key)] = told
        return PendingPage(
            unit=unit,
            total=total,
            # What is due on another day by now has its turn there.
            records=tuple(
                self._pending(place, today, *found[place]) for place in order if place in found
            ),
            next=str([*order][-1]) if len(candidates) == limit else None,
        )

    def ranking(self, month: Month) -> Ranking:
        """The month's ranking; the published one once it is published."""
        edition = StoredFigures(self._store).frozen(month)
        figures = edition.figures if edition else self._figures(month)
        return Ranking(
            month=str(month),
            published=edition is not None,
            groups=tuple(
                self._group(figures, kind, each) for each in DOUBLE_PUBLICITY for kind in UnitKind
            ),
        )

    def _category(self, unit: str, category: Category, tally: Tally) -> CategorySummary:
        held_to = self._registry.thresholds_for(unit, category)
        enough = held_to is not None and tally.reported >= held_to.min_count
        compliance, timeliness = (
            _rate(kind.of(tally), held_to.lines(kind) if held_to else None, enough=enough)
            for kind in RateKind
        )
        return CategorySummary(
            category=category,
            name=category.zh,
            **tally._asdict(),
            pending=tally.pending,
            compliance=compliance,
            timeliness=timeliness,
        )

    def _pending(
        self,
        place: Cursor,
        today: date,
        category: str,
        document: str,
        subject: str,
        day: date,
        submission: str,
        reasons: Iterable[Any],
    ) -> PendingRecord:
        deadline = None if place.deadline == NEVER else place.deadline
        overdue = deadline is not None and deadline < today
        return PendingRecord(
            record_key=place.key,
            category=Category(category),
            document=document,
            subject=subject,
            received_on=day,
            deadline=deadline,
            overdue=overdue,
            days_left=None
            if deadline is None or overdue
            else self._calendar.working_days_between(today, deadline),
            submission=submission,
            reasons=tuple(_reasons(reasons)),
        )

    def _figures(self, month: Month) -> Figures:
        rows = self._store.rows(
            _ALL_UNITS, first=month.first, last=month.last, categories=[*DOUBLE_PUBLICITY]
        )
        return Figures(
            month,
            {Duty(unit, Category(category)): Tally(*counts) for unit, category, *counts in rows},
        )

    def _group(self, figures: Figures, kind: UnitKind, category: Category) -> RankedGroup:
        units = [unit.id for unit in self._registry.units if unit.kind is kind]
        compliance = standings(figures, units, category, RateKind.COMPLIANCE)
        timeliness = standings(figures, units, category, RateKind.TIMELINESS)
        return RankedGroup(
            kind=kind,
            category=category,
            units=tuple(
                RankedUnit(
                    unit=unit,
                    reported=figures.of(unit, category).reported,
                    compliance=_ranked(compliance[unit]),
                    timeliness=_ranked(timeliness[unit]) if unit in timeliness else None,
                )
                for unit in sorted(compliance, key=lambda unit: compliance[unit].rank)
            ),
        )


def _ranked(standing: Standing) -> RankedRate:
    return RankedRate(percent=float(standing.rate), rank=standing.rank)


def _rate(percent: Decimal | None, lines: AlertLines | None, *, enough: bool) -> Rate:
    if lines is None:
        return Rate(percent=_plain(percent))
    level: Literal["ok", "warning", "critical"] | None = None
    if percent is not None and enough:
        level = "ok" if percent >= lines.warning else "warning"
        level = "critical" if percent < lines.critical else level
    return Rate(
        percent=_plain(percent),
        warning=_plain(lines.warning),
        critical=_plain(lines.critical),
        level=level,
    )


def _plain(percent: Decimal | None) -> float | None:
    return None if percent is None else float(percent)


def _reasons(stored: Iterable[Any]) -> Iterator[BrokenRule]:
    return (BrokenRule.model_validate(reason) for reason in stored)
