"""What should hold the record state: a dict in memory, or RocksDB on disk?

    python -m benchmarks.state --records 10_000_000 [--only NAME ...] [--json]

Each candidate is filled in a process of its own, so its memory is its own, with the judge's way of
access: one batch of 500 submissions reads 500 keys (95 % unknown, 5 % known), then writes 475 new
records, 5 corrections and one checkpoint, all at once and without fsync. Then the candidate is
closed and reopened, read through as a restart does to rebuild the tallies, and killed with SIGKILL
in the middle of writing, to see what is left of it.
"""

import argparse
import json
import random
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Protocol, cast

import orjson
import psutil
from rich.console import Console
from rich.table import Table
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)
from typing_extensions import override

from models.words import Category

NEW: Final = 475
KNOWN: Final = 25
CORRECTED: Final = 5
BATCH: Final = NEW + KNOWN
SAMPLE: Final = 400
"""Batches in a median: the first ones of a run, and the last ones."""
ONE_MILLION: Final = 1_000_000
KILL_AFTER: Final = 400
"""Batches acknowledged before the SIGKILL."""
CHECKPOINT: Final = b"checkpoint"
UNITS: Final = ("江岸区", "江夏区", "黄陂区", "市交通运输局", "市市场监督管理局", "市城乡建设局")

Pairs = list[tuple[bytes, bytes]]


# -- records ------------------------------------------------------------------------------------


def record_key(i: int) -> bytes:
    """The 128-bit key of the i-th record: random to look at, and needs no memory to find again."""
    return blake2b(i.to_bytes(8), digest_size=16).digest()


PACKED: Final = struct.Struct("<qqqiiiHBBB32s47s")


def packed(i: int) -> bytes:
    """A verdict of 120 bytes: positions, times, dates, codes, a content digest, a bitmap."""
    digest = blake2b(i.to_bytes(8), digest_size=32, key=b"content").digest()
    return PACKED.pack(
        1, i, 1_654_000_000_000 + i, 19_144, 19_145, 19_165, i % 60, i % 14, 1, 1, digest, b""
    )


def verdict_forms() -> list[tuple[bytes, bytes]]:
    """Verdicts without their content digest and offset: what goes before and what goes between."""
    categories = list(Category)
    missing = {"rule": "required", "field": "CF_XDR_SHXYM", "message": "统一社会信用代码为空"}
    forms = []
    for i in range(len(UNITS) * len(categories)):
        compliant = i % 10 != 0
        form = {
            "unit": UNITS[i % len(UNITS)],
            "category": categories[i % len(categories)].value,
            "effect": "new",
            "decided_on": f"2022-06-{i % 30 + 1:02}",
            "first_received_at": "2022-06-30T09:00:00+08:00",
            "compliant_at": "2022-06-30T09:00:00+08:00" if compliant else None,
            "deadline": "2022-07-20",
            "provisional": False,
            "compliant": compliant,
            "timely": True if compliant else None,
            "reasons": [] if compliant else [missing],
            "epoch": 1,
            "content": "?",
        }
        before, between = orjson.dumps(form).split(b"?")
        forms.append((before, between[:-1] + b',"offset":'))
    return forms


FORMS: Final = verdict_forms()


def verdict_json(i: int) -> bytes:
    """A verdict as a JSON object of some 350 bytes, as `credit.verdicts` carries it."""
    before, between = FORMS[i % len(FORMS)]
    content = blake2b(i.to_bytes(8), digest_size=16, key=b"content").hexdigest().encode()
    return b"%b%b%b%d}" % (before, content, between, i)


# -- candidates ---------------------------------------------------------------------------------


class State(Protocol):
    """What the judge needs of a holder of record state."""

    def get(self, keys: list[bytes]) -> list[bytes | None]:
        """The values of the keys, None where there is none, in their order."""

    def put(self, pairs: Pairs, checkpoint: int) -> None:
        """Write the pairs and the checkpoint together."""

    def checkpoint(self) -> int:
        """The checkpoint of the last `put` that is still there; -1 if none is."""

    def values(self) -> Iterator[bytes]:
        """Every record's value, in any order."""

    def close(self) -> None:
        """Leave on disk what the next one to open the path needs."""


class InMemory(State):
    """A dict from key to value. Its checkpoint is a file of the whole, written on close."""

    def __init__(self, path: Path) -> None:
        self._file = path / "state"
        self._records: dict[bytes, bytes] = {}
        self._checkpoint = -1
        if self._file.exists():
            with self._file.open("rb") as f:
                self._checkpoint = int.from_bytes(f.read(8))
                entry = 16 + PACKED.size
                while block := f.read(entry * 8192):
                    for at in range(0, len(block), entry):
                        self._records[block[at : at + 16]] = block[at + 16 : at + entry]

    @override
    def get(self, keys: list[bytes]) -> list[bytes | None]:
        return [*map(self._records.get, keys)]

    @override
    def put(self, pairs: Pairs, checkpoint: int) -> None:
        self._records.update(pairs)
        self._checkpoint = checkpoint

    @override
    def checkpoint(self) -> int:
        return self._checkpoint

    @override
    def values(self) -> Iterator[bytes]:
        return iter(self._records.values())

    @override
    def close(self) -> None:
        draft = self._file.with_suffix(".draft")
        with draft.open("wb") as f:
            f.write(self._checkpoint.to_bytes(8))
            for pair in self._records.items():
                f.writelines(pair)
        draft.replace(self._file)


class Slots(State):
    """A dict from key to slot, and one growing bytearray of values of a fixed size."""

    def __init__(self, path: Path) -> None:
        self._file = path / "state"
        self._slots: dict[bytes, int] = {}
        self._values = bytearray()
        self._checkpoint = -1
        if self._file.exists():
            with self._file.open("rb") as f:
                self._checkpoint, count = struct.unpack("<qq", f.read(16))
                keys = f.read(16 * count)
                self._slots = {keys[16 * slot : 16 * slot + 16]: slot for slot in range(count)}
                self._values = bytearray(f.read())

    @override
    def get(self, keys: list[bytes]) -> list[bytes | None]:
        size = PACKED.size
        return [
            None if slot is None else bytes(self._values[slot * size : (slot + 1) * size])
            for slot in map(self._slots.get, keys)
        ]

    @override
    def put(self, pairs: Pairs, checkpoint: int) -> None:
        size = PACKED.size
        for key, value in pairs:
            slot = self._slots.setdefault(key, len(self._slots))
            self._values[slot * size : (slot + 1) * size] = value
        self._checkpoint = checkpoint

    @override
    def checkpoint(self) -> int:
        return self._checkpoint

    @override
    def values(self) -> Iterator[bytes]:
        size = PACKED.size
        return (bytes(self._values[at : at + size]) for at in range(0, len(self._values), size))

    @override
    def close(self) -> None:
        draft = self._file.with_suffix(".draft")
        with draft.open("wb") as f:
            f.write(struct.pack("<qq", self._checkpoint, len(self._slots)))
            f.writelines(self._slots)
            f.write(self._values)
        draft.replace(self._file)


class Rocks(State):
    """RocksDB: 128 MiB of cache, three write buffers of 64 MiB at most, filters beside them."""

    def __init__(
        self,
        path: Path,
        *,
        compression: Callable[[], DBCompressionType] = DBCompressionType.lz4,
        wal: bool = True,
        memtable_bloom: bool = True,
    ) -> None:
        table = BlockBasedOptions()
        table.set_block_cache(Cache(128 << 20))
        table.set_bloom_filter(10, block_based=False)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(table)
        options.set_compression_type(compression())
        options.set_write_buffer_size(64 << 20)
        options.set_max_write_buffer_number(3)
        options.set_max_background_jobs(2)
        if memtable_bloom:
            # Most keys are new: without it every one of them costs a search of the skip list.
            options.set_memtable_prefix_bloom_ratio(0.1)
            options.set_memtable_whole_key_filtering(True)
        self._write = WriteOptions()
        # rocksdict's stub declares a method, the class has a property.
        self._write.disable_wal = not wal  # type: ignore[method-assign,assignment]
        # Named as a column family, or on reopening rocksdict 0.3.29 takes the options stored on
        # disk, which know neither the filter nor the cache: a read is then thirty times as slow.
        self._db = Rdict(str(path), options, {"default": options})

    @override
    def get(self, keys: list[bytes]) -> list[bytes | None]:
        return cast("list[bytes | None]", self._db.get([*keys]))

    @override
    def put(self, pairs: Pairs, checkpoint: int) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in pairs:
            batch[key] = value
        batch[CHECKPOINT] = checkpoint.to_bytes(8)
        self._db.write(batch, self._write)

    @override
    def checkpoint(self) -> int:
        found: bytes | None = self._db.get(CHECKPOINT)
        return -1 if found is None else int.from_bytes(found)

    @override
    def values(self) -> Iterator[bytes]:
        # `items()` ends in silence at a corrupt block; an `RdictIter` can be asked how it ended.
        cursor = self._db.iter()
        cursor.seek_to_first()
        while cursor.valid():
            if cursor.key() != CHECKPOINT:
                yield cursor.value()
            cursor.next()
        cursor.status()

    @override
    def close(self) -> None:
        self._db.close()


@dataclass(frozen=True)
class Candidate:
    """A holder of state and the form of the values in it."""

    open: Callable[[Path], State]
    encode: Callable[[int], bytes]

    @property
    def decode(self) -> Callable[[bytes], Any]:
        """The way back from bytes."""
        return PACKED.unpack if self.encode is packed else orjson.loads


CANDIDATES: Final[dict[str, Candidate]] = {
    "dict": Candidate(InMemory, packed),
    "slots": Candidate(Slots, packed),
    "rocks packed": Candidate(Rocks, packed),
    "rocks packed no-wal": Candidate(partial(Rocks, wal=False), packed),
    "rocks json": Candidate(Rocks, verdict_json),
    "rocks json no-wal": Candidate(partial(Rocks, wal=False), verdict_json),
    "rocks json zstd": Candidate(partial(Rocks, compression=DBCompressionType.zstd), verdict_json),
    "rocks json no-memtable-bloom": Candidate(partial(Rocks, memtable_bloom=False), verdict_json),
}


USUAL: Final = ("dict", "rocks packed no-wal", "rocks json", "rocks json no-wal")


# -- one candidate, in its own process ------------------------------------------------------------


@dataclass
class Report:
    """What one candidate did: medians over batches, per record; memory above the start's."""

    name: str
    records: int
    get_us_first: float
    put_us_first: float
    get_us_full: float
    put_us_full: float
    get_us_reopened: float
    mean_us: float
    worst_batch_ms: float
    rss_mib_1m: float
    rss_mib: float
    peak_rss_mib: float
    disk_mib: float
    close_s: float
    reopen_s: float
    iterate_s: float
    decode_s: float
    load_1m_s: float
    killed_reopen_s: float = 0.0
    lost: int = 0
    torn: int = 0


def mib_resident() -> float:
    """The memory that this process holds now."""
    return float(psutil.Process().memory_info().rss) / 2**20


def mib_on_disk(path: Path) -> float:
    """The size of everything below the path."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 2**20


def keys_of(number: int) -> tuple[list[bytes], list[int]]:
    """The keys that a batch reads, and the records that it writes."""
    first = number * NEW
    rng = random.Random(number)
    new = range(first, first + NEW)
    known = [rng.randrange(max(first, 1)) for _ in range(KNOWN)]
    return [record_key(i) for i in (*new, *known)], [*new, *known[:CORRECTED]]


def judge_batch(state: State, candidate: Candidate, number: int) -> tuple[float, float]:
    """One batch as the judge does it; the seconds of its read and of its write."""
    keys, records = keys_of(number)
    written = [(record_key(i), candidate.encode(i)) for i in records]
    begin = perf_counter()
    state.get(keys)
    read = perf_counter()
    state.put(written, number)
    return read - begin, perf_counter() - read


def seconds(begin: float) -> float:
    """Since then."""
    return perf_counter() - begin


def measure(name: str, records: int, path: Path) -> Report:
    """Fill, close, reopen, read through; leaves the filled state at the path."""
    candidate = CANDIDATES[name]
    home = path / "state"
    home.mkdir()
    before = mib_resident()
    state = candidate.open(home)
    reads: list[float] = []
    writes: list[float] = []
    rss_1m = peak = 0.0
    batches = records // NEW
    for number in range(batches):
        read, write = judge_batch(state, candidate, number)
        reads.append(read)
        writes.append(write)
        if number % 200 == 0:
            peak = max(peak, mib_resident() - before)
        if number == min(ONE_MILLION // NEW, batches) - 1:
            rss_1m = mib_resident() - before
    rss = mib_resident() - before

    begin = perf_counter()
    state.close()
    closed = seconds(begin)
    del state
    disk = mib_on_disk(home)
    begin = perf_counter()
    state = candidate.open(home)
    if state.checkpoint() != batches - 1:
        raise RuntimeError(f"{name}: a clean close lost what was written")
    reopened = seconds(begin)

    again: list[float] = []
    for number in range(batches, batches + SAMPLE):
        keys, _ = keys_of(number)
        begin = perf_counter()
        state.get(keys)
        again.append(seconds(begin))

    begin = perf_counter()
    count = sum(1 for _ in state.values())
    iterated = seconds(begin)
    if count != batches * NEW:
        raise RuntimeError(f"{name}: {count} records where {batches * NEW} were written")
    begin = perf_counter()
    for value in state.values():
        candidate.decode(value)
    decoded = seconds(begin)
    state.close()

    def us(times: list[float]) -> float:
        return statistics.median(times) / BATCH * 1e6

    return Report(
        name=name,
        records=count,
        get_us_first=us(reads[:SAMPLE]),
        put_us_first=us(writes[:SAMPLE]),
        get_us_full=us(reads[-SAMPLE:]),
        put_us_full=us(writes[-SAMPLE:]),
        get_us_reopened=us(again),
        mean_us=(sum(reads) + sum(writes)) / batches / BATCH * 1e6,
        worst_batch_ms=max(map(sum, zip(reads, writes, strict=True))) * 1e3,
        rss_mib_1m=rss_1m,
        rss_mib=rss,
        peak_rss_mib=max(peak, rss),
        disk_mib=disk,
        close_s=closed,
        reopen_s=reopened,
        iterate_s=iterated,
        decode_s=decoded,
        load_1m_s=load(candidate, path / "load"),
    )


def load(candidate: Candidate, home: Path) -> float:
    """Seconds to write a million records in batches of 5,000, reading nothing (a restore)."""
    home.mkdir()
    state = candidate.open(home)
    total = 0.0
    for first in range(0, ONE_MILLION, 5000):
        pairs = [(record_key(i), candidate.encode(i)) for i in range(first, first + 5000)]
        begin = perf_counter()
        state.put(pairs, first)
        total += seconds(begin)
    state.close()
    return total


def write_until_killed(name: str, path: Path, number: int) -> None:
    """Go on with the state at the path, and say the number of every batch that was written."""
    candidate = CANDIDATES[name]
    state = candidate.open(path / "state")
    while True:
        judge_batch(state, candidate, number)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        number += 1


def recover(name: str, path: Path, acknowledged: int) -> dict[str, float | int]:
    """Reopen what a SIGKILL left: the time, records lost, and batches neither in nor out."""
    candidate = CANDIDATES[name]
    begin = perf_counter()
    state = candidate.open(path / "state")
    held = state.checkpoint()
    took = seconds(begin)
    torn = 0
    for number in range(max(held - KILL_AFTER, 0), acknowledged + 2):
        found = state.get([record_key(number * NEW + i) for i in range(NEW)])
        there = sum(value is not None for value in found)
        torn += there != (NEW if number <= held else 0)
    state.close()
    return {
        "killed_reopen_s": took,
        "lost": max(acknowledged - held, 0) * NEW,
        "torn": torn,
    }


# -- all of them ----------------------------------------------------------------------------------


def child(step: str, name: str, *arguments: object) -> list[str]:
    """The command that runs one step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.state", "--step", step, name]
    return [*command, *map(str, arguments)]


def run(name: str, records: int) -> Report:
    """Measure one candidate, kill it while it writes, and look at what is left."""
    with tempfile.TemporaryDirectory(prefix="xinshao-state-") as folder:
        filled = subprocess.run(
            child("measure", name, folder, records), check=True, capture_output=True, text=True
        )
        report = Report(**json.loads(filled.stdout))
        with subprocess.Popen(
            child("write", name, folder, records // NEW), stdout=subprocess.PIPE, text=True
        ) as writer:
            if writer.stdout is None:
                raise RuntimeError("no pipe")
            acknowledged = [next(writer.stdout) for _ in range(KILL_AFTER)]
            writer.kill()
            acknowledged += writer.stdout
        whole = [line for line in acknowledged if line.endswith("\n")]
        left = subprocess.run(
            child("recover", name, folder, int(whole[-1])),
            check=True,
            capture_output=True,
            text=True,
        )
        return replace(report, **json.loads(left.stdout))


def table(reports: list[Report]) -> Table:
    """The reports, one a column."""
    rows: dict[str, Callable[[Report], str]] = {
        "records": lambda r: f"{r.records:,}",
        "get + put, first batches, µs": lambda r: f"{r.get_us_first:.1f} + {r.put_us_first:.1f}",
        "get + put, when full, µs": lambda r: f"{r.get_us_full:.1f} + {r.put_us_full:.1f}",
        "get, after reopening, µs": lambda r: f"{r.get_us_reopened:.1f}",
        "mean of all, µs": lambda r: f"{r.mean_us:.1f}",
        "worst batch of 500, ms": lambda r: f"{r.worst_batch_ms:.0f}",
        "memory at 1 million, MiB": lambda r: f"{r.rss_mib_1m:,.0f}",
        "memory when full, MiB": lambda r: f"{r.rss_mib:,.0f}",
        "memory at its peak, MiB": lambda r: f"{r.peak_rss_mib:,.0f}",
        "disk, MiB": lambda r: f"{r.disk_mib:,.0f}",
        "read through, s": lambda r: f"{r.iterate_s:.1f}",
        "read through and decode, s": lambda r: f"{r.decode_s:.1f}",
        "load of 1 million, s": lambda r: f"{r.load_1m_s:.1f}",
        "close, s": lambda r: f"{r.close_s:.2f}",
        "reopen after close, s": lambda r: f"{r.reopen_s:.2f}",
        "reopen after SIGKILL, s": lambda r: f"{r.killed_reopen_s:.2f}",
        "records lost by SIGKILL": lambda r: f"{r.lost:,}",
        "batches torn by SIGKILL": lambda r: f"{r.torn:,}",
    }
    shown = Table("median per record", title="What holds the record state")
    for report in reports:
        shown.add_column(report.name, justify="right")
    for row, show in rows.items():
        shown.add_row(row, *map(show, reports))
    return shown


def main() -> None:
    """Run the candidates one after the other and show what they did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=ONE_MILLION)
    parser.add_argument("--only", nargs="+", choices=CANDIDATES, default=USUAL)
    parser.add_argument("--json", action="store_true", help="print the reports as JSON")
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step, name, folder, number = arguments.step
        match step:
            case "measure":
                print(json.dumps(asdict(measure(name, int(number), Path(folder)))))
            case "write":
                write_until_killed(name, Path(folder), int(number))
            case "recover":
                print(json.dumps(recover(name, Path(folder), int(number))))
        return
    console = Console(stderr=True)
    reports = []
    for name in arguments.only:
        with console.status(f"{name}: {arguments.records:,} records"):
            reports.append(run(name, arguments.records))
    if arguments.json:
        print(json.dumps([asdict(report) for report in reports], indent=2))
    else:
        Console().print(table(reports))


if __name__ == "__main__":
    main()
