"""The bulletin for machines: flat cells, and the sections, annexes and comparisons."""

from decimal import Decimal
from typing import Any

import orjson

from models.bulletin import Bulletin
from models.bulletin.document import Cell, Change, Section, Standing, Table, Value
from models.bulletin.figures import Revision
from models.tally import Tally


def render(bulletin: Bulletin) -> bytes:
    """One JSON object; `cells` is what other programs read (docs/operations.md).

    Rates are numbers with two decimals, in percent, or null.
    """
    document = {
        "month": str(bulletin.month),
        "frozen": bulletin.frozen,
        "number": bulletin.number,
        "title": bulletin.title,
        "addressee": bulletin.addressee,
        "opening": bulletin.opening,
        "sections": [_section(section) for section in bulletin.sections],
        "contact": bulletin.contact,
        "signatory": bulletin.signatory,
        "signed": bulletin.signed or None,
        "annexes": [_table(table) for table in bulletin.annexes],
        "cells": [_cell(cell) for cell in bulletin.cells],
        "silent": bulletin.silent,
        "changes": [_change(change) for change in bulletin.changes],
        "revisions": [_revision(revision) for revision in bulletin.revisions],
        "comparison": [
            {
                "unit": each.unit,
                "category": each.category,
                "item": each.item,
                "published": _plain(each.printed),
                "computed": _plain(each.ours),
                "reason": each.reason,
            }
            for each in bulletin.discrepancies
        ]
        if bulletin.comparison
        else None,
        "errata": bulletin.errata,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _section(section: Section) -> dict[str, Any]:
    return {
        "heading": section.heading,
        "paragraphs": section.paragraphs,
        "table": section.table and _table(section.table),
        "sections": [_section(part) for part in section.parts],
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "columns": table.paths,
        "rows": [[_plain(value) for value in row] for row in table.rows],
    }


def _plain(value: Value) -> int | float | str | None:
    return float(value) if isinstance(value, Decimal) else value


def _counts(tally: Tally) -> dict[str, Any]:
    return {
        "reported": tally.reported,
        "compliant": tally.compliant,
        "timely": tally.timely,
        "compliance_rate": _plain(tally.compliance_rate),
        "timeliness_rate": _plain(tally.timeliness_rate),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "unit": cell.unit,
        "kind": cell.kind,
        "category": cell.category,
        **_counts(cell.tally),
    }


def _change(change: Change) -> dict[str, Any]:
    reported, previously = change.reported
    return {
        "unit": change.unit,
        "kind": change.kind,
        "category": change.category,
        "reported": reported,
        "previously_reported": previously,
        "compliance": _moved(*change.compliance),
        "timeliness": _moved(*change.timeliness),
    }


def _moved(now: Standing | None, before: Standing | None) -> dict[str, Any]:
    return {
        "rate": now and _plain(now.rate),
        "previous_rate": before and _plain(before.rate),
        "points": _plain(now.rate - before.rate) if now and before else None,
        "rank": now and now.rank,
        "previous_rank": before and before.rank,
        "climbed": before.rank - now.rank if now and before else None,
    }


def _revision(revision: Revision) -> dict[str, Any]:
    return {
        "month": str(revision.month),
        "unit": revision.duty.unit,
        "category": revision.duty.category,
        "published": _counts(revision.told),
        "revised": _counts(revision.now),
    }
