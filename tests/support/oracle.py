"""The oracle: `judge` alone, folded over the log, and what the stream wrote compared with it.

The oracle reads `submissions` back from the broker, so it judges exactly what is in the log, in the
log's order. It shares `models` with the stream and nothing else but the wire forms.
"""

import itertools
import random
import shutil
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from pydantic import SecretStr

from models.calendar import Calendar
from models.judging import applied, identify, judge
from models.registry import Registry
from models.submission import (
    REQUEST,
    Origin,
    Position,
    Submission,
    Unreadable,
    read_delivery,
    read_submission,
)
from models.tally import NOTHING, Bucket, Duty, Pending, Tally
from models.verdict import RecordState
from models.words import SHANGHAI, Category, Op
from streams.demo.tansu import Tansu
from streams.intake.keys import issue
from streams.log.connection import KafkaRecord
from streams.log.reader import reading
from streams.log.topics import (
    REJECTS,
    SUBMISSIONS,
    TALLIES,
    TALLY_PARTITIONS,
    VERDICTS,
    core_topics,
    ensure_topics,
    log_epoch,
    partition_of,
)
from streams.log.wire import Reject, TallyKey, TallyValue, decode_verdict, is_record_key
from streams.log.writer import LogWriter, Message
from streams.registry import load_calendar, load_registry
from streams.settings import DEPLOY, Settings
from streams.worker import Worker
from tests.support.brokers import Broker
from tests.support.house import free_port
from tests.support.processes import until
from tests.support.samples import delivery

IDENTITY_KEY = b"oracle"
SESSION = 2.0
"""Seconds; Tansu holds a join for half of it."""

KAFKA_PLATFORMS = """
- {id: jiangxia-tong, name: 江夏一网通, owner: 江夏区, since: 2022-06-01, via: kafka,
   categories: [licence, penalty]}
"""
PLATFORM = "jiangxia-tong"

Place = tuple[str, int, int, int]
"""Topic, partition, offset and time: where a message was, and in which log of that name."""
Rejected = tuple[str, bytes, bytes | None]
"""Rule, value and key."""
NO_STATES: Mapping[bytes, RecordState] = {}
NO_REJECTS: Mapping[Place, Rejected] = {}


def settings_for(broker: Broker, folder: Path, **given: Any) -> Settings:
    """Settings of a worker in a namespace of its own, its registry with one Kafka platform."""
    registry = folder / "registry"
    if not registry.exists():
        shutil.copytree(DEPLOY / "registry", registry)
        with (registry / "platforms.yaml").open("a", encoding="utf-8") as platforms:
            platforms.write(KAFKA_PLATFORMS)
    return Settings(
        **{
            "brokers": broker.address,
            "namespace": f"t-{uuid.uuid4().hex[:12]}",
            "partitions": 4,
            "idempotence": not isinstance(broker, Tansu),
            "session_timeout": SESSION,
            "batch_records": 50,
            "commit_every": 0.05,
            "identity_key": SecretStr(IDENTITY_KEY.decode()),
            "registry": registry,
            "data": folder / "data",
            "port": free_port(),
            "clock": "data",
            "migrate": True,
            "keep_months": 1200,  # samples are of 2022, and what comes by ingress is of today
            **given,
        }
    )


async def gateway_settings(broker: Broker, folder: Path, **given: Any) -> tuple[Settings, str]:
    """Settings of a gateway whose topics are there, and a key to it."""
    settings = settings_for(broker, folder, gateway_port=free_port(), **given)
    settings.data.mkdir(parents=True)
    await ensure_topics(settings, core_topics(settings))
    registry = load_registry(settings.registry)
    return settings, issue(settings.keys, registry, PLATFORM, datetime.now(SHANGHAI))


def another(settings: Settings, **given: Any) -> Settings:
    """Settings of one more worker of the same namespace."""
    data = settings.data.with_name(f"data-{uuid.uuid4().hex[:6]}")
    return settings.model_copy(update={"data": data, "port": free_port(), **given})


@cache
def registry_of(folder: Path) -> Registry:
    return load_registry(folder, IDENTITY_KEY)


@cache
def calendar_of(folder: Path) -> Calendar:
    return load_calendar(folder)


# -- what is submitted

UNITS = ("江夏区", "黄陂区", "市生态环境局")
DOCUMENT = {Category.LICENCE: "XK_WSH", Category.PENALTY: "CF_WSH", Category.ENFORCEMENT: "WSH"}
_CONTENT = {Category.LICENCE: "XK_NR", Category.PENALTY: "CF_NR", Category.ENFORCEMENT: "NR"}
_FIRST = datetime(2022, 6, 2, 9, tzinfo=SHANGHAI)


class Deliveries:
    """A random interleaving of all that can come in, the same for the same seed.

    New records, corrections (for better and for worse), duplicates, withdrawals, withdrawals of
    what is not there, returns of what was withdrawn, and poison.
    """

    def __init__(self, seed: int, subjects: int = 10_000) -> None:
        """The fewer records there are, the more happens to each."""
        self._subjects = subjects
        self._random = random.Random(seed)
        self._seed = seed
        self._made = 0
        self._known: list[dict[str, Any]] = []
        self._at = _FIRST

    def take(self, count: int) -> list[Message]:
        """The next deliveries, each with its message key."""
        return [self._next() for _ in range(count)]

    def _next(self) -> Message:
        chance = self._random.random()
        self._at += timedelta(minutes=self._random.randrange(20))
        if chance < 0.06:
            return self._poison()
        if not self._known or (chance < 0.45 and len(self._known) < self._subjects):
            return self._about(self._new())
        about = self._random.choice(self._known)
        if chance < 0.55:
            return self._about(about)
        if chance < 0.65:
            return self._about(about, op=Op.WITHDRAW)
        if chance < 0.68:
            return self._about(self._new(known=False), op=Op.WITHDRAW)
        text = self._random.choice(("按规定办理", "准予办理", "测试", ""))
        about["changes"][_CONTENT[about["category"]]] = text
        return self._about(about)

    def _new(self, *, known: bool = True) -> dict[str, Any]:
        category = self._random.choice(list(DOCUMENT))
        self._made += 1
        number = f"武综〔2022〕{self._seed:03d}{self._made:05d}号"
        about = {
            "category": category,
            "unit": self._random.choice(UNITS),
            "changes": {DOCUMENT[category]: number},
        }
        if known:
            self._known.append(about)
        return about

    def _about(self, about: dict[str, Any], op: Op = Op.UPSERT) -> Message:
        raw = delivery(
            about["category"],
            unit=about["unit"],
            op=op,
            received_at=self._at,
            envelope={"platform": self._random.choice(("", "caidian-dashuju"))},
            **about["changes"],
        )
        return keyed(raw)

    def _poison(self) -> Message:
        key = self._random.randbytes(16)
        return self._random.choice(
            (
                Message(key, b"{not json"),
                Message(key, self._random.randbytes(40)),
                Message(key, b"[]"),
                Message(key, None),
                Message(b"short", delivery()),
                Message(None, delivery()),
                Message(key, delivery(unit="无此机构")),
                Message(key, delivery(received_at=None)),
                Message(key, delivery(envelope={"category": "poetry"})),
                Message(key, delivery(envelope={"origin": "nowhere"})),
                Message(key, delivery(envelope={"record": None}), [("trace", b"\xff\x00")]),
            )
        )


def keyed(raw: bytes) -> Message:
    """A delivery under the key of its record, as gateway and admission write it."""
    return Message(identify(read_delivery(raw), registry_of(DEPLOY / "registry")), raw)


def placed(messages: Iterable[Message], partitions: int) -> list[tuple[int, Message]]:
    """Messages with the partitions that they belong in; poison has none and goes anywhere."""
    return [
        (partition_of(key if is_record_key(key) else bytes(4), partitions), message)
        for message in messages
        for key in [message.key]
    ]


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator[LogWriter]:
    writer = LogWriter(settings)
    await writer.start()
    try:
        yield writer
    finally:
        await writer.stop()


async def submit(settings: Settings, messages: Iterable[Message]) -> None:
    """Append to submissions, in order."""
    async with writing(settings) as writer:
        await writer.write_all(settings.topic(SUBMISSIONS), placed(messages, settings.partitions))


# -- what is in the log


async def read_log(settings: Settings, name: str) -> dict[int, list[KafkaRecord]]:
    """All that a topic holds, by partition, up to the end that its fetches report."""
    partitions = {TALLIES: TALLY_PARTITIONS, REJECTS: 1}.get(name, settings.partitions)
    found: dict[int, list[KafkaRecord]] = {number: [] for number in range(partitions)}
    unread = {TopicPartition(settings.topic(name), number) for number in found}
    async with reading(settings) as consumer:
        consumer.assign(unread)
        await consumer.seek_to_beginning(*unread)
        while unread:
            for where, records in (await consumer.getmany(timeout_ms=100)).items():
                found[where.partition] += records
            for where in [*unread]:
                end = consumer.highwater(where)
                if end is not None and await consumer.position(where) >= end:
                    unread.remove(where)
    return found


@dataclass
class Outcome:
    """All that follows from a log of submissions."""

    states: dict[bytes, RecordState] = field(default_factory=dict)
    tallies: dict[Bucket, Tally] = field(default_factory=dict)
    pending: dict[Duty, Pending] = field(default_factory=dict)
    rejects: dict[Place, Rejected] = field(default_factory=dict)


def judged_by_oracle(
    settings: Settings,
    submissions: Mapping[int, Sequence[KafkaRecord]],
    epoch: int,
    before: Mapping[bytes, RecordState] = NO_STATES,
) -> Outcome:
    """What follows from submissions by `judge` alone, the records' states being those before."""
    registry, calendar = registry_of(settings.registry), calendar_of(settings.registry)
    outcome = Outcome(dict(before))
    states = outcome.states
    for records in submissions.values():
        origins: dict[str, int] = {}
        of_requests: set[Origin] = set()
        for record in records:
            try:
                submission = _read(record, epoch)
                origin = submission.origin
                if origin is not None and (
                    origin in of_requests or origin.offset <= origins.get(origin.log, -1)
                ):
                    continue
                state = states.get(submission.record_key)
                assert not applied(submission, state)
                verdict = judge(submission, state, registry, calendar)
            except Unreadable as unreadable:
                place = (record.topic, record.partition, record.offset, record.timestamp)
                outcome.rejects[place] = (unreadable.rule, record.value or b"", record.key)
                continue
            states[submission.record_key] = verdict.state
            if origin is not None and origin.log.startswith(REQUEST):
                of_requests.add(origin)
            elif origin is not None:
                origins[origin.log] = origin.offset
    # Counted from nothing: the stream moves its tallies from old state to new.
    pending: dict[Duty, Counter[date | None]] = defaultdict(Counter)
    for state in states.values():
        bucket = Bucket(state.unit, state.category, state.day)
        outcome.tallies[bucket] = outcome.tallies.get(bucket, NOTHING).plus(Tally.of(state))
        if state.pending:
            pending[Duty(state.unit, state.category)][state.deadline] += 1
    outcome.pending = {duty: dict(counts) for duty, counts in pending.items()}
    return outcome


def _read(record: KafkaRecord, epoch: int) -> Submission:
    if not is_record_key(record.key):
        raise Unreadable("key", "")
    return read_submission(record.value or b"", record.key, Position(epoch, record.offset))


def told_by_stream(
    verdicts: Iterable[KafkaRecord], tallies: Iterable[KafkaRecord], rejects: Iterable[KafkaRecord]
) -> Outcome:
    """What the stream's own messages say: of each key, that of the highest position."""
    outcome = Outcome()
    for record in verdicts:
        if not is_record_key(record.key):
            continue
        state = decode_verdict(record.value or b"").state
        known = outcome.states.get(record.key)
        if known is None or state.position >= known.position:
            outcome.states[record.key] = state
    latest: dict[TallyKey, TallyValue] = {}
    for record in tallies:
        key = TallyKey.decode(record.key or b"")
        value = TallyValue.decode(key, record.value or b"")
        if key not in latest or value.position >= latest[key].position:
            latest[key] = value
    pending: dict[Duty, Counter[date | None]] = defaultdict(Counter)
    for key, value in latest.items():
        if isinstance(key.counted, Bucket) and isinstance(value.counts, Tally):
            total = outcome.tallies.get(key.counted, NOTHING).plus(value.counts)
            outcome.tallies[key.counted] = total
        elif isinstance(key.counted, Duty) and isinstance(value.counts, dict):
            pending[key.counted].update(value.counts)
    outcome.pending = {duty: dict(counts) for duty, counts in pending.items() if counts}
    for record in rejects:
        reject = Reject.decode(record.value or b"", record.headers)
        if reject is not None and not reject.redriven:
            place = (reject.topic, reject.partition, reject.offset, reject.timestamp_ms)
            what = (reject.rule, reject.value, reject.key)
            assert outcome.rejects.setdefault(place, what) == what
    return outcome


async def assert_equal_to_oracle(
    settings: Settings,
    before: Mapping[bytes, RecordState] = NO_STATES,
    rejected: Mapping[Place, Rejected] = NO_REJECTS,
) -> Outcome:
    """Compare all that the stream wrote with the oracle; call it once all is committed.

    `before` and `rejected` are what followed from logs that are gone.

    Rejects of the platforms' own topics are not the judge's and are left out.
    """
    own = settings.topic(SUBMISSIONS)
    epoch = await log_epoch(settings, own)
    expected = judged_by_oracle(settings, await read_log(settings, SUBMISSIONS), epoch, before)
    expected.rejects |= rejected
    told = told_by_stream(
        *[
            itertools.chain(*(await read_log(settings, name)).values())
            for name in (VERDICTS, TALLIES, REJECTS)
        ]
    )
    told.rejects = {place: what for place, what in told.rejects.items() if place[0] == own}
    assert told == expected, differences(told, expected)
    return expected


def differences(told: Outcome, expected: Outcome) -> str:
    """The first few things that differ, that the stream lacks, or that only the stream has."""
    lines = []
    for name in ("states", "tallies", "pending", "rejects"):
        one, other = getattr(told, name), getattr(expected, name)
        keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
        lines += [
            f"{name}, {len(keys)} in all: {key!r} is {one.get(key)}, should be {other.get(key)}"
            for key in keys[:3]
        ]
    return "\n".join(lines)


# -- waiting


async def all_committed(
    settings: Settings, topic: str = SUBMISSIONS, group: str = "judge", within: float = 60.0
) -> None:
    """Wait until a group has committed all that a topic holds."""
    ends = {
        TopicPartition(settings.topic(topic), partition): records[-1].offset + 1
        for partition, records in (await read_log(settings, topic)).items()
        if records
    }
    async with reading(settings, settings.group(group)) as consumer:

        async def committed() -> bool:
            for where, end in ends.items():
                if (await consumer.committed(where) or 0) < end:
                    return False
            return True

        await until(committed, within)


async def judged(settings: Settings, worker: Worker, messages: Iterable[Message]) -> None:
    """Submit, and wait until all that follows is in the log and in the store."""
    await submit(settings, messages)
    await all_committed(settings)
    await worker.during(worker.stored())


def held(worker: Worker) -> set[int]:
    """The partitions of submissions that a worker serves."""
    return {each.partition for each in worker.judging.progress() if not each.restoring}


def lag(worker: Worker) -> int:
    """How many submissions a worker has yet to judge, as far as it knows."""
    return sum((each.highwater or 0) - (each.done or 0) for each in worker.judging.progress())
