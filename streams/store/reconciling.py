"""What reconciling asks: the figures of a month as stored and as counted again, and the records."""

from typing import Final, Literal, NamedTuple

from models.month import Month
from models.tally import Bucket, Tally
from models.words import Category
from streams.store.client import Store
from streams.store.tally_columns import TALLY_COLUMNS


class Contribution(NamedTuple):
    """What a record counts for, and as of which submission."""

    epoch: int
    offset: int
    compliant: bool
    timely: bool | None
    withdrawn: bool
    corrections: int
    duplicates: int


_MONTH: Final = f"""
SELECT unit, category, day, {TALLY_COLUMNS}
FROM {{view:Identifier}}
WHERE day BETWEEN {{first:Date}} AND {{last:Date}}
"""  # noqa: S608 - our own names

_OF_BUCKET: Final = "unit = {unit:String} AND category = {category:String} AND day = {day:Date}"
_CONTRIBUTION: Final = ", ".join(Contribution._fields)
_LATEST: Final = {
    "records": f"""
SELECT lower(hex(record_key)), {_CONTRIBUTION}
FROM records FINAL
WHERE {_OF_BUCKET}
""",  # noqa: S608 - our own names
    "submissions": f"""
SELECT lower(hex(record_key)), {_CONTRIBUTION}
FROM submissions
WHERE {_OF_BUCKET}
ORDER BY position DESC
LIMIT 1 BY record_key
""",  # noqa: S608 - our own names
}


def stored_tallies(store: Store, month: Month) -> dict[Bucket, Tally]:
    """The month's tallies as the stream counted them."""
    return _tallies(store, "tallies_daily", month)


def counted_tallies(store: Store, month: Month) -> dict[Bucket, Tally]:
    """The month's tallies, counted again from the records."""
    return _tallies(store, "records_daily", month)


def contributions(
    store: Store, table: Literal["records", "submissions"], bucket: Bucket
) -> dict[str, Contribution]:
    """What each record of a bucket counts for, by its key (hexadecimal), as a table has it."""
    unit, category, day = bucket
    return {
        key: Contribution(*given)
        for key, *given in store.rows(_LATEST[table], unit=unit, category=category.value, day=day)
    }


def _tallies(store: Store, view: str, month: Month) -> dict[Bucket, Tally]:
    return {
        Bucket(unit, Category(category), day): Tally(*counts)
        for unit, category, day, *counts in store.rows(
            _MONTH, view=view, first=month.first, last=month.last
        )
        if any(counts)
    }
