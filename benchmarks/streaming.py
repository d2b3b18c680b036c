"""Judged records a second of a whole worker, beside others that do the same or a part of it."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from benchmarks.ground import BASELINE, BenchError
from benchmarks.race import Course, Speed, race, runnable


class Entry(NamedTuple):
    """A contestant, with that many processes."""

    program: str
    processes: int = 1

    def __str__(self) -> str:
        return f"{self.program} ×{self.processes}" if self.processes > 1 else self.program


OURS: Final = Entry("xinshao")
TWO: Final = Entry("xinshao", 2)
ENTRIES: Final = (
    OURS,
    Entry(BASELINE),
    Entry("echo"),
    Entry("quix job"),
    Entry("faust job"),
    Entry("bytewax job"),
    Entry("quix counting"),
    Entry("faust counting"),
    Entry("bytewax counting"),
    Entry("getmany"),
    TWO,
)


@dataclass(frozen=True)
class Goal:
    """How many times as fast as another an entry is to be (docs/benchmarks.md).

    Without `at_least` it is measured, and no goal.
    """

    over: Entry
    at_least: float | None = None
    aim: float | None = None
    entry: Entry = OURS


GOALS: Final = (
    Goal(Entry("echo"), 0.4, 0.6),
    Goal(Entry("quix job"), 4.5, 6),
    Goal(Entry("faust job"), 12, 20),
    Goal(Entry("bytewax job")),
    Goal(Entry("quix counting"), 2, 3),
    Goal(Entry("faust counting")),
    Goal(Entry("bytewax counting"), 0.35, 0.6),
    Goal(Entry("getmany")),
    Goal(Entry(BASELINE), 2.2, 3),
    Goal(OURS, entry=TWO),
)


class Ratio(NamedTuple):
    """A goal that was measured: ratios of medians."""

    goal: Goal
    speed: float
    cpu: float
    """How many times the processor time of a record the other takes: what a busy machine says."""


def compare(
    course: Course, rounds: int, seconds: float, show: Callable[[str], None]
) -> tuple[dict[Entry, list[Speed]], dict[Entry, str]]:
    """Race every entry that is there, round by round; also why others are left out.

    Raises:
        BenchError: our own worker failed.
    """
    speeds: dict[Entry, list[Speed]] = {
        entry: [] for entry in ENTRIES if runnable(course, entry.program)
    }
    failed: dict[Entry, str] = {}
    for number in range(rounds):
        for entry in [*speeds]:
            show(f"round {number + 1} of {rounds}: {entry}")
            try:
                speeds[entry].append(race(course, entry.program, seconds, entry.processes))
            except BenchError as error:
                if entry == OURS:
                    raise
                failed[entry] = str(error)
                del speeds[entry]
    return speeds, failed


def ratios(speeds: Mapping[Entry, list[Speed]]) -> Iterator[Ratio]:
    """Every goal whose two entries were measured."""
    for goal in GOALS:
        if goal.entry in speeds and goal.over in speeds:
            ours, other = speeds[goal.entry], speeds[goal.over]
            yield Ratio(
                goal,
                statistics.median(each.per_second for each in ours)
                / statistics.median(each.per_second for each in other),
                statistics.median(each.cpu_us for each in other)
                / statistics.median(each.cpu_us for each in ours),
            )
