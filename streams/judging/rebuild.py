"""Rebuilding the record state of a partition from what was written to its verdicts."""

import logging
from dataclasses import dataclass
from datetime import date

from aiokafka import TopicPartition

from models.submission import REQUEST
from models.verdict import RecordState
from models.words import SHANGHAI
from streams.judging.state import Checkpoint, Logs, Origins, PartitionStates
from streams.log.reader import Fence, Records, reading
from streams.log.topics import SUBMISSIONS, VERDICTS
from streams.log.wire import decode_verdict, is_record_key
from streams.log.writer import LogWriter
from streams.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore."""

    checkpoint: Checkpoint
    """The end of verdicts as of the fence: the states are complete up to it."""
    read: int
    """How many verdicts were read to get there."""
    committed: int
    """The first submission that the group has not committed."""


async def restore(
    settings: Settings,
    writer: LogWriter,
    states: PartitionStates,
    partition: int,
    logs: Logs,
    since: date,
) -> Restored:
    """Bring `states` up to date with the end of the partition's verdicts.

    Reads from the states' own checkpoint, or everything where there is none, or one of other logs
    than these. Whatever a former owner wrote in time is before the fence; what a paused one
    writes later has no higher position than what this owner judges again, and of several
    verdicts of a record the one of the highest position wins. Requests that came before `since`
    are not remembered.
    """
    fence = await Fence.write(writer, settings.topic(VERDICTS), partition)
    checkpoint = states.checkpoint
    if checkpoint is not None and (checkpoint.logs != logs or checkpoint.offset >= fence.end):
        log.warning("分区 %d 的本地检查点属于别的日志，弃用并全量重建", partition)
        states.clear()
        checkpoint = None
    origins = {} if checkpoint is None else checkpoint.origins
    read = 0
    async with reading(settings, settings.group("judge")) as consumer:
        source = TopicPartition(settings.topic(SUBMISSIONS), partition)
        committed = await consumer.committed(source) or 0
        begin = None if checkpoint is None else checkpoint.offset
        async for records in fence.read_up_to(consumer, begin):
            _apply(states, records, logs, origins, since)
            read += len(records)
    return Restored(Checkpoint(logs, fence.end, origins), read, committed)


def _apply(
    states: PartitionStates, records: Records, logs: Logs, of_logs: dict[str, int], since: date
) -> None:
    origins = Origins(states, of_logs)
    newest: dict[bytes, RecordState] = {}
    for record in records:
        if not is_record_key(record.key) or record.value is None:
            continue
        state, origin, received_at = decode_verdict(record.value)
        before = newest.get(record.key)
        if before is None or state.position >= before.position:
            newest[record.key] = state
        if origin is not None:
            day = received_at.astimezone(SHANGHAI).date()
            if not origin.log.startswith(REQUEST) or day >= since:
                origins.add(origin, day)
    for key, stored in zip(newest, states.get(newest), strict=True):
        if stored is not None and stored.position > newest[key].position:
            newest[key] = stored
    checkpoint = Checkpoint(logs, records[-1].offset + 1, of_logs)
    states.put(newest, checkpoint, origins.requests)
