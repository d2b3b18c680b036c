"""Submissions examined together, as they are by themselves, and by each rule as it is declared."""

import random
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from models.identity import mask_id
from models.judging import Examined, conclude, examine, identify, judge
from models.records import SCHEMAS, Schema
from models.records.base import as_text
from models.rules import LENGTH, REQUIRED, TYPE, ItemRule, Own, Reason, RecordRule, shown
from models.submission import Position, Submission, Unreadable, read_delivery, read_submission
from models.verdict import RecordState, Verdict
from models.words import Category, Op
from streams.log.wire import decode_verdict, encode_verdict
from streams.registry import load_calendar, load_registry
from tests.support.broken import breaches
from tests.support.samples import RECEIVED, RESIDENT_ID, VALID, delivery

REGISTRY = load_registry(Path("deploy/registry"), identity_key=b"test")
CALENDAR = load_calendar(Path("deploy/registry"))

FAULTS = {category: [breach.changes for breach in breaches(category)] for category in Category}
EQUAL_IN_PYTHON: list[Any] = [1, True, 1.0, "1"]
ODD: list[Any] = [
    *(None, False, 0, 0.0, -0.0, 1e22, 2**64 - 1, [], ["一"], [[]], {}, {"一": 1}),
    orjson.Fragment(b"123456789012345678901234567890"),
    orjson.Fragment(b"[" * 400 + b"]" * 400),
    *("", "\u3000", " \n", "NaN", "Infinity", "1e5", "0", "-1", "1,000", "0x10", "１２"),
    *("\x00", "公\u200b司", "\ufffc", "\ufffd", "第一行\n第二行", "\u3000空格 ", "\x1c前后\x1c"),
    *("无", "测试", "***", "0000", "NULL", "其他", "自然人", "个体工商户", "身份证", "护照"),
    *("罚款", "没收违法所得、吊销许可证件", "罚款；罚钱", "不合格", "联合惩戒", "全部未履行"),
    *("00000000000000000X", RESIDENT_ID, RESIDENT_ID[:-1], f"号{RESIDENT_ID}（一）"),
    *("2022-06-03", "2022年6月4日", "2099-12-31", "2100-01-01", "2022-02-30", "1998/3/2"),
    *("长" * 65, "长" * 513, "9" * 201, "无" * 20_001, "\u3000" * 300 + "长"),
]
UNITS = ["江夏区", "江夏区", "江夏区", " 黄陂区 ", "市公管办", "无此机构", "1" * 300]
TIMES = [
    *(RECEIVED + timedelta(hours=hours) for hours in (0, 0, -12, 14, 15, 20 * 24, 800 * 24)),
    (RECEIVED + timedelta(hours=8)).astimezone(UTC),
]
OPS = [Op.UPSERT, Op.UPSERT, Op.UPSERT, Op.WITHDRAW]
POISON = [b"", b"[]", b"{", b"\xff", delivery(envelope={"record": 1}), delivery(received_at=None)]


def sent(seed: int, size: int) -> list[bytes]:
    """Random deliveries about a few records; a seed's smaller batch begins its larger one.

    What is odd stands in a few fields of each category, where it meets its like.
    """
    chance = random.Random(seed)
    categories = chance.sample(list(Category), chance.choice((1, 1, 2, 14)))
    fields = {
        category: chance.sample([*SCHEMAS[category].items, "unknown"], 3) for category in categories
    }

    def delivered(category: Category) -> bytes:
        if chance.random() < 0.08:
            return chance.choice(POISON)
        last = SCHEMAS[category].identifying[-1]
        record: dict[str, Any] = {last: VALID[category][last][:-1] + chance.choice("3345")}
        for fault in chance.choices(FAULTS[category], k=chance.choice((0, 0, 1, 1, 3))):
            record |= fault
        for field in chance.choices(fields[category], k=chance.choice((0, 0, 1, 3))):
            record[field] = chance.choice(chance.choice((ODD, EQUAL_IN_PYTHON)))
        return delivery(
            category,
            unit=chance.choice(UNITS),
            op=chance.choice(OPS),
            received_at=chance.choice(TIMES),
            **record,
        )

    return [delivered(chance.choice(categories)) for _ in range(size)]


def read(batch: Iterable[bytes]) -> list[Submission]:
    """What can be read of a batch, as the worker reads it."""
    submissions = []
    for offset, raw in enumerate(batch):
        with suppress(Unreadable):
            said = read_delivery(raw)
            key = bytes(16) if REGISTRY.unit(said.unit) is None else identify(said, REGISTRY)
            submissions.append(read_submission(raw, key, Position(1, offset)))
    return submissions


BATCHES = st.builds(sent, st.integers(0, 2**32), st.integers(0, 25)).map(read)

Answer = Verdict | tuple[str, str, str | None, str | None]


class Folded:
    """What submissions come to one after the other, and the states that they lead to."""

    def __init__(self) -> None:
        self.states: dict[bytes, RecordState] = {}
        self.answers: list[Answer] = []

    def take(self, found: Submission | Examined | Unreadable) -> None:
        try:
            self.answers.append(self._verdict(found))
        except Unreadable as why:
            self.answers.append((why.rule, str(why), why.unit, why.category))

    def _verdict(self, found: Submission | Examined | Unreadable) -> Verdict:
        if isinstance(found, Unreadable):
            raise found
        if isinstance(found, Examined):
            verdict = conclude(found, self.states.get(found.submission.record_key))
        else:
            state = self.states.get(found.record_key)
            verdict = judge(found, state, REGISTRY, CALENDAR)
        self.states[verdict.record_key] = verdict.state
        return verdict

    def encoded(self) -> list[bytes]:
        verdicts = [each for each in self.answers if isinstance(each, Verdict)]
        return [encode_verdict(each) for each in verdicts] + [
            state.to_json() for state in self.states.values()
        ]


@given(BATCHES, st.integers(0, 2**32))
def test_a_batch_comes_to_what_its_submissions_come_to_one_by_one(
    batch: list[Submission], seed: int
) -> None:
    together, one_by_one = Folded(), Folded()
    examined = examine(batch, REGISTRY, CALENDAR)
    for submission, found in zip(batch, examined, strict=True):
        one_by_one.take(submission)
        together.take(found)
    assert together.answers == one_by_one.answers
    assert together.states == one_by_one.states
    assert together.encoded() == one_by_one.encoded()
    # Nor does it matter who stands before whom.
    order = random.Random(seed).sample(range(len(batch)), len(batch))
    shuffled = Folded()
    again = examine([batch[place] for place in order], REGISTRY, CALENDAR)
    for _, found in sorted(zip(order, again, strict=True), key=lambda pair: pair[0]):
        shuffled.take(found)
    assert shuffled.answers == together.answers


@given(BATCHES)
@settings(max_examples=30)
def test_what_is_remembered_of_a_record_is_read_back(batch: list[Submission]) -> None:
    for found in examine(batch, REGISTRY, CALENDAR):
        if isinstance(found, Examined) and found.submission.op is Op.UPSERT:
            verdict = conclude(found, None)
            assert RecordState.of_json(verdict.state.to_json()) == verdict.state
            assert decode_verdict(encode_verdict(verdict)) == (
                verdict.state,
                verdict.origin,
                verdict.received_at,
            )


def as_declared(schema: Schema, record: dict[str, Any], on: date) -> Iterator[Reason]:
    """The rules that a record breaks, asked one after the other as they are declared."""
    texts = {code: as_text(record.get(code)) for code in schema.items}
    for code, item in schema.items.items():
        text = texts[code]
        broken: list[ItemRule | RecordRule] = []
        if text is None:
            broken.append(TYPE)
        elif text == "" and code in schema.required:
            broken.append(REQUIRED)
        elif text:
            broken += [rule for rule in item.rules if not rule.holds(text, on)]
            if any(rule.id == LENGTH for rule in broken):
                broken = [rule for rule in broken if rule.id == LENGTH]
                text = None
        for rule in schema.rules:
            own = [] if rule.own is Own.BLANK else [text]
            others = [texts[other] or "" for other in rule.others]
            if (
                rule.field == code
                and text is not None
                and (text == "") == (rule.own is Own.BLANK)
                and rule.breaks(*own, *others, on)
            ):
                broken.append(rule)
        value = shown(mask_id(text or "") if item.personal else text or "")
        for each in broken:
            message = each.message.format(name=f"{item.name}（{code}）", value=value)
            yield Reason(each.id, code, message, each.severity)


@given(BATCHES)
def test_every_rule_is_asked_as_it_is_declared(batch: list[Submission]) -> None:
    for submission, found in zip(batch, examine(batch, REGISTRY, CALENDAR), strict=True):
        if isinstance(found, Examined):
            declared = as_declared(submission.schema, dict(submission.record), found.on)
            assert [*found.reasons] == [*declared]
