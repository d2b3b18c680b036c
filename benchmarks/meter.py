"""What a contestant says of itself while it runs: one line of JSON to standard output a sample."""

import json
import sys
import time
from typing import Final, NamedTuple

EVERY: Final = 0.2
"""Seconds between samples."""


class Sample(NamedTuple):
    """How far a contestant was at a moment of the machine's monotonic clock."""

    at: float
    done: int
    """Records completely done."""
    cpu: float
    """Seconds of processor time that its process had used."""


class Meter:
    """Counts the records that are done and reports it from time to time, and when all are."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._next = 0.0

    def add(self, records: int) -> None:
        """That many more are done."""
        self.reach(self._done + records)

    def reach(self, done: int) -> None:
        """That many are done."""
        self._done = done
        now = time.monotonic()
        if now >= self._next or done == self._total:
            self._next = now + EVERY
            json.dump(Sample(now, done, time.process_time()), sys.stdout)
            sys.stdout.write("\n")
            sys.stdout.flush()
