"""已公布的通报: the published tables of past months, as a fixed point to reproduce.

A month is a folder (`2022-06`) beside this module; its CSV files are the bulletin's annexes 2
(districts) and 1 (departments), columns put right. They keep the faults of what was printed.
"""

import csv
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from typing import Final

from models.month import Month
from streams.errors import InputError

TABLES: Final = ("districts.csv", "departments.csv")
"""The tables of a month, in the order they are read."""


@dataclass(frozen=True, slots=True)
class PublishedCell:
    """One number of a published table, with its rates where the table has them.

    `category` is the column as printed: 总报送量, 五类未列明 or a category's Chinese name. A rate
    is the percent as printed, None where the table has none. `basis` says whether the number is
    printed (annex1, annex2, …) or inferred; `note` says why.
    """

    unit: str
    category: str
    count: int
    compliance_rate: Decimal | None
    timeliness_rate: Decimal | None
    basis: str
    note: str


def published_months() -> list[Month]:
    """The months there are, the oldest first."""
    folder = files(__name__)
    return sorted(
        Month.of(entry.name) for entry in folder.iterdir() if (entry / TABLES[0]).is_file()
    )


def published_month(month: Month) -> list[PublishedCell]:
    """Every cell of a published month, districts first, in the tables' own order.

    Raises:
        InputError: that month is not here; the message (Chinese) names those that are.
    """
    months = published_months()
    if month not in months:
        raise InputError(f"没有 {month} 的已公布通报，现有：{'、'.join(map(str, months))}")
    folder = files(__name__) / str(month)
    return [
        PublishedCell(
            unit=row["unit"],
            category=row["category"],
            count=int(row["count"]),
            compliance_rate=_percent(row["compliance_rate"]),
            timeliness_rate=_percent(row["timeliness_rate"]),
            basis=row["basis"],
            note=row["note"],
        )
        for table in TABLES
        for row in csv.DictReader((folder / table).read_text("utf-8").splitlines())
    ]


def _percent(text: str) -> Decimal | None:
    return Decimal(text) if text else None
