"""Judged events a second of a whole worker, beside other ways to read the same topic."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from benchmarks.race import Course, Speed, race, runnable


class Entry(NamedTuple):
    """A contestant at a broker, with so many processes."""

    broker: str
    program: str
    processes: int = 1

    def __str__(self) -> str:
        workers = f" ×{self.processes}" if self.processes > 1 else ""
        return f"{self.program}{workers} ({self.broker})"


OURS: Final = Entry("kafka", "ours")
TWO: Final = Entry("kafka", "ours", 2)
ENTRIES: Final = (
    OURS,
    Entry("kafka", "getmany"),
    Entry("kafka", "async for"),
    Entry("kafka", "faust"),
    Entry("kafka", "quix stateful"),
    Entry("kafka", "quix"),
    Entry("kafka", "bytewax"),
    TWO,
    Entry("tansu", "ours"),
    Entry("tansu", "getmany"),
)


@dataclass(frozen=True)
class Goal:
    """How many times as fast as another an entry is to be (DESIGN section 9)."""

    name: str
    entry: Entry
    over: Entry
    at_least: float | None
    """None: it is measured, and no goal."""


GOALS: Final = (
    Goal("a: bare aiokafka, getmany", OURS, Entry("kafka", "getmany"), 0.6),
    Goal("a: bare aiokafka, async for", OURS, Entry("kafka", "async for"), None),
    Goal("a: bare aiokafka, getmany", Entry("tansu", "ours"), Entry("tansu", "getmany"), 0.6),
    Goal("b: Faust agent with a table", OURS, Entry("kafka", "faust"), 10),
    Goal("c: Quix with its state", OURS, Entry("kafka", "quix stateful"), 3),
    Goal("c: Quix without state", OURS, Entry("kafka", "quix"), 1),
    Goal("c: Bytewax without state", OURS, Entry("kafka", "bytewax"), 1),
    Goal("scaling from 1 to 2 workers", TWO, OURS, None),
)


def compare(
    courses: Mapping[str, Course],
    rounds: int,
    seconds: float,
    show: Callable[[str], None],
) -> dict[Entry, list[Speed]]:
    """Race every entry whose broker and package are there, round by round."""
    speeds: dict[Entry, list[Speed]] = {
        entry: [] for entry in ENTRIES if entry.broker in courses and runnable(entry.program)
    }
    for number in range(rounds):
        for entry, found in speeds.items():
            show(f"round {number + 1} of {rounds}: {entry}")
            found.append(race(courses[entry.broker], entry.program, seconds, entry.processes))
    return speeds


def median(speeds: list[Speed]) -> float:
    """The median of records a second."""
    return statistics.median(speed.per_second for speed in speeds)


def ratios(speeds: Mapping[Entry, list[Speed]]) -> Iterator[tuple[Goal, float]]:
    """Every goal whose two entries were measured, with the ratio of their medians."""
    for goal in GOALS:
        if goal.entry in speeds and goal.over in speeds:
            yield goal, median(speeds[goal.entry]) / median(speeds[goal.over])
