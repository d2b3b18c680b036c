"""What judging costs in memory: in batches and alone, good records and bad ones.

    python -m benchmarks.judging PROGRAM FILE    one contestant, in its own process

Those of `BATCHES` and of `KINDS` read submissions, examine them together, conclude on each with the
state of every record so far, and encode the verdict, as the worker does. The others only read:
`orjson` and `pydantic-core` parse, `pydantic` validates by the licence's model while it parses.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, Final

import orjson
from pydantic_core import from_json

from benchmarks.contestants import AT_ONCE
from benchmarks.ground import child, licences_of
from benchmarks.work import REGISTRY, validation
from models.judging import conclude, examine, identify
from models.records import SCHEMAS
from models.submission import Position, Submission, Unreadable, read_delivery, read_submission
from models.verdict import RecordState
from models.words import Category, Op
from streams.log.wire import encode_verdict
from streams.registry import load_calendar, load_registry
from streams.worker import calm_garbage_collector

GOAL: Final = 2.0
"""How many times a clean batch a bad one may cost."""

_ITEMS: Final = SCHEMAS[Category.LICENCE].items
_STALE: Final = date(2019, 12, 31)


# -- bad records -----------------------------------------------------------------------------------


def _broken(record: dict[str, Any], number: int) -> None:
    """Five rules are broken, by values that no other record has."""
    del record["XK_XKWS"]
    record["XK_XDR_SHXYM"] = f"91420115MA{number:07d}I"
    record["XK_XKLB"] = f"类别{number}"
    record["XK_NR"] += f"\x07{number}"
    record["XK_YXQZI"] = str(date(1990, 1, 1) + timedelta(days=number % 9000))


def _stale(record: dict[str, Any], number: int) -> None:
    """Decided long ago: a warning on each."""
    record["XK_JDRQ"] = str(_STALE - timedelta(days=number % 1000))


def _nulls(record: dict[str, Any], _number: int) -> None:
    """Null wherever nothing was given."""
    for code in _ITEMS:
        record.setdefault(code, None)


def _long(record: dict[str, Any], number: int) -> None:
    """Every text that was given is longer than it may be, and no other record has it."""
    for code, item in _ITEMS.items():
        if item.limit is not None and record.get(code):
            record[code] = f"{number:08d}".ljust(item.limit + 1, "长")


Spoil = Callable[[dict[str, Any], int], None]
KINDS: Final[dict[str, Spoil]] = {
    "clean": lambda _record, _number: None,
    "broken rules": _broken,
    "date-stale": _stale,
    "nulls": _nulls,
    "long texts": _long,
}
"""Of the records of a batch. The first is what the others are compared with."""


def spoilt(lines: Iterable[bytes], spoil: Spoil) -> Iterator[bytes]:
    """The upserts that break no rule, each with its record spoilt."""
    registry, calendar = load_registry(REGISTRY), load_calendar(REGISTRY)
    read = [(line, read_submission(line, b"")) for line in lines]
    examined = examine([submission for _, submission in read], registry, calendar)
    for number, ((line, submission), found) in enumerate(zip(read, examined, strict=True)):
        if not isinstance(found, Unreadable) and not found.reasons and submission.op is Op.UPSERT:
            said = orjson.loads(line)
            spoil(said["record"], number)
            yield orjson.dumps(said)


# -- contestants -----------------------------------------------------------------------------------


def judging(lines: list[bytes], at_once: int = AT_ONCE) -> float:
    """Microseconds a record to read and judge the submissions, that many together."""
    registry, calendar = load_registry(REGISTRY), load_calendar(REGISTRY)
    # On the stream the record key comes as the message key.
    keys = [identify(read_delivery(line), registry) for line in lines]
    states: dict[bytes, RecordState] = {}
    calm_garbage_collector()
    begin = process_time()
    for start in range(0, len(lines), at_once):
        submissions: list[Submission] = []
        for offset in range(start, min(start + at_once, len(lines))):
            try:
                submissions.append(
                    read_submission(lines[offset], keys[offset], Position(1, offset))
                )
            except Unreadable:
                continue
        for found in examine(submissions, registry, calendar):
            if isinstance(found, Unreadable):
                continue
            key = found.submission.record_key
            try:
                verdict = conclude(found, states.get(key))
            except Unreadable:
                continue
            states[key] = verdict.state
            encode_verdict(verdict)
    return (process_time() - begin) / len(lines) * 1e6


def judging_kind(lines: list[bytes], spoil: Spoil) -> float:
    """Microseconds a record to read and judge submissions that were spoilt."""
    return judging([*spoilt(lines, spoil)])


def reading(lines: list[bytes], read: Callable[[bytes], object]) -> float:
    """Microseconds a record to read the submissions, and nothing else."""
    calm_garbage_collector()
    begin = process_time()
    for line in lines:
        read(line)
    return (process_time() - begin) / len(lines) * 1e6


READERS: Final[dict[str, Callable[[bytes], object]]] = {
    "orjson": orjson.loads,
    "pydantic-core": from_json,
    "pydantic": validation(),
}
BATCHES: Final = {f"judge {size}": size for size in (AT_ONCE, 50, 1)}
PROGRAMS: Final[dict[str, Callable[[list[bytes]], float]]] = {
    **{name: partial(judging, at_once=size) for name, size in BATCHES.items()},
    **{name: partial(judging_kind, spoil=spoil) for name, spoil in KINDS.items()},
    **{name: partial(reading, read=read) for name, read in READERS.items()},
}


def measure(file: Path, rounds: int) -> dict[str, list[float]]:
    """Processor time of a record (µs) of each contestant, round by round."""
    found: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, taken in found.items():
            with child("judging", name, file) as contestant:
                taken.append(json.loads(contestant.line()))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    print(PROGRAMS[given.program](licences_of(given.file)))
