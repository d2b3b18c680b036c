"""明细: the records behind a unit's figures, as a table that its contact opens and filters."""

import csv
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Final

from models.bulletin import DetailRow
from models.tally import NOTHING, Tally
from models.words import Category

HEADINGS: Final = (
    "信息类别",
    "文书号",
    "名称",
    "决定日期",
    "报送期限",
    "首次报送",
    "首次合规",
    "是否合规",
    "是否及时",
    "原因",
    "信息编号",
)

_TIMELY: Final = {True: "及时", False: "逾期", None: "未定"}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula (OWASP, CSV Injection)."""


def write_details(rows: Iterable[DetailRow], path: Path) -> dict[Category, Tally]:
    """Write the rows as CSV that Excel and WPS open; their counts, by category.

    One row after the other: memory does not grow with their number.
    """
    counted: dict[Category, Tally] = {}
    # The mark at the start shows spreadsheets that it is UTF-8.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS)
        for row in rows:
            counted[row.category] = counted.get(row.category, NOTHING).plus(_counts(row))
            writer.writerow(
                (
                    row.category.zh,
                    _plain(row.document),
                    _plain(row.subject),
                    _day(row.decided),
                    _day(row.deadline),
                    _day(row.received),
                    _day(row.first_compliant),
                    "合规" if row.compliant else "不合规",
                    _TIMELY[row.timely],
                    _plain("；".join(row.reasons)),
                    f"#{row.record_key}",
                )
            )
    return counted


def _counts(row: DetailRow) -> Tally:
    timely = row.compliant and row.timely is True
    late = row.compliant and row.timely is False
    return Tally(1, int(row.compliant), int(timely), int(late))


def _plain(text: str) -> str:
    """The text, kept from being run as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _day(day: date | None) -> str:
    return day.isoformat() if day else ""
