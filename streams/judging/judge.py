"""The judge: submissions become verdicts, and verdicts move the tallies.

For each partition it holds the record state (`state`), the tallies of that state, and which of
them are still to be published. The promise (docs/guarantees.md) rests on this order: judge a
batch, write its verdicts and rejects and wait until they are durable, then update the state;
publish the tallies that moved; the commit comes last.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from models.calendar import Calendar
from models.judging import applied, conclude, examine
from models.month import Month
from models.registry import Registry
from models.submission import START, Position, Submission, Unreadable, read_submission
from models.tally import Bucket, Duty, Pending, Tallies, Tally
from models.verdict import RecordState, Verdict
from streams.clock import Clock
from streams.judging.rebuild import restore
from streams.judging.state import Applied, Checkpoint, Logs, Origins, PartitionStates, StateStore
from streams.log.connection import KafkaRecord
from streams.log.source import Batch
from streams.log.topics import REJECTS, SUBMISSIONS, TALLIES, VERDICTS, log_epoch, tally_partition
from streams.log.wire import (
    PlatformSeen,
    Reject,
    TallyKey,
    TallyValue,
    encode_verdict,
    is_record_key,
)
from streams.log.writer import LogWriter, Message
from streams.meters import WorkerMetrics
from streams.settings import Settings

log = logging.getLogger(__name__)

REQUEST_DAYS: Final = 3
"""How long a request is known at least; a sender who repeats one does so within a day."""

_AT_ONCE: Final = 1000


@dataclass(slots=True)
class Judged:
    """The result of a batch: to be written, and then to be remembered."""

    verdicts: list[Verdict] = field(default_factory=list)
    states: dict[bytes, RecordState] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    requests: dict[str, Applied] = field(default_factory=dict)
    repeated: int = 0
    """Submissions that had been applied already."""


@dataclass(slots=True, eq=False)
class JudgedPartition:
    """One partition of submissions that this worker holds."""

    number: int
    states: PartitionStates
    checkpoint: Checkpoint
    tallies: Tallies
    position: Position
    """Of the last submission judged: what the tallies count up to."""
    platforms: dict[Bucket | Duty | PlatformSeen, Tally | Pending | float] = field(
        default_factory=dict
    )
    """When each platform last submitted, where that has not been published yet."""


class Judge:
    """Judges the partitions that were assigned to this worker."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        calendar: Calendar,
        store: StateStore,
        writer: LogWriter,
        clock: Clock,
        metrics: WorkerMetrics,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._calendar = calendar
        self._store = store
        self._writer = writer
        self._clock = clock
        self._metrics = metrics
        self.partitions: dict[int, JudgedPartition] = {}

    async def assigned(self, number: int) -> None:
        """Take a partition over: its state from verdicts, its tallies from the state.

        Marks for publishing what the former owner may not have published: the tallies of every
        record that a submission not yet committed has changed.
        """
        settings = self._settings
        states = self._store.partition(number)
        logs = Logs(
            await log_epoch(settings, settings.topic(SUBMISSIONS)),
            await log_epoch(settings, settings.topic(VERDICTS)),
        )
        today = self._clock.today()
        since = date.fromordinal(max(1, today.toordinal() - REQUEST_DAYS))
        restored = await restore(settings, self._writer, states, number, logs, since)
        committed = Position(logs.submissions, restored.committed)
        oldest = Month.containing(today).before(settings.keep_months).first
        tallies = Tallies()
        position = START
        unpublished: set[Bucket | Duty] = set()
        expired: list[bytes] = []
        for count, (key, state) in enumerate(states):
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)  # millions take seconds, and heartbeats must go on
            position = max(position, state.position)
            if state.day < oldest:
                expired.append(key)
                if state.pending:
                    unpublished.add(Duty(state.unit, state.category))
                continue
            tallies.move(None, state)
            if state.position >= committed:
                unpublished.add(Bucket(state.unit, state.category, state.day))
                unpublished.add(Duty(state.unit, state.category))
        for count, (key, request) in enumerate(states.requests()):
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)
            if request.day < since:
                expired.append(key)
        states.forget(expired)
        tallies.changed = unpublished
        self.partitions[number] = JudgedPartition(
            number, states, restored.checkpoint, tallies, position
        )
        log.info("分区 %d 就绪，读取研判 %d 条", number, restored.read)

    def revoked(self, number: int) -> None:
        """Give a partition up, and forget all that is known of it."""
        self.partitions.pop(number, None)

    async def judge(self, batch: Batch) -> None:
        """Judge a batch. Returns when its verdicts and rejects are durable, and remembered."""
        partition = self.partitions[batch.partition]
        judged = self._decide(partition, batch.records)
        if judged.rejects:
            await self._writer.write(
                self._settings.topic(REJECTS), 0, [reject.encode() for reject in judged.rejects]
            )
        if judged.verdicts:
            after = await self._writer.write(
                self._settings.topic(VERDICTS),
                batch.partition,
                [
                    Message(verdict.record_key, encode_verdict(verdict))
                    for verdict in judged.verdicts
                ],
            )
            # Where another owner wrote in between, its verdicts have not been read here: the
            # checkpoint stays before them, and the next restore reads on from there.
            if after - len(judged.verdicts) == partition.checkpoint.offset:
                partition.checkpoint = partition.checkpoint._replace(offset=after)
            partition.states.put(judged.states, partition.checkpoint, judged.requests)
        self._metrics.judged((verdict.effect for verdict in judged.verdicts), judged.repeated)
        self._metrics.latency.observe((record.timestamp for record in batch.records), time.time())

    async def publish(self, number: int) -> None:
        """Publish the tallies that moved since the last time; durable when it returns."""
        partition = self.partitions.get(number)
        if partition is not None:
            messages = self._unpublished(partition)
            await self._writer.write_all(self._settings.topic(TALLIES), messages)

    def _decide(self, partition: JudgedPartition, records: Sequence[KafkaRecord]) -> Judged:
        judged = Judged()
        states = judged.states
        keys = {record.key for record in records if is_record_key(record.key)}
        stored = dict(zip(keys, partition.states.get(keys), strict=True))
        origins = Origins(partition.states, partition.checkpoint.origins)
        judged.requests = origins.requests
        epoch = partition.checkpoint.logs.submissions
        read = [_read(record, epoch) for record in records]
        submissions = [each for each in read if isinstance(each, Submission)]
        examined = iter(examine(submissions, self._registry, self._calendar))
        for record, submission in zip(records, read, strict=True):
            if isinstance(submission, Unreadable):
                judged.rejects.append(Reject.of(record, submission))
                continue
            found = next(examined)
            key, origin = submission.record_key, submission.origin
            state = states.get(key, stored[key])
            if submission.platform:
                seen = PlatformSeen(submission.platform)
                partition.platforms[seen] = submission.received_at.timestamp()
            if applied(submission, state) or (origin is not None and origin in origins):
                judged.repeated += 1
                continue
            try:
                if isinstance(found, Unreadable):
                    raise found
                verdict = conclude(found, state)
            except Unreadable as unreadable:
                judged.rejects.append(Reject.of(record, unreadable))
                continue
            partition.tallies.move(state, verdict.state)
            partition.position = submission.position
            if origin is not None:
                origins.add(origin, found.on)
            states[key] = verdict.state
            judged.verdicts.append(verdict)
        return judged

    def _unpublished(self, partition: JudgedPartition) -> list[tuple[int, Message]]:
        """What has moved since it was last asked for, as it stands now."""
        tallies = partition.tallies
        values: dict[Bucket | Duty | PlatformSeen, Tally | Pending | float] = {
            **{
                counted: tallies[counted]
                if isinstance(counted, Bucket)
                else tallies.pending(counted)
                for counted in tallies.changed
            },
            **partition.platforms,
        }
        tallies.changed = set()
        partition.platforms = {}
        return [
            (
                tally_partition(counted[0]),
                Message(
                    TallyKey(partition.number, counted).encode(),
                    TallyValue(partition.position, counts).encode(),
                ),
            )
            for counted, counts in values.items()
        ]


def _read(record: KafkaRecord, epoch: int) -> Submission | Unreadable:
    if not is_record_key(record.key):
        return Unreadable("key", "消息键不是信息键，只能由网关或接入程序写入本主题")
    try:
        return read_submission(record.value or b"", record.key, Position(epoch, record.offset))
    except Unreadable as unreadable:
        return unreadable
