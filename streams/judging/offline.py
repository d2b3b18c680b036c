"""Judging without a log: the rows of a file, one after the other, against each other."""

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple, Protocol

from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBatch, WriteOptions

from models.calendar import Calendar
from models.judging import identify, judge
from models.registry import Registry
from models.rules import Severity, shown
from models.submission import Position, Unreadable
from models.verdict import RecordState, Verdict
from models.words import Category, Effect
from streams.files import Row


class RecordStates(Protocol):
    """What is remembered of each record, by record key."""

    def get(self, key: bytes) -> RecordState | None:
        """The record's state, if it was seen."""

    def put(self, key: bytes, state: RecordState) -> None:
        """Replace the record's state."""


class Judged(NamedTuple):
    """A row's verdict, or why there is none; `before` is the record's state until then."""

    row: int
    verdict: Verdict | Unreadable
    before: RecordState | None

    def as_json(self) -> dict[str, Any]:
        """The public form (DESIGN section 7) with the row's number."""
        if isinstance(self.verdict, Verdict):
            return {"row": self.row, **self.verdict.as_json()}
        fault = self.verdict
        return {
            "row": self.row,
            "unit": fault.unit and shown(fault.unit),
            "category": fault.category and shown(fault.category),
            "record_key": None,
            "effect": Effect.UNREADABLE.value,
            "compliant": False,
            "timely": None,
            "deadline": None,
            "provisional": False,
            "reasons": [
                {
                    "rule": fault.rule,
                    "field": "",
                    "message": str(fault),
                    "severity": Severity.ERROR.value,
                }
            ],
        }


def judge_rows(
    rows: Iterable[Row], states: RecordStates, registry: Registry, calendar: Calendar
) -> Iterator[Judged]:
    """Judge rows in their order; each sees what the ones before it did to its record."""
    for number, submission in rows:
        before = None
        if isinstance(submission, Unreadable):
            yield Judged(number, submission, before)
            continue
        try:
            submission.record_key = key = identify(submission, registry)
            before = states.get(key)
            verdict = judge(submission, before, registry, calendar)
        except Unreadable as fault:
            fault.unit = fault.unit or submission.unit
            fault.category = fault.category or submission.schema.category
            yield Judged(number, fault, before)
            continue
        states.put(key, verdict.state)
        yield Judged(number, verdict, before)


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
    spares nearly every search for a key that is not there: of a million records 1.5 % of them
    remain, of ten millions 14 %.
    """

    def __init__(self, folder: Path, held: int) -> None:
        self._folder = folder
        self._held = held
        self._latest: dict[bytes, RecordState] = {}
        self._disk: Rdict | None = None
        self._spilled = bytearray()
        self._code = _StateCode()

    def get(self, key: bytes) -> RecordState | None:
        state = self._latest.get(key)
        if state is not None or self._disk is None:
            return state
        byte, bit = _place(key)
        if not self._spilled[byte] & bit:
            return None
        packed = self._disk.get(key)
        return None if packed is None else self._code.unpack(packed)

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
            batch.put(key, self._code.pack(state))
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


class _StateCode:
    """Record states as 64 bytes each; units by their number in the order they were met."""

    _FORM = struct.Struct("<qq6I16sHBB")
    _CATEGORIES = tuple(Category)
    _TIMELY = (None, False, True)

    def __init__(self) -> None:
        self._units: list[str] = []
        self._unit_number: dict[str, int] = {}
        self._category_number = {each: number for number, each in enumerate(self._CATEGORIES)}

    def pack(self, state: RecordState) -> bytes:
        number = self._unit_number.get(state.unit)
        if number is None:
            number = self._unit_number[state.unit] = len(self._units)
            self._units.append(state.unit)
        return self._FORM.pack(
            *state.position,
            state.version,
            state.corrections,
            state.duplicates,
            state.day.toordinal(),
            state.deadline.toordinal() if state.deadline else 0,
            state.first_compliant.toordinal() if state.first_compliant else 0,
            state.digest,
            number,
            self._category_number[state.category],
            state.provisional
            | state.compliant << 1
            | state.withdrawn << 2
            | self._TIMELY.index(state.timely) << 3,
        )

    def unpack(self, packed: bytes) -> RecordState:
        (
            epoch,
            offset,
            version,
            corrections,
            duplicates,
            day,
            deadline,
            first_compliant,
            digest,
            unit,
            category,
            flags,
        ) = self._FORM.unpack(packed)
        return RecordState(
            position=Position(epoch, offset),
            version=version,
            digest=digest,
            unit=self._units[unit],
            category=self._CATEGORIES[category],
            day=date.fromordinal(day),
            deadline=date.fromordinal(deadline) if deadline else None,
            provisional=bool(flags & 1),
            compliant=bool(flags & 2),
            timely=self._TIMELY[flags >> 3],
            first_compliant=date.fromordinal(first_compliant) if first_compliant else None,
            withdrawn=bool(flags & 4),
            corrections=corrections,
            duplicates=duplicates,
        )
