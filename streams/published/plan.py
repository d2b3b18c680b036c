"""A published month as a plan: how many records of each kind would print those tables.

The tables give a count and two rounded rates a cell; the plan gives whole numbers. Where none fits
what is printed, the plan takes the nearest and says so: the fault is the table's, not ours.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Final, NamedTuple, Self

from models.month import Month
from models.rates import RateKind, rate
from models.words import CATEGORY_OF, IN_TOTAL, Category
from streams.errors import InputError
from streams.published import PublishedCell, published_month

TOTAL: Final = "总报送量"
UNLISTED: Final = "五类未列明"
INFERRED: Final = "inferred"
UNLISTED_AS: Final = {"硚口区": Category.CONFIRMATION, "市交通运输局": Category.ENFORCEMENT}
"""Where the records go whose column the published table lost (docs/rules.md, section 7)."""


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """What one unit will have reported of one category by the end of the month.

    `timely` counts compliant records only. A fault (Chinese) says why the printed rate is not the
    one that the counts give; `inferred` (Chinese) why the count is not one that was printed.
    """

    unit: str
    category: Category
    reported: int
    compliant: int
    timely: int
    published_compliance_rate: Decimal | None = None
    published_timeliness_rate: Decimal | None = None
    compliance_fault: str | None = None
    timeliness_fault: str | None = None
    inferred: str | None = None

    @property
    def compliance_rate(self) -> Decimal | None:
        """The rate that the planned counts give."""
        return RateKind.COMPLIANCE.of(self)

    @property
    def timeliness_rate(self) -> Decimal | None:
        """The rate that the planned counts give; None where nothing is compliant."""
        return RateKind.TIMELINESS.of(self)

    @property
    def fault(self) -> str | None:
        """Every fault of the printed rates in one text."""
        return "；".join(filter(None, (self.compliance_fault, self.timeliness_fault))) or None

    def scaled(self, scale: Decimal) -> "PlannedCell":
        """The cell with its counts times `scale` and its rates as near as whole numbers allow."""
        reported = max(_nearest(self.reported * scale), min(1, self.reported))
        compliant = _nearest(reported * Decimal(self.compliant) / (self.reported or 1))
        timely = _nearest(compliant * Decimal(self.timely) / (self.compliant or 1))
        return replace(self, reported=reported, compliant=compliant, timely=timely)


class Deviation(NamedTuple):
    """How far a planned rate is from the published one, in percentage points (not negative)."""

    cell: PlannedCell
    kind: RateKind
    published: Decimal
    planned: Decimal
    points: Decimal


@dataclass(frozen=True, slots=True)
class Plan:
    """The cells of a month, in the order of its published tables."""

    month: Month
    scale: Decimal
    cells: tuple[PlannedCell, ...]

    @classmethod
    def of_month(cls, month: Month, scale: Decimal | float = 1) -> Self:
        """The plan of a published month, its counts times `scale`.

        A count that was not 0 stays at least 1. Categories without printed rates are planned
        compliant and timely throughout.

        Raises:
            InputError: no such month is published here, `scale` is not above 0, or a unit's
                categories do not add up to its total.
        """
        factor = Decimal(str(scale))
        if not factor > 0:
            raise InputError("scale 应大于 0")
        published = published_month(month)
        cells = tuple(_planned(published))
        _check_totals(published, cells)
        return cls(month, factor, tuple(cell.scaled(factor) for cell in cells))

    @property
    def reported(self) -> int:
        """All records of the month, of every category."""
        return sum(cell.reported for cell in self.cells)

    @property
    def deviations(self) -> list[Deviation]:
        """Every planned rate that is not the published one, the largest deviation first."""
        found = [
            Deviation(cell, kind, published, planned, abs(planned - published))
            for cell in self.cells
            for kind, published, planned in (
                (RateKind.COMPLIANCE, cell.published_compliance_rate, cell.compliance_rate),
                (RateKind.TIMELINESS, cell.published_timeliness_rate, cell.timeliness_rate),
            )
            if published is not None and planned is not None and planned != published
        ]
        return sorted(found, key=lambda deviation: deviation.points, reverse=True)


def _planned(published: list[PublishedCell]) -> Iterator[PlannedCell]:
    for cell in published:
        if cell.category == TOTAL:
            continue
        inferred: str | None = None
        if cell.category == UNLISTED:
            category = UNLISTED_AS[cell.unit]
            inferred = f"公布的表中没有列出类别，推定为{category.zh}：{cell.note}"
        else:
            category = CATEGORY_OF[cell.category]
            if cell.basis == INFERRED:
                inferred = cell.note
        compliant = _Fit(cell.count)
        if cell.compliance_rate is not None:
            compliant = _fit(RateKind.COMPLIANCE.zh, cell.compliance_rate, cell.count)
        timely = _Fit(compliant.part)
        if cell.timeliness_rate is not None:
            timely = _fit(RateKind.TIMELINESS.zh, cell.timeliness_rate, compliant.part)
            if not compliant.possible:
                fault = (
                    f"及时率{cell.timeliness_rate}%无法核实：合规率不能确定合规条数，"
                    f"按{compliant.part}条取最接近的{timely.part}条"
                )
                timely = timely._replace(fault=fault)
        yield PlannedCell(
            cell.unit,
            category,
            cell.count,
            compliant.part,
            timely.part,
            cell.compliance_rate,
            cell.timeliness_rate,
            compliant.fault,
            timely.fault,
            inferred,
        )


class _Fit(NamedTuple):
    """What a printed rate is a rate of: the fault of the print, and whether anything fits it."""

    part: int
    fault: str | None = None
    possible: bool = True


def _fit(name: str, printed: Decimal, whole: int) -> _Fit:
    """The part of `whole` that a printed rate means, the nearest where none can be meant."""
    exact = printed * whole / 100
    below = int(exact)
    near = sorted((below, min(below + 1, whole)), key=lambda part: abs(part - exact))
    for reading in _READINGS:
        for part in near:
            if reading.prints(part, whole, printed):
                if reading.fault is None:
                    return _Fit(part)
                given = rate(part, whole)
                return _Fit(part, f"{name}{printed}%{reading.fault}：{part}/{whole}为{given}%")
    part = near[0]
    fault = (
        f"{name}{printed}%不可能：{whole}条中没有整数条数合此比率，"
        f"取最接近的{part}条（{rate(part, whole)}%）"
    )
    return _Fit(part, fault, possible=False)


class _Reading(NamedTuple):
    """One way in which a printed rate can have been made of two whole numbers."""

    fault: str | None
    prints: Callable[[int, int, Decimal], bool]


def _truncated(part: int, whole: int, printed: Decimal) -> bool:
    return (Decimal(100 * part) / whole).quantize(printed, ROUND_DOWN) == printed


def _fewer_decimals(part: int, whole: int, printed: Decimal) -> bool:
    """Whether it is rounded to the decimals that are left without the trailing zeros."""
    exponent = printed.normalize().as_tuple().exponent
    decimals = Decimal(1).scaleb(min(0, int(exponent)))
    return (Decimal(100 * part) / whole).quantize(decimals, ROUND_HALF_UP) == printed


_READINGS: Final = (
    _Reading(None, lambda part, whole, printed: rate(part, whole) == printed),
    _Reading("是截断而非四舍五入", _truncated),
    _Reading("少保留了小数位", _fewer_decimals),
)


def _check_totals(published: list[PublishedCell], cells: tuple[PlannedCell, ...]) -> None:
    for cell in published:
        if cell.category != TOTAL:
            continue
        total = sum(
            planned.reported
            for planned in cells
            if planned.unit == cell.unit and planned.category in IN_TOTAL
        )
        if total != cell.count:
            raise InputError(f"{cell.unit}各类别之和{total}与公布的总报送量{cell.count}不符")


def _nearest(number: Decimal) -> int:
    return int(number.to_integral_value(ROUND_HALF_UP))
