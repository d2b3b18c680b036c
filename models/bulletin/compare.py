"""与已公布数字的差异: where the figures are not what an official bulletin printed, and why."""

from collections.abc import Iterable, Iterator
from typing import Final

from models.bulletin.document import Cell, Discrepancy, Value
from models.bulletin.figures import PrintedCell
from models.rates import RateKind
from models.tally import NOTHING, Duty
from models.words import DOUBLE_PUBLICITY

UNKNOWN: Final = "与已公布的不同，原因待核实"


def discrepancies(cells: Iterable[Cell], printed: Iterable[PrintedCell]) -> Iterator[Discrepancy]:
    """Every number and rate that differs from what was printed, or was not printed at all.

    A difference that no known fault of the print explains has the reason `UNKNOWN`.
    """
    ours = {Duty(cell.unit, cell.category): cell.tally for cell in cells}
    theirs = {Duty(cell.unit, cell.category): cell for cell in printed}
    for duty in dict.fromkeys((*theirs, *ours)):
        tally = ours.get(duty, NOTHING)
        cell = theirs.get(duty) or PrintedCell(*duty, reported=0)
        items: list[tuple[str, Value, Value, str | None]] = [
            ("数量", cell.reported, tally.reported, cell.inferred)
        ]
        if duty.category in DOUBLE_PUBLICITY:
            compliance = (cell.compliance_rate, tally.compliance_rate, cell.compliance_fault)
            timeliness = (cell.timeliness_rate, tally.timeliness_rate, cell.timeliness_fault)
            items += [
                (RateKind.COMPLIANCE.zh, *compliance),
                (RateKind.TIMELINESS.zh, *timeliness),
            ]
        for item, said, found, fault in items:
            if said != found:
                yield Discrepancy(*duty, item, said, found, fault or UNKNOWN)
