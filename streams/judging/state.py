"""The record state of a worker's partitions: RocksDB, bounded in memory, itself the checkpoint.

The truth is the topic of verdicts; this is a copy of a part of it that a restart need not read
again. Each write holds the states of a batch and the offset of verdicts up to which they count,
all or nothing. RocksDB's own log is off: a crash loses whole batches from the end, each with its
checkpoint, and they are read again from the topic. Why RocksDB, and its options and traps:
docs/state-measurements.md.
"""

import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple, cast

import orjson
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from models.submission import REQUEST, Origin
from models.verdict import RecordState
from streams.errors import OperatorError

log = logging.getLogger(__name__)

_CACHE_BYTES: Final = 128 << 20
_WRITE_BUFFER_BYTES: Final = 64 << 20
_WRITE_BUFFERS: Final = 3
_CHECKPOINT: Final = b"checkpoint"
_REQUEST: Final = REQUEST.encode()
_RECORD_KEY: Final = 2 + 16
"""Bytes of a record's key in the store; a request's is longer, the checkpoint's shorter."""


class StateError(OperatorError):
    """The folder of the checkpoints cannot be used; the message says why, in Chinese."""


class Logs(NamedTuple):
    """Which logs a checkpoint belongs to: the epochs of submissions and of verdicts."""

    submissions: int
    verdicts: int


class Checkpoint(NamedTuple):
    """Up to which offset of verdicts (exclusive) the states of a partition are complete.

    `origins` holds the highest offset applied of each platform's topic, by `Origin.log`.
    """

    logs: Logs
    offset: int
    origins: dict[str, int]


@dataclass(slots=True)
class Applied:
    """Which records of a request have been applied, and the day on which the last one came."""

    numbers: set[int]
    day: date


class StateStore:
    """All record state that one worker keeps on disk; one process at a time may open a folder."""

    def __init__(self, folder: Path) -> None:
        """Open the store, making the folder where it is missing.

        Raises:
            StateError: the folder cannot be written, or another process has it open.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = _open(folder)
        except Exception as error:  # rocksdict raises plain Exception, only its text says which
            if "Corruption" not in str(error):
                raise StateError(
                    f"打不开状态目录 {folder}：可能另一个进程正在使用，或磁盘已满、没有写权限。"
                    "请换一个 XINSHAO_DATA，或先停掉那个进程"
                ) from error
            log.warning("状态目录 %s 已损坏，弃用并从研判主题全量重建", folder)
            shutil.rmtree(folder)
            self._db = _open(folder)
        self._unlogged = WriteOptions()
        # rocksdict's stub declares a method, the class has a property.
        self._unlogged.disable_wal = True  # type: ignore[method-assign,assignment]

    def partition(self, number: int) -> "PartitionStates":
        """The states of one partition."""
        return PartitionStates(self._db, self._unlogged, number)

    @property
    def records(self) -> int:
        """How many records there is state of, including requests of the last days: an estimate."""
        return self._db.property_int_value("rocksdb.estimate-num-keys") or 0

    @property
    def disk_bytes(self) -> int:
        """The size of the store's table files."""
        return self._db.property_int_value("rocksdb.total-sst-files-size") or 0

    def close(self) -> None:
        """Close the store; when it is opened next, all that was put is there."""
        self._db.close()


class PartitionStates:
    """The record states of one partition of submissions, by record key."""

    def __init__(self, db: Rdict, unlogged: WriteOptions, number: int) -> None:
        self._db = db
        self._unlogged = unlogged
        self._prefix = number.to_bytes(2)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint of the last `put` that is still there."""
        found = cast("bytes | None", self._db.get(self._prefix + _CHECKPOINT))
        if found is None:
            return None
        logs, offset, origins = orjson.loads(found)
        return Checkpoint(Logs(*logs), offset, origins)

    def get(self, keys: Iterable[bytes]) -> list[RecordState | None]:
        """The states of the keys in their order, None where there is none."""
        prefix = self._prefix
        found = cast("list[bytes | None]", self._db.get([prefix + key for key in keys]))
        return [None if value is None else RecordState.of_json(value) for value in found]

    def request(self, log: str) -> Applied | None:
        """What has been applied of a request, by the log of its origins."""
        found = cast("bytes | None", self._db.get(self._prefix + log.encode()))
        return None if found is None else _applied(found)

    def put(
        self,
        states: Mapping[bytes, RecordState],
        checkpoint: Checkpoint,
        requests: Mapping[str, Applied] = {},
    ) -> None:
        """Write states, requests, and the checkpoint that they lead to, all or nothing.

        Raises:
            StateError: the disk is full or fails.
        """
        prefix = self._prefix
        batch = WriteBatch(raw_mode=True)
        for key, state in states.items():
            batch[prefix + key] = state.to_json()
        for log_, applied in requests.items():
            batch[prefix + log_.encode()] = orjson.dumps(
                (applied.day.toordinal(), sorted(applied.numbers))
            )
        batch[prefix + _CHECKPOINT] = orjson.dumps(
            ([*checkpoint.logs], checkpoint.offset, checkpoint.origins)
        )
        self._write(batch)

    def _write(self, batch: WriteBatch) -> None:
        try:
            self._db.write(batch, self._unlogged)
        except Exception as error:  # rocksdict raises plain Exception
            raise StateError("写不了状态目录：磁盘可能已满，请腾出空间后重启") from error

    def __iter__(self) -> Iterator[tuple[bytes, RecordState]]:
        """Every record key with its state, in no useful order.

        Raises:
            Exception: a part of the store cannot be read (`items()` would end there in silence).
        """
        for key, value in self._entries(self._prefix):
            if len(key) == _RECORD_KEY:
                yield key[len(self._prefix) :], RecordState.of_json(value)

    def requests(self) -> Iterator[tuple[bytes, Applied]]:
        """Every request, by the key that `forget` takes.

        Raises:
            Exception: a part of the store cannot be read.
        """
        for key, value in self._entries(self._prefix + _REQUEST):
            if len(key) > _RECORD_KEY:
                yield key[len(self._prefix) :], _applied(value)

    def _entries(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        entries = self._db.iter()
        entries.seek(prefix)
        while entries.valid():
            key, value = cast("bytes", entries.key()), cast("bytes", entries.value())
            if not key.startswith(prefix):
                break
            yield key, value
            entries.next()
        entries.status()

    def forget(self, keys: Iterable[bytes]) -> None:
        """Drop records whose months are closed for good, or requests that nobody repeats."""
        batch = WriteBatch(raw_mode=True)
        for key in keys:
            batch.delete(self._prefix + key)
        self._write(batch)

    def clear(self) -> None:
        """Drop everything, the checkpoint first of all."""
        self.forget([_CHECKPOINT])
        self.forget([key[len(self._prefix) :] for key, _value in self._entries(self._prefix)])


class Origins:
    """Which messages of platforms have been applied already, of the runs since the last put.

    For a platform's topic the highest offset is enough. The records of a request are known one by
    one: those that were refused when it first came may be accepted when it comes again.

    Attributes:
        requests: those that were asked for or added to, to be put with the states.
    """

    def __init__(self, states: PartitionStates, logs: dict[str, int]) -> None:
        self._states = states
        self._logs = logs
        self.requests: dict[str, Applied] = {}

    def __contains__(self, origin: Origin) -> bool:
        """Whether the message of that origin has been applied."""
        if not origin.log.startswith(REQUEST):
            return origin.offset <= self._logs.get(origin.log, -1)
        applied = self.requests.get(origin.log) or self._states.request(origin.log)
        if applied is None:
            return False
        self.requests[origin.log] = applied
        return origin.offset in applied.numbers

    def add(self, origin: Origin, day: date) -> None:
        """Remember that a message which was received on that day has been applied."""
        if not origin.log.startswith(REQUEST):
            self._logs[origin.log] = max(origin.offset, self._logs.get(origin.log, -1))
        elif origin not in self:
            applied = self.requests.setdefault(origin.log, Applied(set(), day))
            applied.numbers.add(origin.offset)
            applied.day = max(applied.day, day)


def _open(folder: Path) -> Rdict:
    table = BlockBasedOptions()
    table.set_block_cache(Cache(_CACHE_BYTES))
    table.set_bloom_filter(10, block_based=False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(_WRITE_BUFFERS)
    options.set_max_background_jobs(2)
    # Most keys are new: without it each of them would cost a search of the skip list.
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_memtable_whole_key_filtering(True)
    # Set again for the column family: an existing store would open without them.
    return Rdict(str(folder), options, {"default": options})


def _applied(value: bytes) -> Applied:
    day, numbers = orjson.loads(value)
    return Applied(set(numbers), date.fromordinal(day))
