"""Judging without a log: the rows of a file, one after the other, against each other."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple, Protocol

from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBatch, WriteOptions

from models.calendar import Calendar
from models.judging import Examined, conclude, examine, submission_of
from models.registry import Registry
from models.submission import Submission, Unreadable
from models.verdict import RecordState, Verdict, unreadable_as_json
from streams.files import Row


class RecordStates(Protocol):
    """What is remembered of each record, by record key."""

    def get(self, key: bytes) -> RecordState | None:
        """The record's state, if it was seen."""

    def put(self, key: bytes, state: RecordState) -> None:
        """Replace the record's state."""


class JudgedRow(NamedTuple):
    """A row's verdict, or why there is none; `before` is the record's state until then."""

    row: int
    verdict: Verdict | Unreadable
    before: RecordState | None

    def as_json(self) -> dict[str, Any]:
        """The public form with the row's number."""
        verdict = self.verdict
        if isinstance(verdict, Verdict):
            return {"row": self.row, **verdict.as_json()}
        return {"row": self.row, **unreadable_as_json(verdict)}


AT_ONCE: Final = 500
"""Rows of a file that are examined together."""


def judge_rows(
    rows: Iterable[Row],
    received_at: datetime,
    states: RecordStates,
    registry: Registry,
    calendar: Calendar,
    at_once: int = AT_ONCE,
) -> Iterator[JudgedRow]:
    """Judge rows in their order; each sees what the ones before it did to its record.

    `received_at` is for the rows that do not say when they were received. `at_once` rows are read
    before the first of them is answered: one, where a person sends them and waits for each answer.
    """
    numbered = iter(rows)
    while run := list(islice(numbered, at_once)):
        read = [_submission(row, received_at, registry) for row in run]
        submissions = [each for each in read if isinstance(each, Submission)]
        examined = iter(examine(submissions, registry, calendar))
        for row, each in zip(run, read, strict=True):
            found = next(examined) if isinstance(each, Submission) else each
            if isinstance(found, Unreadable):
                yield JudgedRow(row.number, found, None)
            else:
                yield _concluded(row.number, found, states)


def _submission(row: Row, received_at: datetime, registry: Registry) -> Submission | Unreadable:
    if isinstance(row.delivery, Unreadable):
        return row.delivery
    try:
        return submission_of(row.delivery, registry, received_at)
    except Unreadable as fault:
        return fault


def _concluded(number: int, examined: Examined, states: RecordStates) -> JudgedRow:
    key = examined.submission.record_key
    before = states.get(key)
    try:
        verdict = conclude(examined, before)
    except Unreadable as fault:
        return JudgedRow(number, fault, before)
    states.put(key, verdict.state)
    return JudgedRow(number, verdict, before)


HELD_STATES: Final = 50_000
"""Record states held in memory; above that they go to a temporary database on disk."""

_MEMTABLE: Final = 8 << 20
_BLOCK_CACHE: Final = 16 << 20
_BLOOM_BITS: Final = 10
_SPILLED_BITS: Final = 26


@contextmanager
def temporary_states(held: int = HELD_STATES) -> Iterator[RecordStates]:
    """Record states of any number in bounded memory, gone afterwards.

    Besides the `held` ones they take some 40 MiB of memory, 2 MiB more for each million; on disk
    about 100 bytes each.
    """
    with TemporaryDirectory(prefix="xinshao-", ignore_cleanup_errors=True) as folder:
        states = _SpillingStates(Path(folder), held)
        try:
            yield states
        finally:
            states.close()


class _SpillingStates:
    """The latest states in a dict; when it is full, it is written out whole and emptied.

    Most keys asked for are new. One bit for all keys on disk that begin alike (keys are hashes)
    saves nearly every search for a key that is not there: with a million records 1.5 % of these
    searches remain, with ten million 14 %.
    """

    def __init__(self, folder: Path, held: int) -> None:
        self._folder = folder
        self._held = held
        self._latest: dict[bytes, RecordState] = {}
        self._disk: Rdict | None = None
        self._spilled = bytearray()

    def get(self, key: bytes) -> RecordState | None:
        state = self._latest.get(key)
        if state is not None or self._disk is None:
            return state
        byte, bit = _place(key)
        if not self._spilled[byte] & bit:
            return None
        packed = self._disk.get(key)
        return None if packed is None else RecordState.of_json(packed)

    def put(self, key: bytes, state: RecordState) -> None:
        self._latest[key] = state
        if len(self._latest) >= self._held:
            self._spill()

    def close(self) -> None:
        if self._disk is not None:
            self._disk.close()

    def _spill(self) -> None:
        if self._disk is None:
            self._disk = _open_disk(self._folder)
            self._spilled = bytearray(1 << _SPILLED_BITS >> 3)
        batch = WriteBatch(raw_mode=True)
        for key, state in self._latest.items():
            batch.put(key, state.to_json())
            byte, bit = _place(key)
            self._spilled[byte] |= bit
        self._disk.write(batch)
        self._latest.clear()


def _place(key: bytes) -> tuple[int, int]:
    """Byte and bit that a key's beginning stands for."""
    beginning = int.from_bytes(key[:4]) >> (32 - _SPILLED_BITS)
    return beginning >> 3, 1 << (beginning & 7)


def _open_disk(folder: Path) -> Rdict:
    """A database that takes little memory and need not outlive the process."""
    table = BlockBasedOptions()
    table.set_bloom_filter(_BLOOM_BITS, block_based=False)
    table.set_block_cache(Cache(_BLOCK_CACHE))
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(_MEMTABLE)
    options.set_max_open_files(64)
    disk = Rdict(str(folder / "states"), options)
    write = WriteOptions()
    write.disable_wal = True  # type: ignore[method-assign,assignment]  # the stubs call it a method
    disk.set_write_options(write)
    return disk
