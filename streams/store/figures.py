"""Figures of the store: the tallies, records and published bulletins that ClickHouse keeps."""

from collections.abc import Iterator, Sequence
from typing import Final

import orjson

from models.bulletin import Activity, DetailRow, Edition, Figures
from models.month import Month
from models.tally import Duty, Tally
from models.words import Category
from streams.bulletin import AlreadyFrozenError
from streams.store.client import Store
from streams.store.tally_columns import TALLY_SUMS

_FIGURES: Final = f"""
SELECT unit, category, {TALLY_SUMS}
FROM tallies_daily
WHERE day BETWEEN {{first:Date}} AND {{last:Date}}
GROUP BY unit, category
ORDER BY unit, category
"""  # noqa: S608 - our own names

_DETAILS: Final = """
SELECT record_key, document, subject, decided, deadline, day, first_compliant, compliant, timely,
    reasons.message
FROM records_now
WHERE unit = {unit:String} AND category = {category:String}
    AND day BETWEEN {first:Date} AND {last:Date} AND NOT withdrawn
ORDER BY day, record_key
"""


_ACTIVITIES: Final = """
SELECT unit, printed['KF_MT'], printed['GJ_BT'], printed['WZLJ'], printed['BZ']
FROM records_now
WHERE category = 'publicity' AND day BETWEEN {first:Date} AND {last:Date} AND compliant
    AND NOT withdrawn
ORDER BY unit, decided, record_key
"""


class StoredFigures:
    """A `FiguresSource` over an open store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def figures(self, month: Month) -> Figures:
        """The month's tallies and compliant publicity as they are now."""
        rows = self._store.rows(_FIGURES, first=month.first, last=month.last)
        return Figures(
            month,
            {
                Duty(unit, Category(category)): Tally(*counts)
                for unit, category, *counts in rows
                if any(counts)
            },
            tuple(
                Activity(*row)
                for row in self._store.rows(_ACTIVITIES, first=month.first, last=month.last)
            ),
        )

    def details(self, month: Month, unit: str) -> Iterator[DetailRow]:
        """The unit's records of the month that are not withdrawn."""
        for category in Category:
            rows = self._store.rows(
                _DETAILS, unit=unit, category=category.value, first=month.first, last=month.last
            )
            for key, document, subject, *days, compliant, timely, reasons in rows:
                decided, deadline, received, first_compliant = days
                yield DetailRow(
                    key,
                    category,
                    document,
                    subject,
                    decided,
                    deadline,
                    received,
                    first_compliant,
                    compliant,
                    timely,
                    tuple(reasons),
                )

    def frozen_months(self) -> Sequence[Month]:
        """The months whose bulletins are published."""
        rows = self._store.rows("SELECT month FROM bulletins ORDER BY month")
        return [Month.of(month) for (month,) in rows]

    def frozen(self, month: Month) -> Edition | None:
        """The month's edition as it was published."""
        rows = self._store.rows(
            "SELECT bulletin FROM bulletins WHERE month = {month:String}", month=str(month)
        )
        return Edition.of_json(rows[0][0]) if rows else None

    def freeze(self, edition: Edition) -> None:
        """Keep the edition; of two at the same time the first one counts.

        Raises:
            AlreadyFrozenError: there is one of the month.
        """
        if self.frozen(edition.month) is not None:
            raise AlreadyFrozenError(f"{edition.month} 的通报已经定稿")
        row = {
            "month": str(edition.month),
            "frozen_at": edition.frozen_at,
            "content": edition.to_json().decode(),
        }
        self._store.insert("frozen_bulletins", [orjson.dumps(row)])
