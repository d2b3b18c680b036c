"""合规率 and 及时率: the one rule of a rate, and how each engine computes it.

Percent, two decimals, half up; where there is no denominator there is no rate, never 0 or 100. All
three renderings divide whole numbers, so that a half is exactly a half, and give the same figure
for counts up to a hundred billion.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Protocol, Self


class Counts(Protocol):
    """The counts of records that rates are made of."""

    @property
    def reported(self) -> int:
        """报送量."""

    @property
    def compliant(self) -> int:
        """合规量."""

    @property
    def timely(self) -> int:
        """及时量: compliant and timely."""


class RateKind(StrEnum):
    """The two rates. `part` and `whole` name the counts that each divides, `zh` is its word."""

    zh: str
    part: str
    whole: str

    COMPLIANCE = "compliance", "合规率", "compliant", "reported"
    TIMELINESS = "timeliness", "及时率", "timely", "compliant"

    def __new__(cls, value: str, zh: str, part: str, whole: str) -> Self:
        """Make the member that a row above describes."""
        kind = str.__new__(cls, value)
        kind._value_ = value
        kind.zh, kind.part, kind.whole = zh, part, whole
        return kind

    def of(self, counts: Counts) -> Decimal | None:
        """This rate of these counts."""
        return rate(getattr(counts, self.part), getattr(counts, self.whole))


def rate(part: int, whole: int) -> Decimal | None:
    """`part` of `whole` in percent; None where there is no whole."""
    if whole == 0:
        return None
    return Decimal((20_000 * part + whole) // (2 * whole)).scaleb(-2)


def rate_sql(part: str, whole: str) -> str:
    """The same in ClickHouse's SQL, over two columns or calls; NULL where there is no whole."""
    return f"if({whole} = 0, NULL, intDiv(20000 * {part} + {whole}, 2 * {whole}) / 100)"


def rate_promql(part: str, whole: str) -> str:
    """The same in PromQL, over two metrics or calls; no sample where there is no whole."""
    return f"floor((20000 * {part} + {whole}) / (2 * ({whole} > 0))) / 100"
