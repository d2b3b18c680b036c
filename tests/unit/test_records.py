"""The schemas: a valid record of every category, every rule broken, nothing hidden."""

import csv
import io
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.judging import judge
from models.records import SCHEMAS
from models.rules import LONG_TERM, Severity, parse_amount, parse_day, shown
from models.submission import Submission, Unreadable, read_delivery, read_submission
from models.words import SHANGHAI, Category, Op
from streams.registry import load_calendar, load_registry
from tests.support.broken import breaches
from tests.support.samples import (
    AGENCY_CODE,
    CREDIT_CODE,
    RESIDENT_ID,
    VALID,
    delivery,
    reasons_of,
    submitted,
    values_of,
)

ON = date(2022, 6, 3)
KEY = bytes(16)
REGISTRY = load_registry(Path("deploy/registry"), identity_key=b"test")
CALENDAR = load_calendar(Path("deploy/registry"))
FORBIDDEN = ["\x00", "\x1f", "\x7f", "\x85", "\u200b", "\u202e", "\ue000", "\ufffc", "\ufffd"]


def reasons(category: Category, **changes: Any) -> list[tuple[str, str]]:
    found = reasons_of(read_delivery(delivery(category, **changes)), ON)
    return [(reason.rule, reason.field) for reason in found]


def test_every_category_has_a_schema() -> None:
    assert set(SCHEMAS) == set(Category)
    assert set(VALID) == set(Category)


@pytest.mark.parametrize("category", Category)
def test_a_valid_record_breaks_no_rule(category: Category) -> None:
    assert reasons(category) == []


@pytest.mark.parametrize("category", Category)
def test_every_rule_that_is_broken_alone_is_the_reason(category: Category) -> None:
    for changes, expected, severity in breaches(category):
        verdict = judge(
            submitted(delivery(category, **changes), REGISTRY), None, REGISTRY, CALENDAR
        )
        told = [(reason.rule, reason.field) for reason in verdict.reasons]
        assert told == expected, changes
        assert verdict.state.compliant == (severity is Severity.WARNING), changes
        for reason in verdict.reasons:
            assert SCHEMAS[category].items[reason.field].name in reason.message
            assert "{" not in reason.message


@pytest.mark.parametrize("category", Category)
def test_a_mandatory_item_that_is_not_even_named_is_missed(category: Category) -> None:
    for code in SCHEMAS[category].required:
        assert reasons(category, without=(code,)) == [("required", code)]


def test_field_codes_and_names_are_those_of_the_published_lists() -> None:
    text = (Path(__file__).parents[1] / "data/record_fields.csv").read_text("utf-8-sig")
    fields = list(csv.DictReader(io.StringIO(text)))
    assert len(fields) == 79
    for field in fields:
        schema = SCHEMAS[next(c for c in Category if c.zh == field["dataset"])]
        assert schema.items[field["code"]].name == field["name"]
        if field["mandatory"] == "M":
            assert field["code"] in schema.required


def test_one_broken_field_never_hides_another() -> None:
    broken: dict[str, Any] = {
        "XK_XDR_MC": "测试",
        "XK_XDR_LB": "公司",
        "XK_XDR_SHXYM": CREDIT_CODE[:-1] + "#",
        "XK_WSH": "无",
        "XK_NR": "x" * 4001,
        "XK_JDRQ": "2022-02-30",
        "XK_YXQZ": "2022-06-02",
        "XK_YXQZI": "2021-06-01",
        "XK_XKJGDM": ["11"],
        "XK_ZT": 3,
        "XK_LYDW": "局\u200b",
    }
    assert set(reasons(Category.LICENCE, **broken)) == {
        ("placeholder", "XK_XDR_MC"),
        ("code-list", "XK_XDR_LB"),
        ("credit-code", "XK_XDR_SHXYM"),
        ("placeholder", "XK_WSH"),
        ("document-number", "XK_WSH"),
        ("length", "XK_NR"),
        ("date", "XK_JDRQ"),
        ("date-order", "XK_YXQZI"),
        ("type", "XK_XKJGDM"),
        ("code-list", "XK_ZT"),
        ("control-character", "XK_LYDW"),
    }


@pytest.mark.parametrize("kinds", ["罚钱", "罚款；罚钱", "警告、", "罚款 警告"])
def test_a_kind_of_penalty_outside_the_code_list_is_found_beside_no_other_fault(kinds: str) -> None:
    assert reasons(Category.PENALTY, CF_CFLB=kinds) == [("code-list", "CF_CFLB")]


def test_a_sole_trader_without_a_code_and_a_natural_person_are_compliant() -> None:
    sole_trader: dict[str, Any] = {
        "XK_XDR_LB": "个体工商户",
        "XK_XDR_SHXYM": "00000000000000000X",
        "XK_XDR_GSZC": "420115600123456",
        "XK_FRDB": "",
    }
    person: dict[str, Any] = {
        "XK_XDR_MC": "李秀英",
        "XK_XDR_LB": "自然人",
        "XK_XDR_SHXYM": "",
        "XK_XDR_ZJLX": "身份证",
        "XK_XDR_ZJHM": RESIDENT_ID,
    }
    assert reasons(Category.LICENCE, **sole_trader) == []
    assert reasons(Category.LICENCE, **person) == []


@pytest.mark.parametrize("character", FORBIDDEN)
def test_a_forbidden_character_is_found(character: str) -> None:
    assert reasons(Category.LICENCE, XK_NR=f"准予{character}排放") == [
        ("control-character", "XK_NR")
    ]


@pytest.mark.parametrize("text", ["*******", "-----", "无", "Null", "n/a"])
def test_a_placeholder_is_found(text: str) -> None:
    assert reasons(Category.LICENCE, XK_NR=text) == [("placeholder", "XK_NR")]


def test_a_remark_may_say_none_and_a_long_text_may_have_lines() -> None:
    assert reasons(Category.LICENCE, BZ="无", XK_NR="第一行\n第二行\t续") == []


@given(st.data())
def test_no_message_holds_a_resident_id(data: st.DataObject) -> None:
    category = data.draw(st.sampled_from([Category.LICENCE, Category.PENALTY, Category.COMMITMENT]))
    code = data.draw(st.sampled_from(list(SCHEMAS[category].items)))
    around = st.text(st.sampled_from("无号 (（:0甲"), max_size=3)
    value = data.draw(around) + RESIDENT_ID + data.draw(around)
    raw = delivery(category, **{code: value})  # type: ignore[arg-type]
    for reason in reasons_of(read_delivery(raw), ON):
        assert RESIDENT_ID not in reason.message
        assert RESIDENT_ID[6:14] not in reason.message


# --- reading --------------------------------------------------------------------------------


def test_white_space_around_a_value_is_none_of_it_whatever_stands_beside() -> None:
    plain = values_of(read_delivery(delivery(BZ=" 备 注　")))
    beside = values_of(read_delivery(delivery(BZ=" 备 注　", XK_ZT=1, XK_NR=["一"])))
    assert list(plain) == list(beside) == list(SCHEMAS[Category.LICENCE].items)
    assert {**beside, "XK_NR": plain["XK_NR"]} == plain
    assert plain["BZ"] == "备 注"


def test_nulls_are_blanks_and_numbers_are_texts() -> None:
    values = values_of(read_delivery(delivery(XK_XDR_GSZC=None, XK_XKBH=12, XK_ZT=1)))
    assert values["XK_XDR_GSZC"] == ""
    assert values["XK_XKBH"] == "12"
    assert values["XK_ZT"] == "1"
    assert reasons(Category.LICENCE, XK_ZT=1) == []


def test_the_chinese_name_of_a_category_is_read() -> None:
    raw = delivery(envelope={"category": "行政许可"})
    assert read_delivery(raw).schema is SCHEMAS[Category.LICENCE]


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b'{"unit": "\xff\xfe"}', "json"),
        (b"[1]", "json"),
        (b"[" * 100_000, "json"),
        (delivery(unit=" "), "unit"),
        (delivery(envelope={"unit": 3}), "unit"),
        (delivery(envelope={"category": "许可"}), "category"),
        (delivery(envelope={"category": ["licence"]}), "category"),
        (delivery(envelope={"op": "delete"}), "op"),
        (delivery(envelope={"op": []}), "op"),
        (delivery(envelope={"record": "x"}), "record"),
        (delivery(received_at=None), "received-at"),
        (delivery(envelope={"received_at": "2022-06-03T09:00:00"}), "received-at"),
        (delivery(envelope={"received_at": "yesterday"}), "received-at"),
        (delivery(op=Op.WITHDRAW, envelope={"reason": ""}), "withdraw-reason"),
        (delivery(op=Op.WITHDRAW, envelope={"reason": 1}), "withdraw-reason"),
    ],
)
def test_what_cannot_be_read_says_why(raw: bytes, rule: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_submission(raw, KEY)
    assert caught.value.rule == rule
    assert str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["unit", "category", "op", "record", "received_at", "reason"]), inner
        )
    ),
)


MUTILATED = st.builds(
    lambda raw, at, gone, put: raw[: at % len(raw)] + put + raw[at % len(raw) + gone :],
    st.sampled_from([delivery(category, op=op) for category in Category for op in Op]),
    st.integers(0, 5000),
    st.integers(0, 9),
    st.sampled_from([b"", b'"', b"\\", b"[", b"}", b",", b"null", b"1e999", b"\\ud800", b"\xff"]),
)


@given(st.binary(max_size=200) | JSON.map(orjson.dumps) | MUTILATED)
def test_reading_raises_nothing_but_unreadable(raw: bytes) -> None:
    with suppress(Unreadable):
        assert isinstance(read_submission(raw, KEY), Submission)


def test_unreadable_never_carries_the_input() -> None:
    with pytest.raises(Unreadable) as caught:
        read_submission(delivery(envelope={"received_at": RESIDENT_ID}), KEY)
    error: BaseException | None = caught.value
    while error is not None:
        assert RESIDENT_ID not in repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


# --- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["2022-06-03", "2022/6/3", "2022.6.3", "20220603", "2022年6月3日", "2022-06-03 00:00:00"],
)
def test_days_are_read_in_every_form(text: str) -> None:
    assert parse_day(text) == date(2022, 6, 3)


@pytest.mark.parametrize(
    "text", ["", "2022-13-01", "2022-02-29", "0022-06-03", "22-6-3", "２０２２-06-03", "2100-01-01"]
)
def test_what_is_no_day_is_none(text: str) -> None:
    assert parse_day(text) is None


def test_long_term_is_a_day() -> None:
    assert parse_day("2099-12-31") == LONG_TERM


@given(st.text(max_size=30))
def test_parsers_of_values_never_raise(text: str) -> None:
    parse_day(text)
    parse_amount(text)
    shown(text)


@pytest.mark.parametrize("text", ["-1", "1e99", "NaN", "Infinity", "0.0000001", "1,000", "", "一"])
def test_what_is_no_amount(text: str) -> None:
    assert parse_amount(text) is None


# --- identity of records ----------------------------------------------------------------------


def key(**changes: Any) -> bytes:
    said = read_delivery(delivery(Category.PENALTY, **changes))
    return said.schema.record_key("江夏区", said.record, b"secret")


def test_all_spellings_of_a_document_number_name_one_record() -> None:
    assert key() == key(CF_WSH="武夏环罚[2022]12号") == key(CF_WSH=" 武夏环罚（２０２２）第012号 ")
    assert key() != key(CF_WSH="武夏环罚〔2022〕13号")


def test_a_corrected_code_is_still_the_same_record() -> None:
    assert key() == key(CF_XDR_SHXYM=AGENCY_CODE)


def test_the_subject_and_the_secret_are_part_of_the_key() -> None:
    said = read_delivery(delivery(Category.PENALTY))
    assert key() != key(CF_XDR_MC="武汉市江夏区光明超市")
    assert key() != said.schema.record_key("江夏区", said.record, b"other")
    assert key() != said.schema.record_key("江汉区", said.record, b"secret")


def test_records_without_a_number_never_hide_each_other() -> None:
    assert key(CF_WSH="") != key(CF_WSH="", CF_NR="另案处理")
    assert key(CF_WSH="") == key(CF_WSH="")


def test_a_submission_received_in_another_zone_has_its_day_in_shanghai() -> None:
    raw = delivery(envelope={"received_at": "2022-06-02T20:00:00Z"})
    assert read_submission(raw, KEY).received_on == date(2022, 6, 3)
    assert read_submission(raw, KEY).received_at.astimezone(SHANGHAI).hour == 4
