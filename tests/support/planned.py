"""Figures of simulated months, with no database: for tests, and to try the bulletin's rules."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from models.bulletin import DetailRow, Edition, Figures
from models.calendar import Calendar
from models.judging import judge
from models.month import Month
from models.registry import Registry
from models.submission import Position
from models.tally import Duty, Tally
from models.verdict import Verdict
from models.words import Category
from streams.bulletin import AlreadyFrozenError
from streams.demo.simulate import Plan, submissions
from tests.support.samples import submitted


class PlannedFigures:
    """A `FiguresSource` of plans: the figures of the simulator's submissions once judged."""

    def __init__(self, plans: Sequence[Plan], registry: Registry, calendar: Calendar) -> None:
        self._plans = {plan.month: plan for plan in plans}
        self._registry = registry
        self._calendar = calendar
        self._frozen: dict[Month, Edition] = {}

    def figures(self, month: Month) -> Figures:
        """The plan's counts; none where the month has no plan."""
        plan = self._plans.get(month)
        return Figures(
            month,
            {
                Duty(cell.unit, cell.category): Tally(
                    cell.reported, cell.compliant, cell.timely, cell.compliant - cell.timely
                )
                for cell in (plan.cells if plan else ())
            },
        )

    def details(self, month: Month, unit: str) -> Iterator[DetailRow]:
        """The unit's records, judged again."""
        plan = self._plans.get(month)
        cells = tuple(cell for cell in plan.cells if cell.unit == unit) if plan else ()
        if plan is None or not cells:
            return
        latest: dict[bytes, Verdict] = {}
        for offset, line in enumerate(submissions(replace(plan, cells=cells), self._calendar)):
            submission = submitted(line, self._registry, Position(1, offset))
            before = latest.get(submission.record_key)
            state = before.state if before else None
            verdict = judge(submission, state, self._registry, self._calendar)
            latest[verdict.record_key] = verdict
        order = list(Category)
        for verdict in sorted(
            latest.values(), key=lambda each: (order.index(each.state.category), each.state.day)
        ):
            if not verdict.state.withdrawn:
                yield _row(verdict)

    def frozen_months(self) -> Sequence[Month]:
        """Those frozen since this was made."""
        return sorted(self._frozen)

    def frozen(self, month: Month) -> Edition | None:
        """The edition that was frozen."""
        return self._frozen.get(month)

    def freeze(self, edition: Edition) -> None:
        """Keep it as long as this lives."""
        if edition.month in self._frozen:
            raise AlreadyFrozenError(f"{edition.month} 的通报已经定稿")
        self._frozen[edition.month] = edition


def _row(verdict: Verdict) -> DetailRow:
    state = verdict.state
    return DetailRow(
        record_key=verdict.record_key.hex(),
        category=state.category,
        document=verdict.document,
        subject=verdict.subject,
        decided=verdict.decided,
        deadline=state.deadline,
        received=state.day,
        first_compliant=state.first_compliant,
        compliant=state.compliant,
        timely=state.timely,
        reasons=tuple(reason.message for reason in verdict.reasons),
    )
