"""统计量: counts of records.

Tallies form a commutative group under addition: a verdict's effect on the counts is
`Tally.of(new) - Tally.of(old)`, in whatever order verdicts of different records are added.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import NamedTuple, Self

from models.rates import RateKind
from models.verdict import RecordState
from models.words import Category


class Bucket(NamedTuple):
    """What a tally counts: one unit, one category, one day (Asia/Shanghai) of first receipt."""

    unit: str
    category: Category
    day: date


class Duty(NamedTuple):
    """What one unit has to report in one category; its pending records are counted together."""

    unit: str
    category: Category


Pending = dict[date | None, int]
"""待补正: how many pending records there are for each deadline (None: it is not known)."""


class Tally(NamedTuple):
    """Counts of records. `reported` is what is there now, without the withdrawn ones.

    `timely` and `late` count compliant records only (docs/rules.md, part 5); a compliant record
    in a category without a window is neither.
    """

    reported: int = 0
    compliant: int = 0
    timely: int = 0
    late: int = 0
    corrections: int = 0
    duplicates: int = 0
    withdrawn: int = 0

    @classmethod
    def of(cls, state: RecordState | None) -> Self:
        """What one record counts for; nothing when there is no such record."""
        if state is None:
            return cls()
        if state.withdrawn:
            return cls(corrections=state.corrections, duplicates=state.duplicates, withdrawn=1)
        compliant = state.compliant
        return cls(
            1,
            int(compliant),
            int(compliant and state.timely is True),
            int(compliant and state.timely is False),
            state.corrections,
            state.duplicates,
        )

    @property
    def pending(self) -> int:
        """待补正: reported but not compliant."""
        return self.reported - self.compliant

    @property
    def compliance_rate(self) -> Decimal | None:
        """合规率: percent of the reported records that are compliant."""
        return RateKind.COMPLIANCE.of(self)

    @property
    def timeliness_rate(self) -> Decimal | None:
        """及时率: percent of the *compliant* records that were timely."""
        return RateKind.TIMELINESS.of(self)

    def plus(self, other: "Tally") -> "Tally":
        """The sum, count by count."""
        return Tally(*(a + b for a, b in zip(self, other, strict=True)))

    def minus(self, other: "Tally") -> "Tally":
        """The difference, count by count; it may be negative."""
        return Tally(*(a - b for a, b in zip(self, other, strict=True)))


NOTHING = Tally()


class Tallies:
    """The fold over record states: a tally for each bucket, pending records for each duty.

    `changed` collects what was moved, for the code that publishes it.
    """

    def __init__(self) -> None:
        self._counts: dict[Bucket, list[int]] = {}
        self._pending: dict[Duty, Pending] = {}
        self.changed: set[Bucket | Duty] = set()

    def move(self, old: RecordState | None, new: RecordState) -> None:
        """Replace what the record counted for by what it counts for now.

        A record's unit, category and day are the same in both.
        """
        bucket = Bucket(new.unit, new.category, new.day)
        self.changed.add(bucket)
        counts = self._counts.get(bucket)
        if counts is None:
            counts = self._counts[bucket] = [0] * len(NOTHING)
        if (
            old is None
            and new.compliant
            and not (new.withdrawn or new.corrections or new.duplicates)
        ):
            # The common case, written out: it occurs thirty thousand times a second.
            counts[0] += 1
            counts[1] += 1
            if new.timely is not None:
                counts[2 if new.timely else 3] += 1
            return
        before = Tally.of(old)
        for index, count in enumerate(Tally.of(new)):
            counts[index] += count - before[index]
        for state, change in ((old, -1), (new, 1)):
            if state is not None and state.pending:
                self._move_pending(Duty(state.unit, state.category), state.deadline, change)

    def _move_pending(self, duty: Duty, deadline: date | None, change: int) -> None:
        self.changed.add(duty)
        pending = self._pending.setdefault(duty, {})
        count = pending.get(deadline, 0) + change
        if count:
            pending[deadline] = count
        else:
            del pending[deadline]

    def __getitem__(self, bucket: Bucket) -> Tally:
        """The bucket's tally; zeros where nothing was counted."""
        return Tally(*self._counts.get(bucket, NOTHING))

    def __iter__(self) -> Iterator[tuple[Bucket, Tally]]:
        """Every bucket with its tally."""
        return ((bucket, Tally(*counts)) for bucket, counts in self._counts.items())

    def pending(self, duty: Duty) -> Pending:
        """The duty's pending records by deadline: only what is not zero."""
        return dict(self._pending.get(duty, {}))

    @property
    def duties(self) -> Iterable[Duty]:
        """Every duty that ever had a pending record."""
        return self._pending.keys()
