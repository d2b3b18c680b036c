"""How fast `judge` is on bytes, beside the bare pydantic model of the same submissions.

    python -m benchmarks.judging PROGRAM FILE    one contestant, in its own process

`judge`: read_submission and judge, with the state of every record so far. `model`: pydantic's
`model_validate_json` of the licence envelope, and nothing else.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Final

from benchmarks.contestants import validation
from benchmarks.ground import REGISTRY, child, licences_of
from models.judging import identify, judge
from models.submission import Position, Unreadable, read_submission
from models.verdict import RecordState
from streams.registry import load_calendar, load_registry


def judging(lines: list[bytes]) -> float:
    """Seconds to read and judge the submissions."""
    registry = load_registry(REGISTRY)
    calendar = load_calendar(REGISTRY)
    # On the stream the record key comes as the message key.
    keys = [identify(read_submission(line), registry) for line in lines]
    states: dict[bytes, RecordState] = {}
    begin = perf_counter()
    for offset, (key, line) in enumerate(zip(keys, lines, strict=True)):
        try:
            submission = read_submission(line)
            submission.record_key = key
            submission.position = Position(1, offset)
            states[key] = judge(submission, states.get(key), registry, calendar).state
        except Unreadable:
            continue
    return perf_counter() - begin


def modelling(lines: list[bytes]) -> float:
    """Seconds to validate the submissions."""
    valid = validation()
    begin = perf_counter()
    for line in lines:
        valid(line)
    return perf_counter() - begin


PROGRAMS: Final[dict[str, Callable[[list[bytes]], float]]] = {"judge": judging, "model": modelling}


def measure(file: Path, rounds: int) -> dict[str, list[float]]:
    """Records a second of each contestant, round by round."""
    speeds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, found in speeds.items():
            with child("judging", name, file) as contestant:
                found.append(json.loads(contestant.line()))
    return speeds


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    submissions = licences_of(given.file)
    print(len(submissions) / PROGRAMS[given.program](submissions))
